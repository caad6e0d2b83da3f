"""The cluster's addresses, and the one link between its network and the host's.

All addresses are from 198.18.0.0/15, which is set aside for benchmarks: it is nobody's on the internet, but a packet
to it still leaves through a default route. So the host refuses the whole range first, then routes the cluster's parts
of it into the cluster, and the refusal is the last thing that `down` takes away.
"""

from __future__ import annotations

import json
from typing import Any, cast

from cluster.processes import Failure, run, succeeds

NODE_NAME = "node1"
CLUSTER_DOMAIN = "cluster.local"
GUARDED_RANGE = "198.18.0.0/15"
NODE_ADDRESS = "198.18.0.1"
HOST_ADDRESS = "198.18.0.2"
CLUSTER_RANGE = "198.18.0.0/16"
POD_RANGE = "198.18.1.0/24"
SERVICE_RANGE = "198.19.0.0/16"
FIRST_SERVICE_ADDRESS = "198.19.0.1"
DNS_ADDRESS = "198.19.0.10"
GATEWAY_ADDRESS = "198.19.0.80"
PROMETHEUS_ADDRESS = "198.19.0.90"
API_PORT = 6443

HOST_LINK = "modelward0"
NODE_LINK = "host0"
NODE_BRIDGE = "node0"


def connect(first_process: int) -> None:
    """Links the host with the network namespace of that process; the cluster inside may start after this."""
    guard()
    inside = ["nsenter", "-t", str(first_process), "-n"]
    for command in (
        f"ip link add {HOST_LINK} type veth peer name {NODE_LINK} netns {first_process}",
        f"ip addr add {HOST_ADDRESS} peer {NODE_ADDRESS}/32 dev {HOST_LINK}",
        f"ip link set {HOST_LINK} up",
    ):
        run(command.split())
    for command in (
        "ip link set lo up",
        f"ip link add {NODE_BRIDGE} type bridge",
        f"ip addr add {NODE_ADDRESS}/32 dev {NODE_BRIDGE}",
        f"ip link set {NODE_BRIDGE} up",
        f"ip link set {NODE_LINK} up",
        f"ip route add {HOST_ADDRESS}/32 dev {NODE_LINK} src {NODE_ADDRESS}",
        # Without a route the node's own processes could not even begin to speak to a Service.
        f"ip route add {SERVICE_RANGE} dev {NODE_BRIDGE} src {NODE_ADDRESS}",
        "sysctl -q -w net.ipv4.ip_forward=1",
    ):
        run([*inside, *command.split()])
    for destination in (POD_RANGE, SERVICE_RANGE):
        run(["ip", "route", "add", destination, "via", NODE_ADDRESS, "dev", HOST_LINK])
    require_routes()


def guard() -> None:
    """From here on nothing for the cluster's addresses leaves the host, whether or not a cluster is there."""
    run(["ip", "route", "replace", "unreachable", GUARDED_RANGE])


def disconnect() -> None:
    """Takes away whatever of the link is left."""
    if _link_exists():
        run(["ip", "link", "delete", HOST_LINK])
    if run(["ip", "route", "show", "type", "unreachable", GUARDED_RANGE]).strip():
        run(["ip", "route", "delete", "unreachable", GUARDED_RANGE])


def routes_exist() -> bool:
    return _link_exists() and all(
        _goes_into_the_cluster(address)
        for address in (NODE_ADDRESS, FIRST_SERVICE_ADDRESS, POD_RANGE.replace("0/24", "1"))
    )


def require_routes() -> None:
    """Nothing may speak to a cluster address before this has passed: the packet would leave the machine."""
    if not routes_exist():
        raise Failure(f"the host has no route to the cluster through {HOST_LINK}: is it up?")


def require_local_node_address() -> None:
    """The same for the inside of the cluster's network namespace."""
    links = cast("list[dict[str, Any]]", json.loads(run(["ip", "-json", "addr", "show", "dev", NODE_BRIDGE])))
    addresses = {address.get("local") for link in links for address in link.get("addr_info", [])}
    if NODE_ADDRESS not in addresses:
        raise Failure(f"{NODE_ADDRESS} is not an address of {NODE_BRIDGE}")


def leftovers() -> list[str]:
    """What of the cluster's network is on the host."""
    routes = run(["ip", "route", "show", "root", GUARDED_RANGE]).splitlines()
    links = [HOST_LINK] if _link_exists() else []
    return [f"link {link}" for link in links] + [f"route {route.strip()}" for route in routes]


def _link_exists() -> bool:
    return succeeds(["ip", "link", "show", HOST_LINK])


def _goes_into_the_cluster(address: str) -> bool:
    try:
        routes = cast("list[dict[str, Any]]", json.loads(run(["ip", "-json", "route", "get", address])))
    except Failure:  # the guard's own answer: unreachable
        return False
    return any(route.get("dev") == HOST_LINK for route in routes)
