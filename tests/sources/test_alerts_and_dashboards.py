"""The chart's alerts and dashboards in a real Prometheus, which reads the page that the operator's own code makes."""

import asyncio
import json
import re
import subprocess
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from cluster import binaries
from docs.example_metrics import MODEL, NAMESPACE, Operator
from tests.ports import free_port
from tests.unit.metrics.loopback import serving

CHART = Path(__file__).parents[2] / "charts" / "modelward"
RULES = sorted((CHART / "alerts").glob("*.yaml"))
GROUPS = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
LIMIT = 180.0
# A page of an operator that leads cannot provoke these; promtool does, below.
OF_A_SILENT_OPERATOR = frozenset({"ModelwardOperatorDown", "ModelwardNobodyLeads", "ModelwardSeesNothing"})


@dataclass(frozen=True)
class Prometheus:
    url: str
    session: aiohttp.ClientSession

    async def ask(self, path: str, **parameters: str) -> Any:
        async with self.session.get(f"{self.url}/api/v1/{path}", params=parameters) as response:
            answer = await response.json()
        assert answer["status"] == "success", answer
        return answer["data"]

    async def result(self, query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.ask("query", query=query))["result"]
        return found

    async def alerts(self) -> dict[str, dict[str, Any]]:
        """Every rule, with its health and the alerts that are pending or firing."""
        groups = (await self.ask("rules", type="alert"))["groups"]
        return {rule["name"]: rule for group in groups for rule in group["rules"]}

    async def wait(self) -> None:
        """Until rates have something to go by and every rule was judged with it."""
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            try:
                scraped = await self.result("count_over_time(modelward_operator_is_leader[1m]) >= 5")
                judged = await self.result('prometheus_rule_group_iterations_total{rule_group=~".*modelward.*"} >= 8')
            except aiohttp.ClientError:
                scraped, judged = [], []
            if scraped and len(judged) == len(GROUPS):
                return
            await asyncio.sleep(0.2)
        raise AssertionError("Prometheus did not scrape or did not judge the rules")


