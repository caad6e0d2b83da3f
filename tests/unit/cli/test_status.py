"""`modelward status`: what is read in a terminal, what is read by programs, and that both are the same."""

import json
import re
from datetime import timedelta
from io import StringIO

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from modelward.cli.main import app
from modelward.cli.status_read import InForce, overview, row, subject_of
from modelward.cli.status_tree import BAR, bar, is_plain, line, picture, table
from modelward.cli.watching import Seen
from modelward.lifecycle.overview import GateShown
from tests.unit.cli.statuses import Fed, stored
from tests.unit.lifecycle.builders import ERRORS, NOW, model, policy

ASKS = policy(canary__gates=[{**ERRORS, "minSamples": 2000}], canary__approvals=[{"role": "risk", "beforeWeight": 50}])
FIGURES = {"figure": 0.001, "low": -0.002, "high": 0.004, "bound": 0.005, "samples": 12_000}


def waiting():
    return model().under(ASKS).serving("v7").canary("v8").trusts().gate("errors", "Pass", "errors are fine", **FIGURES)


def failed():
    return model().serving("v7").canary("v8").trusts().gate("errors", "Fail", "errors rose", **FIGURES)


def shown(given, now=NOW):
    raw, kept = stored(given)
    return overview(subject_of(raw, InForce(Fed(raw, kept))), now)


def drawn(given, width=100, terminal=True, **options):
    out = StringIO()
    console = Console(file=out, width=width, force_terminal=terminal, color_system=None, highlight=False)
    console.print(picture(shown(given), plain=not terminal, **options), soft_wrap=not terminal)
    return out.getvalue().splitlines()


@pytest.fixture
def run(monkeypatch):
    def invoke(objects, *arguments, **env):
        monkeypatch.setattr("modelward.cli.status.connect", lambda *_: Fed(*objects))
        return CliRunner().invoke(app, ["status", *map(str, arguments)], env=env)

    return invoke


def test_the_first_line_says_what_goes_on_and_the_second_what_to_type():
    lines = drawn(waiting(), width=200)
    assert lines[0].startswith("v8 waits in Canary at 10 % for 1 approval as risk")
    assert lines[1] == "  modelward approve credit-risk -n lending --version v8 --role risk"


def test_the_tree_has_what_is_wrong_then_versions_then_approvals_then_what_comes():
    text = "\n".join(drawn(waiting()))
    order = [
        "lending/credit-risk",
        "wrong",
        "v8  Candidate",
        "v7  Production",
        "approvals",
        "next",
        "then Canary at 50 %",
    ]
    places = [text.index(each) for each in order]
    assert places == sorted(places)
    assert "v8  Candidate in Canary since 60m, 10 % of requests" in text
    assert re.search(r"errors  Pass  [─━●┃]{20}  0\.001 \(-0\.002 to 0\.004\), bound 0\.005", text)


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal_but_a_command_that_is_copied(width):
    for text in drawn(waiting(), width=width) + drawn(failed(), width=width):
        assert len(text) <= width or "modelward" in text


def test_piped_it_is_plain_ascii_and_every_fact_is_one_line():
    lines = drawn(waiting(), width=240, terminal=False)
    assert "\n".join(lines).isascii()
    assert "  v8  Candidate in Canary since 60m, 10 % of requests: under policy steady" in [
        each.rstrip() for each in lines
    ]


def test_piped_a_sentence_stays_whole_however_long_it_is():
    long = "errors rose " * 60
    given = model().under(ASKS).serving("v7").canary("v8").gate("errors", "Inconclusive", long, **FIGURES)
    assert any(long.strip() in each for each in drawn(given, width=240, terminal=False))


def test_a_gate_that_failed_is_told_under_the_version_that_is_latched():
    text = "\n".join(drawn(failed()))
    assert "v8  Latched in Canary since 0s" in text
    assert text.splitlines()[0].startswith("v8 failed in Canary 0s ago and is latched; v7 serves all traffic")


def test_a_connection_that_broke_makes_the_picture_old():
    assert drawn(waiting(), problem="https://here gives no answer.")[-1].startswith("Old, since the connection broke")


