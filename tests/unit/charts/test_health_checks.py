"""Argo CD's health checks of our kinds, as users are given them."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from cluster import binaries
from deploy import health_checks
from modelward.api import resources
from tests.unit.charts.rendering import objects

GIVEN = {health_checks.setting(kind): script for kind, script in health_checks.scripts().items()}


KINDS = {
    known.kind
    for known in vars(resources).values()
    if isinstance(known, resources.Resource) and known.group == health_checks.GROUP
}


def test_every_kind_has_one() -> None:
    assert set(health_checks.scripts()) == KINDS


@pytest.mark.parametrize("path", health_checks.files(), ids=lambda path: path.name)
def test_a_file_is_what_the_scripts_say(path: Path) -> None:
    assert path.read_text("utf-8") == health_checks.files()[path], "run `make generate`"


def test_the_chart_has_them_when_asked() -> None:
    named = [
        one for one in objects("ConfigMap", argocd__healthChecks__enabled=True) if "health" in one["metadata"]["name"]
    ]
    assert [one["data"] for one in named] == [GIVEN]
    assert named[0]["metadata"]["name"] == "modelward-argocd-health-checks"


def test_the_chart_has_them_only_when_asked() -> None:
    assert not [one for one in objects("ConfigMap") if "health" in one["metadata"]["name"]]


def test_the_values_for_argo_cds_own_chart_are_the_same() -> None:
    values = yaml.safe_load((health_checks.FRAGMENT / "values.yaml").read_text("utf-8"))
    assert values == {"configs": {"cm": GIVEN}}


def test_the_component_adds_them_to_a_configuration_that_is_there(tmp_path: Path) -> None:
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm", "namespace": "argocd"}}
    (tmp_path / "theirs.yaml").write_text(yaml.safe_dump({**theirs, "data": {"url": "https://argocd.example.com"}}))
    component = os.path.relpath(health_checks.FRAGMENT, tmp_path)
    overlay = {"resources": ["theirs.yaml"], "components": [component]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    command = [str(binaries.path("kubectl")), "kustomize", str(tmp_path)]
    built = yaml.safe_load(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)
    assert built["data"] == {"url": "https://argocd.example.com", **GIVEN}
