"""Running other programs, and saying what they said when they fail."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Argument = str | Path
Command = list[Argument]


class Failure(Exception):
    """Something the cluster needs did not work; the message is for the person at the terminal."""


def run(
    command: Sequence[Argument],
    *,
    extra_environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    given: str | None = None,
    timeout: float | None = None,
) -> str:
    """The program's output; a `Failure` with the end of what it said if it did not succeed."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            cwd=folder,
            env={**os.environ, **(extra_environment or {})},
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as missing:
        raise Failure(f"{words[0]} is not installed") from missing
    except subprocess.TimeoutExpired as late:
        raise Failure(f"{' '.join(words)}: no answer within {timeout:.0f} s") from late
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise Failure(f"{' '.join(words)}: exit status {done.returncode}\n{said}")
    return done.stdout


def succeeds(command: Sequence[Argument], *, timeout: float | None = None) -> bool:
    try:
        run(command, timeout=timeout)
    except Failure:
        return False
    return True


def wait_until(condition: Callable[[], bool], what: str, *, seconds: float, pause: float = 0.1, hint: str = "") -> None:
    """Asks again and again until the condition holds; a `Failure` that names it if that takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"{what}: still waiting after {seconds:.0f} s{'; ' + hint if hint else ''}")
        time.sleep(pause)
