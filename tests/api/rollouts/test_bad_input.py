"""What goes wrong in what users write: they read why, and production's traffic does not change."""

from typing import Any

import pytest

from modelward.api.resources import GATEWAYS, LIFECYCLE_POLICIES, MODEL_VERSIONS, MODELS
from modelward.runtime.kube import Invalid, KubeClient
from tests.api.rollouts.world import MODEL, World, model_manifest, new_world, serving_world, stages_with


async def _undisturbed(world: World) -> None:
    assert await world.split() == ({"v1": 100}, {})
    assert world.requests.unanswered == 0
    assert (await world.condition("Serving"))[0] == "True"


async def test_a_version_that_does_not_exist_is_named_and_production_stays(kube: KubeClient) -> None:
    world = await serving_world(kube)
    await world.ask_for("v9")
    await world.settle()
    truth, reason, message = await world.condition("SpecValid")
    assert (truth, reason) == ("False", "VersionNotFound")
    assert "'v9'" in message and "ModelVersion 'scorer-v9'" in message
    await _undisturbed(world)


async def test_a_model_that_arrives_before_its_version_starts_when_that_comes(kube: KubeClient) -> None:
    world = await new_world(kube)
    await world.serve("v7")
    await world.settle()
    assert (await world.condition("SpecValid"))[:2] == ("False", "VersionNotFound")
    assert await world.deployments() == {}
    await world.give("v7")
    await world.settle()
    assert await world.split() == ({"v7": 100}, {})
    assert (await world.condition("Ready"))[:2] == ("True", "Promoted")


async def test_of_two_models_on_one_host_and_path_the_older_one_has_them(kube: KubeClient) -> None:
    world = await serving_world(kube)
    await world.older_by_a_second()
    await world.kube.create(
        MODEL_VERSIONS,
        {
            "metadata": {"name": "rival-v1", "namespace": world.namespace},
            "spec": {
                "model": "rival",
                "version": "v1",
                "serving": {"template": {"spec": {"containers": [{"name": "server", "image": "rival:v1"}]}}},
            },
        },
    )
    await world.kube.create(MODELS, model_manifest(world.namespace, "v1", name="rival"))
    await world.notice()
    for _ in range(6):
        await world.operator.reconciler.reconcile(world.key._replace(name="rival"))
        await world.step()
    rival = await world.kube.get(MODELS, world.namespace, "rival")
    assert rival is not None
    (valid,) = (entry for entry in rival["status"]["conditions"] if entry["type"] == "SpecValid")
    assert (valid["status"], valid["reason"]) == ("False", "RouteConflict")
    assert "scorer.example.com/score" in valid["message"] and f"{world.namespace}/scorer" in valid["message"]
    assert set(await world.deployments()) == {"scorer-v1"}
    await world.settle()
    assert (await world.condition("SpecValid"))[0] == "True"
    await _undisturbed(world)


