"""The client against a real API server: what each method does, and which exception each refusal becomes."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from modelward.api.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    EVENTS,
    HTTP_ROUTES,
    LEASES,
    MODELS,
    NAMESPACES,
    SERVICES,
    Resource,
)
from modelward.runtime import kube as kube_module
from modelward.runtime.kube import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    KubeClient,
    NotFound,
    NotLeading,
    Unavailable,
)
from tests.api.conftest import PATIENCE, ApiServer


@pytest.fixture
async def kube(api_server: ApiServer) -> AsyncIterator[KubeClient]:
    async with api_server.client() as api:
        yield KubeClient(api, timeout=PATIENCE)


@pytest.fixture
def namespace(api_server: ApiServer) -> str:
    return api_server.namespace()


def a_map(namespace: str, name: str = "settings", **data: str) -> dict[str, Any]:
    return {"metadata": {"namespace": namespace, "name": name}, "data": data}


async def test_an_absent_object_reads_as_none(kube: KubeClient, namespace: str) -> None:
    assert await kube.get(CONFIG_MAPS, namespace, "nothing") is None


async def test_a_kind_that_is_not_installed_reads_as_none_and_is_not_served(kube: KubeClient, namespace: str) -> None:
    unknown = Resource("unknown.example", "v1", "things", "Thing")
    assert await kube.get(unknown, namespace, "x") is None
    assert not await kube.serves(unknown)
    with pytest.raises(NotFound):
        await kube.list(unknown)


async def test_served_kinds_are_found_by_discovery(kube: KubeClient) -> None:
    assert await kube.serves(MODELS)
    assert await kube.serves(SERVICES)
    assert not await kube.serves(Resource("modelward.dev", "v1alpha1", "nonsense", "Nonsense"))
    assert isinstance(await kube.serves(HTTP_ROUTES), bool)


async def test_an_apply_creates_then_changes_only_its_own_fields(kube: KubeClient, namespace: str) -> None:
    await kube.apply(CONFIG_MAPS, a_map(namespace, mine="1"))
    await kube.patch(CONFIG_MAPS, namespace, "settings", {"data": {"theirs": "2"}})
    await kube.apply(CONFIG_MAPS, a_map(namespace, mine="3"))
    found = await kube.get(CONFIG_MAPS, namespace, "settings")
    assert found is not None and found["data"] == {"mine": "3", "theirs": "2"}
    assert {entry["manager"] for entry in found["metadata"]["managedFields"]} == {"modelward"}


async def test_an_apply_of_the_same_content_changes_nothing(kube: KubeClient, namespace: str) -> None:
    first = await kube.apply(CONFIG_MAPS, a_map(namespace, mine="1"))
    second = await kube.apply(CONFIG_MAPS, a_map(namespace, mine="1"))
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


async def test_an_apply_without_force_does_not_take_a_field_from_another(
    api_server: ApiServer, kube: KubeClient, namespace: str
) -> None:
    theirs = {"apiVersion": "v1", "kind": "ConfigMap"} | a_map(namespace, key="theirs")
    assert api_server.apply(CONFIG_MAPS.path(namespace, "settings"), theirs, manager="somebody").accepted
    with pytest.raises(Conflict):
        await kube.apply(CONFIG_MAPS, a_map(namespace, key="ours"), force=False)


async def test_creating_twice_is_already_exists_and_no_conflict(kube: KubeClient, namespace: str) -> None:
    await kube.create(CONFIG_MAPS, a_map(namespace))
    with pytest.raises(AlreadyExists) as refusal:
        await kube.create(CONFIG_MAPS, a_map(namespace))
    assert not isinstance(refusal.value, Conflict)


async def test_a_stale_replace_is_a_conflict(kube: KubeClient, namespace: str) -> None:
    first = await kube.create(CONFIG_MAPS, a_map(namespace, key="1"))
    await kube.replace(CONFIG_MAPS, first | {"data": {"key": "2"}})
    with pytest.raises(Conflict):
        await kube.replace(CONFIG_MAPS, first | {"data": {"key": "3"}})


async def test_a_status_is_written_apart_from_the_spec_and_guarded(kube: KubeClient, namespace: str) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    deployment = await kube.create(
        DEPLOYMENTS,
        {
            "metadata": {"namespace": namespace, "name": "d"},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template},
        },
    )
    changed = deployment | {"spec": deployment["spec"] | {"replicas": 9}, "status": {"readyReplicas": 1, "replicas": 1}}
    written = await kube.update_status(DEPLOYMENTS, changed)
    assert (written["spec"]["replicas"], written["status"]["readyReplicas"]) == (1, 1)
    with pytest.raises(Conflict):
        await kube.update_status(DEPLOYMENTS, deployment | {"status": {"readyReplicas": 0, "replicas": 1}})


async def test_a_write_without_the_guard_is_a_programming_error(kube: KubeClient, namespace: str) -> None:
    with pytest.raises(ValueError, match="resourceVersion"):
        await kube.update_status(DEPLOYMENTS, {"metadata": {"namespace": namespace, "name": "d"}})


async def test_an_object_that_breaks_the_schema_is_invalid_with_the_servers_words(
    kube: KubeClient, namespace: str
) -> None:
    with pytest.raises(Invalid, match="ports"):
        await kube.create(
            SERVICES, {"metadata": {"namespace": namespace, "name": "s"}, "spec": {"ports": [{"port": 0}]}}
        )


async def test_without_the_right_it_is_forbidden(api_server: ApiServer, namespace: str) -> None:
    async with api_server.client("grace") as api:
        with pytest.raises(Forbidden, match="grace"):
            await KubeClient(api, timeout=PATIENCE).list(CONFIG_MAPS, namespace)


async def test_a_server_that_refuses_connections_is_unavailable(api_server: ApiServer) -> None:
    async with api_server.client() as api:
        api.configuration.host = "https://127.0.0.1:1"
        with pytest.raises(Unavailable):
            await KubeClient(api, timeout=PATIENCE).list(NAMESPACES)


async def test_a_server_that_does_not_answer_is_unavailable_within_the_timeout(api_server: ApiServer) -> None:
    silent = await asyncio.start_server(lambda _, __: asyncio.sleep(60), "127.0.0.1", 0)
    async with silent, api_server.client() as api:
        api.configuration.host = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
        async with asyncio.timeout(50):
            with pytest.raises(Unavailable, match=r"GET /api/v1/namespaces"):
                await KubeClient(api, timeout=0.3).list(NAMESPACES)


async def test_deleting_twice_is_fine(kube: KubeClient, namespace: str) -> None:
    await kube.create(CONFIG_MAPS, a_map(namespace))
    await kube.delete(CONFIG_MAPS, namespace, "settings")
    await kube.delete(CONFIG_MAPS, namespace, "settings")
    assert await kube.get(CONFIG_MAPS, namespace, "settings") is None


async def test_a_namesake_is_not_deleted(kube: KubeClient, namespace: str) -> None:
    await kube.create(CONFIG_MAPS, a_map(namespace))
    with pytest.raises(Conflict):
        await kube.delete(CONFIG_MAPS, namespace, "settings", uid="00000000-0000-0000-0000-000000000000")
    assert await kube.get(CONFIG_MAPS, namespace, "settings") is not None


async def test_a_list_spans_pages_and_names_each_items_kind(
    kube: KubeClient, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kube_module, "PAGE_SIZE", 3)
    for number in range(8):
        labelled = a_map(namespace, f"m{number}")
        labelled["metadata"]["labels"] = {"modelward.dev/model": "even" if number % 2 == 0 else "odd"}
        await kube.create(CONFIG_MAPS, labelled)
    everything = await kube.list(CONFIG_MAPS, namespace)
    assert [item["metadata"]["name"] for item in everything] == [f"m{number}" for number in range(8)]
    assert {(item["apiVersion"], item["kind"]) for item in everything} == {("v1", "ConfigMap")}
    assert len(await kube.list(CONFIG_MAPS, namespace, "modelward.dev/model=even")) == 4
    assert len([item for item in await kube.list(CONFIG_MAPS) if item["metadata"]["namespace"] == namespace]) == 8


async def test_a_list_whose_continue_token_expired_starts_again(
    kube: KubeClient, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kube_module, "PAGE_SIZE", 1)
    for name in ("a", "b"):
        await kube.create(CONFIG_MAPS, a_map(namespace, name))
    read: Callable[..., Any] = kube._read  # the server compacts by itself only after minutes
    expired = [kube_module._Expired("compacted", status=410, reason="Expired")]

    async def expire_once(path: str, query: dict[str, str] | None = None) -> Any:
        if query and "continue" in query and expired:
            raise expired.pop()
        return await read(path, query)

    monkeypatch.setattr(kube, "_read", expire_once)
    assert [item["metadata"]["name"] for item in await kube.list(CONFIG_MAPS, namespace)] == ["a", "b"]
    assert not expired


async def test_an_event_is_shown_by_kubectl(api_server: ApiServer, kube: KubeClient, namespace: str) -> None:
    regarding = await kube.create(CONFIG_MAPS, a_map(namespace))
    await kube.emit_event(
        regarding, "Promoted", "v2 serves all traffic. " + "x" * 2000, type="Normal", action="Promote"
    )
    (event,) = await kube.list(EVENTS, namespace)
    assert (event["reason"], event["regarding"]["name"], len(event["note"].encode())) == ("Promoted", "settings", 1024)
    assert "v2 serves all traffic" in api_server.kubectl("-n", namespace, "get", "events")


async def test_a_refused_event_does_not_stop_the_work(
    api_server: ApiServer, kube: KubeClient, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    regarding = await kube.create(CONFIG_MAPS, a_map(namespace))
    async with api_server.client("grace") as api:
        await KubeClient(api, timeout=PATIENCE).emit_event(regarding, "Promoted", "never seen")
    assert "event Promoted was not written" in caplog.text


async def test_a_replica_that_does_not_lead_reads_but_writes_nothing(kube: KubeClient, namespace: str) -> None:
    leads = False
    fenced = kube.fenced(lambda: leads)
    with pytest.raises(NotLeading):
        await fenced.create(CONFIG_MAPS, a_map(namespace))
    assert await fenced.list(CONFIG_MAPS, namespace) == []
    leads = True
    await fenced.create(CONFIG_MAPS, a_map(namespace))


async def test_successful_writes_are_counted_and_refused_ones_are_not(api_server: ApiServer, namespace: str) -> None:
    counted: list[tuple[Resource, str]] = []
    async with api_server.client() as api:
        kube = KubeClient(api, timeout=PATIENCE, on_write=lambda resource, verb: counted.append((resource, verb)))
        await kube.create(CONFIG_MAPS, a_map(namespace))
        with pytest.raises(AlreadyExists):
            await kube.create(CONFIG_MAPS, a_map(namespace))
        await kube.get(CONFIG_MAPS, namespace, "settings")
    assert counted == [(CONFIG_MAPS, "create")]


async def test_a_client_opens_from_a_kubeconfig(api_server: ApiServer) -> None:
    kube = await KubeClient.connect(str(api_server.kubeconfig))
    try:
        assert await kube.get(NAMESPACES, None, "default") is not None
        assert await kube.get(LEASES, "default", secrets.token_hex(4)) is None
    finally:
        await kube.close()
