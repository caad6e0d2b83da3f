"""How Flux judges every object at every moment of whole rollouts, by the libraries that it waits with.

A commit that Flux waits for fails at the first object that is Failed, and is applied at the first moment in which all are Current. So
neither may be said a moment too early, and a state that ends by itself is never Failed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from modelward.api.resources import (
    LIFECYCLE_POLICIES,
    MODEL_APPROVALS,
    MODEL_AUDIT_RECORDS,
    MODEL_EVALUATIONS,
    MODEL_VERSIONS,
    MODELS,
    Resource,
)
from modelward.runtime.kube import KubeClient, Object
from tests.api import flux
from tests.api.rollouts.world import (
    BREAKER,
    MODEL,
    World,
    in_force,
    model_manifest,
    new_world,
    serving_world,
    stages_with,
    version_manifest,
)

IN_PROGRESS, CURRENT, FAILED, TERMINATING = "InProgress", "Current", "Failed", "Terminating"
OF_NO_ROLLOUT = (MODEL_VERSIONS, MODEL_EVALUATIONS, MODEL_APPROVALS, MODEL_AUDIT_RECORDS)


@dataclass
class Waiting:
    """What Flux would see if it looked at the Model after every step of the operator."""

    world: World
    moments: list[Object] = field(default_factory=list)

    async def look(self) -> None:
        """The Model and everything beside it, as they are now."""
        self.moments.append(await self.world.model())

    async def settle(self, done: Callable[[Object], bool] | None = None) -> list[str]:
        """Until the operator rests, or until a status is as wished; one judgement for each moment, repetitions left out."""
        for _ in range(400):
            rests = await self.world.step()
            await self.look()
            if rests or (done is not None and done(self.moments[-1]["status"])):
                return self.story()
        raise AssertionError(await self.world.story())

    async def waits_for_a_person(self) -> None:
        """Until the rollout does, and then for a good while longer."""
        await self.settle(lambda status: _reason(status, "Progressing") == "AwaitingApproval")
        for _ in range(30):
            assert not await self.world.step()
            await self.look()

    def story(self) -> list[str]:
        told = flux.judged(self.moments)
        return [now for index, now in enumerate(told) if index == 0 or told[index - 1] != now]

    def by_the_documented_expressions(self) -> list[str]:
        told = flux.judged(self.moments, flux.documented_expressions())
        return [now for index, now in enumerate(told) if index == 0 or told[index - 1] != now]


def _reason(status: Object, kind: str) -> str:
    return next((each["reason"] for each in status.get("conditions") or () if each["type"] == kind), "")


async def asked(world: World, version: str, **production: Any) -> Waiting:
    """A commit asks for a version; Flux looks before the operator does."""
    waiting = Waiting(world)
    await world.ask_for(version, **production)
    await waiting.look()
    return waiting


async def now(world: World) -> str:
    return flux.judged([await world.model()])[0]


async def others(world: World) -> dict[str, str]:
    """How it judges everything but the Model: statuses by kind and name."""
    found: list[tuple[Resource, Object]] = [
        (resource, each) for resource in OF_NO_ROLLOUT for each in await world.kube.list(resource, world.namespace)
    ]
    policy = await world.kube.get(LIFECYCLE_POLICIES, None, f"policy-{world.namespace}")
    assert policy is not None
    found.append((LIFECYCLE_POLICIES, policy))
    objects = [{"apiVersion": kind.api_version, "kind": kind.kind, **each} for kind, each in found]
    names = [f"{each['kind']} {each['metadata']['name']}" for each in objects]
    return dict(zip(names, flux.judged(objects), strict=True))


async def test_a_new_model_is_waited_for_until_its_first_version_serves(kube: KubeClient) -> None:
    world = await new_world(kube)
    await world.serve("v1")
    waiting = Waiting(world)
    await waiting.look()
    assert waiting.moments[0]["status"] == {"observedGeneration": -1}
    assert await waiting.settle() == [IN_PROGRESS, CURRENT]
    assert (await world.condition("Ready"))[:2] == ("True", "Promoted")


async def test_a_good_rollout_is_waited_for_from_the_commit_to_the_promotion(kube: KubeClient) -> None:
    """And not through the watch that follows: what Git asks for serves."""
    world = await serving_world(kube)
    assert await now(world) == CURRENT
    waiting = await asked(world, "v2")
    assert await waiting.settle() == [IN_PROGRESS, CURRENT]
    stages = {moment["status"]["stage"] for moment in waiting.moments}
    assert {"Shadow", "Canary", "Production"} <= stages
    watched = [moment for moment in waiting.moments if moment["status"].get("watch")]
    assert watched and set(flux.judged(watched[1:])) == {CURRENT}


async def test_a_bad_version_fails_the_commit_when_it_is_rolled_back_and_a_revert_mends_it(kube: KubeClient) -> None:
    world = await serving_world(kube)
    waiting = await asked(world, "v3")
    assert await waiting.settle() == [IN_PROGRESS, FAILED]
    assert (await world.condition("Stalled"))[:2] == ("True", "RolledBack")
    reverted = await asked(world, "v1")
    assert await reverted.settle() == [IN_PROGRESS, CURRENT]


async def test_a_failed_watch_fails_the_commit_that_seemed_applied(kube: KubeClient) -> None:
    world = await serving_world(kube)
    waiting = await asked(world, "v2")
    await waiting.settle(lambda status: bool(status.get("watch")))
    world.requests.error_rates["v2"] = 0.9
    assert (await waiting.settle())[-1] == FAILED
    assert await world.split() == ({"v1": 100}, {})


async def test_a_sync_that_changes_nothing_leaves_a_latched_version_failed(kube: KubeClient) -> None:
    world = await serving_world(kube)
    await world.ask_for("v3")
    await world.settle()
    await world.kube.patch(MODELS, world.namespace, MODEL, {"metadata": {"annotations": {"synced": "again"}}})
    waiting = Waiting(world)
    await waiting.look()
    assert await waiting.settle() == [FAILED]


async def test_a_revert_in_mid_rollout_is_waited_for_until_the_version_before_has_all_traffic(kube: KubeClient) -> None:
    world = await serving_world(kube)
    await world.ask_for("v2")
    await world.until(in_force("Canary"))
    waiting = await asked(world, "v1")
    assert await waiting.settle() == [IN_PROGRESS, CURRENT]
    assert await world.split() == ({"v1": 100}, {})


async def test_a_model_applied_a_moment_before_its_version_does_not_fail_the_commit(kube: KubeClient) -> None:
    world = await serving_world(kube)
    waiting = await asked(world, "v7")
    await world.look()
    await waiting.look()
    assert (await world.condition("SpecValid"))[:2] == ("False", "VersionNotFound")
    await world.give("v7")
    assert await waiting.settle() == [IN_PROGRESS, CURRENT]


async def test_a_version_that_nobody_has_committed_fails_the_commit_after_a_minute(kube: KubeClient) -> None:
    world = await serving_world(kube)
    waiting = await asked(world, "v9")
    began = world.clock.time
    while waiting.story()[-1] != FAILED:
        pause = await world.look()
        await waiting.look()
        assert pause is not None and pause <= 30, "nobody would look again"
        world.pass_time(pause)
    assert waiting.story() == [IN_PROGRESS, FAILED]
    assert 60 <= (world.clock.time - began).total_seconds() <= 120
    assert (await world.condition("Serving"))[0] == "True"
    await world.give("v9")
    assert (await waiting.settle())[-2:] == [IN_PROGRESS, CURRENT]


async def test_a_spec_that_cannot_be_acted_upon_fails_the_commit_at_once(kube: KubeClient) -> None:
    world = await serving_world(kube)
    loose = {"name": "errors", "errorRate": {"maxIncrease": 0.5}, "stages": ["Canary"]}
    await world.kube.patch(
        MODELS, world.namespace, MODEL, {"spec": {"gates": [loose], "production": {"version": "v2"}}}
    )
    waiting = Waiting(world)
    await waiting.look()
    await world.look()
    await waiting.look()
    assert waiting.story() == [IN_PROGRESS, FAILED]
    assert (await world.condition("SpecValid"))[:2] == ("False", "PolicyLoosened")


async def test_a_spec_that_this_release_cannot_read_fails_the_commit_also_in_mid_rollout(kube: KubeClient) -> None:
    """The API server takes whole numbers that no digest can be made of."""
    world = await serving_world(kube)
    await world.ask_for("v2")
    await world.until(in_force("Canary"))
    gate = {"name": "own", "job": {"seed": 2**53 + 1}, "stages": ["Validation"]}
    await world.kube.patch(MODELS, world.namespace, MODEL, {"spec": {"gates": [gate]}})
    waiting = Waiting(world)
    await waiting.look()
    await world.look()
    await waiting.look()
    assert waiting.story() == [IN_PROGRESS, FAILED]
    assert (await world.condition("SpecValid"))[:2] == ("False", "SchemaInvalid")


async def test_a_status_that_was_lost_is_waited_for_and_found_again(kube: KubeClient) -> None:
    world = await serving_world(kube)
    lost = await world.model()
    del lost["status"]
    await world.kube.update_status(MODELS, lost)
    waiting = Waiting(world)
    await waiting.look()
    assert waiting.moments[0]["status"] == {"observedGeneration": -1}
    assert await waiting.settle() == [IN_PROGRESS, CURRENT]
    assert await world.split() == ({"v1": 100}, {})


async def test_a_rollout_that_waits_for_a_person_is_in_progress_for_as_long_as_it_takes(kube: KubeClient) -> None:
    world = await serving_world(kube)
    await world.set_policy(stages_with(canary={"approvals": [{"role": "risk", "beforeWeight": 20}]}))
    waiting = await asked(world, "v2")
    await waiting.waits_for_a_person()
    assert waiting.story() == [IN_PROGRESS]


async def test_a_rollout_without_evidence_is_in_progress_also_when_it_is_paused(kube: KubeClient) -> None:
    world = await serving_world(kube)
    await world.set_policy(stages_with(), onUnknown={"deadline": "20s", "then": "Pause"})
    world.requests.problems["v2"] = "pod scorer-v2-x refused the connection on :9090/metrics"
    waiting = await asked(world, "v2")
    assert await waiting.settle(lambda status: (status.get("rollout") or {}).get("paused", False)) == [IN_PROGRESS]
    assert (await world.condition("Progressing"))[1] == "Paused"
    del world.requests.problems["v2"]
    assert await waiting.settle() == [IN_PROGRESS, CURRENT]


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"suspend": True, "production": {"version": "v2"}}, id="suspended"),
        pytest.param({"production": {"version": None}}, id="no version is asked for"),
    ],
)
async def test_what_git_itself_holds_back_is_in_progress_and_not_failed(kube: KubeClient, spec: dict[str, Any]) -> None:
    world = await serving_world(kube)
    await world.kube.patch(MODELS, world.namespace, MODEL, {"spec": spec})
    waiting = Waiting(world)
    await waiting.look()
    assert await waiting.settle() == [IN_PROGRESS]


async def test_a_model_whose_pods_are_gone_is_in_progress_until_they_are_back(kube: KubeClient) -> None:
    world = await serving_world(kube)
    world.unready.add("v1")
    world.look_again()
    waiting = Waiting(world)
    await world.play()
    await world.look()
    await waiting.look()
    assert (await world.condition("Serving"))[:2] == ("False", "BackendsUnavailable")
    world.unready.clear()
    world.look_again()
    assert await waiting.settle() == [IN_PROGRESS, CURRENT]


async def test_a_model_that_is_deleted_is_terminating_until_its_traffic_has_ended(kube: KubeClient) -> None:
    world = await serving_world(kube)
    await world.kube.delete(MODELS, world.namespace, MODEL)
    assert await now(world) == TERMINATING
    moments: list[Object] = []
    for _ in range(200):
        await world.notice()
        await world.look()
        found = await world.kube.get(MODELS, world.namespace, MODEL)
        if found is None:
            break
        moments.append(found)
        await world.play()
        world.pass_time(1)
    assert found is None, "the Model never went"
    assert set(flux.judged(moments)) <= {TERMINATING}


async def test_a_model_that_is_served_elsewhere_is_current_when_it_was_seen(kube: KubeClient) -> None:
    world = await new_world(kube)
    manifest = model_manifest(world.namespace, "v1")
    del manifest["spec"]["serving"]
    await world.kube.create(MODELS, manifest)
    await world.notice()
    waiting = Waiting(world)
    await waiting.look()
    assert await waiting.settle() == [IN_PROGRESS, CURRENT]
    assert (await world.condition("Ready"))[:2] == ("True", "NotServedHere")


async def test_everything_but_the_model_is_current_from_the_beginning_to_the_end(kube: KubeClient) -> None:
    """Versions that nobody asks for or that failed, policies, evaluations, approvals and records are never waited for."""
    world = await new_world(kube)
    assert set((await others(world)).values()) == {CURRENT}
    await world.serve("v1")
    await world.settle()
    digest = (await world.status()).production
    assert digest is not None
    about = {"model": MODEL, "version": "v1"}
    await world.kube.create(
        MODEL_EVALUATIONS,
        {
            "metadata": {"name": "holdout", "namespace": world.namespace},
            "spec": {
                **about,
                "versionDigest": digest.digest,
                "name": "holdout",
                "evaluator": "ci",
                "metrics": [{"name": "auc", "value": 0.9}],
                "at": "2026-11-01T09:00:00Z",
            },
        },
    )
    await world.kube.create(
        MODEL_APPROVALS,
        {
            "metadata": {"name": "decision", "namespace": world.namespace},
            "spec": {
                **about,
                "role": "risk",
                "decision": "Approve",
                "subjectDigest": digest.digest,
                "approver": "rita",
            },
        },
    )
    for version in ("v2", "v3"):
        await world.ask_for(version)
        for _ in range(400):
            rests = await world.step()
            told = await others(world)
            assert set(told.values()) == {CURRENT}, told
            if rests:
                break
    assert {name.partition(" ")[0] for name in told} == {
        "ModelVersion", "LifecyclePolicy", "ModelEvaluation", "ModelApproval", "ModelAuditRecord",
    }  # fmt: skip
    stages = {each["status"]["stage"] for each in await world.kube.list(MODEL_VERSIONS, world.namespace)}
    assert {"Production", "Standby"} <= stages


async def test_a_version_of_a_model_that_is_not_there_is_current(kube: KubeClient) -> None:
    world = await new_world(kube)
    manifest = version_manifest(world.namespace, "v8")
    manifest["metadata"]["name"], manifest["spec"]["model"] = "nobodys-v8", "nobodys"
    await world.kube.create(MODEL_VERSIONS, manifest)
    assert (await others(world))["ModelVersion nobodys-v8"] == CURRENT


async def test_a_version_whose_deprecation_is_edited_is_current_when_that_was_seen(kube: KubeClient) -> None:
    world = await serving_world(kube)
    await world.kube.patch(
        MODEL_VERSIONS, world.namespace, "scorer-v1", {"spec": {"deprecation": {"since": "2026-12-01"}}}
    )
    assert (await others(world))["ModelVersion scorer-v1"] == IN_PROGRESS
    await world.notice()
    await world.settle()
    assert (await others(world))["ModelVersion scorer-v1"] == CURRENT


class TestByTheDocumentedExpressions:
    """With the health check expressions of docs/how-to/flux.md, a rollout under way is healthy, so that commits of days go on."""

    async def test_a_commit_is_applied_as_soon_as_the_operator_has_begun_with_it(self, kube: KubeClient) -> None:
        world = await serving_world(kube)
        waiting = await asked(world, "v2")
        await waiting.settle()
        assert waiting.by_the_documented_expressions() == [IN_PROGRESS, CURRENT]
        first = flux.judged(waiting.moments[:2], flux.documented_expressions())
        assert first == [IN_PROGRESS, CURRENT]
        assert waiting.moments[1]["status"]["rollout"]["version"] == "v2"

    async def test_a_new_model_is_healthy_while_its_first_version_is_on_its_way(self, kube: KubeClient) -> None:
        world = await new_world(kube)
        await world.serve("v1")
        waiting = Waiting(world)
        await waiting.look()
        await waiting.settle()
        assert waiting.by_the_documented_expressions()[0] == IN_PROGRESS
        assert flux.judged(waiting.moments[-1:], flux.documented_expressions()) == [CURRENT]
        assert FAILED not in waiting.by_the_documented_expressions()

    async def test_a_version_that_is_rolled_back_fails_it(self, kube: KubeClient) -> None:
        world = await serving_world(kube)
        waiting = await asked(world, "v3")
        await waiting.settle()
        assert waiting.by_the_documented_expressions() == [IN_PROGRESS, CURRENT, FAILED]

    async def test_a_wait_for_a_person_does_not_hold_the_next_commit_up(self, kube: KubeClient) -> None:
        world = await serving_world(kube)
        await world.set_policy(stages_with(shadow={"approvals": [{"role": "risk"}], "gates": [BREAKER]}))
        waiting = await asked(world, "v2")
        await waiting.waits_for_a_person()
        assert waiting.by_the_documented_expressions() == [IN_PROGRESS, CURRENT]

    async def test_a_model_before_its_version_is_waited_for(self, kube: KubeClient) -> None:
        world = await serving_world(kube)
        waiting = await asked(world, "v7")
        await world.look()
        await waiting.look()
        await world.give("v7")
        await waiting.settle()
        assert waiting.by_the_documented_expressions() == [IN_PROGRESS, CURRENT]

    async def test_pods_that_are_gone_are_waited_for(self, kube: KubeClient) -> None:
        world = await serving_world(kube)
        world.unready.add("v1")
        world.look_again()
        await world.play()
        await world.look()
        assert flux.judged([await world.model()], flux.documented_expressions()) == [IN_PROGRESS]
