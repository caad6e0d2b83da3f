"""The output in docs/how-to/kubectl-plugin.md is what the commands print."""

import re
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelward.api.model import Owner
from modelward.cli.commands import TABLE
from modelward.cli.main import app
from tests.unit.cli.statuses import Fed, stored
from tests.unit.lifecycle.builders import ERRORS, NOW, model, policy

PAGE = Path(__file__).parents[3] / "docs/how-to/kubectl-plugin.md"
WIDTH = 110

LATENCY = {"name": "latency", "latency": {"slo": "250ms", "maxIncrease": 0.01}}
HIGH = policy(
    "high",
    canary__gates=[{**ERRORS, "minSamples": 2000}, LATENCY],
    canary__approvals=[{"role": "risk", "beforeWeight": 50}],
)
ERRORS_FIT = (
    "errors",
    "Pass",
    "errors changed by -0.2 to 0.4 percentage points against v7 (bound 0.5), 12,340 requests",
)
LATENCY_FITS = (
    "latency",
    "Pass",
    "requests slower than 0.25 s changed by -0.4 to 0.7 percentage points against v7 (bound 1), 12,340 requests",
)
COUNTED = {"samples": 12_340, "method": "stratified normal mixture", "window": "3h24m"}


def of(given):
    return given.spec(owner=Owner(team="lending-ml")).trusts()


def canary(**changes):
    return of(model("credit-risk").under(HIGH).serving("v7").standby("v6").canary("v8", **changes))


def waits():
    """The operator asked two hours ago, and every gate passes."""
    given = canary().at(NOW - timedelta(hours=2))
    given = given.gate(*ERRORS_FIT, figure=0.001, low=-0.002, high=0.004, bound=0.005, **COUNTED)
    given = given.gate(*LATENCY_FITS, figure=0.0015, low=-0.004, high=0.007, bound=0.01, **COUNTED)
    return given.after(given.decide()).at(NOW)


def blind(name="credit-risk"):
    why = f"pod {name}-v8-6d9f on port 9090 path /metrics: connection refused"
    return (
        canary(unknown_since=NOW - timedelta(minutes=35))
        .gate("errors", "Unknown", why, "MetricsUnavailable", bound=0.005)
        .gate("latency", "Unknown", why, "MetricsUnavailable", bound=0.01)
    )


def failed():
    found = "errors rose by 2.1 to 4.7 percentage points against v7 (bound 0.5), 3,120 requests"
    given = canary().at(NOW - timedelta(minutes=12))
    given = given.gate(
        "errors", "Fail", found, figure=0.034, low=0.021, high=0.047, bound=0.005, **COUNTED | {"samples": 3120}
    )
    return given.after(given.decide()).at(NOW)


SITUATIONS = {"waits": waits, "blind": blind, "failed": failed}


def blocks():
    """Each command of the page with what follows it; the comment before says in which situation."""
    text = PAGE.read_text("utf-8")
    return re.findall(r"<!-- (\w+) -->\n```console\n\$ (.*)\n((?:(?!```).*\n)*)```", text)


class AtNow(Fed):
    def now(self):
        return NOW


def printed(monkeypatch, situation, command):
    objects = [each for name in SITUATIONS if situation in ("all", name) for each in _objects(name, situation)]
    monkeypatch.setattr(sys, "argv", ["kubectl-modelward"])
    monkeypatch.setattr("modelward.cli.explain_text.PIPED_WIDTH", WIDTH)
    for module in ("status", "history", "retry"):
        monkeypatch.setattr(f"modelward.cli.{module}.connect", lambda *_: AtNow(*objects))
    words = command.removeprefix("kubectl modelward ").split()
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return "\n".join(line.rstrip() for line in result.output.splitlines()) + "\n"


def _objects(name, situation):
    if situation != "all":
        return stored(SITUATIONS[name]())
    given = blind("fraud") if name == "blind" else SITUATIONS[name]()
    return stored(given, {"waits": "credit-risk", "blind": "fraud", "failed": "churn"}[name])


@pytest.mark.parametrize(("situation", "command", "said"), blocks(), ids=lambda value: str(value)[:60])
def test_the_page_shows_what_the_command_prints(monkeypatch, situation, command, said):
    assert printed(monkeypatch, situation, command) == said


def test_every_situation_is_on_the_page():
    assert {situation for situation, _, _ in blocks()} == {*SITUATIONS, "all"}


def test_the_page_names_every_command():
    text = PAGE.read_text("utf-8")
    assert [name for name in TABLE if f"`{name}`" not in text] == []
