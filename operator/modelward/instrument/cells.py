"""The numbers themselves: in memory for one process, in files of a shared directory for several.

With a directory, each process counts into a file of its own and any of them answers with the sum of all. A file is
held by a lock that the kernel drops when its process ends, however it ends; the next process takes the file over and
counts on. So the sum never falls while workers come and go, and files do not pile up.

prometheus-client's own multiprocess mode was not used: it costs a dictionary look-up, a lock and two packed writes per
metric, several times the budget of a whole request, and leaves files behind for every process that ever lived.
"""

import mmap
import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


class Cells(Protocol):
    """A flat array of float64 that this process adds to."""

    own: "memoryview[float]"

    def total(self) -> Numbers:
        """The sum over all processes, copied."""
        ...

    def forked(self) -> None:
        """This process is a new one: do not go on counting where the parent counts."""
        ...


class PrivateCells:
    """One process, no files."""

    def __init__(self, size: int) -> None:
        self.own: memoryview[float] = memoryview(bytearray(8 * size)).cast("d")

    def total(self) -> Numbers:
        return np.array(self.own, dtype=np.float64)

    def forked(self) -> None:
        """A child's memory is its own already; it starts from zero."""
        self.own = memoryview(bytearray(self.own.nbytes)).cast("d")


class SharedCells:
    """One file per process in a directory. `digest` keeps files of another layout apart."""

    def __init__(self, directory: Path, digest: str, size: int) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._digest = digest
        self._bytes = 8 * size
        self._take_file()

    def total(self) -> Numbers:
        total = np.zeros(self._bytes // 8)
        for path in self._directory.glob(f"modelward-{self._digest}-*.cells"):
            total += self._numbers(path)
        return total

    def forked(self) -> None:
        # A thread of the parent may have been adding at this moment: then its view keeps the mapping, harmlessly.
        with suppress(BufferError):
            self.own.release()
            self._mapping.close()
        self._take_file()

    def _take_file(self) -> None:
        self._mapping = next(mapping for path in self._paths() if (mapping := self._locked(path)) is not None)
        self.own: memoryview[float] = memoryview(self._mapping).cast("d")

    def _paths(self) -> Iterator[Path]:
        return (self._directory / f"modelward-{self._digest}-{slot}.cells" for slot in count())

    def _locked(self, path: Path) -> mmap.mmap | None:
        """The file, mapped and held by this process, or None if a living process holds it."""
        import fcntl  # not on every platform, and needed for several processes only

        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o660)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_size != self._bytes:
                os.ftruncate(descriptor, self._bytes)
            return mmap.mmap(descriptor, self._bytes)
        except BlockingIOError:
            return None
        finally:
            os.close(descriptor)  # the mapping keeps a duplicate, and with it the lock

    def _numbers(self, path: Path) -> Numbers:
        """What one process has counted so far. Mapped, not read: aligned loads never see half a number."""
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != self._bytes:
                return np.zeros(self._bytes // 8)  # being created this moment
            with mmap.mmap(file.fileno(), self._bytes, prot=mmap.PROT_READ) as mapping:
                return np.frombuffer(mapping, dtype=np.float64).copy()
