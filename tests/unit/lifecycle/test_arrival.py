"""How far a version is on its way, as a pipeline that waits for it sees it."""

from typing import Any

import pytest

from modelward.api.status import Stage
from modelward.lifecycle.arrival import Arrival, State, arrival_of
from modelward.lifecycle.decide import decide
from tests.unit.lifecycle.builders import Given, model, policy


def seen(given: Given, wanted: Stage = Stage.PRODUCTION, **options: Any) -> Arrival:
    """After the operator has looked."""
    status = decide(given.s).status
    return arrival_of(given.s.model, status, "v8", wanted, **options)


def test_a_version_in_a_later_stage_has_come_to_an_earlier_one() -> None:
    given = model().serving("v7").canary("v8", weight=10)
    assert seen(given, Stage.SHADOW).state is State.REACHED
    assert seen(given, Stage.CANARY).state is State.REACHED
    under_way = seen(given)
    assert under_way.state is State.UNDER_WAY
    assert (under_way.stage, under_way.weight) == ("Canary", 10)


def test_a_version_that_serves_has_come_everywhere() -> None:
    assert seen(model().serving("v8")).state is State.REACHED


def test_a_latched_version_has_failed_until_retry_is_raised() -> None:
    latched = seen(model().serving("v7").failed("v8").requests("v8"))
    assert latched.state is State.FAILED
    assert "raise spec.production.retry above 0" in latched.message
    assert (latched.stage, latched.weight) == ("", None), "the columns of the Model are v7's"
    assert seen(model().serving("v7").failed("v8").requests("v8", retry=1)).state is State.UNDER_WAY


def test_a_version_that_waits_for_approval_waits_for_a_person() -> None:
    asking = policy(canary__approvals=[{"role": "risk", "beforeWeight": 50}])
    given = model().under(asking).serving("v7").canary("v8", weight=10).gate("errors", "Pass")
    waiting = seen(given.later(hours=1))
    assert waiting.state is State.WAITS_FOR_A_PERSON
    assert "the approval of risk" in waiting.message


def test_a_suspended_model_waits_for_a_person() -> None:
    assert seen(model().serving("v7").version("v8").requests("v8").suspended()).state is State.WAITS_FOR_A_PERSON


def test_a_version_whose_object_is_not_there_yet_is_under_way() -> None:
    assert seen(model().serving("v7").requests("v8")).state is State.UNDER_WAY


def test_a_spec_that_cannot_be_acted_upon_has_failed() -> None:
    given = model().serving("v7").version("v8").requests("v8").without_a_policy()
    refused = seen(given)
    assert (refused.state, refused.reason) == (State.FAILED, "PolicyMissing")


@pytest.mark.parametrize(("was_requested", "state"), [(False, State.UNDER_WAY), (True, State.FAILED)])
def test_another_version_is_early_or_has_taken_its_place(was_requested: bool, state: State) -> None:
    assert seen(model().serving("v7"), was_requested=was_requested).state is state


def test_a_commit_that_the_operator_has_not_seen_yet_is_under_way() -> None:
    given = model().serving("v7").failed("v8").requests("v8")
    status = decide(given.s).status.model_copy(update={"observed_generation": 2})
    assert arrival_of(given.s.model, status, "v8", Stage.PRODUCTION).state is State.UNDER_WAY
