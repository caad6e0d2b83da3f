"""What servers, clocks and networks do wrong: each time a reason, never an exception and never a number out of nothing."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from modelward.api.model import MetricsEndpoint, MetricsSource
from modelward.metrics.pods import PodAccess, PodsSource
from modelward.metrics.prometheus import Connection, PrometheusSource
from modelward.metrics.reader import MetricsReader
from modelward.metrics.transport import Credentials, Limits
from modelward.stats.readings import PodTarget, Reading
from tests.unit.metrics.certificates import Authority, Pair
from tests.unit.metrics.loopback import Handler, serving

NOW = 1_000_000.0
WANTED = ("requests", "errors", "latency", "feature/")
GOOD = 'modelward_requests_total{outcome="success"} 5\n'
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def pod(name: str = "credit-v2-0") -> PodTarget:
    return PodTarget(name=name, namespace="lending", address="127.0.0.1", started_at=NOW - 60)


def answering(body: str, content_type: str = "text/plain; version=0.0.4") -> Handler:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=body.encode(), headers={"Content-Type": content_type})

    return handler


async def look(handler: Handler, *pods: PodTarget, limits: Limits | None = None, **settings: Any) -> Reading:
    async with serving(handler) as port, aiohttp.ClientSession() as session:
        reader = MetricsReader(PodsSource(session, limits or Limits(5.0, 64 * 1024 * 1024), **settings), {})
        return await reader.read("v2", pods or (pod(),), MetricsEndpoint(port=port), WANTED, now=NOW)


@pytest.mark.parametrize(
    ("body", "content_type", "sentence"),
    [
        (GOOD.replace(" 5", " -5"), "text/plain", "is -5, which no counter can be"),
        (GOOD.replace(" 5", " NaN"), "text/plain", "is nan"),
        (GOOD.replace(" 5", " -Inf"), "text/plain", "is -inf"),
        (GOOD + GOOD.replace(" 5", " 6"), "text/plain", "the same series is there twice"),
        (GOOD.replace("modelward_", "acme_"), "text/plain", "there is no modelward_requests_total"),
        ("", "text/plain", "there is no modelward_requests_total"),
        ("\n\n\n", "text/plain", "there is no modelward_requests_total"),
        (GOOD + "modelward_request_seconds_bucket 3\n", "text/plain", "no usable le label"),
        (GOOD + 'modelward_request_seconds_bucket{le="1"} -3\n', "text/plain", "is -3"),
        ("# TYPE modelward_requests counter\n" + GOOD, OPENMETRICS, "the page is cut off"),
        ("# TYPE modelward_requests counter\n" + GOOD + "# EOF\nx 1\n", OPENMETRICS, "the page is cut off"),
        (GOOD + "\x00\x01\x02", "text/plain", "not Prometheus text"),
        ("<!doctype html><title>Sign in</title>", "text/plain", "not Prometheus text"),
        ('{"status": "ok"}', "text/plain; charset=utf-8", "not Prometheus text"),
        ("{}", "application/json", "application/json, not Prometheus text"),
    ],
    ids=["negative", "NaN", "-Inf", "duplicate", "renamed", "empty", "blank", "no le", "negative bucket", "cut off",
         "text after the end", "binary", "HTML", "JSON", "JSON that says so"],
)  # fmt: skip
async def test_a_page_that_cannot_be_used_is_a_problem_with_a_reason(
    body: str, content_type: str, sentence: str
) -> None:
    reading = await look(answering(body, content_type))
    assert reading.pods == () and reading.reason == ("MetricAbsent" if "there is no" in sentence else "InvalidResult")
    assert reading.problem is not None and sentence in reading.problem


async def test_bytes_that_are_no_text_are_a_problem() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=b"\xff\xfe" + GOOD.encode("utf-16"), headers={"Content-Type": "text/plain"})

    reading = await look(handler)
    assert reading.problem is not None and "not UTF-8" in reading.problem


async def test_a_metric_that_is_renamed_mid_rollout_is_a_problem_and_not_an_error_rate_of_zero() -> None:
    pages = iter([GOOD, GOOD.replace("modelward_requests_total", "modelward_calls_total")])

    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=next(pages))

    reading = await look(handler, pod("old"), pod("new"))
    assert reading.pods == ()
    assert reading.problem is not None and "there is no modelward_requests_total" in reading.problem


async def test_a_million_series_are_refused_by_their_size_and_soon() -> None:
    page = GOOD + "".join(f'modelward_feature_missing_total{{feature="{i}"}} 1\n' for i in range(1_000_000))
    before = time.monotonic()
    reading = await look(answering(page), limits=Limits(5.0, 8 * 1024 * 1024))
    assert reading.problem is not None and "more than 8192 KiB" in reading.problem
    assert time.monotonic() - before < 5


async def test_two_hundred_thousand_series_that_nobody_wants_cost_little() -> None:
    page = GOOD + "".join(f'other_total{{worker="{i}"}} 1\n' for i in range(200_000))
    before = time.monotonic()
    reading = await look(answering(page))
    assert reading.problem is None and reading.pods[0].series == {"requests": 5, "errors": 0}
    assert time.monotonic() - before < 3


async def test_an_answer_that_comes_by_drops_is_given_up() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        for _ in range(100):
            await response.write(GOOD.encode())
            await asyncio.sleep(0.05)
        return response

    reading = await look(handler, limits=Limits(0.3, 1024 * 1024))
    assert reading.problem is not None and "did not answer within 0.3 s" in reading.problem


# Access to pods


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def server(authority: Authority) -> Pair:
    return authority.issue("credit.lending.svc", with_address=False)


async def secured(authority: Authority, server: Pair, credentials: Credentials) -> Reading:
    async with (
        serving(answering(GOOD), tls=authority.server_context(server)) as port,
        aiohttp.ClientSession() as session,
    ):
        reader = MetricsReader(
            PodsSource(session, Limits(5.0), access=PodAccess(https=True, credentials=credentials)), {}
        )
        return await reader.read("v2", (pod(),), MetricsEndpoint(port=port), ("requests",), now=NOW)


async def test_pods_are_read_with_certificates_of_both_sides_by_the_name_in_theirs(
    authority: Authority, server: Pair
) -> None:
    client = authority.issue("operator")
    credentials = Credentials(
        ca_file=authority.file, cert_file=client.cert, key_file=client.key, server_name="credit.lending.svc"
    )
    reading = await secured(authority, server, credentials)
    assert reading.problem is None and reading.pods[0].series == {"requests": 5}


@pytest.mark.parametrize("case", ["another name", "another authority", "no certificate", "no file"])
async def test_pods_that_cannot_be_trusted_are_a_problem(
    case: str, authority: Authority, server: Pair, tmp_path: Path
) -> None:
    client = authority.issue("operator")
    ca_file, cert_file, key_file, name = authority.file, client.cert, client.key, "credit.lending.svc"
    sentence = "has a certificate that is not trusted"
    if case == "another name":
        name = "fraud.lending.svc"
    elif case == "another authority":
        ca_file = Authority(tmp_path / "other").file
    elif case == "no certificate":
        cert_file = key_file = None
        sentence = "pod credit-v2-0 "
    else:
        ca_file, sentence = tmp_path / "missing.crt", "missing.crt"
    credentials = Credentials(ca_file=ca_file, cert_file=cert_file, key_file=key_file, server_name=name)
    reading = await secured(authority, server, credentials)
    assert reading.pods == () and reading.reason == "MetricsUnavailable"
    assert reading.problem is not None and sentence in reading.problem


@pytest.mark.parametrize(
    ("credentials", "header", "value"),
    [
        ({"bearer_token_file": "secret\n"}, "Authorization", "Bearer secret"),
        ({"username": "ada", "password_file": "pass:word"}, "Authorization", "Basic YWRhOnBhc3M6d29yZA=="),
        ({"headers": {"X-Scope-OrgID": "risk"}}, "X-Scope-OrgID", "risk"),
    ],
    ids=["token", "basic", "tenant"],
)
async def test_credentials_reach_the_server(
    credentials: dict[str, Any], header: str, value: str, tmp_path: Path
) -> None:
    seen: list[str | None] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.headers.get(header))
        return web.Response(text=GOOD)

    for name, text in list(credentials.items()):
        if name.endswith("_file"):
            (tmp_path / name).write_text(text)
            credentials[name] = tmp_path / name
    reading = await look(handler, access=PodAccess(credentials=Credentials(**credentials)))
    assert reading.problem is None and seen == [value]


async def test_a_file_of_credentials_with_two_lines_never_becomes_a_header(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("one\r\nX-Other: two")
    reading = await look(answering(GOOD), access=PodAccess(credentials=Credentials(bearer_token_file=token)))
    assert reading.problem is not None and "are not one line of text" in reading.problem


def test_a_changed_certificate_is_loaded_again(authority: Authority) -> None:
    client = authority.issue("operator")
    credentials = Credentials(ca_file=authority.file, cert_file=client.cert, key_file=client.key)
    first = credentials.tls()
    assert credentials.tls() is first
    changed = authority.issue("operator")
    changed.cert.touch()
    assert credentials.tls() is not first


# Prometheus


def matrix(*series: dict[str, Any]) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": "matrix", "result": list(series)}}


def labelled(name: str, **more: Any) -> dict[str, Any]:
    labels = {"__name__": name, "namespace": "lending", "pod": "credit-v2-0", "job": "pods", "instance": "a"}
    return {"metric": labels, **more}


@pytest.fixture
async def ask() -> AsyncIterator[Any]:
    async def read(answer: dict[str, Any]) -> Reading:
        async def handler(_: web.Request) -> web.Response:
            return web.json_response(answer)

        async with serving(handler) as port, aiohttp.ClientSession() as session:
            source = PrometheusSource(Connection("main", f"http://127.0.0.1:{port}"), session)
            endpoint = MetricsEndpoint(source=MetricsSource(prometheus="main"))
            reader = MetricsReader(PodsSource(session), {"main": source})
            return await reader.read("v2", (pod(),), endpoint, ("requests", "errors", "latency"), NOW)

    yield read


REQUESTS = labelled("modelward_requests_total", values=[(NOW - 5, "9")])


def histogram(*buckets: tuple[int, str, str, str], count: str = "3") -> dict[str, Any]:
    own = {"count": count, "sum": "1", "buckets": list(buckets)}
    return labelled("modelward_request_seconds", histograms=[(NOW - 5, own)])


@pytest.mark.parametrize(
    ("series", "reason", "sentence"),
    [
        ([labelled("modelward_requests_total", values=[(NOW + 600, "9")])], "StaleMetrics",
         "600 s ahead of this operator's clock"),
        ([labelled("modelward_requests_total", values=[(NOW - 600, "9")])], "StaleMetrics",
         "600 s behind this operator's clock"),
        ([labelled("modelward_requests_total", values=[(NOW - 5, "-9")])], "InvalidResult", "is -9"),
        ([labelled("modelward_requests_total", values=[(NOW - 5, "nine")])], "InvalidResult", "is nan"),
        ([labelled("modelward_requests_total", values=[])], "MetricsUnavailable", "has no metrics of pod"),
        ([REQUESTS, histogram((0, "1", "2", "-3"))], "InvalidResult", "buckets that no histogram can have"),
        ([REQUESTS, histogram((0, "2", "1", "3"))], "InvalidResult", "buckets that no histogram can have"),
        ([REQUESTS, histogram((0, "NaN", "1", "3"))], "InvalidResult", "buckets that no histogram can have"),
        ([REQUESTS, histogram(count="NaN")], "InvalidResult", "buckets that no histogram can have"),
        ([REQUESTS, labelled("modelward_request_seconds", histograms=[(NOW, {"count": 3})])], "MetricsUnavailable",
         "did not answer as a Prometheus query API does"),
    ],
    ids=["clock ahead", "clock behind", "negative", "no number", "no samples", "negative bucket", "bounds exchanged",
         "bound is NaN", "count is NaN", "no histogram"],
)  # fmt: skip
async def test_samples_that_cannot_be_used_are_a_problem(
    ask: Any, series: list[dict[str, Any]], reason: str, sentence: str
) -> None:
    reading = await ask(matrix(*series))
    assert reading.pods == () and reading.reason == reason
    assert reading.problem is not None and sentence in reading.problem


@pytest.mark.parametrize(("skew", "sentence"), [(600, "ahead of"), (-600, "behind")])
async def test_a_prometheus_whose_clock_is_ten_minutes_off_is_a_problem(skew: float, sentence: str) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.json_response(matrix(REQUESTS), headers={"Date": formatdate(time.time() + skew, usegmt=True)})

    async with serving(handler) as port, aiohttp.ClientSession() as session:
        source = PrometheusSource(Connection("main", f"http://127.0.0.1:{port}"), session)
        endpoint = MetricsEndpoint(source=MetricsSource(prometheus="main"))
        reading = await MetricsReader(PodsSource(session), {"main": source}).read("v2", (pod(),), endpoint, WANTED, NOW)
    assert reading.reason == "StaleMetrics"
    assert reading.problem is not None and f"s {sentence} this operator's: set the clocks right" in reading.problem


async def test_a_pod_on_a_node_whose_clock_is_ten_minutes_ahead_is_a_problem() -> None:
    reading = await look(answering(GOOD), pod("good"), replace(pod("odd"), started_at=NOW + 600))
    assert reading.problem == "pod odd started 600 s after now: set the clock of its node right"


async def test_refused_credentials_are_named_as_such() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=401, text="Unauthorized")

    async with serving(handler) as port, aiohttp.ClientSession() as session:
        source = PrometheusSource(Connection("main", f"http://127.0.0.1:{port}"), session)
        endpoint = MetricsEndpoint(source=MetricsSource(prometheus="main"))
        reading = await MetricsReader(PodsSource(session), {"main": source}).read("v2", (pod(),), endpoint, WANTED, NOW)
    assert reading.problem == "Prometheus main refused the operator's credentials (HTTP 401)"
