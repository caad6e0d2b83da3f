"""What is known of an installation: each fact was read, or says why it could not be."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NoReturn, TypeVar

from modelward.diagnosis.operators import Operator
from modelward.diagnosis.rights import Right

Value = TypeVar("Value")
Object = dict[str, Any]
Objects = tuple[Object, ...]


class NotSeen(Exception):
    """A check needs a fact that could not be read; the message says why, and what to do about it."""


@dataclass(frozen=True)
class Seen(Generic[Value]):
    """A fact that was read."""

    value: Value


@dataclass(frozen=True)
class Unseen:
    """A fact that could not be read, and why, in a sentence with a remedy."""

    why: str

    @property
    def value(self) -> NoReturn:
        raise NotSeen(self.why)


Fact = Seen[Value] | Unseen


@dataclass(frozen=True)
class Clocks:
    """The time of day on this machine and on the API server, at one moment."""

    here: datetime
    server: datetime


@dataclass(frozen=True)
class Access:
    """Everything in RBAC that gives rights to people."""

    roles: Objects  # Roles and ClusterRoles
    bindings: Objects  # RoleBindings and ClusterRoleBindings


@dataclass(frozen=True)
class Installation:
    """A cluster with modelward in it, or with what should be modelward. Objects are as the API server has them.

    `operators` are those of the namespace that was named, or of all; the one that is looked at comes first.
    """

    release: str  # of whoever asks
    scope: str  # the one namespace whose Models were looked at; empty: all of them
    kubernetes: Fact[str]  # such as v1.34.4
    clocks: Fact[Clocks]
    definitions: Fact[Mapping[str, Object | None]]  # CustomResourceDefinitions by name, ours and HTTPRoute's
    operators: Fact[tuple[Operator, ...]]
    everywhere: Fact[tuple[Operator, ...]]  # the operators of all namespaces
    pods: Fact[Objects]  # of the operator
    events: Fact[Objects]  # warnings in the operator's namespace
    last_words: Mapping[str, str]  # the end of the log of a pod that keeps ending, by the pod's name
    configuration: Fact[Object | None]  # the operator's ConfigMap
    metrics: Fact[Mapping[str, str]]  # the page of metrics of each pod of the operator that answered, by its name
    lease: Fact[Object | None]
    rights: Fact[Mapping[Right, bool]]  # each right of the chart: does the operator have it?
    admission: Fact[Mapping[str, Object | None]]  # as governance.admission has it
    access: Fact[Access]
    namespaces: Fact[Mapping[str, Object]]
    policies: Fact[Objects]
    models: Fact[Objects]
    versions: Fact[Objects]  # the ModelVersions that Models with approvals ask for
    gateways: Fact[Mapping[tuple[str, str], Object | None]]  # those that Models name, by namespace and name
    model_pods: Fact[Objects]
    network_policies: Fact[Objects]
    monitors: Fact[
        Objects | None
    ]  # objects of the Prometheus Operator that carry our labels; None: it is not installed
    prometheuses: Fact[Objects]  # the Prometheuses of the Prometheus Operator

    @property
    def operator(self) -> Operator:
        """The operator that is looked at.

        Raises:
            NotSeen: there is none, or it could not be looked for.
        """
        found = self.operators.value
        if not found:
            raise NotSeen("there is no operator here to ask about")
        return found[0]


def condition_of(obj: Object, kind: str) -> Object:
    """A condition of an object's status; an empty one where it is not there."""
    conditions: list[Object] = (obj.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == kind), {})
