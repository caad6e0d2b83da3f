"""Audit records on a real API server: what it keeps of them hashes as it was sealed, and nobody changes one; and the commands that
read them from there."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from modelward.api.model_audit_record import record_name
from modelward.archive.directory import DirectoryExporter
from modelward.archive.exporter import Chain
from modelward.cli.main import app
from modelward.governance.chain import LARGEST_DETAILS, Head, document_of, hash_of, seal
from tests.api.conftest import Answer, ApiServer
from tests.unit.governance.chains import MODEL, START, Documents, documents_of, entry
from tests.unit.governance.story import story

NUMBERS = [0.1, 1.0, 1e17, 1.2345678901234567e18, 9e20, 1e21, 1e-7, 5e-324, -0.0, 2**53 - 1, 0.30000000000000004]


def _path(namespace: str, name: str = "") -> str:
    return f"/apis/modelward.dev/v1alpha1/namespaces/{namespace}/modelauditrecords" + (f"/{name}" if name else "")


def _object(document: dict[str, Any], name: str = "") -> dict[str, Any]:
    return {
        "apiVersion": "modelward.dev/v1alpha1",
        "kind": "ModelAuditRecord",
        "metadata": {"name": name or record_name(document["model"]["name"], document["seq"])},
        "spec": document,
    }


def _create(server: ApiServer, namespace: str, document: dict[str, Any], name: str = "") -> Answer:
    return server.request("POST", _path(namespace) + "?fieldValidation=Strict", _object(document, name))


def _story_in(namespace: str) -> Documents:
    """The story as it would be told in a namespace of its own."""
    head: Head | None = None
    told: Documents = []
    for number, document in enumerate(story()):
        values = {key: value for key, value in document.items() if key not in ("seq", "prevHash", "hash", "time")}
        model = MODEL.model_copy(update={"namespace": namespace})
        names = {"versionDigest": "version_digest", "gitRevision": "git_revision"}
        each = entry(**{names.get(key, key): value for key, value in values.items()} | {"model": model})
        record = seal(head, each, START.replace(hour=START.hour + number))
        head = Head(record.seq, record.hash)
        told.append(document_of(record))
    return told


@pytest.fixture
def namespace(api_server: ApiServer) -> str:
    return api_server.namespace()


@pytest.fixture
def told(api_server: ApiServer, namespace: str) -> Documents:
    """The story, as records of the cluster."""
    documents = _story_in(namespace)
    for document in documents:
        answer = _create(api_server, namespace, document)
        assert answer.accepted, answer.message
    return documents


def _run(server: ApiServer, *arguments: str | Path):
    return CliRunner().invoke(app, ["audit", *map(str, arguments), "--kubeconfig", str(server.kubeconfig)])


def test_what_the_server_keeps_hashes_as_it_was_sealed(api_server: ApiServer, namespace: str) -> None:
    details = {
        "numbers": NUMBERS,
        "nothing": None,
        "texts": ["é", "\u2028", "😀", "<&>", ""],
        "empty": {},
        "list": [None, {}],
    }
    (document,) = documents_of([entry(details=details, message="Ωmega <b>&</b>")])
    created = _create(api_server, namespace, document)
    assert created.accepted, created.message
    stored = api_server.request("GET", _path(namespace, "credit-risk-00000001")).body["spec"]
    assert hash_of(stored) == document["hash"] == stored["hash"]


def test_a_record_with_as_many_details_as_it_may_have_is_taken(api_server: ApiServer, namespace: str) -> None:
    content = {"policy": {"x": "é" * 100_000}, "version": {"y": "z" * (LARGEST_DETAILS - 300_000)}}
    (document,) = documents_of([entry(details=content)])
    assert document["details"] == content
    assert _create(api_server, namespace, document).accepted


def test_a_number_is_given_once(api_server: ApiServer, namespace: str) -> None:
    (document,) = documents_of([entry()])
    (other,) = documents_of([entry(message="another operator")])
    assert _create(api_server, namespace, document).accepted
    assert _create(api_server, namespace, other).code == 409


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param({"message": "another"}, "an audit record is immutable", id="a field"),
        pytest.param({"details": {"forged": True}}, "an audit record is immutable", id="the details"),
        pytest.param({"weights": []}, "an audit record is immutable", id="the weights"),
    ],
)
def test_a_record_cannot_be_changed_even_by_an_administrator(
    api_server: ApiServer, namespace: str, told: Documents, change: dict[str, Any], says: str
) -> None:
    path = _path(namespace, "credit-risk-00000003")
    answer = api_server.request("PATCH", path, {"spec": change}, content_type="application/merge-patch+json")
    assert answer.code == 422
    assert says in answer.message


@pytest.mark.parametrize(
    ("change", "name", "says"),
    [
        pytest.param({}, "credit-risk-1", "is not <model>-<seq>", id="a name that is not its place"),
        pytest.param({"seq": 2}, "credit-risk-00000002", "prevHash and seq do not fit", id="no predecessor"),
        pytest.param({"hash": "md5:1"}, "", "spec.hash", id="no hash"),
        pytest.param({"seq": 0}, "credit-risk-00000000", "spec.seq", id="no number"),
    ],
)
def test_what_is_no_link_of_a_chain_is_refused(
    api_server: ApiServer, namespace: str, change: dict[str, Any], name: str, says: str
) -> None:
    (document,) = documents_of([entry()])
    answer = _create(api_server, namespace, {**document, **change}, name)
    assert answer.code == 422
    assert says in answer.message


def test_kubectl_lists_the_steps(api_server: ApiServer, namespace: str, told: Documents) -> None:
    lines = [line.split() for line in api_server.kubectl("get", "mar", "-n", namespace).splitlines()]
    assert lines[0] == ["NAME", "MODEL", "SEQ", "ACTION", "VERSION", "ACTOR", "AGE"]
    assert lines[3][:6] == ["credit-risk-00000003", "credit-risk", "3", "WeightChanged", "v8", "modelward"]


def _tell_head(server: ApiServer, namespace: str, head: dict[str, Any]) -> None:
    models = f"/apis/modelward.dev/v1alpha1/namespaces/{namespace}/models"
    model = {
        "apiVersion": "modelward.dev/v1alpha1",
        "kind": "Model",
        "metadata": {"name": "credit-risk"},
        "spec": {"modelID": "MDL-0042", "purpose": "Scores loan applications.", "riskTier": "High"},
    }
    assert server.request("POST", models, model).accepted
    status = {"status": {"audit": {"seq": head["seq"], "hash": head["hash"]}}}
    merge = "application/merge-patch+json"
    answer = server.request("PATCH", f"{models}/credit-risk/status", status, content_type=merge)
    assert answer.accepted, answer.message


def test_a_chain_in_the_cluster_is_verified_against_what_the_model_knows(
    api_server: ApiServer, namespace: str, told: Documents
) -> None:
    _tell_head(api_server, namespace, told[-1])
    whole = _run(api_server, "verify", "-n", namespace)
    assert whole.exit_code == 0, whole.output
    assert whole.stdout.startswith(f"{namespace}/credit-risk: whole: 7 records\n")
    assert api_server.request("DELETE", _path(namespace, "credit-risk-00000007")).accepted
    cut = _run(api_server, "verify", "-n", namespace)
    assert cut.exit_code == 1
    assert "the chain ends with record 6, but record 7 is known from elsewhere" in cut.stdout


async def test_an_export_continues_in_the_cluster_after_pruning(
    api_server: ApiServer, namespace: str, told: Documents, tmp_path: Path
) -> None:
    exporter = DirectoryExporter(tmp_path)
    await exporter.append(Chain(namespace, "credit-risk"), told[:5])
    await exporter.close()
    for seq in (1, 2, 3):
        assert api_server.request("DELETE", _path(namespace, f"credit-risk-0000000{seq}")).accepted
    alone = _run(api_server, "verify", "-n", namespace)
    assert alone.exit_code == 1
    assert "the chain begins with record 4: records 1 to 3 are missing" in alone.stdout
    assert "if it was, give the export with --from" in alone.stdout
    both = _run(api_server, "verify", "-n", namespace, "--from", tmp_path)
    assert both.exit_code == 0, both.output
    question = ("bundle", "-m", "credit-risk", "--at", "2026-11-01T14:30:00Z", "-o", "json")
    answer = _run(api_server, *question, "-n", namespace, "--from", tmp_path)
    assert answer.exit_code == 0, answer.output
    assert [(each["version"], each["percent"]) for each in json.loads(answer.stdout)["served"]] == [("v8", 100)]


def test_the_inventory_of_a_namespace(api_server: ApiServer, namespace: str, told: Documents) -> None:
    _tell_head(api_server, namespace, told[-1])
    result = _run(api_server, "export", "-n", namespace, "-o", "json")
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)
    assert (row["id"], row["tier"], row["status"]) == ("MDL-0042", "High", "Served elsewhere")
    table = _run(api_server, "export", "-n", namespace)
    assert table.stdout.splitlines()[1].startswith(f"MDL-0042,{namespace},credit-risk,")


def test_a_namespace_without_records_says_so(api_server: ApiServer, namespace: str) -> None:
    result = _run(api_server, "verify", "-n", namespace)
    assert result.exit_code == 1
    assert "there are no audit records there: choose --namespace, -A or --from" in result.stderr
