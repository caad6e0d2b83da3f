"""From events and lists to keys."""

import asyncio
import random
from typing import Any

import pytest

from modelward.api.resources import DEPLOYMENTS, HTTP_ROUTES, LIFECYCLE_POLICIES, MODELS
from modelward.runtime.cache import Cache
from modelward.runtime.intake import Intake
from modelward.runtime.keys import ModelKey
from modelward.runtime.kube import NotFound
from modelward.runtime.queue import WorkQueue
from modelward.runtime.telemetry import Telemetry
from tests.unit.runtime.fakes import FakeClock, FakeKube


def a_model(name: str) -> dict[str, Any]:
    return {"metadata": {"namespace": "lending", "name": name}}


class Scene:
    def __init__(self) -> None:
        self.clock, self.kube, self.cache = FakeClock(), FakeKube(), Cache()
        self.queue: WorkQueue[ModelKey] = WorkQueue(self.clock, random.Random(1))
        self.telemetry = Telemetry(self.clock)
        self.intake = Intake(self.kube, self.cache, self.queue, self.telemetry, self.clock, random.Random(1))

    async def keys(self) -> set[str]:
        found: set[str] = set()
        while self.queue.depth:
            key = await self.queue.take()
            self.queue.done(key)
            found.add(key.name)
        return found


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_a_deployment_event_asks_for_a_look_at_its_model(scene: Scene) -> None:
    labels = {"modelward.dev/model": "credit"}
    scene.intake.event(DEPLOYMENTS, "MODIFIED", {"metadata": {"namespace": "lending", "name": "d", "labels": labels}})
    assert await scene.keys() == {"credit"}
    assert scene.cache.get(DEPLOYMENTS, "lending", "d") is not None


async def test_a_deleted_model_leaves_the_cache_and_is_looked_at_once_more(scene: Scene) -> None:
    scene.intake.event(MODELS, "ADDED", a_model("credit"))
    await scene.keys()
    scene.intake.event(MODELS, "DELETED", a_model("credit"))
    assert scene.cache.models() == ()
    assert await scene.keys() == {"credit"}


async def test_a_burst_of_policy_changes_asks_for_one_look_at_every_model(scene: Scene) -> None:
    for name in ("a", "b"):
        scene.cache.put(MODELS, a_model(name))
    task = asyncio.create_task(scene.intake.run_policy_changes())
    for _ in range(5):
        scene.intake.event(LIFECYCLE_POLICIES, "MODIFIED", {"metadata": {"name": "low"}})
        await scene.clock.advance(0.1)
    assert scene.queue.depth == 0
    await scene.clock.advance(5)
    assert await scene.keys() == {"a", "b"}
    await scene.clock.advance(60)
    assert scene.queue.depth == 0
    task.cancel()


async def test_a_resync_finds_what_was_missed_and_drops_what_is_gone(scene: Scene) -> None:
    scene.cache.put(MODELS, a_model("gone"))
    scene.kube.hold(MODELS, a_model("missed"))
    assert scene.intake.problem() is not None
    await scene.intake.resync()
    assert scene.cache.models() == (ModelKey("lending", "missed"),)
    assert await scene.keys() == {"gone", "missed"}
    assert scene.intake.problem() is None


async def test_without_the_gateway_api_the_operator_starts_and_does_not_watch_routes(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    scene.kube.absent.add(HTTP_ROUTES)
    await scene.intake.resync()
    await scene.intake.resync()
    assert HTTP_ROUTES not in [watched.resource for watched in scene.intake.served]
    assert caplog.text.count("does not serve httproutes.gateway.networking.k8s.io") == 1


async def test_without_the_operators_own_kinds_it_says_what_to_install(scene: Scene) -> None:
    scene.kube.absent.add(MODELS)
    with pytest.raises(NotFound, match=r"models\.modelward\.dev: install modelward's CRDs"):
        await scene.intake.resync()


async def test_a_failed_resync_is_repeated_soon(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.kube.hold(MODELS, a_model("credit"))
    scene.kube.down = True
    task = asyncio.create_task(scene.intake.run_resyncs())
    await scene.clock.advance(7)
    assert not scene.intake.synced.is_set() and "resync failed" in caplog.text
    scene.kube.down = False
    await scene.clock.advance(5)
    assert scene.intake.synced.is_set()
    task.cancel()
