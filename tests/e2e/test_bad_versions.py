"""Versions that must not reach users: one that was trained on other data, and one that decays under load."""

import asyncio
import time

import pytest

from examples.tumor_screening.load import Answer
from tests.e2e import policies
from tests.e2e.policies import DRIFT, ERRORS
from tests.e2e.scene import MODEL, Scene, assert_unharmed, condition, gate, latch, serving

SETTLED = 4.0  # seconds, several looks of the operator
STEP = 60.0  # seconds, for which a version that nothing stops keeps its share


async def test_a_version_of_another_population_is_stopped_in_shadow_and_stays_stopped(scene: Scene) -> None:
    model = await scene.establish("v1", policies.shadow(DRIFT, ERRORS, at_least="5s") | policies.canary(ERRORS), "v3")

    async with scene.clients(rate=40) as clients:
        await model.ask_for("v3")
        failed = await model.until_latched("v3")
        status = model.status

        assert (failed["stage"], failed["reason"]) == ("Shadow", "GateFailed")
        assert "drifted from the baseline" in failed["message"]
        assert gate(status, "drift", "v3")["result"] == "Fail"
        assert condition(status, "DriftDetected")["status"] == "True"
        assert condition(status, "Ready")["reason"] == "RolledBack"
        assert failed["message"] in await model.description()
        rejected = condition(
            (await scene.kubectl.get("mv", f"{MODEL}-v3", "-n", scene.namespace))["status"], "Rejected"
        )
        assert (rejected["status"], rejected["reason"]) == ("True", "GateFailed")

        # Self-heal applies what Git says, again and again.
        manifests = [scene.version("v1"), scene.version("v3"), scene.model("v3")]
        manifests[-1]["metadata"]["annotations"] = {"synced": "again"}
        await scene.kubectl.apply(*manifests)
        await asyncio.sleep(SETTLED)
        assert model.status.get("rollout") is None
        assert latch(model.status, "v3") == failed

        # Somebody who wants it tried again says so.
        await model.ask_for("v3", retry=1)
        await model.until_stage("v3", "Shadow")

    assert_unharmed(clients)
    assert set(clients.by_version) == {"v1"}
    assert serving(model.status) == "v1"


@pytest.mark.xdist_group("with the operator to itself")
async def test_a_version_that_decays_under_load_is_rolled_back_by_the_breaker(scene: Scene) -> None:
    stages = policies.canary(ERRORS, weights=(30, 60), at_least=f"{STEP:.0f}s")
    model = await scene.establish("v1", stages, "v4")

    async with scene.clients(rate=30) as clients:
        await model.ask_for("v4")
        failed = await model.until_latched("v4")
        back_at = time.time()
        await model.until_condition("TrafficApplied", "True", "RouteAccepted")
        in_force_at = time.time()
        await asyncio.sleep(SETTLED)

    assert (failed["stage"], failed["reason"]) == ("Canary", "GateFailed")
    assert "abort above 30 %" in failed["message"]
    assert condition(model.status, "Ready")["reason"] == "RolledBack"
    shares = [split.get("v4", 0) for _, split in model.splits()]
    assert set(shares) == {0, 30}, "never the next step; a pod that is too slow to be ready gets nothing for a while"
    assert shares[-1] == 0
    # Nothing but the canary's share failed, and it did not fail for long.
    assert {answer.version for answer in clients.failures} == {"v4"}
    first, last = _ends(clients.failures)  # sent; what a version too slow was sent before may be answered long after
    print(
        f"\nfrom the first failure to the rollback: {back_at - first:.1f} s, to the last failure: {last - first:.1f} s"
    )
    assert back_at - first < STEP / 3, "a few looks of the gates, a second apart, and the time that they take"
    assert last < in_force_at + 2


def _ends(answers: list[Answer]) -> tuple[float, float]:
    times = [answer.at - answer.seconds for answer in answers]
    return min(times), max(times)
