"""What whoever is called out of bed reads first: what goes on, and what to do. Statuses come from the decision itself."""

from datetime import timedelta
from typing import Any

import pytest

from modelward.lifecycle.headline import Headline, Urgency, ago, headline_of
from modelward.lifecycle.overview import Situation, coming_of, lacking_of, versions_of, wrong_of
from tests.unit.lifecycle.builders import ERRORS, LONG_AGO, NOW, Given, model, policy

ASKS = policy(canary__approvals=[{"role": "risk", "beforeWeight": 50}])
NEEDY = policy(canary__gates=[{**ERRORS, "minSamples": 2000}])
PASSES = {"figure": 0.001, "low": -0.002, "high": 0.004, "bound": 0.005, "samples": 12_000}


def situation(given: Given, **later: float) -> Situation:
    """After the operator has looked, and some time later."""
    plan = given.decide()
    s = given.after(plan).s
    digest = s.status.rollout.policy_digest if s.status.rollout else s.status.watch and s.status.watch.policy_digest
    return Situation(s.model, s.status, s.pinned.get(digest or ""), s.now + timedelta(**later))


def remedy(reason: str) -> str:
    return f"[remedy of {reason}]"


def said(given: Given, **later: float) -> Headline:
    return headline_of(situation(given, **later), remedy)


def canary(under: Any = None, **changes: Any) -> Given:
    chosen = under or policy()
    return model().under(chosen).serving("v7").canary("v8", **changes).trusts()


def starting() -> Given:
    """v8 has just come to Shadow, and no request is mirrored to it yet."""
    given = model().serving("v7").shadow("v8", stage_entered_at=NOW, step_entered_at=NOW, traffic_since=None).trusts()
    return given.traffic({"v7": 100})


