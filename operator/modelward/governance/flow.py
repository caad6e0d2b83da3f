"""How well the portfolio flows: from candidate to production, from a fault to its discovery, and what waits for people.

All of it is computed from audit records, statuses and a point in time. What is measured, and from where to where:

candidate to production
    From the record RolloutStarted of a version to its record Promoted.
trigger to production
    From the creation of the ModelVersion to its record Promoted, for every version but a Model's first: what a retraining was
    triggered by happens outside of the cluster, and the version's creation is the first that is seen of it.
detection in a rollout
    From the record that gave the version its first share of users' requests in the rollout to the record that rolled it back. The fault
    may have begun to show later, so this is an upper bound. A version that was stopped before any user saw it is no incident; it
    is counted beside.
detection in production
    From the newest record that vouches for the version (Promoted, WatchPassed: its gates did not fail up to then) to the record that
    latched it. When the fault began lies between the two, so this is an upper bound as well.
rollback rate
    Versions taken back by the operator, in a rollout or in production, for 30 days of the period; and their share of the
    rollouts that the evidence decided. Rejections by people and superseded rollouts are neither.
monitored and owned
    Of the Models with a version in production (here, or by their own word elsewhere), those whose conditions Owned and
    MonitoringReady are both True.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from modelward.api import reasons
from modelward.api.model_audit_record import ModelAuditRecordSpec
from modelward.governance.reconstruction import carried_out
from modelward.governance.untyped import mapping, mappings

REVIEW_NEAR = timedelta(days=30)
RATE_PERIOD = timedelta(days=30)


class Ending(StrEnum):
    """How a rollout ended."""

    PROMOTED = "Promoted"
    ROLLED_BACK = "RolledBack"
    REJECTED = "Rejected"
    SUPERSEDED = "Superseded"


_ENDINGS = {ending.value: ending for ending in Ending}


@dataclass(frozen=True)
class Passage:
    """The end of one rollout, and what led to it."""

    namespace: str
    model: str
    version: str
    ending: Ending
    ended_at: datetime
    started_at: datetime | None  # None where the record of the start is no longer there
    exposed_at: datetime | None  # since when users had answers of it, in this rollout
    first: bool  # the first of its Model to be promoted
    seq: int
    created_at: datetime | None = None  # of the ModelVersion; None where that is gone

    @property
    def lasted(self) -> timedelta | None:
        return self.ended_at - self.started_at if self.started_at else None

    @property
    def since_created(self) -> timedelta | None:
        """From the training's result to production, of a version that replaces another."""
        if self.ending is not Ending.PROMOTED or self.first or self.created_at is None:
            return None
        return max(self.ended_at - self.created_at, timedelta())


@dataclass(frozen=True)
class Incident:
    """A version that the operator found to be bad."""

    namespace: str
    model: str
    version: str
    in_production: bool  # else in its rollout
    detected_at: datetime
    good_until: datetime | None  # the fault began later; None where no user saw the version, or nothing is on record
    seq: int

    @property
    def latency(self) -> timedelta | None:
        """At the most; see above."""
        return self.detected_at - self.good_until if self.good_until else None


@dataclass(frozen=True)
class Flow:
    """All that happened in the records, in the order of the chains."""

    passages: tuple[Passage, ...]
    incidents: tuple[Incident, ...]


class VersionName(NamedTuple):
    """A version, across namespaces."""

    namespace: str
    model: str
    version: str


@dataclass(frozen=True)
class Distribution:
    """A handful of durations, told by what a few words can say of them."""

    count: int
    median: timedelta | None = None
    p90: timedelta | None = None
    longest: timedelta | None = None


@dataclass(frozen=True)
class Waiting:
    """An approval that is asked for."""

    namespace: str
    model: str
    version: str
    role: str
    missing: int
    before: str
    due: bool  # the rollout waits for it now
    since: datetime


