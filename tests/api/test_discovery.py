"""Discovery against a real API server: only where a namespace opts in, with the chart's rights, and writing nothing but events."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from typer.testing import CliRunner

from cluster import binaries
from modelward.api.resources import MODELS, Resource
from modelward.cli.main import app
from modelward.governance.discovery import shipped_signs
from modelward.runtime.cache import Cache
from modelward.runtime.clock import SystemClock
from modelward.runtime.discovering import Discovery
from modelward.runtime.kube import KubeClient
from tests.api.conftest import PATIENCE, ApiServer
from tests.api.test_operator_process import running

CHART = Path(__file__).parents[2] / "charts" / "modelward"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


@pytest.fixture(scope="module")
def chart_rights(api_server: ApiServer) -> AsyncIterator[str]:
    """A user who has exactly the rights of the chart's ClusterRole."""
    helm = [str(binaries.path("helm")), "template", "discovery", str(CHART), "--namespace", "modelward"]
    render = [*helm, "--kube-version", binaries.KUBERNETES_VERSION]
    text = subprocess.run(render, check=True, capture_output=True, text=True, timeout=PATIENCE).stdout
    (role,) = (
        each for each in yaml.safe_load_all(text)
        if each and each["kind"] == "ClusterRole" and "modelauditrecords" in str(each["rules"]) and "create" in str(each)
        and "controllerrevisions" in str(each["rules"])
    )  # fmt: skip
    role["metadata"] = {"name": "discovery-test"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "discovery-test"}
    subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "operator"}]
    binding = {"metadata": {"name": "discovery-test"}, "roleRef": reference, "subjects": subjects}
    assert api_server.request("POST", f"{RBAC}/clusterroles", role).accepted
    assert api_server.request("POST", f"{RBAC}/clusterrolebindings", binding).accepted
    api_server.until_allowed("operator", MODELS.path())
    yield "operator"
    api_server.request("DELETE", f"{RBAC}/clusterrolebindings/discovery-test")
    api_server.request("DELETE", f"{RBAC}/clusterroles/discovery-test")
    api_server.until_allowed("operator", MODELS.path(), allowed=False)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def kube(api_server: ApiServer, chart_rights: str) -> AsyncIterator[KubeClient]:
    async with api_server.client(chart_rights) as api:
        yield KubeClient(api, timeout=PATIENCE)


def a_namespace(server: ApiServer, *, opts_in: bool) -> str:
    """A namespace with a server that a Model names, two that none does, and a web server."""
    name = server.namespace()
    if opts_in:
        patch = {"metadata": {"labels": {"modelward.dev/discovery": "enabled"}}}
        path = f"/api/v1/namespaces/{name}"
        assert server.request("PATCH", path, patch, content_type="application/merge-patch+json").accepted
    for kind, workload, image in (
        ("deployments", "known", "ollama/ollama:1"),
        ("deployments", "web", "nginx:1.27"),
        ("deployments", "shadow-it", "vllm/vllm-openai:v0.9"),
        ("statefulsets", "triton", "nvcr.io/nvidia/tritonserver:25.01-py3"),
    ):
        labels = {"app": workload}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "server", "image": image}]}}
        spec = {"selector": {"matchLabels": labels}, "template": template}
        body = {"metadata": {"name": workload}, "spec": spec}
        answer = server.request("POST", f"/apis/apps/v1/namespaces/{name}/{kind}", body)
        assert answer.accepted, answer.message
    pod = {"metadata": {"name": "by-hand"}, "spec": {"containers": [{"name": "s", "image": "pytorch/torchserve:0.12"}]}}
    assert server.request("POST", f"/api/v1/namespaces/{name}/pods", pod).accepted
    model = {
        "apiVersion": "modelward.dev/v1alpha1",
        "kind": "Model",
        "metadata": {"name": "helper"},
        "spec": {"workloads": [{"kind": "Deployment", "name": "known"}]},
    }
    answer = server.request("POST", f"/apis/modelward.dev/v1alpha1/namespaces/{name}/models", model)
    assert answer.accepted, answer.message
    return name


