"""Where evidence comes from: pods with several workers, a Prometheus of the platform, and one that is down."""

from datetime import datetime

import pytest

from tests.e2e import policies
from tests.e2e.policies import ERRORS
from tests.e2e.scene import Scene, assert_unharmed, condition, gate, serving

PLATFORM = {"source": {"prometheus": "platform"}}
DOWN = {"source": {"prometheus": "down"}}


def known_to_prometheus(**bounds: float) -> policies.Gate:
    """A query of the candidate's own pods."""
    query = 'count(modelward_info{namespace="{{namespace}}", version="{{candidate}}"})'
    return {"name": "known", "query": {"source": "platform", "query": query, **bounds}}


async def test_two_workers_of_one_pod_are_counted_as_one(scene: Scene) -> None:
    """Each scrape is answered by another worker; taken for a pod that restarted, its requests would count again and again."""
    await scene.set_policy(policies.shadow(ERRORS, at_least="12s"))
    versions = [scene.version(version, workers=2) for version in ("v1", "v2")]
    await scene.kubectl.apply(*versions, scene.model("v1"))
    model = await scene.follow()
    await model.until_rest("v1")
    await scene.until_answered()

    async with scene.clients(rate=40) as clients:
        await model.ask_for("v2")
        await model.until_stage("v2", "Shadow")
        await model.until_rest("v2")

    since = next(shown["status"]["rollout"]["trafficSince"] for shown in model.watched.objects if _in_shadow(shown))
    seen = [sight for sight in model.watched.sights if _in_shadow(sight.object)]
    newest = gate(seen[-1].object["status"], "errors", "v2")
    until_the_look = clients.summary(_unix(since), _unix(newest["at"])).requests
    until_it_was_shown = clients.summary(_unix(since), seen[-1].at).requests
    assert 0.5 * until_the_look < newest["samples"] <= until_it_was_shown
    assert_unharmed(clients)


async def test_a_prometheus_of_the_platform_gives_the_evidence_and_answers_queries(scene: Scene) -> None:
    if not scene.environment.is_local:
        pytest.skip("only the local cluster is known to have a Prometheus")
    stages = policies.shadow(ERRORS, known_to_prometheus(min=1)) | policies.canary(
        known_to_prometheus(min=1), weights=(50,)
    )
    await scene.set_policy(_unhurried(stages))
    versions = [scene.version(version, scraped=True) for version in ("v1", "v2", "v4")]
    await scene.kubectl.apply(*versions, scene.model("v1", metrics=PLATFORM))
    model = await scene.follow()
    await model.until_rest("v1")
    await scene.until_answered()

    async with scene.clients(rate=30) as clients:
        await model.ask_for("v2")
        await model.until_stage("v2", "Canary")
        await model.until_rest("v2")

        # A query outside of its bounds fails; the policy of the next rollout is the one that is there when it starts.
        await scene.set_policy(policies.shadow(known_to_prometheus(max=0)))
        await model.ask_for("v4")
        failed = await model.until_latched("v4")

    assert failed["reason"] == "GateFailed"
    assert "the query gives 1, above the maximum of 0" in failed["message"]
    assert serving(model.status) == "v2"
    assert_unharmed(clients)


async def test_a_prometheus_that_is_down_holds_the_rollout_and_then_pauses_it(scene: Scene) -> None:
    stages = policies.shadow(ERRORS, at_least="2s") | policies.canary(ERRORS)
    model = await scene.establish("v1", stages, "v2", patience="4s", metrics=DOWN)

    async with scene.clients(rate=20) as clients:
        await model.ask_for("v2")
        await model.until(
            lambda status: gate(status, "errors", "v2").get("reason") == "MetricsUnavailable", "a verdict"
        )
        row = gate(model.status, "errors", "v2")
        paused = await model.until_condition("Progressing", "False", "Paused")

    assert row["result"] == "Unknown"
    assert "Prometheus down could not be reached" in row["message"]
    assert "Prometheus down could not be reached" in paused["message"]
    assert condition(model.status, "GatesPassed")["reason"] == "MetricsUnavailable"
    assert model.actions("v2")[-1] == "Paused"
    assert (await model.row())["GATES"] == "0/1 1 Unknown"
    assert serving(model.status) == "v1"
    assert [split for _, split in model.splits()] == [{"v1": 100}]
    assert_unharmed(clients)
    assert set(clients.by_version) == {"v1"}


def _unhurried(stages: policies.Stages) -> policies.Stages:
    """Prometheus scrapes every two seconds: looking more often shows nothing new."""
    return {name: {**stage, "interval": "2s"} for name, stage in stages.items()}


def _in_shadow(shown) -> bool:
    rollout = (shown.get("status") or {}).get("rollout") or {}
    return rollout.get("stage") == "Shadow" and "trafficSince" in rollout


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