def gate(**changes):
    values = {
        "name": "errors", "result": "Pass", "reason": "", "sentence": "", "figure": None, "low": None, "high": None,
        "bound": None, "samples": 0, "needed": None, "window": "", "holds": True, "at": NOW,
    }  # fmt: skip
    return GateShown(**{**values, **changes})


BARS = {
    "an interval that is clear of the bound": (
        {"low": -0.002, "high": 0.002, "figure": 0.0, "bound": 0.005}, "--====o=====-----|--"
    ),
    "an interval with the bound in it": (
        {"low": -0.006, "high": 0.011, "figure": 0.002, "bound": 0.005}, "--=======o==|=====--"
    ),
    "an interval beyond the bound": (
        {"low": 0.021, "high": 0.047, "figure": 0.034, "bound": 0.005}, "--|-----=====o====--"
    ),
    "a metric that has to be above its bound": (
        {"low": 0.86, "high": 0.88, "figure": 0.871, "bound": 0.80}, "--|----------===o=--"
    ),
    "a share of the samples": ({"samples": 500, "needed": 2000}, "#####..............."),
    "more samples than needed": ({"samples": 5000, "needed": 2000}, "####################"),
    "nothing known": ({}, ""),
    "an interval of one point on the bound": ({"low": 0.0, "high": 0.0, "figure": 0.0, "bound": 0.0}, "--|-----------------"),
}  # fmt: skip


@pytest.mark.parametrize("case", BARS)
def test_a_bar_shows_how_far_an_interval_is_from_its_bound(case):
    values, wanted = BARS[case]
    found = bar(gate(**values), plain=True)
    assert len(found) in (0, BAR)
    assert found == wanted, found


def test_a_table_has_those_that_need_somebody_first():
    rows = [row(stored(given, name)[0], NOW) for name, given in (("calm", model().serving("v7")), ("stuck", failed()))]
    out = StringIO()
    Console(file=out, width=200).print(table(rows, plain=True))
    _, first, second = out.getvalue().splitlines()
    assert first.split()[:2] == ["lending/stuck", "v7"] and "v8 failed in Canary" in first
    assert second.split()[:2] == ["lending/calm", "v7"] and "nothing is under way" in second


def test_a_namespace_without_models_says_so(run):
    assert run([]).stdout == "There are no Models here.\n"


def test_a_model_that_is_not_there_is_told_with_where_to_look(run):
    result = run([], "credit-risk")
    assert result.exit_code == 1
    assert "there is no Model lending/credit-risk: `kubectl get models -A` lists them" in result.stderr


def test_a_model_and_all_namespaces_exclude_one_another(run):
    assert run([], "credit-risk", "-A").exit_code == 2


OF_A_MODEL = {
    "namespace": str, "model": str, "owner": str, "tier": str, "at": str, "requested": str, "headline": dict, "wrong": list,
    "versions": list, "approvals": list, "coming": list, "notes": list,
}  # fmt: skip
OF_ITS_PARTS = {
    "headline": {"urgency", "what", "todo", "command"},
    "wrong": {"condition", "status", "reason", "message", "since"},
    "versions": {"version", "role", "stage", "since", "weight", "mirror", "note", "gates"},
    "approvals": {"version", "role", "before", "missing", "due", "since", "refused", "command"},
    "coming": {"what", "at"},
}
OF_A_GATE = {
    "name", "result", "reason", "sentence", "figure", "low", "high", "bound", "samples", "needed", "window", "holds", "at",
}  # fmt: skip
OF_A_ROW = {
    "namespace", "model", "production", "candidate", "stage", "weight", "gates", "owner", "tier", "headline",
}  # fmt: skip


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_programs_read_these_fields_and_no_others(run, output):
    text = run(stored(waiting()), "credit-risk", "-o", output).stdout
    read = json.loads(text) if output == "json" else yaml.safe_load(text)
    assert {name: type(value) for name, value in read.items()} == OF_A_MODEL
    for part, fields in OF_ITS_PARTS.items():
        first = read[part] if isinstance(read[part], dict) else read[part][0]
        assert set(first) == fields, part
    assert set(read["versions"][0]["gates"][0]) == OF_A_GATE
    assert read["versions"][0]["gates"][0]["needed"] == 2000
    assert read["headline"]["urgency"] == "Act"


