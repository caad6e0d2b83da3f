"""The load generator: where it goes, where it refuses to go, and what it counts."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from examples.tumor_screening.load import LoadGenerator, TargetRefused

ROWS = [[1.0, 2.0], [3.0, 4.0]]
REPOSITORY = Path(__file__).resolve().parents[3]
FIRST_QUESTION = web.AppKey("first_question", asyncio.Event)


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1/v1/predict",
        "http://10.0.0.1:8080/",
        "http://198.20.0.1/",
        "http://[2001:db8::1]/",
        "http://example.com/",
        "http://127.0.0.1.example.com/",
        "http://127.0.0.1@192.0.2.1/",
        "https://127.0.0.1/",
        "127.0.0.1:8080",
    ],
)
def test_an_address_outside_is_refused(url: str) -> None:
    with pytest.raises(TargetRefused):
        LoadGenerator(url, ROWS)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8080/", "http://localhost/", "http://[::1]:1/", "http://198.18.0.1/", "http://198.19.255.1/"],
)
def test_this_machine_and_the_benchmarking_network_are_allowed(url: str) -> None:
    LoadGenerator(url, ROWS)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[TestServer]:
    """Answers as v1, every fifth time as a v2 that fails; asks for its host name."""
    asked, first_question = 0, asyncio.Event()

    async def predict(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        first_question.set()
        assert (await request.json())["rows"][0] in ROWS
        if request.host != "screening.example.com":
            return web.Response(status=404)
        failing = asked % 5 == 0
        return web.Response(
            status=500 if failing else 200,
            text="out of memory" if failing else "{}",
            headers={"modelward-version": "v2" if failing else "v1"},
        )

    application = web.Application()
    application[FIRST_QUESTION] = first_question
    application.router.add_post("/v1/predict", predict)
    started = TestServer(application)
    await started.start_server()
    yield started
    await started.close()


async def test_answers_are_counted_by_status_and_version(server: TestServer) -> None:
    generator = LoadGenerator(str(server.make_url("/v1/predict")), ROWS, rate=1000, host_header="screening.example.com")
    summary = await generator.run(max_requests=50)
    assert summary.by_status == {"200": 40, "500": 10}
    assert summary.by_version == {"v1": 40, "v2": 10}
    assert summary.failed_by_version == {"v2": 10}
    assert generator.by_version["v1"] == 40
    assert [failure.problem for failure in generator.failures] == ["out of memory"] * 10
    assert generator.summary(since=generator.answers[-1].at + 1).requests == 0


async def test_the_rate_is_bounded(server: TestServer) -> None:
    generator = LoadGenerator(str(server.make_url("/v1/predict")), ROWS, rate=50)
    summary = await generator.run(duration=0.5)
    assert summary.requests == 25


async def test_stop_ends_a_run_that_has_no_end(server: TestServer) -> None:
    generator = LoadGenerator(str(server.make_url("/v1/predict")), ROWS, rate=200)
    running = asyncio.create_task(generator.run())
    while not generator.answers:
        await asyncio.sleep(0.01)
    generator.stop()
    summary = await asyncio.wait_for(running, 5)
    assert summary.requests == len(generator.answers)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
async def test_a_run_that_somebody_ends_prints_what_it_came_to(server: TestServer, tmp_path: Path, ending: int) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("a,b\n1.0,2.0\n")
    words = ["--url", str(server.make_url("/v1/predict")), "--rows", str(rows), "--rate", "200", "--duration", "3600"]
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "examples.tumor_screening.load", *words, "--host-header", "screening.example.com"),
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        await server.app[FIRST_QUESTION].wait()
        running.send_signal(ending)
        printed, _ = await running.communicate()
    assert running.returncode == 0
    assert json.loads(printed)["requests"] >= 1


async def test_a_refused_connection_is_a_failure_with_its_reason(unused_tcp_port: int) -> None:
    generator = LoadGenerator(f"http://127.0.0.1:{unused_tcp_port}/", ROWS, rate=1000)
    summary = await generator.run(max_requests=3)
    assert summary.by_status == {"0": 3}
    assert "Connector" in generator.failures[0].problem
