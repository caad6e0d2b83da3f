"""`modelward explain`: what a person reads, what a program reads, and what the page has."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from xml.etree import ElementTree

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from modelward.api.digests import digest_of_model
from modelward.api.status import ModelStatus, MonitoringStatus, Stage
from modelward.cli.explain_text import print_explanation
from modelward.cli.main import app
from modelward.lifecycle.explanation import explain
from modelward.lifecycle.tables import Histogram
from tests.unit.gates.builders import BEGAN
from tests.unit.lifecycle.explained import BASELINE, GATES, MODEL, canary, status_of, stored


class Fed:
    """A cluster with these objects in it."""

    namespace = "lending"

    def __init__(self, *objects):
        self.objects = objects

    def get(self, resource, name, namespace=None):
        return next((o for o in self.objects if o["kind"] == resource.kind and o["metadata"]["name"] == name), None)


@pytest.fixture(scope="module")
def stage():
    return canary()


@pytest.fixture
def run(monkeypatch):
    def invoke(objects, *arguments, **env):
        monkeypatch.setattr("modelward.cli.explain.connect", lambda *_: Fed(*objects))
        return CliRunner().invoke(app, ["explain", "credit-risk", *map(str, arguments)], env=env)

    return invoke


def test_a_person_reads_the_verdicts_the_features_and_the_worst_as_bars(run, stage):
    said = run(stored(stage)).stdout
    lines = said.splitlines()
    assert lines[:5] == [
        "Model:   lending/credit-risk",
        "Version: v8, against v7",
        "Stage:   Canary since 2026-03-01 09:00:00 UTC",
        "Result:  Being judged; nothing is decided yet.",
        "Next:    Canary at 10 % goes on until 10:00:00 UTC.",
    ]
    assert re.search(
        r"quality +Fail \(advisory\) +0\.04686 +0\.03917 to 0\.05545 +0\.02 +12,590 +31m +beta-binomial", said
    )
    assert "drift-from-v7   Pass (advisory)" in said
    assert "errors: errors changed by -0.5 to 0.57 percentage points against v7 (bound 2), 12,000 requests" in lines
    assert "Gate drift: PSI against the baseline, threshold 0.2" in lines
    assert re.search(r"income +drifted +0\.5176 +0\.5162 +0\.003163 +0\.2195 +12,000", said)
    assert re.search(r"region +bad +0 % .*not checked +2 % \(1\.5 % to 2\.6 %; at most 0\.5 %\)", said)
    first_bars = lines.index("income: drifted, debiased distance 0.5207 (threshold 0.2)")
    assert lines[first_bars + 3] == f"                  candidate  {'#' * 40}  35.1 %"


@pytest.mark.parametrize("env", [{}, {"FORCE_COLOR": "1", "NO_COLOR": "1"}], ids=["piped", "NO_COLOR"])
def test_what_no_terminal_reads_is_plain_ascii(run, stage, env):
    assert run(stored(stage), **env).stdout.isascii()


def test_a_terminal_gets_colours_and_blocks(run, stage):
    said = run(stored(stage), FORCE_COLOR="1", TERM="xterm-256color", COLUMNS="160").stdout
    assert "\x1b[1;31mFail" in said
    assert "█" in said


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_a_program_reads_the_same_values(run, stage, output):
    text = run(stored(stage), "-o", output).stdout
    read = json.loads(text) if output == "json" else yaml.safe_load(text)
    assert (read["model"], read["version"], read["stage"], read["incumbent"]) == ("credit-risk", "v8", "Canary", "v7")
    assert [(each["name"], each["result"]) for each in read["gates"]][-1] == ("quality", "Fail")
    assert len(read["gates"][0]["track"]) == 30
    assert read["drift"][0]["features"][0] | {
        "distance": 0,
        "debiased": 0,
        "critical": 0,
        "atLeast": 0,
        "oneLook": 0,
    } == {
        "feature": "income",
        "verdict": "drifted",
        "distance": 0,
        "debiased": 0,
        "critical": 0,
        "atLeast": 0,
        "values": 12000.0,
        "because": "",
        "oneLook": 0,
    }
    assert set(read["drift"][0]["features"][0]["oneLook"]) == {"ks", "wasserstein", "pValue", "adjusted"}
    candidate, incumbent = read["operations"]
    assert (candidate["version"], candidate["requests"], candidate["podsRead"]) == ("v8", 12000.0, 1)
    assert candidate["latency"][2] == {
        "quantile": 0.99,
        "seconds": {"value": 1.0, "low": 1.0, "high": None},
        "saturated": True,
    }
    assert incumbent["unknown"] == {"confidence": "no gate reads its prediction"}
    assert read["quality"][0]["features"][0]["missing"]["bound"] == 0.02
    assert sum(read["histograms"][0]["candidate"]) == pytest.approx(1)


class Page(HTMLParser):
    """The page as a browser reads it: its elements and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


