"""What an API server's watch tells of routes and Services, in the order in which it happened."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from modelward.api.resources import HTTP_ROUTES, SERVICES, Resource
from modelward.runtime.kube import KubeApi, Object
from tests.api.conftest import PATIENCE, ApiServer
from tests.api.rollouts.world import World, backends

SENTINEL = "sentinel"


@dataclass(frozen=True)
class Change:
    """One object at one resourceVersion; those of all kinds are in one order."""

    version: int
    kind: str  # ADDED, MODIFIED or DELETED
    resource: Resource
    obj: Object

    @property
    def namespace(self) -> str:
        return str(self.obj["metadata"]["namespace"])

    @property
    def name(self) -> str:
        return str(self.obj["metadata"]["name"])


@dataclass
class History:
    """Changes as they come in."""

    changes: list[Change] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def of(self, kube: KubeApi, world: World) -> list[Change]:
        """All changes in a world until now, in order."""
        metadata = {"name": SENTINEL, "namespace": world.namespace}
        await kube.create(SERVICES, {"metadata": metadata, "spec": {"ports": [{"port": 80}]}})
        await kube.create(HTTP_ROUTES, {"metadata": metadata, "spec": {}})
        async with asyncio.timeout(PATIENCE):
            while len([change for change in self._in(world) if change.name == SENTINEL]) < 2:
                self.came.clear()
                await self.came.wait()
        seen = [change for change in self._in(world) if change.name != SENTINEL]
        return sorted(seen, key=lambda change: change.version)

    async def faults(self, kube: KubeApi, worlds: Iterable[World]) -> list[str]:
        """Every version of a route that named a Service which did not exist at that moment."""
        return [fault for world in worlds for fault in nameless(await self.of(kube, world))]

    def _in(self, world: World) -> list[Change]:
        return [change for change in self.changes if change.namespace == world.namespace]


def nameless(changes: Iterable[Change]) -> list[str]:
    """What routes named when it was missing. A Service that goes while a route names it counts, too."""
    services: set[str] = set()
    named: set[str] = set()
    faults: list[str] = []
    for change in changes:
        gone = change.kind == "DELETED"
        if change.resource == SERVICES:
            services = services - {change.name} if gone else services | {change.name}
        else:
            named = set() if gone else backends(change.obj)
        for missing in sorted(named - services):
            what = "Service" if change.resource == SERVICES else "HTTPRoute"
            faults.append(f"{what} {change.kind} at {change.version}: the route names {missing}, which is not there")
    return faults


@asynccontextmanager
async def watching(server: ApiServer) -> AsyncIterator[History]:
    """Record all changes of routes and Services from now on."""
    history = History()
    context = ssl.create_default_context(cafile=str(server.ca_file))
    headers = {"Authorization": f"Bearer {server.tokens['admin']}"}
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout) as session:
        started = [await _resource_version(session, server, resource) for resource in (SERVICES, HTTP_ROUTES)]
        tasks = [
            asyncio.create_task(_follow(session, server, resource, since, history))
            for resource, since in zip((SERVICES, HTTP_ROUTES), started, strict=True)
        ]
        try:
            yield history
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _resource_version(session: aiohttp.ClientSession, server: ApiServer, resource: Resource) -> str:
    async with session.get(server.url + resource.path(), params={"limit": "1"}) as answer:
        return str((await answer.json())["metadata"]["resourceVersion"])


async def _follow(
    session: aiohttp.ClientSession, server: ApiServer, resource: Resource, since: str, history: History
) -> None:
    query = {"watch": "1", "resourceVersion": since, "timeoutSeconds": "600"}
    # A line is one event; routes with their managed fields are longer than the default limit of a line.
    async with session.get(server.url + resource.path(), params=query, read_bufsize=2**22) as answer:
        async for line in answer.content:
            event = json.loads(line)
            version = int(event["object"]["metadata"]["resourceVersion"])
            history.changes.append(Change(version, event["type"], resource, event["object"]))
            history.came.set()
