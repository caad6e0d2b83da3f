"""A good version goes from shadow to production while its users notice nothing, and goes back at once."""

import time

import pytest

from tests.e2e import policies
from tests.e2e.policies import DRIFT, ERRORS, LATENCY
from tests.e2e.scene import MODEL, Scene, assert_unharmed, condition, mirrored, seen_share, serving, share

# One after the other: each measures times, or takes the operator away.
pytestmark = pytest.mark.xdist_group("with the operator to itself")

STAGES = policies.shadow(DRIFT, ERRORS) | policies.canary(ERRORS, LATENCY, weights=(20, 50), at_least="12s")
WATCH = "12s"
ROUTE_LAG = 2.0  # seconds from a status to requests that follow it
AT_ONCE = 10.0  # seconds, on a busy machine; the measured time is printed


async def test_a_good_version_is_promoted_and_reverted_while_no_request_fails(scene: Scene) -> None:
    model = await scene.establish("v1", STAGES, "v2", watch=WATCH)
    pods = await scene.watch("pods", "-l", "modelward.dev/version=v2")
    route = await scene.watch("httproute", MODEL)

    async with scene.clients(rate=40) as clients:
        await model.ask_for("v2")
        await model.until_stage("v2", "Canary", weight=20)
        await model.until(lambda status: status.get("gatesSummary"), "verdicts of the canary")
        row = await model.row()
        await model.until_rest("v2")
        promoted_at = time.time()

        # What kubectl showed meanwhile.
        assert (row["VERSION"], row["CANDIDATE"], row["STAGE"], row["WEIGHT"]) == ("v1", "v2", "Canary", "20")
        assert (row["OWNER"], row["TIER"], row["SERVING"]) == ("e2e", "Low", "True")
        assert row["GATES"].startswith(("0/2", "1/2", "2/2"))
        rollouts = [rollout for status in _statuses(model) if (rollout := status.get("rollout"))]
        stages = list(dict.fromkeys(rollout["stage"] for rollout in rollouts if rollout["version"] == "v2"))
        assert stages == ["Validation", "Shadow", "Canary"]
        told = ["RolloutStarted", "StageEntered", "StageEntered", "WeightChanged", "Promoted", "WatchPassed"]
        assert model.actions("v2") == told
        described = await model.description()
        assert all(reason in described for reason in told)

        # What the users' requests met: no shadow, and shares that follow the steps.
        splits = model.splits()
        assert [split.get("v2", 0) for _, split in splits] == [0, 20, 50, 100]
        for (at, split), end in zip(splits, [*(at for at, _ in splits[1:]), promoted_at], strict=True):
            seen, chance = seen_share(clients, "v2", at + ROUTE_LAG, end)
            assert seen == pytest.approx(split.get("v2", 0) / 100, abs=chance), f"{split} at {at}"
        assert not any(share(status, "v2") for status in _statuses(model) if mirrored(status))

        # The pods of the version are those of its shadow; those of the version before are ready to take over.
        assert len({pod["metadata"]["uid"] for pod in pods.objects}) == 1
        assert [container["restartCount"] for container in pods.now["status"]["containerStatuses"]] == [0]
        warm = condition(model.status, "RollbackTargetReady")
        assert (warm["status"], warm["reason"]) == ("True", "PreviousWarm")
        assert (await model.row())["VERSION"] == "v2"

        # git revert: one write, at once, without gates.
        writes_before = route.now["metadata"]["generation"]
        asked_at = time.time()
        await model.ask_for("v1")
        await model.until(lambda status: serving(status) == "v1", "v1 serves again")
        status = await model.until_rest("v1")
        await route.until(lambda shown: shown["metadata"]["generation"] > writes_before, "a write of the route")
        await model.until(
            lambda status: condition(status, "TrafficApplied").get("status") == "True", "the route in force"
        )

    assert_unharmed(clients)
    took = max(answer.at - answer.seconds for answer in clients.answers if answer.version == "v2") - asked_at
    print(f"\nfrom the revert to the last request that went to the version before: {took:.2f} s")
    assert took < AT_ONCE
    assert model.actions("v1")[-1] == "Reverted"
    assert route.now["metadata"]["generation"] == writes_before + 1
    assert [entry["version"] for entry in status["standby"]] == ["v2"]


async def test_a_mirror_whose_service_is_deleted_costs_users_next_to_nothing(scene: Scene) -> None:
    """A gateway answers 500 to every request that it cannot mirror: the mirror is dropped until the Service is back."""
    model = await scene.establish("v1", policies.shadow(ERRORS, at_least="10m"), "v2")
    services = await scene.watch("services", "-l", "modelward.dev/version=v2")

    async with scene.clients(rate=40) as clients:
        await model.ask_for("v2")
        await model.until_condition("TrafficApplied", "True", "RouteAccepted", saying="mirrored to it")
        first, seen = services.now["metadata"]["uid"], len(model.watched.sights)
        deleted_at = time.time()
        await scene.kubectl("delete", "service", f"{MODEL}-v2", "-n", scene.namespace)
        again = await services.sight_of(
            lambda sight: sight.kind_of_event == "ADDED" and sight.object["metadata"]["uid"] != first, "a new Service"
        )
        dropped = await model.watched.sight_of(
            lambda sight: not mirrored(sight.object["status"]), "no mirror", since=seen
        )
        await model.until(lambda status: mirrored(status) == ["v2"], "the mirror again")
        looks = _samples(model.status)
        await model.until(lambda status: _samples(status) > looks + 40, "evidence that goes on")

    mended_at = max(again.at, dropped.at)
    failing = max((answer.at for answer in clients.failures), default=deleted_at) - deleted_at
    print(f"\nwithout the Service: {len(clients.failures)} failures within {failing:.2f} s of its deletion")
    assert mended_at - deleted_at < AT_ONCE
    assert not any(answer.at > mended_at + ROUTE_LAG for answer in clients.failures)
    assert set(clients.by_version) <= {"v1", "-"}


async def test_a_rollout_outlives_the_death_of_the_operator(scene: Scene) -> None:
    model = await scene.establish("v1", policies.canary(ERRORS, weights=(20, 50), at_least="8s"), "v2", watch=WATCH)
    pods = await scene.watch("pods")
    namespace = scene.environment.operator_namespace

    async with scene.clients(rate=40) as clients:
        await model.ask_for("v2")
        await model.until_stage("v2", "Canary", weight=20)
        await model.until(lambda status: _samples(status) > 20, "some evidence")
        await scene.kubectl("delete", "pods", "--all", "-n", namespace, "--force", "--grace-period=0")
        await model.until_rest("v2")

    assert_unharmed(clients)
    started = ["RolloutStarted", "StageEntered", "WeightChanged", "Promoted", "WatchPassed"]
    assert model.actions("v2") == started
    samples = [
        _samples(status) for status in _statuses(model) if (status.get("rollout") or {}).get("stage") == "Canary"
    ]
    assert samples == sorted(samples)
    assert samples[-1] <= clients.by_version["v2"]
    for version in ("v1", "v2"):
        own = [pod for pod in pods.objects if pod["metadata"]["labels"]["modelward.dev/version"] == version]
        assert len({pod["metadata"]["uid"] for pod in own}) == 1
        assert [container["restartCount"] for container in own[-1]["status"]["containerStatuses"]] == [0]


def _statuses(model):
    return [shown["status"] for shown in model.watched.objects if shown.get("status")]


def _samples(status) -> int:
    return max((row["samples"] for row in status.get("gates") or [] if row["name"] == "errors"), default=0)
