"""A whole installation on a bare API server, of which one thing at a time is broken and put back.

The chart is applied as it is. Nothing runs here, so that what controllers and kubelets would say is written by hand: the status of
the Deployment and of its pod, the Lease, the status of the Gateway, and the operator's status of a Model.
"""

import copy
import json
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml
from typer.testing import CliRunner

from modelward.cli.main import app
from tests.api.conftest import PATIENCE, Answer, ApiServer, call
from tests.api.test_chart_in_force import rendered

Manifest = dict[str, Any]

SYSTEM, LENDING = "modelward-system", "lending"
OPERATOR = f"system:serviceaccount:{SYSTEM}:modelward"
POD = "modelward-7c9f-x2"
MODEL = "credit-risk"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
API = "/apis/modelward.dev/v1alpha1"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GATEWAY_API = "/apis/gateway.networking.k8s.io/v1"
DEPLOYMENT = f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/modelward"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/modelward"
POD_PATH = f"/api/v1/namespaces/{SYSTEM}/pods/{POD}"
MODEL_PATH = f"{API}/namespaces/{LENDING}/models/{MODEL}"
GATEWAY = f"{GATEWAY_API}/namespaces/gateways/gateways/public"
APPROVERS = f"{RBAC}/namespaces/{LENDING}/rolebindings"
PEOPLE = [
    {"name": "Ada", "identities": ["ada@example.com"], "teams": ["lending-ml"]},
    {"name": "Grace", "usernames": ["grace@example.com"], "teams": ["risk"]},
]
OPERATORS_RIGHTS = (f"{RBAC}/clusterroles/modelward", f"{RBAC}/namespaces/{SYSTEM}/rolebindings/modelward")
VALUES = {"policies": {"spec": {"identityMap": {"people": PEOPLE}}}}