def page(run, objects, tmp_path):
    path = tmp_path / "report.html"
    result = run(objects, "--html", path)
    assert result.exit_code == 0, result.output
    return path.read_text("utf-8")


def test_the_page_has_a_picture_of_every_feature_and_of_every_gate_over_time(run, stage, tmp_path):
    text = page(run, stored(stage), tmp_path)
    pictures = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]
    assert [picture.findtext("title") for picture in pictures] == [
        *(f"Gate {each.name} over time" for each in GATES),
        *(f"Shares of {name} by bin" for name in ("income", "region", "age", "prediction")),
    ]
    assert all(picture.findtext("desc") for picture in pictures)
    income = pictures[len(GATES)]
    assert "up to 20000: baseline 10 %, incumbent 9.9 %, candidate 35.1 %" in (income.findtext("desc") or "")
    assert len(pictures[0].findall("circle")) == 30
    assert len(income.findall("rect")) == 15


def test_the_page_shows_operations_and_marks_what_does_not_decide(run, stage, tmp_path):
    text = page(run, stored(stage), tmp_path)
    assert "<td>at least 1 s (beyond the highest bucket)</td>" in text
    assert text.count('<th scope="colgroup" colspan="4" class="soft">One look, which does not decide</th>') == 3
    assert '<td class="number soft">&lt;1e-16</td>' in text


def test_operations_say_of_both_versions_how_they_run_and_why_something_is_unknown(run, stage):
    said = run(stored(stage)).stdout
    assert "Operations of v8 and v7 since their pods started" in said
    assert re.search(r"^since +2026-02-28 23:00:00 UTC, 10h31m", said, re.MULTILINE)
    assert re.search(r"^requests +12,000 +36,000", said, re.MULTILINE)
    assert re.search(r"^latency p95 +0\.4552 s \(0\.25 to 0\.5\)", said, re.MULTILINE)
    assert re.search(r"^latency p99 +at least 1 s \(beyond the highest bucket\)", said, re.MULTILINE)
    assert re.search(r"^scores up to 0\.1 +40 % .* unknown: no gate reads its prediction", said, re.MULTILINE)


def test_the_wide_form_adds_what_one_look_says(run, stage):
    narrow, wide = run(stored(stage)).stdout, run(stored(stage), "--wide").stdout
    assert "one look, which does not decide" not in narrow
    assert "KS, Wasserstein-1 and p-values of each feature at one look: --wide" in narrow
    assert re.search(
        r"^income +0\.3021 \(0\.3021 to 0\.5521\) +1\.215e\+04 \(25 to no upper bound\)", wide, re.MULTILINE
    )
    assert re.search(r"^region +none +none +<1e-16 +<1e-16", wide, re.MULTILINE)
    assert re.search(r"^age .* 0\.9945 +0\.9945", wide, re.MULTILINE)


