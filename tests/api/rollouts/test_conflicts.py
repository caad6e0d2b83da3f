"""Others write, too: people, controllers, a second operator, and whoever deletes what is in use."""

import asyncio
from collections import Counter

import pytest

from modelward.api.resources import HTTP_ROUTES, MODEL_VERSIONS, MODELS, NAMESPACES, SERVICES, Resource
from modelward.runtime.kube import Conflict, KubeClient, Object
from tests.api.conftest import ApiServer
from tests.api.rollouts.watching import Change, nameless, watching
from tests.api.rollouts.world import BREAKER, MODEL, Operator, World, backends, mirrored, serving_world, stages_with


async def _annotate(world: World, number: int) -> None:
    """Somebody else writes: the resourceVersion moves on."""
    patch = {"metadata": {"annotations": {"example.com/note": str(number)}}}
    await world.kube.patch(MODELS, world.namespace, MODEL, patch)
    for version in ("v1", "v2"):
        await world.kube.patch(MODEL_VERSIONS, world.namespace, f"{MODEL}-{version}", patch)


async def test_a_status_written_by_somebody_else_meanwhile_is_a_conflict_and_nothing_is_lost(kube: KubeClient) -> None:
    world = await serving_world(kube)
    await world.ask_for("v2")
    for number in range(400):
        if number % 3 == 0:
            await _annotate(world, number)  # the operator's cache of versions is older than this
        if await world.step():
            break
    conflicts = [refusal for refusal in world.wire.refusals if isinstance(refusal, Conflict)]
    assert conflicts
    outcome = await world.outcome()
    assert outcome["production"] == "v2"
    assert outcome["created"] == {"scorer-v1": 1, "scorer-v2": 1}
    assert world.miscounted() == []


async def test_a_version_whose_change_was_not_noticed_is_read_anew_after_a_conflict(kube: KubeClient) -> None:
    """A watch may be late, or lose an event; the next full list is minutes away."""
    world = await serving_world(kube)
    await world.ask_for("v2")
    await _annotate(world, 1)  # without an event
    with pytest.raises(Conflict):
        await world.operator.reconciler.reconcile(world.key)
    await world.operator.reconciler.reconcile(world.key)
    rollout = (await world.status()).rollout
    assert rollout is not None
    assert rollout.version == "v2"


async def test_a_version_that_is_changed_during_a_look_stays_changed_in_the_cache(kube: KubeClient) -> None:
    """What a look began with is older than the event that came meanwhile, and is not put back."""
    world = await serving_world(kube)
    selector = {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}}
    await world.set_policy(stages_with(), appliesTo={"tiers": ["Low"], "namespaceSelector": selector})
    await world.settle()
    get = world.wire.get

    async def noticing(resource: Resource, namespace: str | None, name: str) -> Object | None:
        if resource == NAMESPACES:  # the versions have been read
            world.wire.get = get  # type: ignore[method-assign]
            await _annotate(world, 2)
            await world.notice()
        return await get(resource, namespace, name)

    world.wire.get = noticing  # type: ignore[method-assign]
    await world.operator.reconciler.reconcile(world.key)
    for version in ("v1", "v2"):
        known = world.operator.cache.get(MODEL_VERSIONS, world.namespace, f"{MODEL}-{version}")
        assert known is not None
        assert known["metadata"]["annotations"]["example.com/note"] == "2"


async def test_a_finalizer_that_somebody_adds_meanwhile_stays(kube: KubeClient) -> None:
    """Finalizers are one list: whoever writes it from an old copy takes another's away."""
    world = await serving_world(kube)
    await world.kube.patch(MODELS, world.namespace, MODEL, {"metadata": {"finalizers": []}})
    patch = world.wire.patch

    async def late(*arguments: object, **more: object) -> Object:
        if arguments[0] == MODELS:
            world.wire.patch = patch  # type: ignore[method-assign]
            theirs = {"metadata": {"finalizers": ["example.com/theirs"]}}
            await world.kube.patch(MODELS, world.namespace, MODEL, theirs)
        return await patch(*arguments, **more)  # type: ignore[arg-type]

    world.wire.patch = late  # type: ignore[method-assign]
    for _ in range(4):
        await world.look()
    finalizers = (await world.model())["metadata"]["finalizers"]
    assert sorted(finalizers) == ["example.com/theirs", "modelward.dev/drain"]
    await world.kube.patch(MODELS, world.namespace, MODEL, {"metadata": {"finalizers": []}})


