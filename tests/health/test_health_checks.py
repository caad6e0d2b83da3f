"""What Argo CD's own engine makes of what our operator wrote.

resource_customizations/ is laid out as Argo CD lays out its own: health_test.yaml names what is to come out of testdata/, which was
captured on a cluster (`python -m tests.health.capture`).
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import binaries
from deploy.health_checks import FRAGMENT, SCRIPTS
from modelward.api.lifecycle_policy import LifecyclePolicy
from modelward.api.model import Model
from modelward.api.model_approval import ModelApproval
from modelward.api.model_audit_record import ModelAuditRecord
from modelward.api.model_evaluation import ModelEvaluation
from modelward.api.model_version import ModelVersion
from modelward.api.status import ModelStatus, VersionStatus

KINDS = (LifecyclePolicy, Model, ModelApproval, ModelAuditRecord, ModelEvaluation, ModelVersion)
STATUSES: dict[str, type[ModelStatus] | type[VersionStatus]] = {"Model": ModelStatus, "ModelVersion": VersionStatus}


@dataclass(frozen=True)
class Case:
    """An object, and how it is."""

    path: Path
    status: str
    message: str

    def __str__(self) -> str:
        return f"{self.path.parent.parent.name} {self.path.stem}"


def _cases() -> list[Case]:
    return [
        Case(listing.parent / test["inputPath"], test["healthStatus"]["status"], test["healthStatus"]["message"])
        for listing in sorted(SCRIPTS.glob("*/health_test.yaml"))
        for test in yaml.safe_load(listing.read_text("utf-8"))["tests"]
    ]


@pytest.mark.parametrize("case", _cases(), ids=str)
def test_an_object_is_as_healthy_as_its_status_says(case: Case) -> None:
    argocd = [str(binaries.path("argocd")), "admin", "settings", "resource-overrides", "health"]
    settings = ["--argocd-cm-path", str(FRAGMENT / "argocd-cm.yaml")]
    done = subprocess.run([*argocd, str(case.path), *settings], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"STATUS: {case.status}\nMESSAGE: {case.message}\n"


@pytest.mark.parametrize("case", _cases(), ids=str)
def test_an_object_is_one_that_this_release_writes(case: Case) -> None:
    found: dict[str, Any] = yaml.safe_load(case.path.read_text("utf-8"))
    kind = next(kind for kind in KINDS if kind.__name__ == found["kind"])
    kind.model_validate(found)
    if "status" in found:
        known = STATUSES[found["kind"]].model_validate(found["status"]).model_dump(by_alias=True, mode="json")
        assert found["status"].keys() <= known.keys()


def test_every_kind_and_every_object_is_looked_at() -> None:
    cases = _cases()
    assert {case.path.parent.parent.name for case in cases} == {kind.__name__ for kind in KINDS}
    assert sorted(case.path for case in cases) == sorted(SCRIPTS.glob("*/testdata/*.yaml"))


def test_a_model_may_be_everything_that_an_application_can_show() -> None:
    shown = {case.status for case in _cases() if case.path.parent.parent.name == "Model"}
    assert shown == {"Healthy", "Progressing", "Suspended", "Degraded"}
