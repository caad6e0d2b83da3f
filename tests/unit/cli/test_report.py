"""`modelward report`: figures, attention and models, for a person, a program and a page."""

import json
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from modelward.cli.cluster import Forbidden
from modelward.cli.main import app
from modelward.governance.chain import document_of
from tests.unit.governance.test_flow import CANARY, FIRST, START, V1, a_model, chain

NOW = datetime.now(UTC)
PENDING = {"role": "risk", "version": "v2", "missing": 1, "before": "Canary", "due": True}


def shifted(**changes: Any) -> list[dict[str, Any]]:
    """The records of a first version and of a canary that failed, as if they were of last week."""
    offset = NOW - timedelta(days=7) - START
    documents = [document_of(record) for record in chain(*FIRST, *CANARY, (15, "RolledBack", "v2", V1))]
    for document in documents:
        document["time"] = (datetime.fromisoformat(document["time"]) + offset).isoformat()
    return [{"metadata": {"namespace": "lending", "name": "r"}, "spec": document | changes} for document in documents]


class Fed:
    """A cluster with a portfolio in it."""

    namespace = "lending"

    def __init__(self, refuses: str = "") -> None:
        self.refuses = refuses
        waiting = {**PENDING, "since": (NOW - timedelta(hours=5)).isoformat()}
        pod = {"containers": [{"name": "s", "image": "ollama/ollama:1"}]}
        self.objects = {
            "Model": [
                a_model("good", Owned="True", MonitoringReady="True"),
                a_model("dead", Zombie="True", Owned="False"),
                a_model("next", pending=[waiting], production=False),
                a_model("<script>alert(1)</script>", Ungoverned="True"),
            ],
            "ModelAuditRecord": shifted(),
            "Pod": [{"kind": "Pod", "metadata": {"namespace": "lending", "name": "by-hand", "uid": "1"}, "spec": pod}],
        }

    def list(self, resource: Any, namespace: str | None = None, selector: str = "") -> list[dict[str, Any]]:
        if resource.kind == self.refuses:
            raise Forbidden("pods is forbidden. Ask who runs the cluster for that right.")
        return self.objects.get(resource.kind, [])

    def now(self) -> datetime:
        return datetime.now(UTC)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    def invoke(*arguments: str, refuses: str = "") -> Any:
        monkeypatch.setattr("modelward.cli.report.connect", lambda *_: Fed(refuses))
        return CliRunner().invoke(app, ["report", *arguments])

    return invoke


def test_a_person_reads_figures_attention_and_models(run: Any) -> None:
    result = run()
    assert result.exit_code == 0, result.output
    said = {line.split("  ")[0]: " ".join(line.split()) for line in result.stdout.splitlines()}
    assert said["Monitored and owned"] == "Monitored and owned 33 % of 3 in production; 1 monitored, 1 owned"
    assert said["Candidate to production"] == ("Candidate to production 1h median of 1; 90 % within 1h, all within 1h")
    assert said["Fault found in a rollout"].startswith("Fault found in a rollout at most 3h median of 1")
    assert (
        said["Rollbacks"]
        == "Rollbacks 0.33 in 30 days 1 of 2 rollouts (50 %), 0 of them before any user; 0 in production"
    )
    assert said["Approvals waiting"].startswith(
        "Approvals waiting 1 the oldest for 5h"
    )  # or a minute more, where tests are slow
    assert said["Zombie"] == "Zombie lending dead Zombie of dead"
    assert "Pod lending/by-hand looks like an inference server (Ollama: image ollama/ollama:1)" in said["Unregistered"]
    assert "Unreadable this release cannot read the object:" in said["lending"]
    assert result.stdout.isascii()


def test_a_program_reads_the_same(run: Any) -> None:
    found = json.loads(run("-o", "json").stdout)
    assert found["state"]["monitoredAndOwned"] == 1
    assert found["figures"]["candidateToProduction"]["median"] == 3600.0
    assert [each["name"] for each in found["unregistered"]] == ["by-hand"]
    assert {row["name"] for row in found["rows"]} >= {"good", "dead", "next"}


class Page(HTMLParser):
    """What a browser would fetch or run, and the texts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "action")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_needs_no_network_and_runs_nothing_that_a_model_is_called(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "portfolio.html"
    assert run("--html", str(file)).exit_code == 0
    page = Page()
    page.feed(file.read_text("utf-8"))
    assert "script" not in page.tags and page.links == []
    assert "<script>alert(1)</script>" in page.texts
    assert page.tags.count("rect") == 2, "one bar for the promotion, one for the rollback"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param(("--since", "soon"), 2, "'soon' is no period", id="no period"),
        pytest.param(("--html", "/no/such/folder/x.html"), 1, "cannot be written", id="no such folder"),
    ],
)
def test_what_cannot_be_done_is_said_with_a_remedy(run: Any, arguments: tuple[str, ...], code: int, said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == code
    assert said in result.output


def test_who_may_not_list_pods_gets_the_rest(run: Any) -> None:
    result = run(refuses="Pod")
    assert result.exit_code == 0
    assert "Note: Unregistered workloads were not looked for: pods is forbidden." in result.stdout


def test_a_period_leaves_out_what_was_before(run: Any) -> None:
    assert json.loads(run("--since", "2d", "-o", "json").stdout)["figures"]["promoted"] == 0
