"""What the operator was given, what it asked for, and what of the one it did not need for the other.

The chart's own roles say what was given; the API server's audit log says what was asked, and by which binding it was allowed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

Manifest = Mapping[str, Any]
Event = Mapping[str, Any]

_DECISION = "authorization.k8s.io/decision"
_REASON = "authorization.k8s.io/reason"
_ALLOWED_BY = re.compile(
    r'allowed by \w+ "[^"]+" of (?P<kind>\w+) "(?P<name>[^"]+)" to (?P<subject>\w+) "(?P<who>[^"]+)"'
)
_CREATED = 201
_FORBIDDEN = 403
# A namespace that ends takes nothing new, whoever asks; the operator meets this whenever a test has ended.
_ENDING_NAMESPACE = "because it is being terminated"


class LogIncomplete(Exception):
    """The API server has thrown away a part of the log that is asked about."""


@dataclass(frozen=True, order=True)
class Right:
    """One verb on one resource, in one role. `name` is empty when the right is to objects of any name."""

    role: str  # such as "ClusterRole modelward", or "Role modelward-system/modelward"
    resource: str  # such as "models.modelward.dev/status"
    verb: str
    name: str = ""

    def __str__(self) -> str:
        which = f" named {self.name}" if self.name else ""
        return f"{self.verb} {self.resource}{which} ({self.role})"


@dataclass(frozen=True, order=True)
class Request:
    """One kind of request that was made: of what, where, and what allowed it."""

    right: Right  # the role is empty when nothing allowed it; the name is that of the object, if it was about one
    namespace: str  # empty for a request that is about the whole cluster
    status: int
    message: str = ""

    def __str__(self) -> str:
        where = f"in {self.namespace}" if self.namespace else "in the whole cluster"
        return (
            f"{self.right.verb} {self.right.resource} {self.right.name} {where}: {self.status} {self.message}".strip()
        )


def account(namespace: str, name: str) -> str:
    """The user that a service account is to the API server."""
    return f"system:serviceaccount:{namespace}:{name}"


def granted(manifests: Iterable[Manifest], namespace: str, name: str) -> frozenset[Right]:
    """Every right that bindings among some manifests give to a service account, one by one."""
    known = [dict(manifest) for manifest in manifests]
    roles = {_role(one["kind"], one["metadata"]): one["rules"] for one in known if one["kind"] in _ROLES}
    found: set[Right] = set()
    for binding in known:
        if binding["kind"] not in _BINDINGS or not _names(binding, namespace, name):
            continue
        reference = binding["roleRef"]
        place = binding["metadata"].get("namespace", "") if reference["kind"] == "Role" else ""
        role = _role(reference["kind"], {"name": reference["name"], "namespace": place})
        found |= {right for rule in roles[role] for right in expanded(role, rule)}
    return frozenset(found)


def expanded(role: str, rule: Mapping[str, Any]) -> Iterator[Right]:
    """The rights of one rule of a role."""
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            for verb in rule["verbs"]:
                for name in rule.get("resourceNames") or [""]:
                    yield Right(role, _resource(group, *resource.partition("/")[::2]), verb, name)


def events(log: Path, since: datetime, user: str) -> Iterator[Event]:
    """What a user has asked since a moment, oldest first: of the log, and of those of its files that were put aside.

    Raises:
        LogIncomplete: when the oldest file begins later, and there was one before it.
    """
    files = [*sorted(log.parent.glob(f"{log.stem}-*{log.suffix}")), log]
    if len(files) > 1 and (first := _first_moment(files[0])) > since:
        raise LogIncomplete(f"{files[0]} begins at {first}, after {since}, and older files may have been thrown away")
    for file in files:
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                # What is being written has no end yet.
                if user in line and line.endswith("\n"):
                    event = json.loads(line)
                    if event["user"]["username"] == user and _moment(event) >= since:
                        yield event


def requests(log: Iterable[Event]) -> frozenset[Request]:
    """What was asked of resources, each once. Paths that belong to no resource, such as /apis, are not among it."""
    return frozenset(request for event in log if "objectRef" in event for request in _requests(event))


def unused(given: Iterable[Right], made: Iterable[Request]) -> Sequence[Right]:
    """The rights by which nothing was asked."""
    used = {request.right for request in made}
    return sorted(set(given) - used - {replace(right, name="") for right in used})


def refused(made: Iterable[Request]) -> Sequence[Request]:
    """The requests that were answered 403, those into a namespace that ends aside."""
    return sorted(one for one in made if one.status == _FORBIDDEN and _ENDING_NAMESPACE not in one.message)


def beyond(given: Iterable[Right], made: Iterable[Request]) -> Sequence[Request]:
    """The requests that something other than these rights allowed, and other than what every account is allowed."""
    own = {right.role for right in given}
    return sorted(one for one in made if one.right.role and one.right.role not in own | {_EVERYBODYS})


def other_bindings(bindings: Iterable[Manifest], chart: Iterable[Manifest], namespace: str, name: str) -> Sequence[str]:
    """The bindings of a cluster that name a service account, or the accounts of its namespace, and are not the chart's."""
    own = {(one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]) for one in chart}
    found = [
        (one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"])
        for one in bindings
        if _names(one, namespace, name)
    ]
    return sorted(" ".join(part for part in one if part) for one in found if one not in own)


@dataclass(frozen=True)
class Operator:
    """The operator in a cluster: the objects of its release, every binding that the cluster has, and its account."""

    release: Sequence[Manifest]
    bindings: Sequence[Manifest]
    namespace: str
    name: str

    @property
    def given(self) -> frozenset[Right]:
        """What the release gives to the account."""
        return granted(self.release, self.namespace, self.name)


def findings(operator: Operator, made: Iterable[Request], used_elsewhere: Mapping[Right, str]) -> Sequence[str]:
    """What is wrong, a sentence each: rights too many, rights too few, and rights from somewhere else.

    `used_elsewhere` are rights that other tests use, with the reason why these cannot.
    """
    asked = frozenset(made)
    idle = unused(operator.given, asked)
    others = other_bindings(operator.bindings, operator.release, operator.namespace, operator.name)
    return [
        *(
            f"never used: take it out of the chart, or test what needs it: {one}"
            for one in idle
            if one not in used_elsewhere
        ),
        *(f"said to be used elsewhere only, and used here: {one}" for one in used_elsewhere if one not in idle),
        *(f"refused: {one}" for one in refused(asked)),
        *(f"allowed by {one.right.role}, which is not the chart's: {one}" for one in beyond(operator.given, asked)),
        *(f"bound beside the chart: {one}" for one in others),
    ]


# Details.

_ROLES = ("Role", "ClusterRole")
_BINDINGS = ("RoleBinding", "ClusterRoleBinding")
_EVERYBODYS = "what everybody may"


def _role(kind: str, metadata: Mapping[str, Any]) -> str:
    place = metadata.get("namespace", "") if kind == "Role" else ""
    return f"{kind} {place}/{metadata['name']}" if place else f"{kind} {metadata['name']}"


def _names(binding: Manifest, namespace: str, name: str) -> bool:
    return any(
        (subject["kind"] == "ServiceAccount" and (subject.get("namespace"), subject["name"]) == (namespace, name))
        or (subject["kind"] == "User" and subject["name"] == account(namespace, name))
        or (subject["kind"] == "Group" and subject["name"] == f"system:serviceaccounts:{namespace}")
        for subject in binding.get("subjects") or ()
    )


def _resource(group: str, plural: str, subresource: str) -> str:
    full = f"{plural}.{group}" if group else plural
    return f"{full}/{subresource}" if subresource else full


def _requests(event: Event) -> Iterator[Request]:
    asked = event["objectRef"]
    resource = _resource(asked.get("apiGroup", ""), asked["resource"], asked.get("subresource", ""))
    answer = event.get("responseStatus") or {}
    status, role = int(answer.get("code", 0)), _allowed_by(event)
    message = str(answer.get("message", "")) if status == _FORBIDDEN else ""
    verbs = [event["verb"]]
    if event["verb"] == "patch" and status == _CREATED:
        # Server-side apply of what is not there is a creation, and the API server asks for that right as well.
        verbs.append("create")
    for verb in verbs:
        yield Request(Right(role, resource, verb, asked.get("name", "")), asked.get("namespace", ""), status, message)


def _allowed_by(event: Event) -> str:
    """The role that allowed a request; empty when it was forbidden."""
    said = event.get("annotations") or {}
    if said.get(_DECISION) != "allow":
        return ""
    found = _ALLOWED_BY.search(said.get(_REASON, ""))
    if found is None:
        return said.get(_REASON, "") or "nothing that is named"
    if found["subject"] == "Group" and found["who"] in ("system:authenticated", "system:serviceaccounts"):
        return _EVERYBODYS
    place = event["objectRef"].get("namespace", "")
    return _role(found["kind"], {"name": found["name"], "namespace": place})


def _moment(event: Event) -> datetime:
    return datetime.fromisoformat(event["requestReceivedTimestamp"])


def _first_moment(file: Path) -> datetime:
    with file.open(encoding="utf-8") as lines:
        return _moment(json.loads(next(lines)))
