"""What is deleted while it is in use."""

import pytest

from modelward.api.resources import DEPLOYMENTS, HTTP_ROUTES, MODEL_VERSIONS, MODELS, SERVICES
from modelward.runtime.kube import KubeClient
from tests.api.conftest import ApiServer
from tests.api.rollouts.watching import watching
from tests.api.rollouts.wire import Cut
from tests.api.rollouts.world import MODEL, in_force, serving_world


async def test_a_pruned_version_goes_on_serving_and_can_be_rolled_back_from(kube: KubeClient) -> None:
    """A revert of the commit that added and promoted a version deletes its ModelVersion together with the request for it."""
    world = await serving_world(kube)
    await world.ask_for("v2")
    await world.settle()
    await world.delete(MODEL_VERSIONS, "scorer-v2")
    await world.settle()
    assert await world.split() == ({"v2": 100}, {})
    assert (await world.condition("Serving"))[0] == "True"
    assert (await world.deployments())["scorer-v2"]["spec"]["replicas"] == 2
    routes = len([write for write in world.wire.done if write.resource == HTTP_ROUTES])
    await world.ask_for("v1")
    await world.settle()
    assert await world.split() == ({"v1": 100}, {})
    assert len([write for write in world.wire.done if write.resource == HTTP_ROUTES]) == routes + 1
    assert world.requests.unanswered == 0


async def test_a_version_deleted_in_its_canary_loses_its_traffic_first_and_then_its_pods(
    gateway_api: ApiServer, kube: KubeClient
) -> None:
    async with watching(gateway_api) as history:
        world = await serving_world(kube)
        await world.ask_for("v2")
        await world.until(in_force("Canary"))
        await world.delete(MODEL_VERSIONS, "scorer-v2")
        before = len(world.wire.done)
        left_at = world.clock.time
        await world.until(lambda status: status.rollout is None)
        assert "scorer-v2" in await world.deployments()
        await world.settle()
        assert await history.faults(kube, [world]) == []
    told = [str(write) for write in world.wire.done[before:]]
    route, pods = told.index("apply HTTPRoute scorer"), told.index("delete Deployment scorer-v2")
    assert route < pods
    assert await world.split() == ({"v1": 100}, {})
    assert set(await world.deployments()) == {"scorer-v1"}
    assert (world.clock.time - left_at).total_seconds() >= 10  # requests under way were let end
    assert world.requests.unanswered == 0
    assert await world.condition("SpecValid") == (
        "False",
        "VersionNotFound",
        f"spec.production.version is 'v2', but there is no ModelVersion 'scorer-v2' in namespace {world.namespace!r}:"
        " create it, or name one that exists",
    )


@pytest.mark.parametrize("stage", ["Production", "Shadow", "Canary"])
async def test_a_deleted_model_ends_its_route_first_and_is_let_go(kube: KubeClient, stage: str) -> None:
    world = await serving_world(kube)
    if stage != "Production":
        await world.ask_for("v2")
        await world.until(in_force(stage))
    before = len(world.wire.done)
    deleted_at = await world.delete_model()
    while await world.kube.get(MODELS, world.namespace, MODEL) is not None:
        assert (world.clock.time - deleted_at).total_seconds() < 60
        await world.step()
    told = [str(write) for write in world.wire.done[before:]]
    assert "delete HTTPRoute scorer" in told
    assert told.index("delete HTTPRoute scorer") < told.index("patch Model scorer") == len(told) - 1
    assert (world.clock.time - deleted_at).total_seconds() >= 3
    assert await world.kube.get(HTTP_ROUTES, world.namespace, MODEL) is None
    # The garbage collector, which an API server alone does not have, takes the rest: all of it is owned by the Model.
    for resource in (DEPLOYMENTS, SERVICES):
        for child in await world.kube.list(resource, world.namespace):
            assert [owner["name"] for owner in child["metadata"]["ownerReferences"]] == [MODEL]
    assert await world.look() is None


async def test_a_deleted_model_is_let_go_in_bounded_time_when_its_route_cannot_be_removed(kube: KubeClient) -> None:
    """A gateway's own finalizer on the route must not hold the Model for ever."""
    world = await serving_world(kube)
    held = {"metadata": {"finalizers": ["example.com/gateway"]}}
    await world.kube.patch(HTTP_ROUTES, world.namespace, MODEL, held)
    deleted_at = await world.delete_model()
    while await world.kube.get(MODELS, world.namespace, MODEL) is not None:
        await world.step()
        assert (world.clock.time - deleted_at).total_seconds() < 75
    await world.kube.patch(HTTP_ROUTES, world.namespace, MODEL, {"metadata": {"finalizers": []}})


async def test_a_namespace_that_is_deleted_is_not_held_up(gateway_api: ApiServer, kube: KubeClient) -> None:
    """Nothing new can be created in it, not even a record of what ends there."""
    world = await serving_world(kube)
    await world.ask_for("v2")
    await world.until(in_force("Shadow"))
    before = len(world.wire.done)
    answer = gateway_api.request("DELETE", f"/api/v1/namespaces/{world.namespace}")
    assert answer.accepted, answer.message
    world.pass_time(3600)  # there is much that is due
    assert await world.look() is None
    assert world.wire.done[before:] == []
    await world.delete_model()  # as the namespace's controller does it
    assert await world.look() is None
    assert [str(write) for write in world.wire.done[before:]] == ["delete HTTPRoute scorer", "patch Model scorer"]
    assert await world.kube.get(MODELS, world.namespace, MODEL) is None


async def test_a_deletion_ends_although_the_operator_is_killed_after_each_of_its_writes(kube: KubeClient) -> None:
    world = await serving_world(kube)
    await world.ask_for("v2")
    await world.until(in_force("Canary"))
    world.wire.arm(range(1, 400), Cut.KILLED_AFTER)
    deleted_at = await world.delete_model()
    while await world.kube.get(MODELS, world.namespace, MODEL) is not None:
        assert (world.clock.time - deleted_at).total_seconds() < 60
        await world.step()
    told = [str(write) for write in world.wire.cut]
    assert told.index("delete HTTPRoute scorer") < told.index("patch Model scorer")


async def test_a_model_without_traffic_is_gone_at_once(kube: KubeClient) -> None:
    world = await serving_world(kube)
    await world.kube.create(
        MODELS, {"metadata": {"name": "idle", "namespace": world.namespace}, "spec": {"riskTier": "Low"}}
    )
    await world.delete(MODELS, "idle")
    assert await world.kube.get(MODELS, world.namespace, "idle") is None
