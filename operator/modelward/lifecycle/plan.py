"""What a decision asks to be done: a new status, what should exist, what people are told, and when to look again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from modelward.api.model_audit_record import ModelAuditRecordSpec
from modelward.api.status import ModelStatus, VersionStatus


@dataclass(frozen=True)
class Announcement:
    """An event for `kubectl describe`; the same text goes into the history where it is a step of the rollout."""

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a rule says: the status that follows, and in one word and one sentence why the rollout stands where it does.

    `progressing` is the status of the Progressing condition: True while something moves, False while it waits for a
    person, for evidence, or is at rest.
    """

    status: ModelStatus
    reason: str
    message: str
    progressing: bool
    announcements: tuple[Announcement, ...] = ()
    check_at: datetime | None = None
    released: bool = False  # the Model is deleted and drained: let it go


@dataclass(frozen=True)
class Traffic:
    """How requests should be split: versions to percent. Weights of users' requests; mirrors are copies."""

    weights: Mapping[str, int] = field(default_factory=dict)
    mirrors: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Children:
    """What should exist for a Model besides its traffic.

    pods: versions that should run, with their replicas.
    kept: versions whose Deployment and Service stay because traffic may still reach them.
    """

    pods: Mapping[str, int] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()


Drain = Literal["None", "Hold", "Remove", "Release"]
"""What to do with the finalizer that lets traffic end before pods do: none is needed, hold the Model by it, remove the
route while the deleted Model is held, or release it."""


@dataclass(frozen=True)
class Plan:
    """Everything that `act` has to bring about, in its order: audit records, evidence, status, children, traffic, removals."""

    status: ModelStatus
    versions: Mapping[str, VersionStatus] = field(default_factory=dict)
    pins: tuple[str, ...] = ()  # digests of policies that must be kept
    children: Children = Children()
    traffic: Traffic | None = None  # None: leave it as it is
    announcements: tuple[Announcement, ...] = ()
    records: tuple[ModelAuditRecordSpec, ...] = ()  # to create before anything else is written
    check_at: datetime | None = None
    drain: Drain = "None"
