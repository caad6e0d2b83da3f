"""`modelward retry`: the diff alone on standard output, the reasons beside it, and a refusal where it would do nothing."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from modelward.cli.main import app
from tests.unit.cli.statuses import Fed, stored
from tests.unit.lifecycle.builders import model

MANIFEST = """\
# Who serves loans.
apiVersion: modelward.dev/v1alpha1
kind: Model
metadata: {name: credit-risk, namespace: lending}
spec:
  production:
    version: v8   # since the retraining
"""
LATCHED = model().serving("v7").failed("v8").requests("v8")


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def invoke(given, *arguments):
        monkeypatch.setattr("modelward.cli.retry.connect", lambda *_: Fed(*stored(given)))
        return CliRunner().invoke(app, ["retry", "credit-risk", *map(str, arguments)])

    return invoke


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_without_a_manifest_the_line_is_shown_where_it_belongs(run):
    result = run(LATCHED)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[2:] == [
        "@@ -1,3 +1,4 @@",
        " spec:",
        "   production:",
        "     version: v8",
        "+    retry: 1",
    ]
    assert "v8 failed in Canary" in result.stderr and "gate errors failed." in result.stderr


def test_the_number_is_raised_above_the_one_that_failed(run):
    again = model().serving("v7").failed("v8", retry=2).requests("v8", retry=2)
    assert run(again).stdout.splitlines()[-2:] == ["-    retry: 2", "+    retry: 3"]


def test_the_diff_of_a_manifest_is_applied_by_git_and_keeps_its_comments(run):
    write(Path("deploy/prod/credit-risk.yaml"), MANIFEST)
    result = run(LATCHED, "-f", "deploy")
    assert result.stdout.startswith("--- a/deploy/prod/credit-risk.yaml\n+++ b/deploy/prod/credit-risk.yaml\n")
    subprocess.run(["git", "apply", "-"], input=result.stdout, text=True, check=True)
    assert Path("deploy/prod/credit-risk.yaml").read_text() == MANIFEST + "    retry: 1\n"


def test_nothing_is_written_by_the_command_itself(run):
    write(Path("credit-risk.yaml"), MANIFEST)
    run(LATCHED, "-f", "credit-risk.yaml")
    assert Path("credit-risk.yaml").read_text() == MANIFEST


REFUSED = {
    "a rollout that is under way": (
        model().serving("v7").canary("v8"), "v8 is asked for, and nothing is latched"
    ),
    "a Model at rest": (model().serving("v7"), "v7 is asked for, and nothing is latched"),
    "a latch that a raised number has lifted": (
        model().serving("v7").canary("v8").failed("v8").requests("v8", retry=1), "nothing is latched"
    ),
    "a Model that asks for nothing": (model(), "no version is asked for, and nothing is latched"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_where_nothing_is_latched_it_refuses_and_says_what_goes_on(run, case):
    given, says = REFUSED[case]
    result = run(given)
    assert result.exit_code == 1
    assert not result.stdout
    assert says in result.stderr


MANIFESTS = {
    "another version": (MANIFEST.replace("v8", "v9"), "deploy/model.yaml:6:3 asks for v9, and v8 is latched"),
    "a number that is high enough": (MANIFEST + "    retry: 1\n", "says retry: 1 already: merge it"),
    "another namespace": (MANIFEST.replace("lending", "fraud"), "there is no Model lending/credit-risk in deploy"),
    "another Model": (MANIFEST.replace("credit-risk", "churn"), "there is no Model lending/credit-risk in deploy"),
    "two of them": (f"{MANIFEST}---\n{MANIFEST}", "may be deploy/model.yaml:2:1 and deploy/model.yaml:10:1: name the folder"),
    "a template": (
        MANIFEST.replace("v8", "{{ .Values.version }}"), "there is no Model lending/credit-risk in deploy"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MANIFESTS)
def test_a_manifest_that_is_not_what_is_latched_is_refused_with_its_place(run, case):
    text, says = MANIFESTS[case]
    write(Path("deploy/model.yaml"), text)
    result = run(LATCHED, "-f", "deploy")
    assert result.exit_code == 1
    assert not result.stdout
    assert says in result.stderr


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_programs_read_the_same(run, output):
    write(Path("credit-risk.yaml"), MANIFEST)
    text = run(LATCHED, "-f", "credit-risk.yaml", "-o", output).stdout
    read = json.loads(text) if output == "json" else yaml.safe_load(text)
    assert set(read) == {"namespace", "model", "version", "failed", "retry", "file", "line", "diff"}
    assert set(read["failed"]) == {"version", "digest", "retry", "stage", "reason", "message", "at"}
    assert (read["version"], read["retry"], read["file"], read["line"]) == ("v8", 1, "credit-risk.yaml", 6)
