"""`modelward plan --cluster`, with a real API server."""

import json
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from modelward.cli.main import app
from tests.api.conftest import ApiServer
from tests.manifests import GOOD, changed

BASE = "/apis/modelward.dev/v1alpha1"
MODEL = changed(GOOD["a model behind a gateway"], spec__challengers=[], spec__production={"version": "v8"})
VERSION = GOOD["a version with an inline baseline"]


def run(api_server: ApiServer, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["plan", *arguments, "--kubeconfig", str(api_server.kubeconfig)])


def test_what_the_cluster_has_counts_as_if_it_were_in_the_files(api_server: ApiServer, tmp_path: Path) -> None:
    namespace = api_server.namespace()
    within = f"{BASE}/namespaces/{namespace}"
    applies = {"tiers": ["High"], "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    policy = {
        "apiVersion": "modelward.dev/v1alpha1",
        "kind": "LifecyclePolicy",
        "metadata": {"name": f"own-{namespace}"},
        "spec": {"appliesTo": applies, "stages": {"canary": {"steps": [{"weight": 10, "minDuration": "1h"}]}}},
    }
    assert api_server.request("POST", f"{BASE}/lifecyclepolicies", policy).accepted
    assert api_server.request("POST", f"{within}/modelversions", VERSION).accepted
    before = changed(MODEL, spec__production={"version": "v7"})
    assert api_server.request("POST", f"{within}/models", before).accepted
    digest = "sha256:" + "0" * 64
    production = {"version": "v7", "digest": digest, "since": "2026-11-01T00:00:00.000Z"}
    header = {"apiVersion": MODEL["apiVersion"], "kind": "Model", "metadata": {"name": "churn"}}
    assert api_server.apply(f"{within}/models/churn/status", {**header, "status": {"production": production}}).accepted

    file = tmp_path / "model.yaml"
    file.write_text(yaml.safe_dump(changed(MODEL, metadata__namespace=namespace)))
    result = run(api_server, str(file), "--cluster", "-o", "json")
    assert result.exit_code == 0, result.output
    (plan,) = json.loads(result.output)
    assert (plan["change"], plan["before"], plan["version"]) == ("Rollout", "v7", "v8")
    assert plan["policy"] == f"own-{namespace}"
    assert [stage["users"] for stage in plan["stages"]] == [0, 10, 100]

    text = run(api_server, str(file), "--cluster", "-o", "markdown").output
    assert f"v7 -> v8 would be rolled out under policy own-{namespace}, in 1h at the least." in text
