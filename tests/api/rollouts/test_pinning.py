"""What was decided at the start of a rollout holds until its end: the policy, the pods, and what an upgrade changes."""

from typing import Any

import pytest

from modelward.api.resources import MODEL_VERSIONS
from modelward.runtime import views
from modelward.runtime.kube import KubeClient
from modelward.traffic import workloads
from tests.api.rollouts.world import World, in_force, serving_world, stages_with


async def _weights_of(world: World) -> list[dict[str, int]]:
    """Every split of users' requests that was written to the route, in order."""
    return [
        {ref["name"]: ref["weight"] for ref in write.body["spec"]["rules"][0]["backendRefs"]}
        for write in world.wire.done
        if write.resource.kind == "HTTPRoute" and write.body
    ]


@pytest.mark.parametrize("change", ["changed", "deleted"])
async def test_a_policy_that_is_changed_or_deleted_leaves_the_rollout_in_flight_as_it_was(
    kube: KubeClient, change: str
) -> None:
    world = await serving_world(kube)
    await world.ask_for("v2")
    await world.until(lambda status: status.stage == "Shadow")
    if change == "changed":
        await world.set_policy(stages_with(canary={"steps": [{"weight": 77, "minDuration": "6s"}]}))
    else:
        await world.delete_policy()
    await world.settle()
    weights = [split.get("scorer-v2") for split in await _weights_of(world)]
    assert weights == [None, None, 20, 50, 100]
    status = await world.status()
    assert status.production is not None and status.production.version == "v2"
    assert await world.split() == ({"v2": 100}, {})
    if change == "deleted":
        truth, reason, message = await world.condition("SpecValid")
        assert (truth, reason) == ("False", "PolicyMissing")
        assert "tier Low" in message
        assert (await world.condition("Serving"))[0] == "True"


async def test_the_next_rollout_goes_by_the_new_policy(kube: KubeClient) -> None:
    world = await serving_world(kube)
    await world.ask_for("v2")
    await world.until(lambda status: status.stage == "Canary")
    await world.set_policy(stages_with(canary={"steps": [{"weight": 33, "minDuration": "6s", "require": "NotFailed"}]}))
    await world.settle()
    await world.give("v4")
    await world.ask_for("v4")
    await world.settle()
    weights = [split.get("scorer-v4") for split in await _weights_of(world)]
    assert [weight for weight in weights if weight] == [33, 100]
    assert len([name for name in (await world.outcome())["revisions"] if "-policy-" in name]) == 0


@pytest.mark.parametrize("stage", ["Production", "Shadow", "Canary"])
async def test_an_upgrade_of_the_operator_restarts_no_pod_and_no_rollout(
    kube: KubeClient, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """A release generates other pod templates and has more fields with defaults; neither is what a user asked for."""
    world = await serving_world(kube)
    if stage != "Production":
        await world.ask_for("v2")
        await world.until(in_force(stage))
    before, digests = await world.deployments(), await _digests(world)
    generate = workloads._template

    def newer(*arguments: Any) -> dict[str, Any]:
        template = generate(*arguments)
        template["spec"]["terminationGracePeriodSeconds"] = 45
        template["spec"]["containers"][0]["env"].append({"name": "MODELWARD_RELEASE", "value": "next"})
        return template

    monkeypatch.setattr(workloads, "_template", newer)
    # A changed default changes the digest of everything that leaves the field out.
    monkeypatch.setattr(views, "version_digest", lambda spec: "sha256:" + "0" * 64)
    monkeypatch.setenv("MODELWARD_RELEASE", "next")
    await world.restart()
    await world.settle()
    after = await world.deployments()
    for name, deployment in before.items():
        assert after[name]["spec"]["template"] == deployment["spec"]["template"]
        assert after[name]["metadata"]["generation"] == deployment["metadata"]["generation"] == 1
        assert after[name]["metadata"]["uid"] == deployment["metadata"]["uid"]
    assert {name: (await _digests(world))[name] for name in before} == {name: digests[name] for name in before}
    status = await world.status()
    assert status.production is not None
    assert status.production.version == ("v1" if stage == "Production" else "v2")
    assert set(world.wire.created().values()) == {1}


async def _digests(world: World) -> dict[str, str]:
    found = await world.kube.list(MODEL_VERSIONS, world.namespace)
    return {version["metadata"]["name"]: version["status"]["digest"] for version in found}
