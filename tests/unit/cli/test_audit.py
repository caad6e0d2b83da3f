"""`modelward audit` on an export: what it finds, what it prints, and a bundle that a third party verifies without modelward."""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from modelward.archive.directory import DirectoryExporter
from modelward.archive.exporter import Chain
from modelward.cli.main import app
from modelward.governance import checkpoints
from modelward.governance.checkpoints import Checkpoint
from tests.unit.governance.chains import START, Documents, head_at
from tests.unit.governance.story import ARTIFACT, HOUR, story

PRIVATE = bytes(range(32))
CHAIN = Chain("lending", "credit-risk")
PROMOTED = "2026-11-01T14:30:00Z"


def run(*arguments: str | Path):
    return CliRunner().invoke(app, ["audit", *map(str, arguments)], env={"COLUMNS": "300", "TERM": "dumb"})


def _checkpoint(documents: Documents, seq: int) -> dict[str, Any]:
    head = head_at(documents, seq)
    return checkpoints.sign(Checkpoint(CHAIN.namespace, CHAIN.model, head.seq, head.hash, START + seq * HOUR), PRIVATE)


@pytest.fixture
def documents() -> Documents:
    return story()


@pytest.fixture
async def exported(tmp_path: Path, documents: Documents) -> Path:
    """An export as the operator writes it, signed at records 4 and 7."""
    root = tmp_path / "audit"
    root.mkdir()
    exporter = DirectoryExporter(root)
    await exporter.append(CHAIN, documents)
    for seq in (4, 7):
        await exporter.anchor(CHAIN, _checkpoint(documents, seq))
    await exporter.close()
    return root


@pytest.fixture
def records(exported: Path) -> Path:
    return exported / "lending" / "credit-risk" / "records.jsonl"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "audit.pem"
    path.write_bytes(checkpoints.public_key_of(PRIVATE))
    return path


def test_a_whole_chain_is_said_to_be_whole(exported: Path, key: Path) -> None:
    result = run("verify", "--from", exported, "--public-key", key)
    assert result.exit_code == 0, result.output
    assert result.stdout == "lending/credit-risk: whole: 7 records, signed up to record 7\n"


def test_any_byte_that_is_changed_is_found(exported: Path, key: Path, records: Path) -> None:
    """Every 97th byte, one at a time, without an API server or the operator."""
    content = records.read_bytes()
    for place in range(0, len(content), 97):
        changed = bytearray(content)
        changed[place] ^= 0x01
        records.write_bytes(bytes(changed))
        result = run("verify", "--from", exported, "--public-key", key)
        assert result.exit_code == 1, f"byte {place}: {result.output}"
        assert "NOT WHOLE" in result.stdout
    records.write_bytes(content)
    assert run("verify", "--from", exported, "--public-key", key).exit_code == 0


def _edit_a_weight(lines: list[str]) -> list[str]:
    return [*lines[:2], lines[2].replace('"percent":10', '"percent":90'), *lines[3:]]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(_edit_a_weight, "record 3, Edited: record 3 has the hash", id="an edit"),
        pytest.param(lambda lines: lines[1:], "record 1, Truncated: the chain begins with record 2", id="the first"),
        pytest.param(lambda lines: [*lines[:3], *lines[4:]], "record 4, Missing: record 4 is missing", id="a deletion"),
        pytest.param(lambda lines: lines[:5], "record 6, Truncated: the chain ends with record 5", id="the end"),
        pytest.param(lambda lines: [], "records 1 to 7 are missing", id="everything"),
        pytest.param(lambda lines: [lines[1], lines[0], *lines[2:]], "record 1, Reordered", id="a move"),
        pytest.param(lambda lines: [*lines, lines[-1]], "record 7, Duplicate", id="a repetition"),
        pytest.param(
            lambda lines: [*lines[:2], "{", *lines[3:]], "line 3 of records.jsonl is no JSON object", id="damage"
        ),
    ],
)
def test_what_was_done_to_the_records_is_found_and_said(
    exported: Path, key: Path, records: Path, change: Any, says: str
) -> None:
    lines = records.read_text("utf-8").splitlines()
    records.write_text("".join(f"{line}\n" for line in change(lines)), "utf-8")
    result = run("verify", "--from", exported, "--public-key", key)
    assert result.exit_code == 1
    assert says in result.stdout


def test_a_line_without_its_end_is_found(exported: Path, records: Path) -> None:
    records.write_bytes(records.read_bytes().removesuffix(b"\n"))
    result = run("verify", "--from", exported)
    assert result.exit_code == 1
    assert "the last line of records.jsonl has no end" in result.stdout


def test_a_truncation_of_records_and_checkpoints_alike_is_found_by_a_checkpoint_kept_elsewhere(
    exported: Path, key: Path, records: Path, documents: Documents, tmp_path: Path
) -> None:
    for path, kept in ((records, 5), (records.with_name("checkpoints.jsonl"), 1)):
        path.write_text("".join(path.read_text("utf-8").splitlines(keepends=True)[:kept]), "utf-8")
    assert run("verify", "--from", exported, "--public-key", key).exit_code == 0
    mine = tmp_path / "mine.jsonl"
    mine.write_text(json.dumps(_checkpoint(documents, 7)) + "\n", "utf-8")
    result = run("verify", "--from", exported, "--public-key", key, "--checkpoints", mine)
    assert result.exit_code == 1
    assert "records 6 to 7 are missing" in result.stdout