@dataclass(frozen=True)
class Attention:
    """Something that somebody should look at."""

    kind: str
    namespace: str
    name: str
    sentence: str


@dataclass(frozen=True)
class State:
    """What is true of the portfolio now."""

    models: int
    in_production: int
    owned: int  # of those in production, as the next two
    monitored: int
    monitored_and_owned: int
    zombies: int
    ungoverned: int
    reviews_overdue: int
    reviews_near: int
    waiting: tuple[Waiting, ...]


@dataclass(frozen=True)
class Figures:
    """The flow of one period."""

    since: datetime
    until: datetime
    promoted: int
    rolled_back: int
    rolled_back_in_production: int
    stopped_before_users: int
    rejected: int
    superseded: int
    rollbacks_per_30_days: float
    rollback_share: float | None
    candidate_to_production: Distribution
    trigger_to_production: Distribution
    detection_in_rollout: Distribution
    detection_in_production: Distribution
    without_start: int  # promoted, but the record of the start is not there any more


def flow_of(records: Iterable[ModelAuditRecordSpec], created: Mapping[VersionName, datetime] | None = None) -> Flow:
    """Walk the chains of any number of Models; `created` says when ModelVersions were created."""
    chains: dict[tuple[str, str], list[ModelAuditRecordSpec]] = defaultdict(list)
    for record in records:
        chains[record.model.namespace, record.model.name].append(record)
    known = created or {}
    passages: list[Passage] = []
    incidents: list[Incident] = []
    for _, chain in sorted(chains.items()):
        for found in _walk(carried_out(chain)):
            if isinstance(found, Incident):
                incidents.append(found)
            else:
                name = VersionName(found.namespace, found.model, found.version)
                passages.append(replace(found, created_at=known.get(name)))
    return Flow(tuple(passages), tuple(incidents))


def figures_of(flow: Flow, since: datetime, until: datetime) -> Figures:
    """The figures of what ended, or was found, in a period."""
    passages = [each for each in flow.passages if since <= each.ended_at <= until]
    incidents = [each for each in flow.incidents if since <= each.detected_at <= until]
    ended = {ending: [each for each in passages if each.ending is ending] for ending in Ending}
    promoted, rolled_back = ended[Ending.PROMOTED], ended[Ending.ROLLED_BACK]
    in_production = [each for each in incidents if each.in_production]
    decided = len(promoted) + len(rolled_back)
    return Figures(
        since=since,
        until=until,
        promoted=len(promoted),
        rolled_back=len(rolled_back),
        rolled_back_in_production=len(in_production),
        stopped_before_users=sum(each.exposed_at is None for each in rolled_back),
        rejected=len(ended[Ending.REJECTED]),
        superseded=len(ended[Ending.SUPERSEDED]),
        rollbacks_per_30_days=round(len(incidents) * (RATE_PERIOD / (until - since)), 2) if until > since else 0.0,
        rollback_share=len(rolled_back) / decided if decided else None,
        candidate_to_production=distribution(each.lasted for each in promoted),
        trigger_to_production=distribution(each.since_created for each in promoted),
        detection_in_rollout=distribution(each.latency for each in incidents if not each.in_production),
        detection_in_production=distribution(each.latency for each in in_production),
        without_start=sum(each.started_at is None for each in promoted),
    )


def state_of(models: Iterable[Mapping[str, Any]], now: datetime) -> State:
    """The state of Models as the API gives them. Reads only what it needs, and passes over what has another shape: it is
    asked at every scrape, for thousands of Models."""
    read = [_read(model) for model in models]
    serving = [each for each in read if each.in_production]
    owned = [each for each in serving if each.holds("Owned")]
    monitored = [each for each in serving if each.holds("MonitoringReady")]
    return State(
        models=len(read),
        in_production=len(serving),
        owned=len(owned),
        monitored=len(monitored),
        monitored_and_owned=sum(each.holds("MonitoringReady") for each in owned),
        zombies=sum(each.holds("Zombie") for each in read),
        ungoverned=sum(each.holds("Ungoverned") for each in read),
        reviews_overdue=sum(each.is_overdue for each in read),
        reviews_near=sum(each.is_near(now) for each in read),
        waiting=tuple(_in_order(read)),
    )


