"""What somebody could try to get a version through without the people whom its policy asks, or to make a decision go unheard."""

from datetime import timedelta
from typing import Any

import pytest

from modelward.api.demands import RiskTier
from modelward.api.model import Owner, RiskAssessment
from modelward.api.status import Stage
from modelward.governance import approvals, subjects
from tests.unit.lifecycle.builders import NOW, Given, model, policy
from tests.unit.lifecycle.test_decisions import PEOPLE, STANDING, goes_on, waiting, why


def minutes_ago(minutes: float) -> Any:
    return NOW - timedelta(minutes=minutes)


def retried(given: Given) -> Given:
    """After a rejection, the team raises spec.production.retry and the version comes as far again."""
    after = given.after(given.decide())
    assert after.s.status.rollout is None
    assert given.s.policy is not None
    again = after.under(given.s.policy).requests("v8", retry=1).status(failed=())
    return again.shadow("v8").gate("errors", "Pass")


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(waiting().decided("Approve", by="rita", made=minutes_ago(9)), id="approval"),
        pytest.param(waiting().decided("Override", by="rita", made=minutes_ago(9)), id="override"),
        pytest.param(
            waiting().evaluated("v7", auc=0.87).evaluated("v8", auc=0.87).decided("Approve", by="rita", standing=STANDING),
            id="standing approval",
        ),
    ],
)  # fmt: skip
def test_what_was_decided_before_a_rejection_lets_nothing_through_after_a_retry(given: Given) -> None:
    assert goes_on(given)
    rejected = retried(given.decided("Reject", by="ruth", made=minutes_ago(5)))
    assert not goes_on(rejected)
    if given.s.approvals[0].spec.decision == "Approve":
        assert "v8 was rejected by ruth" in why(rejected)
    assert goes_on(rejected.decided("Approve", by="rita", made=minutes_ago(1)))


def test_decisions_on_record_count_for_nothing_while_the_admission_policies_are_not_in_place() -> None:
    """Without them anybody may write status, too."""
    given = waiting({"role": "risk", "count": 2}).decided("Approve", by="rita")
    recorded = given.after(given.decide()).decided("Approve", by="ruth")
    both = (
        recorded.s.status.decisions + approvals.taken_down((), None, recorded.s.approvals[1:], recorded.s.trust, NOW)[1]
    )
    forged = recorded.status(decisions=both).without_approvals()
    assert goes_on(forged)
    assert not goes_on(forged.trusts("ValidatingAdmissionPolicy modelward-status is missing: apply it"))
    override = waiting().decided("Override", by="ada")
    seen = override.status(decisions=approvals.taken_down((), None, override.s.approvals, override.s.trust, NOW)[0])
    assert not goes_on(seen.trusts("ValidatingAdmissionPolicy modelward-status is missing: apply it"))


@pytest.mark.parametrize("spelled", ["Rita@example.com", " rita@example.com", "Rita <rita@example.com>"])
def test_a_builder_who_is_spelled_otherwise_is_the_same_person(spelled: str) -> None:
    by_name = waiting(builders=(spelled,), spec__identityMap={"matchByName": True})
    assert "rita@example.com is a builder of v8" in why(by_name.decided("Approve", by="rita@example.com"))
    mapped = {"people": [*PEOPLE["people"][:3], {"name": "rita", "usernames": ["rita"], "identities": ["rita@example.com"]}]}  # fmt: skip
    by_map = waiting(builders=(spelled,), spec__identityMap=mapped)
    assert "rita is a builder of v8" in why(by_map.decided("Approve", by="rita"))


def test_a_user_whose_name_only_looks_like_that_of_a_known_person_is_nobody() -> None:
    given = waiting().decided("Approve", by="x <vera@example.com>")
    assert "is nobody that the policy's identityMap knows" in why(given)


