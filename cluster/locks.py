"""One builder and one starter at a time: others wait their turn."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from cluster import paths, progress


@contextmanager
def held(name: str) -> Iterator[None]:
    """The kernel releases the lock when its holder dies, however it dies."""
    paths.cache().mkdir(parents=True, exist_ok=True)
    with (paths.cache() / f"{name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(f"waiting for another command that holds the {name} lock")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