@asynccontextmanager
async def watching(operator: Operator, folder: Path) -> AsyncIterator[Prometheus]:
    """A Prometheus that scrapes an operator, itself, and judges the chart's rules."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(body=operator.page(), headers={"Content-Type": "text/plain; version=0.0.4"})

    folder.mkdir()
    async with serving(page) as operator_port, aiohttp.ClientSession() as session:
        port = free_port()
        jobs = [("modelward", operator_port), ("prometheus", port)]
        configuration = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "300ms"},
            "rule_files": [str(path) for path in RULES],
            "scrape_configs": [
                {"job_name": name, "honor_labels": True, "static_configs": [{"targets": [f"127.0.0.1:{number}"]}]}
                for name, number in jobs
            ],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        command = [
            str(binaries.path("prometheus")),
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            prometheus = Prometheus(f"http://127.0.0.1:{port}", session)
            await prometheus.wait()
            yield prometheus
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture(scope="module")
async def troubled(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Prometheus]:
    async with watching(Operator(troubled=True), tmp_path_factory.mktemp("troubled") / "data") as prometheus:
        yield prometheus


@pytest.fixture(scope="module")
async def well(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Prometheus]:
    async with watching(Operator(), tmp_path_factory.mktemp("well") / "data") as prometheus:
        yield prometheus


async def test_every_alert_is_raised_when_what_it_is_about_happens(troubled: Prometheus) -> None:
    rules = await troubled.alerts()
    assert set(rules) == set(ALERTS)
    quiet = {name for name, rule in rules.items() if rule["state"] == "inactive"}
    assert quiet == OF_A_SILENT_OPERATOR
    assert {rule["health"] for rule in rules.values()} == {"ok"}


async def test_what_an_alert_says_has_its_names_and_figures(troubled: Prometheus) -> None:
    for name, rule in (await troubled.alerts()).items():
        for alert in rule["alerts"]:
            said = " ".join(alert["annotations"].values())
            assert "<error" not in said, (name, said)
            assert "<no value>" not in said and "{{" not in said, (name, said)
            for label in set(re.findall(r"\$labels\.(\w+)", json.dumps(ALERTS[name]["annotations"]))):
                assert alert["labels"][label] in said, (name, label)


async def test_nobody_is_called_while_all_is_well(well: Prometheus) -> None:
    rules = await well.alerts()
    assert {name: rule["alerts"] for name, rule in rules.items() if rule["state"] != "inactive"} == {}
    assert {rule["health"] for rule in rules.values()} == {"ok"}


def test_every_alert_says_how_bad_it_is_and_what_happened() -> None:
    for name, rule in ALERTS.items():
        assert rule["labels"]["severity"] in ("critical", "warning", "info"), name
        assert set(rule["annotations"]) == {"summary", "description"}, name


# Dashboards.

BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((CHART / "dashboards").glob("*.json"))}
FILLED = {"namespace": NAMESPACE, "model": MODEL, "__rate_interval": "1m"}


def panels(board: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries(board: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (panel["title"], re.sub(r"\$(\w+)", lambda found: FILLED[found[1]], target["expr"]))
        for panel in panels(board)
        for target in panel["targets"]
    ]


QUERIES = [(board, title, query) for board, content in BOARDS.items() for title, query in queries(content)]


@pytest.mark.parametrize(("board", "title", "query"), QUERIES, ids=[f"{board}: {title}" for board, title, _ in QUERIES])
async def test_a_panel_shows_something(
    board: str, title: str, query: str, troubled: Prometheus, well: Prometheus
) -> None:
    # Some panels are about trouble, and are empty without it.
    assert await troubled.result(query) or await well.result(query)


@pytest.mark.parametrize("board", BOARDS)
async def test_the_choices_of_a_dashboard_are_what_there_is(board: str, well: Prometheus) -> None:
    for variable in BOARDS[board]["templating"]["list"]:
        if variable["type"] != "query":
            continue
        found = re.fullmatch(r"label_values\((?P<series>.+), (?P<label>\w+)\)", variable["definition"])
        assert found is not None
        series = re.sub(r"\$(\w+)", lambda name: FILLED[name[1]], found["series"])
        values = await well.ask(f"label/{found['label']}/values", **{"match[]": series})
        assert values == [FILLED[variable["name"]]]


@pytest.mark.parametrize("board", BOARDS)
def test_panels_do_not_lie_over_each_other(board: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARDS[board]["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in BOARDS[board]["panels"]}) == len(BOARDS[board]["panels"])


# promtool: how long it takes until somebody is called.


@dataclass(frozen=True)
class Course:
    """Series over minutes; quiet at one moment and firing at a later one."""

    series: Sequence[tuple[str, str]]
    quiet: str
    fires: str


def condition(kind: str, status: str, reason: str) -> list[tuple[str, str]]:
    labels = f'namespace="lending",model="credit-risk",type="{kind}",status="{status}",reason="{reason}"'
    return [(f"modelward_model_condition{{{labels}}}", "_x10 1x2000")]


ONE = 'namespace="lending",model="credit-risk"'
COURSES = {
    "ModelwardOperatorDown": Course([('modelward_operator_is_leader{job="m"}', "1x10 stale")], "14m", "17m"),
    "ModelwardNobodyLeads": Course(
        [('modelward_operator_is_leader{job="m",pod="a"}', "1x10 0x60"), ('modelward_operator_is_leader{job="m",pod="b"}', "0x70")],
        "12m", "14m",
    ),
    "ModelwardLooksFail": Course(
        [
            ('modelward_operator_reconcile_seconds_count{job="m",outcome="success"}', "0+60x90"),
            ('modelward_operator_reconcile_seconds_count{job="m",outcome="error"}', "0x30 10+10x60"),
        ],
        "40m", "60m",
    ),
    "ModelwardBehind": Course([('modelward_operator_queue_depth{job="m"}', "0x10 80x60")], "25m", "35m"),
    "ModelwardSeesNothing": Course([('modelward_operator_last_event_age_seconds{job="m"}', "0+60x60")], "28m", "32m"),
    "ModelwardAdmissionNotInPlace": Course(condition("ApprovalsTrusted", "False", "AdmissionNotInPlace"), "11m", "13m"),
    "ModelwardWebhookDeaf": Course([('modelward_notifications_waiting{job="m",webhook="t"}', "0x10 3x90")], "70m", "72m"),
    "ModelNotServing": Course(condition("Serving", "False", "BackendsUnavailable"), "11m", "13m"),
    "ModelRolledBack": Course(condition("Ready", "False", "RolledBack"), "9m", "11m"),
    "ModelRolloutPaused": Course(condition("Progressing", "False", "Paused"), "14m", "16m"),
    "ModelSpecInvalid": Course(condition("SpecValid", "False", "VersionNotFound"), "19m", "21m"),
    "ModelTrafficNotApplied": Course(condition("TrafficApplied", "False", "ShareMismatch"), "19m", "21m"),
    "ModelNotPerforming": Course(condition("Performing", "False", "MonitoringFailed"), "10m", "12m"),
    "ModelDrifting": Course(condition("DriftDetected", "True", "ThresholdExceeded"), "10m", "12m"),
    "ModelNotObserved": Course(condition("Performing", "Unknown", "MonitoringUnavailable"), "69m", "71m"),
    "ModelApprovalWaiting": Course(
        [(f'modelward_model_approval_waiting_since_timestamp_seconds{{{ONE},version="v8",role="risk"}}', "0x1500")],
        "24h", "24h1m",
    ),
    "ModelOverrideUsed": Course(
        [(f'modelward_model_override_timestamp_seconds{{{ONE},role="risk"}}', "_x30 1800x100")], "29m", "31m"
    ),
    "ModelOverrideUnreviewed": Course(condition("ReviewCurrent", "False", "OverrideUnreviewed"), "69m", "71m"),
    "ModelReviewOverdue": Course(condition("ReviewCurrent", "False", "ReviewOverdue"), "69m", "71m"),
    "ModelUnowned": Course(condition("Owned", "False", "Ownerless"), "69m", "71m"),
    "ModelZombie": Course(condition("Zombie", "True", "SourceGone"), "69m", "71m"),
    "ModelUngoverned": Course(condition("Ungoverned", "True", "NotApproved"), "14m", "16m"),
    "UnregisteredWorkloads": Course([('modelward_unregistered_workloads{namespace="lending"}', "0x10 2x90")], "70m", "72m"),
    "AuditChainBroken": Course([('modelward_audit_broken_chains{job="m"}', "0x10 1x10")], "10m", "11m"),
    "AuditExportStopped": Course([('modelward_audit_oldest_unexported_age_seconds{job="m"}', "0+60x60")], "20m", "22m"),
    "AuditBacklogGrows": Course([('modelward_audit_backlog_records{job="m"}', "0x10 600+10x60")], "25m", "27m"),
}  # fmt: skip


def test_every_alert_has_a_course() -> None:
    assert set(COURSES) == set(ALERTS)


def test_promtool_finds_nothing_wrong_with_the_rules() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", *map(str, RULES))


def test_an_alert_waits_as_long_as_it_says_and_then_fires(tmp_path: Path) -> None:
    def firing(name: str, at: str, alerts: int) -> dict[str, Any]:
        found = [{"labels": "{}", "value": alerts}] if alerts else []
        expression = f'count(ALERTS{{alertname="{name}",alertstate="firing"}})'
        return {"expr": expression, "eval_time": at, "exp_samples": found}

    tests = [
        {
            "name": name,
            "interval": "1m",
            "input_series": [{"series": series, "values": values} for series, values in course.series],
            "promql_expr_test": [firing(name, course.quiet, 0), firing(name, course.fires, 1)],
        }
        for name, course in COURSES.items()
    ]
    document = {"rule_files": [str(path) for path in RULES], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(document))
    promtool("test", "rules", str(tmp_path / "tests.yaml"))


def test_a_backlog_that_gets_less_calls_nobody(tmp_path: Path) -> None:
    course = {"series": 'modelward_audit_backlog_records{job="m"}', "values": "9000-100x60"}
    quiet = {"alertname": "AuditBacklogGrows", "eval_time": "50m", "exp_alerts": []}
    tests = [{"interval": "1m", "input_series": [course], "alert_rule_test": [quiet]}]
    document = {"rule_files": [str(path) for path in RULES], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(document))
    promtool("test", "rules", str(tmp_path / "tests.yaml"))


def promtool(*arguments: str) -> None:
    done = subprocess.run([str(binaries.path("promtool")), *arguments], capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stdout + done.stderr
