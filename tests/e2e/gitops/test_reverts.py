"""With a real Argo CD, a revert takes effect at once wherever the rollout is, unless sync waves hold the sync open."""

import pytest

from tests.e2e import policies
from tests.e2e.gitops.application import Application
from tests.e2e.gitops.desk import Desk, in_wave
from tests.e2e.gitops.people import ask_for_an_approval
from tests.e2e.kubectl import NeverSeen, Sight
from tests.e2e.policies import ERRORS
from tests.e2e.scene import FollowedModel, Manifest, assert_unharmed, condition, share

pytestmark = pytest.mark.xdist_group("argo cd, reverts")

LONG = policies.canary(ERRORS, weights=(20, 50), at_least="10m")
SHORT = policies.canary(ERRORS, weights=(20, 50), at_least="2s")
AT_ONCE = 30.0  # seconds, on a busy machine and of the ten minutes of a step; the measured time is printed
HELD = 15.0  # seconds, many times what a revert takes


async def test_a_revert_in_the_middle_of_a_rollout_takes_effect_at_once(desk: Desk) -> None:
    application, model = await desk.establish(LONG, "v2")
    async with desk.scene.clients(rate=20) as clients:
        promotion, _ = await desk.promote(application, "v2")
        await model.until_stage("v2", "Canary", weight=20)
        await application.until_health("Progressing")
        await _assert_reverted_at_once(desk, application, model, promotion, "a canary")
    assert_unharmed(clients)


async def test_a_revert_in_the_middle_of_a_wait_for_a_person_takes_effect_at_once(desk: Desk) -> None:
    application, model = await desk.establish(SHORT, "v2")
    await ask_for_an_approval(desk.scene, SHORT)
    async with desk.scene.clients(rate=20) as clients:
        promotion, _ = await desk.promote(application, "v2")
        await application.until_health("Suspended", "AwaitingApproval")
        await _assert_reverted_at_once(desk, application, model, promotion, "a wait for a person")
    assert_unharmed(clients)
    assert model.status.get("pendingApprovals", []) == []


async def test_a_commit_that_the_api_server_refuses_does_not_hold_up_the_one_that_repairs_it(desk: Desk) -> None:
    application, model = await desk.establish(LONG, "v2")
    wrong = desk.scene.model("v2")
    wrong["spec"]["serving"]["port"] = 0
    mistake = desk.repository.commit("Promote v2, with a mistake", wrong)
    await application.refresh()
    await application.until_refused(mistake)
    desk.repository.revert(mistake)
    repaired, asked_at = await desk.promote(application, "v2")
    synced = await application.until_synced(repaired)
    print(f"\nfrom the refresh to the repairing commit: {synced.at - asked_at:.1f} s")
    await model.until_stage("v2", "Canary", weight=20)


async def test_a_sync_wave_after_a_model_keeps_the_revert_from_it_until_the_sync_is_ended(desk: Desk) -> None:
    """The trap: before the next wave Argo CD waits until the Model is Healthy, and syncs nothing else meanwhile."""
    application, model = await desk.establish(LONG, "v2")
    promotion = desk.repository.commit("Promote v2, in order", *_in_order(desk, "v2"))
    await application.refresh()
    await model.until_stage("v2", "Canary", weight=20)
    desk.repository.revert(promotion)
    reverted_at = await application.refresh()
    with pytest.raises(NeverSeen):
        await model.watched.until(_asks_for("v1"), "the revert", within=HELD)
    assert application.operation() == ("Running", promotion)
    assert "waiting for healthy state of modelward.dev/Model" in application.status["operationState"]["message"]

    ended_at = await application.end_the_sync()
    reverted = await model.watched.sight_of(
        lambda sight: _asks_for("v1")(sight.object) and sight.at > ended_at, "the revert"
    )
    print(
        f"\nwith sync waves: {ended_at - reverted_at:.1f} s after its refresh the revert was not applied;"
        f" {reverted.at - ended_at:.1f} s after the end of the sync it was"
    )


def _in_order(desk: Desk, version: str) -> list[Manifest]:
    """What looks tidy: versions first, then the Model, and something that tells the others when it is healthy."""
    versions = [in_wave(0, desk.scene.version(name)) for name in ("v1", version)]
    return [*versions, in_wave(1, desk.scene.model(version)), in_wave(2, desk.notice(f"{version} is out"))]


async def _assert_reverted_at_once(
    desk: Desk, application: Application, model: FollowedModel, promotion: str, middle: str
) -> None:
    seen = len(model.watched.sights)
    revert = desk.repository.revert(promotion)
    refreshed_at = await application.refresh()

    def back(sight: Sight) -> bool:
        status = sight.object["status"]
        return not status.get("rollout") and share(status, "v1") == 100

    given_back = await model.watched.sight_of(back, "all traffic on v1", since=seen)
    took = given_back.at - refreshed_at
    print(f"\nfrom the refresh to all traffic back, in the middle of {middle}: {took:.2f} s")
    assert took < AT_ONCE
    await application.until_synced(revert)
    await application.until_health("Healthy", "v1 serves all traffic")
    assert condition(model.status, "Ready")["status"] == "True"
    assert application.disagreements() == []


def _asks_for(version: str):
    return lambda shown: shown["spec"]["production"]["version"] == version
