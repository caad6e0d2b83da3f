"""From what happens in the cluster to keys in the queue: watch events one by one, and full lists now and then.

A watch misses what was deleted while it was down, so every so often everything is listed anew and the cache made equal to it.
"""

import asyncio
import logging
import random
from dataclasses import dataclass

from modelward.api.resources import (
    DEPLOYMENTS,
    HTTP_ROUTES,
    LIFECYCLE_POLICIES,
    MODEL_APPROVALS,
    MODEL_AUDIT_RECORDS,
    MODEL_EVALUATIONS,
    MODEL_VERSIONS,
    MODELS,
    SERVICES,
    Resource,
)
from modelward.runtime.cache import Cache, owner_key
from modelward.runtime.clock import Clock
from modelward.runtime.keys import ModelKey
from modelward.runtime.kube import ApiError, KubeApi, NotFound, Object
from modelward.runtime.queue import WorkQueue
from modelward.runtime.telemetry import Telemetry
from modelward.traffic.names import MODEL_LABEL

logger = logging.getLogger(__name__)

POLICY_DEBOUNCE = 2.0
# The second list follows soon: it drops what was deleted between the first one and the start of the watches.
SECOND_RESYNC = 60.0
FAILED_RESYNC_DELAY = 5.0
# Looks that only a resync asks for are spread, so that metrics are not read for all Models in one second.
RESYNC_SPREAD = 30.0


@dataclass(frozen=True)
class Watched:
    """A kind that is kept in the cache; of most shared kinds only what carries the operator's label."""

    resource: Resource
    label_selector: str | None = None


WATCHED = (
    Watched(MODELS),
    Watched(MODEL_VERSIONS),
    Watched(LIFECYCLE_POLICIES),
    Watched(MODEL_EVALUATIONS),
    Watched(MODEL_APPROVALS),
    Watched(MODEL_AUDIT_RECORDS),
    Watched(DEPLOYMENTS, MODEL_LABEL),
    Watched(SERVICES, MODEL_LABEL),
    Watched(HTTP_ROUTES),  # all of them: any route may claim the host and path of a Model
)
# Without these kinds the operator still serves Models that need none of them.
OPTIONAL = (HTTP_ROUTES,)


class Intake:
    def __init__(
        self,
        kube: KubeApi,
        cache: Cache,
        queue: WorkQueue[ModelKey],
        telemetry: Telemetry,
        clock: Clock,
        chance: random.Random,
        *,
        namespaces: tuple[str, ...] = (),
        resync_seconds: float = 600.0,
    ) -> None:
        self._kube = kube
        self._cache = cache
        self._queue = queue
        self._telemetry = telemetry
        self._clock = clock
        self._chance = chance
        self._namespaces = namespaces
        self._resync_seconds = resync_seconds
        self._policies_changed = asyncio.Event()
        self._lacking: tuple[Resource, ...] = ()
        self.served: tuple[Watched, ...] = ()
        self.synced = asyncio.Event()

    def event(self, resource: Resource, kind_of_event: str | None, obj: Object) -> None:
        """Take in one watch event: ADDED, MODIFIED, DELETED, or None for what was there when the watch began."""
        self._telemetry.event_seen()
        metadata = obj["metadata"]
        if kind_of_event == "DELETED":
            self._cache.remove(resource, metadata.get("namespace"), metadata["name"])
        else:
            self._cache.put(resource, obj)
        if resource == LIFECYCLE_POLICIES:
            self._policies_changed.set()
        elif (key := owner_key(resource, obj)) is not None:
            self._queue.add(key)

    async def resync(self, spread: float = 0.0) -> None:
        """List everything, make the cache equal to it, and ask for a look at every Model.

        Raises:
            ApiError: when a list fails, or a kind is not installed; the kinds before it are taken in all the same.
        """
        self.served = await self._served_kinds()
        for watched in self.served:
            since = self._cache.revision()
            objects = await self._list(watched)
            for gone in self._cache.replace(watched.resource, objects, since):
                if (key := owner_key(watched.resource, gone)) is not None:
                    self._queue.add(key)
        for key in self._cache.models():
            self._queue.add_after(key, self._chance.uniform(0.0, spread))
        self._telemetry.event_seen()
        self.synced.set()

    async def run_resyncs(self) -> None:
        """Resync at once, once more soon after, and then now and then, for ever."""
        pause = min(SECOND_RESYNC, self._resync_seconds)
        spread = 0.0
        while True:
            try:
                await self.resync(spread)
            except ApiError as error:
                logger.warning("resync failed and is repeated: %s", error.message)
                self._telemetry.count_resync("error")
                await self._clock.sleep(FAILED_RESYNC_DELAY)
                continue
            self._telemetry.count_resync("success")
            await self._clock.sleep(pause)
            pause, spread = self._resync_seconds, min(RESYNC_SPREAD, self._resync_seconds / 2)

    async def run_policy_changes(self) -> None:
        """Ask for a look at every Model once policies have changed, for ever; a burst of changes counts as one."""
        while True:
            await self._policies_changed.wait()
            await self._clock.sleep(POLICY_DEBOUNCE)
            self._policies_changed.clear()
            for key in self._cache.models():
                self._queue.add(key)

    def problem(self) -> str | None:
        """What this replica still lacks to take over, in a sentence; None when nothing."""
        return None if self.synced.is_set() else "the first list of the cluster's objects is not complete"

    # Details.

    async def _served_kinds(self) -> tuple[Watched, ...]:
        present = [watched for watched in WATCHED if await self._kube.serves(watched.resource)]
        lacking = tuple(watched.resource for watched in WATCHED if watched not in present)
        required = [str(resource) for resource in lacking if resource not in OPTIONAL]
        if required:
            raise NotFound(f"the cluster does not serve {', '.join(required)}: install modelward's CRDs", status=404)
        if lacking != self._lacking:
            self._lacking = lacking
            for resource in lacking:
                logger.info("the cluster does not serve %s; it is not watched", resource)
        return tuple(present)

    async def _list(self, watched: Watched) -> list[Object]:
        if not self._namespaces or not watched.resource.namespaced:
            return await self._kube.list(watched.resource, None, watched.label_selector)
        return [
            obj
            for namespace in self._namespaces
            for obj in await self._kube.list(watched.resource, namespace, watched.label_selector)
        ]