def test_programs_read_of_a_list_these_fields(run):
    (read,) = json.loads(run(stored(waiting()), "-o", "json").stdout)
    assert set(read) == OF_A_ROW
    assert (read["production"], read["candidate"], read["weight"]) == ("v7", "v8", 10)


def test_a_policy_that_may_not_be_read_is_a_note_and_no_error():
    raw, _ = stored(waiting())
    found = overview(subject_of(raw, InForce(Fed(raw))), NOW)
    assert found.notes and "ControllerRevisions" in found.notes[0]
    assert not any("then Canary" in each.what for each in found.coming)


def test_a_copy_of_a_policy_that_somebody_edited_is_not_believed():
    raw, kept = stored(waiting())
    kept["data"]["spec"]["stages"]["canary"]["steps"][0]["minDuration"] = "99h"
    found = overview(subject_of(raw, InForce(Fed(raw, kept))), NOW)
    assert found.notes


def test_a_status_of_another_release_is_an_error_with_a_remedy(run):
    raw, kept = stored(waiting())
    raw["status"]["rollout"]["stage"] = "Beyond"
    result = run([raw, kept], "credit-risk")
    assert result.exit_code == 1
    assert "cannot be read by this release" in result.stderr


def test_one_model_of_another_release_does_not_hide_the_others(run):
    newer, _ = stored(waiting(), "fraud")
    newer["status"]["rollout"]["stage"] = "Beyond"
    result = run([newer, *stored(waiting())])
    assert result.exit_code == 0
    fraud, credit_risk = (
        next(line for line in result.stdout.splitlines() if name in line) for name in ("fraud", "credit-risk")
    )
    assert "ModelStatus fraud cannot be read by this release, rollout." in fraud
    assert "v8 Canary" in credit_risk


def test_a_watch_goes_on_past_a_model_of_another_release(run, monkeypatch):
    newer, _ = stored(waiting(), "fraud")
    newer["status"]["rollout"]["stage"] = "Beyond"
    well, copy = stored(waiting())
    objects = {("lending", each["metadata"]["name"]): each for each in (newer, well)}
    monkeypatch.setattr("modelward.cli.status_shown.changes", lambda *_: iter([Seen(objects)]))
    result = run([newer, well, copy], "--watch")
    assert result.exit_code == 0
    assert "lending/credit-risk: " in result.stdout
    assert "fraud cannot be read by this release" in result.stderr


def test_a_policy_of_another_release_does_not_hide_the_one_that_was_pinned(run):
    raw, _ = stored(waiting())
    newer = {
        "kind": "LifecyclePolicy",
        "metadata": {"name": "newer"},
        "spec": {"stages": {"validation": {"gates": [{"name": "x"}]}}},
    }
    result = run([raw, newer], "credit-risk")
    assert result.exit_code == 0
    assert "The pinned policy cannot be read" in result.stdout


def test_a_line_of_a_log_has_the_sentences_and_the_command():
    found = shown(waiting(), NOW + timedelta(seconds=30))
    told = line(found.namespace, found.model, found.headline)
    assert told.startswith("lending/credit-risk: v8 waits in Canary at 10 % for 1 approval as risk")
    assert told.endswith("modelward approve credit-risk -n lending --version v8 --role risk")


def test_names_of_others_cannot_steer_the_terminal():
    said = "\x1b[31mred\nsecond line"
    given = model().under(ASKS).serving("v7").canary("v8").gate("errors", "Inconclusive", said, **FIGURES)
    text = "\n".join(drawn(given))
    assert "?[31mred?second line" in text
    assert "\x1b" not in text


def test_no_colours_are_wanted_by_some_people(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert is_plain(Console(force_terminal=True))
