"""What a NetworkPolicy lets through, judged by its text: the local cluster's network enforces none.

As far as the chart's own policy goes: pods by labels, namespaces by labels, blocks of addresses, ports by number or name. Own code
because the programs that enforce policies (kube-network-policies, kube-router) are in no package registry that builds may use,
and the libraries that judge them are Go's.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Policy = Mapping[str, Any]
_FLOW = re.compile(
    r"^(?P<protocol>tcp|udp)\s.*?src=(?P<source>\S+) dst=\S+ sport=\d+ dport=\d+.*? src=(?P<peer>\S+) dst=\S+ sport=(?P<port>\d+) "
)
_Labels = Mapping[str, str]
_OPERATORS: Mapping[str, Callable[[_Labels, str, Sequence[str]], bool]] = {
    "Exists": lambda labels, key, _: key in labels,
    "In": lambda labels, key, values: labels.get(key) in values,
}


@dataclass(frozen=True)
class Peer:
    """The other end of a connection; without labels, it is no pod."""

    address: str
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str = ""


@dataclass(frozen=True, order=True)
class Connection:
    """Somebody's connection to a port, after Services were resolved: what a network plugin sees."""

    protocol: str
    peer: str
    port: int


def connections(listing: str, source: str) -> frozenset[Connection]:
    """The connections that an address has opened, from what ``conntrack -L`` prints."""
    found = (match for line in listing.splitlines() if (match := _FLOW.match(line)))
    return frozenset(
        Connection(flow["protocol"].upper(), flow["peer"], int(flow["port"]))
        for flow in found
        if flow["source"] == source
    )


def lets_out(policy: Policy, peer: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether the pods of the policy may open a connection to a peer's port."""
    return _passes(policy["spec"]["egress"], "to", policy, peer, (port,), protocol)


def lets_in(policy: Policy, peer: Peer, port: int, name: str) -> bool:
    """Whether a peer may open a connection to a port of the policy's pods, which has a number and a name."""
    return _passes(policy["spec"]["ingress"], "from", policy, peer, (port, name), "TCP")


def _passes(
    rules: Iterable[Mapping[str, Any]],
    side: str,
    policy: Policy,
    peer: Peer,
    port: tuple[int | str, ...],
    protocol: str,
) -> bool:
    home = policy["metadata"]["namespace"]
    return any(
        _is_among(rule.get("ports"), port, protocol)
        and (not rule.get(side) or any(_is(chosen, peer, home) for chosen in rule[side]))
        for rule in rules
    )


def _is_among(ports: Any, port: tuple[int | str, ...], protocol: str) -> bool:
    return not ports or any(one["port"] in port and one.get("protocol", "TCP") == protocol for one in ports)


def _is(chosen: Mapping[str, Any], peer: Peer, home: str) -> bool:
    if "ipBlock" in chosen:
        return ipaddress.ip_address(peer.address) in ipaddress.ip_network(chosen["ipBlock"]["cidr"])
    if not peer.namespace:
        return False
    if "namespaceSelector" in chosen:
        in_place = _selects(chosen["namespaceSelector"], peer.namespace_labels)
    else:
        in_place = peer.namespace == home
    return in_place and _selects(chosen.get("podSelector") or {}, peer.labels)


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    return all(_demands(selector, labels))


def _demands(selector: Mapping[str, Any], labels: Mapping[str, str]) -> Iterator[bool]:
    yield (selector.get("matchLabels") or {}).items() <= labels.items()
    for one in selector.get("matchExpressions") or ():
        yield _OPERATORS[one["operator"]](labels, one["key"], one.get("values") or ())
