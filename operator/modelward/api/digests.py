"""Digests of what users wrote. Never of generated objects, so that an upgrade of the operator changes none of them."""

import hashlib
from typing import Any

import rfc8785
from pydantic import BaseModel

from modelward.api.model_version import ModelVersionSpec


def digest_of(value: Any) -> str:
    """SHA-256 over the RFC 8785 form of a JSON value, as ``sha256:<hex>``."""
    return "sha256:" + hashlib.sha256(rfc8785.dumps(value)).hexdigest()


def canonical_of(value: BaseModel, exclude: set[str] | None = None) -> dict[str, Any]:
    """What differs from the defaults: what digests are made of."""
    return value.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude=exclude)


def digest_of_model(value: BaseModel, exclude: set[str] | None = None) -> str:
    """Digest of what differs from the defaults: a field added by a later release leaves it as it was."""
    return digest_of(canonical_of(value, exclude))


NOT_OF_A_VERSION = {"deprecation"}
"""What may change of a version, and is no part of its digest."""


def version_digest(spec: ModelVersionSpec) -> str:
    """Digest of a version's content."""
    return digest_of_model(spec, exclude=NOT_OF_A_VERSION)
