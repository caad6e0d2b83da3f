"""`modelward explain` with a real API server: while a rollout is judged, and after it ended."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from modelward.api.digests import digest_of_model
from modelward.cli.main import app
from modelward.runtime.kube import KubeClient
from tests.api.conftest import ApiServer
from tests.api.rollouts.world import MODEL, World, in_force, serving_world
from tests.unit.lifecycle.explained import BASELINE, GATES, canary, stored

FOLDER = "/apis/modelward.dev/v1alpha1/namespaces"


def explain(server: ApiServer, namespace: str, model: str, *arguments: str) -> Any:
    place = ["--kubeconfig", str(server.kubeconfig), "-n", namespace]
    return CliRunner().invoke(app, ["explain", model, *place, *arguments])


async def explained(server: ApiServer, world: World) -> dict[str, Any]:
    result = explain(server, world.namespace, MODEL, "-o", "json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


async def test_a_rollout_is_explained_while_it_is_judged_and_after_it_failed(
    gateway_api: ApiServer, kube: KubeClient
) -> None:
    world = await serving_world(kube)
    await world.ask_for("v2")
    await world.until(in_force("Canary"))
    await world.until(lambda status: status.gates and status.gates[0].samples > 0)
    running = await explained(gateway_api, world)
    assert (running["version"], running["incumbent"], running["stage"]) == ("v2", "v1", "Canary")
    assert running["result"] == "Being judged; nothing is decided yet."
    assert [gate["name"] for gate in running["gates"]] == ["errors"]
    world.requests.error_rates["v2"] = 0.5
    await world.until(lambda status: status.failed)
    await world.settle()
    ended = await explained(gateway_api, world)
    assert (ended["version"], ended["stage"]) == ("v2", "Canary")
    assert ended["result"].startswith("Failed in Canary at ")
    (gate,) = ended["gates"]
    assert (gate["result"], gate["reason"]) == ("Fail", "BreakerTripped")
    assert gate["sentence"].startswith("errors are ") or gate["sentence"].startswith("errors rose to ")
    assert [point["result"] for point in gate["track"]][-1] == "Fail"
    assert re.fullmatch(r"(\d+m)?(\d+s)?", gate["window"])
    assert gate["window"]


async def test_a_promoted_version_is_explained_by_its_watch(gateway_api: ApiServer, kube: KubeClient) -> None:
    world = await serving_world(kube)
    await world.ask_for("v2")
    await world.settle()
    ended = await explained(gateway_api, world)
    assert (ended["version"], ended["stage"], ended["incumbent"]) == ("v2", "Production", None)
    assert ended["result"].startswith("Serves users since ")


@pytest.fixture(scope="module")
def lending(api_server: ApiServer) -> str:
    """A namespace with a Model in its canary, whose status an operator has written, and a baseline in a ConfigMap."""
    namespace = api_server.namespace()
    stage = canary()
    text = BASELINE.model_dump_json(by_alias=True, exclude_none=True)
    config_map = {"metadata": {"name": "training"}, "data": {"baseline.json": text}}
    assert api_server.request("POST", f"/api/v1/namespaces/{namespace}/configmaps", config_map).accepted
    for plural, stored_object in zip(
        ("models", "modelversions"),
        stored(stage, baseline={"configMap": "training", "digest": digest_of_model(BASELINE)}),
        strict=True,
    ):
        name = stored_object["metadata"]["name"]
        manifest = stored_object | {"metadata": {"name": name, "namespace": namespace}}
        status = manifest.pop("status")
        created = api_server.request("POST", f"{FOLDER}/{namespace}/{plural}", manifest)
        assert created.accepted, created.message
        written = api_server.request(
            "PUT", f"{FOLDER}/{namespace}/{plural}/{name}/status", created.body | {"status": status}
        )
        assert written.accepted, written.message
    return namespace


def test_stored_evidence_is_explained_feature_by_feature(api_server: ApiServer, lending: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    result = explain(api_server, lending, "credit-risk", "--html", str(page))
    assert result.exit_code == 0, result.output
    assert f"Model:   {lending}/credit-risk" in result.stdout
    assert re.search(r"income +drifted +0\.5176 +0\.5162", result.stdout)
    assert page.read_text("utf-8").count("<svg") == len(GATES) + 4  # gates over time, and distributions


def test_kubectl_describe_reads_the_span_of_time_of_a_figure(api_server: ApiServer, lending: str) -> None:
    described = api_server.kubectl("describe", "model", "credit-risk", "-n", lending)
    assert re.search(r"Window: +31m$", described, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--context", "ada"], 1, 'User "ada" cannot get resource "models"'),
        (["--context", "nobody"], 3, "there is no cluster to talk to"),
        (["--version", "v9"], 1, "there is no ModelVersion"),
    ],
    ids=["without the right", "unknown context", "unknown version"],
)
def test_what_keeps_it_from_explaining_is_one_sentence(
    api_server: ApiServer, lending: str, arguments: list[str], code: int, says: str
) -> None:
    result = explain(api_server, lending, "credit-risk", *arguments)
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert says in result.stderr
    assert "Traceback" not in result.output
