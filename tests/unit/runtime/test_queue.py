"""The queue's promises: once in the queue, one worker per key, deadlines, backoff."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from modelward.runtime.queue import WorkQueue
from tests.unit.runtime.fakes import FakeClock, settle


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def queue(clock: FakeClock) -> AsyncIterator[WorkQueue[str]]:
    queue: WorkQueue[str] = WorkQueue(clock, random.Random(1), first_delay=1.0, longest_delay=60.0)
    deadlines = asyncio.create_task(queue.run_deadlines())
    yield queue
    deadlines.cancel()


async def taken(queue: WorkQueue[str]) -> list[str]:
    """Everything that a worker could take right now."""
    keys: list[str] = []
    while queue.depth:
        try:
            async with asyncio.timeout(0.01):
                keys.append(await queue.take())
        except TimeoutError:
            break
    return keys


async def test_a_key_that_is_added_twice_is_taken_once(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.add("a")
    assert await taken(queue) == ["a"]


async def test_keys_are_taken_in_the_order_in_which_they_were_added(queue: WorkQueue[str]) -> None:
    for key in "cab":
        queue.add(key)
    assert await taken(queue) == ["c", "a", "b"]


async def test_a_key_that_is_worked_on_is_with_no_second_worker(queue: WorkQueue[str]) -> None:
    queue.add("a")
    assert await queue.take() == "a"
    queue.add("a")
    second = asyncio.create_task(queue.take())
    await settle()
    assert not second.done()
    queue.done("a")
    assert await second == "a"


async def test_a_key_added_during_its_work_comes_back_once(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await queue.take()
    for _ in range(3):
        queue.add("a")
    queue.done("a")
    assert await taken(queue) == ["a"]
    queue.done("a")
    assert await taken(queue) == []


async def test_a_key_waits_for_its_deadline(queue: WorkQueue[str], clock: FakeClock) -> None:
    queue.add_after("a", 10)
    await clock.advance(9.9)
    assert queue.depth == 0 and queue.scheduled == 1
    await clock.advance(0.1)
    assert await taken(queue) == ["a"]


async def test_deadlines_are_met_in_their_own_order(queue: WorkQueue[str], clock: FakeClock) -> None:
    queue.add_after("late", 20)
    queue.add_after("early", 5)
    await clock.advance(30)
    assert await taken(queue) == ["early", "late"]


@pytest.mark.parametrize(("first", "second"), [(10, 4), (4, 10)], ids=["earlier-second", "later-second"])
async def test_the_earliest_of_two_deadlines_holds(
    queue: WorkQueue[str], clock: FakeClock, first: float, second: float
) -> None:
    queue.add_after("a", first)
    queue.add_after("a", second)
    await clock.advance(4)
    assert await taken(queue) == ["a"]
    queue.done("a")
    await clock.advance(20)
    assert await taken(queue) == []


async def test_taking_a_key_clears_its_deadline(queue: WorkQueue[str], clock: FakeClock) -> None:
    queue.add_after("a", 10)
    queue.add("a")
    assert await queue.take() == "a"
    queue.done("a")
    await clock.advance(60)
    assert queue.depth == 0


async def test_a_deadline_that_has_passed_counts_as_now(queue: WorkQueue[str]) -> None:
    queue.add_after("a", 0)
    assert await taken(queue) == ["a"]


async def test_each_failure_in_a_row_doubles_the_delay_up_to_the_ceiling(queue: WorkQueue[str]) -> None:
    delays = [queue.retry("a") for _ in range(40)]
    for number, delay in enumerate(delays):
        ceiling = min(60.0, 2.0**number)
        assert ceiling / 2 <= delay <= ceiling


async def test_a_success_starts_the_delays_anew(queue: WorkQueue[str]) -> None:
    for _ in range(6):
        queue.retry("a")
    queue.succeeded("a")
    assert queue.retry("a") <= 1.0


async def test_keys_that_failed_together_do_not_come_back_together(queue: WorkQueue[str]) -> None:
    assert len({queue.retry(f"key-{number}") for number in range(50)}) == 50


async def test_a_forgotten_key_is_not_taken(queue: WorkQueue[str], clock: FakeClock) -> None:
    queue.add("waiting")
    queue.add_after("scheduled", 1)
    queue.forget("waiting")
    queue.forget("scheduled")
    await clock.advance(5)
    assert await taken(queue) == []


async def test_a_key_forgotten_during_its_work_does_not_come_back(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await queue.take()
    queue.add("a")
    queue.forget("a")
    queue.done("a")
    assert queue.depth == 0


async def test_a_worker_that_is_cancelled_as_it_is_woken_hands_the_key_on(queue: WorkQueue[str]) -> None:
    first, second = asyncio.create_task(queue.take()), asyncio.create_task(queue.take())
    await settle()
    queue.add("a")
    first.cancel()
    assert await asyncio.wait_for(second, 1) == "a"


async def test_many_deadlines_of_one_key_leave_nothing_behind(queue: WorkQueue[str]) -> None:
    for _ in range(1000):
        queue.add_after("a", 3600)
        queue.add("a")
        await queue.take()
        queue.done("a")
    assert len(queue._heap) < 200  # pyright: ignore[reportPrivateUsage] - memory is what is asserted


async def test_no_key_is_lost_or_doubled_with_many_workers_and_random_events(clock: FakeClock) -> None:
    chance = random.Random(7)
    queue: WorkQueue[int] = WorkQueue(clock, chance)
    wanted: dict[int, int] = {}
    seen: dict[int, int] = {}
    active: set[int] = set()

    async def work() -> None:
        while True:
            key = await queue.take()
            assert key not in active
            active.add(key)
            seen[key] = wanted[key]
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            active.discard(key)
            queue.done(key)

    workers = [asyncio.create_task(work()) for _ in range(8)]
    for turn in range(3000):
        key = chance.randrange(20)
        wanted[key] = turn
        queue.add(key)
        if turn % 100 == 0:
            number = chance.randrange(8)
            if not active:
                workers[number].cancel()
                workers[number] = asyncio.create_task(work())
        if chance.random() < 0.3:
            await asyncio.sleep(0)
    await settle()
    await settle()
    assert seen == wanted
    for worker in workers:
        assert not worker.done()
        worker.cancel()