def test_a_rejection_is_heard_before_any_number_of_approvals() -> None:
    given: Given = waiting({"role": "risk", "count": 2})
    for minute in range(40):
        given = given.decided("Reviewed", by="rita", made=minutes_ago(100 - minute))
    given = given.decided("Approve", by="rita", made=minutes_ago(30)).decided(
        "Approve", by="ruth", made=minutes_ago(30)
    )
    given = given.decided("Reject", by="ruth", made=minutes_ago(1))
    assert given.decide().status.rollout is None


def flooded(given: Given, made: Any = None) -> Given:
    for number in range(150):
        given = given.decided("Reviewed", by="rita", made=made or minutes_ago(900 - number))
    for _ in range(25):
        given = given.after(given.decide())
    return given


def test_a_flood_of_one_second_does_not_drown_a_rejection() -> None:
    given = waiting().decided("Reject", by="ruth", version="v9", made=minutes_ago(5))
    flood = flooded(given, made=minutes_ago(5)).without_approvals()
    known = flood.version("v9").requests("v9")
    assert known.decide().status.failed[0].version == "v9", "it was made before there was a v9, and stands"


@pytest.mark.parametrize("decision", ["Exception", "Override"])
def test_what_is_in_force_is_not_forgotten_for_a_flood_of_decisions(decision: str) -> None:
    more = {"tier": "Low", "subjectDigest": "sha256:" + "1" * 64} if decision == "Exception" else {}
    given = waiting().decided(decision, by="ruth", made=minutes_ago(999), **more)
    # Nothing reviews it: a flood of rejections of what there is not.
    for number in range(150):
        given = given.decided("Approve", by="nils", made=minutes_ago(900 - number), version="v7")
    for _ in range(25):
        given = given.after(given.decide())
    assert len(given.s.status.decisions) == 128
    assert decision in {each.decision for each in given.s.status.decisions}


def test_the_newest_review_is_known_after_a_thousand_other_decisions() -> None:
    given = waiting().decided("Reviewed", by="ruth", made=minutes_ago(999))
    for number in range(150):
        given = given.decided("Approve", by="nils", made=minutes_ago(900 - number), version="v7")
    for _ in range(25):
        given = given.after(given.decide())
    assert given.s.status.review is not None
    assert given.s.status.review.by == "ruth"


def test_a_review_of_an_earlier_model_of_the_name_reviews_nothing_of_this_one() -> None:
    given = waiting().decided("Reviewed", by="ruth", made=minutes_ago(60))
    metadata = given.s.model.metadata.model_copy(update={"creation_timestamp": minutes_ago(30).isoformat()})
    anew = given._with(model=given.s.model.model_copy(update={"metadata": metadata}))
    assert anew.decide().status.review is None
    assert given.decide().status.review is not None


@pytest.mark.parametrize(
    ("expires", "said"),
    [
        ("9999-12-31T23:59:59-01:00", "until 9999-12-31 23:59 UTC"),
        ("2026-12-01T10:00:00+05:30", "until 2026-12-01 04:30 UTC"),
    ],
)
def test_an_expiry_of_another_time_zone_is_understood(expires: str, said: str) -> None:
    plan = waiting().decided("Approve", by="rita", expiresAt=expires).decide()
    plan.status.model_dump_json()
    assert said in plan.status.history[-1].message


def test_people_who_wait_are_listed_however_many_roles_a_policy_has() -> None:
    roles = [{"role": f"role-{number}"} for number in range(14)]
    under = policy(
        shadow__approvals=roles, canary__approvals=[{"role": f"late-{n}"} for n in range(9)], spec__identityMap=PEOPLE
    )
    given = model().under(under).serving("v7").built_by("v8", "ada@example.com").shadow("v8").gate("errors", "Pass")
    listed = given.decide().status.pending_approvals
    assert len(listed) == 16, "as many as status holds"
    assert [entry.due for entry in listed[:14]] == [True] * 14


# What was rejected.


