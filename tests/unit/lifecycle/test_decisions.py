"""Whose approval counts, and what an approval is worth when something has changed since."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from modelward.api.model import Owner
from modelward.api.status import Stage
from tests.unit.lifecycle.builders import LONG_AGO, NOW, Given, model, policy

PEOPLE: dict[str, Any] = {
    "people": [
        {"name": "ada", "usernames": ["ada"], "identities": ["ada@example.com"], "teams": ["lending-ml"]},
        {"name": "alan", "usernames": ["alan"], "identities": ["alan@example.com"], "teams": ["lending-ml"]},
        {"name": "vera", "usernames": ["vera", "vera-admin"], "identities": ["vera@example.com"], "teams": ["validation"]},
        {"name": "rita", "usernames": ["rita"], "teams": ["risk"]},
        {"name": "ruth", "usernames": ["ruth"], "teams": ["risk"]},
        {"name": "nils", "usernames": ["nils"]},
    ]
}  # fmt: skip
RISK = {"role": "risk"}
VALIDATOR = {"role": "validator", "independent": True}
SCHEMA = {"inputs": [{"name": "income", "type": "double"}], "outputs": [{"name": "default", "type": "double"}]}


def waiting(*demands: dict[str, Any], builders: tuple[str, ...] = ("ada@example.com",), **changes: Any) -> Given:
    """v8 in Shadow with all gates passed: only people are waited for."""
    under = policy(shadow__approvals=list(demands or (RISK,)), **{"spec__identityMap": PEOPLE, **changes})
    given = model().spec(owner=Owner(team="lending-ml")).under(under)
    given = given.version("v7", more={"schema": SCHEMA}).serving("v7")
    given = given.version("v8", more={"schema": SCHEMA, "builtBy": list(builders)})
    return given.shadow("v8").gate("errors", "Pass")


def goes_on(given: Given) -> bool:
    rollout = given.decide().status.rollout
    assert rollout is not None
    return rollout.stage is Stage.CANARY


def why(given: Given) -> str:
    progressing = next(c for c in given.decide().status.conditions if c.type == "Progressing")
    assert progressing.reason == "AwaitingApproval"
    return progressing.message


STANDING = {"maxCount": 2, "metrics": [{"evaluation": "holdout", "metric": "auc", "maxDecrease": 0.01}]}

COUNTS: dict[str, Given] = {
    "the approval of somebody who did not build the version": waiting().decided("Approve", by="rita"),
    "an approval under the second name of a person": waiting(VALIDATOR).decided("Approve", by="vera-admin", role="validator"),
    "two people in one role, where two are asked for": waiting({"role": "risk", "count": 2})
    .decided("Approve", by="rita")
    .decided("Approve", by="ruth"),
    "two people in two roles, whichever of them has both": waiting(RISK, VALIDATOR)
    .decided("Approve", by="vera")
    .decided("Approve", by="vera", role="validator")
    .decided("Approve", by="rita"),
    "names that match by themselves, where the policy says so": waiting(spec__identityMap={"matchByName": True}).decided(
        "Approve", by="rita@example.com"
    ),
    "an override in place of every approval, also by a builder": waiting(RISK, VALIDATOR).decided("Override", by="ada"),
    "an approval given for another stage in the same role": waiting(RISK, canary__approvals=[{"role": "risk", "beforeWeight": 10}]).decided(
        "Approve", by="rita"
    ),
    "a standing approval for a retrain within its bounds": waiting()
    .evaluated("v7", auc=0.87)
    .evaluated("v8", auc=0.865)
    .decided("Approve", by="rita", standing=STANDING),
}  # fmt: skip


@pytest.mark.parametrize("given", [pytest.param(given, id=name) for name, given in COUNTS.items()])
def test_a_decision_lets_the_version_go_on(given: Given) -> None:
    assert not goes_on(given.without_approvals())
    assert goes_on(given)


REFUSED: dict[str, tuple[Given, str]] = {
    "by a builder": (waiting().decided("Approve", by="ada"), "ada is a builder of v8"),
    "by somebody whom the policy does not know": (waiting().decided("Approve", by="mallory"), "mallory is nobody that the policy's identityMap knows"),
    "of a version that names no builder": (waiting(builders=()).decided("Approve", by="rita"), "v8 names no builder"),
    "of a version that was built by somebody unknown": (
        waiting(builders=("ada@example.com", "ghost@example.com")).decided("Approve", by="rita"),
        "builder ghost@example.com is nobody",
    ),
    "by a colleague, where independence is asked for": (
        waiting(VALIDATOR).decided("Approve", by="alan", role="validator"),
        "alan is of lending-ml",
    ),
    "by somebody of no known team, where independence is asked for": (
        waiting(VALIDATOR).decided("Approve", by="nils", role="validator"),
        "names no team of nils",
    ),
    "in another role": (waiting().decided("Approve", by="vera", role="validator"), "the approval of risk"),
    "of another version": (waiting().decided("Approve", by="rita", version="v7"), "it is about v7"),
    "by one person twice, where two are asked for": (
        waiting({"role": "risk", "count": 2}).decided("Approve", by="rita").decided("Approve", by="rita"),
        "1 of 2 approvals as risk",
    ),
    "by one person in two roles": (
        waiting(RISK, {"role": "validator"}).decided("Approve", by="vera").decided("Approve", by="vera", role="validator"),
        "the approval of",
    ),
    "that has expired": (waiting().decided("Approve", by="rita", expiresAt=NOW - timedelta(seconds=1)), "it expired at"),
    "made before an evaluation was added": (
        waiting().decided("Approve", by="rita").evaluated("v8", auc=0.9),
        "what it was given for has changed since",
    ),
    "made before the admission policies were there": (
        waiting().decided("Approve", by="rita", made=LONG_AGO - timedelta(hours=1)),
        "it was made before the admission policies were in place",
    ),
    "replayed for other content": (
        waiting().decided("Approve", by="rita", subjectDigest="sha256:" + "0" * 64),
        "what it was given for has changed since",
    ),
    "standing, for a retrain that is worse than it allows": (
        waiting().evaluated("v7", auc=0.87).evaluated("v8", auc=0.85).decided("Approve", by="rita", standing=STANDING),
        "0.02 below v7, and 0.01 is allowed",
    ),
    "standing, for a version without the figure": (
        waiting().evaluated("v7", auc=0.87).decided("Approve", by="rita", standing=STANDING),
        "v8 has no auc of evaluation holdout",
    ),
    "standing, that has expired": (
        waiting().evaluated("v7", auc=0.87).evaluated("v8", auc=0.87).decided("Approve", by="rita", standing=STANDING, expiresAt=NOW),
        "it expired at",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("given", "because"), [pytest.param(*row, id=name) for name, row in REFUSED.items()])
def test_an_approval_does_not_count(given: Given, because: str) -> None:
    assert not goes_on(given)
    assert because in why(given)


def test_the_user_of_the_run_and_the_authors_of_the_commit_are_builders_too() -> None:
    lineage = {
        "run": {"id": "1", "user": "vera@example.com"},
        "code": {"repo": "r", "commit": "c", "authors": ["alan@example.com"]},
    }
    under = policy(shadow__approvals=[RISK], spec__identityMap=PEOPLE)
    given = model().under(under).serving("v7")
    given = (
        given.version("v8", more={"builtBy": ["ada@example.com"], "lineage": lineage})
        .shadow("v8")
        .gate("errors", "Pass")
    )
    for builder in ("vera", "alan", "ada"):
        assert f"{builder} is a builder of v8" in why(given.decided("Approve", by=builder))


def test_a_change_of_the_version_or_the_policy_asks_anew() -> None:
    approved = waiting().decided("Approve", by="rita")
    assert goes_on(approved)
    other = approved.version("v8", digest="sha256:" + "1" * 64)
    assert not goes_on(other.rollout(digest="sha256:" + "1" * 64))


def test_somebody_who_joins_during_a_rollout_can_approve_it_and_nothing_else_is_asked_anew() -> None:
    given = waiting({"role": "risk", "count": 2}).decided("Approve", by="rita").decided("Approve", by="mallory")
    assert not goes_on(given)
    people = {"people": [*PEOPLE["people"], {"name": "mallory", "usernames": ["mallory"]}]}
    joined = policy(shadow__approvals=[{"role": "risk", "count": 2}], spec__identityMap=people)
    assert goes_on(given._with(policy=joined))


def test_an_approval_that_was_seen_counts_after_it_is_deleted() -> None:
    held = waiting({"role": "risk", "count": 2}).decided("Approve", by="rita")
    seen = held.after(held.decide()).without_approvals()
    assert goes_on(seen.decided("Approve", by="ruth"))


def test_a_rejection_that_was_seen_stays_after_it_is_deleted_and_ends_with_a_higher_retry() -> None:
    rejected = waiting().decided("Reject", by="rita")
    after = rejected.after(rejected.decide())
    for later in (after, after.without_approvals()):
        assert later.decide().status.rollout is None
    again = after.requests("v8", retry=1).decide()
    assert again.status.rollout is not None, "a raised retry counter takes the rejection back"


def test_a_rejection_by_nobody_knows_whom_does_nothing() -> None:
    given = waiting().trusts("ValidatingAdmissionPolicy modelward-approvals is missing").decided("Reject", by="mallory")
    assert given.decide().status.rollout is not None
    assert given.decide().status.decisions == ()


def test_nothing_is_counted_while_the_admission_policies_are_not_in_place() -> None:
    given = (
        waiting()
        .decided("Approve", by="rita")
        .trusts("ValidatingAdmissionPolicy modelward-approvals is missing: apply it")
    )
    assert "No approval is counted now: ValidatingAdmissionPolicy modelward-approvals is missing" in why(given)
    restored = given.trusts(since=NOW)
    assert "before the admission policies were in place" in why(restored)


def test_a_standing_approval_is_used_up() -> None:
    given = waiting().evaluated("v7", auc=0.87).evaluated("v8", auc=0.87)
    given = given.decided("Approve", by="rita", standing={**STANDING, "maxCount": 1})
    plan = given.decide()
    [standing] = plan.status.decisions
    assert standing.used_for == (given.s.versions["v8"].digest,)
    spent = standing.model_copy(update={"used_for": ("sha256:" + "2" * 64,)})
    assert "it was good for 1 versions" in why(given.without_approvals().status(decisions=(spent,)))


def test_approvals_have_to_hold_before_every_increase_of_traffic() -> None:
    under = policy(validation__approvals=[RISK], spec__identityMap=PEOPLE)
    given = (
        model()
        .under(under)
        .serving("v7")
        .built_by("v8", "ada@example.com")
        .canary("v8", weight=10)
        .gate("errors", "Pass")
    )
    approved = given.decided("Approve", by="rita", expiresAt=NOW + timedelta(minutes=5))
    step = approved.decide().status.rollout
    assert step is not None and step.step == 1
    late = approved.later(minutes=6).decide().status.rollout
    assert late is not None and late.step == 0, "it has expired: the canary stays where it is"


def test_what_is_lacking_is_listed_with_the_digest_to_decide_on() -> None:
    given = waiting(VALIDATOR, canary__approvals=[{"role": "risk", "beforeWeight": 50}])
    now, later = given.decide().status.pending_approvals
    assert (now.role, now.due, now.before, now.missing) == ("validator", True, "leaving Shadow", 1)
    assert (later.role, later.due, later.before) == ("risk", False, "50 % of requests")
    approved = given.decided("Approve", by="vera", role="validator", subjectDigest=now.subject_digest)
    assert goes_on(approved)


def test_a_decision_is_told_once_and_kept_in_the_history() -> None:
    given = waiting().decided("Approve", by="rita")
    plan = given.decide()
    assert [told.message for told in plan.announcements if told.reason == "DecisionRecorded"] == [
        "rita approved v8 as risk: said in a test."
    ]
    entry = next(entry for entry in plan.status.history if entry.action == "DecisionRecorded")
    assert entry.actor == "rita"
    again = given.after(plan).decide()
    assert all(told.reason != "DecisionRecorded" for told in again.announcements)


def test_a_flood_of_decisions_is_bounded_and_what_fell_out_is_not_taken_for_new() -> None:
    given: Given = waiting()
    for minute in range(140):
        given = given.decided("Reviewed", by="rita", made=NOW - timedelta(minutes=200 - minute), version=None)
    for _ in range(20):  # a few at each look: each is a step of the history, and the history is bounded
        given = given.after(given.decide())
    assert len(given.s.status.decisions) == 128
    assert given.decide().status.decisions == given.s.status.decisions


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param(lambda given: given, True, id="nothing"),
        pytest.param(lambda given: given.later(hours=3), True, id="time"),
        pytest.param(lambda given: given.evaluated("v7", auc=0.5), True, id="an evaluation of another version"),
        pytest.param(lambda given: given.evaluated("v8", auc=0.5), False, id="an evaluation of the version"),
        pytest.param(lambda given: given._with(model=_with_uid(given, "another")), False, id="another Model of the same name"),
    ],
)  # fmt: skip
def test_the_digest_covers_what_was_shown(change: Callable[[Given], Given], same: bool) -> None:
    before = waiting()
    [first] = before.decide().status.pending_approvals
    [second] = change(before).decide().status.pending_approvals
    assert (first.subject_digest == second.subject_digest) is same


def _with_uid(given: Given, uid: str) -> Any:
    return given.s.model.model_copy(update={"metadata": given.s.model.metadata.model_copy(update={"uid": uid})})
