"""The workers: what they do with the answer, with failures, and when they are stopped."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from modelward.api.resources import MODELS
from modelward.runtime.cache import Cache
from modelward.runtime.controller import Controller
from modelward.runtime.keys import ModelKey
from modelward.runtime.kube import Conflict
from modelward.runtime.queue import WorkQueue
from modelward.runtime.telemetry import Telemetry
from tests.unit.runtime.fakes import FakeClock, settle

KEY = ModelKey("lending", "credit")


class Office:
    """A controller with one Model, and a note of when it was looked at."""

    def __init__(self, answer: Callable[[int], Awaitable[float | None]], workers: int = 2) -> None:
        self.clock = FakeClock()
        self.cache = Cache()
        self.cache.put(MODELS, {"metadata": {"namespace": KEY.namespace, "name": KEY.name}})
        self.telemetry = Telemetry(self.clock)
        self.queue: WorkQueue[ModelKey] = WorkQueue(self.clock, random.Random(1), first_delay=1.0)
        self.looks: list[float] = []
        self._answer = answer
        self.controller = Controller(
            self.queue, self.cache, self._reconcile, self.telemetry, self.clock, workers=workers
        )

    async def _reconcile(self, key: ModelKey) -> float | None:
        assert key == KEY
        self.looks.append(self.clock.monotonic())
        return await self._answer(len(self.looks))

    async def __aenter__(self) -> "Office":
        self.task = asyncio.create_task(self.controller.lead())
        await settle()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def test_a_new_leader_looks_at_every_model_at_once() -> None:
    async def nothing_to_do(_: int) -> float | None:
        return None

    async with Office(nothing_to_do) as office:
        assert office.looks == [0.0]
        await office.clock.advance(3600)
        assert office.looks == [0.0]


async def test_a_model_is_looked_at_again_when_its_answer_says() -> None:
    async def in_a_minute(_: int) -> float | None:
        return 60.0

    async with Office(in_a_minute) as office:
        await office.clock.advance(180)
        assert office.looks == [0.0, 60.0, 120.0, 180.0]


async def test_a_failing_look_is_repeated_with_growing_delays_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(_: int) -> float | None:
        raise ValueError("no such thing")

    async with Office(fail) as office:
        await office.clock.advance(60)
        gaps = [later - earlier for earlier, later in zip(office.looks, office.looks[1:], strict=False)]
        assert 4 <= len(gaps) <= 8
        assert gaps[-1] > 4 * gaps[0]
    assert "the look at lending/credit failed" in caplog.text and "no such thing" in caplog.text


async def test_a_conflict_is_repeated_quickly_and_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async def conflict_once(look: int) -> float | None:
        if look == 1:
            raise Conflict("stale", status=409)
        return None

    async with Office(conflict_once) as office:
        await office.clock.advance(1)
        assert len(office.looks) == 2
        assert b'reconcile_seconds_count{outcome="conflict"} 1.0' in office.telemetry.page()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_deleted_model_leaves_no_deadline_and_no_series() -> None:
    async def nothing_to_do(_: int) -> float | None:
        return 60.0

    async with Office(nothing_to_do) as office:
        office.telemetry.count_verdict(KEY, "errors", "Passed")
        assert b'model="credit"' in office.telemetry.page()
        office.cache.remove(MODELS, *KEY)
        office.queue.add(KEY)
        await office.clock.advance(600)
        assert len(office.looks) == 2
        assert b'model="credit"' not in office.telemetry.page()
        assert office.queue.scheduled == 0


async def test_a_lost_lease_stops_a_look_in_the_middle_and_the_next_term_repeats_it() -> None:
    finished: list[int] = []

    async def hang_the_first_time(look: int) -> float | None:
        if look == 1:
            await asyncio.Event().wait()
        finished.append(look)
        return None

    office = Office(hang_the_first_time)
    async with office:
        assert office.queue.active == 1
    assert finished == [] and office.queue.active == 0
    async with office:
        assert finished == [2]


async def test_a_frozen_event_loop_is_unhealthy() -> None:
    async def nothing_to_do(_: int) -> float | None:
        return None

    async with Office(nothing_to_do) as office:
        beating = asyncio.create_task(office.controller.run_heartbeat())
        await office.clock.advance(60)
        assert office.controller.problem() is None
        office.clock.elapsed += 40  # nobody ran in between
        assert office.controller.problem() == "the event loop has not moved for 40 s"
        beating.cancel()
