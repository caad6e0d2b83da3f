"""What goes wrong in real installations, one thing at a time: each is brought about, told with its remedy, and put back.

The first ten are those that we hold to be the most likely; the rest have been met, too.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.api.doctor.world import (
    ADMISSION,
    API,
    APPROVERS,
    DEFINITIONS,
    DEPLOYMENT,
    GATEWAY,
    LEASE,
    LENDING,
    MODEL,
    MODEL_PATH,
    OPERATOR,
    POD,
    POD_PATH,
    RBAC,
    SYSTEM,
    Manifest,
    World,
    a_binding,
    a_pod_of_the_model,
    a_version,
    named,
)

Broken = AbstractContextManager[None]
HTTP_ROUTES = f"{DEFINITIONS}/httproutes.gateway.networking.k8s.io"
MONITORING = "monitoring.coreos.com"


@dataclass(frozen=True)
class Misconfiguration:
    """How it comes about, which check tells of it in which words and with which command, and what it entails elsewhere."""

    broken: Callable[[World], Broken]
    check: str
    says: tuple[str, ...]
    remedy: str
    level: str = "Problem"
    entails: tuple[str, ...] = ()


def changed(path: str, change: Callable[[Manifest], Any]) -> Callable[[World], Broken]:
    return lambda world: world.changed(path, change)


def without(path: str) -> Callable[[World], Broken]:
    return lambda world: world.without(path)


def added(path: str, manifest: Manifest) -> Callable[[World], Broken]:
    return lambda world: world.added(path, manifest)


def status_of_the_pod(**container: Any) -> Callable[[World], Broken]:
    """The operator's only pod is not ready, for this reason."""

    @contextlib.contextmanager
    def broken(world: World) -> Iterator[None]:
        with world.changed(DEPLOYMENT, _unavailable), world.changed(POD_PATH, lambda pod: _container(pod, container)):
            yield

    return broken


def _unavailable(deployment: Manifest) -> None:
    deployment["status"] = {"replicas": 1, "unavailableReplicas": 1}


def _container(pod: Manifest, state: Manifest) -> None:
    pod["status"]["containerStatuses"][0] |= {"ready": False, **state}


