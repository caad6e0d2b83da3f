"""The operator is killed at every write of a rollout, and the rollout still ends as it should.

Several kills share one run, some writes apart, so that every write of the undisturbed run has its turn in one of as many
runs; and in one more run no life of the operator gets beyond a single write.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest

from modelward.api.resources import SERVICES
from modelward.runtime.kube import KubeApi, KubeClient
from tests.api.conftest import ApiServer
from tests.api.rollouts.watching import watching
from tests.api.rollouts.wire import Cut
from tests.api.rollouts.world import MODEL, STAGES, World, new_world, serving_world

APART = {Cut.KILLED_AFTER: 6, Cut.KILLED_BEFORE: 3, Cut.ANSWER_LOST: 3}
MOST_WRITES = 400

Scenario = Callable[[KubeApi, "Iterable[int]", Cut], Awaitable[World]]


async def the_first_version(kube: KubeApi, cuts: Iterable[int] = (), cut: Cut = Cut.KILLED_AFTER) -> World:
    world = await new_world(kube)
    world.wire.arm(cuts, cut)
    await world.serve("v1")
    await world.settle()
    return world


async def a_promotion(kube: KubeApi, cuts: Iterable[int] = (), cut: Cut = Cut.KILLED_AFTER) -> World:
    world = await serving_world(kube)
    world.wire.arm(cuts, cut)
    await world.ask_for("v2")
    await world.settle()
    return world


async def a_rollback(kube: KubeApi, cuts: Iterable[int] = (), cut: Cut = Cut.KILLED_AFTER) -> World:
    world = await serving_world(kube)
    world.wire.arm(cuts, cut)
    await world.ask_for("v3")
    await world.settle()
    return world


SCENARIOS = {"the first version": the_first_version, "a promotion": a_promotion, "a rollback": a_rollback}
ENDS: dict[str, dict[str, Any]] = {
    "the first version": {"production": "v1", "standby": [], "latched": []},
    "a promotion": {"production": "v2", "standby": ["v1"], "latched": []},
    "a rollback": {"production": "v1", "standby": [], "latched": [("v3", "Canary", "GateFailed")]},
}


@pytest.mark.parametrize("cut", list(Cut), ids=[cut.name.lower() for cut in Cut])
@pytest.mark.parametrize("name", list(SCENARIOS))
async def test_an_operator_that_is_killed_at_any_write_ends_the_rollout_all_the_same(
    gateway_api: ApiServer, kube: KubeClient, name: str, cut: Cut
) -> None:
    scenario = SCENARIOS[name]
    async with watching(gateway_api) as history:
        undisturbed = await scenario(kube, (), cut)
        wanted = await undisturbed.outcome()
        assert {key: wanted[key] for key in ENDS[name]} == ENDS[name]
        assert undisturbed.miscounted() == []
        writes = len(undisturbed.wire.attempts)
        runs = [range(first, writes + 1, APART[cut]) for first in range(1, APART[cut] + 1)]
        if cut is Cut.KILLED_AFTER:
            runs.append(range(1, MOST_WRITES))
        worlds = await asyncio.gather(*(scenario(kube, cuts, cut) for cuts in runs))
        for world in worlds:
            told = [str(write) for write in world.wire.cut]
            assert told, "nothing was cut"
            assert await world.outcome() == wanted, told
            assert world.miscounted() == [], told
        assert await history.faults(kube, worlds) == []


async def test_without_a_route_a_killed_operator_switches_the_service_once_the_pods_are_ready(kube: KubeClient) -> None:
    world = await new_world(kube)
    await world.set_policy({"production": STAGES["production"]})
    world.wire.arm(range(1, MOST_WRITES), Cut.KILLED_AFTER)
    await world.serve("v1", serving={"port": 8080}, monitoring={"dashboardURL": "https://grafana.example.com/scorer"})
    await world.settle()
    first = await world.kube.get(SERVICES, world.namespace, MODEL)
    await world.ask_for("v2")
    world.unready.add("v2")
    await world.until(lambda status: status.stage == "Production" and status.rollout)
    for _ in range(12):
        await world.step()
    waiting = await world.kube.get(SERVICES, world.namespace, MODEL)
    world.unready.clear()
    world.look_again()
    await world.settle()
    switched = await world.kube.get(SERVICES, world.namespace, MODEL)
    assert first and waiting and switched
    selected = [service["spec"]["selector"]["modelward.dev/version"] for service in (first, waiting, switched)]
    assert selected == ["v1", "v1", "v2"]
    assert switched["spec"]["clusterIP"] == first["spec"]["clusterIP"]
    assert set(world.wire.created().values()) == {1}
    assert [entry.version for entry in (await world.status()).standby] == ["v1"]


async def test_evidence_survives_a_restart(kube: KubeClient) -> None:
    """What was counted before counts after, each request once, however often and whenever the operator starts anew."""
    world = await serving_world(kube)
    await world.ask_for("v2")
    for _ in range(400):
        if await world.step():
            break
        await world.restart()
    assert (await world.status()).production is not None
    assert world.miscounted() == []
    looks = [evidence["looks"] for name, evidence in world.wire.evidence() if evidence["stageKey"].startswith("Canary")]
    assert max(looks) > 1
