"""With a real Argo CD, in whatever order things arrive they end up served, and what is pruned is drained first."""

from datetime import datetime

import pytest

from tests.e2e import policies
from tests.e2e.gitops.desk import Desk
from tests.e2e.kubectl import Sight
from tests.e2e.policies import ERRORS
from tests.e2e.scene import MODEL, assert_unharmed, serving

pytestmark = pytest.mark.xdist_group("argo cd, promotions")

GRACE = 60  # seconds that a Model waits for its version before somebody is called
STAGES = policies.canary(ERRORS, weights=(50,), at_least="2s")


async def test_a_model_may_arrive_before_its_version(desk: Desk) -> None:
    await desk.scene.set_policy(STAGES)
    early = desk.repository.commit("Register the model", desk.scene.model("v1"))
    application = await desk.apply_application()
    await application.until_synced(early)
    model = await desk.scene.follow()
    missing = await model.until_condition("SpecValid", "False", "VersionNotFound")
    assert f"'{MODEL}-v1'" in missing["message"]

    late = desk.repository.commit("Register the version", desk.scene.version("v1"))
    await application.refresh()
    await application.until_synced(late)
    await model.until_rest("v1")
    await application.until_health("Healthy", "v1 serves all traffic")
    said_at = datetime.fromisoformat(missing["lastTransitionTime"]).timestamp()
    assert "Degraded" not in application.healths(until=said_at + GRACE), (
        "nobody is called for what comes a minute later"
    )


async def test_a_version_and_the_model_that_asks_for_it_may_be_one_commit(desk: Desk) -> None:
    application, model = await desk.establish(STAGES)
    async with desk.scene.clients(rate=30) as clients:
        both = desk.repository.commit("Promote v2", desk.scene.version("v2"), desk.scene.model("v2"))
        asked_at = await application.refresh()
        await application.until_synced(both)
        await model.until_rest("v2")
        await application.until_health("Healthy", "v2 serves all traffic")
    assert_unharmed(clients)
    assert "Degraded" not in application.healths(since=asked_at)
    assert application.disagreements() == []


async def test_what_is_pruned_is_drained_first(desk: Desk) -> None:
    """Users lose the route when the team takes the model away, and never meet a broken one."""
    application, model = await desk.establish(STAGES)
    # Argo CD never prunes all that an Application has, by itself.
    kept = desk.repository.commit("Say who we are", desk.notice("Models of the team e2e."))
    await application.refresh()
    await application.until_synced(kept)  # what is asked for in the middle of a refresh is lost
    route = await desk.scene.watch("httproute", MODEL)
    pods = await desk.scene.watch("pods", "-l", f"modelward.dev/model={MODEL}")
    deployments = await desk.scene.watch("deployments")
    versions = await desk.scene.watch("modelversions")
    for watched in (route, pods, deployments, versions):
        await watched.until(lambda _: True, "what will be gone")

    async with desk.scene.clients(rate=20) as clients:
        retired = desk.repository.remove("Retire the model", desk.scene.model("v1"), desk.scene.version("v1"))
        await application.refresh()
        without_route = await route.sight_of(_is_gone, "the end of the route")
        ending = await pods.sight_of(_is_ending, "the end of the pods")
        for watched, what in ((model.watched, "Model"), (versions, "ModelVersion"), (deployments, "Deployment")):
            await watched.sight_of(_is_gone, f"the end of the {what}")

    assert without_route.at < ending.at
    assert serving(model.status) == "v1", "until its end"
    assert {answer.status for answer in clients.failures} <= {404}, "no route any more, but never a broken one"
    await application.until_synced(retired)
    assert application.disagreements() == []


def _is_gone(sight: Sight) -> bool:
    return sight.kind_of_event == "DELETED"


def _is_ending(sight: Sight) -> bool:
    return "deletionTimestamp" in sight.object["metadata"]
