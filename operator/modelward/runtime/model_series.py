"""What the operator tells Prometheus about each Model: its status, as gauges, read anew at every look.

Own code rather than labelled Gauges of prometheus_client: those remember every combination of labels until each is taken
away again by name, and here most of them (a version, a stage, a reason) change at every step; and they are written anew, label by
label, for every scrape, which at a thousand Models holds the event loop up for a second. A Model's lines are one value, written when the
Model was looked at and replaced as a whole. Only who leads tells: the series of a replica that has lost the Lease would stand
still beside the true ones.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from prometheus_client.utils import floatToGoString

from modelward.api.status import ModelStatus
from modelward.runtime.keys import ModelKey

# The same as Progressing, under the name that kstatus knows.
_UNREPORTED = frozenset({"Reconciling"})


@dataclass(frozen=True)
class Family:
    """One gauge, with the labels that it has besides namespace and model."""

    name: str
    documentation: str
    labels: tuple[str, ...] = ()


INFO = Family(
    "modelward_model_info",
    "1 for each Model: its tier, its stage, and the version that serves users, empty when none does.",
    ("tier", "stage", "production"),
)
CONDITION = Family(
    "modelward_model_condition",
    "1 for the status and the reason that a condition of the Model has now.",
    ("type", "status", "reason"),
)
TRAFFIC = Family(
    "modelward_model_traffic_percent",
    "Share of requests that a version gets, in percent; kind is users, or mirror for copies of users' requests.",
    ("version", "kind"),
)
ROLLOUT_STARTED = Family(
    "modelward_model_rollout_started_timestamp_seconds",
    "When the rollout in flight began, in seconds since 1970.",
    ("version", "stage"),
)
GATE = Family(
    "modelward_model_gate_value",
    "What a gate measured last (part figure), its interval (low, high) and what it is held against (bound).",
    ("version", "stage", "gate", "part"),
)
GATE_RESULT = Family(
    "modelward_model_gate_result",
    "1 for the verdict that a gate has now: Pass, Fail, Inconclusive or Unknown.",
    ("version", "stage", "gate", "result", "reason"),
)
APPROVAL_WAITING = Family(
    "modelward_model_approval_waiting_since_timestamp_seconds",
    "Since when a rollout waits for approvals in a role, in seconds since 1970.",
    ("version", "role"),
)
OVERRIDE = Family(
    "modelward_model_override_timestamp_seconds",
    "When somebody last overrode what a policy asks for, in seconds since 1970.",
    ("role",),
)
FAMILIES = (INFO, CONDITION, TRAFFIC, ROLLOUT_STARTED, GATE, GATE_RESULT, APPROVAL_WAITING, OVERRIDE)

_number = cast(Callable[[float], str], floatToGoString)

Series = tuple[Family, tuple[str, ...], float]


class ModelSeries:
    """The lines of all Models that this replica looks at."""

    def __init__(self) -> None:
        self._is_leader: Callable[[], bool] = lambda: True
        self._models: dict[ModelKey, Mapping[Family, str]] = {}

    def only_while(self, is_leader: Callable[[], bool]) -> None:
        self._is_leader = is_leader

    def replace(self, key: ModelKey, tier: str, status: ModelStatus) -> None:
        lines = dict.fromkeys(FAMILIES, "")
        for family, labels, value in series_of(tier, status):
            lines[family] += _line(family, (*key, *labels), value)
        self._models[key] = lines

    def forget(self, key: ModelKey) -> None:
        self._models.pop(key, None)

    def page(self) -> bytes:
        """In Prometheus' text format; nothing from who does not lead."""
        if not self._is_leader():
            # The next leader tells; should it be this one again, it looks at every Model first.
            self._models.clear()
            return b""
        parts = []
        for family in FAMILIES:
            parts.append(f"# HELP {family.name} {family.documentation}\n# TYPE {family.name} gauge\n")
            parts += [lines[family] for lines in self._models.values()]
        return "".join(parts).encode()


def series_of(tier: str, status: ModelStatus) -> Iterator[Series]:
    """One Model's series, as its status is about to be."""
    yield INFO, (tier, status.stage, status.production.version if status.production else ""), 1.0
    for condition in status.conditions:
        if condition.type not in _UNREPORTED:
            yield CONDITION, (condition.type, condition.status, condition.reason), 1.0
    if status.traffic:
        for share in status.traffic.weights:
            yield TRAFFIC, (share.version, "users"), float(share.percent)
        for share in status.traffic.mirrors:
            yield TRAFFIC, (share.version, "mirror"), float(share.percent)
    if status.rollout:
        yield ROLLOUT_STARTED, (status.rollout.version, status.rollout.stage), status.rollout.started_at.timestamp()
    yield from _gates(status)
    waiting = [(wanted.version, wanted.role, wanted.since) for wanted in status.pending_approvals if wanted.due]
    for version, role in dict.fromkeys((version, role) for version, role, _ in waiting):
        since = min(since for *asked, since in waiting if asked == [version, role])
        yield APPROVAL_WAITING, (version, role), since.timestamp()
    overrides = [decision for decision in status.decisions if decision.decision == "Override"]
    for role in dict.fromkeys(decision.role for decision in overrides):
        yield OVERRIDE, (role,), max(decision.at for decision in overrides if decision.role == role).timestamp()


def _gates(status: ModelStatus) -> Iterator[Series]:
    rows = {
        (row.version, str(row.stage), row.name): row
        for row in (*status.gates, *(status.monitoring.gates if status.monitoring else ()))
        if row.applies
    }
    for labels, row in rows.items():
        yield GATE_RESULT, (*labels, row.result, row.reason), 1.0
        parts: Mapping[str, float | None] = {"figure": row.figure, "low": row.low, "high": row.high, "bound": row.bound}
        for part, value in parts.items():
            if value is not None:
                yield GATE, (*labels, part), value


def _line(family: Family, values: tuple[str, ...], value: float) -> str:
    pairs = zip(("namespace", "model", *family.labels), values, strict=True)
    labels = ",".join(f'{name}="{_escaped(text)}"' for name, text in sorted(pairs))
    return f"{family.name}{{{labels}}} {_number(value)}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
