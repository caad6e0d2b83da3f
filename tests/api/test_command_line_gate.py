"""`modelward gate`, with a real API server: the tests write what an operator would."""

import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from modelward.cli import gate as gating
from modelward.cli.main import app
from tests.api.conftest import ApiServer
from tests.manifests import GOOD, changed

BASE = "/apis/modelward.dev/v1alpha1"
MODEL = changed(GOOD["a model behind a gateway"], spec__challengers=[], spec__production={"version": "v8"})
DIGEST = "sha256:" + "0" * 64
SINCE = "2026-11-01T00:00:00.000Z"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gating, "LOOK_EVERY", 0.05)


@pytest.fixture
def namespace(api_server: ApiServer) -> str:
    name = api_server.namespace()
    assert api_server.request("POST", f"{BASE}/namespaces/{name}/models", MODEL).accepted
    return name


def tell(api_server: ApiServer, namespace: str, **status: Any) -> None:
    header = {"apiVersion": MODEL["apiVersion"], "kind": "Model", "metadata": {"name": "churn"}}
    told = {"observedGeneration": 1, **status}
    answer = api_server.apply(f"{BASE}/namespaces/{namespace}/models/churn/status", {**header, "status": told})
    assert answer.accepted, answer.message


def rollout(stage: str) -> dict[str, Any]:
    return {
        "version": "v8", "digest": DIGEST, "policy": "high", "policyDigest": DIGEST, "startedAt": SINCE, "stage": stage,
        "stageEnteredAt": SINCE, "stepEnteredAt": SINCE,
    }  # fmt: skip


def progressing(status: str, reason: str, message: str) -> list[dict[str, str]]:
    return [
        {"type": "Progressing", "status": status, "reason": reason, "message": message, "lastTransitionTime": SINCE}
    ]


def run(api_server: ApiServer, namespace: str, *arguments: str) -> Any:
    options = ["--version", "v8", "-n", namespace, "--kubeconfig", str(api_server.kubeconfig)]
    return CliRunner().invoke(app, ["gate", "churn", *options, *arguments])


def test_it_streams_what_happens_until_the_version_serves(
    api_server: ApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    moving = progressing("True", "StageRunning", "v8 in Canary at 10 %.")
    tell(
        api_server,
        namespace,
        rollout=rollout("Canary"),
        stage="Canary",
        weight=10,
        gatesSummary="1/2 1 Inconclusive",
        conditions=moving,
    )
    serving = {"production": {"version": "v8", "digest": DIGEST, "since": SINCE}, "stage": "Production", "weight": 100}
    look, looks = gating._model, itertools.count(1)

    def look_before_it_serves(*asked: Any) -> Any:
        found = look(*asked)
        if next(looks) == 1:
            tell(api_server, namespace, **serving)
        return found

    monkeypatch.setattr(gating, "_model", look_before_it_serves)
    result = run(api_server, namespace, "--wait", "3m")
    assert result.exit_code == 0, result.output
    first, *_, last = result.stdout.splitlines()
    assert "v8 Canary 10 % [1/2 1 Inconclusive]: v8 in Canary at 10 %." in first
    assert "v8 has come to Production" in last


def test_a_latched_version_ends_with_1(api_server: ApiServer, namespace: str) -> None:
    failed = {
        "version": "v8", "digest": DIGEST, "retry": 0, "stage": "Canary", "reason": "GateFailed",
        "message": "gate errors failed.", "at": SINCE,
    }  # fmt: skip
    tell(api_server, namespace, failed=[failed])
    result = run(api_server, namespace, "--wait", "30s")
    assert result.exit_code == 1
    assert "v8 failed in Canary and is latched: gate errors failed" in result.stdout


def test_a_version_that_is_still_on_its_way_ends_with_3_when_the_time_is_over(
    api_server: ApiServer, namespace: str
) -> None:
    tell(
        api_server,
        namespace,
        rollout=rollout("Shadow"),
        stage="Shadow",
        conditions=progressing("True", "StageRunning", "v8 in Shadow."),
    )
    result = run(api_server, namespace, "--wait", "1s")
    assert result.exit_code == 3
    assert "v8 has not come to Production within 1s: v8 in Shadow." in result.stderr
    assert run(api_server, namespace, "--for", "Shadow", "--wait", "1s").exit_code == 0


def test_a_wait_for_a_person_ends_with_4_where_nobody_is_waited_for(api_server: ApiServer, namespace: str) -> None:
    waiting = progressing("False", "AwaitingApproval", "v8 waits in Canary for the approval of risk.")
    tell(api_server, namespace, rollout=rollout("Canary"), stage="Canary", conditions=waiting)
    result = run(api_server, namespace, "--wait", "30s", "--no-wait-for-people")
    assert result.exit_code == 4
    assert "the approval of risk" in result.stdout
    assert run(api_server, namespace, "--wait", "1s").exit_code == 3


def test_a_model_that_is_not_there_yet_is_waited_for(api_server: ApiServer) -> None:
    result = run(api_server, api_server.namespace(), "--wait", "1s", "-o", "json")
    assert result.exit_code == 3
    (line,) = result.stdout.splitlines()
    assert json.loads(line)["state"] == "UnderWay"
    assert "There is no Model churn" in json.loads(line)["message"]


def test_whoever_may_not_read_models_is_told_at_once(api_server: ApiServer, namespace: str) -> None:
    result = run(api_server, namespace, "--context", "ada", "--wait", "30s")
    assert result.exit_code == 1
    assert "forbidden" in result.output


def test_a_wait_that_is_no_span_is_refused_with_an_example(api_server: ApiServer, namespace: str) -> None:
    result = run(api_server, namespace, "--wait", "a while")
    assert result.exit_code == 2
    assert "1h30m" in " ".join(result.output.split())


def test_what_failed_is_tried_again_by_the_line_that_retry_prints(
    api_server: ApiServer, namespace: str, tmp_path: Path
) -> None:
    failed = {
        "version": "v8", "digest": DIGEST, "retry": 0, "stage": "Canary", "reason": "GateFailed",
        "message": "gate errors failed.", "at": SINCE,
    }  # fmt: skip
    tell(api_server, namespace, failed=[failed])
    manifest = tmp_path / "churn.yaml"
    manifest.write_text(yaml.safe_dump(MODEL, sort_keys=False))
    options = ["-n", namespace, "--kubeconfig", str(api_server.kubeconfig)]
    result = CliRunner().invoke(app, ["retry", "churn", *options, "-f", str(manifest)])
    assert result.exit_code == 0, result.output
    subprocess.run(["patch", "-p0", str(manifest)], input=result.stdout, text=True, check=True, capture_output=True)
    raised = yaml.safe_load(manifest.read_text())
    assert raised["spec"]["production"] == {"version": "v8", "retry": 1}
    answer = api_server.apply(f"{BASE}/namespaces/{namespace}/models/churn", raised)
    assert answer.accepted, answer.message
    again = CliRunner().invoke(app, ["retry", "churn", *options])
    assert again.exit_code == 1
    assert "spec.production.retry is 1 already: nothing is latched" in again.stderr