def test_operations_and_the_wide_form_fit_a_hundred_columns(stage):
    explained = explain(MODEL, status_of(stage), "v8", stage.evidence, BASELINE)
    console = Console(file=StringIO(), width=100)
    print_explanation(console, explained, wide=True)
    lines = console.file.getvalue().splitlines()
    begin = next(row for row, line in enumerate(lines) if line.startswith("Gate drift, one look"))
    assert [line.split()[0] for line in lines[begin + 1 : begin + 5]] == ["FEATURE", "income", "region", "age"]
    assert "its age             0s at the newest look" in console.file.getvalue()


def test_the_page_loads_nothing_and_runs_nothing(run, stage, tmp_path):
    read = Page(page(run, stored(stage), tmp_path))
    assert not {"script", "link", "img", "iframe", "object", "form"} & set(read.tags)
    assert not [name for name, _ in read.attributes if name in ("src", "href", "style") or name.startswith("on")]
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in read.attributes


def test_names_that_others_give_are_text_on_the_page_and_steer_no_terminal(run, tmp_path):
    name = "\x1b[2J<script>alert(1)</script>[bold]"
    baseline = {"features": [{"name": name, "edges": [1, 2, 3], "counts": [1, 2, 3, 4]}]}
    objects = stored(canary(12, GATES[:1]), baseline=baseline)
    objects[1]["spec"]["version"] = "v8"
    row = objects[0]["status"]["gates"][0]
    row["message"] = name
    said = run(objects).stdout
    assert "\x1b" not in said
    assert "errors: ?[2J<script>alert(1)</script>[bold]" in said
    read = Page(page(run, objects, tmp_path))
    assert "script" not in read.tags
    assert "<script>alert(1)</script>" in read.text


def test_a_rollout_that_ended_is_explained_by_what_it_left(run, stage):
    failed = {
        "version": "v8",
        "digest": "sha256:8",
        "retry": 0,
        "stage": "Canary",
        "reason": "GateFailed",
        "message": "quality: 4.7 % of values are missing",
        "at": "2026-03-01T09:31:00Z",
    }
    status = ModelStatus.model_validate(
        status_of(stage).model_dump(by_alias=True) | {"rollout": None, "failed": [failed], "conditions": []}
    )
    said = run(stored(stage, status)).stdout
    assert "Result:  Failed in Canary at 2026-03-01 09:31:00 UTC (GateFailed): quality: 4.7 % of values are" in said
    assert "raise spec.production.retry" in said
    assert "income: drifted" in said


def test_a_version_whose_rows_are_gone_is_judged_again_on_its_evidence(run, stage):
    objects = stored(stage, ModelStatus())
    said = run(objects, "--version", "v8").stdout
    assert re.search(r"quality +Fail \(advisory\) +0\.04686", said)
    assert "Stage:   Canary since 2026-03-01 09:00:00 UTC" in said


def test_monitoring_is_explained_on_demand(run, stage):
    rows = tuple(row.model_copy(update={"stage": Stage.PRODUCTION}) for row in status_of(stage).gates[:1])
    monitoring = MonitoringStatus(version="v8", since=BEGAN, gates=rows)
    model, version = stored(stage, ModelStatus(monitoring=monitoring))
    kept = version["status"].pop("evidence")
    version["status"]["monitoring"] = kept | {"stageKey": kept["stageKey"].replace("Canary", "Monitoring")}
    said = run((model, version), "--monitoring").stdout
    assert "Stage:   Monitoring since 2026-03-01 09:00:00 UTC" in said
    assert "income: drifted" in said


def without(version, *path):
    *way, last = path
    inner = version
    for key in way:
        inner = inner[key]
    inner.pop(last)


def forget_evidence(model, version):
    without(version, "status", "evidence")
    return model, version


def forget_evidence_and_rows(model, version):
    without(model, "status", "gates")
    return forget_evidence(model, version)


def wait_for_pods(model, version):
    """Its gates have rows from the beginning, which say that nobody has looked yet."""
    for row in model["status"]["gates"]:
        row |= {"samples": 0, "result": "Unknown", "message": "not looked at yet"}
    return forget_evidence(model, version)


def prune(model, version):
    return (model,)


