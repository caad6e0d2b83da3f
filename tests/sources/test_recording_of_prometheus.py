"""A recording for `modelward simulate` out of a real Prometheus that scrapes a pod."""

import asyncio
import subprocess
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from aiohttp import web

from cluster import binaries
from modelward.simulation import prometheus
from modelward.simulation.recording import Recording, Unusable
from tests.ports import free_port
from tests.unit.metrics.loopback import serving

LIMIT = 180.0
STEP = timedelta(seconds=1)


class Pod:
    """Answers 10 requests between two scrapes: one with an error, two slower than 0.1 s."""

    scrapes = 0

    async def handle(self, request: web.Request) -> web.Response:
        self.scrapes += 1
        lines = [
            "# TYPE modelward_requests_total counter",
            f'modelward_requests_total{{outcome="success"}} {9 * self.scrapes}',
            f'modelward_requests_total{{outcome="error"}} {self.scrapes}',
            "# TYPE modelward_request_seconds histogram",
            f'modelward_request_seconds_bucket{{le="0.1"}} {8 * self.scrapes}',
            f'modelward_request_seconds_bucket{{le="+Inf"}} {10 * self.scrapes}',
            f"modelward_request_seconds_sum {self.scrapes}",
            f"modelward_request_seconds_count {10 * self.scrapes}",
        ]
        return web.Response(text="\n".join(lines) + "\n", content_type="text/plain")


async def test_counters_that_a_prometheus_has_scraped_become_intervals(tmp_path: Path) -> None:
    async with serving(Pod().handle) as pod:
        port = free_port()
        process = _start(tmp_path, pod, port)
        try:
            recording = await asyncio.to_thread(_recorded, port)
        finally:
            process.terminate()
            process.wait(60)
    assert recording.versions == ("v7",)
    assert recording.edges == (0.1,)
    counted = [interval.counted["v7"] for interval in recording.intervals]
    requests = sum(each.requests for each in counted)
    assert requests >= 30
    assert sum(each.errors for each in counted) == requests / 10
    assert [sum(column) for column in zip(*(each.latency for each in counted), strict=True)] == [
        requests * 0.8,
        requests * 0.2,
    ]


def _recorded(port: int) -> Recording:
    """As soon as the server has a few scrapes."""
    end = time.monotonic() + LIMIT

    def ask(path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
            return bytes(answer.read())

    while True:
        # Up to a moment that is over, so that both queries see the same scrapes.
        until = datetime.now(UTC).replace(microsecond=0) - 2 * STEP
        try:
            found = prometheus.record(ask, "churn", "lending", until - 60 * STEP, until, STEP)
            if sum(interval.counted["v7"].requests for interval in found.intervals) >= 30:
                return found
        except (OSError, Unusable):
            if time.monotonic() > end:
                raise
        assert time.monotonic() < end, "the Prometheus did not scrape the pod"
        time.sleep(0.5)


def _start(directory: Path, pod: int, port: int) -> subprocess.Popen[bytes]:
    labels = {"namespace": "lending", "pod": "churn-v7-6d5f9c7b8-abcde"}
    job = {
        "job_name": "pods",
        "scrape_interval": "1s",
        "static_configs": [{"targets": [f"127.0.0.1:{pod}"], "labels": labels}],
    }
    configuration = directory / "prometheus.yml"
    configuration.write_text(yaml.safe_dump({"scrape_configs": [job]}))
    flags = [
        f"--config.file={configuration}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (directory / "prometheus.log").open("wb") as log:
        return subprocess.Popen([str(binaries.path("prometheus")), *flags], stdout=log, stderr=log)
