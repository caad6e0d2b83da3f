"""Who takes the running cluster down: the person who said `up`, or the run that needs it and ends with it.

A run that is killed takes nothing down. The kernel releases its lock then, so that the next run knows that nobody will.
"""

from __future__ import annotations

import fcntl
from typing import IO

from cluster import paths

_held: list[IO[str]] = []


def by_this_run() -> None:
    """This process takes the cluster down when it ends."""
    paths.cache().mkdir(parents=True, exist_ok=True)
    file = paths.claim().open("w")
    fcntl.flock(file, fcntl.LOCK_EX)
    _held.append(file)


def by_a_person() -> None:
    """No run takes the cluster down, but for one that goes on and has it already."""
    if of_a_dead_run():
        paths.claim().unlink(missing_ok=True)


def of_a_dead_run() -> bool:
    """Whether the cluster was that of a run, which was killed before it could take it down."""
    try:
        with paths.claim().open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, BlockingIOError):
        return False
    return True
