"""The elector against an API server in a dict and a clock that moves when told."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from modelward.api.resources import LEASES
from modelward.runtime.elector import Elector, LeaseTerms
from modelward.runtime.kube import Object
from tests.unit.runtime.fakes import FakeClock, FakeKube, settle


class Replica:
    """An elector with its own way to the API server, and a note of when it worked."""

    def __init__(self, name: str, store: FakeKube, clock: FakeClock) -> None:
        self.kube = FakeKube()
        self.kube.objects = store.objects
        self.terms = LeaseTerms("system", "operator", name)
        self.elector = Elector(self.kube, self.terms, clock, random.Random(name))
        self.clock = clock
        self.periods: list[tuple[float, float | None]] = []
        self.task = asyncio.create_task(self.elector.run(self.work))

    async def work(self) -> None:
        self.periods.append((self.clock.monotonic(), None))
        try:
            await asyncio.Event().wait()
        finally:
            self.periods[-1] = (self.periods[-1][0], self.clock.monotonic())

    @property
    def works(self) -> bool:
        return bool(self.periods) and self.periods[-1][1] is None

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    def die(self) -> None:
        """As kill -9 would: nothing more reaches the API server."""
        self.kube.down = True
        self.task.cancel()


def lease_of(kube: FakeKube) -> Object:
    return kube.objects[(LEASES, "system", "operator")]["spec"]


Start = Callable[[str], Awaitable[Replica]]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def start(clock: FakeClock) -> AsyncIterator[Start]:
    store, replicas = FakeKube(), list[Replica]()

    async def one(name: str) -> Replica:
        replicas.append(Replica(name, store, clock))
        await settle()
        return replicas[-1]

    yield one
    for replica in replicas:
        await replica.stop()


async def test_the_first_replica_leads_at_once_and_the_second_stands_by(start: Start, clock: FakeClock) -> None:
    first, second = await start("a"), await start("b")
    await clock.advance(120)
    assert first.works and first.elector.is_leader
    assert not second.periods and not second.elector.is_leader
    assert lease_of(first.kube)["holderIdentity"] == "a"


async def test_a_dead_holder_is_followed_after_the_duration(start: Start, clock: FakeClock) -> None:
    first, second = await start("a"), await start("b")
    await clock.advance(30)
    first.die()
    await clock.advance(10)
    assert not second.works
    await clock.advance(10)
    assert second.works
    assert lease_of(second.kube)["leaseTransitions"] == 1


async def test_a_holder_that_is_cut_off_stops_before_another_can_start(start: Start, clock: FakeClock) -> None:
    first, second = await start("a"), await start("b")
    await clock.advance(33)
    first.kube.down = True
    await clock.advance(30)
    assert not first.works and not first.elector.is_leader
    stopped, started = first.periods[-1][1], second.periods[0][0]
    assert stopped is not None and stopped < started


async def test_a_holder_that_was_frozen_knows_that_it_does_not_lead(start: Start, clock: FakeClock) -> None:
    first = await start("a")
    clock.elapsed += 11  # nobody ran in between
    assert not first.elector.is_leader


async def test_a_short_outage_changes_nothing(start: Start, clock: FakeClock) -> None:
    first = await start("a")
    await clock.advance(20)
    first.kube.down = True
    await clock.advance(6)
    first.kube.down = False
    await clock.advance(60)
    assert first.works and len(first.periods) == 1


async def test_a_holder_gives_the_lease_back_when_it_is_stopped(start: Start, clock: FakeClock) -> None:
    first, second = await start("a"), await start("b")
    await clock.advance(5)
    await first.stop()
    assert lease_of(second.kube)["holderIdentity"] == ""
    await clock.advance(3)
    assert second.works


async def test_a_replica_that_stops_does_not_give_back_the_lease_of_another(start: Start, clock: FakeClock) -> None:
    first, second = await start("a"), await start("b")
    await clock.advance(5)
    await second.stop()
    assert lease_of(first.kube)["holderIdentity"] == "a"


async def test_a_holder_whose_lease_was_taken_stops_at_the_next_renewal(start: Start, clock: FakeClock) -> None:
    first = await start("a")
    taken = await first.kube.get(LEASES, "system", "operator")
    assert taken is not None
    taken["spec"]["holderIdentity"] = "intruder"
    await first.kube.replace(LEASES, taken)
    await clock.advance(3)
    assert not first.works


async def test_a_renewal_whose_answer_was_lost_is_no_loss(start: Start, clock: FakeClock) -> None:
    first = await start("a")
    mine = await first.kube.get(LEASES, "system", "operator")
    assert mine is not None
    await first.kube.replace(LEASES, mine)  # a new resourceVersion that the holder never heard of
    await clock.advance(30)
    assert first.works and len(first.periods) == 1


async def test_work_that_fails_ends_the_elector_and_gives_the_lease_back(clock: FakeClock) -> None:
    kube = FakeKube()

    async def fail() -> None:
        raise ValueError("broken")

    elector = Elector(kube, LeaseTerms("system", "operator", "a"), clock, random.Random(1))
    with pytest.raises(ValueError, match="broken"):
        await elector.run(fail)
    assert lease_of(kube)["holderIdentity"] == ""


@pytest.mark.parametrize(
    "terms",
    [
        pytest.param({"renew_deadline": 15.0}, id="deadline-not-before-duration"),
        pytest.param({"retry_period": 10.0}, id="retry-not-before-deadline"),
        pytest.param({"identity": ""}, id="no-identity"),
    ],
)
def test_terms_under_which_two_could_lead_are_refused(terms: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        LeaseTerms(**({"namespace": "n", "name": "l", "identity": "a"} | terms))  # type: ignore[arg-type]
