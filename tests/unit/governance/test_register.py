"""The conditions of governance, at given moments."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from modelward.api.lifecycle_policy import LifecyclePolicySpec
from modelward.api.model import ModelSpec
from modelward.api.model_evaluation import ModelEvaluationSpec
from modelward.api.model_version import ModelVersionSpec
from modelward.governance.register import (
    Approval,
    RegisterFacts,
    Review,
    Serving,
    Watching,
    conditions,
    next_deadline,
    review_due,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DIGEST = "sha256:" + "4f" * 32
OTHER = "sha256:" + "5a" * 32
DAY = timedelta(days=1)
ERRORS = {"name": "errors", "errorRate": {"abortAbove": 0.2}}
HOLDOUT = {"name": "auc", "evaluation": {"name": "holdout", "metric": "auc", "min": 0.8}}
MODEL: dict[str, Any] = {"owner": {"team": "lending-ml", "contact": "l@example.com"}, "serving": {}}
POLICY: dict[str, Any] = {
    "review": {"interval": "2160h"},
    "stages": {"production": {"monitoring": {"interval": "1h", "gates": [ERRORS]}}},
}
CANARY_ONLY: dict[str, Any] = {
    "stages": {
        "canary": {"steps": [{"weight": 10, "minDuration": "1h"}], "gates": [ERRORS]},
        "production": {"watch": {"duration": "24h"}},
    }
}
UNWATCHED: dict[str, Any] = {"stages": {"canary": CANARY_ONLY["stages"]["canary"]}}


def serving(approval: Approval = Approval.NOT_ASKED, deviation: str = "", **version: Any) -> Serving:
    spec = ModelVersionSpec.model_validate({"model": "credit", "version": "v7", **version})
    return Serving(spec, DIGEST, approval, deviation)


def given(
    *, model: dict[str, Any] | None = None, policy: dict[str, Any] | None = None, **changes: Any
) -> RegisterFacts:
    """A Model on a good day: owned, reviewed ten days ago, watched a minute ago, serving v7."""
    facts = RegisterFacts(
        now=NOW,
        model=ModelSpec.model_validate(MODEL if model is None else {**MODEL, **model}),
        registered_at=NOW - 200 * DAY,
        policy=LifecyclePolicySpec.model_validate(POLICY if policy is None else policy),
        serving=serving(),
        review=Review(NOW - 10 * DAY, "olga"),
        watching=Watching(evidence_at=NOW - timedelta(minutes=1)),
    )
    return replace(facts, **changes)


def evaluated(name: str = "holdout", age: timedelta = DAY, digest: str = DIGEST, **more: Any) -> ModelEvaluationSpec:
    fields = {"model": "credit", "version": "v7", "versionDigest": digest, "name": name, "evaluator": "pipeline"}
    metrics = [{"name": "auc", "value": 0.9}]
    return ModelEvaluationSpec.model_validate({**fields, "metrics": metrics, "at": (NOW - age).isoformat(), **more})


def test_a_model_on_a_good_day_is_in_order() -> None:
    assert {kind: finding[:2] for kind, finding in conditions(given()).items()} == {
        "Owned": ("True", "OwnerNamed"),
        "MonitoringReady": ("True", "Monitored"),
        "ReviewCurrent": ("True", "ReviewedInTime"),
        "EvaluationCurrent": ("True", "NoEvaluationAsked"),
        "Ungoverned": ("False", "Governed"),
        "Zombie": ("False", "Attended"),
        "Deprecated": ("False", "NotDeprecated"),
    }


def test_a_model_that_serves_nothing_yet_is_neither_zombie_nor_ungoverned() -> None:
    facts = given(model={"owner": None}, serving=None, watching=Watching())
    found = conditions(facts)
    assert found["Owned"][:2] == ("False", "Ownerless")
    assert found["MonitoringReady"][:2] == ("Unknown", "MonitoringPending")
    assert found["EvaluationCurrent"][:2] == ("Unknown", "NoProductionVersion")
    assert found["Ungoverned"][0] == found["Zombie"][0] == found["Deprecated"][0] == "False"


ELSEWHERE = {"serving": None}
CHECKED = {"serving": None, "monitoring": {"checks": [{"name": "nightly lift"}]}}


@pytest.mark.parametrize(
    ("facts", "truth", "reason", "says"),
    [
        pytest.param(given(), "True", "Monitored", "errors: evidence as of 2026-11-21 11:59 UTC", id="fresh evidence"),
        pytest.param(given(watching=Watching(NOW - timedelta(hours=4))), "False", "EvidenceLate", "No gate had evidence since 2026-11-21 08:00 UTC.", id="no evidence for four intervals"),
        pytest.param(given(policy=CANARY_ONLY), "True", "Monitored", "errors", id="the gates of the canary, in the watch"),
        pytest.param(given(policy=CANARY_ONLY, watching=Watching(NOW - DAY)), "False", "EvidenceLate", "no stages.production.monitoring for the time after the watch", id="after the watch"),
        pytest.param(given(policy={}), "False", "NotMonitored", "ask for a policy with stages.production.monitoring", id="no gates"),
        pytest.param(given(policy=UNWATCHED), "False", "NotMonitored", "ask for a policy", id="gates of the canary, and no watch"),
        pytest.param(given(policy={}, model={"monitoring": {"dashboardURL": "https://dash"}}), "True", "Monitored", "https://dash", id="no gates, and a dashboard"),
        pytest.param(given(watching=Watching(NOW - timedelta(hours=4), "pod a answers 500")), "False", "MetricsUnavailable", "pod a answers 500", id="broken metrics"),
        pytest.param(given(watching=Watching(NOW, "pod a answers 500")), "Unknown", "MonitoringPending", "pod a answers 500", id="a look that failed"),
        pytest.param(given(watching=Watching(None, "no request yet", NOW)), "Unknown", "MonitoringPending", "no request yet", id="promoted a moment ago"),
        pytest.param(given(watching=Watching(None, "no request yet", NOW - timedelta(hours=4))), "False", "MetricsUnavailable", "no request yet", id="no request for hours"),
        pytest.param(given(model=ELSEWHERE), "False", "NotMonitored", "say in spec.monitoring", id="elsewhere, unwatched"),
        pytest.param(given(model=CHECKED), "True", "Monitored", "nightly lift", id="elsewhere, watched"),
    ],
)  # fmt: skip
def test_monitoring_is_ready_when_gates_have_evidence(facts: RegisterFacts, truth: str, reason: str, says: str) -> None:
    found = conditions(facts)["MonitoringReady"]
    assert found[:2] == (truth, reason)
    assert says in found[2]


@pytest.mark.parametrize(
    ("facts", "truth", "reason", "due"),
    [
        pytest.param(given(), "True", "ReviewedInTime", NOW + 80 * DAY, id="in time"),
        pytest.param(given(review=Review(NOW - 90 * DAY, "olga")), "False", "ReviewOverdue", NOW, id="to the minute"),
        pytest.param(given(review=None), "False", "ReviewOverdue", NOW - 110 * DAY, id="never reviewed"),
        pytest.param(given(review=None, registered_at=NOW - DAY), "True", "ReviewedInTime", NOW + 89 * DAY, id="new"),
        pytest.param(given(model={"review": {"interval": "120h"}}), "False", "ReviewOverdue", NOW - 5 * DAY, id="the model's is shorter"),
        pytest.param(given(policy=CANARY_ONLY), "True", "NoReviewAsked", None, id="nobody asks"),
        pytest.param(given(unreviewed_override_at=NOW - DAY), "True", "ReviewedInTime", NOW + 2 * DAY, id="after break-glass"),
        pytest.param(given(unreviewed_override_at=NOW - 3 * DAY), "False", "OverrideUnreviewed", NOW, id="three days after break-glass"),
    ],
)  # fmt: skip
def test_a_review_is_current_until_it_is_due(
    facts: RegisterFacts, truth: str, reason: str, due: datetime | None
) -> None:
    assert conditions(facts)["ReviewCurrent"][:2] == (truth, reason)
    assert review_due(facts) == due


GATED: dict[str, Any] = {"stages": {"validation": {"gates": [HOLDOUT]}}}
AGED: dict[str, Any] = {"evaluation": {"maxAge": "720h"}}
BY_VERA = {"name": "auc", "evaluation": {**HOLDOUT["evaluation"], "evaluators": ["vera"]}}  # type: ignore[dict-item]
BY_VERA_ONLY: dict[str, Any] = {"stages": {"validation": {"gates": [BY_VERA]}}}
PROVED = {"name": "proved", "evaluation": {**HOLDOUT["evaluation"], "name": "environment-test"}}  # type: ignore[dict-item]
PROVED_THERE: dict[str, Any] = {"stages": {"validation": {"gates": [PROVED]}}}
TESTED: dict[str, Any] = {
    "environment": {"name": "test", "namespace": "t", "versionDigest": OTHER, "record": 7, "recordHash": OTHER}
}


@pytest.mark.parametrize(
    ("policy", "evaluations", "truth", "reason"),
    [
        pytest.param(GATED, [evaluated()], "True", "EvaluatedInTime", id="evaluated"),
        pytest.param(GATED, [evaluated(age=400 * DAY)], "True", "EvaluatedInTime", id="old, and no age was asked"),
        pytest.param(GATED, [evaluated(digest=OTHER)], "False", "NoEvaluation", id="of another content"),
        pytest.param(GATED, [evaluated("robustness")], "False", "NoEvaluation", id="another evaluation"),
        pytest.param(GATED, [evaluated(validUntil=NOW.isoformat())], "False", "StaleEvaluation", id="no longer valid"),
        pytest.param(GATED, [evaluated(age=2 * DAY, validUntil=NOW.isoformat()), evaluated()], "True", "EvaluatedInTime", id="renewed"),
        pytest.param(AGED, [evaluated("any", age=29 * DAY)], "True", "EvaluatedInTime", id="young enough"),
        pytest.param(AGED, [evaluated("any", age=30 * DAY)], "False", "StaleEvaluation", id="too old"),
        pytest.param(AGED, [evaluated("once", age=90 * DAY), evaluated("often")], "True", "EvaluatedInTime", id="the newest counts"),
        pytest.param(AGED, [], "False", "NoEvaluation", id="none at all"),
        pytest.param({}, [], "True", "NoEvaluationAsked", id="nobody asks"),
        pytest.param(BY_VERA_ONLY, [evaluated(evaluator="vera")], "True", "EvaluatedInTime", id="by one who is named"),
        pytest.param(BY_VERA_ONLY, [evaluated(evaluator="mallory")], "False", "NoEvaluation", id="by somebody else"),
        pytest.param({**PROVED_THERE, **AGED}, [evaluated("environment-test", age=90 * DAY, **TESTED)], "True", "EvaluatedInTime", id="of an earlier environment, which stays true"),
        pytest.param(AGED, [evaluated("environment-test", **TESTED)], "False", "NoEvaluation", id="nothing but an earlier environment"),
        pytest.param({**GATED, **AGED}, [evaluated(age=90 * DAY, **TESTED)], "False", "StaleEvaluation", id="old, and only said to be of an earlier environment"),
    ],
)  # fmt: skip
def test_evaluations_of_what_serves_stay_current(
    policy: dict[str, Any], evaluations: list[ModelEvaluationSpec], truth: str, reason: str
) -> None:
    found = conditions(given(policy=policy, evaluations=tuple(evaluations)))["EvaluationCurrent"]
    assert found[:2] == (truth, reason), found


@pytest.mark.parametrize(
    ("facts", "truth", "reason"),
    [
        pytest.param(given(serving=serving(Approval.GIVEN)), "False", "Governed", id="approved"),
        pytest.param(given(serving=serving(Approval.LACKING)), "True", "NotApproved", id="without the approval"),
        pytest.param(given(serving=serving(Approval.REJECTED)), "True", "NotApproved", id="rejected"),
        pytest.param(given(serving=serving(deviation="A pod was edited.")), "True", "NotWhatWasApproved", id="edited"),
        pytest.param(replace(given(), policy=None), "True", "PolicyMissing", id="no policy"),
    ],
)
def test_what_nobody_approved_is_ungoverned(facts: RegisterFacts, truth: str, reason: str) -> None:
    assert conditions(facts)["Ungoverned"][:2] == (truth, reason)


FROM_OLD = serving(lineage={"datasets": [{"name": "bureau", "digest": DIGEST}]})


@pytest.mark.parametrize(
    ("facts", "reason", "says"),
    [
        pytest.param(given(model={"owner": None}), "Ownerless", "name a team in spec.owner", id="no owner"),
        pytest.param(given(policy={}), "NotMonitored", "Nothing watches what serves", id="no monitoring"),
        pytest.param(given(review=None), "ReviewOverdue", "a review was due on 2026-08-03", id="no review"),
        pytest.param(given(serving=FROM_OLD, policy={**POLICY, "data": {"decommissioned": ["bureau"]}}), "SourceGone", "Data set bureau is decommissioned.", id="data by name"),
        pytest.param(given(serving=FROM_OLD, policy={**POLICY, "data": {"decommissioned": [DIGEST]}}), "SourceGone", "Data set bureau", id="data by digest"),
        pytest.param(given(missing_dependencies=("data/usage",)), "SourceGone", "Model data/usage, which is not there", id="a model that is gone"),
    ],
)  # fmt: skip
def test_what_serves_and_nobody_cares_for_is_a_zombie(facts: RegisterFacts, reason: str, says: str) -> None:
    found = conditions(facts)["Zombie"]
    assert found[:2] == ("True", reason)
    assert says in found[2]


def test_a_zombie_names_all_that_is_wrong_with_it() -> None:
    message = conditions(given(model={"owner": None}, review=None))["Zombie"][2]
    assert "Nobody answers" in message
    assert "Never reviewed" in message


@pytest.mark.parametrize(
    ("version", "truth", "reason", "says"),
    [
        ({}, "False", "NotDeprecated", ""),
        ({"deprecation": {"since": "2026-11-22"}}, "False", "NotDeprecated", "deprecated from 2026-11-22 on"),
        ({"deprecation": {"since": "2026-11-21", "reason": "Use v8."}}, "True", "Deprecated", "since 2026-11-21: Use v8."),
        ({"deprecation": {"since": "2026-11-01", "sunset": "2027-01-01"}}, "True", "Deprecated", "its sunset is 2027-01-01"),
        ({"deprecation": {"since": "2026-11-01", "sunset": "2026-12-01"}}, "True", "SunsetNear", "9 days from now"),
        ({"deprecation": {"since": "2026-11-01", "sunset": "2026-11-21"}}, "True", "SunsetPassed", "and it serves"),
        ({"validUntil": "2026-11-21T12:00:00Z"}, "True", "VersionExpired", "was valid until 2026-11-21 12:00 UTC"),
        ({"validUntil": "2026-11-22T12:00:00Z"}, "False", "NotDeprecated", "valid until 2026-11-22"),
    ],
)  # fmt: skip
def test_a_version_is_deprecated_with_a_warning_before_its_sunset(
    version: dict[str, Any], truth: str, reason: str, says: str
) -> None:
    found = conditions(given(serving=serving(**version)))["Deprecated"]
    assert found[:2] == (truth, reason)
    assert says in found[2]


@pytest.mark.parametrize(
    ("facts", "at"),
    [
        pytest.param(given(serving=None, watching=Watching(), review=Review(NOW, "olga")), NOW + 90 * DAY, id="the review"),
        pytest.param(given(), NOW + timedelta(hours=2, minutes=59), id="the evidence"),
        pytest.param(given(policy=AGED, watching=Watching(), evaluations=(evaluated(age=29 * DAY),)), NOW + DAY, id="the evaluation"),
        pytest.param(given(policy={}, watching=Watching(), serving=serving(deprecation={"since": "2026-11-25", "sunset": "2027-06-01"})), datetime(2026, 11, 25, tzinfo=UTC), id="the deprecation"),
        pytest.param(given(policy={}, watching=Watching(), serving=serving(deprecation={"since": "2026-11-01", "sunset": "2027-06-01"})), datetime(2027, 5, 2, tzinfo=UTC), id="the warning before the sunset"),
        pytest.param(given(policy={}, watching=Watching()), None, id="nothing"),
    ],
)  # fmt: skip
def test_the_next_deadline_is_when_a_condition_turns_by_itself(facts: RegisterFacts, at: datetime | None) -> None:
    assert next_deadline(facts) == at
    if at is not None:
        later = conditions(replace(facts, now=at))
        assert {kind: finding[:2] for kind, finding in later.items()} != {
            kind: finding[:2] for kind, finding in conditions(facts).items()
        }