CASES: dict[str, tuple[Given, Urgency, str, str]] = {
    "a rollout that waits for approval names role, stage and command": (
        canary(ASKS).gate("errors", "Pass", **PASSES),
        Urgency.ACT,
        "v8 waits in Canary at 10 % for 1 approval as risk",
        "modelward approve credit-risk -n lending --version v8 --role risk",
    ),
    "whoever approves is told that a gate is undecided": (
        canary(ASKS).gate("errors", "Inconclusive", "9 of the 10 intervals needed"),
        Urgency.ACT,
        "asked for 0s ago; no gate has failed, and errors is not decided yet.",
        "modelward approve credit-risk -n lending --version v8 --role risk",
    ),
    "approvals that nobody would count say so instead of sending somebody to approve": (
        canary(ASKS).gate("errors", "Pass", **PASSES).trusts("a policy was edited"),
        Urgency.ACT,
        "No ModelApproval is counted: a policy was edited.",
        "[remedy of AdmissionNotInPlace]",
    ),
    "a pod that cannot start needs somebody, and the sentence says why and until when": (
        starting().version("v8", ready=0, problem="pod v8-1 cannot pull r.example/v8: not found"),
        Urgency.ACT,
        "v8: 0 of 2 pods are ready: pod v8-1 cannot pull r.example/v8: not found. v8 fails unless all are by 2026-11-21 12:10:00 UTC.",
        "[remedy of PodsNotReady] kubectl describe pods -n lending -l modelward.dev/model=credit-risk,modelward.dev/version=v8",
    ),
    "pods that are only starting are waited for": (
        starting().version("v8", ready=0),
        Urgency.WAIT,
        "v8: 0 of 2 pods are ready. v8 fails unless all are by 2026-11-21 12:10:00 UTC.",
        "Nothing to do",
    ),
    "a route that the gateway refuses needs somebody, and is no matter of waiting": (
        starting().version("v8", ready=2).route(resolved=False, message="BackendNotFound"),
        Urgency.ACT,
        "v8 is held in Shadow since 0s, because its traffic is not in force: BackendNotFound.",
        "[remedy of RefsUnresolved] kubectl describe httproute credit-risk -n lending",
    ),
    "a gateway that is only a little behind is waited for": (
        starting().version("v8", ready=2).route(observed=False),
        Urgency.WAIT,
        "waiting for the route to be in force",
        "Nothing to do",
    ),
    "an undecided gate goes on by itself": (
        canary(weight=50).gate("errors", "Inconclusive", "about 1,300 more requests needed, 25 minutes at this rate"),
        Urgency.WAIT,
        "25 minutes at this rate",
        "Nothing to do",
    ),
    "a gate that waits for the first request says on whom it waits": (
        canary(traffic_since=NOW - timedelta(minutes=3)).gate(
            "errors", "Unknown", "v8 has answered no request that counts yet", "InsufficientSamples"
        ),
        Urgency.WAIT,
        "v8 has answered no request that counts yet",
        "It goes on when users send requests.",
    ),
    "what the register lacks is said once, with the stage": (
        model().under(policy(spec__requires={"fields": ["purpose"]})).serving("v7").validation("v8").trusts(),
        Urgency.ACT,
        "v8 is held in Validation since 0s (RegisterIncomplete): spec.purpose is not set",
        "[remedy of RegisterIncomplete]",
    ),
    "a minimum duration is waited for": (
        canary(traffic_since=NOW - timedelta(minutes=3)).gate("errors", "Pass", **PASSES),
        Urgency.WAIT,
        "v8 in Canary at 10 %. It stays there until",
        "Nothing to do",
    ),
    "a gate that gets no metrics needs somebody, and its reason's remedy is given": (
        canary(unknown_since=NOW - timedelta(minutes=30)).gate(
            "errors", "Unknown", "pod v8-1 does not answer on :9090/metrics", "MetricsUnavailable"
        ),
        Urgency.ACT,
        "gate errors has had no evidence for 30m: pod v8-1 does not answer",
        "[remedy of MetricsUnavailable]",
    ),
    "a gate that only lacks requests is waited for": (
        canary(unknown_since=NOW - timedelta(minutes=30)).gate(
            "errors", "Unknown", "v8 has answered 1,204 of the 2,000 requests needed", "InsufficientSamples"
        ),
        Urgency.WAIT,
        "1,204 of the 2,000 requests needed",
        "[remedy of InsufficientSamples]",
    ),
    "a rollout that is paused says since when and why": (
        canary(paused=True, unknown_since=NOW - timedelta(hours=3)).gate("errors", "Unknown", "no answer", "MetricsUnavailable"),
        Urgency.ACT,
        "v8 is paused in Canary at 10 % since 0s, because gate errors has no evidence: no answer.",
        "[remedy of MetricsUnavailable] It goes on by itself when evidence comes. modelward explain credit-risk -n lending",
    ),
    "a failed gate is told with what serves now, and how to try again": (
        canary().gate("errors", "Fail", "errors rose by 2.1 to 4.7 percentage points against v7 (bound 0.5)"),
        Urgency.ACT,
        "v8 failed in Canary 0s ago and is latched; v7 serves all traffic: gate errors failed in Canary: errors rose",
        "modelward retry credit-risk -n lending",
    ),
    "a latch of days ago is the same sentence": (
        model().serving("v7").failed("v8").requests("v8").trusts(),
        Urgency.ACT,
        "v8 failed in Canary 3d ago and is latched; v7 serves all traffic",
        "Commit another version",
    ),
    "a version that serves without a ready pod beats everything else": (
        model().serving("v7", ready=0).trusts(),
        Urgency.ACT,
        "Users get no answers since",
        "kubectl describe pods -n lending -l modelward.dev/model=credit-risk,modelward.dev/version=v7",
    ),
    "a spec that cannot be acted upon says that what serves goes on": (
        model().serving("v7").requests("v9").trusts(),
        Urgency.ACT,
        "The spec cannot be acted upon; v7 goes on serving: spec.production.version is 'v9', but there is no ModelVersion",
        "Mend it in Git; it then goes on by itself.",
    ),
    "a frozen Model is said to be frozen": (
        canary().suspended(),
        Urgency.ACT,
        "spec.suspend is true",
        "Commit spec.suspend: false",
    ),
    "a rollback that waits for pods names them": (
        model().serving("v8").standby("v7", ready=0).switching("v7", "Rollback").trusts(),
        Urgency.WAIT,
        "All traffic goes to v7 as soon as it is ready (0 of 2 pods are ready)",
        "Wait for the pods of v7.",
    ),
    "a promoted version that is watched says for how long": (
        model().serving("v8").standby("v7").watched("v7").trusts(),
        Urgency.WAIT,
        "v8 serves all traffic and is watched for another 30m",
        "Nothing to do.",
    ),
    "a Model at rest asks nothing of anybody, and counts what only the register cares for": (
        model().serving("v7").trusts(),
        Urgency.REST,
        "v7 serves all traffic; nothing is under way.",
        "conditions are wrong",
    ),
    "a Model without a version says what to name": (
        model().trusts(),
        Urgency.ACT,
        "spec.production.version is not set",
        "[remedy of NoVersionRequested]",
    ),
    "a Model that is served elsewhere is at rest": (
        model().served_elsewhere().trusts(),
        Urgency.REST,
        "The Model is served elsewhere: it is inventory.",
        "Nothing to do.",
    ),
    "a deleted Model is on its way out": (
        model().serving("v7").deleted(),
        Urgency.WAIT,
        "It is being deleted",
        "Wait a minute.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_headline(case: str) -> None:
    given, urgency, what, todo = CASES[case]
    found = said(given)
    assert found.urgency is urgency, found
    assert what in found.what, found
    assert todo in f"{found.todo} {found.command}", found


def test_an_operator_that_has_not_looked_in_time_is_the_first_thing_to_know() -> None:
    given = canary(ASKS).gate("errors", "Pass", **PASSES)
    assert "approval as risk" in said(given, minutes=1).what
    late = said(given, minutes=8)
    assert late.urgency is Urgency.ACT
    assert late.what.startswith("The operator should have looked at it 7m ago and has not")
    assert late.command == "modelward doctor"


def test_a_spec_that_was_committed_a_moment_ago_is_not_judged_by_the_status_of_the_one_before() -> None:
    seen = situation(model().serving("v7").trusts())
    newer = seen.model.model_copy(update={"metadata": seen.model.metadata.model_copy(update={"generation": 4})})
    found = headline_of(Situation(newer, seen.status, None, seen.now), remedy)
    assert (found.urgency, found.what) == (
        Urgency.WAIT,
        "The operator has not looked at the newest spec yet (generation 4).",
    )


def test_a_model_that_nobody_has_looked_at_says_that() -> None:
    given = model()
    found = headline_of(Situation(given.s.model, given.s.status, None, NOW), remedy)
    assert found.what.startswith("The operator has not looked at the newest spec yet")


def test_what_comes_next_is_in_the_order_in_which_it_is_waited_for() -> None:
    asks = policy(
        canary__approvals=[{"role": "risk", "beforeWeight": 50}], canary__gates=[{**ERRORS, "minSamples": 2000}]
    )
    given = canary(asks, traffic_since=NOW - timedelta(minutes=3)).gate(
        "errors", "Unknown", "too few", "InsufficientSamples"
    )
    coming = coming_of(situation(given))
    assert [each.what for each in coming] == [
        "the minimum duration of Canary at 10 % ends",
        "gate errors has to pass",
        "approval as risk, before 50 % of requests",
        "then Canary at 50 %, 10m at the least",
        "then Production, watched for 1h",
        "the operator looks again, at the latest",
    ]
    assert coming[0].at == NOW + timedelta(minutes=7)


def test_a_gate_that_is_undecided_holds_only_the_step_that_requires_it_to_pass() -> None:
    early, last = (canary(weight=weight, traffic_since=NOW - timedelta(minutes=3)) for weight in (10, 50))
    held = [[each.what for each in coming_of(situation(g.gate("errors", "Inconclusive")))] for g in (early, last)]
    assert "gate errors has to pass" not in held[0]
    assert "gate errors has to pass" in held[1]


def test_evidence_that_stays_away_has_a_deadline_that_is_shown() -> None:
    given = canary(unknown_since=NOW - timedelta(minutes=30)).gate(
        "errors", "Unknown", "no answer", "MetricsUnavailable"
    )
    deadline = next(each for each in coming_of(situation(given)) if "no evidence" in each.what)
    assert deadline.what == "Pause, if no evidence comes until then"
    assert deadline.at == NOW + timedelta(minutes=90)


def test_without_the_policy_what_status_says_is_left() -> None:
    seen = situation(canary(ASKS).gate("errors", "Pass", **PASSES))
    blind = Situation(seen.model, seen.status, None, seen.now)
    assert [each.what for each in coming_of(blind)] == [
        "approval as risk, before 50 % of requests",
        "the operator looks again, at the latest",
    ]
    assert versions_of(blind)[0].gates[0].needed is None


def test_every_version_is_shown_in_its_part_with_its_share() -> None:
    given = canary().gate("errors", "Pass", **PASSES).challenger("v9").failed("v5").standby("v6")
    shown = {each.version: (each.role, each.stage, each.weight, each.mirror) for each in versions_of(situation(given))}
    assert shown == {
        "v8": ("Candidate", "Canary", 50, None),  # all was in order: the operator went on to the next step
        "v7": ("Production", "Production", 50, None),
        "v9": ("Challenger", "Shadow", None, 100),
        "v6": ("Standby", "Standby", None, None),
        "v5": ("Latched", "Canary", None, None),
    }


def test_a_gate_says_how_many_samples_its_policy_wants() -> None:
    given = canary(NEEDY).gate("errors", "Unknown", "too few", "InsufficientSamples", samples=1204)
    (gate,) = versions_of(situation(given))[0].gates
    assert (gate.samples, gate.needed, gate.holds) == (1204, 2000, True)


def test_what_is_due_now_comes_before_what_is_needed_later() -> None:
    both = policy(shadow__approvals=[{"role": "validator"}], canary__approvals=[{"role": "risk", "beforeWeight": 50}])
    given = model().under(both).serving("v7").shadow("v8").trusts().gate("errors", "Pass", **PASSES)
    lacking = lacking_of(situation(given))
    assert (lacking[0].role, lacking[0].due) == ("validator", True)
    assert lacking[0].command == "modelward approve credit-risk -n lending --version v8 --role validator"


def test_conditions_that_are_wrong_are_listed_from_what_users_notice_to_what_an_examiner_does() -> None:
    wrong = [each.condition for each in wrong_of(situation(model().serving("v7", ready=0).trusts("edited")).status)]
    assert wrong[0] == "Serving"
    assert wrong.index("ApprovalsTrusted") < wrong.index("Owned")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (7800, "2h10m"), (LONG_AGO, "3d")],
    ids=str,
)
def test_ages_are_short(seconds: Any, text: str) -> None:
    since = seconds if seconds == LONG_AGO else NOW - timedelta(seconds=seconds)
    assert ago(since, NOW) == text


def test_pods_that_ail_are_the_first_thing_that_has_to_come() -> None:
    coming = coming_of(situation(starting().version("v8", ready=0, problem="pod v8-1 finds no node")))
    assert coming[0].what == "the pods of v8 have to be ready"
