"""A directory of JSON lines: `<namespace>/<model>/records.jsonl`, and `checkpoints.jsonl` beside it.

A line is confirmed when it ends with a newline and the file, and at first its folders, are synced. A process that is killed
while it writes leaves a line without its end, which nobody was told of: it is cut off, and the record, which the cluster
still has, is written again. Anything else that does not read as a record was changed by somebody and is reported.
"""

import asyncio
import fcntl
import itertools
import json
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, cast

from modelward.archive.exporter import (
    Chain,
    ChainBroken,
    Document,
    StorageUnavailable,
    continuation,
    head_of,
    stored_form,
)
from modelward.governance.chain import Head

logger = logging.getLogger(__name__)

RECORDS = "records.jsonl"
CHECKPOINTS = "checkpoints.jsonl"
_BLOCK = 64 * 1024
_LINES_AT_ONCE = 500
_Result = TypeVar("_Result")


class DirectoryExporter:
    def __init__(self, root: Path) -> None:
        self._root = root
        # A thread of its own: a disk that hangs must not take the threads that resolve names, or the event loop.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="audit-directory")

    async def append(self, chain: Chain, documents: Sequence[Document]) -> None:
        await self._run(lambda: self._append(chain, documents))

    async def head(self, chain: Chain) -> Head | None:
        return await self._run(lambda: self._head(chain))

    async def read(self, chain: Chain, first: int = 1, last: int | None = None) -> AsyncIterator[Document]:
        lines = _documents(self._file(chain, RECORDS))
        while documents := await self._run(lambda: _some(lines)):
            for document in documents:
                seq = head_of(document).seq
                if last is not None and seq > last:
                    return
                if seq >= first:
                    yield document

    async def anchor(self, chain: Chain, checkpoint: Document) -> None:
        await self._run(lambda: self._anchor(chain, checkpoint))

    async def checkpoints(self, chain: Chain) -> AsyncIterator[Document]:
        lines = _documents(self._file(chain, CHECKPOINTS))
        while documents := await self._run(lambda: _some(lines)):
            for document in documents:
                yield document

    async def chains(self) -> Sequence[Chain]:
        return await self._run(self._chains)

    async def close(self) -> None:
        self._thread.shutdown(wait=False)

    # Details.

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except OSError as error:
            raise StorageUnavailable(f"the directory {self._root} cannot be used: {error}") from error

    def _append(self, chain: Chain, documents: Sequence[Document]) -> None:
        path = self._file(chain, RECORDS)
        with _opened(self._root, path) as descriptor:
            head = _head(path, descriptor)
            overlaps = head is not None and any(head_of(document).seq <= head.seq for document in documents)
            stored = dict(_hashes(path)) if overlaps else {}
            _write(descriptor, continuation(chain, documents, head, stored))

    def _anchor(self, chain: Chain, checkpoint: Document) -> None:
        path = self._file(chain, CHECKPOINTS)
        with _opened(self._root, path) as descriptor:
            if all(one.get("seq") != checkpoint["seq"] for one in _documents(path)):
                _write(descriptor, (checkpoint,))

    def _head(self, chain: Chain) -> Head | None:
        path = self._file(chain, RECORDS)
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            # What is there may have been written by an operator that was killed before it had synced.
            os.fsync(descriptor)
            return _head(path, descriptor)
        finally:
            os.close(descriptor)

    def _chains(self) -> Sequence[Chain]:
        return sorted(Chain(path.parent.parent.name, path.parent.name) for path in self._root.glob(f"*/*/{RECORDS}"))

    def _file(self, chain: Chain, name: str) -> Path:
        return self._root / chain.namespace / chain.model / name


@contextmanager
def _opened(root: Path, path: Path) -> Iterator[int]:
    """The file to append to, made if absent, locked against another operator, and whole."""
    if not root.is_dir():
        # Made here, it would be on whatever disk is there instead of the one that was to be mounted.
        raise FileNotFoundError(f"there is no directory {root}")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_size == 0:
            _sync_folders(root, path.parent)
        _cut_torn_line(path, descriptor)
        yield descriptor
    finally:
        os.close(descriptor)


def _sync_folders(root: Path, folder: Path) -> None:
    """A new name is durable once the folder that holds it is."""
    for holder in (folder, *folder.parents):
        descriptor = os.open(holder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if holder == root:
            return


def _cut_torn_line(path: Path, descriptor: int) -> None:
    size, end = os.fstat(descriptor).st_size, _end_of_lines(descriptor)
    if end < size:
        logger.warning(
            "%s: the last line was not written to its end and nobody relied on it; %d bytes are cut off",
            path,
            size - end,
        )
        os.ftruncate(descriptor, end)
        os.fsync(descriptor)


def _write(descriptor: int, documents: Sequence[Document]) -> None:
    """All of it durably, or none: what may not have reached the disk is taken back, so that a repetition writes it anew."""
    before = os.fstat(descriptor).st_size
    data = memoryview(b"".join(stored_form(document) + b"\n" for document in documents))
    try:
        while data:
            data = data[os.write(descriptor, data) :]
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, before)
        raise


def _head(path: Path, descriptor: int) -> Head | None:
    line = _last_line(path, descriptor)
    return None if line is None else head_of(_document(path, line))


def _last_line(path: Path, descriptor: int) -> bytes | None:
    """The last whole line, without its newline; read from the end, since the file is long."""
    end = _end_of_lines(descriptor)
    if end == 0:
        return None
    start = _after_newline(descriptor, end - 1)
    return os.pread(descriptor, end - 1 - start, start)


def _end_of_lines(descriptor: int) -> int:
    return _after_newline(descriptor, os.fstat(descriptor).st_size)


def _after_newline(descriptor: int, before: int) -> int:
    """The position after the last newline that comes before a position; 0 when there is none."""
    end = before
    while end > 0:
        start = max(0, end - _BLOCK)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _documents(path: Path) -> Iterator[Document]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        for line in file:
            if line.endswith(b"\n"):
                yield _document(path, line)


def _some(documents: Iterator[Document]) -> list[Document]:
    return list(itertools.islice(documents, _LINES_AT_ONCE))


def _hashes(path: Path) -> Iterator[tuple[int, str]]:
    for document in _documents(path):
        head = head_of(document)
        yield head.seq, head.hash


def _document(path: Path, line: bytes) -> Document:
    try:
        document = json.loads(line)
    except ValueError as error:
        raise ChainBroken(f"{path}: a line is no JSON, so it was damaged after it was written: {error}") from error
    if not isinstance(document, dict):
        raise ChainBroken(f"{path}: a line is no JSON object, so it was damaged after it was written")
    return cast(Document, document)