def keep_no_terms(model, version):
    without(version, "status", "evidence", "terms")
    return model, version


def enter_another_stage(model, version):
    model["status"]["rollout"] |= {"stage": "Shadow"}
    without(model, "status", "gates")
    return model, version


def validate(model, version):
    model["status"]["rollout"] |= {"stage": "Validation"}
    return forget_evidence(model, version)


def lose_the_newest_look(model, version):
    version["status"]["evidence"]["candidate"] |= {"problem": "pod v8-a answered with HTML", "reason": "InvalidResult"}
    return model, version


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (forget_evidence, "Note: v8 keeps no evidence: its ModelVersion is gone, or was made anew."),
        (forget_evidence_and_rows, "Note: There is no evidence of v8: no gate has looked at its traffic yet."),
        (wait_for_pods, "Note: There is no evidence of v8: no gate has looked at its traffic yet."),
        (prune, "Note: v8 keeps no evidence: its ModelVersion is gone, or was made anew."),
        (keep_no_terms, "Note: The evidence was gathered by another release of the operator"),
        (enter_another_stage, "Note: Shadow has not been looked at yet; the evidence that is kept is of Canary"),
        (validate, "Note: Validation looks at no traffic, so that there is only what its gates say."),
        (lose_the_newest_look, "could not be used: pod v8-a answered with HTML."),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_cannot_be_shown_is_said(run, stage, change, says):
    result = run(change(*json.loads(json.dumps(stored(stage)))))
    assert result.exit_code == 0, result.output
    assert says in result.stdout


@pytest.mark.parametrize(
    ("objects", "arguments", "says"),
    [
        ((), (), "there is no Model lending/credit-risk: `kubectl get models -A` lists them"),
        (stored(canary(1), ModelStatus())[:1], (), "nothing was decided on Model lending/credit-risk yet"),
        (stored(canary(1))[:1], ("--version", "v3"), "there is no ModelVersion lending/credit-risk-v3"),
        (stored(canary(1)), ("--monitoring",), "nothing monitors Model lending/credit-risk"),
        (stored(canary(1)), ("--html", "/nowhere/at/all"), "/nowhere/at/all cannot be written: No such file"),
    ],
    ids=["no Model", "nothing decided", "no such version", "not monitored", "no such folder"],
)
def test_what_cannot_be_done_is_one_sentence_with_a_remedy(run, objects, arguments, says):
    result = run(objects, *arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {says}")
    assert "Traceback" not in result.output


def test_a_baseline_in_a_config_map_counts_by_its_digest(run, stage):
    text = BASELINE.model_dump_json(by_alias=True, exclude_none=True)
    declared = {"configMap": "training", "digest": digest_of_model(BASELINE)}
    config_map = {"kind": "ConfigMap", "metadata": {"name": "training"}, "data": {"baseline.json": text}}
    model, version = stored(stage, baseline=declared)
    assert "income: drifted" in run((model, version, config_map)).stdout
    lost = run((model, version))
    assert lost.stderr.startswith("Warning: there is no ConfigMap 'training' in the namespace.")
    assert "Note: The baseline cannot be read, so that what is compared with it is left out." in lost.stdout


def test_a_terminal_gets_the_worst_features_and_the_most_telling_bins(stage):
    explained = explain(MODEL, status_of(stage), "v8", stage.evidence, BASELINE)
    flat = (1 / 30,) * 30
    moved = (0.0, *flat[1:-1], 2 / 30)
    many = tuple(Histogram(f"feature-{row}", tuple(map(str, range(30))), flat, None, moved) for row in range(7))
    console = Console(file=StringIO(), width=200)
    print_explanation(console, replace(explained, histograms=many))
    said = console.file.getvalue()
    assert [f"feature-{row}" in said for row in range(7)] == [True] * 5 + [False] * 2
    assert "2 more features are in the report: --html FILE" in said
    assert "18 bins that differ less are in the report: --html FILE" in said
    assert re.search(r"^  29 +baseline", said, re.MULTILINE)
