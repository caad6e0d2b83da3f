"""Several worker processes of one pod: their sum never falls, whatever becomes of them."""

import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from modelward.instrument import Monitor, Numeric

WORKER = """
import sys
from modelward.instrument import Monitor, Numeric
monitor = Monitor([Numeric("a", (0.0, 1.0))], model="credit", version="v2", directory=sys.argv[1])
port = int(sys.argv[2])
print(monitor.serve(port, "127.0.0.1").port, flush=True)
for line in sys.stdin:
    for _ in range(int(line)):
        with monitor.request() as request:
            request.features([0.5])
    print("counted", flush=True)
"""


class Worker:
    """A worker process that counts when it is told to."""

    def __init__(self, directory: Path, port: int) -> None:
        command = [sys.executable, "-c", WORKER, str(directory), str(port)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self._answer())

    def count(self, requests: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{requests}\n")
        self.process.stdin.flush()
        assert self._answer() == "counted\n"

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        self.kill()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@contextmanager
def worker(directory: Path, port: int = 0) -> Iterator[Worker]:
    started = Worker(directory, port)
    try:
        yield started
    finally:
        started.close()


def requests_shown(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        line = next(line for line in answer.read().decode().splitlines() if 'outcome="success"' in line)
    return int(float(line.split()[-1]))


def counted(monitor: Monitor) -> int:
    families = {family.name: family for family in monitor.collect()}
    return int(families["modelward_requests"].samples[0].value)


def test_the_sum_never_falls_when_a_worker_is_killed_and_replaced(tmp_path: Path) -> None:
    with worker(tmp_path) as first, worker(tmp_path, first.port) as second:
        assert second.port == first.port
        first.count(100)
        second.count(10)
        assert [requests_shown(first.port) for _ in range(8)] == [110] * 8
        first.kill()
        assert requests_shown(second.port) == 110
        with worker(tmp_path, second.port) as replacement:
            assert requests_shown(second.port) == 110
            replacement.count(5)
            second.count(1)
            assert [requests_shown(second.port) for _ in range(8)] == [116] * 8
            assert len(list(tmp_path.iterdir())) == 2


def test_workers_that_do_not_share_counts_cannot_share_a_port() -> None:
    first, second = Monitor(), Monitor()
    server = first.serve(0, "127.0.0.1")
    try:
        with pytest.raises(OSError, match="in use"):
            second.serve(server.port, "127.0.0.1")
    finally:
        server.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_worker_counts_for_itself_and_into_the_sum(tmp_path: Path) -> None:
    monitor = Monitor([Numeric("a", (0.0,))], directory=tmp_path)
    monitor.count_request(0.1, failed=False)
    child = os.fork()
    if child == 0:
        monitor.count_request(0.1, failed=False)
        os._exit(0 if counted(monitor) == 2 else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    monitor.count_request(0.1, failed=False)
    assert counted(monitor) == 3


def test_another_baseline_in_the_same_directory_counts_apart(tmp_path: Path) -> None:
    old, new = (Monitor([Numeric("a", edges)], directory=tmp_path) for edges in ((0.0,), (0.0, 1.0)))
    old.count_request(0.1, failed=False)
    assert counted(new) == 0


def test_threads_do_not_lose_counts() -> None:
    monitor = Monitor([Numeric("a", (0.0,))])

    def answer() -> None:
        for _ in range(2_000):
            with monitor.request() as request:
                request.features([1.0])

    threads = [threading.Thread(target=answer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted(monitor) == 8_000
