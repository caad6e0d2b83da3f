"""The Prometheus source against a real Prometheus on loopback: native histograms, restarts, staleness, mTLS, passwords."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
import pytest
import yaml
from aiohttp import web

from cluster import binaries
from modelward.api.gates import QueryGate
from modelward.api.model import MetricsEndpoint, MetricsSource
from modelward.metrics.pods import PodsSource
from modelward.metrics.prometheus import Connection, PrometheusSource, QueryNames
from modelward.metrics.reader import MetricsReader
from modelward.metrics.transport import Credentials
from modelward.stats.readings import Binned, PodTarget, Reading
from tests.ports import free_port
from tests.sources.exposition import CONTENT_TYPE, counter, native_histogram, page
from tests.unit.metrics.certificates import Authority
from tests.unit.metrics.loopback import serving

WANTED = ("requests", "errors", "latency", "feature/income")
LIMIT = 180.0
"""Seconds until a server is up and has scraped: this only ends what would hang."""
EXPONENTIAL, COARSE, CUSTOM, CLASSIC = "exponential", "coarse", "custom", "classic"
PODS = (EXPONENTIAL, COARSE, CUSTOM, CLASSIC)


@dataclass
class Servers:
    """What the pods answer, by pod; a pod without an answer is gone."""

    pages: dict[str, tuple[bytes, str]] = field(default_factory=dict)

    async def handle(self, request: web.Request) -> web.Response:
        body, content_type = self.pages.get(request.path.strip("/"), (b"", ""))
        if not content_type:
            return web.Response(status=404)
        return web.Response(body=body, headers={"Content-Type": content_type})


@dataclass(frozen=True)
class Scene:
    servers: Servers
    connection: Connection

    async def look(
        self, *pods: str, until: Callable[[Reading], bool] = lambda reading: reading.problem is None
    ) -> Reading:
        """Read until the reading is as expected: Prometheus scrapes when it will."""
        endpoint = MetricsEndpoint(source=MetricsSource(prometheus="main"))
        targets = [PodTarget(name=pod, namespace="lending", address="", started_at=0.0) for pod in pods]
        async with aiohttp.ClientSession() as session:
            reader = MetricsReader(PodsSource(session), {"main": PrometheusSource(self.connection, session)})
            end = time.monotonic() + LIMIT
            while True:
                reading = await reader.read("v2", targets, endpoint, WANTED, time.time())
                if until(reading) or time.monotonic() > end:
                    return reading
                await asyncio.sleep(0.1)


def native(schema: int, counts: dict[int, int], *, failed: int = 0, **more: int) -> tuple[bytes, str]:
    answered = sum(counts.values())
    families = (
        counter("modelward_requests_total", {(("outcome", "success"),): answered - failed, (("outcome", "error"),): failed}),
        native_histogram("modelward_request_seconds", (), schema, counts, total=1.5),
        native_histogram("modelward_feature_value", (("feature", "income"),), 0, {1: 4}, negative={1: 3}, zeros=2, nans=1),
    )  # fmt: skip
    return page(families), CONTENT_TYPE


def classic(*cumulative: tuple[str, int]) -> tuple[bytes, str]:
    lines = ["# TYPE modelward_request_seconds histogram"]
    lines += [f'modelward_request_seconds_bucket{{le="{edge}"}} {count}' for edge, count in cumulative]
    lines += ["modelward_request_seconds_sum 1.5", f"modelward_request_seconds_count {cumulative[-1][1]}"]
    lines += [
        "# TYPE modelward_requests_total counter",
        f'modelward_requests_total{{outcome="success"}} {cumulative[-1][1]}',
    ]
    return ("\n".join(lines) + "\n").encode(), "text/plain; version=0.0.4"


FIRST = {
    EXPONENTIAL: native(3, {-40: 5, -16: 10, 0: 1}, failed=2),  # up to 2^-5, 0.25 and 1 s
    COARSE: native(0, {-4: 7, 1: 1}),
    CUSTOM: classic(("0.01", 3), ("0.1", 3), ("0.25", 8), ("1", 8), ("+Inf", 9)),
    CLASSIC: classic(("0.01", 3), ("0.1", 3), ("0.25", 8), ("1", 8), ("+Inf", 9)),
}


@pytest.fixture(scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    directory = tmp_path_factory.mktemp("prometheus")
    authority = Authority(directory)
    server, client = authority.issue("prometheus"), authority.issue("operator")
    servers = Servers(dict(FIRST))
    async with serving(servers.handle) as pods_port:
        port = free_port()
        process = _start(directory, _jobs(pods_port), _web(server.cert, server.key, authority.file), port)
        try:
            credentials = Credentials(ca_file=authority.file, cert_file=client.cert, key_file=client.key)
            connection = Connection("main", f"https://127.0.0.1:{port}", max_staleness=6.0, credentials=credentials)
            found = Scene(servers, connection)
            await found.look(CLASSIC)  # it is up
            yield found
        finally:
            process.terminate()
            process.wait(60)


def _jobs(port: int) -> object:
    def job(pod: str) -> dict[str, object]:
        labels = {"namespace": "lending", "pod": pod}
        return {
            "job_name": pod,
            "metrics_path": f"/{pod}",
            "scrape_native_histograms": True,
            "convert_classic_histograms_to_nhcb": pod == CUSTOM,
            "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": labels}],
        }

    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [job(pod) for pod in PODS],
    }


def _web(cert: Path, key: Path, authority: Path) -> object:
    files = {"cert_file": str(cert), "key_file": str(key), "client_ca_file": str(authority)}
    return {"tls_server_config": {**files, "client_auth_type": "RequireAndVerifyClientCert"}}


def _start(directory: Path, jobs: object, web_config: object, port: int) -> subprocess.Popen[bytes]:
    (directory / "prometheus.yml").write_text(yaml.safe_dump(jobs))
    (directory / "web.yml").write_text(yaml.safe_dump(web_config))
    command: Sequence[str] = (
        str(binaries.path("prometheus")),
        f"--config.file={directory}/prometheus.yml",
        f"--web.config.file={directory}/web.yml",
        f"--storage.tsdb.path={directory}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    with (directory / "log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)


def latency(reading: Reading, pod: int = 0) -> Binned:
    assert reading.problem is None, reading.problem
    found = reading.pods[pod].series["latency"]
    assert isinstance(found, Binned)
    return found


def above(histogram: Binned, edge: float) -> float:
    return sum(histogram.counts[histogram.edges.index(edge) + 1 :])


async def test_an_exponential_histogram_is_read_in_bins(scene: Scene) -> None:
    reading = await scene.look(EXPONENTIAL)
    histogram = latency(reading)
    assert (sum(histogram.counts), above(histogram, 2**-5), above(histogram, 0.25)) == (16, 11, 1)
    assert histogram.total == 1.5
    assert (reading.pods[0].series["requests"], reading.pods[0].series["errors"]) == (16, 2)


async def test_negative_values_and_zeros_have_their_bins_and_nan_has_none(scene: Scene) -> None:
    reading = await scene.look(EXPONENTIAL)
    income = reading.pods[0].series["feature/income"]
    assert isinstance(income, Binned)
    assert sum(income.counts) == 9 and above(income, 1.0) == 4
    assert income.counts[income.edges.index(-1.0)] == 3


async def test_pods_with_other_schemas_have_bins_that_can_be_added_up(scene: Scene) -> None:
    reading = await scene.look(EXPONENTIAL, COARSE)
    fine, coarse = latency(reading, 0), latency(reading, 1)
    assert fine.edges == coarse.edges
    assert (above(fine, 1.0), above(coarse, 1.0)) == (0, 1)
    assert (sum(fine.counts), sum(coarse.counts)) == (16, 8)


async def test_custom_buckets_are_read_in_their_own_edges(scene: Scene) -> None:
    histogram = latency(await scene.look(CUSTOM))
    assert histogram == Binned(edges=(0.01, 0.1, 0.25, 1.0), counts=(3, 0, 5, 0, 1), total=1.5)


async def test_classic_and_custom_buckets_of_the_same_page_agree_where_both_have_an_edge(scene: Scene) -> None:
    classic_one, custom_one = latency(await scene.look(CLASSIC)), latency(await scene.look(CUSTOM))
    for edge in custom_one.edges:
        assert above(classic_one, edge) == above(custom_one, edge)


async def test_a_restarted_server_is_seen_as_it_is(scene: Scene) -> None:
    scene.servers.pages[EXPONENTIAL] = native(3, {-16: 4})
    reading = await scene.look(
        EXPONENTIAL, until=lambda one: one.problem is None and one.pods[0].series["requests"] == 4
    )
    assert sum(latency(reading).counts) == 4


async def test_one_finite_number_of_a_query_has_the_time_of_its_sample(scene: Scene) -> None:
    await scene.look(CLASSIC)
    async with aiohttp.ClientSession() as session:
        source = PrometheusSource(scene.connection, session)
        gate = QueryGate(source="main", query='modelward_requests_total{pod="{{model}}"}', min=0, max_staleness="10s")
        names = QueryNames(CLASSIC, "lending", "v2")
        now = time.time()
        answer = await source.query(gate, names, now)
        native_one = await source.query(
            replace_query(gate, 'modelward_request_seconds{pod="exponential"}'), names, time.time()
        )
    assert answer.value == 9 and answer.at is not None and now - 10 < answer.at <= now
    assert native_one.problem == "the query gave a native histogram instead of one number"


def replace_query(gate: QueryGate, query: str) -> QueryGate:
    return gate.model_copy(update={"query": query})


async def test_without_a_certificate_there_is_no_answer_but_a_reason(scene: Scene) -> None:
    trusting = replace(scene.connection.credentials, cert_file=None, key_file=None)
    bare = Scene(scene.servers, replace(scene.connection, credentials=trusting))
    reading = await bare.look(CLASSIC, until=lambda _: True)
    assert reading.reason == "MetricsUnavailable" and reading.pods == ()
    assert reading.problem is not None and reading.problem.startswith("Prometheus main ")


async def test_an_unknown_authority_is_not_trusted(scene: Scene, tmp_path: Path) -> None:
    stranger = replace(scene.connection.credentials, ca_file=Authority(tmp_path).file)
    reading = await Scene(scene.servers, replace(scene.connection, credentials=stranger)).look(
        CLASSIC, until=lambda _: True
    )
    assert reading.problem is not None and "has a certificate that is not trusted" in reading.problem


async def test_a_pod_that_is_not_scraped_any_more_becomes_stale(scene: Scene) -> None:
    await scene.look(COARSE)
    del scene.servers.pages[COARSE]
    reading = await scene.look(COARSE, until=lambda one: one.problem is not None)
    assert reading.reason == "StaleMetrics"
    assert reading.problem is not None and "the newest sample of pod coarse" in reading.problem


# A server that asks for a name and a password.

PASSWORD = "correct horse"
BCRYPT = "$2b$04$c/EPx0SrJva8iaIggtW.LO9ZA6mMkFKZDLfip9JFnmgGaskOymawW"


@pytest.fixture(scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    directory = tmp_path_factory.mktemp("guarded")
    servers = Servers(dict(FIRST))
    async with serving(servers.handle) as pods_port:
        port = free_port()
        process = _start(directory, _jobs(pods_port), {"basic_auth_users": {"operator": BCRYPT}}, port)
        try:
            yield Scene(servers, Connection("main", f"http://127.0.0.1:{port}", max_staleness=6.0))
        finally:
            process.terminate()
            process.wait(60)


def with_password(scene: Scene, directory: Path, password: str) -> Scene:
    file = directory / "password"
    file.write_text(password + "\n")
    credentials = Credentials(username="operator", password_file=file)
    return Scene(scene.servers, replace(scene.connection, credentials=credentials))


async def test_a_name_and_its_password_are_let_in(guarded: Scene, tmp_path: Path) -> None:
    reading = await with_password(guarded, tmp_path, PASSWORD).look(CLASSIC)
    assert reading.problem is None and reading.pods[0].series["requests"] == 9


async def test_another_password_or_none_is_refused_and_said_so(guarded: Scene, tmp_path: Path) -> None:
    await with_password(guarded, tmp_path, PASSWORD).look(CLASSIC)  # it is up
    wrong = await with_password(guarded, tmp_path, "wrong").look(CLASSIC, until=lambda _: True)
    none = await guarded.look(CLASSIC, until=lambda _: True)
    for reading in (wrong, none):
        assert (reading.pods, reading.reason) == ((), "MetricsUnavailable")
        assert reading.problem == "Prometheus main refused the operator's credentials (HTTP 401)"


async def test_two_series_of_a_real_server_are_named_with_their_numbers(guarded: Scene, tmp_path: Path) -> None:
    scene = with_password(guarded, tmp_path, PASSWORD)
    for pod in PODS:
        await scene.look(pod)
    gate = QueryGate(source="main", query='modelward_requests_total{outcome="success"}', min=0, max_staleness="10s")
    async with aiohttp.ClientSession() as session:
        answer = await PrometheusSource(scene.connection, session).query(
            gate, QueryNames(CLASSIC, "lending", "v2"), time.time()
        )
    assert answer.reason == "InvalidResult" and answer.problem is not None
    assert answer.problem.startswith("the query gave 4 series instead of one number, such as modelward_requests_total{")


async def test_a_query_for_what_was_never_there_says_so(guarded: Scene, tmp_path: Path) -> None:
    scene = with_password(guarded, tmp_path, PASSWORD)
    await scene.look(CLASSIC)
    gate = QueryGate(source="main", query="sum(queue_length)", min=0, max_staleness="10s")
    async with aiohttp.ClientSession() as session:
        answer = await PrometheusSource(scene.connection, session).query(
            gate, QueryNames(CLASSIC, "lending", "v2"), time.time()
        )
    assert (answer.value, answer.reason) == (None, "MetricsUnavailable")
    assert answer.problem == (
        "the query gave no data instead of one number: check its metrics and labels in the Prometheus"
    )
