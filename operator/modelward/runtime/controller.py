"""The workers: take a key, look at its Model, say when to look again. They run on the leader only."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from modelward.api.resources import MODELS
from modelward.runtime.cache import Cache
from modelward.runtime.clock import Clock
from modelward.runtime.keys import ModelKey
from modelward.runtime.kube import ApiError, Conflict, NotLeading
from modelward.runtime.queue import WorkQueue
from modelward.runtime.telemetry import Telemetry

logger = logging.getLogger(__name__)

Reconcile = Callable[[ModelKey], Awaitable[float | None]]

HEARTBEAT_SECONDS = 1.0
HEARTBEAT_LIMIT = 30.0
# Every call within a look has its own timeout; this one is for what nobody thought of.
LOOK_TIMEOUT = 120.0


class Controller:
    def __init__(
        self,
        queue: WorkQueue[ModelKey],
        cache: Cache,
        reconcile: Reconcile,
        telemetry: Telemetry,
        clock: Clock,
        *,
        workers: int = 16,
    ) -> None:
        self._queue = queue
        self._cache = cache
        self._reconcile = reconcile
        self._telemetry = telemetry
        self._clock = clock
        self._workers = workers
        self._running = 0
        self._leading = False
        self._beat = clock.monotonic()

    async def lead(self) -> None:
        """Work until cancelled. A new leader looks at every Model first: it cannot know what its predecessor left."""
        for key in self._cache.models():
            self._queue.add(key)
        self._leading = True
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._queue.run_deadlines(), name="deadlines")
                for number in range(self._workers):
                    tasks.create_task(self._work(), name=f"worker-{number}")
                # A task counts as running from its first step on.
                await asyncio.sleep(0)
        finally:
            self._leading = False

    async def run_heartbeat(self) -> None:
        """Note, for ever, that the event loop gets around to its tasks."""
        while True:
            self._beat = self._clock.monotonic()
            await self._clock.sleep(HEARTBEAT_SECONDS)

    def problem(self) -> str | None:
        """What is wrong with this process, in a sentence; None when nothing is."""
        age = self._clock.monotonic() - self._beat
        if age > HEARTBEAT_LIMIT:
            return f"the event loop has not moved for {age:.0f} s"
        if self._leading and self._running < self._workers:
            return f"{self._running} of {self._workers} workers are alive"
        return None

    # Details.

    async def _work(self) -> None:
        self._running += 1
        try:
            while True:
                key = await self._queue.take()
                try:
                    await self._look(key)
                finally:
                    self._queue.done(key)
        finally:
            self._running -= 1

    async def _look(self, key: ModelKey) -> None:
        started = self._clock.monotonic()
        try:
            async with asyncio.timeout(LOOK_TIMEOUT):
                again_in = await self._reconcile(key)
        except Exception as error:
            self._failed(key, error, started)
            return
        self._queue.succeeded(key)
        self._telemetry.count_reconcile("success", self._clock.monotonic() - started)
        if self._cache.get(MODELS, key.namespace, key.name) is None:
            self._queue.forget(key)
            self._telemetry.forget(key)
        elif again_in is not None:
            self._queue.add_after(key, again_in)

    def _failed(self, key: ModelKey, error: Exception, started: float) -> None:
        delay = self._queue.retry(key)
        # Somebody wrote in between, or the Lease is gone: part of the normal course of things.
        expected = isinstance(error, Conflict | NotLeading)
        self._telemetry.count_reconcile("conflict" if expected else "error", self._clock.monotonic() - started)
        level = logging.DEBUG if expected else logging.ERROR
        logger.log(
            level,
            "the look at %s failed and is repeated in %.1f s: %s",
            key,
            delay,
            error or type(error).__name__,
            exc_info=None if isinstance(error, ApiError) else error,
            extra={"model": str(key)},
        )
