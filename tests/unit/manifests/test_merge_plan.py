"""What a merge would do: stages with their times and shares, gates, approvals and by whom."""

from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from modelward.api.digests import version_digest
from modelward.api.model_version import ModelVersion
from modelward.api.status import FailedVersion, ModelStatus, RolloutStatus, Stage, VersionReference
from modelward.manifests.documents import read_text
from modelward.manifests.merge_markdown import as_markdown, headline
from modelward.manifests.merge_plan import Change, ModelPlan, plans_of
from modelward.manifests.portfolio import gathered
from tests.manifests import GOOD, changed

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
KEY = ("default", "churn")
MODEL = changed(GOOD["a model behind a gateway"], spec__challengers=[], spec__production={"version": "v8"})
VERSION = GOOD["a version with an inline baseline"]  # churn-v8, built by Ada
DIGEST = version_digest(ModelVersion.model_validate(VERSION).spec)
ERRORS = {"name": "errors", "errorRate": {"maxIncrease": 0.005}}
POLICY: dict[str, Any] = {
    "apiVersion": "modelward.dev/v1alpha1",
    "kind": "LifecyclePolicy",
    "metadata": {"name": "strict"},
    "spec": {
        "appliesTo": {"tiers": ["High"]},
        "identityMap": {
            "people": [
                {"name": "Ada", "identities": ["ada@example.com"], "teams": ["retention-ml"]},
                {"name": "Bo", "usernames": ["bo"], "teams": ["retention-ml"]},
                {"name": "Grace", "usernames": ["grace"], "teams": ["risk"]},
            ]
        },
        "stages": {
            "validation": {"approvals": [{"role": "validator"}]},
            "shadow": {"minDuration": "24h", "gates": [ERRORS]},
            "canary": {
                "steps": [{"weight": 10, "minDuration": "4h"}, {"weight": 50, "minDuration": "2h"}],
                "gates": [ERRORS],
                "approvals": [{"role": "risk", "independent": True, "beforeWeight": 50}],
            },
            "production": {"watch": {"duration": "12h"}},
            "firstVersion": {"require": "Approval"},
        },
    },
}


def planned(
    status: ModelStatus | None = None, *, known: bool = True, model: Any = MODEL, policy: Any = POLICY
) -> ModelPlan:
    documents = read_text(yaml.safe_dump_all([model, VERSION, policy]), "prod.yaml").documents
    portfolio, findings = gathered(documents, "default")
    assert not findings
    (plan,) = plans_of(portfolio, (), {KEY: status or serving("v7")} if known else None, NOW)
    return plan


def serving(version: str, **more: Any) -> ModelStatus:
    reference = VersionReference(version=version, digest="sha256:" + "0" * 64, since=NOW)
    return ModelStatus(production=reference, **more)


def test_a_rollout_goes_through_the_stages_with_their_least_times() -> None:
    plan = planned()
    assert plan.change is Change.ROLLOUT
    assert (plan.before, plan.version, plan.policy) == ("v7", "v8", "strict")
    assert [(stage.name, stage.users, stage.mirrored, stage.starts_after) for stage in plan.stages] == [
        ("Validation", 0, 0, timedelta(0)),
        ("Shadow", 0, 100, timedelta(0)),
        ("Canary", 10, 0, timedelta(hours=24)),
        ("Canary", 50, 0, timedelta(hours=28)),
        ("Production", 100, 0, timedelta(hours=30)),
    ]
    assert plan.least == timedelta(hours=30)
    assert plan.stages[1].gates == ("errors: errorRate (maxIncrease 0.005)",)


def test_approvals_are_asked_where_they_are_needed_first_and_of_those_who_may() -> None:
    asked = {stage.users: stage.approvals for stage in planned().stages if stage.approvals}
    (validator,) = asked[0]
    (risk,) = asked[10]
    assert (validator.role, validator.people) == ("validator", ("Bo", "Grace"))
    assert (risk.role, risk.independent, risk.people) == ("risk", True, ("Grace",))


def test_a_first_version_takes_all_requests_after_validation() -> None:
    plan = planned(ModelStatus())
    assert plan.change is Change.FIRST
    assert [(stage.name, stage.users) for stage in plan.stages] == [("Validation", 0), ("Production", 100)]
    assert plan.least == timedelta(0)


def test_without_a_cluster_another_version_is_taken_to_serve_and_that_is_said() -> None:
    plan = planned(known=False)
    assert plan.change is Change.ROLLOUT
    assert plan.before is None
    assert "not known without --cluster" in plan.notes[0]


def test_nothing_happens_to_a_version_that_serves() -> None:
    assert planned(serving("v8")).change is Change.NONE


def test_a_version_in_standby_takes_over_at_once() -> None:
    standby = VersionReference(version="v8", digest=DIGEST, since=NOW)
    plan = planned(serving("v9", standby=(standby,)))
    assert plan.change is Change.REVERT
    assert [stage.users for stage in plan.stages] == [100]
    assert "without gates or approvals" in plan.notes[-1]


def test_a_latched_version_stays_where_it_is_until_retry_is_raised() -> None:
    failed = FailedVersion(
        version="v8", digest=DIGEST, retry=0, stage=Stage.CANARY, reason="GateFailed", message="", at=NOW
    )
    status = serving("v7", failed=(failed,))
    plan = planned(status)
    assert plan.change is Change.LATCHED
    assert "raise spec.production.retry above 0" in plan.obstacles[0]
    again = changed(MODEL, spec__production={"version": "v8", "retry": 1})
    assert planned(status, model=again).change is Change.ROLLOUT


def test_a_rollout_in_flight_of_another_version_would_end() -> None:
    rollout = RolloutStatus(
        version="v6", digest=DIGEST, policy="old", policy_digest=DIGEST, started_at=NOW, stage=Stage.CANARY,
        stage_entered_at=NOW, step_entered_at=NOW,
    )  # fmt: skip
    assert (
        "the rollout of v6, now in Canary, would end without a verdict" in planned(serving("v7", rollout=rollout)).notes
    )


def test_what_stands_in_the_way_is_said_in_the_words_of_the_operator() -> None:
    lacking = planned(policy=changed(POLICY, spec__requires={"documents": ["Plan"]}))
    assert lacking.obstacles == (
        "the Model has no document of type Plan: add it to spec.documents with its uri and digest",
    )
    blocked = planned(model=changed(MODEL, spec__production={"version": "v9"}))
    assert blocked.change is Change.BLOCKED
    assert blocked.obstacles[0].startswith("VersionNotFound: spec.production.version is 'v9'")


def test_a_pull_request_reads_a_table_that_mentions_nobody() -> None:
    people = {"people": [{"name": "@everyone | all", "usernames": ["x"]}]}
    text = as_markdown([planned(policy=changed(POLICY, spec__identityMap=people))])
    assert "### `default/churn`" in text
    assert "v7 -> v8 would be rolled out under policy strict, in 30h at the least." in text
    assert "| Canary | +24h | 4h | 10 % |" in text
    assert "@everyone" not in text
    assert "\\| all" in text


def test_unchanged_models_share_a_line() -> None:
    assert "Nothing changes for `default/churn`." in as_markdown([planned(serving("v8"))])
    assert headline(planned(serving("v8"))) == "nothing changes"
