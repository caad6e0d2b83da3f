"""Scraping the pods of a version: all of them, or a sentence that says why not."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from modelward.api.model import MetricsEndpoint, MetricsSource
from modelward.metrics.pods import PodsSource
from modelward.metrics.reader import MetricsReader
from modelward.metrics.transport import Limits
from modelward.stats.readings import PodTarget, Reading
from tests.unit.metrics.loopback import Handler, serving

PAGE = 'modelward_requests_total{outcome="success"} 5\n'


@pytest.fixture
async def reader() -> AsyncIterator[MetricsReader]:
    async with aiohttp.ClientSession() as session:
        yield MetricsReader(PodsSource(session, Limits(seconds=0.3, bytes=64 * 1024)), {})


def pod(name: str = "credit-v2-0", address: str = "127.0.0.1") -> PodTarget:
    return PodTarget(name=name, namespace="lending", address=address, started_at=10.0)


async def look(reader: MetricsReader, handler: Handler, *pods: PodTarget) -> Reading:
    async with serving(handler) as port:
        return await reader.read("v2", pods or (pod(),), MetricsEndpoint(port=port), ("requests", "errors"), now=100.0)


def answering(
    body: str, status: int = 200, content_type: str = "text/plain", headers: dict[str, str] | None = None
) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=body, status=status, content_type=content_type, headers=headers)

    return handler


async def never(_: web.Request) -> web.Response:
    await asyncio.sleep(30)
    return web.Response()


async def test_every_pod_gives_a_reading_with_its_start(reader: MetricsReader) -> None:
    reading = await look(reader, answering(PAGE), pod("a"), pod("b"))
    assert reading.problem is None
    assert [(one.pod, one.started_at, one.at) for one in reading.pods] == [("a", 10.0, 100.0), ("b", 10.0, 100.0)]
    assert reading.pods[0].series == {"requests": 5, "errors": 0}


@pytest.mark.parametrize(
    ("handler", "reason", "sentence"),
    [
        (
            answering("<html>", content_type="text/html"),
            "InvalidResult",
            "answered text/html, not Prometheus text, on :",
        ),
        (answering("no", status=503), "MetricsUnavailable", "answered 503 on :"),
        (
            answering("", 302, headers={"Location": "/other"}),
            "MetricsUnavailable",
            "redirect (302), which is not followed",
        ),
        (answering("# " + "x" * 100_000), "MetricsUnavailable", "more than 64 KiB"),
        (never, "MetricsUnavailable", "did not answer within 0.3 s"),
        (answering("up 1\n"), "MetricAbsent", "there is no modelward_requests_total, which preset modelward reads"),
    ],
    ids=["HTML", "an error", "a redirect", "too large", "too slow", "another server's metrics"],
)
async def test_a_pod_that_cannot_be_read_is_a_problem_with_a_remedy(
    reader: MetricsReader, handler: Handler, reason: str, sentence: str
) -> None:
    reading = await look(reader, handler)
    assert reading.pods == () and reading.reason == reason
    assert reading.problem is not None
    assert reading.problem.startswith("pod credit-v2-0 ") and sentence in reading.problem
    assert reading.problem.endswith("check spec.serving.metrics")


async def test_one_unreadable_pod_spoils_the_reading(reader: MetricsReader) -> None:
    reading = await look(reader, answering(PAGE), pod("good"), pod("bad", address="127.0.0.2"), pod("new", address=""))
    assert reading.pods == ()
    assert reading.problem is not None
    assert reading.problem.startswith("pod bad could not be reached") and "1 more pods" in reading.problem


async def test_a_version_without_pods_is_a_problem(reader: MetricsReader) -> None:
    reading = await reader.read("v2", (), MetricsEndpoint(), ("requests",), now=1.0)
    assert reading.problem == "version v2 has no ready pod to read metrics from"


@pytest.mark.parametrize(
    ("endpoint", "sentence"),
    [
        (
            MetricsEndpoint(source=MetricsSource(prometheus="main")),
            "no metric source 'main': the platform configured none",
        ),
        (MetricsEndpoint(preset="seldom"), "no metrics preset 'seldom'"),
    ],
    ids=["source", "preset"],
)
async def test_an_unknown_name_is_a_problem(reader: MetricsReader, endpoint: MetricsEndpoint, sentence: str) -> None:
    reading = await reader.read("v2", (pod(),), endpoint, ("requests",), now=1.0)
    assert reading.problem is not None and sentence in reading.problem
