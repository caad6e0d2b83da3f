"""Replay held-out rows at a bounded rate, and count who answered what.

Run ``python -m examples.tumor_screening.load --url http://127.0.0.1:8080/v1/predict --rows holdout.csv``, or use `LoadGenerator`.
It speaks to this machine and to the benchmarking network 198.18.0.0/15 (RFC 2544) only: a mistyped address must not put
load on somebody's service.
"""

import argparse
import asyncio
import csv
import json
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp

ALLOWED_NETWORKS = (ip_network("127.0.0.0/8"), ip_network("::1/128"), ip_network("198.18.0.0/15"))
VERSION_HEADER = "modelward-version"
NO_ANSWER = 0  # status of a request that got no response
UNNAMED = "-"  # version of a response that names none


class TargetRefused(ValueError):
    """The address is neither this machine's nor in the benchmarking network."""


class Answer(NamedTuple):
    """One request, as its client saw it. `at` is Unix time when the answer came."""

    at: float
    status: int
    version: str
    seconds: float
    problem: str

    @property
    def failed(self) -> bool:
        return self.status != 200


@dataclass(frozen=True)
class Summary:
    """What a stretch of load came to."""

    requests: int
    failed: int
    by_status: dict[str, int]
    by_version: dict[str, int]
    failed_by_version: dict[str, int]
    median_milliseconds: float | None
    p99_milliseconds: float | None


def check_target(url: str) -> None:
    """Refuse any address that load must not be put on.

    Raises:
        TargetRefused: names are refused too, `localhost` aside, because what they resolve to can change.
    """
    parts = urlsplit(url)
    if parts.scheme != "http":
        raise TargetRefused(f"{url} is not an http:// address")
    host = parts.hostname or ""
    try:
        address = ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise TargetRefused(f"{host!r} is a name; give the gateway's address and its name as the host header") from None
    if not any(address in network for network in ALLOWED_NETWORKS):
        raise TargetRefused(f"{address} is neither this machine nor in 198.18.0.0/15")


def read_rows(path: Path) -> list[list[float]]:
    """The rows of a CSV file with one line of names."""
    with path.open(newline="") as file:
        reader = csv.reader(file)
        next(reader)
        return [[float(value) for value in row] for row in reader]


class LoadGenerator:
    """Sends rows, drawn with replacement, at a steady rate until it is stopped. Its counters are live.

    Requests start on a fixed schedule whatever the answers do, so that a slow server is seen as slow; only `concurrency`
    bounds them.
    """

    def __init__(
        self,
        url: str,
        rows: Sequence[Sequence[float]],
        *,
        rate: float = 50.0,
        host_header: str | None = None,
        concurrency: int = 64,
        timeout: float = 10.0,
        seed: int = 0,
    ) -> None:
        check_target(url)
        if not 0 < rate <= 2000:
            raise ValueError(f"a rate of {rate} requests per second is not in (0, 2000]")
        self._url = url
        self._bodies = [json.dumps({"rows": [list(row)]}).encode() for row in rows]
        self._rate = rate
        self._headers = {"content-type": "application/json"} | ({"host": host_header} if host_header else {})
        self._slots = asyncio.Semaphore(concurrency)
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._random = random.Random(seed)
        self._stopped = asyncio.Event()
        self.answers: list[Answer] = []
        self.by_status: Counter[int] = Counter()
        self.by_version: Counter[str] = Counter()
        self.failures: list[Answer] = []

    async def run(self, *, duration: float | None = None, max_requests: int | None = None) -> Summary:
        """Send until `duration` seconds or `max_requests` are over, or `stop` is called; then wait for the last answers."""
        self._stopped.clear()
        connector = aiohttp.TCPConnector(limit=0)
        # trust_env stays off: a proxy of the environment would carry the load somewhere else.
        async with (
            aiohttp.ClientSession(timeout=self._timeout, connector=connector, trust_env=False) as session,
            asyncio.TaskGroup() as requests,
        ):
            started = time.monotonic()
            sent = 0
            while max_requests is None or sent < max_requests:
                due = sent / self._rate
                if duration is not None and due >= duration:
                    break
                if await self._stopped_before(started + due):
                    break
                await self._slots.acquire()
                requests.create_task(self._ask(session))
                sent += 1
        return self.summary()

    def stop(self) -> None:
        """End `run` after the answers that are still on their way."""
        self._stopped.set()

    def summary(self, since: float = 0.0, until: float = float("inf")) -> Summary:
        """What was answered from Unix time `since` to `until`."""
        answers = [answer for answer in self.answers if since <= answer.at <= until]
        seconds = sorted(answer.seconds for answer in answers)
        failed = [answer for answer in answers if answer.failed]
        return Summary(
            requests=len(answers),
            failed=len(failed),
            by_status=dict(Counter(str(answer.status) for answer in answers)),
            by_version=dict(Counter(answer.version for answer in answers)),
            failed_by_version=dict(Counter(answer.version for answer in failed)),
            median_milliseconds=_quantile_milliseconds(seconds, 0.5),
            p99_milliseconds=_quantile_milliseconds(seconds, 0.99),
        )

    async def _stopped_before(self, moment: float) -> bool:
        wait = moment - time.monotonic()
        if wait <= 0:
            return self._stopped.is_set()
        try:
            await asyncio.wait_for(self._stopped.wait(), wait)
        except TimeoutError:
            return False
        return True

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        started = time.monotonic()
        status, version, problem = NO_ANSWER, UNNAMED, ""
        try:
            async with session.post(
                self._url, data=self._random.choice(self._bodies), headers=self._headers, allow_redirects=False
            ) as response:
                body = await response.read()
                status, version = response.status, response.headers.get(VERSION_HEADER, UNNAMED)
                problem = "" if status == 200 else body[:200].decode(errors="replace")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            status, problem = NO_ANSWER, f"{type(error).__name__}: {error}"
        finally:
            self._slots.release()
        self._count(Answer(time.time(), status, version, time.monotonic() - started, problem))

    def _count(self, answer: Answer) -> None:
        self.answers.append(answer)
        self.by_status[answer.status] += 1
        self.by_version[answer.version] += 1
        if answer.failed:
            self.failures.append(answer)


def _quantile_milliseconds(ascending: Sequence[float], share: float) -> float | None:
    if not ascending:
        return None
    return round(1000 * ascending[min(len(ascending) - 1, int(share * len(ascending)))], 2)


def main() -> None:
    parser = argparse.ArgumentParser(description="Replay held-out rows at a bounded rate; print a summary as JSON.")
    parser.add_argument("--url", required=True)
    parser.add_argument("--rows", type=Path, required=True, help="holdout.csv, as train.py wrote it")
    parser.add_argument("--host-header", help="host name of the route, when the URL is the gateway's address")
    parser.add_argument("--rate", type=float, default=50.0, help="requests per second")
    parser.add_argument("--duration", type=float, default=30.0, help="seconds; Ctrl-C ends it sooner")
    parser.add_argument("--max-requests", type=int)
    arguments = parser.parse_args()
    summary = asyncio.run(_replay(arguments))
    print(json.dumps(asdict(summary)))


async def _replay(arguments: argparse.Namespace) -> Summary:
    try:
        generator = LoadGenerator(
            arguments.url, read_rows(arguments.rows), rate=arguments.rate, host_header=arguments.host_header
        )
    except ValueError as problem:
        raise SystemExit(str(problem)) from None
    for ending in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(ending, generator.stop)
    return await generator.run(duration=arguments.duration, max_requests=arguments.max_requests)


if __name__ == "__main__":
    main()
