"""Who works: the one replica that holds the Lease.

Own code, because the official client's elector raises on the first create, and on a lost connection leaves while the work it
started goes on (two leaders); kopf's peering has neither fencing nor a lease.

A holder counts from the moment it *sent* its last successful renewal, and stops by itself `renew_deadline` later. A
candidate counts from the moment it first *saw* the holder's last renewal, and waits for `duration`. Sent comes before seen and
the deadline is shorter than the duration, so the old holder has always stopped first, whatever the wall clocks say.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from modelward.api.resources import LEASES
from modelward.runtime.clock import Clock
from modelward.runtime.kube import AlreadyExists, ApiError, Conflict, KubeApi, NotFound, Object

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LeaseTerms:
    """Which Lease, under which name, and how long a silent holder is trusted (seconds)."""

    namespace: str
    name: str
    identity: str
    duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0
    call_timeout: float = 4.0

    def __post_init__(self) -> None:
        if not 0 < self.retry_period < self.renew_deadline < self.duration:
            raise ValueError("a lease needs retry_period < renew_deadline < duration")
        if not self.identity:
            raise ValueError("a lease needs an identity")


class Elector:
    def __init__(self, kube: KubeApi, terms: LeaseTerms, clock: Clock, chance: random.Random) -> None:
        self._kube = kube
        self._terms = terms
        self._clock = clock
        self._chance = chance
        self._valid_until = float("-inf")
        self._held: Object | None = None
        self._seen_version = ""
        self._seen_at = 0.0

    @property
    def is_leader(self) -> bool:
        """Whether this replica may write at this very moment; true only until the deadline, even if nobody ran since."""
        return self._clock.monotonic() < self._valid_until

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Stand by, lead while the Lease is held, stand by again; for ever, or until `lead` ends or fails.

        When this is cancelled, as on SIGTERM, the work is stopped first and the Lease given back after it.
        """
        try:
            while True:
                await self._acquire()
                logger.info("leading", extra={"lease": self._terms.name, "identity": self._terms.identity})
                if await self._lead_until_lost(lead):
                    return
                logger.warning("the lease is lost; standing by", extra={"lease": self._terms.name})
        finally:
            await self._release()

    # Details.

    async def _acquire(self) -> None:
        while not await self._try_acquire():
            await self._pause()

    async def _try_acquire(self) -> bool:
        sent = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._terms.call_timeout):
                lease = await self._kube.get(LEASES, self._terms.namespace, self._terms.name)
                if lease is None:
                    held = await self._kube.create(LEASES, self._record(None))
                elif self._is_free(lease):
                    sent = self._clock.monotonic()
                    held = await self._kube.replace(LEASES, self._record(lease))
                else:
                    return False
        except (Conflict, AlreadyExists):
            return False  # somebody was faster
        except (ApiError, TimeoutError) as error:
            logger.warning("the lease could not be read or taken: %s", error or "timeout")
            return False
        self._hold(held, sent)
        # A call that took longer than the deadline leaves a Lease that is held, but already not to be relied on.
        return self.is_leader

    def _is_free(self, lease: Object) -> bool:
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        version = lease["metadata"]["resourceVersion"]
        if version != self._seen_version:
            self._seen_version, self._seen_at = version, self._clock.monotonic()
        if holder in ("", self._terms.identity):
            return True
        duration = max(float(spec.get("leaseDurationSeconds") or 0), self._terms.duration)
        return self._clock.monotonic() >= self._seen_at + duration

    async def _lead_until_lost(self, lead: Callable[[], Awaitable[None]]) -> bool:
        """Work and renew side by side; true when the work ended by itself, false when the Lease was lost."""
        work = asyncio.ensure_future(lead())
        renewal = asyncio.ensure_future(self._renew_until_lost())
        try:
            await asyncio.wait({work, renewal}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended = work.done()
            for task in (work, renewal):
                task.cancel()
            await asyncio.gather(work, renewal, return_exceptions=True)
            if not ended:
                self._valid_until = min(self._valid_until, self._clock.monotonic())
        if ended:
            work.result()
        elif not renewal.cancelled() and (error := renewal.exception()) is not None:
            raise error
        return ended

    async def _renew_until_lost(self) -> None:
        while True:
            await self._pause()
            if not await self._renew():
                return

    async def _renew(self) -> bool:
        """Renew once; false when the Lease is lost or its deadline has passed."""
        sent = self._clock.monotonic()
        left = self._valid_until - sent
        if left <= 0 or self._held is None:
            return False
        try:
            async with asyncio.timeout(min(self._terms.call_timeout, left)):
                held = await self._kube.replace(LEASES, self._record(self._held))
            self._hold(held, sent)
        except (Conflict, NotFound):
            return await self._still_mine(sent)
        except (ApiError, TimeoutError) as error:
            logger.warning("the lease was not renewed: %s", error or "timeout")
        return self.is_leader

    async def _still_mine(self, sent: float) -> bool:
        """A renewal whose answer was lost makes the next one conflict; only another holder's name means a loss."""
        try:
            async with asyncio.timeout(max(0.0, min(self._terms.call_timeout, self._valid_until - sent))):
                lease = await self._kube.get(LEASES, self._terms.namespace, self._terms.name)
        except (ApiError, TimeoutError):
            return self.is_leader
        if lease is None or (lease.get("spec") or {}).get("holderIdentity") != self._terms.identity:
            return False
        self._held = lease
        return self.is_leader

    async def _pause(self) -> None:
        """Wait for the next attempt: with jitter, and never past the deadline of a Lease that is held."""
        pause = self._terms.retry_period * self._chance.uniform(0.8, 1.2)
        left = self._valid_until - self._clock.monotonic()
        await self._clock.sleep(min(pause, left) if left > 0 else pause)

    def _hold(self, lease: Object, sent: float) -> None:
        self._held = lease
        self._valid_until = sent + self._terms.renew_deadline

    def _record(self, current: Object | None) -> Object:
        spec = (current or {}).get("spec") or {}
        now = _timestamp(self._clock.now())
        mine = spec.get("holderIdentity") == self._terms.identity
        metadata: Object = {"namespace": self._terms.namespace, "name": self._terms.name}
        return {
            "metadata": (current or {}).get("metadata", metadata),
            "spec": {
                "holderIdentity": self._terms.identity,
                "leaseDurationSeconds": max(1, round(self._terms.duration)),
                "acquireTime": spec["acquireTime"] if mine and "acquireTime" in spec else now,
                "renewTime": now,
                "leaseTransitions": int(spec.get("leaseTransitions") or 0) + (0 if mine or current is None else 1),
            },
        }

    async def _release(self) -> None:
        """Empty the Lease, so that the next replica need not wait; guarded, so that nobody else's is emptied."""
        held, self._held = self._held, None
        self._valid_until = float("-inf")
        if held is None:
            return
        spec = held["spec"] | {"holderIdentity": "", "leaseDurationSeconds": 1}
        try:
            async with asyncio.timeout(self._terms.call_timeout):
                await self._kube.replace(LEASES, {"metadata": held["metadata"], "spec": spec})
        except (ApiError, TimeoutError) as error:
            logger.info("the lease was not given back and will expire: %s", error or "timeout")
        else:
            logger.info("the lease is given back", extra={"lease": self._terms.name})


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
