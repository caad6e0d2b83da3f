"""The kustomize bases are what the chart renders to."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import binaries
from deploy import generate

COMPONENTS = {
    "monitoring": {"ServiceMonitor", "PrometheusRule", "ConfigMap"},
    "network-policy": {"NetworkPolicy"},
    "high-availability": {"PodDisruptionBudget"},
}


def built(folder: Path) -> list[dict[str, Any]]:
    command = [str(binaries.path("kubectl")), "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def overlay(folder: Path, **content: Any) -> list[dict[str, Any]]:
    """What somebody builds on the base."""
    resources = [os.path.relpath(generate.FOLDER / "base", folder)]
    (folder / "kustomization.yaml").write_text(yaml.safe_dump({"resources": resources, **content}))
    return built(folder)


def by_name(manifests: list[dict[str, Any]]) -> dict[tuple[str, str, str], dict[str, Any]]:
    return {(one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]): one for one in manifests}


@pytest.mark.parametrize("path", generate.files(), ids=lambda path: str(path.relative_to(generate.FOLDER)))
def test_a_file_is_as_the_chart_says(path: Path) -> None:
    assert path.read_text("utf-8") == generate.files()[path], "run `python -m deploy.generate`"


def test_nothing_else_lies_there() -> None:
    assert {path for path in generate.FOLDER.rglob("*") if path.is_file()} == set(generate.files())


def test_the_base_is_the_charts_objects_and_their_namespace() -> None:
    base = by_name(built(generate.FOLDER / "base"))
    assert base.keys() - by_name(generate.rendered()).keys() == {("Namespace", "", generate.NAMESPACE)}
    assert by_name(generate.rendered()).items() <= base.items()


def test_the_definitions_come_by_themselves_because_the_policies_need_them() -> None:
    kinds = {one["kind"] for one in built(generate.FOLDER / "base")}
    assert "LifecyclePolicy" in kinds and "CustomResourceDefinition" not in kinds


def test_nothing_is_said_to_be_helms() -> None:
    assert "helm" not in str(built(generate.FOLDER / "base")).lower()


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_adds_what_the_charts_value_adds(component: str, tmp_path: Path) -> None:
    path = os.path.relpath(generate.FOLDER / "components" / component, tmp_path)
    base, changed = by_name(built(generate.FOLDER / "base")), by_name(overlay(tmp_path, components=[path]))
    assert {kind for kind, *_ in changed.keys() - base.keys()} == COMPONENTS[component]


def test_replicas_are_added_and_spread_and_the_image_remains_ones_own(tmp_path: Path) -> None:
    path = os.path.relpath(generate.FOLDER / "components" / "high-availability", tmp_path)
    image = {"name": "ghcr.io/modelward/modelward", "newName": "registry.example.com/modelward", "newTag": "x"}
    (deployment,) = (one for one in overlay(tmp_path, components=[path], images=[image]) if one["kind"] == "Deployment")
    spec = deployment["spec"]["template"]["spec"]
    assert deployment["spec"]["replicas"] == 2
    assert {"affinity", "topologySpreadConstraints"} <= spec.keys()
    assert spec["containers"][0]["image"] == "registry.example.com/modelward:x"
