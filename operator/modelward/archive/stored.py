"""Reads an export for whoever verifies it: everything that is there, and what is wrong with it, rather than stopping at the first fault.

The exporter's own reader is for an operator that goes on writing, and refuses a damaged file as a whole.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelward.archive.directory import CHECKPOINTS, RECORDS
from modelward.archive.exporter import Chain, ChainBroken, Document, Exporter, stored_form
from modelward.governance.chain import Fault, FaultKind


@dataclass(frozen=True)
class Stored:
    """What one place has of one chain."""

    chain: Chain
    documents: tuple[Document, ...] = ()
    checkpoints: tuple[Document, ...] = ()
    faults: tuple[Fault, ...] = ()


def read_export(root: Path) -> tuple[Stored, ...]:
    """Every chain below a directory of JSON lines.

    Raises:
        OSError: the directory cannot be read.
        ValueError: there is nothing of that form in it.
    """
    folders = sorted({path.parent for name in (RECORDS, CHECKPOINTS) for path in root.glob(f"*/*/{name}")})
    if not folders:
        raise ValueError(f"there is no <namespace>/<model>/{RECORDS} in {root}")
    return tuple(_chain(folder) for folder in folders)


async def read_storage(exporter: Exporter) -> tuple[Stored, ...]:
    """Every chain of a storage of another kind, through its exporter; a chain that it refuses is there up to that place.

    Raises:
        StorageUnavailable: the storage does not answer.
    """
    return tuple([await _stored(exporter, chain) for chain in await exporter.chains()])


def read_checkpoints(path: Path) -> tuple[Document, ...]:
    """The checkpoints of one file, such as a copy that was kept elsewhere.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line of it is no JSON object.
    """
    documents: list[Document] = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        document = _object(line)
        if document is None:
            raise ValueError(f"{path}: line {number} is no JSON object")
        documents.append(document)
    return tuple(documents)


async def _stored(exporter: Exporter, chain: Chain) -> Stored:
    documents: list[Document] = []
    checkpoints: list[Document] = []
    faults: list[Fault] = []
    try:
        async for document in exporter.read(chain):
            documents.append(document)
    except ChainBroken as error:
        faults.append(Fault(len(documents) + 1, FaultKind.UNREADABLE, str(error)))
    try:
        async for checkpoint in exporter.checkpoints(chain):
            checkpoints.append(checkpoint)
    except ChainBroken as error:
        faults.append(Fault(0, FaultKind.CHECKPOINT, str(error)))
    return Stored(chain, tuple(documents), tuple(checkpoints), tuple(faults))


def _chain(folder: Path) -> Stored:
    chain = Chain(folder.parent.name, folder.name)
    documents: list[Document] = []
    faults: list[Fault] = []
    for number, line in _lines(folder / RECORDS):
        document = _object(line)
        if document is None:
            faults.append(
                Fault(number, FaultKind.UNREADABLE, f"line {number} of {RECORDS} is no JSON object: it was damaged")
            )
            continue
        documents.append(document)
        if not _is_as_written(document, line):
            sentence = f"line {number} of {RECORDS} is not byte for byte what an operator writes: it was changed"
            faults.append(Fault(number, FaultKind.EDITED, sentence))
    if _is_torn(folder / RECORDS):
        sentence = (
            f"the last line of {RECORDS} has no end: it was cut off, or an operator was killed while it wrote it and has not"
            " exported since"
        )
        faults.append(Fault(len(documents) + 1, FaultKind.UNREADABLE, sentence))
    checkpoints: list[Document] = []
    for number, line in _lines(folder / CHECKPOINTS):
        document = _object(line)
        if document is None:
            faults.append(
                Fault(0, FaultKind.CHECKPOINT, f"line {number} of {CHECKPOINTS} is no JSON object: it was damaged")
            )
        else:
            checkpoints.append(document)
    return Stored(chain, tuple(documents), tuple(checkpoints), tuple(faults))


def _is_torn(path: Path) -> bool:
    return path.exists() and path.read_bytes().rpartition(b"\n")[2] != b""


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Whole lines, numbered from 1."""
    if path.exists():
        yield from enumerate(path.read_bytes().split(b"\n")[:-1], 1)


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_as_written(document: Document, line: bytes) -> bool:
    try:
        return stored_form(document) == line
    except ValueError:
        return False
