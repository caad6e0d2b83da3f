"""The operator is exchanged in the middle of a canary, and nobody but the operator's own pod notices."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from examples.tumor_screening.environment import OPERATOR_RELEASE
from examples.tumor_screening.people import modelward
from tests.e2e import policies
from tests.e2e.installed import Installed
from tests.e2e.policies import ERRORS
from tests.e2e.scene import MODEL, FollowedModel, Scene, assert_unharmed, gate
from tests.e2e.upgrade.release import Release

# What says where a rollout is.
KEPT = ("version", "digest", "policyDigest", "startedAt", "stage", "stageEnteredAt")
# Longer at the first weight than an upgrade takes, so that it happens there.
STAGES: policies.Stages = {
    "canary": {
        "interval": "1s",
        "steps": [{"weight": 20, "minDuration": "75s"}, {"weight": 50, "minDuration": "4s"}],
        "gates": [ERRORS],
    }
}


async def test_an_upgrade_in_the_middle_of_a_canary_is_noticed_by_the_operators_pod_alone(
    scene: Scene, installed: Installed, previous: Release, present: Release
) -> None:
    values = await installed.values()
    await _install(installed, previous, values)

    async def upgrade() -> None:
        await _install(installed, present, values)

    await _canary_across(upgrade, scene, installed, previous, present)


async def test_a_rollback_of_the_operator_in_the_middle_of_a_canary_is_noticed_by_its_pod_alone(
    scene: Scene, installed: Installed, previous: Release, present: Release
) -> None:
    values = await installed.values()
    await _install(installed, previous, values)
    await _install(installed, present, values)

    async def roll_back() -> None:
        await installed.helm("rollback", OPERATOR_RELEASE, "--wait", "--timeout=8m")

    await _canary_across(roll_back, scene, installed, present, previous)


async def _canary_across(
    exchange: Callable[[], Awaitable[None]], scene: Scene, installed: Installed, before: Release, after: Release
) -> None:
    """A canary that begins under one operator and ends under another."""
    model = await scene.establish("v1", STAGES, "v2")
    pods = await scene.watch("pods")
    deployments = await scene.watch("deployments")

    async with scene.clients(rate=40) as clients:
        await model.ask_for("v2")
        await model.until_stage("v2", "Canary", weight=20)
        started = (await model.until(lambda status: _samples(status) > 20, "some evidence"))["rollout"]
        assert await _images(installed) == {before.image}

        await exchange()
        assert await _images(installed) == {after.image}
        # Anew: a definition that changes ends the watches of its kind; without such a change this one would go on beside it.
        until_then, splits = _in_canary(model), model.splits()
        taken_up = await scene.follow()
        at_exchange = _samples(taken_up.status)
        # Not before the new one has gathered evidence of its own is this about anything.
        going_on = await taken_up.until(lambda status: _samples(status) > at_exchange, "more evidence")
        assert going_on["rollout"]["step"] == 0, "the operator was exchanged later than at the first weight"
        await taken_up.until_rest("v2")

    for status in _in_canary(taken_up):
        assert {key: status["rollout"].get(key) for key in KEPT} == {key: started.get(key) for key in KEPT}
    samples = [_samples(status) for status in (*until_then, *_in_canary(taken_up))]
    assert samples == sorted(samples), "evidence was lost"
    assert at_exchange > 20, "evidence began anew"
    shares = [split.get("v2", 0) for _, split in (*splits, *taken_up.splits())]
    assert [share for share, _ in itertools.groupby(shares)] == [0, 20, 50, 100]
    assert taken_up.actions("v2")[:4] == ["RolloutStarted", "StageEntered", "WeightChanged", "Promoted"]
    assert_unharmed(clients)
    _assert_untouched(pods.objects, deployments.objects)
    await _assert_whole(scene)


async def _install(installed: Installed, release: Release, values: dict[str, Any]) -> None:
    """The definitions first, as the documentation says."""
    await installed.upgrade_definitions(release.charts)
    await installed.upgrade(values | {"image": release.image_values}, chart=release.charts / OPERATOR_RELEASE)


async def _images(installed: Installed) -> set[str]:
    return {container["image"] for pod in await installed.pods() for container in pod["spec"]["containers"]}


def _assert_untouched(pods: Sequence[dict[str, Any]], deployments: Sequence[dict[str, Any]]) -> None:
    """One pod for each version, from one template, that never restarted; and a Deployment that nobody wrote again."""
    for version in ("v1", "v2"):
        own = [pod for pod in pods if pod["metadata"]["labels"]["modelward.dev/version"] == version]
        assert len({pod["metadata"]["uid"] for pod in own}) == 1, version
        assert len({pod["metadata"]["labels"]["pod-template-hash"] for pod in own}) == 1, version
        assert [container["restartCount"] for container in own[-1]["status"]["containerStatuses"]] == [0], version
        written = [one for one in deployments if one["metadata"]["name"] == f"{MODEL}-{version}"]
        assert {one["metadata"]["generation"] for one in written} == {1}, version


async def _assert_whole(scene: Scene) -> None:
    asked = ("audit", "verify", "--model", MODEL, "-n", scene.namespace)
    said = await asyncio.to_thread(modelward, *asked, kubeconfig=scene.environment.kubeconfig)
    assert said.code == 0, said.text
    assert "whole" in said.text


def _in_canary(model: FollowedModel) -> list[dict[str, Any]]:
    statuses = [shown.get("status") or {} for shown in model.watched.objects]
    return [status for status in statuses if (status.get("rollout") or {}).get("stage") == "Canary"]


def _samples(status: Any) -> int:
    return int(gate(status, "errors", "v2").get("samples", 0))
