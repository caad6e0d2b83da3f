"""The cluster's own namespaces: finding them, entering them, and ending everything in them at once.

The first process of a process namespace takes every other one with it when it dies, and with the last of them go the
mounts and the network. So that one process is all that has to be found again; its command line is its name.
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

from cluster import paths
from cluster.processes import Failure, wait_until

_ARGUMENTS = ("-m", "cluster.node")


def start() -> IO[bytes]:
    """Starts the first process and returns its input, on which it waits for a line; without one it ends."""
    paths.logs().mkdir(parents=True, exist_ok=True)
    unshare = ["unshare", "--net", "--pid", "--mount", "--fork", "--mount-proc", "--propagation", "private"]
    with (paths.logs() / "node.log").open("w") as log:
        started = subprocess.Popen(
            [*unshare, sys.executable, *_ARGUMENTS, str(paths.cluster())],
            cwd=paths.REPOSITORY,
            env={**os.environ, "MODELWARD_CACHE": str(paths.cache()), "PYTHONPATH": str(paths.REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    if started.stdin is None:
        raise Failure("the cluster's first process has no input")
    return started.stdin


def first_process() -> int | None:
    """The host's number of the process that is the first one inside, if there is one."""
    for pid in _processes():
        # Whichever interpreter started it, and not the `unshare` that waits for it outside with the same arguments.
        if _arguments(pid)[1:] == [*_ARGUMENTS, str(paths.cluster())] and _inner_number(pid) == 1:
            return pid
    return None


def require_first_process() -> int:
    pid = first_process()
    if pid is None:
        raise Failure("the cluster is not up (start it with: python -m cluster up)")
    return pid


def programs_running(first: int) -> set[str]:
    """The files of the programs that the first process has started and that are alive."""
    try:
        children = (Path("/proc") / str(first) / "task" / str(first) / "children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return set()
    return {program for child in children if (program := _program(int(child)))}


def entering(first: int) -> list[str]:
    """The command prefix that runs what follows inside."""
    return ["nsenter", "-t", str(first), "-m", "-p", "-n", "--wd=/"]


def end() -> bool:
    """Kills the first process and waits until nothing is left of its namespace; whether there was one."""
    found = False
    while (first := first_process()) is not None:
        found = True
        _kill(first)
        wait_until(functools.partial(_is_gone, first), "the end of the cluster's processes", seconds=120, pause=0.02)
    return found


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _arguments(pid: int) -> list[str]:
    try:
        line = (Path("/proc") / str(pid) / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return line.decode(errors="replace").split("\0")[:-1]


def _inner_number(pid: int) -> int | None:
    try:
        status = (Path("/proc") / str(pid) / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    numbers = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
    return int(numbers[-1]) if len(numbers) > 1 else None


def _program(pid: int) -> str | None:
    try:
        return str((Path("/proc") / str(pid) / "exe").readlink())
    except (FileNotFoundError, ProcessLookupError):
        return None


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _is_gone(pid: int) -> bool:
    return _inner_number(pid) != 1
