"""Monitoring on a real API server: what it keeps there, and that an operator without a memory goes on from it."""

from typing import Any

import pytest

from modelward.api.resources import MODEL_VERSIONS
from modelward.runtime.kube import KubeClient
from tests.api.rollouts.world import STAGES, World, new_world

MONITORING: dict[str, Any] = {
    "interval": "30s",
    "gates": [{"name": "errors", "errorRate": {"abortAbove": 0.1}, "window": "5m"}],
    "responses": [{"gate": "errors", "then": "Rollback"}],
}


async def monitored_world(kube: KubeClient) -> World:
    """v2 serves and is monitored, v1 is in standby."""
    world = await new_world(kube)
    await world.set_policy({**STAGES, "production": {**STAGES["production"], "monitoring": MONITORING}})
    await world.serve("v1")
    await world.settle()
    await world.ask_for("v2")
    await world.settle()
    await _watched_for(world, looks=4)
    assert (await world.status()).watch is None
    return world


async def _watched_for(world: World, looks: int) -> None:
    """So many intervals of monitoring, with another operator for each."""
    for _ in range(looks):
        world.pass_time(30)
        await world.restart()
        await world.settle()


async def test_what_serves_is_monitored_and_gives_way_when_it_fails(kube: KubeClient) -> None:
    world = await monitored_world(kube)
    await _watched_for(world, looks=12)
    assert (await world.condition("Performing"))[:2] == ("True", "WithinBounds")
    told = (await world.status()).monitoring
    assert told is not None
    assert (told.version, [gate.result for gate in told.gates]) == ("v2", ["Pass"])
    await world.delete_policy()  # a copy of it is kept
    world.requests.error_rates["v2"] = 0.5
    await _watched_for(world, looks=2)
    status = await world.status()
    assert status.production is not None
    assert status.production.version == "v1", await world.story()
    assert [(failed.version, failed.stage.value) for failed in status.failed] == [("v2", "Production")]
    assert "gate errors failed in the monitoring of v2" in status.failed[0].message
    await _watched_for(world, looks=12)
    told = (await world.status()).monitoring
    assert told is not None
    assert (told.version, [gate.result for gate in told.gates]) == ("v1", ["Pass"])
    assert len([name for name in (await world.outcome())["revisions"] if "-policy-" in name]) == 1


async def test_monitoring_writes_once_an_interval_and_keeps_what_it_counted(kube: KubeClient) -> None:
    world = await monitored_world(kube)
    before = len(world.wire.done)
    await _watched_for(world, looks=20)
    written = [write.resource.kind for write in world.wire.done[before:]]
    assert written.count("Model") == written.count("ModelVersion") == 20
    version = await world.kube.get(MODEL_VERSIONS, world.namespace, "scorer-v2")
    assert version is not None
    assert version["status"]["monitoring"]["gates"]["errors"]["found"]["verdict"]["samples"] > 1000


@pytest.mark.parametrize("problem", ["pod scorer-v2-0 answers with HTML"])
async def test_metrics_that_go_silent_are_told_and_move_nothing(kube: KubeClient, problem: str) -> None:
    world = await monitored_world(kube)
    world.requests.problems["v2"] = problem
    await _watched_for(world, looks=1)
    assert (await world.condition("Performing"))[0] == "Unknown"
    assert problem in (await world.condition("Performing"))[2]
    assert await world.split() == ({"v2": 100}, {})