def cannot_make_pods(deployment: Manifest) -> None:
    message = 'pods "modelward-7c9f-" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'
    _unavailable(deployment)
    deployment["status"]["conditions"] = [
        {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    ]


def another_operator() -> Callable[[World], Broken]:
    @contextlib.contextmanager
    def broken(world: World) -> Iterator[None]:
        deployment = world.get(DEPLOYMENT)
        assert deployment is not None
        labels = deployment["metadata"]["labels"]
        path = DEPLOYMENT.replace(SYSTEM, LENDING)
        with world.added(path, {"metadata": {"labels": labels}, "spec": deployment["spec"]}):
            yield

    return broken


@contextlib.contextmanager
def role_without_creation(world: World) -> Iterator[None]:
    """Somebody wrote a role themselves, in the place of the three that the chart has."""
    role = f"{RBAC}/clusterroles/own"
    names = ["reviewer", "independent-validator", "risk"]
    rule = {
        "apiGroups": ["modelward.dev"],
        "resources": ["approvalroles"],
        "resourceNames": names,
        "verbs": ["approve"],
    }
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(world.without(f"{APPROVERS}/{name}-approvers"))
        stack.enter_context(world.added(role, {"rules": [rule]}))
        stack.enter_context(world.added(f"{APPROVERS}/own", a_binding("own", "grace@example.com")))
        yield


def in_namespaces_only(deployment: Manifest) -> None:
    deployment["spec"]["template"]["spec"]["containers"][0]["args"].append("--namespace=gateways")


def drop_field(*path: str) -> Callable[[Manifest], None]:
    """Takes a field out of every version of a definition, as one of an older release lacks it."""

    def change(definition: Manifest) -> None:
        for version in definition["spec"]["versions"]:
            node = version["schema"]["openAPIV3Schema"]
            for name in path[:-1]:
                node = node["properties"][name]
                node = node.get("items", node)
            node["properties"].pop(path[-1], None)
            node.pop("x-kubernetes-validations", None)  # they may speak of the field

    return change


def without_right(role: Manifest) -> None:
    role["rules"] = [rule for rule in role["rules"] if rule["resources"] != ["httproutes"]]


def set_spec(**fields: Any) -> Callable[[Manifest], None]:
    return lambda obj: obj["spec"].update(fields)


def in_serving(**fields: Any) -> Callable[[Manifest], None]:
    return lambda model: model["spec"]["serving"].update(fields)


def listener(**fields: Any) -> Callable[[Manifest], None]:
    return lambda gateway: gateway["spec"]["listeners"][0].update(fields)


def says(kind: str, status: str, reason: str, message: str) -> Callable[[Manifest], None]:
    """A condition in the status of a Model or a Gateway."""
    known = {"type": kind, "status": status, "reason": reason, "message": message}
    entry = known | {"lastTransitionTime": "2026-11-01T09:00:00Z"}
    return lambda obj: obj["status"].update(conditions=[entry])


def unknown_gate(reason: str, message: str) -> Callable[[Manifest], None]:
    row = {"name": "errors", "stage": "Shadow", "version": "v1", "result": "Unknown", "at": "2026-11-01T09:00:00Z"}
    row |= {"reason": reason, "message": message}
    return lambda model: model["status"].update(gates=[row])


def fenced() -> Callable[[World], Broken]:
    """A policy that lets nobody speak to the pods of the Model, of which one is there."""

    @contextlib.contextmanager
    def broken(world: World) -> Iterator[None]:
        policies = f"/apis/networking.k8s.io/v1/namespaces/{LENDING}/networkpolicies"
        deny = {"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}
        pod = f"/api/v1/namespaces/{LENDING}/pods/{MODEL}-v1-x"
        with world.added(pod, a_pod_of_the_model()), world.added(f"{policies}/default-deny", deny):
            yield

    return broken


def monitored(*objects: tuple[str, str, Manifest]) -> Callable[[World], Broken]:
    """The kinds of the Prometheus Operator, with some objects: plural, name and manifest."""

    @contextlib.contextmanager
    def broken(world: World) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for kind in ("ServiceMonitor", "PodMonitor", "PrometheusRule", "Prometheus"):
                name, manifest = _kind_of_monitoring(kind)
                stack.enter_context(world.added(f"{DEFINITIONS}/{name}", manifest))
                world.until_served(f"/apis/{MONITORING}/v1/{name.partition('.')[0]}")
            world.until_served(f"/apis/{MONITORING}/v1")  # what is discovered follows what is served
            for plural, name, manifest in objects:
                stack.enter_context(world.added(f"/apis/{MONITORING}/v1/namespaces/{SYSTEM}/{plural}/{name}", manifest))
            yield
        world.until_gone(f"/apis/{MONITORING}/v1")

    return broken


def _kind_of_monitoring(kind: str) -> tuple[str, Manifest]:
    plural = "prometheuses" if kind == "Prometheus" else f"{kind.lower()}s"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    spec = {
        "group": MONITORING,
        "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
        "scope": "Namespaced",
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
    }
    return f"{plural}.{MONITORING}", {"spec": spec}


def of_monitoring(kind: str, labels: Manifest | None = None, **spec: Any) -> Manifest:
    ours = {"app.kubernetes.io/name": "modelward", **(labels or {})}
    return {"apiVersion": f"{MONITORING}/v1", "kind": kind, "metadata": {"labels": ours}, "spec": spec}


MOST_LIKELY = {
    "the chart of the definitions was not upgraded": Misconfiguration(
        changed(f"{DEFINITIONS}/models.modelward.dev", drop_field("spec", "challengers")),
        "definitions",
        ("the CRD models.modelward.dev is older than release", "drops spec.challengers"),
        "kubectl apply --server-side -f crds",
    ),
    "the image cannot be pulled": Misconfiguration(
        status_of_the_pod(state={"waiting": {"reason": "ImagePullBackOff", "message": "401 Unauthorized"}}),
        "operator",
        (f"pod {POD} cannot pull ghcr.io/modelward/modelward", "401 Unauthorized"),
        f"kubectl -n {SYSTEM} describe pod {POD}",
    ),
    "a value of the chart cannot be used": Misconfiguration(
        status_of_the_pod(
            state={"waiting": {"reason": "CrashLoopBackOff"}},
            lastState={"terminated": {"exitCode": 2, "reason": "Error"}},
        ),
        "operator",
        ("ended with exit code 2", "a file of its configuration cannot be used"),
        f"kubectl -n {SYSTEM} logs {POD}",
    ),
    "somebody edited the operator's role": Misconfiguration(
        changed(f"{RBAC}/clusterroles/modelward", without_right),
        "rights",
        (f"{OPERATOR} may not create httproutes.gateway.networking.k8s.io", "the chart gives it that right"),
        "kubectl apply --server-side --force-conflicts -k deploy/kustomize/base",
    ),
    "the admission policies are not installed": Misconfiguration(
        without(f"{ADMISSION}/validatingadmissionpolicybindings/modelward-approvals"),
        "admission",
        ("no approval counts", "ValidatingAdmissionPolicyBinding modelward-approvals is missing"),
        "kubectl apply --server-side --force-conflicts -k deploy/kustomize/base",
    ),
    "nobody was given the role of an approver": Misconfiguration(
        without(f"{APPROVERS}/risk-approvers"),
        "approvers",
        ("nobody may approve in the role 'risk' in namespace lending, as policy high asks",),
        "kubectl create rolebinding risk-approvers -n lending --clusterrole=modelward-approver-risk --user=NAME",
    ),
    "the policies do not know who is who": Misconfiguration(
        changed(named("high"), lambda policy: policy["spec"].pop("identityMap")),
        "identities",
        ("policy high asks for approvals, and its identityMap knows nobody",),
        "policies.spec.identityMap",
    ),
    "the Gateway does not let the namespace in": Misconfiguration(
        changed(GATEWAY, listener(allowedRoutes={"namespaces": {"from": "Same"}})),
        "gateways",
        ("Gateway gateways/public does not let routes of namespace lending in", "lending/credit-risk"),
        "kubectl edit gateway public -n gateways",
    ),
    "a NetworkPolicy keeps the operator from the metrics": Misconfiguration(
        fenced(),
        "network",
        (
            "NetworkPolicy default-deny in namespace lending keeps the operator from port 9090 of the pods of credit-risk",
        ),
        f"namespaceSelector {{matchLabels: {{kubernetes.io/metadata.name: {SYSTEM}}}}}",
    ),
    "a Model names a Prometheus that the operator does not know": Misconfiguration(
        changed(MODEL_PATH, in_serving(metrics={"source": {"prometheus": "main"}})),
        "sources",
        ("lending/credit-risk reads Prometheus 'main', which the operator does not know (it knows none)",),
        "metrics.prometheusSources",
    ),
}

OTHERS = {
    "a definition is missing": Misconfiguration(
        without(f"{DEFINITIONS}/modelevaluations.modelward.dev"),
        "definitions",
        ("these CRDs are missing", "modelevaluations.modelward.dev"),
        "kubectl apply --server-side -f crds",
    ),
    "the operator is not installed": Misconfiguration(
        without(DEPLOYMENT),
        "operator",
        ("the operator is not installed, or elsewhere (--operator-namespace)",),
        "helm install modelward charts/modelward",
        entails=(
            "release",
            "alone",
            "leader",
            "rights",
            "admission",
            "namespaces",
            "sources",
            "network",
            "audit",
            "webhooks",
            "alerts",
        ),
    ),
    "the operator was scaled to zero": Misconfiguration(
        changed(DEPLOYMENT, set_spec(replicas=0)),
        "operator",
        ("is scaled to 0",),
        f"kubectl -n {SYSTEM} scale deployment modelward --replicas=1",
    ),
    "pods may not be made": Misconfiguration(
        changed(DEPLOYMENT, cannot_make_pods),
        "operator",
        ("cannot make its pods", 'violates PodSecurity "restricted:latest"'),
        f"kubectl -n {SYSTEM} describe deployment modelward",
    ),
    "a second operator was installed": Misconfiguration(
        another_operator(),
        "alone",
        ("is not alone: Deployment lending/modelward would work on the same Models",),
        "kubectl delete deployment modelward -n lending",
    ),
    "nobody holds the Lease": Misconfiguration(
        changed(LEASE, set_spec(holderIdentity="")),
        "leader",
        ("nobody holds Lease modelward-system/modelward",),
        f"kubectl -n {SYSTEM} logs deployment/modelward",
    ),
    "another installation shares the Lease": Misconfiguration(
        changed(LEASE, set_spec(holderIdentity="theirs-0")),
        "leader",
        ("theirs-0 holds Lease", "is no pod of Deployment modelward-system/modelward"),
        "kubectl get pods -A | grep theirs-0",
    ),
    "the operator may not hold the Lease": Misconfiguration(
        without(f"{RBAC}/namespaces/{SYSTEM}/rolebindings/modelward"),
        "rights",
        ("may not create leases.coordination.k8s.io", "in namespace modelward-system"),
        "kubectl apply",
    ),
    "an admission policy was edited": Misconfiguration(
        changed(f"{ADMISSION}/validatingadmissionpolicies/modelward-status", set_spec(failurePolicy="Ignore")),
        "admission",
        ("ValidatingAdmissionPolicy modelward-status is not as this release makes it", "(failurePolicy)"),
        "kubectl apply --server-side --force-conflicts -k deploy/kustomize/base",
    ),
    "no policy is for the tier of a Model": Misconfiguration(
        without(named("high")),
        "policies",
        ("no LifecyclePolicy applies to lending/credit-risk (tier High; there are: critical, low and medium)",),
        "policies.install",
    ),
    "the builder of a version is not in the map": Misconfiguration(
        lambda world: _replaced(
            world, f"{API}/namespaces/{LENDING}/modelversions/{MODEL}-v1", a_version("mallory@example.com")
        ),
        "identities",
        ("ModelVersion lending/credit-risk-v1 was built by mallory@example.com",),
        "kubectl edit lifecyclepolicy high",
    ),
    "a role of ones own does not let its holder create a ModelApproval": Misconfiguration(
        role_without_creation,
        "approvers",
        (
            "grace@example.com may approve in the role 'risk' in namespace lending, and may not create ModelApprovals there",
        ),
        "kubectl create rolebinding risk-approvers -n lending --clusterrole=modelward-approver-risk --user=grace@example.com",
    ),
    "an approver is not in the map": Misconfiguration(
        added(f"{APPROVERS}/more", a_binding("modelward-approver-risk", "eve@example.com")),
        "identities",
        ("eve@example.com may approve in the role 'risk', and the identityMap of policy high does not know",),
        "kubectl edit lifecyclepolicy high",
        level="Warning",
    ),
    "the operator does not watch the namespace": Misconfiguration(
        changed(DEPLOYMENT, in_namespaces_only),
        "namespaces",
        ("the operator watches gateways only: nobody looks after the Models in lending",),
        "watchNamespaces={gateways,lending}",
    ),
    "Gateway API is too old to mirror a share": Misconfiguration(
        changed(HTTP_ROUTES, drop_field("spec", "rules", "filters", "requestMirror", "percent")),
        "gateway-api",
        ("has no percentage for mirrored requests (RequestMirror.percent)",),
        "kubectl apply --server-side -f https://github.com/kubernetes-sigs/gateway-api",
    ),
    "Gateway API is not installed": Misconfiguration(
        without(HTTP_ROUTES),
        "gateway-api",
        ("Gateway API is not installed, and lending/credit-risk asks for a route",),
        "kubectl apply --server-side -f https://github.com/kubernetes-sigs/gateway-api",
    ),
    "the Gateway does not exist": Misconfiguration(
        without(GATEWAY),
        "gateways",
        ("Gateway gateways/public, which lending/credit-risk names", "does not exist"),
        "kubectl get gateways -A",
    ),
    "the Gateway is not programmed": Misconfiguration(
        changed(GATEWAY, says("Programmed", "False", "AddressNotAssigned", "no address is assigned")),
        "gateways",
        ("Gateway gateways/public is not programmed: no address is assigned",),
        "kubectl describe gateway public -n gateways",
    ),
    "the Gateway answers for another host": Misconfiguration(
        changed(GATEWAY, listener(hostname="*.example.org")),
        "gateways",
        ("answers for *.example.org, and lending/credit-risk asks for credit.example.com",),
        "kubectl describe gateway public -n gateways",
    ),
    "the gateway refuses the route": Misconfiguration(
        changed(MODEL_PATH, says("TrafficApplied", "False", "RouteNotAccepted", "Accepted=False (NoMatchingParent)")),
        "routes",
        ("lending/credit-risk: Accepted=False (NoMatchingParent)",),
        "kubectl describe httproute credit-risk -n lending",
    ),
    "a gate gets no metrics": Misconfiguration(
        changed(MODEL_PATH, unknown_gate("MetricsUnavailable", "pod credit-risk-v1-x answers 404 on port 9090")),
        "metrics",
        ("lending/credit-risk has a gate without evidence: pod credit-risk-v1-x answers 404 on port 9090",),
        "kubectl describe model credit-risk -n lending",
    ),
    "no Prometheus reads the operator": Misconfiguration(
        monitored(
            ("prometheusrules", "modelward", of_monitoring("PrometheusRule")),
            ("prometheuses", "main", of_monitoring("Prometheus", ruleSelector={})),
        ),
        "alerts",
        ("no ServiceMonitor has a Prometheus read the operator",),
        "monitoring.serviceMonitor.enabled=true",
        level="Warning",
    ),
    "no Prometheus chooses the alerts": Misconfiguration(
        monitored(
            ("servicemonitors", "modelward", of_monitoring("ServiceMonitor")),
            ("prometheusrules", "modelward", of_monitoring("PrometheusRule")),
            (
                "prometheuses",
                "main",
                of_monitoring(
                    "Prometheus", ruleSelector={"matchLabels": {"release": "stack"}}, serviceMonitorSelector={}
                ),
            ),
        ),
        "alerts",
        ("no Prometheus chooses PrometheusRule modelward by its labels",),
        "monitoring.prometheusRule.labels",
        level="Warning",
    ),
}


@contextlib.contextmanager
def _replaced(world: World, path: str, manifest: Manifest) -> Iterator[None]:
    """Another object of the same name, for what cannot be changed."""
    with world.without(path), world.added(path, manifest):
        yield


@pytest.mark.parametrize("case", (MOST_LIKELY | OTHERS).values(), ids=MOST_LIKELY | OTHERS)
def test_a_misconfiguration_is_told_with_its_remedy(world: World, case: Misconfiguration) -> None:
    with case.broken(world):
        told = world.doctor()
    fitting = [each for each in told.of(case.check) if each["level"] == case.level]
    assert any(
        all(words in each["message"] for words in case.says) and case.remedy in each["remedy"] for each in fitting
    ), told.amiss
    assert {each["check"] for each in told.amiss} == {case.check, *case.entails}
    assert told.exit_code == (1 if case.level == "Problem" else 0)


def test_the_ten_most_likely_misconfigurations_are_among_them() -> None:
    assert len(MOST_LIKELY) == 10


def test_a_clock_that_is_ahead_is_told(world: World) -> None:
    told = world.doctor(ahead=120)
    (found,) = told.amiss
    assert (found["check"], found["level"]) == ("clock", "Problem")
    assert re.search(r"the operator's clock is 1[12]\d s ahead of the API server's", found["message"])
    assert "NTP" in found["remedy"]


def test_what_was_broken_is_whole_again(world: World) -> None:
    assert world.doctor("--strict").amiss == []


def test_the_operator_has_seen_a_spec_that_was_put_back_however_long_ago_that_was(world: World) -> None:
    with world.changed(MODEL_PATH, in_serving(metrics={"source": {"prometheus": "main"}})):
        pass
    model = world.get(MODEL_PATH)
    assert model is not None
    assert model["status"]["observedGeneration"] == model["metadata"]["generation"] > 1
