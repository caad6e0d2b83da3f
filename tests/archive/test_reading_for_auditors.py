"""`modelward audit` on storages that are no directory: the operator's archive.yaml says where they are."""

import asyncio
import secrets
from pathlib import Path

from typer.testing import CliRunner

from modelward.archive.exporter import Chain, Exporter
from modelward.cli.main import app
from modelward.governance import checkpoints
from modelward.governance.checkpoints import Checkpoint
from tests.archive.test_storages import opened, postgres_settings, s3_settings
from tests.unit.governance.chains import START, head_at
from tests.unit.governance.story import story

PRIVATE = bytes(range(32))
CHAIN = Chain("lending", "credit-risk")


async def _filled(exporter: Exporter) -> None:
    documents = story()
    head = head_at(documents, 7)
    await exporter.append(CHAIN, documents)
    checkpoint = Checkpoint(CHAIN.namespace, CHAIN.model, head.seq, head.hash, START)
    await exporter.anchor(CHAIN, checkpoints.sign(checkpoint, PRIVATE))
    await exporter.close()


def _verified(directory: Path) -> str:
    key = directory / "audit.pem"
    key.write_bytes(checkpoints.public_key_of(PRIVATE))
    result = CliRunner().invoke(
        app, ["audit", "verify", "--from", str(directory / "audit.yaml"), "--public-key", str(key)]
    )
    assert result.exit_code == 0, result.output
    return result.stdout


async def test_a_chain_in_object_storage_is_verified(object_storage, tmp_path: Path) -> None:
    bucket = f"audit-{secrets.token_hex(4)}"
    object_storage.bucket(bucket)
    await _filled(opened(tmp_path, "s3", await s3_settings(object_storage, tmp_path, bucket)))
    # In a thread, because the command has an event loop of its own.
    assert (
        await asyncio.to_thread(_verified, tmp_path) == "lending/credit-risk: whole: 7 records, signed up to record 7\n"
    )


async def test_a_chain_in_postgres_is_verified(postgres, tmp_path: Path) -> None:
    database = f"audit_{secrets.token_hex(4)}"
    await postgres.database(database)
    await _filled(opened(tmp_path, "postgres", await postgres_settings(postgres, tmp_path, database)))
    # In a thread, because the command has an event loop of its own.
    assert (
        await asyncio.to_thread(_verified, tmp_path) == "lending/credit-risk: whole: 7 records, signed up to record 7\n"
    )


def test_a_storage_that_does_not_answer_is_said_to_be_silent(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("x")
    settings = "postgres: {host: 127.0.0.1, port: 1, database: a, user: b, tls: false, timeout: 1s, passwordFile: %s}"
    (tmp_path / "audit.yaml").write_text(settings % (tmp_path / "password"))
    result = CliRunner().invoke(app, ["audit", "verify", "--from", str(tmp_path / "audit.yaml")])
    assert result.exit_code == 1
    assert "cannot be used" in result.stderr


def test_a_file_that_names_no_storage_is_refused(tmp_path: Path) -> None:
    (tmp_path / "audit.yaml").write_text("{}")
    result = CliRunner().invoke(app, ["audit", "verify", "--from", str(tmp_path / "audit.yaml")])
    assert result.exit_code == 1
    assert "name exactly one of directory, s3 and postgres" in result.stderr