async def test_two_operators_that_both_act_make_each_step_once(kube: KubeClient) -> None:
    """The Lease should prevent it; when a process was frozen it does not. The resourceVersion of the status decides."""
    alone = await serving_world(kube)
    await alone.ask_for("v2")
    await alone.settle()

    world = await serving_world(kube)
    other = Operator(world.wire, world.requests, world.clock)
    await world.notice(other)
    await world.ask_for("v2")
    for _ in range(400):
        before = len(world.wire.attempts)
        waits = await asyncio.gather(
            world.operator.reconciler.reconcile(world.key),
            other.reconciler.reconcile(world.key),
            return_exceptions=True,
        )
        unexpected = [wait for wait in waits if isinstance(wait, BaseException) and not isinstance(wait, Conflict)]
        assert unexpected == []
        if any(isinstance(wait, Conflict) for wait in waits):
            await world.notice()
            await world.notice(other)
        moved = await world.play()
        if moved or len(world.wire.attempts) > before:
            world.pass_time(0.25)
            continue
        pause = min((wait for wait in waits if isinstance(wait, float)), default=None)
        if pause is None or pause > 600:
            break
        world.pass_time(max(pause, 0.25))
    steps = Counter((entry.version, entry.action) for entry in (await world.status()).history)
    wanted = Counter((entry.version, entry.action) for entry in (await alone.status()).history)
    assert steps == wanted
    created = {write.name for write in world.wire.done if write.verb == "create"}
    assert {"scorer-v1", "scorer-v2"} <= created
    assert set(world.wire.created().values()) == {1}
    assert await world.split() == ({"v2": 100}, {})
    assert world.miscounted() == []
    told = Counter(write.verb for write in world.wire.done if write.verb.startswith("event "))
    assert told["event Promoted on"] == 2  # v1 and v2, each by one of the two operators


async def test_a_mirror_is_dropped_before_its_missing_service_is_made_again_and_comes_back(
    gateway_api: ApiServer, kube: KubeClient
) -> None:
    async with watching(gateway_api) as history:
        world = await serving_world(kube)
        await world.ask_for("v2")
        await world.until(mirrored("v2"))
        await world.look()
        await world.play()
        assert await world.split() == ({"v1": 100}, {"v2": 100})
        await world.delete(SERVICES, "scorer-v2")
        await world.until(lambda status: not mirrored("v2")(status))
        await world.until(mirrored("v2"))
        await world.settle()
        changes = await history.of(kube, world)
    gone = next(
        index for index, change in enumerate(changes) if change.resource == SERVICES and change.kind == "DELETED"
    )
    specs = [change for change in changes if _is_of_the_spec(change, changes)]
    told = [
        "mirrored" if change.resource == HTTP_ROUTES and "scorer-v2" in backends(change.obj) else change.resource.kind
        for change in specs
        if change.version >= changes[gone].version
    ]
    assert told[:4] == ["Service", "HTTPRoute", "Service", "mirrored"]
    # The one moment for which nobody but the user answers: between the deletion and the route without the mirror.
    assert nameless(changes[:gone]) == []
    services = [change for change in changes if change.resource == SERVICES]
    assert [change.kind for change in services if change.name == "scorer-v2"] == ["ADDED", "DELETED", "ADDED"]
    faults = nameless(changes)
    assert len(faults) == 1 and faults[0].startswith("Service DELETED"), faults
    assert await world.split() == ({"v2": 100}, {})
    assert world.requests.unanswered == 0


def _is_of_the_spec(change: Change, changes: list[Change]) -> bool:
    """Not only of a route's status: a generation is told of for the first time."""
    if change.resource != HTTP_ROUTES:
        return True
    generation = change.obj["metadata"]["generation"]
    same = (each for each in changes if each.obj["metadata"].get("generation") == generation)
    return change.version == next(each.version for each in same if each.resource == HTTP_ROUTES)


async def test_a_version_that_fails_in_shadow_gets_no_copies_any_more(kube: KubeClient) -> None:
    """Its end differs from what was there before by nothing but the mirror."""
    world = await serving_world(kube)
    await world.set_policy(stages_with(shadow={"gates": [BREAKER]}))
    await world.ask_for("v3")
    await world.until(mirrored("v3"))
    await world.settle()
    assert await world.split() == ({"v1": 100}, {})
    assert [(entry.version, entry.stage) for entry in (await world.status()).failed] == [("v3", "Shadow")]
    assert set(await world.deployments()) == {"scorer-v1"}
    assert (await world.outcome())["services"] == ["scorer-v1"]


async def test_a_host_taken_out_of_the_spec_is_taken_out_of_the_route(kube: KubeClient) -> None:
    world = await serving_world(kube)
    route = {"route": {"hostnames": None, "parentRefs": [{"name": "public"}], "pathPrefix": "/score"}}
    await world.kube.patch(MODELS, world.namespace, MODEL, {"spec": {"serving": route}})
    await world.settle()
    live = await world.kube.get(HTTP_ROUTES, world.namespace, MODEL)
    assert live is not None and not live["spec"].get("hostnames")
