"""The chart's NetworkPolicy against the connections that the operator really has. No network plugin here would enforce it."""

import asyncio
import json
from typing import Any

import pytest
import yaml

from cluster import binaries, namespaces
from cluster.processes import run
from examples.tumor_screening.environment import OPERATOR_RELEASE
from tests.e2e import policies
from tests.e2e.fence import Connection, Peer, connections, lets_in, lets_out
from tests.e2e.installed import CHARTS, Installed
from tests.e2e.kubectl import PATIENCE
from tests.e2e.policies import ERRORS
from tests.e2e.scene import Scene, gate

FENCED = {
    "enabled": True,
    "metricsFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
}
COMPONENT = "app.kubernetes.io/component"  # of the pod of `helm test`, which may ask, too
KNOWN = {"name": "known", "query": {"source": "platform", "query": "count(up)", "min": 1}}


async def test_the_policy_has_room_for_every_connection_of_the_operator_and_for_few_others(
    scene: Scene, installed: Installed
) -> None:
    if not installed.environment.is_local:
        pytest.skip("looks into the network of the local cluster")
    model = await scene.establish("v1", policies.shadow(ERRORS, KNOWN, at_least="10m"), "v2")
    async with scene.clients(rate=20):
        await model.ask_for("v2")
        await model.until(lambda status: gate(status, "known", "v2").get("result") == "Pass", "an answer of Prometheus")
        peers = await _peers(installed)
        seen = await _all_kinds_of_connections(installed, peers)

    policy = await _policy(installed)
    fenced_off = [
        one for one in seen if not lets_out(policy, peers.get(one.peer, Peer(one.peer)), one.port, one.protocol)
    ]
    assert fenced_off == []
    readers = [peer for peer in peers.values() if lets_in(policy, peer, 8080, "http")]
    assert {peer.namespace for peer in readers if peer.labels.get(COMPONENT) != "test"} == {"monitoring"}


async def _all_kinds_of_connections(installed: Installed, peers: dict[str, Peer]) -> frozenset[Connection]:
    """What the operator has opened, once all that the policy is for is among it. The kernel forgets some after seconds."""
    expected = {"port 6443", "port 53", "a model server", "prometheus"}
    seen: frozenset[Connection] = frozenset()
    async with asyncio.timeout(PATIENCE):
        while not expected <= {_kind(one, peers) for one in seen}:
            seen |= await _connections(installed)
            await asyncio.sleep(0.5)
    return seen


def _kind(connection: Connection, peers: dict[str, Peer]) -> str:
    labels = peers.get(connection.peer, Peer(connection.peer)).labels
    if "modelward.dev/model" in labels:
        return "a model server"
    return labels["app"] if labels.get("app") == "prometheus" else f"port {connection.port}"


async def _policy(installed: Installed) -> dict[str, Any]:
    values = json.dumps({**await installed.values(), "networkPolicy": FENCED})
    show = ("--show-only=templates/networkpolicy.yaml", "--kube-version", binaries.KUBERNETES_VERSION, "--values=-")
    chart = str(CHARTS / OPERATOR_RELEASE)
    rendered = await installed.helm("template", OPERATOR_RELEASE, chart, *show, given=values)
    return dict(yaml.safe_load(rendered))


async def _peers(installed: Installed) -> dict[str, Peer]:
    """Every pod of the cluster by its address."""
    spaces = {one["metadata"]["name"]: one["metadata"]["labels"] for one in await installed.kubectl.items("namespaces")}
    pods = await installed.kubectl.items("pods", "--all-namespaces")
    return {
        pod["status"]["podIP"]: Peer(
            pod["status"]["podIP"],
            pod["metadata"].get("labels") or {},
            spaces[pod["metadata"]["namespace"]],
            pod["metadata"]["namespace"],
        )
        for pod in pods
        if pod["status"].get("podIP")
    }


async def _connections(installed: Installed) -> frozenset[Connection]:
    (pod,) = await installed.pods()
    inside = namespaces.entering(namespaces.require_first_process())
    listing = await asyncio.to_thread(run, [*inside, "conntrack", "-L"])
    return connections(listing, pod["status"]["podIP"])
