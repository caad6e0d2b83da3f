"""The example of environments: valid in each, one build in all of them, and evidence that only the pipeline can give."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cluster import binaries
from modelward.api.digests import version_digest
from modelward.api.gates import Gate
from modelward.api.lifecycle_policy import LifecyclePolicy, UnknownAction
from modelward.api.model_version import ModelVersionSpec
from modelward.cli.main import app
from modelward.governance.builds import differences, unpinned_images
from modelward.governance.trials import METRICS

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "environments"
ENVIRONMENTS = ("dev", "test", "prod")


def built(environment: str) -> str:
    """What kustomize makes of an environment's folder."""
    command = [str(binaries.path("kubectl")), "kustomize", str(EXAMPLE / environment)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects(environment: str, kind: str) -> dict[str, dict[str, Any]]:
    found = (each for each in yaml.safe_load_all(built(environment)) if each["kind"] == kind)
    return {each["metadata"]["name"]: each for each in found}


def versions(environment: str) -> dict[str, ModelVersionSpec]:
    found = objects(environment, "ModelVersion")
    return {name: ModelVersionSpec.model_validate(each["spec"]) for name, each in found.items()}


def policy(environment: str) -> LifecyclePolicy:
    return LifecyclePolicy.model_validate(yaml.safe_load((EXAMPLE / "policies" / f"{environment}.yaml").read_text()))


def of_earlier_environments(environment: str) -> list[Gate]:
    gates = policy(environment).spec.stages.validation.gates
    return [gate for gate in gates if gate.evaluation and gate.evaluation.name.startswith("environment-")]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_lint_finds_nothing_wrong_with_what_is_applied(environment: str) -> None:
    arguments = ["lint", "-", "--policies", str(EXAMPLE / "policies")]
    result = CliRunner().invoke(app, arguments, input=built(environment))
    assert (result.exit_code, result.stdout) == (0, "")
    assert "3 manifests of modelward in 1 file: nothing is wrong." in result.stderr


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_each_environment_is_under_its_own_policy(environment: str) -> None:
    (namespace,) = objects(environment, "Namespace").values()
    assert namespace["metadata"]["labels"] == policy(environment).spec.applies_to.namespace_selector.match_labels


def test_a_version_has_one_digest_where_nothing_is_sized_otherwise() -> None:
    tested = {name: version_digest(spec) for name, spec in versions("test").items()}
    assert tested == {name: version_digest(spec) for name, spec in versions("dev").items()}


def test_in_production_it_is_the_same_build_under_another_digest() -> None:
    tested, larger = versions("test"), versions("prod")
    assert tested.keys() == larger.keys() == {"credit-risk-v7", "credit-risk-v8"}
    for name, spec in tested.items():
        assert version_digest(spec) != version_digest(larger[name])
        assert differences(spec, larger[name]) == ()
        assert unpinned_images(spec) == ()
        assert larger[name].serving is not None and larger[name].serving.replicas == 4


def test_another_version_is_another_build() -> None:
    found = versions("test")
    assert differences(found["credit-risk-v7"], found["credit-risk-v8"])


@pytest.mark.parametrize(("later", "earlier"), [("test", "dev"), ("prod", "test")])
def test_a_later_environment_asks_for_figures_of_the_earlier_one_by_the_pipeline_alone(
    later: str, earlier: str
) -> None:
    accounts = [
        f"system:serviceaccount:{each['metadata']['namespace']}:{each['metadata']['name']}"
        for each in yaml.safe_load_all((EXAMPLE / "pipeline" / "rights.yaml").read_text())
        if each["kind"] == "ServiceAccount"
    ]
    gates = of_earlier_environments(later)
    assert gates
    for gate in gates:
        assert gate.evaluation is not None
        assert gate.evaluation.name == f"environment-{earlier}"
        assert gate.evaluation.metric in METRICS
        assert list(gate.evaluation.evaluators) == accounts
        assert not gate.advisory


@pytest.mark.parametrize("later", ["test", "prod"])
def test_a_version_whose_evidence_comes_late_is_not_barred(later: str) -> None:
    assert policy(later).spec.on_unknown.then is UnknownAction.PAUSE


def test_a_promotion_changes_one_line_of_one_environment() -> None:
    for environment in ENVIRONMENTS:
        lines = (EXAMPLE / environment / "production.yaml").read_text().splitlines()
        (line,) = (each for each in lines if "version: v" in each)
        (model,) = objects(environment, "Model").values()
        assert line.split("#")[0].strip() == f"production: {{version: {model['spec']['production']['version']}}}"
