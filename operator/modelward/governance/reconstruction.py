"""What served at a point in the past, and everything it rested on: read from the records alone, years later, without a cluster."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from modelward.api import reasons
from modelward.api.model_audit_record import AuditedApproval, AuditedGate, AuditedPolicy, ModelAuditRecordSpec
from modelward.api.status import WeightStatus
from modelward.governance.untyped import mapping

OPERATOR = "modelward"
"""The actor of what the operator does; people's decisions are in their own names."""

NOT_CARRIED_OUT = "notCarriedOut"
"""In the details of a record of that action: the numbers of the records that announced what was not done."""


@dataclass(frozen=True)
class Interval:
    """A span of time in which requests were split in one way. `until` is None for the newest."""

    since: datetime
    until: datetime | None
    weights: tuple[WeightStatus, ...]
    mirrors: tuple[WeightStatus, ...]
    seq: int
    action: str


@dataclass(frozen=True)
class Judgement:
    """The verdicts that one step was decided on, each with the bound that was in force."""

    seq: int
    time: datetime
    action: str
    message: str
    gates: tuple[AuditedGate, ...]


@dataclass(frozen=True)
class Account:
    """One version that got requests at the time, and on what grounds."""

    version: str
    percent: int
    mirrored: int
    since: datetime
    until: datetime | None
    digest: str
    policy: AuditedPolicy | None
    started_by: int | None
    content: Mapping[str, Any]
    rules: Mapping[str, Any]
    evaluations: tuple[Mapping[str, Any], ...]
    judgements: tuple[Judgement, ...]
    approvals: tuple[AuditedApproval, ...]


@dataclass(frozen=True)
class Served:
    """What served at a time. `interval` is None before the first record."""

    at: datetime
    interval: Interval | None
    accounts: tuple[Account, ...]


def served_at(records: Sequence[ModelAuditRecordSpec], at: datetime) -> Served:
    """The split of requests in force at a time, and of each version in it the content, verdicts and decisions up to then."""
    done = carried_out(records)
    interval = next((each for each in reversed(intervals(done)) if each.since <= at), None)
    if interval is None:
        return Served(at, None, ())
    before = tuple(record for record in done if record.time <= at)
    percents = {each.version: each.percent for each in interval.weights if each.percent > 0}
    mirrors = {each.version: each.percent for each in interval.mirrors if each.percent > 0}
    versions = list(dict.fromkeys([*percents, *mirrors]))
    accounts = [
        _account(version, percents.get(version, 0), mirrors.get(version, 0), before, intervals(done), at)
        for version in versions
    ]
    return Served(at, interval, tuple(accounts))


def carried_out(records: Sequence[ModelAuditRecordSpec]) -> tuple[ModelAuditRecordSpec, ...]:
    """The records in order, without those that announced what was not done then."""
    void: set[int] = set()
    for record in records:
        if record.action == reasons.NOT_CARRIED_OUT:
            named = record.details.get(NOT_CARRIED_OUT)
            void |= {seq for seq in named if isinstance(seq, int)} if isinstance(named, list) else {record.seq - 1}
    return tuple(record for record in sorted(records, key=lambda each: each.seq) if record.seq not in void)


def intervals(records: Sequence[ModelAuditRecordSpec]) -> tuple[Interval, ...]:
    """Every split of requests that there was, in order; records that change nothing begin no interval."""
    changes: list[ModelAuditRecordSpec] = []
    for record in records:
        if not changes or _split(changes[-1]) != _split(record):
            changes.append(record)
    ends = [*(record.time for record in changes[1:]), None]
    return tuple(
        Interval(record.time, end, record.weights, record.mirrors, record.seq, record.action)
        for record, end in zip(changes, ends, strict=True)
    )


def _split(record: ModelAuditRecordSpec) -> tuple[frozenset[tuple[str, int]], ...]:
    return tuple(
        frozenset((each.version, each.percent) for each in shares if each.percent > 0)
        for shares in (record.weights, record.mirrors)
    )


def _account(
    version: str,
    percent: int,
    mirrored: int,
    before: Sequence[ModelAuditRecordSpec],
    spans: Sequence[Interval],
    at: datetime,
) -> Account:
    about = [record for record in before if record.version == version]
    digest = next((record.version_digest for record in reversed(about) if record.version_digest), "")
    started = next(
        (r for r in reversed(about) if r.action == reasons.ROLLOUT_STARTED and r.version_digest == digest), None
    )
    since_start = [record for record in about if started is None or record.seq >= started.seq]
    policy = next((record.policy for record in reversed(since_start) if record.policy is not None), None)
    since, until = _span(version, percent, mirrored, spans, at)
    return Account(
        version=version,
        percent=percent,
        mirrored=mirrored,
        since=since,
        until=until,
        digest=digest,
        policy=(started.policy if started else None) or policy,
        started_by=started.seq if started else None,
        content=mapping(started.details.get("version")) if started else {},
        rules=mapping(started.details.get("policy")) if started else {},
        evaluations=_evaluations(since_start),
        judgements=tuple(_judgements(since_start)),
        approvals=_approvals(since_start),
    )


def _span(
    version: str, percent: int, mirrored: int, spans: Sequence[Interval], at: datetime
) -> tuple[datetime, datetime | None]:
    """From when to when the version had this very share without a break, around the time."""

    def has_share(span: Interval) -> bool:
        return (_share(span.weights, version), _share(span.mirrors, version)) == (percent, mirrored)

    present = max(index for index, span in enumerate(spans) if span.since <= at)
    first = last = present
    while first > 0 and has_share(spans[first - 1]):
        first -= 1
    while last + 1 < len(spans) and has_share(spans[last + 1]):
        last += 1
    return spans[first].since, spans[last].until


def _share(shares: Sequence[WeightStatus], version: str) -> int:
    return sum(each.percent for each in shares if each.version == version)


def _evaluations(records: Sequence[ModelAuditRecordSpec]) -> tuple[Mapping[str, Any], ...]:
    """The newest list: a rollout writes down those that it began with, and at its end those that it ended with."""
    for record in reversed(records):
        listed = record.details.get("evaluations")
        if isinstance(listed, list) and listed:
            return tuple(each for each in listed if isinstance(each, Mapping))
    return ()


def _judgements(records: Sequence[ModelAuditRecordSpec]) -> Iterator[Judgement]:
    for record in records:
        if record.gates:
            yield Judgement(record.seq, record.time, record.action, record.message, record.gates)


def _approvals(records: Sequence[ModelAuditRecordSpec]) -> tuple[AuditedApproval, ...]:
    """Each decision that a step rests on, once. That somebody decided is a record in that person's name, and says not yet that it counts."""
    found: dict[tuple[str, str], AuditedApproval] = {}
    for record in records:
        if record.actor != OPERATOR:
            continue
        for approval in record.approvals:
            found.setdefault((approval.name, approval.uid), approval)
    return tuple(found.values())