def attention_of(models: Iterable[Mapping[str, Any]], now: datetime) -> tuple[Attention, ...]:
    """What somebody should look at, the worst first."""
    return tuple(_attention([_read(model) for model in models], now))


def distribution(durations: Iterable[timedelta | None]) -> Distribution:
    """Median and 90th percentile by the nearest rank: each is a duration that there was.

    >>> distribution([timedelta(hours=hours) for hours in range(1, 11)]).p90
    datetime.timedelta(seconds=32400)
    """
    known = sorted(each for each in durations if each is not None)
    if not known:
        return Distribution(0)
    return Distribution(len(known), _rank(known, 0.5), _rank(known, 0.9), known[-1])


def words_of(duration: timedelta | None) -> str:
    """A duration as people say it: two units at the most."""
    if duration is None:
        return ""
    seconds = round(duration.total_seconds())
    units = (("d", seconds // 86_400), ("h", seconds // 3600 % 24), ("m", seconds // 60 % 60), ("s", seconds % 60))
    largest = next((index for index, (_, amount) in enumerate(units) if amount), len(units) - 1)
    shown = [f"{amount}{unit}" for unit, amount in units[largest : largest + 2] if amount]
    return " ".join(shown) or "0s"


def _rank(known: Sequence[timedelta], share: float) -> timedelta:
    return known[max(math.ceil(share * len(known)) - 1, 0)]


@dataclass
class _Life:
    """What is on record of a version while a chain is walked."""

    started_at: datetime | None = None
    exposed_at: datetime | None = None
    vouched_at: datetime | None = None


def _walk(chain: Sequence[ModelAuditRecordSpec]) -> Iterator[Passage | Incident]:
    """One chain, from its first record to its last."""
    lives: dict[str, _Life] = {}
    promoted_before, uid = False, ""
    for record in chain:
        if record.model.uid != uid:  # another Model of the same name goes on with the chain
            lives, promoted_before, uid = {}, False, record.model.uid
        life = lives.setdefault(record.version, _Life())
        if record.action == reasons.ROLLOUT_STARTED:
            lives[record.version] = life = _Life(started_at=record.time)
        elif record.action in (reasons.VERSION_LATCHED, reasons.GATE_FAILED):
            yield _incident(record, life.vouched_at, in_production=True)
        elif record.action in _ENDINGS and not _is_return(record, life):
            ending = _ENDINGS[record.action]
            yield _passage(record, ending, life, first=not promoted_before)
            if ending is Ending.ROLLED_BACK:
                yield _incident(record, life.exposed_at, in_production=False)
            promoted_before |= ending is Ending.PROMOTED
            life.started_at = None
        if record.action in (reasons.PROMOTED, reasons.WATCH_PASSED):
            life.vouched_at = record.time
        for share in record.weights:
            exposed = lives.setdefault(share.version, _Life())
            if share.percent > 0 and exposed.exposed_at is None:
                exposed.exposed_at = record.time


def _is_return(record: ModelAuditRecordSpec, life: _Life) -> bool:
    """Not the end of a rollout: traffic is back on a version that served before, or what served was rejected."""
    return record.action != reasons.PROMOTED and life.vouched_at is not None and life.started_at is None


def _passage(record: ModelAuditRecordSpec, ending: Ending, life: _Life, *, first: bool) -> Passage:
    return Passage(
        namespace=record.model.namespace,
        model=record.model.name,
        version=record.version,
        ending=ending,
        ended_at=record.time,
        started_at=life.started_at,
        exposed_at=life.exposed_at,
        first=first,
        seq=record.seq,
    )


def _incident(record: ModelAuditRecordSpec, good_until: datetime | None, *, in_production: bool) -> Incident:
    return Incident(
        namespace=record.model.namespace,
        model=record.model.name,
        version=record.version,
        in_production=in_production,
        detected_at=record.time,
        good_until=good_until,
        seq=record.seq,
    )


class _Condition(NamedTuple):
    status: str
    message: str


_NONE = _Condition("Unknown", "")
_LOOKED_AT = frozenset({"Owned", "MonitoringReady", "ReviewCurrent", "Ungoverned", "Zombie"})


@dataclass(frozen=True)
class _Read:
    """As much of a Model as its state is told from."""

    namespace: str
    name: str
    in_production: bool
    conditions: Mapping[str, _Condition]
    review_due: datetime | None
    waiting: tuple[Waiting, ...]

    @property
    def is_overdue(self) -> bool:
        return self.conditions.get("ReviewCurrent", _NONE).status == "False"

    def is_near(self, now: datetime) -> bool:
        """Is a review due soon?"""
        return not self.is_overdue and self.review_due is not None and self.review_due - now < REVIEW_NEAR

    def holds(self, kind: str) -> bool:
        return self.conditions.get(kind, _NONE).status == "True"


def _read(model: Mapping[str, Any]) -> _Read:
    metadata, spec, status = (mapping(model.get(part)) for part in ("metadata", "spec", "status"))
    namespace, name = str(metadata.get("namespace", "")), str(metadata.get("name", ""))
    elsewhere = spec.get("serving") is None and bool(mapping(spec.get("production")).get("version"))
    conditions = {
        str(each.get("type")): _Condition(str(each.get("status", "")), str(each.get("message", "")))
        for each in mappings(status.get("conditions"))
        if each.get("type") in _LOOKED_AT
    }
    waits = (_waiting(namespace, name, each) for each in mappings(status.get("pendingApprovals")))
    return _Read(
        namespace=namespace,
        name=name,
        in_production=elsewhere or bool(status.get("production")),
        conditions=conditions,
        review_due=_time(status.get("reviewDue")),
        waiting=tuple(wait for wait in waits if wait is not None),
    )


def _waiting(namespace: str, model: str, pending: Mapping[str, Any]) -> Waiting | None:
    since, missing = _time(pending.get("since")), pending.get("missing")
    if since is None or not isinstance(missing, int) or missing <= 0:
        return None
    return Waiting(
        namespace=namespace,
        model=model,
        version=str(pending.get("version", "")),
        role=str(pending.get("role", "")),
        missing=missing,
        before=str(pending.get("before", "")),
        due=bool(pending.get("due", False)),
        since=since,
    )


def _in_order(read: Sequence[_Read]) -> list[Waiting]:
    """The one that waits longest first."""
    return sorted((wait for each in read for wait in each.waiting), key=lambda wait: wait.since)


def _attention(read: Sequence[_Read], now: datetime) -> Iterator[Attention]:
    """What nobody approved, what nobody looks after, who is waited for, what is late, what will be."""
    for kind in ("Ungoverned", "Zombie"):
        for each in read:
            if each.holds(kind):
                yield Attention(kind, each.namespace, each.name, each.conditions[kind].message)
    for wait in _in_order(read):
        if wait.due:
            people = "1 person" if wait.missing == 1 else f"{wait.missing} people"
            sentence = f"{wait.version} waits for {people} in role {wait.role} before {wait.before}, since {words_of(now - wait.since)}."
            yield Attention("Approval", wait.namespace, wait.model, sentence)
    for each in read:
        if each.is_overdue:
            yield Attention("ReviewOverdue", each.namespace, each.name, each.conditions["ReviewCurrent"].message)
    for each in read:
        if each.review_due is not None and each.is_near(now):
            sentence = f"The next review is due on {each.review_due:%Y-%m-%d}."
            yield Attention("ReviewDue", each.namespace, each.name, sentence)


def _time(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None
