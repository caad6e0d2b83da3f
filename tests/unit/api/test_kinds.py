"""The kinds as Python reads them: the same corpus that the API server judges, in the same words."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from modelward.api import schema
from modelward.api.lifecycle_policy import LifecyclePolicy, unsupported
from modelward.api.model import Model
from modelward.api.model_evaluation import ModelEvaluation
from modelward.api.model_version import ModelVersion
from modelward.api.stages import Watch
from modelward.api.types import ApiModel, format_duration, parse_duration, refused_changes
from tests.manifests import BAD, BAD_FOR_PYTHON_ONLY, CHANGES, GOOD, Bad, Change, Manifest

CLASSES: dict[str, type[ApiModel]] = {
    "Model": Model,
    "ModelVersion": ModelVersion,
    "LifecyclePolicy": LifecyclePolicy,
    "ModelEvaluation": ModelEvaluation,
}
ALL_BAD = {**BAD, **BAD_FOR_PYTHON_ONLY}


def _read(manifest: Manifest) -> ApiModel:
    return CLASSES[manifest["kind"]].model_validate(manifest)


@pytest.mark.parametrize("manifest", GOOD.values(), ids=list(GOOD))
def test_a_good_manifest_is_read(manifest: Manifest) -> None:
    read = _read(manifest)
    assert _read({**read.model_dump(mode="json", by_alias=True), "kind": manifest["kind"]}) == read


@pytest.mark.parametrize("bad", ALL_BAD.values(), ids=list(ALL_BAD))
def test_a_bad_manifest_is_refused_with_the_same_words(bad: Bad) -> None:
    with pytest.raises(ValidationError) as refusal:
        _read(bad.manifest)
    assert bad.says in str(refusal.value)


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_an_update_is_judged_as_by_the_api_server(change: Change) -> None:
    refusals = refused_changes(_read(change.after), _read(change.before))
    assert bool(refusals) == (change.says is not None)
    assert (change.says or "") in " ".join(refusals)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0s", timedelta(0)),
        ("45s", timedelta(seconds=45)),
        ("1h30m", timedelta(minutes=90)),
        ("72h", timedelta(hours=72)),
        ("250ms", timedelta(milliseconds=250)),
        ("1m500ms", timedelta(seconds=60.5)),
    ],
)
def test_a_duration_is_read_and_written_alike(text: str, value: timedelta) -> None:
    assert parse_duration(text) == value
    assert format_duration(value) == text


@pytest.mark.parametrize("text", ["", "1", "1d", "1.5h", "-1s", "30m1h", "1h ", "1H", 60, None])
def test_what_is_no_duration_is_refused_with_an_example(text: object) -> None:
    with pytest.raises(ValueError, match="such as 1h30m"):
        parse_duration(text)


def test_a_duration_ends_at_a_leap_year() -> None:
    assert Watch.model_validate({"duration": "8784h"}).duration == timedelta(days=366)
    with pytest.raises(ValidationError, match="at most 8784h"):
        Watch.model_validate({"duration": "8785h"})


def test_what_this_release_cannot_evaluate_is_listed_by_its_path() -> None:
    policy = LifecyclePolicy.model_validate(GOOD["a policy with every stage"])
    own = Model.model_validate(
        {
            "metadata": {"name": "churn"},
            "spec": {
                "gates": [
                    {"name": "checked", "job": {}},
                ]
            },
        }
    )
    assert unsupported(policy.spec, own.spec.gates) == ("spec.gates[checked].job",)


def test_a_plain_policy_asks_for_nothing_unsupported() -> None:
    policy = LifecyclePolicy.model_validate(GOOD["a policy that is all defaults"])
    assert unsupported(policy.spec) == ()


def test_generated_files_are_checked_and_their_differences_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert schema.main([str(tmp_path)]) == 0
    assert schema.main([str(tmp_path), "--check"]) == 0
    file = tmp_path / "modelward.dev_models.yaml"
    file.write_text(file.read_text().replace("maximum: 65535", "maximum: 1", 1))
    assert schema.main([str(tmp_path), "--check"]) == 1
    printed = capsys.readouterr().out
    assert "-                    maximum: 1\n" in printed
    assert "+                    maximum: 65535\n" in printed


def test_the_committed_files_are_up_to_date() -> None:
    root = Path(__file__).parents[3]
    assert schema.main([str(root / "crds"), str(root / "charts" / "modelward-crds" / "templates"), "--check"]) == 0
