"""Signed checkpoints: a link of a chain, signed by a key that is not in the cluster's etcd, kept outside of it.

Whoever can write the records could write a whole chain anew, hashes and all. Not one that fits a checkpoint that was signed before.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from modelward.api.status import format_time
from modelward.governance.chain import Head

_PURPOSE = "modelward.dev/audit-checkpoint/v1"
_SIGNED = ("namespace", "model", "seq", "hash", "time")


class KeyUnusable(ValueError):
    """No Ed25519 key; the message says what is needed."""


class CheckpointInvalid(ValueError):
    """Not a checkpoint, or its signature does not fit; the message says which."""


@dataclass(frozen=True)
class Checkpoint:
    """At this time, this was the newest record of this Model."""

    namespace: str
    model: str
    seq: int
    hash: str
    time: datetime

    @property
    def head(self) -> Head:
        return Head(self.seq, self.hash)

    def document(self) -> dict[str, Any]:
        """As plain JSON, not signed."""
        return {
            "namespace": self.namespace,
            "model": self.model,
            "seq": self.seq,
            "hash": self.hash,
            "time": format_time(self.time),
        }


def bytes_to_sign(checkpoint: Mapping[str, Any]) -> bytes:
    """RFC 8785 of what a checkpoint says and what it is for: a signature for one purpose is none for another."""
    return rfc8785.dumps({"purpose": _PURPOSE} | {key: checkpoint[key] for key in _SIGNED})


def sign(checkpoint: Checkpoint, private_key: bytes) -> dict[str, Any]:
    """The checkpoint as a document with `keyID` and `signature`. The key is PEM (PKCS #8) or the 32 bytes themselves.

    Raises:
        KeyUnusable: no Ed25519 key.
    """
    key = _private_key(private_key)
    document = checkpoint.document()
    signature = base64.b64encode(key.sign(bytes_to_sign(document))).decode("ascii")
    return {**document, "keyID": _key_id(key.public_key()), "signature": signature}


def verify(document: Mapping[str, Any], public_key: bytes) -> Checkpoint:
    """The checkpoint that a document holds. The key is PEM or the 32 bytes themselves.

    Raises:
        CheckpointInvalid: fields are missing, or the signature was not made with this key over these fields.
        KeyUnusable: no Ed25519 key.
    """
    key = _public_key(public_key)
    checkpoint = read(document)
    try:
        key.verify(base64.b64decode(str(document.get("signature", "")), validate=True), bytes_to_sign(document))
    except (InvalidSignature, binascii.Error) as error:
        other = f"; it was made with key {document.get('keyID')}, this is {_key_id(key)}"
        raise CheckpointInvalid(
            f"the signature of the checkpoint at record {checkpoint.seq} does not fit"
            f"{other if document.get('keyID') != _key_id(key) else ': the checkpoint was changed'}"
        ) from error
    return checkpoint


def read(document: Mapping[str, Any]) -> Checkpoint:
    """What a document says, whoever signed it.

    Raises:
        CheckpointInvalid: fields are missing or of the wrong type.
    """
    texts = [document.get(key) for key in ("namespace", "model", "hash", "time")]
    seq = document.get("seq")
    if not all(isinstance(text, str) for text in texts) or not isinstance(seq, int) or isinstance(seq, bool):
        raise CheckpointInvalid(f"this is no checkpoint: {', '.join(_SIGNED)} are needed")
    namespace, model, digest, written = (str(text) for text in texts)
    try:
        time = datetime.fromisoformat(written).astimezone(UTC)
    except ValueError as error:
        raise CheckpointInvalid(f"the checkpoint at record {seq} has no point in time: {written!r}") from error
    return Checkpoint(namespace, model, seq, digest, time)


def public_key_of(private_key: bytes) -> bytes:
    """The public key as PEM, to be given to whoever has to verify.

    Raises:
        KeyUnusable: no Ed25519 key.
    """
    return (
        _private_key(private_key)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def _private_key(data: bytes) -> Ed25519PrivateKey:
    needed = "an Ed25519 private key is needed, as PEM without a passphrase: openssl genpkey -algorithm ed25519"
    try:
        if len(data) == 32:
            return Ed25519PrivateKey.from_private_bytes(data)
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyUnusable(needed) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable(needed)
    return key


def _public_key(data: bytes) -> Ed25519PublicKey:
    needed = "an Ed25519 public key is needed, as PEM: openssl pkey -in PRIVATE -pubout"
    try:
        if len(data) == 32:
            return Ed25519PublicKey.from_public_bytes(data)
        key = serialization.load_pem_public_key(data)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyUnusable(needed) from error
    if not isinstance(key, Ed25519PublicKey):
        raise KeyUnusable(needed)
    return key


def _key_id(key: Ed25519PublicKey) -> str:
    """Tells keys apart after a rotation; proves nothing."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:16]