async def test_a_gateway_that_does_not_exist_is_named(kube: KubeClient) -> None:
    world = await new_world(kube, gateway=False)
    await world.serve("v1")
    for _ in range(30):
        assert not await world.step()  # it is looked at now and then: nothing tells of a new Gateway
    for kind in ("Serving", "TrafficApplied"):
        truth, reason, message = await world.condition(kind)
        assert (truth, reason) == ("False", "RouteNotAccepted")
        assert "Gateway 'public' does not exist" in message
    await world.kube.create(
        GATEWAYS,
        {
            "metadata": {"name": "public", "namespace": world.namespace},
            "spec": {"gatewayClassName": "tests", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
        },
    )
    world.look_again()
    await world.settle()
    await _undisturbed(world)


async def test_a_parent_changed_to_a_missing_gateway_holds_the_rollout(kube: KubeClient) -> None:
    """A candidate gets nothing before the gateway has taken the route over."""
    world = await serving_world(kube)
    await world.kube.delete(GATEWAYS, world.namespace, "public")
    await world.ask_for("v2")
    for _ in range(60):
        assert not await world.step()
    truth, reason, message = await world.condition("TrafficApplied")
    assert (truth, reason) == ("False", "RouteNotAccepted"), message
    assert "Gateway 'public' does not exist" in message
    assert (await world.split())[0] == {"v1": 100}
    assert (await world.status()).stage == "Shadow"


async def test_an_edited_version_is_refused_at_the_door(kube: KubeClient) -> None:
    world = await serving_world(kube)
    with pytest.raises(Invalid, match="immutable apart from deprecation"):
        await world.kube.patch(MODEL_VERSIONS, world.namespace, "scorer-v1", {"spec": {"serving": {"replicas": 5}}})
    await world.settle()
    await _undisturbed(world)


async def test_a_version_made_anew_under_the_same_name_is_not_served(kube: KubeClient) -> None:
    """Deleting and creating goes around what is immutable: the digest of what was deployed does not."""
    world = await serving_world(kube)
    await world.delete(MODEL_VERSIONS, "scorer-v1")
    await world.give("v1", replicas=3)
    await world.settle()
    truth, reason, message = await world.condition("SpecValid")
    assert (truth, reason) == ("False", "VersionChanged")
    assert "scorer-v1 was made anew with other content" in message
    assert (await world.deployments())["scorer-v1"]["metadata"]["generation"] == 1
    await _undisturbed(world)


async def test_weights_that_fall_are_refused_at_the_door(kube: KubeClient) -> None:
    world = await serving_world(kube)
    falling = stages_with(canary={"steps": [{"weight": 50, "minDuration": "6s"}, {"weight": 20, "minDuration": "6s"}]})
    with pytest.raises(Invalid, match="canary weights must rise"):
        await world.set_policy(falling)
    await world.ask_for("v2")
    await world.settle()
    assert await world.split() == ({"v2": 100}, {})


BAD_TEMPLATES: dict[str, dict[str, Any]] = {
    "a container name that no pod can have": {"containers": [{"name": "Not_A_Name", "image": "scorer:v8"}]},
    "a volume that is mounted and not there": {
        "containers": [
            {"name": "server", "image": "scorer:v8", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
        ]
    },
}


@pytest.mark.parametrize("template", list(BAD_TEMPLATES.values()), ids=list(BAD_TEMPLATES))
async def test_pods_that_the_api_server_refuses_are_explained_and_latched(
    kube: KubeClient, template: dict[str, Any]
) -> None:
    world = await serving_world(kube)
    await world.give("v8", template={"spec": template})
    await world.ask_for("v8")
    refused = "Invalid value" if "volumeMounts" not in template["containers"][0] else "Not found"
    await world.until(lambda status: any(refused in entry.message for entry in status.conditions))
    message = (await world.condition("Progressing"))[2]
    assert message.startswith("v8: 0 of 2 pods are ready: ") and "spec.template.spec.containers[0]" in message
    await world.settle()
    (latched,) = (await world.status()).failed
    assert (latched.version, latched.reason) == ("v8", "ProgressDeadlineExceeded")
    assert refused in latched.message
    await _undisturbed(world)


async def test_pods_that_never_become_ready_are_latched_after_their_deadline(kube: KubeClient) -> None:
    world = await serving_world(kube)
    world.unready.add("v2")
    world.catch_up()
    began = world.clock.time
    await world.ask_for("v2")
    await world.settle()
    (latched,) = (await world.status()).failed
    assert (latched.version, latched.reason) == ("v2", "ProgressDeadlineExceeded")
    assert "0 of 2 pods of v2 were ready within 2m" in latched.message
    assert 120 <= (latched.at - began).total_seconds() < 150
    assert (await world.condition("Ready"))[:2] == ("False", "RolledBack")
    assert set(await world.deployments()) == {"scorer-v1"}
    await _undisturbed(world)


async def test_a_latched_version_starts_again_by_a_retry_and_not_by_a_sync(kube: KubeClient) -> None:
    world = await serving_world(kube)
    await world.ask_for("v3")
    await world.settle()
    before = len(world.wire.done)
    await world.kube.patch(MODELS, world.namespace, MODEL, {"metadata": {"annotations": {"synced": "again"}}})
    await world.restart()
    await world.settle()
    assert [str(write) for write in world.wire.done[before:]] == []
    await _undisturbed(world)
    world.requests.error_rates["v3"] = 0.01
    await world.ask_for("v3", retry=1)
    await world.settle()
    assert await world.split() == ({"v3": 100}, {})


async def test_metrics_that_stay_away_hold_the_rollout(kube: KubeClient) -> None:
    """No evidence is never a pass, and never a failure."""
    world = await serving_world(kube)
    world.requests.problems["v2"] = (
        "pod scorer-v2-x refused the connection on :9090/metrics: check spec.serving.metrics"
    )
    await world.ask_for("v2")
    for _ in range(80):
        await world.step()
    status = await world.status()
    assert status.rollout is not None and status.weight == 20
    truth, reason, message = await world.condition("GatesPassed")
    assert (truth, reason) == ("Unknown", "MetricsUnavailable")
    assert "refused the connection" in message
    del world.requests.problems["v2"]
    await world.settle()
    assert await world.split() == ({"v2": 100}, {})


async def test_without_a_policy_nothing_starts_and_its_name_is_asked_for(kube: KubeClient) -> None:
    world = await serving_world(kube)
    await world.kube.delete(LIFECYCLE_POLICIES, None, f"policy-{world.namespace}")
    await world.notice()
    await world.ask_for("v2")
    await world.settle()
    assert (await world.condition("SpecValid"))[:2] == ("False", "PolicyMissing")
    assert set(await world.deployments()) == {"scorer-v1"}
    await _undisturbed(world)
