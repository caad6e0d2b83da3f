"""What the demo sees: objects of the cluster as they change, and what clients are answered, each with its time."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from examples.tumor_screening.environment import Environment
from examples.tumor_screening.load import Answer, LoadGenerator, check_target

_SECONDS_TO_STOP = 15


@dataclass(frozen=True)
class Observation:
    """An object, and the Unix time at which this state of it was seen."""

    at: float
    object: dict[str, Any]


class Follower:
    """Follows one object from a thread of its own, through ``kubectl get --watch``, until it is closed."""

    def __init__(self, environment: Environment, kind: str, namespace: str, name: str) -> None:
        self._command = [
            str(environment.kubectl_program),
            f"--kubeconfig={environment.kubeconfig}",
            *("get", kind, "--namespace", namespace, f"--field-selector=metadata.name={name}"),
            *("--watch", "--output=json"),
        ]
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self.seen: list[Observation] = []
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        if self._process is not None:
            self._process.terminate()
        self._thread.join(timeout=5)

    def since(self, position: int, patience: float) -> list[Observation]:
        """Everything seen after the first `position` observations; waits `patience` seconds for the first of them."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.seen) > position, patience)
            return self.seen[position:]

    def first(self, condition: Callable[[dict[str, Any]], bool], since: float, seconds: float) -> Observation | None:
        """The first state seen after the time `since` of which the condition holds; waits up to `seconds` for it."""
        found: list[Observation] = []

        def is_seen() -> bool:
            found[:] = [seen for seen in self.seen if seen.at >= since and condition(seen.object)][:1]
            return bool(found)

        with self._changed:
            self._changed.wait_for(is_seen, seconds)
        return found[0] if found else None

    def _follow(self) -> None:
        while not self._closed.is_set():
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            for document in _documents(self._process):
                with self._changed:
                    self.seen.append(Observation(time.time(), document))
                    self._changed.notify_all()
            self._process.wait()
            self._closed.wait(0.5)  # the API server ends every watch after a while


class Clients:
    """A load generator with an event loop and a thread of its own, so that nothing here delays what it measures."""

    def __init__(self, url: str, rows: Sequence[Sequence[float]], host: str, rate: float) -> None:
        self._generator = LoadGenerator(url, rows, rate=rate, host_header=host)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._loop = asyncio.new_event_loop()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when the last answer is there."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._generator.stop)
            self._thread.join(timeout=_SECONDS_TO_STOP)

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    @property
    def count(self) -> int:
        return len(self._generator.answers)

    def answers(self, since: float = 0.0, version: str | None = None) -> list[Answer]:
        """Answers that came at `since` or later, of one version or of any."""
        known = self._generator.answers[:]
        return [answer for answer in known if answer.at >= since and version in (None, answer.version)]

    def _run(self) -> None:
        self._loop.run_until_complete(self._generator.run())


def await_first_answer(url: str, row: Sequence[float], host: str, seconds: float) -> float:
    """Ask until the answer is 200; the Unix time of it.

    Raises:
        TimeoutError: with the last answer that was not.
    """
    check_target(url)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    headers = {"Host": host, "Content-Type": "application/json"}
    question = urllib.request.Request(url, json.dumps({"rows": [list(row)]}).encode(), headers)
    deadline, last = time.monotonic() + seconds, ""
    while time.monotonic() < deadline:
        try:
            with direct.open(question, timeout=5):
                return time.time()
        except OSError as problem:  # urllib's HTTPError is one, too
            last = str(problem)
            time.sleep(0.1)
    raise TimeoutError(f"no answer 200 from {url} within {seconds:.0f} s; the last: {last}")


def _documents(process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """The JSON documents that a program prints one after the other, each as soon as it is complete."""
    decoder = json.JSONDecoder()
    stream = process.stdout
    if stream is None:
        return
    printed: list[str] = []
    for line in stream:
        printed.append(line.decode())
        if line.rstrip() == b"}":  # of the outermost object: all others are indented
            yield cast("dict[str, Any]", decoder.decode("".join(printed)))
            printed.clear()
