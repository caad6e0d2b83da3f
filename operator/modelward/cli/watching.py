"""What is there, each time that it changes: a list, then a Kubernetes watch, for as long as somebody looks.

The official client's Watch is not used: it begins anew by itself, and whoever looks at a picture has to be told that it is old.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from modelward.api.resources import Resource
from modelward.cli.cluster import Cluster, ClusterError, Object

SHORTEST, LONGEST = 1.0, 30.0
"""Seconds before a connection that broke is tried again, doubled each time; the first ones, too, after a watch that told nothing."""

_GONE = 410  # what happened since is no longer kept: look at all of it again

Name = tuple[str, str]


@dataclass(frozen=True)
class Seen:
    """All objects by namespace and name, and why that may be old: empty while the connection holds."""

    objects: Mapping[Name, Object]
    problem: str = ""


def changes(
    cluster: Cluster,
    resource: Resource,
    name: str = "",
    namespace: str | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Seen]:
    """What is there now, and again after every change, without an end.

    Raises:
        ClusterError: the first look fails, or a later one is refused, which trying again would not help.
    """
    known: dict[Name, Object] = {}
    since, began, wait = "", False, SHORTEST
    while True:
        try:
            if not since:
                listed, since = cluster.list_with_version(resource, name, namespace)
                known = {_name(each): each for each in listed}
                began, wait = True, SHORTEST
                yield Seen(dict(known))
            silent = True
            for event in cluster.watch(resource, since, name, namespace):
                silent = False
                since = str(event["object"]["metadata"]["resourceVersion"])
                if _applied(event, known):
                    yield Seen(dict(known))
            if silent:  # a proxy may end each watch at once; what happens meanwhile is told by the next
                pause(SHORTEST)
        except ClusterError as error:
            since = ""
            if error.status == _GONE:
                continue
            if not (began and error.may_pass):
                raise
            yield Seen(dict(known), error.message)
            pause(wait)
            wait = min(2 * wait, LONGEST)


def _applied(event: Object, known: dict[Name, Object]) -> bool:
    """Is anything else known after the event? A bookmark only says how far the watch is."""
    if event["type"] == "BOOKMARK":
        return False
    if event["type"] == "DELETED":
        return known.pop(_name(event["object"]), None) is not None
    known[_name(event["object"])] = event["object"]
    return True


def _name(obj: Object) -> Name:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
