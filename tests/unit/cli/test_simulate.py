"""`modelward simulate`: from a policy and a recording to a timeline and a verdict."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from modelward.cli.main import app

POLICY = {
    "apiVersion": "modelward.dev/v1alpha1",
    "kind": "LifecyclePolicy",
    "metadata": {"name": "tried"},
    "spec": {
        "stages": {
            "canary": {
                "steps": [{"weight": 10, "minDuration": "170m"}],
                "gates": [{"name": "errors", "errorRate": {"maxIncrease": 0.01, "abortAbove": 0.2}}],
            }
        }
    },
}


def run(*arguments: str, given: str | None = None) -> Any:
    return CliRunner().invoke(app, ["simulate", *arguments], input=given, env={"COLUMNS": "200"})


@pytest.fixture
def policy(tmp_path: Path) -> str:
    path = tmp_path / "policy.yaml"
    path.write_text(yaml.safe_dump(POLICY))
    return str(path)


def test_the_example_goes_bad_and_would_have_been_rolled_back(policy: str) -> None:
    example = run("--example").stdout
    result = run(policy, "--data", "-", given=example)
    assert result.exit_code == 0, result.output
    assert "RolloutStarted" in result.stdout
    assert "The policy would have rolled v8 back in Canary at 2026-10-01 02:" in result.stdout


def test_a_script_reads_the_same_as_json(policy: str) -> None:
    result = run(policy, "--data", "-", "-o", "json", given=run("--example").stdout)
    found = json.loads(result.stdout)
    assert found["candidate"] == "v8"
    assert found["incumbent"] == "v7"
    assert found["verdict"].startswith("The policy would have rolled v8 back")
    assert found["steps"][0]["reason"] == "RolloutStarted"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "either --data FILE or --prometheus URL"),
        (["--data", "nowhere.jsonl"], 1, "nowhere.jsonl cannot be read"),
        (["--data", "-"], 1, "the recording is empty"),
        (["--prometheus", "http://127.0.0.1:1"], 2, "--model"),
        (["--prometheus", "http://127.0.0.1:1", "--model", "churn"], 1, "http://127.0.0.1:1 gives no answer"),
    ],
)
def test_what_cannot_be_replayed_is_said_with_a_remedy(policy: str, arguments: list[str], code: int, says: str) -> None:
    result = run(policy, *arguments, given="")
    assert result.exit_code == code, result.output
    assert says in " ".join(result.output.replace("│", " ").split())


def test_a_file_that_is_no_policy_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.yaml"
    path.write_text("kind: Model\n")
    result = run(str(path), "--data", "-", given="")
    assert result.exit_code == 1
    assert "has 0 LifecyclePolicies" in result.output
