"""The audit chain of one Model: each record carries the hash of the one before, so that no link can be changed, taken out or moved.

A *document* is the spec of one record as plain JSON: what was hashed is what is stored, and it is checked as it is stored. To read it
into classes first would be to check what they make of it.

The chain alone shows everything but its own end, and its writer could write all of it anew. Both are found against *heads* that are
known from elsewhere: signed checkpoints, and `status.audit` of the Model.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from math import isfinite
from typing import Any

import rfc8785

from modelward.api.model_audit_record import (
    AuditedApproval,
    AuditedGate,
    AuditedModel,
    AuditedPolicy,
    ModelAuditRecordSpec,
    record_name,
)
from modelward.api.status import WeightStatus

__all__ = [
    "Document", "Entry", "Fault", "FaultKind", "Head", "canonical", "differing_fields", "document_of", "hash_of", "head_of",
    "is_readable", "model_name", "record_name", "same_step", "seal", "verify",
]  # fmt: skip

Document = Mapping[str, Any]

LARGEST_DETAILS = 512 * 1024
_UNSEALED = "sha256:" + "0" * 64
_LARGEST_EXACT = 2**53 - 1
_DEEPEST = 60


@dataclass(frozen=True)
class Head:
    """A link of a chain: all before it is fixed by its hash."""

    seq: int
    hash: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What a record says, before it has a place in the chain."""

    actor: str
    action: str
    model: AuditedModel
    version: str = ""
    version_digest: str = ""
    stage: str = ""
    message: str = ""
    weights: tuple[WeightStatus, ...] = ()
    mirrors: tuple[WeightStatus, ...] = ()
    policy: AuditedPolicy | None = None
    gates: tuple[AuditedGate, ...] = ()
    evidence_digest: str = ""
    approvals: tuple[AuditedApproval, ...] = ()
    git_revision: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


