"""The one queue between what happens in the cluster and the workers.

It follows the contract of client-go's work queue, which no maintained Python library offers: asyncio.Queue knows neither
keys nor deadlines, and the queues of kr8s, lightkube and kopf cannot be used apart from their own watch loops.

* A key is in the queue at most once; added again while it waits, it is not doubled.
* A key is with one worker at a time; added again while it is worked on, it comes back once the worker is done.
* Every key has at most one deadline, the earliest that anybody asked for; taking the key clears it, because whoever works
  on it will say anew when to look again.
"""

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from modelward.runtime.clock import Clock

K = TypeVar("K", bound=Hashable)

# Beyond this many failures in a row the delay is at its ceiling anyway, and 2.0 ** n would overflow.
_MOST_DOUBLINGS = 32
_STALE_ALLOWED = 64
# A moment, and a number that tells two entries of one key apart.
_Deadline = tuple[float, int]


class WorkQueue(Generic[K]):
    def __init__(
        self, clock: Clock, chance: random.Random, *, first_delay: float = 0.5, longest_delay: float = 300.0
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._first_delay = first_delay
        self._longest_delay = longest_delay
        self._ready: deque[K] = deque()
        self._dirty: set[K] = set()
        self._active: set[K] = set()
        self._failures: dict[K, int] = {}
        self._deadlines: dict[K, _Deadline] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._sequence = 0
        self._takers: deque[asyncio.Future[None]] = deque()
        self._earlier_deadline = asyncio.Event()

    def add(self, key: K) -> None:
        """Ask for a look at this key as soon as a worker is free."""
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._active:
            self._offer(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Ask for a look at this key in so many seconds, or earlier when an earlier look is already due."""
        if seconds <= 0:
            self.add(key)
            return
        deadline = self._clock.monotonic() + seconds
        if key in self._deadlines and deadline >= self._deadlines[key][0]:
            return
        self._sequence += 1
        self._deadlines[key] = (deadline, self._sequence)
        heapq.heappush(self._heap, (deadline, self._sequence, key))
        self._compact()
        if self._heap[0][2] == key:
            self._earlier_deadline.set()

    def retry(self, key: K) -> float:
        """Ask for another look after a failure; each failure in a row doubles the delay. Returns the delay."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        ceiling = min(self._longest_delay, self._first_delay * 2.0 ** min(failures, _MOST_DOUBLINGS))
        # Between half and all of it, so that keys that failed together do not come back together.
        delay = ceiling * self._chance.uniform(0.5, 1.0)
        self.add_after(key, delay)
        return delay

    def succeeded(self, key: K) -> None:
        """Forget the failures of a key."""
        self._failures.pop(key, None)

    def forget(self, key: K) -> None:
        """Drop everything known of a key that no longer exists. A worker that has it still says `done`."""
        self._failures.pop(key, None)
        self._deadlines.pop(key, None)
        if key in self._dirty:
            self._dirty.discard(key)
            if key not in self._active:
                self._ready.remove(key)

    async def take(self) -> K:
        """Wait for a key, and make it this worker's until `done`."""
        while not self._ready:
            taker = asyncio.get_running_loop().create_future()
            self._takers.append(taker)
            try:
                await taker
            except asyncio.CancelledError:
                # A worker that is stopped right after it was woken hands the wake-up on: the key must not sleep.
                if taker.done() and not taker.cancelled():
                    self._wake_one()
                raise
            finally:
                if taker in self._takers:
                    self._takers.remove(taker)
        key = self._ready.popleft()
        self._dirty.discard(key)
        self._deadlines.pop(key, None)
        self._active.add(key)
        if self._ready:
            self._wake_one()
        return key

    def done(self, key: K) -> None:
        """Give a key back; it is offered again when it was added in the meantime."""
        self._active.discard(key)
        if key in self._dirty:
            self._offer(key)

    async def run_deadlines(self) -> None:
        """Move keys whose deadline has come into the queue, for ever."""
        while True:
            self._earlier_deadline.clear()
            self._add_due()
            await self._until_next_deadline()

    @property
    def depth(self) -> int:
        """Keys that wait for a worker."""
        return len(self._dirty)

    @property
    def active(self) -> int:
        return len(self._active)

    @property
    def scheduled(self) -> int:
        """Keys that wait for their deadline."""
        return len(self._deadlines)

    # Details.

    def _offer(self, key: K) -> None:
        self._ready.append(key)
        self._wake_one()

    def _wake_one(self) -> None:
        while self._takers:
            taker = self._takers.popleft()
            if not taker.done():
                taker.set_result(None)
                return

    def _add_due(self) -> None:
        now = self._clock.monotonic()
        while self._heap and (self._stale(self._heap[0]) or self._heap[0][0] <= now):
            entry = heapq.heappop(self._heap)
            if not self._stale(entry):
                del self._deadlines[entry[2]]
                self.add(entry[2])

    def _stale(self, entry: tuple[float, int, K]) -> bool:
        """Entries are not searched for when a deadline changes; they are recognized when their turn comes."""
        deadline, sequence, key = entry
        return self._deadlines.get(key) != (deadline, sequence)

    def _compact(self) -> None:
        """A key that is looked at often leaves far deadlines behind; drop them once they outnumber the live ones."""
        if len(self._heap) > 2 * len(self._deadlines) + _STALE_ALLOWED:
            self._heap = [entry for entry in self._heap if not self._stale(entry)]
            heapq.heapify(self._heap)

    async def _until_next_deadline(self) -> None:
        if not self._heap:
            await self._earlier_deadline.wait()
            return
        alarms = {
            asyncio.ensure_future(self._earlier_deadline.wait()),
            asyncio.ensure_future(self._clock.sleep(max(0.0, self._heap[0][0] - self._clock.monotonic()))),
        }
        try:
            await asyncio.wait(alarms, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for alarm in alarms:
                alarm.cancel()
