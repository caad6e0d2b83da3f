"""Reading from a configured Prometheus, and the one number of a query gate."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from modelward.api.gates import QueryGate
from modelward.api.model import MetricsEndpoint, MetricsSource
from modelward.metrics.pods import PodsSource
from modelward.metrics.prometheus import Connection, PrometheusSource, QueryNames
from modelward.metrics.reader import MetricsReader
from modelward.metrics.transport import Credentials, Limits
from modelward.stats.readings import Binned, PodTarget, QueryAnswer, Reading
from tests.unit.metrics.loopback import serving

NOW = 1000.0
NAMES = QueryNames(model="credit", namespace="lending", candidate="v2", incumbent="v1")
POD = PodTarget(name="credit-v2-0", namespace="lending", address="", started_at=900.0)


def series(
    name: str, *values: tuple[float, str], pod: str = POD.name, job: str = "pods", **labels: str
) -> Mapping[str, Any]:
    own = {"__name__": name, "namespace": "lending", "pod": pod, "job": job, "instance": "10.0.0.1:9090", **labels}
    return {"metric": own, "values": values}


def success(kind: str, result: Any) -> Mapping[str, Any]:
    return {"status": "success", "data": {"resultType": kind, "result": result}}


Answers = Callable[[Mapping[str, str]], Any]


@asynccontextmanager
async def prometheus(answers: Answers, *, status: int = 200, **connection: Any):
    """A reader of one Prometheus that answers each query form as the test says."""

    async def handler(request: web.Request) -> web.Response:
        form = {**(await request.post()), "authorization": request.headers.get("Authorization", "")}
        answer = answers(form)
        return web.Response(text=answer if isinstance(answer, str) else json.dumps(answer), status=status)

    async with serving(handler) as port, aiohttp.ClientSession() as session:
        settings = {"name": "main", "url": f"http://127.0.0.1:{port}/", "limits": Limits(0.5, 64 * 1024), **connection}
        yield MetricsReader(PodsSource(session), {"main": PrometheusSource(Connection(**settings), session)})


async def read(reader: MetricsReader, *targets: PodTarget) -> Reading:
    endpoint = MetricsEndpoint(source=MetricsSource(prometheus="main"))
    return await reader.read("v2", targets or (POD,), endpoint, ("requests", "errors", "latency"), NOW)


async def ask(reader: MetricsReader, query: str = "up", names: QueryNames = NAMES) -> QueryAnswer:
    return await reader.query(QueryGate(source="main", query=query, min=0), names, NOW)


async def test_the_newest_raw_scrape_of_each_pod_is_read() -> None:
    asked: list[str] = []

    def answers(form: Mapping[str, str]) -> Any:
        asked.append(form["query"])
        return success("matrix", [
            series("modelward_requests_total", (970, "4"), (985, "9"), outcome="success"),
            series("modelward_requests_total", (970, "1"), outcome="gone since"),
            series("modelward_request_seconds_bucket", (985, "7"), le="0.25"),
            series("modelward_request_seconds_bucket", (985, "9"), le="+Inf"),
        ])  # fmt: skip

    async with prometheus(answers) as reader:
        reading = await read(reader)
    assert reading.problem is None
    (only,) = reading.pods
    assert (only.at, only.started_at) == (985, 900)
    assert only.series == {"requests": 9, "errors": 0, "latency": Binned(edges=(0.25,), counts=(7, 2))}
    assert 'namespace="lending",pod=~"credit-v2-0"' in asked[0] and asked[0].endswith("[120s]")


async def test_old_samples_are_stale_and_say_how_old() -> None:
    def answers(form: Mapping[str, str]) -> Any:
        old = [series("modelward_requests_total", (600, "4"))]
        return success("matrix", old if form["query"].endswith("[1h]") else [])

    async with prometheus(answers) as reader:
        reading = await read(reader)
    assert reading.reason == "StaleMetrics"
    assert reading.problem is not None and "400 s old, more than 120 s" in reading.problem


@pytest.mark.parametrize(
    ("result", "reason", "sentence"),
    [
        ([], "MetricsUnavailable", "has no metrics of pod credit-v2-0"),
        ([series("modelward_requests_total", (990, "1"), job="a"), series("modelward_requests_total", (995, "1"), job="b")],
         "InvalidResult", "more than once (job='a'"),
        ([series("modelward_requests_total", (990, "NaN"))], "InvalidResult", "is nan"),
    ],
    ids=["no data", "scraped by two jobs", "NaN"],
)  # fmt: skip
async def test_metrics_that_cannot_be_used_are_a_problem(result: Sequence[Any], reason: str, sentence: str) -> None:
    async with prometheus(lambda _: success("matrix", result)) as reader:
        reading = await read(reader)
    assert reading.reason == reason and reading.pods == ()
    assert reading.problem is not None and sentence in reading.problem


async def test_a_prometheus_that_never_answers_is_given_up() -> None:
    async def handler(_: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    async with serving(handler) as port, aiohttp.ClientSession() as session:
        connection = Connection("main", f"http://127.0.0.1:{port}", limits=Limits(0.3, 1024))
        reader = MetricsReader(PodsSource(session), {"main": PrometheusSource(connection, session)})
        reading, answer = await read(reader), await ask(reader)
    assert reading.problem == answer.problem == "Prometheus main did not answer within 0.3 s"


async def test_a_prometheus_that_is_down_is_a_problem() -> None:
    async with prometheus(lambda _: "", url="http://127.0.0.1:1") as reader:
        reading, answer = await read(reader), await ask(reader)
    assert reading.problem is not None and reading.problem.startswith("Prometheus main could not be reached")
    assert answer.value is None and answer.reason == "MetricsUnavailable"


@pytest.mark.parametrize(
    ("body", "reason", "sentence"),
    [
        ("<html>", "MetricsUnavailable", "did not answer as a Prometheus query API does"),
        (
            {"status": "success", "data": {"resultType": "vector", "result": [{"value": 3}]}},
            "MetricsUnavailable",
            "did not answer",
        ),
        ({"status": "error", "error": "parse error"}, "InvalidResult", "refused the query: parse error"),
        (success("matrix", []), "InvalidResult", "gave a matrix where a scalar or vector is needed"),
        (success("vector", []), "MetricsUnavailable", "no data instead of one number"),
        (
            success(
                "vector",
                [
                    {"metric": {"__name__": "up", "pod": "b", "job": "j"}, "value": [1, "1"]},
                    {"metric": {"pod": 'a"b'}, "value": [1, "NaN"]},
                    {"value": [1, "2"]},
                ],
            ),
            "InvalidResult",
            'the query gave 3 series instead of one number, such as up{job="j",pod="b"} = 1 and {pod="a\\"b"} = NaN: add them up',
        ),
        (
            success("vector", [{"metric": {f"label_{i}": "x" * 1000 for i in range(30)}, "value": [1, "1"]}] * 2),
            "InvalidResult",
            "xxx... = 1 and {label_0=",
        ),
        (success("vector", [{"value": [1, "NaN"]}]), "InvalidResult", "NaN instead of a finite number"),
        (success("scalar", [1, "+Inf"]), "InvalidResult", "+Inf instead of a finite number"),
        ("x" * 70_000, "MetricsUnavailable", "more than 64 KiB"),
    ],
    ids=["HTML", "garbage", "refused", "range", "nothing", "series", "long labels", "NaN", "infinite", "too large"],
)
async def test_a_query_that_is_not_one_finite_number_has_no_value(body: Any, reason: str, sentence: str) -> None:
    async with prometheus(lambda _: body) as reader:
        answer = await ask(reader)
    assert answer.value is None and answer.reason == reason
    assert answer.problem is not None and sentence in answer.problem


async def test_names_are_filled_in_and_the_sample_time_is_asked_for() -> None:
    asked: list[Mapping[str, str]] = []

    def answers(form: Mapping[str, str]) -> Any:
        asked.append(form)
        return success("vector", [{"value": [NOW, "940" if form["query"].startswith("timestamp(") else "0.25"]}])

    async with prometheus(answers) as reader:
        answer = await ask(reader, 'x{pod=~"{{ model }}-{{candidate}}-.*", was="{{incumbent}}", in="{{namespace}}"}')
    assert (answer.value, answer.at, answer.problem) == (0.25, 940.0, None)
    assert asked[0]["query"] == 'x{pod=~"credit-v2-.*", was="v1", in="lending"}'
    assert asked[0]["lookback_delta"] == "120"


async def test_a_sample_older_than_the_gate_allows_is_stale() -> None:
    async with prometheus(
        lambda form: success("vector", [{"value": [NOW, "800" if "timestamp" in form["query"] else "1"]}])
    ) as reader:
        answer = await ask(reader)
    assert answer.reason == "StaleMetrics" and answer.value is None
    assert answer.problem is not None and "200 s old" in answer.problem


async def test_a_query_whose_samples_are_all_too_old_says_how_old_they_are() -> None:
    def answers(form: Mapping[str, str]) -> Any:
        old = form["query"] == "max_over_time(timestamp(\nup\n)[1h:120s])"
        return success("vector", [{"value": [NOW, "400"]}, {"value": [NOW, "300"]}] if old else [])

    async with prometheus(answers) as reader:
        answer = await ask(reader)
    assert (answer.value, answer.reason) == (None, "StaleMetrics")
    assert answer.problem == "the query's newest sample is 600 s old, more than 120 s"


@pytest.mark.parametrize(
    ("query", "names", "sentence"),
    [
        ("x{a='{{incumbent}}'}", QueryNames("credit", "lending", "v2"), "there is no incumbent"),
        ("x{a='{{secret}}'}", NAMES, "unknown placeholder {{secret}}"),
        ("x{a='{{model}}'}", QueryNames("x'} or y", "lending", "v2"), "is not a name of Kubernetes"),
    ],
    ids=["no incumbent", "unknown placeholder", "a name that is no name"],
)
async def test_a_query_that_cannot_be_filled_in_is_not_asked(query: str, names: QueryNames, sentence: str) -> None:
    def refuse(_: Mapping[str, str]) -> Any:
        raise AssertionError("asked")

    async with prometheus(refuse) as reader:
        answer = await ask(reader, query, names)
    assert answer.problem is not None and sentence in answer.problem


async def test_an_unknown_source_names_the_configured_ones() -> None:
    async with prometheus(lambda _: "") as reader:
        answer = await reader.query(QueryGate(source="other", query="up", min=0), NAMES, NOW)
    assert answer.problem == "there is no metric source 'other': the platform configured main"


async def test_a_bearer_token_is_read_anew_for_each_request(tmp_path: Path) -> None:
    token = tmp_path / "token"
    seen: list[str] = []

    def answers(form: Mapping[str, str]) -> Any:
        seen.append(form["authorization"])
        return success("scalar", [NOW, "1"])

    async with prometheus(answers, credentials=Credentials(bearer_token_file=token)) as reader:
        missing = await ask(reader)
        token.write_text("first\n")
        await ask(reader)
        token.write_text("second\n")
        await ask(reader)
    assert missing.problem is not None and f"the credentials in {token} cannot be read" in missing.problem
    assert seen == ["Bearer first", "Bearer second"]
