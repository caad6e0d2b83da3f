"""How a version has fared in the environment where it served first, in figures that a gate of the next environment can be held against.

Everything is read from the audit chain and from the status that goes with it, which only the operator of that environment writes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from modelward.api import reasons
from modelward.api.model_audit_record import ModelAuditRecordSpec
from modelward.api.status import GateStatus, ModelStatus
from modelward.governance.reconstruction import carried_out, intervals

_DAY = timedelta(days=1)


EVALUATION_PREFIX = "environment-"
"""What the evaluation of an environment is called, before the environment's name."""


class NothingToShow(Exception):
    """Why the version has not proved itself there, as a sentence without its end."""


@dataclass(frozen=True)
class Trial:
    """One version in one environment, up to a time. `metrics` by name, see METRICS."""

    digest: str
    promoted_at: datetime
    metrics: Mapping[str, float]


METRICS = {
    "daysInProduction": "days in which it answered all requests, since it was promoted",
    "requests": "the most requests that one gate has counted of it",
    "gatesPassed": "gates whose newest verdict on it is Pass",
    "gatesNotPassed": "gates whose newest verdict on it is another one",
    "rollbacks": "times that the same content failed there: its rollout was rolled back, its watch failed, or a person rejected it",
    "incidents": "times that its monitoring has failed since it was promoted",
    "watchPassed": "1 when the watch after its promotion is over and was passed, else 0",
}
"""Every metric of a trial, and what it says."""

_AGAINST_IT = frozenset({reasons.REJECTED, reasons.VERSION_LATCHED, reasons.GATE_FAILED})
_ENDS_A_ROLLOUT = frozenset({reasons.PROMOTED, reasons.ROLLED_BACK, reasons.REJECTED, reasons.SUPERSEDED})


def trial_of(records: Sequence[ModelAuditRecordSpec], status: ModelStatus, version: str, now: datetime) -> Trial:
    """The figures of a version that was promoted, by its chain from the first record on.

    Raises:
        NothingToShow: it was not promoted, is latched, or was taken back.
    """
    digest = _digest_that_served(status, version)
    latch = next((failed for failed in status.failed if failed.digest == digest), None)
    if latch is not None:
        raise NothingToShow(f"{version} failed there in {latch.stage} and is latched: {latch.message.rstrip('.')}")
    chain = carried_out(records)
    about = [record for record in chain if record.version == version and record.version_digest in (digest, "")]
    promoted = next((record for record in reversed(about) if record.action == reasons.PROMOTED), None)
    if promoted is None:
        raise NothingToShow(f"no audit record says that {version} with the digest {digest} was promoted there")
    _refuse_what_was_taken_back(chain, status, version)
    since = [record for record in about if record.seq >= promoted.seq]
    verdicts = _verdicts(about, promoted, status, version)
    metrics = {
        "daysInProduction": round(_served(chain, promoted, version, now) / _DAY, 4),
        "requests": float(max(_samples(about, status, version), default=0)),
        "gatesPassed": float(sum(result == "Pass" for result in verdicts.values())),
        "gatesNotPassed": float(sum(result != "Pass" for result in verdicts.values())),
        "rollbacks": float(_failures(about)),
        "incidents": float(sum(record.action == reasons.MONITORING_FAILED for record in since)),
        "watchPassed": float(_watch_is_passed(since, status, version)),
    }
    return Trial(digest, promoted.time, metrics)


def _digest_that_served(status: ModelStatus, version: str) -> str:
    """The content under that name that served there, most recently."""
    served = [*([status.production] if status.production else []), *status.standby, *status.retired]
    found = next((reference for reference in served if reference.version == version), None)
    if found is not None:
        return found.digest
    latch = next((failed for failed in status.failed if failed.version == version), None)
    if latch is not None:
        raise NothingToShow(f"{version} failed there in {latch.stage} and is latched: {latch.message.rstrip('.')}")
    if status.rollout is not None and status.rollout.version == version:
        raise NothingToShow(f"{version} is still in {status.rollout.stage} there")
    serving = f"{status.production.version} serves" if status.production else "no version serves"
    raise NothingToShow(f"{version} was never promoted there; {serving}")


def _refuse_what_was_taken_back(chain: Sequence[ModelAuditRecordSpec], status: ModelStatus, version: str) -> None:
    """A version may have made room for a newer one. That users were taken from it for any other cause speaks against it."""
    if status.production is not None and status.production.version == version:
        return
    shares = [(record, sum(each.percent for each in record.weights if each.version == version)) for record in chain]
    ends = [after for (_, before), (after, share) in pairwise(shares) if before > 0 and share == 0]
    last = ends[-1] if ends else None
    if last is not None and last.action != reasons.PROMOTED:
        raise NothingToShow(
            f"{version} was taken out of production there on {last.time:%Y-%m-%d %H:%M} UTC"
            f" (record {last.seq}, {last.action}): {last.message.rstrip('.')}"
        )


def _served(
    chain: Sequence[ModelAuditRecordSpec], promoted: ModelAuditRecordSpec, version: str, now: datetime
) -> timedelta:
    alone = [
        (max(span.since, promoted.time), span.until or now)
        for span in intervals(chain)
        if any(share.version == version and share.percent == 100 for share in span.weights)
    ]
    return sum((max(until - since, timedelta()) for since, until in alone), timedelta())


def _verdicts(
    about: Sequence[ModelAuditRecordSpec], promoted: ModelAuditRecordSpec, status: ModelStatus, version: str
) -> dict[str, str]:
    """The newest verdict of each gate since the rollout that ended in the promotion began."""
    before = [r.seq for r in about if r.action == reasons.ROLLOUT_STARTED and r.seq < promoted.seq]
    first = max(before, default=promoted.seq)
    found = {gate.name: gate.result for record in about if record.seq >= first for gate in record.gates}
    return found | {row.name: row.result for row in _rows(status, version)}


def _samples(about: Sequence[ModelAuditRecordSpec], status: ModelStatus, version: str) -> list[int]:
    on_record = [gate.samples or 0 for record in about for gate in record.gates]
    return [*on_record, *(row.samples for row in _rows(status, version))]


def _rows(status: ModelStatus, version: str) -> list[GateStatus]:
    """What its gates say now; of one that does not apply there is nothing to say."""
    told = (*status.gates, *(status.monitoring.gates if status.monitoring else ()))
    return [row for row in told if row.version == version and row.applies]


def _failures(about: Sequence[ModelAuditRecordSpec]) -> int:
    """That traffic came *back* to the version is recorded of it too, and is no failure: then no rollout of it is under way."""
    count, under_way = 0, False
    for record in about:
        if record.action in _AGAINST_IT or (record.action == reasons.ROLLED_BACK and under_way):
            count += 1
        if record.action == reasons.ROLLOUT_STARTED:
            under_way = True
        elif record.action in _ENDS_A_ROLLOUT:
            under_way = False
    return count


def _watch_is_passed(since: Sequence[ModelAuditRecordSpec], status: ModelStatus, version: str) -> bool:
    watched = status.watch is not None and status.watch.version == version
    return not watched and any(record.action == reasons.WATCH_PASSED for record in since)