def test_a_rejected_version_is_never_rolled_back_to() -> None:
    """It was rejected while it served and nothing else could, then another took over."""
    given = model().serving("v7").decided("Reject", by="rita", version="v7")
    rejected = given.after(given.decide())
    assert rejected.s.status.production is not None
    assert given.s.policy is not None
    promoted = rejected.under(given.s.policy).canary("v8", weight=50).gate("errors", "Pass").without_approvals()
    after = promoted.after(promoted.decide())
    assert after.s.status.production is not None and after.s.status.production.version == "v8"
    assert "v7" not in {reference.version for reference in after.s.status.standby}
    failing = after.gate("errors", "Fail", version="v8", stage=Stage.PRODUCTION).decide()
    assert failing.status.switch is None


@pytest.mark.parametrize("because", ["watch", "rejection"])
def test_a_latched_version_is_not_rolled_back_to(because: str) -> None:
    given = model().version("v6", ready=2).serving("v8").standby("v7").standby("v6").failed("v7")
    if because == "watch":
        given = given.watched(previous="v7").gate("errors", "Fail")
    else:
        given = given.decided("Reject", by="rita", version="v8")
    switch = given.decide().status.switch
    assert switch is None or switch.to == "v6"


def test_twenty_failures_do_not_lift_a_rejection() -> None:
    given = waiting().decided("Reject", by="ruth")
    given = given.after(given.decide())
    [rejection] = given.s.status.failed
    under = given.s.policy
    assert under is not None
    for number in range(30):
        given = given.under(under).canary(f"v{100 + number}", weight=10).gate("errors", "Fail")
        given = given.after(given.decide()).status(gates=())
    assert len(given.s.status.failed) == 20
    assert rejection in given.s.status.failed


def test_a_rejected_version_that_is_served_elsewhere_is_ungoverned() -> None:
    given = model().version("v7").requests("v7").served_elsewhere().decided("Reject", by="ruth", version="v7")
    [found] = [c for c in given.decide().status.conditions if c.type == "Ungoverned"]
    assert (found.status, found.reason) == ("True", "NotApproved")


@pytest.mark.parametrize("suspended", [False, True], ids=["running", "suspended"])
def test_a_rejection_takes_a_version_out_of_production_also_while_automation_is_frozen(suspended: bool) -> None:
    given = model().serving("v8").standby("v7").decided("Reject", by="rita", version="v8")
    given = given.suspended() if suspended else given
    for _ in range(3):
        given = given.after(given.decide())
    assert given.s.status.production is not None
    assert given.s.status.production.version == "v7"


def test_a_rejected_challenger_gets_no_more_copies_also_while_automation_is_frozen() -> None:
    given = model().serving("v7").challenger("v9").suspended().decided("Reject", by="rita", version="v9")
    plan = given.decide()
    assert plan.status.challengers == ()
    assert plan.traffic is not None
    assert plan.traffic.mirrors == {}


VALIDATOR = {"role": "validator", "independent": True}


@pytest.mark.parametrize(
    "team", ["lending-ml", "Lending-ML ", "another-team"], ids=["own", "spelled otherwise", "named otherwise"]
)
def test_a_team_does_not_make_its_people_independent_by_how_it_calls_itself(team: str) -> None:
    given = waiting(VALIDATOR).spec(owner=Owner(team=team)).decided("Approve", by="alan", role="validator")
    assert not goes_on(given)
    assert "alan is of lending-ml" in why(given)
    assert goes_on(waiting(VALIDATOR).spec(owner=Owner(team=team)).decided("Approve", by="vera", role="validator"))


