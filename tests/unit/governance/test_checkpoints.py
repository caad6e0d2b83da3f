"""Signed checkpoints: made with a private key, checked with the public one alone."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from modelward.governance import checkpoints
from modelward.governance.checkpoints import Checkpoint, CheckpointInvalid, KeyUnusable

PRIVATE = bytes(range(32))
PUBLIC = checkpoints.public_key_of(PRIVATE)
CHECKPOINT = Checkpoint("lending", "credit-risk", 7, "sha256:" + "a" * 64, datetime(2026, 11, 1, 9, tzinfo=UTC))


def test_a_signed_checkpoint_reads_as_it_was() -> None:
    assert checkpoints.verify(checkpoints.sign(CHECKPOINT, PRIVATE), PUBLIC) == CHECKPOINT


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("namespace", "other"),
        ("model", "fraud"),
        ("seq", 8),
        ("hash", "sha256:" + "b" * 64),
        ("time", "2026-11-02T09:00:00.000Z"),
        ("signature", "AAAA"),
        ("signature", "?"),
    ],
)
def test_a_changed_checkpoint_is_found(field: str, value: object) -> None:
    document = checkpoints.sign(CHECKPOINT, PRIVATE) | {field: value}
    with pytest.raises(CheckpointInvalid, match="does not fit: the checkpoint was changed"):
        checkpoints.verify(document, PUBLIC)


def test_another_key_is_told_from_a_change() -> None:
    document = checkpoints.sign(CHECKPOINT, PRIVATE)
    with pytest.raises(CheckpointInvalid, match=f"it was made with key {document['keyID']}, this is "):
        checkpoints.verify(document, checkpoints.public_key_of(bytes(32)))


def test_what_is_no_checkpoint_is_said_to_be_none() -> None:
    with pytest.raises(CheckpointInvalid, match="this is no checkpoint"):
        checkpoints.verify({"seq": 1}, PUBLIC)


def test_keys_of_openssl_are_taken(tmp_path: Path) -> None:
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    document = checkpoints.sign(CHECKPOINT, private.read_bytes())
    assert checkpoints.verify(document, public.read_bytes()) == CHECKPOINT


@pytest.mark.parametrize("key", [b"", b"no key", PUBLIC], ids=["empty", "text", "a public key"])
def test_a_private_key_that_cannot_be_used_is_refused_with_a_remedy(key: bytes) -> None:
    with pytest.raises(KeyUnusable, match="openssl genpkey -algorithm ed25519"):
        checkpoints.sign(CHECKPOINT, key)


def test_a_public_key_of_another_kind_is_refused_with_a_remedy() -> None:
    key = rsa.generate_private_key(65537, 2048).public_key()
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(KeyUnusable, match="openssl pkey -in PRIVATE -pubout"):
        checkpoints.verify(checkpoints.sign(CHECKPOINT, PRIVATE), pem)


def test_a_signature_for_another_purpose_is_none() -> None:
    document = CHECKPOINT.document()
    plain = ed25519.Ed25519PrivateKey.from_private_bytes(PRIVATE).sign(repr(document).encode())
    with pytest.raises(CheckpointInvalid):
        checkpoints.verify({**document, "signature": plain.hex()}, PUBLIC)
