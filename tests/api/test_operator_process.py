"""The whole process against a real API server: it starts, watches, leads, answers probes, and goes in order on SIGTERM."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from modelward.api.resources import CONFIG_MAPS, LEASES, SERVICES, Resource
from modelward.runtime import shell
from modelward.runtime.intake import WATCHED
from modelward.runtime.kube import KubeClient, Object
from tests.api.conftest import PATIENCE, ApiServer
from tests.ports import free_port


@dataclass
class Operator:
    port: int
    process: asyncio.subprocess.Process
    log: Path

    async def page(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{self.port}{path}") as response:
            return response.status, await response.text()

    async def until(self, path: str, holds: Callable[[int, str], bool]) -> None:
        """Ask until the answer is as wished; the log is shown when the process ends before that."""
        while True:
            assert self.process.returncode is None, self.log.read_text()
            try:
                if holds(*await self.page(path)):
                    return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


@asynccontextmanager
async def running(api_server: ApiServer, namespace: str, log: Path, *more: str) -> AsyncIterator[Operator]:
    port = free_port()
    arguments = ["--lease-namespace", namespace, "--health-host", "127.0.0.1", "--health-port", str(port), *more]
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "modelward.runtime",
            *arguments,
            env=os.environ | {"KUBECONFIG": str(api_server.kubeconfig)},
            stderr=output,
        )
    try:
        yield Operator(port, process, log)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_it_starts_leads_and_gives_the_lease_back_on_sigterm(api_server: ApiServer, tmp_path: Path) -> None:
    namespace = api_server.namespace()
    async with (
        asyncio.timeout(PATIENCE),
        running(api_server, namespace, tmp_path / "log", "--namespace", namespace) as operator,
        api_server.client() as api,
    ):
        await operator.until("/readyz", lambda status, _: status == 200)
        await operator.until("/metrics", lambda _, text: "modelward_operator_is_leader 1.0" in text)
        assert (await operator.page("/healthz"))[0] == 200
        operator.process.terminate()
        assert await operator.process.wait() == 0, operator.log.read_text()
        lease = await KubeClient(api, timeout=PATIENCE).get(LEASES, namespace, "modelward-operator")
        assert lease is not None and lease["spec"]["holderIdentity"] == ""
        assert "Traceback" not in operator.log.read_text()


async def test_the_watch_sees_labelled_services_and_writes_nothing(api_server: ApiServer) -> None:
    namespace = api_server.namespace()
    seen: list[tuple[str, str | None]] = []
    changed, stop, started = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def note(resource: Resource, kind_of_event: str | None, obj: Object) -> None:
        assert resource == SERVICES
        seen.append((obj["metadata"]["name"], kind_of_event))
        changed.set()

    async def until(name: str, kind_of_event: str | None) -> None:
        async with asyncio.timeout(PATIENCE):
            while (name, kind_of_event) not in seen:
                changed.clear()
                await changed.wait()

    def a_service(name: str, labels: dict[str, str]) -> Object:
        return {"metadata": {"namespace": namespace, "name": name, "labels": labels}, "spec": {"ports": [{"port": 80}]}}

    services = tuple(watched for watched in WATCHED if watched.resource == SERVICES)
    async with api_server.client() as api:
        kube = KubeClient(api, timeout=PATIENCE)
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("KUBECONFIG", str(api_server.kubeconfig))
            await kube.create(SERVICES, a_service("ours", {"modelward.dev/model": "m"}))
            await kube.create(SERVICES, a_service("theirs", {}))
            watching = asyncio.create_task(
                shell.watch(services, note, stop=stop, started=started.set, namespaces=(namespace,))
            )
            await until("ours", None)
            created = await kube.get(SERVICES, namespace, "ours")
            await kube.create(SERVICES, a_service("later", {"modelward.dev/model": "m"}))
            await until("later", "ADDED")
            await kube.delete(SERVICES, namespace, "later")
            await until("later", "DELETED")
            stop.set()
            await asyncio.wait_for(watching, PATIENCE)
        after = await kube.get(SERVICES, namespace, "ours")
        assert created is not None and after is not None
        assert created["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
        assert await kube.list(CONFIG_MAPS, namespace) == []
    assert started.is_set()
    assert "theirs" not in {name for name, _ in seen}
