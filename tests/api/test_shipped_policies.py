"""The chart's policies, as helm renders them, at the door of a real API server."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import binaries
from tests.api.conftest import PATIENCE, ApiServer

CHART = Path(__file__).parents[2] / "charts" / "modelward"
COLLECTION = "/apis/modelward.dev/v1alpha1/lifecyclepolicies"


def rendered(*options: str) -> dict[str, dict[str, Any]]:
    """The specs of the policies that the chart makes, by name."""
    helm = [str(binaries.path("helm")), "template", "modelward", str(CHART)]
    render = [*helm, "--kube-version", binaries.KUBERNETES_VERSION, *options]
    text = subprocess.run(render, check=True, capture_output=True, text=True, timeout=PATIENCE).stdout
    found = [manifest for manifest in yaml.safe_load_all(text) if manifest and manifest["kind"] == "LifecyclePolicy"]
    return {manifest["metadata"]["name"]: manifest for manifest in found}


@pytest.mark.parametrize("name", ["low", "medium", "high", "critical"])
def test_a_shipped_policy_is_accepted(api_server: ApiServer, name: str) -> None:
    answer = api_server.request("POST", f"{COLLECTION}?dryRun=All&fieldValidation=Strict", rendered()[name])
    assert answer.accepted, answer.message


def test_the_values_choose_which_policies_are_installed() -> None:
    assert set(rendered("--set", "policies.tiers={Medium,High}")) == {"medium", "high"}
    assert rendered("--set", "policies.install=false") == {}


def test_the_values_say_what_a_gate_cannot_know_and_who_is_who(api_server: ApiServer) -> None:
    options = ["policies.gates.evaluated.evaluation.metric=f1", "policies.spec.identityMap.matchByName=true"]
    high = rendered(*[part for option in options for part in ("--set", option)])["high"]
    (evaluated,) = [gate for gate in high["spec"]["stages"]["validation"]["gates"] if gate["name"] == "evaluated"]
    assert evaluated["evaluation"]["metric"] == "f1"
    assert evaluated["evaluation"]["name"] == "holdout"
    assert high["spec"]["identityMap"] == {"matchByName": True}
    assert api_server.request("POST", f"{COLLECTION}?dryRun=All&fieldValidation=Strict", high).accepted