def test_a_forged_checkpoint_is_found(exported: Path, key: Path, records: Path) -> None:
    path = records.with_name("checkpoints.jsonl")
    path.write_text(path.read_text("utf-8").replace('"seq":4', '"seq":5'), "utf-8")
    result = run("verify", "--from", exported, "--public-key", key)
    assert result.exit_code == 1
    assert "the signature of the checkpoint at record 5 does not fit: the checkpoint was changed" in result.stdout


def test_the_verdict_as_data(exported: Path, key: Path, records: Path) -> None:
    records.write_text(records.read_text("utf-8").replace('"percent":10,', '"percent":11,', 1), "utf-8")
    result = run("verify", "--from", exported, "--public-key", key, "-o", "json")
    assert result.exit_code == 1
    verdict = json.loads(result.stdout)
    (chain,) = verdict["chains"]
    assert (verdict["whole"], chain["model"], chain["records"]) == (False, "credit-risk", 7)
    assert chain["signedUpTo"]["seq"] == 7
    assert [(fault["seq"], fault["kind"]) for fault in chain["faults"]] == [(3, "Edited")]
    assert yaml.safe_load(run("verify", "--from", exported, "--public-key", key, "-o", "yaml").stdout) == verdict


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["verify", "--from", "nowhere"], "--from nowhere cannot be used: there is no", id="no directory"),
        pytest.param(
            ["verify", "--from", "{export}", "--model", "fraud"], "no audit records of Model fraud", id="no Model"
        ),
        pytest.param(["verify", "--from", "{export}", "--public-key", "none.pem"], "cannot be read", id="no key file"),
        pytest.param(
            ["verify", "--from", "{export}", "--public-key", "{records}"],
            "an Ed25519 public key is needed",
            id="no key",
        ),
        pytest.param(
            ["verify", "--from", "{export}", "--checkpoints", "{records}"], "is no checkpoint", id="no checkpoints"
        ),
        pytest.param(
            ["bundle", "-m", "credit-risk", "--at", PROMOTED, "--from", "{export}", "--out", "none/answer.zip"],
            "--out cannot be written",
            id="no place for the archive",
        ),
    ],
)
def test_what_cannot_be_done_is_said_with_a_remedy(
    exported: Path, records: Path, arguments: list[str], says: str
) -> None:
    result = run(*(argument.format(export=exported, records=records) for argument in arguments))
    assert result.exit_code == 1
    assert says in result.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param(["--at", "yesterday"], "'yesterday' is no point in time", id="no time"),
        pytest.param(
            ["--at", "2026-11-01T09:00:00"],
            "has no time zone: write it like 2026-11-01T09:00:00Z, or now",
            id="no time zone",
        ),
        pytest.param(
            ["--at", PROMOTED, "--out", "answer.rar"], "end the name in one of them", id="an archive of another kind"
        ),
    ],
)
def test_a_wrong_question_ends_with_2(exported: Path, options: list[str], says: str) -> None:
    result = run("bundle", "-m", "credit-risk", "--from", exported, *options)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())


def test_what_serves_now_is_told_without_writing_the_time(exported: Path) -> None:
    result = run("bundle", "-m", "credit-risk", "--at", "now", "--from", exported, "-o", "json")
    asked = datetime.fromisoformat(json.loads(result.stdout)["at"])
    assert timedelta(0) <= datetime.now(UTC) - asked < timedelta(minutes=1)


def _bundle(exported: Path, key: Path, out: Path) -> Path:
    """Make a bundle and unpack it as somebody else would."""
    result = run("bundle", "-m", "credit-risk", "--at", PROMOTED, "--from", exported, "--public-key", key, "--out", out)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("# What served: lending/credit-risk (MDL-0042) at 2026-11-01T14:30:00.000Z")
    if out.suffix == ".zip":
        with zipfile.ZipFile(out) as packed:
            packed.extractall(out.parent)
    else:
        with tarfile.open(out) as packed:
            packed.extractall(out.parent, filter="data")
    return out.parent / "audit-lending-credit-risk"


def _verify(folder: Path, key: Path) -> subprocess.CompletedProcess[str]:
    """By an isolated Python: no modelward, no cryptography."""
    command = [sys.executable, "-I", "-S", str(folder / "verify.py"), str(key)]
    return subprocess.run(command, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})


