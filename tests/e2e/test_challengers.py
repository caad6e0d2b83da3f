"""A challenger gets copies of requests; what it showed then counts when it is asked for."""

from datetime import datetime, timedelta

import pytest

from tests.e2e import policies
from tests.e2e.policies import ERRORS
from tests.e2e.scene import Scene, assert_unharmed, gate, mirrored, share

RATE = 40  # requests per second
AT_LEAST = timedelta(seconds=20)


@pytest.mark.xdist_group("with the operator to itself")
async def test_a_challenger_is_shadowed_only_and_keeps_its_evidence_as_the_candidate(scene: Scene) -> None:
    stages = policies.shadow(ERRORS, at_least=f"{AT_LEAST.seconds}s") | policies.canary(
        ERRORS, weights=(50,), at_least="2s"
    )
    model = await scene.establish("v1", stages, "v2")
    pods = await scene.watch("pods", "-l", "modelward.dev/version=v2")

    async with scene.clients(rate=RATE) as clients:
        await model.patch({"challengers": ["v2"]})
        status = await model.until(lambda status: gate(status, "errors", "v2").get("result") == "Pass", "a passed gate")
        challenger = next(entry for entry in status["challengers"] if entry["version"] == "v2")
        samples = gate(status, "errors", "v2")["samples"]
        assert mirrored(status) == ["v2"]
        assert share(status, "v2") == 0
        assert status.get("rollout") is None
        assert_unharmed(clients)
        assert set(clients.by_version) == {"v1"}

        # So many need the time of a shadow, at the least.
        enough = RATE * AT_LEAST.seconds
        await model.until(lambda status: gate(status, "errors", "v2").get("samples", 0) >= enough, "a whole shadow")
        await model.patch({"production": {"version": "v2"}, "challengers": []})
        shadow = await model.until_stage("v2", "Shadow")
        assert shadow["rollout"]["stageEnteredAt"] == challenger["enteredAt"]
        canary = (await model.until_stage("v2", "Canary"))["rollout"]
        waited = datetime.fromisoformat(canary["stageEnteredAt"]) - datetime.fromisoformat(canary["startedAt"])
        assert waited < AT_LEAST, "it was in shadow for a second time"
        await model.until_rest("v2")

    assert_unharmed(clients)
    in_shadow = [shown["status"] for shown in model.watched.objects if _stage(shown) == "Shadow"]
    assert all(gate(status, "errors", "v2").get("samples", samples) >= samples for status in in_shadow)
    assert len({pod["metadata"]["uid"] for pod in pods.objects}) == 1


def _stage(shown) -> str | None:
    return ((shown.get("status") or {}).get("rollout") or {}).get("stage")
