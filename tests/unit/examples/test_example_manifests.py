"""The manifests of the example: valid, and the demo's policy is the shipped one, faster."""

import re
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from examples.tumor_screening.demo import claiming, requesting
from examples.tumor_screening.render import version_manifest
from examples.tumor_screening.train import VERSIONS
from modelward.api.lifecycle_policy import LifecyclePolicy
from modelward.api.model import Model
from modelward.api.model_version import ModelVersion
from modelward.governance.requirements import missing

PROJECT = Path(__file__).parents[3]
MANIFESTS = PROJECT / "examples" / "tumor_screening" / "manifests"
DURATION = re.compile(r"^\d+(h|m|s)(\d+(m|s))*$")


def read(path: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = yaml.safe_load(path.read_text())
    return manifest


def without_durations_and_sample_sizes(value: Any) -> Any:
    if isinstance(value, dict):
        fields = cast(dict[str, Any], value)
        return {
            name: without_durations_and_sample_sizes(field) for name, field in fields.items() if name != "minSamples"
        }
    if isinstance(value, list):
        return [without_durations_and_sample_sizes(item) for item in value]
    return "a duration" if isinstance(value, str) and DURATION.match(value) else value


def test_the_policy_of_the_demo_differs_from_the_shipped_one_in_durations_and_sample_sizes_only() -> None:
    shipped = read(PROJECT / "charts" / "modelward" / "policies" / "low.yaml")["spec"]
    demo = read(MANIFESTS / "policy-demo.yaml")["spec"]
    assert shipped.pop("appliesTo")["tiers"] == demo.pop("appliesTo")["tiers"]
    assert without_durations_and_sample_sizes(demo) == without_durations_and_sample_sizes(shipped)


@pytest.mark.parametrize(("policy", "version"), [("policy-demo", "v2"), ("policy-high-demo", "v5")])
def test_the_example_has_all_that_its_policies_ask_of_the_register(artifacts: Path, policy: str, version: str) -> None:
    demanded = LifecyclePolicy.model_validate(read(MANIFESTS / f"{policy}.yaml")).spec
    model = Model.model_validate(read(MANIFESTS / "model.yaml"))
    spec = ModelVersion.model_validate(version_manifest(version, artifacts, "image:1")).spec
    assert missing(model, spec, demanded) == ()


def test_the_demo_asks_people_of_the_roles_that_the_shipped_policy_asks() -> None:
    shipped = read(PROJECT / "charts" / "modelward" / "policies" / "high.yaml")["spec"]["stages"]
    demo = read(MANIFESTS / "policy-high-demo.yaml")["spec"]["stages"]
    asked = [*shipped["validation"]["approvals"], *shipped["canary"]["approvals"]]
    assert [(demand["role"], demand["independent"]) for demand in demo["canary"]["approvals"]] == [
        (demand["role"], demand["independent"]) for demand in asked
    ]


def test_a_promotion_and_a_change_of_tier_each_change_one_line_of_the_manifest() -> None:
    before = (MANIFESTS / "model.yaml").read_text()
    spec = yaml.safe_load(claiming(requesting(before, "v5"), "High"))["spec"]
    assert (spec["production"]["version"], spec["riskTier"]) == ("v5", "High")
    after = claiming(requesting(before, "v5"), "High").splitlines()
    assert sum(new != old for new, old in zip(after, before.splitlines(), strict=True)) == 2


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_is_valid_and_carries_its_real_baseline(artifacts: Path, version: str) -> None:
    manifest = version_manifest(version, artifacts, "example.com/tumor-screening:1")
    parsed = ModelVersion.model_validate(manifest)
    assert parsed.spec.model == Model.model_validate(read(MANIFESTS / "model.yaml")).metadata.name
    assert parsed.metadata.name == f"{parsed.spec.model}-{version}"
    assert parsed.spec.baseline is not None
    assert len(parsed.spec.baseline.features) == 30


def test_the_pods_of_the_decaying_version_differ_from_a_good_one_in_its_journal_only(artifacts: Path) -> None:
    good, decaying = (
        version_manifest(version, artifacts, "image:1")["spec"]["serving"]["template"]["spec"]
        for version in ("v2", "v4")
    )
    environment = decaying["containers"][0]["env"]
    decaying["containers"][0]["env"] = [
        entry for entry in environment if not entry["name"].startswith("ANSWER_JOURNAL")
    ]
    assert decaying == good
    assert len(environment) > len(good["containers"][0]["env"])