@dataclass(frozen=True)
class Told:
    """What the command said, and how it ended."""

    exit_code: int
    text: str

    @property
    def findings(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(self.text)["findings"]
        return found

    def of(self, check: str) -> list[dict[str, str]]:
        return [each for each in self.findings if each["check"] == check]

    @property
    def amiss(self) -> list[dict[str, str]]:
        """Everything that is not OK."""
        return [each for each in self.findings if each["level"] != "OK"]


@dataclass(frozen=True)
class World:
    """The installation."""

    server: ApiServer

    def doctor(self, *arguments: str, user: str = "admin", output: str = "json", ahead: float = 0.0) -> Told:
        """What `modelward doctor` tells a user, just after the operator has renewed its Lease."""
        self.renew(ahead)
        place = ["--kubeconfig", str(self.server.kubeconfig), "--context", user]
        result = CliRunner().invoke(app, ["doctor", *arguments, *place, "-o", output])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return Told(result.exit_code, result.stdout)

    def renew(self, ahead: float = 0.0) -> None:
        """As the operator does it every two seconds, by a clock that may be wrong."""
        lease = self.get(LEASE)
        if lease is not None and (lease["spec"].get("holderIdentity") == POD):
            now = datetime.now(UTC) + timedelta(seconds=ahead)
            lease["spec"]["renewTime"] = now.isoformat(timespec="microseconds").replace("+00:00", "Z")
            self._accepted(self.server.request("PUT", LEASE, lease))

    def get(self, path: str) -> Manifest | None:
        answer = self.server.request("GET", path)
        return answer.body if answer.code == 200 else None

    def add(self, path: str, manifest: Manifest) -> None:
        """Create an object; the kind of a built-in one is known by its path. Its status, if it has one, is written as well."""
        collection, _, name = path.rpartition("/")
        body = {"metadata": {}, **manifest}
        body["metadata"] = {**body["metadata"], "name": name}
        self._accepted(self.server.request("POST", f"{collection}?fieldValidation=Strict", body))
        if "status" in manifest:
            self.set_status(path, manifest["status"])

    def set_status(self, path: str, status: Manifest) -> None:
        """As whoever writes it: the operator, of its own kinds."""
        body = {**(self.get(path) or {}), "status": status}
        write = self._as_the_operator if path.startswith(API) else self.server.request
        self._accepted(write("PUT", f"{path}/status", body))

    @contextmanager
    def added(self, path: str, manifest: Manifest) -> Iterator[None]:
        self.add(path, manifest)
        try:
            yield
        finally:
            self._remove(path)

    @contextmanager
    def without(self, path: str) -> Iterator[None]:
        """The installation without an object, which is made anew afterwards."""
        before, rights = self.get(path), self._rights_of_the_operator()
        assert before is not None, path
        self._remove(path)
        self._until_the_authorizer_knows(path, lambda: self._rights_of_the_operator() != rights)
        try:
            yield
        finally:
            kept = {key: before["metadata"][key] for key in ("labels", "annotations") if key in before["metadata"]}
            defines = before["kind"] == "CustomResourceDefinition"  # whose status the API server itself writes
            again = {key: value for key, value in before.items() if not (defines and key == "status")}
            self.add(path, {**again, "metadata": kept})
            if defines:
                names, version = before["spec"]["names"], before["spec"]["versions"][0]["name"]
                self.until_served(f"/apis/{before['spec']['group']}/{version}/{names['plural']}")
            self._until_the_authorizer_knows(path, lambda: self._rights_of_the_operator() == rights)

    @contextmanager
    def changed(self, path: str, change: Callable[[Manifest], None]) -> Iterator[None]:
        """The installation with an object, or its status, changed."""
        before, rights = self.get(path), self._rights_of_the_operator()
        assert before is not None, path
        after = copy.deepcopy(before)
        change(after)
        self._write(path, before, after)
        self._until_the_authorizer_knows(path, lambda: self._rights_of_the_operator() != rights)
        try:
            yield
        finally:
            self._write(path, after, before)
            self._until_the_authorizer_knows(path, lambda: self._rights_of_the_operator() == rights)

    def until_served(self, path: str) -> None:
        self._until(lambda: self.get(path) is not None, f"{path} is not served")

    def until_gone(self, path: str) -> None:
        self._until(lambda: self.get(path) is None, f"{path} is still there")

    def _rights_of_the_operator(self) -> list[str]:
        """What the authorizer knows that it may do in its own namespace, in an order of our own: there is none."""
        review = {"spec": {"namespace": SYSTEM}}
        answer = self._as_the_operator("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review)
        self._accepted(answer)
        return sorted(json.dumps(rule, sort_keys=True) for rule in answer.body["status"]["resourceRules"])

    def _until_the_authorizer_knows(self, path: str, holds: Callable[[], bool]) -> None:
        """It reads roles and bindings through a cache, and the doctor asks it what the operator may do."""
        if path in OPERATORS_RIGHTS:
            self._until(holds, f"the authorizer does not know of the change of {path}")

    def _until(self, holds: Callable[[], bool], complaint: str) -> None:
        """API servers serve a kind a moment after its definition is there."""
        limit = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < limit, complaint
            time.sleep(0.02)

    def _write(self, path: str, before: Manifest, after: Manifest) -> None:
        if {**before, "status": None} != {**after, "status": None}:
            current = self.get(path) or {}
            metadata = {**after["metadata"], "resourceVersion": current["metadata"]["resourceVersion"]}
            self._accepted(self.server.request("PUT", path, {**after, "metadata": metadata}))
        current = self.get(path) or {}
        if "status" in after:
            status = after["status"]
            if "observedGeneration" in status:  # the operator looks at every spec, also at the one that is put back
                status = {**status, "observedGeneration": current["metadata"]["generation"]}
            if status != current.get("status"):
                self.set_status(path, status)

    def _remove(self, path: str) -> None:
        self._accepted(self.server.request("DELETE", f"{path}?gracePeriodSeconds=0"))
        self.until_gone(path)

    def _as_the_operator(self, method: str, path: str, body: Manifest) -> Answer:
        headers = {"Authorization": f"Bearer {self.server.tokens['admin']}", "Content-Type": "application/json"}
        context = ssl.create_default_context(cafile=str(self.server.ca_file))
        return call(method, self.server.url + path, body, headers | {"Impersonate-User": OPERATOR}, context)

    def _accepted(self, answer: Answer) -> None:
        assert answer.accepted, answer.message


def install(server: ApiServer) -> World:
    """The chart, an operator that works, a Gateway, and a Model of the tier High that somebody may approve."""
    world = World(server)
    for name in (SYSTEM, LENDING, "gateways"):
        server.namespace(name)
    chart = server.kubeconfig.parent / "chart.yaml"
    chart.write_text(yaml.safe_dump_all(rendered(SYSTEM, VALUES)), "utf-8")
    server.kubectl("apply", "--server-side", "-f", str(chart), "-n", SYSTEM)
    _run_operator(world)
    world.add(GATEWAY, a_gateway())
    for role in ("reviewer", "independent-validator", "risk"):
        world.add(f"{APPROVERS}/{role}-approvers", a_binding(f"modelward-approver-{role}", "grace@example.com"))
    world.add(f"{API}/namespaces/{LENDING}/modelversions/{MODEL}-v1", a_version())
    world.add(MODEL_PATH, a_model())
    _wait_until_guarded(world)
    world.set_status(MODEL_PATH, {"observedGeneration": 1})
    return world


def _run_operator(world: World) -> None:
    deployment = world.get(DEPLOYMENT)
    assert deployment is not None
    template = deployment["spec"]["template"]
    world.set_status(DEPLOYMENT, {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1, "updatedReplicas": 1})
    ready = [{"type": kind, "status": "True"} for kind in ("PodScheduled", "Ready")]
    container = {"name": "operator", "image": "x", "imageID": "x", "ready": True, "restartCount": 0}
    status = {"phase": "Running", "conditions": ready, "containerStatuses": [container | {"state": {"running": {}}}]}
    world.add(
        POD_PATH, {"metadata": {"labels": template["metadata"]["labels"]}, "spec": template["spec"], "status": status}
    )
    world.add(LEASE, {"spec": {"holderIdentity": POD, "leaseDurationSeconds": 15}})


def _wait_until_guarded(world: World) -> None:
    """API servers read admission policies through a cache; the operator's rights too."""
    limit = time.monotonic() + PATIENCE
    while (
        "modelward-status"
        not in (said := world.server.request("PUT", f"{MODEL_PATH}/status", world.get(MODEL_PATH))).message
    ):
        assert time.monotonic() < limit, f"the status is not guarded: {said}"
        time.sleep(0.1)


def a_gateway(**listener: Any) -> Manifest:
    """A Gateway that everybody may use, as its controller reports it."""
    everybody = {"name": "http", "protocol": "HTTP", "port": 80, "allowedRoutes": {"namespaces": {"from": "All"}}}
    programmed = {
        "type": "Programmed",
        "status": "True",
        "reason": "Programmed",
        "message": "",
        "lastTransitionTime": "2026-11-01T09:00:00Z",
    }
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "spec": {"gatewayClassName": "any", "listeners": [everybody | listener]},
        "status": {"conditions": [programmed]},
    }


def a_binding(cluster_role: str, user: str) -> Manifest:
    group = "rbac.authorization.k8s.io"
    return {
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": cluster_role},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }


def a_model(**spec: Any) -> Manifest:
    route = {"parentRefs": [{"name": "public", "namespace": "gateways"}], "hostnames": ["credit.example.com"]}
    serving = {"port": 8080, "metrics": {"port": 9090}, "route": route}
    asked = {"riskTier": "High", "owner": {"team": "lending-ml"}, "production": {"version": "v1"}, "serving": serving}
    return {"apiVersion": "modelward.dev/v1alpha1", "kind": "Model", "spec": asked | spec}


def a_version(*builders: str) -> Manifest:
    template = {"spec": {"containers": [{"name": "server", "image": "registry.example.com/credit-risk:1"}]}}
    spec = {
        "model": MODEL,
        "version": "v1",
        "builtBy": list(builders or ("ada@example.com",)),
        "serving": {"template": template},
    }
    return {"apiVersion": "modelward.dev/v1alpha1", "kind": "ModelVersion", "spec": spec}


def a_pod_of_the_model() -> Manifest:
    labels = {"modelward.dev/model": MODEL, "modelward.dev/version": "v1"}
    return {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "server", "image": "registry.example.com/x:1"}]},
    }


def named(policy: str) -> str:
    return f"{API}/lifecyclepolicies/{policy}"
