"""`modelward history`: what happened, newest first, from the status or from the chain."""

import json
import re
from datetime import timedelta

import pytest
import yaml
from typer.testing import CliRunner

from modelward.api.status import HistoryEntry
from modelward.cli.history import steps_of_records
from modelward.cli.main import app
from modelward.governance.chain import document_of
from tests.unit.cli.statuses import Fed, stored
from tests.unit.governance.test_flow import CANARY, FIRST, START, V1, chain
from tests.unit.lifecycle.builders import NOW, model

FIELDS = {"at", "version", "action", "who", "message", "after", "stage", "weights", "approvals", "revision", "record"}


def entry(minutes, version, action, actor=""):
    at = NOW - timedelta(minutes=minutes)
    return HistoryEntry(at=at, version=version, action=action, message=f"{version}: {action}.", actor=actor)


STEPS = (
    entry(5, "v8", "RolledBack"),
    entry(65, "v8", "DecisionRecorded", actor="ada@example.com"),
    entry(90, "v7", "WatchPassed"),
    entry(125, "v8", "RolloutStarted"),
)


def records(*steps):
    return [
        {"kind": "ModelAuditRecord", "metadata": {"name": f"r{each.seq}"}, "spec": document_of(each)}
        for each in chain(*steps)
    ]


@pytest.fixture
def run(monkeypatch):
    def invoke(objects, name, *arguments, **env):
        monkeypatch.setattr("modelward.cli.history.connect", lambda *_: Fed(*objects))
        return CliRunner().invoke(app, ["history", name, *map(str, arguments)], env=env)

    return invoke


def told(steps=STEPS):
    # A Model at rest, so that the decision of the builders adds no step.
    return stored(model().serving("v7").status(history=steps))


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_steps_are_newest_first_with_who_and_after_how_long(run, output):
    text = run(told(), "credit-risk", "-o", output).stdout
    read = json.loads(text) if output == "json" else yaml.safe_load(text)
    assert all(set(step) == FIELDS for step in read)
    assert [(step["version"], step["action"], step["who"], step["after"]) for step in read] == [
        ("v8", "RolledBack", "modelward", 3600.0),
        ("v8", "DecisionRecorded", "ada@example.com", 3600.0),
        ("v7", "WatchPassed", "modelward", None),
        ("v8", "RolloutStarted", "modelward", None),
    ]


def test_piped_each_step_is_a_line(run):
    lines = run(told(), "credit-risk").stdout.splitlines()
    assert lines[0].split() == ["TIME", "VERSION", "WHAT", "AFTER", "WHO", "WHY"]
    assert lines[1].split("  ")[0] == "2026-11-21T11:55:00Z"
    assert "after 60m" in lines[1] and lines[1].rstrip().endswith("v8: RolledBack.")
    assert len(lines) == 5


def test_in_a_terminal_each_step_is_a_paragraph(run):
    said = run(told(), "credit-risk", FORCE_COLOR="1", TERM="xterm-256color", COLUMNS="80", NO_COLOR="1").stdout
    first, second, *_ = re.sub(r"\x1b\[[0-9;]*m", "", said).splitlines()
    assert first.endswith(" ago  v8  RolledBack  after 60m  by modelward")
    assert second.rstrip() == "    v8: RolledBack."


def test_one_version_and_the_newest_so_many(run):
    read = json.loads(run(told(), "credit-risk", "--version", "v8", "--limit", 2, "-o", "json").stdout)
    assert [step["action"] for step in read] == ["RolledBack", "DecisionRecorded"]


def test_a_full_status_says_where_the_rest_is(run):
    full = tuple(entry(minute, "v8", "WeightChanged") for minute in range(20))
    assert "modelward history credit-risk -n lending --audit" in run(told(full), "credit-risk").stdout
    assert "--audit" not in run(told(), "credit-risk").stdout


def test_the_chain_has_all_steps_with_shares_and_numbers(run):
    objects = records(*FIRST, *CANARY, (15, "RolledBack", "v2", V1))
    read = json.loads(run(objects, "score", "--audit", "-o", "json").stdout)
    assert all(set(step) == FIELDS for step in read)
    assert [step["record"] for step in read] == [6, 5, 4, 3, 2, 1]
    assert (read[0]["action"], read[0]["weights"], read[0]["after"]) == ("RolledBack", {"v1": 100}, 7200.0)
    assert read[1]["weights"] == {"v1": 50, "v2": 50}


def test_a_chain_is_read_in_the_order_of_its_numbers_whatever_the_order_of_the_list():
    steps = steps_of_records(reversed(chain(*FIRST, *CANARY)))
    assert [step.record for step in steps] == [5, 4, 3, 2, 1]
    assert steps[-1].at == START


def test_records_of_other_models_are_left_out(run):
    other = [
        {"kind": "ModelAuditRecord", "metadata": {"name": "x"}, "spec": document_of(each)}
        for each in chain((0, "RolloutStarted", "v1", {}), model="limit")
    ]
    read = json.loads(run([*records(*FIRST), *other], "score", "--audit", "-o", "json").stdout)
    assert len(read) == 2


def test_a_record_of_another_release_is_left_out_with_a_warning(run):
    objects = records(*FIRST)
    objects[0]["spec"]["seq"] = "one"
    result = run(objects, "score", "--audit", "-o", "json")
    assert len(json.loads(result.stdout)) == 1
    assert "1 audit records cannot be read by this release" in result.stderr


def test_a_model_without_records_is_told_where_they_may_be(run):
    result = run([], "score", "--audit")
    assert result.exit_code == 1
    assert "there are no audit records of Model lending/score" in result.stderr


def test_nothing_that_happened_is_said(run):
    assert run(told(()), "credit-risk").stdout == "Nothing has happened yet.\n"
