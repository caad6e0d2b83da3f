"""The chart at the door of a real API server: everything is accepted, pods are restricted, and rights end with namespaces."""

import asyncio
import dataclasses
import json
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import binaries
from deploy import generate
from modelward.api.resources import LEASES, LIFECYCLE_POLICIES, MODELS
from tests.api.conftest import PATIENCE, ApiServer
from tests.api.test_operator_process import running

CHART = Path(__file__).parents[2] / "charts" / "modelward"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
EVERYTHING = {
    "replicas": 3,
    "networkPolicy": {"enabled": True},
    "metrics": {"prometheusSources": [{"name": "main", "url": "http://prometheus.monitoring:9090"}]},
    "monitoring": {"dashboards": {"enabled": True}},
    "notifications": {"webhooks": [{"name": "tickets", "url": "https://tickets.example", "secretName": "tickets"}]},
    "audit": {
        "export": {
            "s3": {
                "endpoint": "https://s3.example",
                "bucket": "audit",
                "lock": {"mode": "COMPLIANCE", "days": 30},
                "secretName": "s3",
            }
        },
        "signing": {"secretName": "signing"},
    },
}


def rendered(namespace: str, values: dict[str, Any], *options: str) -> list[dict[str, Any]]:
    helm = [str(binaries.path("helm")), "template", "modelward", str(CHART), "--namespace", namespace, "--values=-"]
    render = [*helm, "--kube-version", binaries.KUBERNETES_VERSION, *options]
    given = json.dumps(values)
    text = subprocess.run(render, check=True, capture_output=True, text=True, input=given, timeout=PATIENCE).stdout
    return [manifest for manifest in yaml.safe_load_all(text) if manifest]


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["as it comes", "with everything"])
def test_every_object_is_accepted(values: dict[str, Any], api_server: ApiServer, tmp_path: Path) -> None:
    namespace = api_server.namespace()
    (tmp_path / "chart.yaml").write_text(yaml.safe_dump_all(rendered(namespace, values)))
    apply = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", str(tmp_path / "chart.yaml"))
    said = api_server.kubectl(*apply, "-n", namespace)
    assert len(said.splitlines()) == len(rendered(namespace, values))


def test_the_pods_run_where_only_restricted_ones_may(api_server: ApiServer) -> None:
    # Made with its label: of one that is set later the admission hears in its own time.
    namespace = f"test-{secrets.token_hex(4)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    assert api_server.apply(f"/api/v1/namespaces/{namespace}", namespace_of(namespace, labels)).accepted
    pods = [one for one in rendered(namespace, EVERYTHING) if one["kind"] in ("Deployment", "Pod")]
    assert len(pods) == 2
    for manifest in pods:
        spec = manifest["spec"]["template"]["spec"] if manifest["kind"] == "Deployment" else manifest["spec"]
        answer = create_pod(api_server, namespace, spec)
        assert answer.accepted, answer.message
    (container,) = spec["containers"]
    answer = create_pod(api_server, namespace, spec | {"containers": [container | {"securityContext": {}}]})
    assert "violates PodSecurity" in answer.message


def test_kustomize_leaves_the_api_server_with_what_the_chart_leaves_it_with(
    api_server: ApiServer, tmp_path: Path
) -> None:
    """Defaults, pruned fields and all: compared is what is stored, not what is sent."""
    api_server.namespace(generate.NAMESPACE)
    (tmp_path / "chart.yaml").write_text(yaml.safe_dump_all(rendered(generate.NAMESPACE, {}, "--skip-tests")))
    chart = stored(api_server, "--filename", str(tmp_path / "chart.yaml"))
    base = stored(api_server, "--kustomize", str(generate.FOLDER / "base"))

    assert base.pop(("Namespace", "", generate.NAMESPACE))["metadata"]["labels"].items() >= RESTRICTED.items()
    assert base.keys() == chart.keys()
    for name, content in chart.items():
        assert base[name] == content, name


RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
# What tells the two ways apart, and what is another with every write.
WAYS = {"helm.sh/chart", "app.kubernetes.io/managed-by"}
WRITES = {"uid", "creationTimestamp", "managedFields", "resourceVersion", "generation"}


