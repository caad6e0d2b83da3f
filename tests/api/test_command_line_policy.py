"""`modelward policy impact`, with a real API server."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from modelward.cli.main import app
from tests.api.conftest import ApiServer
from tests.manifests import GOOD, changed

BASE = "/apis/modelward.dev/v1alpha1"
MODEL = GOOD["a model behind a gateway"]
VERSION = GOOD["a version with an inline baseline"]


def policy(name: str, labels: dict[str, str], **spec: Any) -> dict[str, Any]:
    applies = {"tiers": ["High"], "namespaceSelector": {"matchLabels": labels}}
    header = {"apiVersion": "modelward.dev/v1alpha1", "kind": "LifecyclePolicy", "metadata": {"name": name}}
    return {**header, "spec": {"appliesTo": applies, **spec}}


@pytest.fixture
def namespace(api_server: ApiServer) -> str:
    """A namespace with a Model of tier High, whose version has no model card, under a policy of its own."""
    name = api_server.namespace()
    path = f"{BASE}/namespaces/{name}"
    model = changed(MODEL, spec__production__version="v8")
    assert api_server.request("POST", f"{path}/models", model).accepted
    assert api_server.request("POST", f"{path}/modelversions", VERSION).accepted
    own = policy(f"own-{name}", {"kubernetes.io/metadata.name": name})
    assert api_server.request("POST", f"{BASE}/lifecyclepolicies", own).accepted
    return name


def run(api_server: ApiServer, *arguments: str, given: str | None = None) -> Any:
    return CliRunner().invoke(
        app, ["policy", "impact", *arguments, "--kubeconfig", str(api_server.kubeconfig)], input=given
    )


@pytest.fixture
def stricter(tmp_path: Path, namespace: str) -> Path:
    """The policy with a demand that the version does not meet, and one for an approval."""
    labels = {"kubernetes.io/metadata.name": namespace}
    stages = {"validation": {"approvals": [{"role": "risk"}]}}
    file = tmp_path / "policy.yaml"
    file.write_text(
        yaml.safe_dump(policy(f"own-{namespace}", labels, requires={"fields": ["modelCard"]}, stages=stages))
    )
    return file


def test_a_model_that_would_be_blocked_is_shown_with_its_reason(
    api_server: ApiServer, namespace: str, stricter: Path
) -> None:
    result = run(api_server, str(stricter), "-n", namespace)
    assert result.exit_code == 0, result.output
    assert "Blocked" in result.output
    assert "blocks: ModelVersion v8: spec.modelCard is not set" in result.output
    assert "newly asks for approval: risk after Validation" in result.output
    assert "1 Blocked. Nothing was changed." in result.output
    stored = api_server.request("GET", f"{BASE}/lifecyclepolicies/own-{namespace}").body
    assert "fields" not in stored["spec"]["requires"]


def test_a_script_reads_the_same_as_json_over_all_namespaces(
    api_server: ApiServer, namespace: str, stricter: Path
) -> None:
    result = run(api_server, str(stricter), "-A", "-o", "json")
    assert result.exit_code == 0, result.output
    (found,) = [each for each in json.loads(result.stdout) if each["namespace"] == namespace]
    assert found["verdict"] == "Blocked"
    assert found["newApprovals"] == ["risk after Validation"]
    assert found["then"]["policy"] == f"own-{namespace}"


def test_a_model_that_cannot_be_read_is_told_of_and_hides_no_other(
    api_server: ApiServer, namespace: str, stricter: Path
) -> None:
    beyond = {"name": "odd", "job": {"parallelism": 2**53 + 1}}
    odd = changed(MODEL, metadata__name="odd", spec__gates=[beyond], spec__modelID="MDL-ODD")
    assert api_server.request("POST", f"{BASE}/namespaces/{namespace}/models", odd).accepted
    result = run(api_server, str(stricter), "-n", namespace)
    assert result.exit_code == 0, result.output
    assert "Model odd cannot be read by this release, spec.gates.0.job" in result.stderr
    assert "1 Blocked. Nothing was changed." in result.stdout


def test_a_policy_is_read_from_standard_input(api_server: ApiServer, namespace: str, stricter: Path) -> None:
    result = run(api_server, "-", "-n", namespace, given=stricter.read_text())
    assert "1 Blocked" in result.output


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kind: Model", "has no LifecyclePolicy, but Model"),
        ("", "has no LifecyclePolicy, but nothing"),
        ("{", "is no YAML"),
        (
            "{kind: LifecyclePolicy, metadata: {name: high}, spec: {requires: {fields: [modelcard]}}}",
            "LifecyclePolicy high: spec.requires.fields.0",
        ),
    ],
)
def test_a_file_that_is_no_policy_is_refused_with_a_remedy(
    api_server: ApiServer, tmp_path: Path, text: str, says: str
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    result = run(api_server, str(file))
    assert result.exit_code == 1
    assert says in result.output


def test_a_file_that_is_not_there_is_named(api_server: ApiServer) -> None:
    result = run(api_server, "nowhere.yaml")
    assert result.exit_code == 1
    assert "nowhere.yaml cannot be read: No such file or directory" in result.output
