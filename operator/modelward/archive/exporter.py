"""What every durable storage of audit records offers, and what all of them refuse.

A document is the spec of one ModelAuditRecord as plain JSON, with its hash. A storage keeps it in its RFC 8785 form, byte
for byte, so that whoever reads it years later hashes the same bytes.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from modelward.governance.chain import Document, Head, canonical

__all__ = [
    "Chain",
    "ChainBroken",
    "Document",
    "Exporter",
    "StorageUnavailable",
    "continuation",
    "head_of",
    "stored_form",
]

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


class StorageUnavailable(Exception):
    """The storage did not confirm. The same call may pass later; the message is a sentence."""


class ChainBroken(Exception):
    """One chain is not what it should be; repeating the call does not help. The message is a sentence for a person."""


@dataclass(frozen=True, order=True)
class Chain:
    """One Model's records. Both names are safe as parts of a path or a key, or this raises ValueError."""

    namespace: str
    model: str

    def __post_init__(self) -> None:
        for name in (self.namespace, self.model):
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not the name of a namespace or of a Model")

    def __str__(self) -> str:
        return f"{self.namespace}/{self.model}"


class Exporter(Protocol):
    """Durable storage. Every call may raise StorageUnavailable; calls about one chain may raise ChainBroken."""

    async def append(self, chain: Chain, documents: Sequence[Document]) -> None:
        """Continue a chain by consecutive records; returns only when they would survive a loss of power.

        What is there already is not written again, so that a call may be repeated after any interruption.

        Raises:
            ChainBroken: when a record differs from the stored one of its number, or does not follow the newest stored one.
        """
        ...

    async def head(self, chain: Chain) -> Head | None:
        """The newest stored record, read from the storage; None when there is none."""
        ...

    def read(self, chain: Chain, first: int = 1, last: int | None = None) -> AsyncIterator[Document]:
        """The stored records numbered `first` to `last`, in order."""
        ...

    async def anchor(self, chain: Chain, checkpoint: Document) -> None:
        """Keep a signed checkpoint, durably; of two with the same `seq` the first is kept."""
        ...

    def checkpoints(self, chain: Chain) -> AsyncIterator[Document]:
        """The stored checkpoints."""
        ...

    async def chains(self) -> Sequence[Chain]:
        """Every chain that has records, in order."""
        ...

    async def close(self) -> None: ...


def stored_form(document: Document) -> bytes:
    """RFC 8785 of all of a document; wrapped for a moment, because on the outside the chain leaves `hash` out."""
    return canonical({"document": document}).removeprefix(b'{"document":').removesuffix(b"}")


def head_of(document: Document) -> Head:
    """
    Raises:
        ChainBroken: when the document has no number and hash, so that it is no record.
    """
    seq, digest = document.get("seq"), document.get("hash")
    if not isinstance(seq, int) or not isinstance(digest, str):
        raise ChainBroken("a stored record has no seq and hash: it was damaged or is none of the operator's")
    return Head(seq, digest)


def continuation(
    chain: Chain, documents: Sequence[Document], head: Head | None, stored: Mapping[int, str]
) -> Sequence[Document]:
    """Those of the documents that are to be written after `head`.

    `stored` has the hashes of the stored records that the documents overlap with.

    Raises:
        ChainBroken: a fork, or a gap.
    """
    new: list[Document] = []
    for document in documents:
        own = head_of(document)
        if head is None or own.seq > head.seq:
            _must_follow(chain, head, document)
            new.append(document)
            head = own
        elif stored.get(own.seq) != own.hash:
            raise ChainBroken(
                f"{chain}: record {own.seq} is {own.hash} in the cluster and {stored.get(own.seq, 'absent')} in the storage: "
                "one of the two was changed, or two operators wrote to this storage"
            )
    return new


def _must_follow(chain: Chain, head: Head | None, document: Document) -> None:
    expected, link = (head.seq + 1, head.hash) if head else (1, "")
    seq = document.get("seq")
    if seq != expected:
        newest = f"ends with record {head.seq}" if head else "is empty"
        raise ChainBroken(
            f"{chain}: the storage {newest} and record {seq} is next in the cluster: "
            "copy what is missing from the storage that has it"
        )
    if document.get("prevHash") != link:
        raise ChainBroken(
            f"{chain}: record {seq} names {document.get('prevHash') or 'nothing'} as its predecessor, "
            f"but the storage has {link or 'none'}"
        )
