"""A clock that moves when told, and an API server in a dict, for tests that need no cluster."""

import asyncio
import heapq
from copy import deepcopy
from datetime import UTC, datetime, timedelta

from modelward.api.resources import Resource
from modelward.runtime.kube import AlreadyExists, Conflict, NotFound, Object, Unavailable

START = datetime(2026, 1, 1, tzinfo=UTC)


def _merged(target: Object, patch: Object) -> Object:
    """A JSON merge patch, as far as it removes nothing."""
    return target | {
        key: _merged(target.get(key, {}), value) if isinstance(value, dict) else value for key, value in patch.items()
    }


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(50):
        await asyncio.sleep(0)


class FakeClock:
    def __init__(self) -> None:
        self.elapsed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        self._count += 1
        sleeper = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.elapsed + seconds, self._count, sleeper))
        await sleeper

    async def advance(self, seconds: float) -> None:
        """Move time on, waking each sleeper at its own moment and letting it act before time goes on."""
        end = self.elapsed + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, sleeper = heapq.heappop(self._sleepers)
            self.elapsed = max(self.elapsed, at)
            if not sleeper.done():
                sleeper.set_result(None)
            await settle()
        self.elapsed = end
        await settle()


class FakeKube:
    """Objects with resourceVersions. `down` makes every call fail; `refuse_writes` only those that write."""

    def __init__(self) -> None:
        self.objects: dict[tuple[Resource, str, str], Object] = {}
        self.down = False
        self.writes = 0
        self.absent: set[Resource] = set()

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        self._reach()
        return deepcopy(self.objects.get((resource, namespace or "", name)))

    async def list(
        self, resource: Resource, namespace: str | None = None, label_selector: str | None = None
    ) -> list[Object]:
        self._reach()
        return [
            deepcopy(obj)
            for (kind, space, _), obj in self.objects.items()
            if kind == resource and namespace in (None, space)
        ]

    async def create(self, resource: Resource, obj: Object) -> Object:
        self._reach()
        if resource.kind == "SelfSubjectReview":
            return {**obj, "status": {"userInfo": {"username": "operator"}}}
        key = self._key(resource, obj)
        if key in self.objects:
            raise AlreadyExists("exists", status=409, reason="AlreadyExists")
        return self._store(key, obj)

    async def replace(self, resource: Resource, obj: Object) -> Object:
        self._reach()
        key = self._key(resource, obj)
        if key not in self.objects:
            raise NotFound("absent", status=404)
        if self.objects[key]["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
            raise Conflict("stale", status=409)
        return self._store(key, obj)

    async def update_status(self, resource: Resource, obj: Object) -> Object:
        return await self.replace(resource, obj)

    async def apply(self, resource: Resource, obj: Object, *, force: bool = True) -> Object:
        self._reach()
        return self._store(self._key(resource, obj), obj)

    async def patch(
        self, resource: Resource, namespace: str | None, name: str, merge_patch: Object, subresource: str | None = None
    ) -> Object:
        self._reach()
        key = (resource, namespace or "", name)
        return self._store(key, _merged(self.objects[key], merge_patch))

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        propagation: str = "Background",
    ) -> None:
        self._reach()
        self.objects.pop((resource, namespace or "", name), None)

    async def emit_event(
        self,
        regarding: Object,
        reason: str,
        message: str,
        type: str = "Normal",  # noqa: A002 - the API's own word
        action: str = "Reconcile",
    ) -> None:
        self._reach()

    async def serves(self, resource: Resource) -> bool:
        self._reach()
        return resource not in self.absent

    def hold(self, resource: Resource, *objects: Object) -> None:
        for obj in objects:
            self._store(self._key(resource, obj), obj)

    def _reach(self) -> None:
        if self.down:
            raise Unavailable("connection refused")

    def _store(self, key: tuple[Resource, str, str], obj: Object) -> Object:
        self.writes += 1
        stored = deepcopy(obj)
        stored["metadata"]["resourceVersion"] = str(self.writes)
        self.objects[key] = stored
        return deepcopy(stored)

    def _key(self, resource: Resource, obj: Object) -> tuple[Resource, str, str]:
        return resource, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
