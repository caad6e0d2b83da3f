"""`modelward impact` and `modelward report`, with a real API server."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from modelward.api.model_audit_record import record_name
from modelward.cli.main import app
from modelward.governance.chain import document_of
from tests.api.conftest import ApiServer
from tests.unit.governance.test_flow import CANARY, FIRST, V1, chain

BASE = "/apis/modelward.dev/v1alpha1"
DATA = "sha256:" + "ab" * 32


def manifest(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "modelward.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="module")
def namespace(api_server: ApiServer) -> str:
    """Two Models, of which one depends on the other; a version, and the copy of one that was pruned; a chain of records."""
    name = api_server.namespace()
    lineage = {"datasets": [{"name": "applications", "digest": DATA}]}
    kept = {"model": "score", "version": "v1", "lineage": lineage}
    created = [
        ("models", manifest("Model", "score", {"consumers": [{"name": "loan-desk"}], "production": {"version": "v2"}})),
        ("models", manifest("Model", "limit", {"dependsOn": [{"model": "score"}]})),
        (
            "modelversions",
            manifest("ModelVersion", "score-v2", {"model": "score", "version": "v2", "lineage": lineage}),
        ),
    ]
    for record in chain(*FIRST, *CANARY, (15, "RolledBack", "v2", V1)):
        moved = record.model_copy(update={"model": record.model.model_copy(update={"namespace": name})})
        created.append(
            ("modelauditrecords", manifest("ModelAuditRecord", record_name("score", record.seq), document_of(moved)))
        )
    for plural, body in created:
        answer = api_server.request("POST", f"{BASE}/namespaces/{name}/{plural}", body)
        assert answer.accepted, answer.message
    revision = {
        "metadata": {"name": "score-v1", "labels": {"modelward.dev/kept": "Version"}},
        "revision": 1,
        "data": {"spec": kept, "digest": DATA},
    }
    answer = api_server.request("POST", f"/apis/apps/v1/namespaces/{name}/controllerrevisions", revision)
    assert answer.accepted, answer.message
    return name


def run(api_server: ApiServer, *arguments: str) -> Any:
    return CliRunner().invoke(app, [*arguments, "--kubeconfig", str(api_server.kubeconfig)])


def test_impact_reaches_versions_that_are_there_and_those_that_were_pruned(
    api_server: ApiServer, namespace: str
) -> None:
    result = run(api_server, "impact", "--dataset", DATA, "-n", namespace, "-o", "json")
    assert result.exit_code == 0, result.output
    found = {each["name"]: each for each in json.loads(result.stdout)["models"]}
    assert [version["version"] for version in found["score"]["versions"]] == ["v2", "v1"]
    assert found["score"]["affectedNow"] and found["limit"]["via"] == {"namespace": namespace, "name": "score"}


def test_impact_looks_in_all_namespaces_by_default(api_server: ApiServer, namespace: str) -> None:
    result = run(api_server, "impact", "--model", f"{namespace}/score")
    assert result.exit_code == 0, result.output
    assert f"{namespace}/limit" in result.stdout and "consumer loan-desk" in result.stdout


def test_report_makes_its_figures_from_the_records_of_the_cluster(api_server: ApiServer, namespace: str) -> None:
    result = run(api_server, "report", "-n", namespace, "--since", "5000w", "-o", "json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["figures"]["promoted"], found["figures"]["rolledBack"]) == (1, 1)
    assert found["figures"]["candidateToProduction"]["median"] == 3600
    assert [row["name"] for row in found["rows"]] == ["limit", "score"]
    assert found["unregistered"] == [] and found["notes"] == []


def test_report_covers_all_namespaces(api_server: ApiServer, namespace: str) -> None:
    result = run(api_server, "report", "-A")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("Portfolio of all namespaces on ")


@pytest.mark.parametrize(
    "command", [("impact", "--model", "x"), ("report",), ("discover",)], ids=lambda given: given[0]
)
def test_who_may_not_read_gets_a_sentence_and_no_traceback(
    api_server: ApiServer, namespace: str, command: tuple[str, ...]
) -> None:
    result = run(api_server, *command, "-n", namespace, "--context", "grace")
    assert result.exit_code == 1
    assert "forbidden" in result.output and "Ask who runs the cluster for that right." in result.output


def test_history_is_read_from_the_records_of_the_cluster(api_server: ApiServer, namespace: str) -> None:
    result = run(api_server, "history", "score", "-n", namespace, "--audit", "-o", "json")
    assert result.exit_code == 0, result.output
    steps = json.loads(result.stdout)
    assert [step["record"] for step in steps] == [6, 5, 4, 3, 2, 1]
    assert (steps[0]["action"], steps[0]["version"], steps[0]["weights"]) == ("RolledBack", "v2", {"v1": 100})
    assert run(api_server, "history", "score", "-n", namespace).stdout == "Nothing has happened yet.\n"