@pytest.mark.parametrize("name", ["answer.tar.gz", "answer.zip"])
def test_a_third_party_verifies_a_bundle_with_the_public_key_alone(
    exported: Path, key: Path, tmp_path: Path, name: str
) -> None:
    folder = _bundle(exported, key, tmp_path / name)
    verified = _verify(folder, key)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert verified.stdout.splitlines() == [
        "7 records, signed up to record 7",
        "whole: every record, hash, signature and statement checked fits",
    ]
    summed = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, text=True)
    assert summed.returncode == 0, summed.stdout
    report = json.loads((folder / "report.json").read_text("utf-8"))
    (served,) = report["served"]
    assert (served["version"], served["percent"], served["artifact"]["digest"]) == ("v8", 100, ARTIFACT)
    assert [each["approver"] for each in served["approvals"]] == ["grace@example.com", "ruth@example.com"]


def _replaced(name: str, old: str, new: str) -> Any:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")

    return change


def _resealed(folder: Path) -> None:
    """The last record is forged, and its sum with it."""
    import hashlib

    _replaced("records/00000007.json", "RolledBack", "Forged")(folder)
    digest = hashlib.sha256((folder / "records/00000007.json").read_bytes()).hexdigest()
    lines = (folder / "SHA256SUMS").read_text("utf-8").splitlines()[:-1]
    (folder / "SHA256SUMS").write_text("\n".join([*lines, f"{digest}  records/00000007.json"]) + "\n", "utf-8")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            _replaced("records/00000003.json", '"percent":10', '"percent":11'),
            "00000003.json is not what SHA256SUMS says",
        ),
        (lambda folder: (folder / "records/00000003.json").unlink(), "records/00000003.json is missing"),
        (_resealed, "the checkpoint at record 7 names"),
        (
            _replaced("checkpoints.jsonl", '"seq":7', '"seq":6'),
            "the signature of the checkpoint at record 6 does not fit",
        ),
        (_replaced("checkpoints.jsonl", '"signature":"', '"signature":"AAAA'), "does not fit this key"),
        (lambda folder: (folder / "checkpoints.jsonl").write_text(""), "no checkpoint is signed with this key"),
        (_replaced("report.json", '"percent": 100,', '"percent": 50,'), "report.json says that"),
        (_replaced("records/00000002.json", "{", "x"), "00000002.json is no record"),
    ],
    ids=["record", "deletion", "resealed", "checkpoint", "signature", "no checkpoint", "report", "damage"],
)
def test_the_verifier_of_a_bundle_finds_what_was_changed(
    exported: Path, key: Path, tmp_path: Path, change: Any, says: str
) -> None:
    folder = _bundle(exported, key, tmp_path / "answer.tar.gz")
    change(folder)
    verified = _verify(folder, key)
    assert verified.returncode == 1, verified.stdout + verified.stderr
    assert says in verified.stdout
    assert "NOT WHOLE" in verified.stdout


def test_the_verifier_refuses_the_key_of_somebody_else(exported: Path, key: Path, tmp_path: Path) -> None:
    folder = _bundle(exported, key, tmp_path / "answer.zip")
    key.write_bytes(checkpoints.public_key_of(bytes(32)))
    assert _verify(folder, key).returncode == 1


def test_the_steps_by_hand_work_as_written(exported: Path, key: Path, tmp_path: Path) -> None:
    """VERIFY.md's own words, with openssl."""
    import base64

    folder = _bundle(exported, key, tmp_path / "answer.zip")
    checkpoint = json.loads((folder / "checkpoints.jsonl").read_text("utf-8").splitlines()[-1])
    signed = {name: checkpoint[name] for name in ("hash", "model", "namespace", "seq", "time")}
    signed["purpose"] = "modelward.dev/audit-checkpoint/v1"
    (tmp_path / "message").write_text(json.dumps(signed, sort_keys=True, separators=(",", ":")), "utf-8")
    (tmp_path / "signature").write_bytes(base64.b64decode(checkpoint["signature"]))
    command = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        key,
        "-rawin",
        "-in",
        "message",
        "-sigfile",
        "signature",
    ]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_same_question_gives_the_same_bytes(exported: Path, key: Path, tmp_path: Path) -> None:
    for name in ("one.tar.gz", "two.tar.gz", "one.zip", "two.zip"):
        _bundle(exported, key, tmp_path / name)
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_a_bundle_of_a_broken_chain_is_written_and_says_so(exported: Path, records: Path, tmp_path: Path) -> None:
    records.write_text(records.read_text("utf-8").replace('"percent":10,', '"percent":11,', 1), "utf-8")
    out = tmp_path / "answer.zip"
    result = run("bundle", "-m", "credit-risk", "--at", PROMOTED, "--from", exported, "--out", out)
    assert result.exit_code == 1
    assert "* record 3, Edited" in result.stdout
    assert out.exists()


def test_the_report_as_data(exported: Path) -> None:
    result = run("bundle", "-m", "credit-risk", "--at", "2026-11-01T11:30:00Z", "--from", exported, "-o", "json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert [(each["version"], each["percent"]) for each in told["served"]] == [("v7", 90), ("v8", 10)]
    as_yaml = run("bundle", "-m", "credit-risk", "--at", "2026-11-01T11:30:00Z", "--from", exported, "-o", "yaml")
    assert yaml.safe_load(as_yaml.stdout) == told