class FaultKind(StrEnum):
    EDITED = "Edited"
    MISSING = "Missing"
    DUPLICATE = "Duplicate"
    REORDERED = "Reordered"
    FORKED = "Forked"
    TRUNCATED = "Truncated"
    FOREIGN = "Foreign"
    UNREADABLE = "Unreadable"
    CHECKPOINT = "Checkpoint"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a chain, and at which number. `field` is set where it can be told which one was changed."""

    seq: int
    kind: FaultKind
    sentence: str
    field: str = ""


def seal(head: Head | None, entry: Entry, time: datetime) -> ModelAuditRecordSpec:
    """The record that continues the chain: what it says, its place, and the hash over both."""
    values: dict[str, Any] = {each.name: getattr(entry, each.name) for each in fields(entry)}
    unsealed = ModelAuditRecordSpec.model_validate(
        values
        | {
            "details": _bounded(_storable(dict(entry.details))),
            "seq": head.seq + 1 if head else 1,
            "prev_hash": head.hash if head else "",
            "hash": _UNSEALED,
            "time": time,
        }
    )
    document = _storable(document_of(unsealed))
    # Read back, so that it equals what anybody will read: milliseconds, no fields that say nothing.
    return ModelAuditRecordSpec.model_validate(document | {"hash": hash_of(document)})


def document_of(spec: ModelAuditRecordSpec) -> dict[str, Any]:
    """What is stored of a record. What says nothing is left out, so that fields of later releases do not change what was hashed."""
    return spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def canonical(document: Document) -> bytes:
    """The bytes that are hashed: RFC 8785 of all fields but `hash`.

    Raises:
        ValueError: the document is nothing that JSON can express.
    """
    try:
        return rfc8785.dumps(_as_read({key: value for key, value in document.items() if key != "hash"}))
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def hash_of(document: Document) -> str:
    """The hash that a document ought to have.

    Raises:
        ValueError: the document is nothing that JSON can express.
    """
    return "sha256:" + hashlib.sha256(canonical(document)).hexdigest()


def head_of(spec: ModelAuditRecordSpec) -> Head:
    return Head(spec.seq, spec.hash)


def same_step(record: ModelAuditRecordSpec, entry: Entry) -> bool:
    """Does the record announce this very step, by the same people and rules? Then an operator that was killed before doing it
    goes on with the record."""
    return (
        record.action == entry.action
        and record.actor == entry.actor
        and record.policy == entry.policy
        and {approval.uid for approval in record.approvals} == {approval.uid for approval in entry.approvals}
        and record.model.uid == entry.model.uid
        and record.version == entry.version
        and record.version_digest == entry.version_digest
        and record.stage == entry.stage
        and record.weights == entry.weights
        and record.mirrors == entry.mirrors
    )


def verify(documents: Iterable[Document], heads: Sequence[Head] = (), after: Head | None = None) -> tuple[Fault, ...]:
    """Everything that is wrong with one Model's records, in the order in which they are stored; nothing when the chain is whole.

    `heads` are links known from elsewhere. `after` is the link that the first record continues, when not from the beginning.
    """
    listed = tuple(documents)
    readable = [document for document in listed if is_readable(document)]
    faults = [
        Fault(
            0,
            FaultKind.UNREADABLE,
            f"entry {place} is no audit record: seq, prevHash or hash is missing or of the wrong type",
        )
        for place, document in enumerate(listed, 1)
        if not is_readable(document)
    ]
    faults += _identity_faults(readable)
    faults += _order_faults(readable)
    faults += _repetition_faults(readable)
    chain = sorted(
        {document["seq"]: document for document in reversed(readable)}.values(), key=lambda each: each["seq"]
    )
    faults += _link_faults(chain, after)
    faults += _head_faults(chain, heads, after)
    return tuple(sorted(dict.fromkeys(faults), key=lambda fault: fault.seq))


# Details of sealing: what survives the way through an API server.


def _storable(value: Any, depth: int = 0) -> Any:
    """Only what JSON and an API server give back as it was: finite numbers, whole Unicode, no depth without an end."""
    if depth > _DEEPEST:
        return "…"
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        entries = ((str(key), each) for key, each in value.items() if not _is_beyond(each))
        return {_storable(key): _storable(each, depth + 1) for key, each in entries}
    if isinstance(value, list | tuple):
        return [_storable(each, depth + 1) for each in value if not _is_beyond(each)]
    if isinstance(value, int) and abs(value) > _LARGEST_EXACT:
        return str(value)
    return value


def _is_beyond(value: Any) -> bool:
    return isinstance(value, float) and not isfinite(value)


def _bounded(details: dict[str, Any]) -> dict[str, Any]:
    """An object that an API server takes: of what is too large, the digest is kept in its place, the largest first."""
    sizes = {key: rfc8785.dumps(value) for key, value in details.items()}
    kept = dict(details)
    for key in sorted(sizes, key=lambda each: len(sizes[each]), reverse=True):
        if len(rfc8785.dumps(kept)) <= LARGEST_DETAILS:
            break
        digest = "sha256:" + hashlib.sha256(sizes[key]).hexdigest()
        kept[key] = {"leftOut": f"too large for a record: {len(sizes[key])} bytes", "digest": digest}
    return kept


def _as_read(value: Any) -> Any:
    """An API server writes 1e17 as 100000000000000000, which Python reads as a whole number that JSON cannot hold exactly."""
    if isinstance(value, Mapping):
        return {key: _as_read(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_as_read(each) for each in value]
    if isinstance(value, int) and abs(value) > _LARGEST_EXACT:
        try:
            return float(value)
        except OverflowError as error:
            raise ValueError("a number is too large for JSON") from error
    return value


# Details of checking: one function for each way in which a chain can be wrong.


def is_readable(document: Document) -> bool:
    """Has it what places it in a chain?"""
    types = {"seq": int, "prevHash": str, "hash": str}
    return (
        isinstance(document, Mapping)
        and all(isinstance(document.get(key), kind) for key, kind in types.items())
        and not isinstance(document["seq"], bool)
    )


def _identity_faults(documents: Sequence[Document]) -> Iterator[Fault]:
    """Every record names the same Model. Its uid may change: a Model that is deleted and made anew goes on with the chain."""
    counted = Counter(model_name(document) for document in documents).most_common(1)
    for document in documents:
        own, usual = model_name(document), counted[0][0]
        if own != usual:
            yield Fault(
                document["seq"],
                FaultKind.FOREIGN,
                f"record {document['seq']} is about Model {own}, the others are about {usual}",
                "model",
            )


def model_name(document: Document) -> str:
    """The Model that a record says it is about."""
    model = document.get("model")
    return f"{model.get('namespace')}/{model.get('name')}" if isinstance(model, Mapping) else "none"


def _order_faults(documents: Sequence[Document]) -> Iterator[Fault]:
    for before, document in pairwise(documents):
        if document["seq"] < before["seq"]:
            yield Fault(
                document["seq"],
                FaultKind.REORDERED,
                f"record {document['seq']} stands after record {before['seq']}: records were moved",
            )


def _repetition_faults(documents: Sequence[Document]) -> Iterator[Fault]:
    first: dict[int, Document] = {}
    for document in documents:
        seq = document["seq"]
        if seq not in first:
            first[seq] = document
            continue
        earlier = first[seq]
        if dict(earlier) == dict(document):
            yield Fault(seq, FaultKind.DUPLICATE, f"record {seq} is there twice, with the same content")
            continue
        different = differing_fields(earlier, document)
        yield Fault(
            seq,
            FaultKind.FORKED,
            f"there are two records {seq} that differ in {', '.join(different)}: {_which_is_true(earlier, document)}",
            different[0],
        )


def differing_fields(one: Document, other: Document) -> tuple[str, ...]:
    """Paths at which two documents differ, such as ``gates[0].figure``."""
    return tuple(_differences(one, other, ""))


def _differences(one: Any, other: Any, path: str) -> Iterator[str]:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted({*one, *other}):
            yield from _differences(one.get(key), other.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from _differences(left, right, f"{path}[{index}]")
    elif one != other or isinstance(one, bool) != isinstance(other, bool):
        yield path


def _which_is_true(one: Document, other: Document) -> str:
    fits = [_fits(one), _fits(other)]
    if all(fits):
        return "both are whole in themselves, so the chain was written twice from here"
    if not any(fits):
        return "the hash fits neither of them"
    return f"the hash fits the {'first' if fits[0] else 'second'} of them, the other was changed"


def _fits(document: Document) -> bool:
    try:
        return bool(hash_of(document) == document["hash"])
    except ValueError:
        return False


def _link_faults(chain: Sequence[Document], after: Head | None) -> Iterator[Fault]:
    """Does each record have the hash of its content, its place, and the hash of the one before?"""
    expected = after.seq + 1 if after else 1
    if chain and chain[0]["seq"] > expected:
        yield Fault(
            expected,
            FaultKind.TRUNCATED,
            f"the chain begins with record {chain[0]['seq']}: {_numbers(expected, chain[0]['seq'] - 1)} missing",
        )
    elif chain and chain[0]["seq"] < expected:
        yield Fault(
            chain[0]["seq"], FaultKind.DUPLICATE, f"record {chain[0]['seq']} comes before the beginning at {expected}"
        )
    befores: list[Document | None] = [None, *chain]
    followers: list[Document | None] = [*chain[1:], None]
    for before, document, follower in zip(befores, chain, followers, strict=False):
        link = _link_before(document, before, after)
        yield from _content_faults(document, link, before, follower)
        if before is not None and document["seq"] > before["seq"] + 1:
            yield Fault(
                before["seq"] + 1,
                FaultKind.MISSING,
                f"{_numbers(before['seq'] + 1, document['seq'] - 1)} missing: after record {before['seq']} comes {document['seq']}",
            )


def _numbers(first: int, last: int) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"


def _link_before(document: Document, before: Document | None, after: Head | None) -> str | None:
    """What prevHash has to be; None where the record before is not there to tell."""
    seq: int = document["seq"]
    if before is not None and before["seq"] == seq - 1:
        return str(before["hash"])
    if after is not None and after.seq == seq - 1:
        return after.hash
    return "" if seq == 1 else None


def _content_faults(
    document: Document, link: str | None, before: Document | None, follower: Document | None
) -> Iterator[Fault]:
    seq: int = document["seq"]
    try:
        actual = hash_of(document)
    except ValueError as error:
        yield Fault(seq, FaultKind.UNREADABLE, f"record {seq} cannot be hashed: {error}")
        return
    promised = follower["prevHash"] if follower is not None and follower["seq"] == seq + 1 else None
    if actual != document["hash"]:
        changed = _changed_field(document, actual, promised, link, before)
        where = (
            f"its field {changed} was changed" if changed else "something in it was changed; what, another copy tells"
        )
        yield Fault(
            seq,
            FaultKind.EDITED,
            f"record {seq} has the hash {document['hash']}, its content gives {actual}: {where}",
            changed,
        )
    elif link is not None and document["prevHash"] != link:
        yield Fault(
            seq,
            FaultKind.FORKED,
            f"record {seq} continues {document['prevHash'] or 'nothing'}, but the record before is {link or 'none'}: one of the two was"
            " written anew",
            "prevHash",
        )


def _changed_field(
    document: Document, actual: str, promised: str | None, link: str | None, before: Document | None
) -> str:
    """The field whose value can be told from elsewhere, and that restores the hash when it is put back."""
    if promised == actual:
        return "hash"
    known: dict[str, Any] = {}
    if link is not None:
        known["prevHash"] = link
    if before is not None:
        known |= {"seq": before["seq"] + 1}
        known |= {key: before[key] for key in ("model", "policy", "versionDigest", "version", "stage") if key in before}
    for name, value in known.items():
        if document.get(name) != value and _fits({**document, name: value}):
            return name
    return ""


def _head_faults(chain: Sequence[Document], heads: Sequence[Head], after: Head | None) -> Iterator[Fault]:
    hashes: dict[int, str] = {document["seq"]: document["hash"] for document in chain}
    newest = max(hashes, default=after.seq if after else 0)
    first = min(hashes, default=newest + 1)
    for head in sorted(set(heads), key=lambda each: (each.seq, each.hash)):
        if head.seq > newest:
            yield Fault(
                newest + 1,
                FaultKind.TRUNCATED,
                f"the chain ends with record {newest}, but record {head.seq} is known from elsewhere:"
                f" {_numbers(newest + 1, head.seq)} missing",
            )
        elif head.seq >= first and head.seq in hashes and hashes[head.seq] != head.hash:
            yield Fault(
                head.seq,
                FaultKind.FORKED,
                f"record {head.seq} is {hashes[head.seq]}, but is known from elsewhere as {head.hash}: the chain was written anew",
                "hash",
            )
