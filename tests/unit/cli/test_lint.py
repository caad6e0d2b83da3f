"""`modelward lint`: exit codes, reports, and what it is given."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from typer.testing import CliRunner

from modelward.cli.main import app
from tests.manifests import GOOD, changed

ROOT = Path(__file__).parents[3]
MODEL = changed(GOOD["a model behind a gateway"], spec__challengers=[], spec__riskTier="Low", spec__production={})
WRONG = changed(MODEL, spec__riskTeir="High", spec__purpose="a \x01 character")


def run(*arguments: str, given: str | None = None) -> Any:
    return CliRunner().invoke(app, ["lint", *arguments], input=given)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One file that is fine and one with an unknown field."""
    (tmp_path / "fine.yaml").write_text(yaml.safe_dump(MODEL))
    wrong = changed(WRONG, metadata__name="wrong", spec__modelID="MDL-2", spec__serving=None)
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(wrong))
    return tmp_path


def test_what_is_wrong_ends_with_1_and_a_line_for_each_finding(folder: Path) -> None:
    result = run(str(folder), "--shipped")
    assert result.exit_code == 1
    (line,) = [line for line in result.stdout.splitlines() if "riskTeir" in line]
    assert line.startswith(f"{folder / 'wrong.yaml'}:")
    assert line.endswith("spec.riskTeir: the API server does not know this field: did you mean riskTier?")
    assert "2 manifests of modelward in 2 files" in result.stderr


def test_what_is_fine_ends_with_0(folder: Path) -> None:
    result = run(str(folder / "fine.yaml"))
    assert result.exit_code == 0, result.output
    assert "0 error" not in result.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "there is no file or folder nowhere"),
        ([], "Missing argument"),
        (["docs"], "there is no .yaml, .yml or .json file"),
        (["-", "--policies", "README.md"], "README.md"),
        (["-", "-o", "html"], "html"),
    ],
)
def test_a_wrong_command_line_ends_with_2(arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = run(*arguments, given="")
    assert result.exit_code == 2, result.output
    assert says in result.output


def test_standard_input_is_looked_at(folder: Path) -> None:
    result = run("-", given=(folder / "wrong.yaml").read_text())
    assert result.exit_code == 1
    assert result.stdout.startswith("-:")


def test_policies_of_another_folder_apply(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    policies = tmp_path_factory.mktemp("policies") / "low.yaml"
    asking = {"appliesTo": {"tiers": ["Low"]}, "requires": {"documents": ["Plan"]}}
    policy = {"apiVersion": "modelward.dev/v1alpha1", "kind": "LifecyclePolicy", "metadata": {"name": "low"}}
    policies.write_text(yaml.safe_dump({**policy, "spec": asking}))
    model = changed(MODEL, spec__production={"version": "v7"})
    result = run("-", "--policies", str(policies.parent), given=yaml.safe_dump(model))
    assert "the Model has no document of type Plan" in result.stdout


def test_sarif_has_what_its_schema_requires(folder: Path) -> None:
    report = json.loads(run(str(folder), "--shipped", "-o", "sarif").stdout)
    assert report["version"] == "2.1.0"
    (done,) = report["runs"]
    driver = done["tool"]["driver"]
    assert driver["name"]
    rules = {rule["id"] for rule in driver["rules"]}
    assert done["results"]
    for result in done["results"]:
        assert result["message"]["text"]
        assert result["ruleId"] in rules
        assert result["level"] in ("error", "warning")
        (location,) = result["locations"]
        physical = location["physicalLocation"]
        assert physical["artifactLocation"]["uri"].endswith("wrong.yaml")
        assert physical["region"]["startLine"] >= 1
        assert physical["region"]["startColumn"] >= 1


def test_junit_has_a_case_for_each_file(folder: Path) -> None:
    root = ElementTree.fromstring(run(str(folder), "--shipped", "-o", "junit").stdout)
    cases = {Path(case.attrib["name"]).name: case for case in root.iter("testcase")}
    assert set(cases) == {"fine.yaml", "wrong.yaml"}
    assert cases["fine.yaml"].find("failure") is None
    failure = cases["wrong.yaml"].find("failure")
    assert failure is not None
    assert "riskTeir" in failure.attrib["message"]
    assert root.attrib["failures"] == "1"


def test_json_and_yaml_are_the_same_list_of_findings(folder: Path) -> None:
    (found,) = json.loads(run(str(folder), "--shipped", "-o", "json").stdout)
    assert yaml.safe_load(run(str(folder), "--shipped", "-o", "yaml").stdout) == [found]
    assert found["field"] == "spec.riskTeir"
    assert found["rule"] == "unknown-field"
    assert found["line"] > 1


def test_the_hook_for_pre_commit_calls_a_command_that_exists() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["entry"].split()[:2] == ["modelward", "lint"]
    assert not hook["pass_filenames"]
