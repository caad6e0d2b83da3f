"""Leader election against a real API server: real leases, real conflicts, a real network that goes silent."""

import asyncio
import random
import time
from collections.abc import AsyncIterator

import pytest

from modelward.api.resources import LEASES
from modelward.runtime.clock import SystemClock
from modelward.runtime.elector import Elector, LeaseTerms
from modelward.runtime.kube import KubeClient
from tests.api.conftest import PATIENCE, ApiServer

DURATION = 9.0
"""Seconds of a Lease: a machine that is busy for a moment must not end it."""


class Relay:
    """A piece of network between a replica and the API server that can be cut: bytes stop, connections stay open."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._open = asyncio.Event()
        self._open.set()
        self._pumps: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Relay":
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for pump in self._pumps:
            pump.cancel()

    def cut(self) -> None:
        self._open.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target)
        for source, target in ((reader, up_writer), (up_reader, writer)):
            self._pumps.add(asyncio.create_task(self._pump(source, target)))

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self._open.wait()
                target.write(data)
                await target.drain()
        except ConnectionError:
            pass
        finally:
            target.close()


class Replica:
    """An elector with its own client; it notes when its work began and ended."""

    def __init__(self, name: str, kube: KubeClient, namespace: str, duration: float = DURATION) -> None:
        third = duration / 3
        terms = LeaseTerms(
            namespace,
            "operator",
            name,
            duration=duration,
            renew_deadline=2 * third,
            retry_period=0.4,
            call_timeout=third,
        )
        self.elector = Elector(kube, terms, SystemClock(), random.Random(name))
        self.began, self.ended = asyncio.Event(), asyncio.Event()
        self.began_at = self.ended_at = 0.0
        self.task = asyncio.create_task(self.elector.run(self._work))

    async def _work(self) -> None:
        self.began_at = time.monotonic()
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended_at = time.monotonic()
            self.ended.set()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
def namespace(api_server: ApiServer) -> str:
    return api_server.namespace()


@pytest.fixture
async def relay(api_server: ApiServer) -> AsyncIterator[Relay]:
    async with Relay(int(api_server.url.rsplit(":", 1)[1])) as relay:
        yield relay


@pytest.fixture
async def near(api_server: ApiServer) -> AsyncIterator[KubeClient]:
    async with api_server.client() as api:
        yield KubeClient(api)


@pytest.fixture
async def far(api_server: ApiServer, relay: Relay) -> AsyncIterator[KubeClient]:
    """A client whose way to the server can be cut."""
    async with api_server.client() as api:
        api.configuration.host = f"https://127.0.0.1:{relay.port}"
        yield KubeClient(api)


async def test_of_two_that_start_together_one_leads(near: KubeClient, far: KubeClient, namespace: str) -> None:
    replicas = [Replica("a", near, namespace), Replica("b", far, namespace)]
    async with asyncio.timeout(PATIENCE):
        await asyncio.wait(
            [asyncio.create_task(replica.began.wait()) for replica in replicas], return_when=asyncio.FIRST_COMPLETED
        )
    await asyncio.sleep(DURATION + 1)  # nothing happens in this time, and that is what is tested
    assert [replica.elector.is_leader for replica in replicas].count(True) == 1
    assert [replica.began.is_set() for replica in replicas].count(True) == 1
    for replica in replicas:
        await replica.stop()


async def test_a_holder_cut_off_stops_by_itself_before_the_other_takes_over(
    near: KubeClient, far: KubeClient, relay: Relay, namespace: str
) -> None:
    first = Replica("a", far, namespace)
    async with asyncio.timeout(PATIENCE):
        await first.began.wait()
        second = Replica("b", near, namespace)
        await asyncio.sleep(1)
        relay.cut()
        await first.ended.wait()
        assert not second.began.is_set()
        await second.began.wait()
    assert first.ended_at < second.began_at
    assert not first.elector.is_leader
    await second.stop()
    await first.stop()


async def test_a_stopped_holder_is_followed_at_once(near: KubeClient, far: KubeClient, namespace: str) -> None:
    """Long before the Lease would have ended."""
    first = Replica("a", far, namespace, duration=60)
    async with asyncio.timeout(PATIENCE):
        await first.began.wait()
        second = Replica("b", near, namespace, duration=60)
        await asyncio.sleep(0.5)
        await first.stop()
        await second.began.wait()
    assert first.ended_at < second.began_at < first.ended_at + 20
    lease = await near.get(LEASES, namespace, "operator")
    assert lease is not None and lease["spec"]["holderIdentity"] == "b"
    await second.stop()
