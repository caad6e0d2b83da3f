"""What the kubelet and Prometheus are told, and what the command line takes."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest

from modelward.api.resources import DEPLOYMENTS
from modelward.runtime import logs, settings
from modelward.runtime.health import health_server
from modelward.runtime.keys import ModelKey
from modelward.runtime.telemetry import Telemetry
from tests.unit.runtime.fakes import FakeClock


async def fetch(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as response:
        return response.status, await response.text()


async def test_a_probe_says_which_check_fails_and_why() -> None:
    async with health_server(
        "127.0.0.1", 0, live={"workers": lambda: None}, ready={"cache": lambda: "not complete"}, metrics=lambda: b""
    ) as port:
        assert await fetch(port, "/healthz") == (200, "workers: ok\n")
        assert await fetch(port, "/readyz") == (503, "cache: not complete\n")


async def test_the_operators_metrics_are_served() -> None:
    telemetry = Telemetry(FakeClock())
    telemetry.watch_leadership(lambda: True)
    telemetry.watch_queue(lambda: 3, lambda: 2, lambda: 1)
    telemetry.count_write(DEPLOYMENTS, "apply")
    telemetry.count_verdict(ModelKey("lending", "credit"), "errors", "Passed")
    async with health_server("127.0.0.1", 0, live={}, ready={}, metrics=telemetry.page) as port:
        _, page = await fetch(port, "/metrics")
    for line in (
        "modelward_operator_is_leader 1.0",
        "modelward_operator_queue_depth 3.0",
        'modelward_operator_writes_total{resource="deployments.apps",verb="apply"} 1.0',
        'modelward_gate_verdicts_total{gate="errors",model="credit",namespace="lending",result="Passed"} 1.0',
    ):
        assert line in page


@pytest.mark.parametrize(
    ("logger", "expected"),
    [
        pytest.param("modelward.runtime", {"message": "leading", "level": "info", "lease": "a"}, id="own-extras"),
        pytest.param("kopf.objects", {"message": "leading", "level": "info"}, id="no-extras-of-libraries"),
    ],
)
def test_a_log_line_is_one_json_object(logger: str, expected: Mapping[str, str]) -> None:
    record = logging.makeLogRecord(
        {"name": logger, "levelname": "INFO", "msg": "lead%s", "args": ("ing",), "lease": "a", "created": 0.0}
    )
    written = json.loads(logs.JsonFormatter().format(record))
    assert written == {"at": "1970-01-01T00:00:00.000Z", "logger": logger} | expected


@pytest.mark.parametrize(
    ("arguments", "environment", "namespaces"),
    [
        pytest.param([], {}, (), id="all"),
        pytest.param([], {"MODELWARD_NAMESPACE": "a, b"}, ("a", "b"), id="environment"),
        pytest.param(
            ["--namespace", "c", "--namespace", "d"], {"MODELWARD_NAMESPACE": "a"}, ("c", "d"), id="flags-win"
        ),
    ],
)
def test_namespaces_come_from_flags_or_environment(
    arguments: list[str], environment: Mapping[str, str], namespaces: tuple[str, ...]
) -> None:
    assert settings.load(arguments, environment).watch_namespaces == namespaces


@pytest.mark.parametrize(
    "arguments",
    [
        ["--workers", "0"],
        ["--health-port", "x"],
        ["--resync-seconds", "-1"],
        ["--metrics-config", "/no/such/file"],
        ["--metrics-presets", "/no/such/directory"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_setting_that_cannot_be_meant_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        settings.load(arguments, {})
    assert arguments[0] in capsys.readouterr().err


def test_every_flag_can_come_from_the_environment(tmp_path: Path) -> None:
    config = tmp_path / "metrics.yaml"
    config.touch()
    found = settings.load([], {"MODELWARD_METRICS_CONFIG": str(config), "MODELWARD_WORKERS": "4"})
    assert (found.metrics_config, found.workers) == (config, 4)


def test_the_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        settings.load(["--help"], {})
    assert "examples:" in capsys.readouterr().out