@pytest.mark.parametrize(
    "changes", [{"valid_until": NOW - timedelta(minutes=1)}, {"at": NOW + timedelta(days=9)}], ids=["over", "of a time to come"]
)  # fmt: skip
def test_an_evaluation_that_is_no_evidence_now_carries_no_standing_approval(changes: dict[str, Any]) -> None:
    given = waiting().evaluated("v7", auc=0.87).evaluated("v8", auc=0.87)
    theirs, ours = given.s.evaluations
    changed = ours.model_copy(update={"spec": ours.spec.model_copy(update=changes)})
    spoilt = given._with(evaluations=(theirs, changed))
    assert goes_on(given.decided("Approve", by="rita", standing=STANDING))
    assert not goes_on(spoilt.decided("Approve", by="rita", standing=STANDING))


def test_whoever_may_only_reject_cannot_make_approvals_go_unheard() -> None:
    given: Given = waiting()
    for number in range(140):
        given = given.decided("Reject", by="nils", version=f"v{1000 + number}", made=minutes_ago(900 - number))
    for _ in range(25):
        given = given.after(given.decide())
    assert given.s.policy is not None
    assert goes_on(given.under(given.s.policy).decided("Approve", by="rita"))


def test_breaking_the_glass_is_reviewed_by_somebody_else() -> None:
    given = waiting().decided("Override", by="rita", made=minutes_ago(9))
    own = given.decided("Reviewed", by="rita", made=minutes_ago(5)).decide().status
    other = given.decided("Reviewed", by="ruth", made=minutes_ago(5)).decide().status
    assert approvals.unreviewed_override(own.decisions) is not None
    assert approvals.unreviewed_override(other.decisions) is None


def test_an_override_that_was_not_needed_is_not_what_let_the_version_through() -> None:
    under = policy(canary__approvals=[{"role": "risk"}], spec__identityMap=PEOPLE)
    given = model().under(under).serving("v7").built_by("v8", "ada@example.com").canary("v8", weight=50)
    given = given.gate("errors", "Pass").decided("Override", by="ada")
    overridden = given.decide().status.production
    approved = given.decided("Approve", by="rita").decide().status.production
    assert overridden is not None and approved is not None
    assert (overridden.approval, approved.approval) == ("Overridden", "Given")


def test_an_exception_on_record_is_worth_nothing_while_the_admission_policies_are_not_in_place() -> None:
    table = {"impact": {"Severe": "High"}}
    assessment = RiskAssessment.model_validate({"impact": "Severe"})
    given = model().spec(risk_assessment=assessment).under(policy(spec__minimumTier=table)).serving("v7")
    subject = subjects.tier_subject(given.s.model, RiskTier.HIGH)
    excepted = given.decided("Exception", by="ruth", tier="Low", subjectDigest=subject)
    seen = excepted.after(excepted.decide())

    def valid(at: Given) -> str:
        return next(c.status for c in at.decide().status.conditions if c.type == "SpecValid")

    assert (valid(given), valid(seen)) == ("False", "True")
    assert valid(seen.trusts("ValidatingAdmissionPolicy modelward-status is missing: apply it")) == "False"


@pytest.mark.parametrize("made_anew", [False, True], ids=["forgotten", "made anew with other content"])
def test_a_rejection_meets_what_serves_whatever_has_become_of_its_model_version(made_anew: bool) -> None:
    given = model().serving("v8").standby("v7")
    serves = given.s.versions["v8"].digest
    given = given.version("v8", digest="sha256:" + "1" * 64, changed=True) if made_anew else given.forgotten("v8")
    given = given.decided("Reject", by="rita", version="v8")
    for _ in range(3):
        given = given.after(given.decide())
    status = given.s.status
    assert status.production is not None
    assert status.production.version == "v7"
    assert serves in {entry.digest for entry in status.failed}


def test_a_frozen_model_is_looked_at_again_until_the_rejected_version_is_out() -> None:
    given = model().serving("v8").standby("v7", ready=0).suspended().decided("Reject", by="rita", version="v8")
    given = given.after(given.decide())
    plan = given.decide()
    assert plan.status.switch is not None
    assert plan.check_at is not None
    assert plan.check_at <= NOW + timedelta(seconds=5)