async def discovery(kube: KubeClient, registry: CollectorRegistry) -> Discovery:
    cache = Cache()
    cache.replace(MODELS, await kube.list(MODELS), cache.revision())
    return Discovery(kube, cache, shipped_signs(), SystemClock(), registry)


def events(server: ApiServer, namespace: str) -> list[tuple[str, str]]:
    found = server.request("GET", f"/apis/events.k8s.io/v1/namespaces/{namespace}/events").body["items"]
    return sorted((each["regarding"]["kind"], each["regarding"]["name"]) for each in found)


UNREGISTERED = [("Deployment", "shadow-it"), ("Pod", "by-hand"), ("StatefulSet", "triton")]


async def test_it_looks_only_where_a_namespace_opts_in_and_tells_of_each_workload_once(
    api_server: ApiServer, kube: KubeClient
) -> None:
    asked, left_alone = a_namespace(api_server, opts_in=True), a_namespace(api_server, opts_in=False)
    registry = CollectorRegistry()
    looking = await discovery(kube, registry)
    for _ in range(2):
        found = await looking.look()
        assert sorted((each.kind, each.name) for each in found[asked]) == UNREGISTERED
    assert events(api_server, asked) == UNREGISTERED
    assert events(api_server, left_alone) == [] and left_alone not in found
    assert f'modelward_unregistered_workloads{{namespace="{asked}"}} 3.0' in generate_latest(registry).decode()


async def test_it_writes_nothing_but_events(api_server: ApiServer, chart_rights: str) -> None:
    namespace = a_namespace(api_server, opts_in=True)

    def contents() -> dict[str, Any]:
        paths = [
            f"/apis/apps/v1/namespaces/{namespace}/{kind}" for kind in ("deployments", "statefulsets", "daemonsets")
        ]
        paths += [f"/api/v1/namespaces/{namespace}/{kind}" for kind in ("pods", "configmaps", "services")]
        paths += [f"/apis/modelward.dev/v1alpha1/namespaces/{namespace}/{kind}" for kind in ("models", "modelversions")]
        return {path: api_server.request("GET", path).body["items"] for path in paths}

    before = contents()
    writes: list[tuple[Resource, str]] = []
    async with api_server.client(chart_rights) as api:
        noting = KubeClient(api, timeout=PATIENCE, on_write=lambda resource, verb: writes.append((resource, verb)))
        await (await discovery(noting, CollectorRegistry())).look()
    assert contents() == before
    assert {(resource.plural, verb) for resource, verb in writes} == {("events", "create")}


async def test_the_operator_shows_it_and_the_portfolio_among_its_metrics(api_server: ApiServer, tmp_path: Path) -> None:
    namespace = a_namespace(api_server, opts_in=True)
    options = ("--namespace", namespace, "--discovery-seconds", "1")
    wanted = f'modelward_unregistered_workloads{{namespace="{namespace}"}} 3.0'
    async with asyncio.timeout(PATIENCE), running(api_server, namespace, tmp_path / "log", *options) as operator:
        await operator.until("/metrics", lambda _, text: wanted in text)
        await operator.until("/metrics", lambda _, text: "modelward_models 1.0" in text.splitlines())
        operator.process.terminate()
        assert await operator.process.wait() == 0, operator.log.read_text()
    assert "Traceback" not in operator.log.read_text()


def test_a_person_lists_them_with_the_command(api_server: ApiServer) -> None:
    namespace = a_namespace(api_server, opts_in=False)
    result = CliRunner().invoke(app, ["discover", "-n", namespace, "--kubeconfig", str(api_server.kubeconfig)])
    assert result.exit_code == 0, result.output
    rows = [line.split()[1:3] for line in result.stdout.splitlines()[1:]]
    assert rows == [["Deployment", "shadow-it"], ["Pod", "by-hand"], ["StatefulSet", "triton"]]
