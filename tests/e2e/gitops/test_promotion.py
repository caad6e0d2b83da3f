"""With a real Argo CD, a promotion is a commit, a rollback is a revert, and the application says where the rollout is."""

import asyncio
import time

import pytest

from tests.e2e import policies
from tests.e2e.gitops.desk import Desk
from tests.e2e.gitops.people import approve, ask_for_an_approval
from tests.e2e.policies import ERRORS
from tests.e2e.scene import MODEL, assert_unharmed, latch, serving

pytestmark = pytest.mark.xdist_group("argo cd, promotions")

STAGES = policies.shadow(ERRORS) | policies.canary(ERRORS, weights=(20, 50), at_least="4s")
SETTLED = 4.0  # seconds, several looks of the operator


async def test_a_promotion_is_a_commit_and_the_application_shows_where_it_is(desk: Desk) -> None:
    """Progressing while it is rolled out, Suspended while it waits for a person, Healthy at the end."""
    application, model = await desk.establish(STAGES, "v2")
    await ask_for_an_approval(desk.scene, STAGES)

    async with desk.scene.clients(rate=30) as clients:
        promotion, promoted_at = await desk.promote(application, "v2")
        await application.until_health("Progressing")
        waiting = await application.until_health("Suspended", "AwaitingApproval")
        assert f"modelward approve {MODEL}" in waiting
        assert serving(model.status) == "v1"
        await approve(desk.scene, model)
        await application.until_health("Healthy", "v2 serves all traffic")

    assert_unharmed(clients)
    shown = application.healths(since=promoted_at)
    assert shown.index("Progressing") < shown.index("Suspended") < len(shown) - 1
    assert set(shown) == {"Progressing", "Suspended", "Healthy"}, "nobody is called for a promotion that goes well"
    # Nothing that the operator made was taken for a difference, and nothing of it for the team's.
    assert application.disagreements() == []
    assert application.managed() == {("Model", MODEL), ("ModelVersion", f"{MODEL}-v1"), ("ModelVersion", f"{MODEL}-v2")}
    assert application.syncs()[-1] == promotion
    assert len(application.syncs()) == 2, "a sync for each commit, and none by self-heal"


async def test_after_a_rollback_the_application_is_degraded_and_no_sync_starts_the_version_again(desk: Desk) -> None:
    stages = policies.canary(ERRORS, weights=(30, 60), at_least="60s")
    application, model = await desk.establish(stages, "v4")

    async with desk.scene.clients(rate=30) as clients:
        promotion, promoted_at = await desk.promote(application, "v4")
        failed = await model.until_latched("v4")
        message = await application.until_health("Degraded", "RolledBack")
        assert failed["message"] in message
        assert set(application.healths(since=promoted_at)) <= {"Healthy", "Progressing", "Degraded"}

        # Another commit is synced, and Argo CD heals what somebody changes by hand: Git still asks for v4.
        other = desk.repository.commit("Say what it is for", desk.scene.model("v4", purpose="Finds tumors."))
        await application.refresh()
        await application.until_synced(other)
        await model.ask_for("v1")
        await model.watched.until(lambda shown: shown["spec"]["production"]["version"] == "v1", "an edit by hand")
        await model.watched.until(lambda shown: shown["spec"]["production"]["version"] == "v4", "self-heal")
        await asyncio.sleep(SETTLED)
        assert latch(model.status, "v4") == failed
        assert model.actions("v4").count("RolloutStarted") == 1
        assert application.status["health"]["status"] == "Degraded"

        # The way back is in Git.
        desk.repository.revert(promotion)
        reverted_at = await application.refresh()
        await application.until_health("Healthy", "v1 serves all traffic")
        print(f"\nfrom the refresh to a Healthy application: {time.time() - reverted_at:.1f} s")

    assert {answer.version for answer in clients.failures} <= {"v4"}
    assert set(application.disagreements()) == {f"Model/{MODEL}"}, "the edit by hand, and nothing else"
