"""Two replicas: one leads, the other waits, and neither a killed leader nor a drained node stops a rollout."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest

from cluster import namespaces
from cluster.configuration import CONTAINERD_SOCKET
from cluster.processes import run
from examples.tumor_screening.environment import AUDIT_VOLUME, OPERATOR_RELEASE
from examples.tumor_screening.people import modelward
from tests.e2e import policies
from tests.e2e.installed import Installed, until
from tests.e2e.kubectl import PATIENCE, Refused, Sight
from tests.e2e.policies import ERRORS
from tests.e2e.scene import MODEL, Scene, assert_unharmed

# A crashed leader is waited for as long as its Lease says, and a retry or two; by the times that the Lease itself has.
CRASH_LIMIT = timedelta(seconds=15 + 10)
# One that ends in good order gives its Lease back: sooner than it would have ended.
EVICTION_LIMIT = timedelta(seconds=10)


@pytest.fixture(scope="module")
async def two_replicas(installed: Installed) -> Installed:
    """Two replicas that share the volume of the audit trail, and keep records in the cluster for seconds only."""
    values = {"replicas": 2, "audit": {"keepInCluster": "5s"}}
    if installed.environment.audit_export is not None:
        values["audit"]["export"] = {
            "directory": {"enabled": True, "existingClaim": AUDIT_VOLUME, "accessMode": "ReadWriteMany"}
        }
    await installed.upgrade(values, "--reuse-values")
    await installed.until_ready(2)
    return installed


async def test_one_replica_leads_and_both_are_ready_on_a_single_node(two_replicas: Installed) -> None:
    pods = {pod["metadata"]["name"]: pod for pod in await two_replicas.until_ready(2)}
    leader = await two_replicas.until_led_by_another("")
    said = {name: await _metrics(two_replicas, name) for name in pods}

    assert {name for name, page in said.items() if "modelward_operator_is_leader 1.0" in page} == {leader}
    # Spread where there is where to, and no reason to stay Pending where there is not.
    spec = pods[leader]["spec"]
    assert set(spec["affinity"]["podAntiAffinity"]) == {"preferredDuringSchedulingIgnoredDuringExecution"}
    assert {rule["whenUnsatisfiable"] for rule in spec["topologySpreadConstraints"]} == {"ScheduleAnyway"}


async def test_a_killed_leader_is_followed_by_the_other_replica_in_the_middle_of_a_canary(
    scene: Scene, two_replicas: Installed
) -> None:
    model = await scene.establish("v1", policies.canary(ERRORS, weights=(20, 50), at_least="6s"), "v2")
    leader = await two_replicas.leader()

    async with scene.clients(rate=30) as clients:
        await model.ask_for("v2")
        await model.until_stage("v2", "Canary", weight=20)
        successor, silent = await _handed_over(two_replicas, leader, _kill)
        print(f"led by {successor} {silent.total_seconds():.1f} s after {leader}, which was killed, had last renewed")
        await model.until_rest("v2")

    assert silent < CRASH_LIMIT
    assert_unharmed(clients)
    assert model.actions("v2")[:4] == ["RolloutStarted", "StageEntered", "WeightChanged", "Promoted"]
    await _assert_pruned_and_whole(scene, two_replicas)


async def test_a_drained_node_takes_one_replica_at_a_time(two_replicas: Installed) -> None:
    await two_replicas.until_ready(2)
    leader = await two_replicas.leader()
    other = next(name for pod in await two_replicas.pods() if (name := pod["metadata"]["name"]) != leader)

    async def drain(installed: Installed, leader: str) -> None:
        await _evict(installed, leader)
        with pytest.raises(Refused, match="disruption budget"):
            await _evict(installed, other)

    await _until_one_may_be_spared(two_replicas)
    successor, silent = await _handed_over(two_replicas, leader, drain)
    print(f"led by {successor} {silent.total_seconds():.1f} s after {leader}, which was evicted, had last renewed")
    assert successor == other
    assert silent < EVICTION_LIMIT

    await two_replicas.until_ready(2)
    await _until_one_may_be_spared(two_replicas)
    _, silent = await _handed_over(two_replicas, other, _evict)
    assert silent < EVICTION_LIMIT


async def _handed_over(
    installed: Installed, leader: str, end: Callable[[Installed, str], Awaitable[None]]
) -> tuple[str, timedelta]:
    """End a leader; who leads then, and for how long nobody had confirmed the Lease before."""
    async with installed.kubectl.watching("lease", OPERATOR_RELEASE, "-n", installed.namespace) as watched:
        await watched.until(lambda _: True, "the Lease")
        await end(installed, leader)
        taken = await watched.sight_of(
            lambda sight: _holder(sight) not in ("", leader), f"another leader than {leader}"
        )
        own = [sight.object["spec"]["renewTime"] for sight in watched.sights if _holder(sight) == leader]
    return _holder(taken), _moment(taken.object["spec"]["acquireTime"]) - _moment(own[-1])


def _holder(sight: Sight) -> str:
    return str(sight.object["spec"].get("holderIdentity") or "")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def _until_one_may_be_spared(installed: Installed) -> None:
    """The budget counts the pods in its own time."""
    async with installed.kubectl.watching(
        "poddisruptionbudget", OPERATOR_RELEASE, "-n", installed.namespace
    ) as watched:
        await watched.until(lambda shown: shown["status"]["disruptionsAllowed"] > 0, "a pod that may be spared")


async def _kill(installed: Installed, pod: str) -> None:
    """Without a chance to give anything back, as when a node fails; and for good, so that it does not come again."""
    if installed.environment.is_local:
        shown = await installed.kubectl.get("pod", pod, "-n", installed.namespace)
        container = shown["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
        containerd = ["ctr", "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io"]
        inside = namespaces.entering(namespaces.require_first_process())
        await asyncio.to_thread(run, [*inside, *containerd, "tasks", "kill", "--signal", "SIGKILL", container])
    await installed.kubectl("delete", "pod", pod, "-n", installed.namespace, "--force", "--grace-period=0")


async def _evict(installed: Installed, pod: str) -> None:
    """What ``kubectl drain`` asks for."""
    path = f"/api/v1/namespaces/{installed.namespace}/pods/{pod}/eviction"
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": installed.namespace},
    }
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            await installed.kubectl("create", "--raw", path, "--filename=-", given=json.dumps(eviction))
        except Refused as refusal:
            if "still being processed" not in str(refusal) or time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.5)
        else:
            return


async def _metrics(installed: Installed, pod: str) -> str:
    return await installed.kubectl(
        "get", "--raw", f"/api/v1/namespaces/{installed.namespace}/pods/{pod}:8080/proxy/metrics"
    )


async def _assert_pruned_and_whole(scene: Scene, installed: Installed) -> None:
    """Records leave the cluster when the export has them, and the chain is whole in the cluster and in the export."""
    export = scene.environment.audit_export
    if export is None:
        return

    async def numbers() -> list[int]:
        records = await scene.kubectl.items("modelauditrecords", "-n", scene.namespace)
        return [record["spec"]["seq"] for record in records]

    left = await until(numbers, lambda seen: min(seen) > 1, "a record that has left the cluster")
    assert left == list(range(min(left), max(left) + 1))
    key = export.parent / "audit-public-key.pem"
    key.write_bytes(scene.environment.audit_public_key())
    asked = (
        "audit",
        "verify",
        "--model",
        MODEL,
        "-n",
        scene.namespace,
        "--from",
        str(export),
        "--public-key",
        str(key),
    )
    said = await asyncio.to_thread(modelward, *asked, kubeconfig=scene.environment.kubeconfig)
    assert said.code == 0, said.text
    assert "whole" in said.text
