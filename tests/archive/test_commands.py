"""The commands that people need beside a storage, and the chart that names one."""

import asyncio
import secrets
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from cluster import binaries
from cluster.processes import Failure, run
from modelward.api.model_audit_record import AuditedModel
from modelward.archive.configuration import open_archive
from modelward.archive.exporter import Exporter
from modelward.cli.main import app
from modelward.governance.chain import Entry, Head, document_of, head_of, seal
from tests.archive.documents import CHAIN, chained, stored
from tests.archive.test_storages import now, opened, settings_of

CHART = Path(__file__).parents[2] / "charts" / "modelward"


async def modelward(*arguments: object) -> tuple[int, str]:
    """In a thread: a command has an event loop of its own."""
    result = await asyncio.to_thread(CliRunner().invoke, app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def sealed(count: int) -> list[dict[str, object]]:
    head: Head | None = None
    documents = []
    for number in range(count):
        about = AuditedModel(namespace=CHAIN.namespace, name=CHAIN.model, uid="u")
        entry = Entry(actor="modelward", action="Promoted", model=about, details={"share": 0.1, "number": number})
        spec = seal(head, entry, datetime.now(UTC))
        head = head_of(spec)
        documents.append(document_of(spec))
    return documents


@pytest.mark.parametrize("kind", ["s3", "postgres"])
async def test_what_is_copied_out_of_a_storage_is_verified_like_any_directory(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    exporter: Exporter = opened(tmp_path, kind, await settings_of(kind, request, tmp_path))
    await exporter.append(CHAIN, sealed(5))
    await exporter.anchor(CHAIN, {"seq": 5})
    (tmp_path / "out").mkdir()
    for _ in range(2):
        code, said = await modelward("audit", "copy", tmp_path / "audit.yaml", tmp_path / "out")
        assert (code, said) == (0, "lending/credit-risk: 5 records\n")
    assert len((tmp_path / "out/lending/credit-risk/checkpoints.jsonl").read_text().splitlines()) == 1
    (tmp_path / "out/lending/credit-risk/checkpoints.jsonl").unlink()
    code, said = await modelward("audit", "verify", "--from", tmp_path / "out")
    assert code == 0, said
    records = tmp_path / "out/lending/credit-risk/records.jsonl"
    records.write_text(records.read_text().replace('"number":3', '"number":4'))
    code, said = await modelward("audit", "verify", "--from", tmp_path / "out")
    assert code == 1 and "record 4" in said
    await exporter.close()


async def test_a_copy_onto_other_records_is_refused(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    exporter = opened(tmp_path, "postgres", await settings_of("postgres", request, tmp_path))
    await exporter.append(CHAIN, chained(2, story="another"))
    (tmp_path / "from").mkdir()
    source = opened(tmp_path / "from", "directory", {"path": str(tmp_path / "from")})
    await source.append(CHAIN, chained(3))
    code, said = await modelward("audit", "copy", tmp_path / "from", tmp_path / "audit.yaml")
    assert code == 1 and "one of the two was changed" in said
    assert await stored(exporter) == chained(2, story="another")
    for one in (exporter, source):
        await one.close()


S3 = {"endpoint": "https://s3.example", "bucket": "audit", "prefix": "a/", "lock": {"mode": "COMPLIANCE", "days": 30}, "secretName": "s"}  # fmt: skip
POSTGRES = {"host": "postgres", "database": "audit", "user": "modelward", "secretName": "s", "tls": True}


def rendered(directory: Path, audit: dict[str, object], **more: object) -> list[dict[str, object]]:
    values = directory / f"{secrets.token_hex(4)}.yaml"
    values.write_text(yaml.safe_dump({"audit": audit, **more}))
    helm = [binaries.path("helm"), "template", "modelward", CHART, "--kube-version", "1.34.0", "--values", values]
    return [document for document in yaml.safe_load_all(run(helm)) if document]


@pytest.mark.parametrize(
    "export",
    [{"directory": {"enabled": True}}, {"s3": S3}, {"postgres": POSTGRES}],
    ids=["directory", "s3", "postgres"],
)
async def test_the_operator_takes_what_the_chart_writes_and_has_the_files_that_it_names(
    export: dict[str, object], tmp_path: Path
) -> None:
    documents = rendered(tmp_path, {"export": export, "signing": {"secretName": "signing"}})
    (config,) = (one["data"] for one in documents if one["kind"] == "ConfigMap" and "audit.yaml" in one["data"])
    file = tmp_path / "written.yaml"
    file.write_text(config["audit.yaml"])
    archive = open_archive(file, now)
    await archive.exporter.close()
    (pod,) = (one["spec"]["template"]["spec"] for one in documents if one["kind"] == "Deployment")
    (container,) = pod["containers"]
    assert "--audit-export=/etc/modelward/audit.yaml" in container["args"]
    mounted = [mount["mountPath"] for mount in container["volumeMounts"]]
    named = [
        text for text in yaml.safe_load(config["audit.yaml"])[next(iter(export))].values() if str(text).startswith("/")
    ]
    for path in [*named, str(archive.signing_key_file)]:
        assert any(Path(path).is_relative_to(mount) for mount in mounted), path


def test_by_default_the_chart_exports_nothing(tmp_path: Path) -> None:
    documents = rendered(tmp_path, {})
    assert "PersistentVolumeClaim" not in {one["kind"] for one in documents}
    assert "audit-export" not in yaml.safe_dump(documents)


@pytest.mark.parametrize(
    ("audit", "more", "sentence"),
    [
        pytest.param({"export": {"s3": S3, "postgres": POSTGRES}}, {}, "choose one storage", id="two storages"),
        pytest.param({"export": {"directory": {"enabled": True}}}, {"replicas": 2}, "ReadWriteMany", id="a volume of one pod"),
        pytest.param({"export": {"s3": {**S3, "lock": None}}}, {}, "lock", id="no lock"),
        pytest.param({"export": {"postgres": {"host": "h"}}}, {}, "secretName", id="half a database"),
        pytest.param({"keepInCluster": "30d"}, {}, "keepInCluster", id="days"),
    ],
)  # fmt: skip
def test_values_that_cannot_be_meant_are_refused(audit, more, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(Failure, match=sentence):
        rendered(tmp_path, audit, **more)