def stored(server: ApiServer, *what: str) -> dict[tuple[str, str, str], dict[str, Any]]:
    """What the API server would keep of manifests, by kind, namespace and name."""
    said = server.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "--output=json", *what)
    found = [without_ways(one) for one in json.loads(said)["items"]]
    return {(one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]): one for one in found}


def without_ways(value: Any) -> Any:
    if isinstance(value, list):
        return [without_ways(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {name: without_ways(one) for name, one in value.items() if name not in WAYS | WRITES}


def create_pod(server: ApiServer, namespace: str, spec: dict[str, Any]) -> Any:
    pod = {"metadata": {"name": "tried"}, "spec": spec}
    return server.request("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod)


def namespace_of(name: str, labels: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


@pytest.fixture
def watched(api_server: ApiServer) -> Iterator[str]:
    """A namespace; the user `operator` has the rights that the chart gives with watchNamespaces, and no others."""
    namespace = api_server.namespace()
    subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "operator"}]
    given = []
    for manifest in rendered(namespace, {"watchNamespaces": [namespace]}):
        name = manifest["metadata"]["name"]
        if manifest["apiVersion"] != "rbac.authorization.k8s.io/v1" or name not in ("modelward", "modelward-models"):
            continue
        manifest["metadata"] = {"name": f"{name}-{namespace}"}
        if "roleRef" in manifest:
            manifest["roleRef"]["name"] += f"-{namespace}"
            manifest["subjects"] = subjects
        plural = f"{manifest['kind'].lower()}s"
        place = plural if plural.startswith("cluster") else f"namespaces/{namespace}/{plural}"
        answer = api_server.request("POST", f"{RBAC}/{place}", manifest)
        assert answer.accepted, answer.message
        given.append(f"{RBAC}/{place}/{manifest['metadata']['name']}")
    assert len(given) == 6
    # One of each binding.
    readable = [MODELS.path(namespace), LEASES.path(namespace, "any"), LIFECYCLE_POLICIES.path()]
    for path in readable:
        api_server.until_allowed("operator", path)
    yield namespace
    for path in given:
        api_server.request("DELETE", path)
    for path in readable:
        api_server.until_allowed("operator", path, allowed=False)


async def test_the_operator_works_with_the_rights_of_its_namespaces(
    watched: str, api_server: ApiServer, tmp_path: Path
) -> None:
    elsewhere = api_server.namespace()
    kubeconfig = tmp_path / "kubeconfig"
    context = yaml.safe_load(api_server.kubeconfig.read_text()) | {"current-context": "operator"}
    kubeconfig.write_text(yaml.safe_dump(context))
    for namespace in (watched, elsewhere):
        model = {
            "apiVersion": "modelward.dev/v1alpha1",
            "kind": "Model",
            "metadata": {"name": "scorer"},
            "spec": {"riskTier": "Low", "type": "Classical", "owner": {"team": "a"}},
        }
        # One that serves without a route is looked at in another way.
        served = model | {"metadata": {"name": "served"}, "spec": model["spec"] | {"serving": {"port": 8080}}}
        for one in (model, served):
            answer = api_server.request("POST", f"/apis/modelward.dev/v1alpha1/namespaces/{namespace}/models", one)
            assert answer.accepted, answer.message
    as_operator = dataclasses.replace(api_server, kubeconfig=kubeconfig)
    told = [f'modelward_model_info{{model="{name}",namespace="{watched}"' for name in ("scorer", "served")]
    async with (
        asyncio.timeout(PATIENCE),
        running(as_operator, watched, tmp_path / "log", "--namespace", watched) as operator,
    ):
        await operator.until("/metrics", lambda _, text: all(one in text for one in told))
        await operator.until("/metrics", lambda _, text: 'outcome="success"' in text)
        _, page = await operator.page("/metrics")
        operator.process.terminate()
        assert await operator.process.wait() == 0, operator.log.read_text()
    log = operator.log.read_text()
    assert "forbidden" not in log.lower(), log
    assert elsewhere not in page
    status = api_server.request("GET", f"/apis/modelward.dev/v1alpha1/namespaces/{watched}/models/scorer").body[
        "status"
    ]
    assert {condition["type"] for condition in status["conditions"]} >= {"Ready", "SpecValid"}
