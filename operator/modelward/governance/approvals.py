"""Which decisions of people count, and what is still lacking: quorum, separation of duties, standing approvals.

A decision is taken down in status when it is first seen, and judged from there at every step that lets more traffic
through. So an object that is deleted changes nothing, and one that never counted says why.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from modelward.api.demands import IdentityMap
from modelward.api.model_approval import Decision, ModelApproval
from modelward.api.stages import ApprovalDemand
from modelward.api.status import DecisionStatus
from modelward.governance.identities import builder_of, is_the_builder, person_of, team_in_common, teams_of

DECISIONS_KEPT = 128
NEWEST_KEPT = 64
HEARD_AT_ONCE = 8


@dataclass(frozen=True)
class Trust:
    """Are the admission policies in place that make a ModelApproval the word of the person it names?"""

    problem: str | None = None  # what is wrong with them now
    since: datetime | None = None  # when they were last written; a decision from before then may be anybody's


NOT_LOOKED_AT = Trust(problem="the admission policies were not looked at yet")


@dataclass(frozen=True)
class Question:
    """What is asked of approvers: may this version go on?"""

    version: str
    subject: str  # digest of an approval of this version
    standing_subject: str  # digest of a standing approval that may cover it
    version_digest: str
    team: str | None  # the Model's owner
    builders: tuple[str, ...]
    identities: IdentityMap
    standing_bars: Mapping[str, str]  # by uid of a standing approval: why its bounds do not hold for this version


@dataclass(frozen=True)
class Answer:
    """One demand of the policy, and how far it is met."""

    demand: ApprovalDemand
    people: tuple[str, ...]
    approvals: tuple[DecisionStatus, ...]  # those that count, one of each person
    missing: int
    refused: tuple[str, ...]  # a sentence for each approval in this role that does not count

    @property
    def met(self) -> bool:
        return self.missing == 0


def taken_down(
    known: Sequence[DecisionStatus],
    ignored_until: datetime | None,
    found: Iterable[ModelApproval],
    trust: Trust,
    now: datetime,
) -> tuple[tuple[DecisionStatus, ...], tuple[DecisionStatus, ...]]:
    """The decisions on record, newest first, and which of them are new.

    Nothing is taken down while the admission policies are not in place: it waits until they are, and does not count then.
    """
    if trust.problem is not None or trust.since is None:
        return tuple(known), ()
    seen = {decision.uid for decision in known}
    new = tuple(
        _record(approval, trust.since, now)
        for approval in sorted(found, key=_order_of_hearing)
        if approval.metadata.uid not in seen and not (ignored_until and _created(approval) <= ignored_until)
    )
    heard = new[
        :HEARD_AT_ONCE
    ]  # each is a step of the history, which is bounded; the others are heard at the next look
    return (*reversed(heard), *known), heard


def _order_of_hearing(approval: ModelApproval) -> tuple[bool, str, str]:
    """Rejections first: none waits behind the approvals that it is to stop, however many they are."""
    metadata = approval.metadata
    return approval.spec.decision is not Decision.REJECT, metadata.creation_timestamp, metadata.name


def bounded(
    decisions: tuple[DecisionStatus, ...], ignored_until: datetime | None, now: datetime
) -> tuple[tuple[DecisionStatus, ...], datetime | None]:
    """As many decisions as are kept, and up to when those that are not listed are over.

    The oldest go first, but of those that mean nothing any more: what is in force is not forgotten for what came later. Nor
    is what has just come for want of room beside what lasts.
    """
    surplus = len(decisions) - DECISIONS_KEPT
    if surplus <= 0:
        return decisions, ignored_until
    earlier = decisions[NEWEST_KEPT:]
    dropped = sorted(earlier, key=lambda decision: not _lasts(decision, decisions, now))[-surplus:]
    gone = {decision.uid for decision in dropped}
    kept = tuple(decision for decision in decisions if decision.uid not in gone)
    return kept, max([*(decision.at for decision in dropped), *([ignored_until] if ignored_until else [])])


def _lasts(decision: DecisionStatus, among: Sequence[DecisionStatus], now: datetime) -> bool:
    """Does a decision mean something for as long as it is not over, whatever is decided after it?"""
    if not decision.trusted:
        return False
    if decision.decision == Decision.REJECT:
        return not decision.acted
    if decision.decision == Decision.OVERRIDE:
        return _is_unreviewed_override(decision, among)
    return (decision.decision == Decision.EXCEPTION or decision.standing is not None) and not _expired(decision, now)


def answers(
    demands: Sequence[ApprovalDemand], question: Question, decisions: Iterable[DecisionStatus], now: datetime
) -> tuple[Answer, ...]:
    """How far each demand is met. One person counts once in all of them together."""
    recorded = tuple(decisions)
    overridden, rejection = override_of(question, recorded, now), rejection_of(question.version, recorded)
    judged = [
        [
            (decision, _bar(decision, demand, question, rejection, now))
            for decision in recorded
            if _in_role(decision, demand)
        ]
        for demand in demands
    ]
    eligible = [
        {
            person: decision
            for decision, bar in reversed(entries)
            if bar is None and (person := person_of(decision.approver, question.identities))
        }
        for entries in judged
    ]
    seated = _seated([(demand.count, set(people)) for demand, people in zip(demands, eligible, strict=True)])
    return tuple(
        Answer(
            demand=demand,
            people=tuple(sorted(people)),
            approvals=tuple(mine[person] for person in sorted(people)),
            missing=0 if overridden else demand.count - len(people),
            refused=tuple(f"{decision.name}: {bar}" for decision, bar in entries if bar is not None),
        )
        for demand, entries, mine, people in zip(demands, judged, eligible, seated, strict=True)
    )


def override_of(question: Question, decisions: Iterable[DecisionStatus], now: datetime) -> DecisionStatus | None:
    """The break-glass decision that stands in for every approval that is lacking, if there is one in force."""
    recorded = tuple(decisions)
    rejection = rejection_of(question.version, recorded)
    return next(
        (
            decision
            for decision in recorded
            if decision.decision == Decision.OVERRIDE
            and decision.trusted
            and decision.subject_digest == question.subject
            and not _expired(decision, now)
            and not (rejection and rejection.at >= decision.at)
        ),
        None,
    )


def rejection_of(version: str, decisions: Iterable[DecisionStatus]) -> DecisionStatus | None:
    """The newest rejection of a version: whatever was decided before it was decided without what it says."""
    found = [d for d in decisions if d.decision == Decision.REJECT and d.trusted and d.version == version]
    return max(found, key=lambda decision: decision.at, default=None)


def exception_of(subject: str, role: str, decisions: Iterable[DecisionStatus], now: datetime) -> DecisionStatus | None:
    """The exception in force, given in the role that may, that lets a Model have a lower tier than its assessment gives."""
    return next(
        (
            decision
            for decision in decisions
            if decision.decision == Decision.EXCEPTION
            and decision.role == role
            and decision.trusted
            and decision.subject_digest == subject
            and not _expired(decision, now)
        ),
        None,
    )


def review_of(decisions: Iterable[DecisionStatus]) -> DecisionStatus | None:
    """The newest review."""
    reviews = [d for d in decisions if d.decision == Decision.REVIEWED and d.trusted]
    return max(reviews, key=lambda decision: decision.at, default=None)


def unreviewed_override(decisions: Iterable[DecisionStatus]) -> DecisionStatus | None:
    """The oldest break-glass decision that no review by somebody else has followed."""
    recorded = tuple(decisions)
    open_ = [decision for decision in recorded if _is_unreviewed_override(decision, recorded)]
    return min(open_, key=lambda decision: decision.at, default=None)


def _is_unreviewed_override(decision: DecisionStatus, among: Sequence[DecisionStatus]) -> bool:
    if decision.decision != Decision.OVERRIDE or not decision.trusted:
        return False
    review = review_of(each for each in among if each.approver != decision.approver)
    return not (review and review.at > decision.at)


def next_expiry(decisions: Iterable[DecisionStatus], now: datetime) -> datetime | None:
    """When the next decision ends to count."""
    return min((d.expires_at for d in decisions if d.expires_at is not None and d.expires_at > now), default=None)


def _in_role(decision: DecisionStatus, demand: ApprovalDemand) -> bool:
    return decision.decision == Decision.APPROVE and decision.role == demand.role


def _bar(
    decision: DecisionStatus,
    demand: ApprovalDemand,
    question: Question,
    rejection: DecisionStatus | None,
    now: datetime,
) -> str | None:
    """Why an approval in the right role does not count, as a sentence; None when it does."""
    return (
        _formal_bar(decision, question, now)
        or _rejection_bar(decision, rejection)
        or _builder_bar(decision.approver, question)
        or _team_bar(decision.approver, demand, question)
    )


def _formal_bar(decision: DecisionStatus, question: Question, now: datetime) -> str | None:
    if not decision.trusted:
        return "it was made before the admission policies were in place, so that it may be anybody's: make it anew"
    if _expired(decision, now):
        return f"it expired at {decision.expires_at:%Y-%m-%d %H:%M} UTC"
    if decision.standing is not None:
        if decision.subject_digest != question.standing_subject:
            return "the policy has changed since: a standing approval ends with the policy that it was given under"
        used = set(decision.used_for) - {question.version_digest}
        if len(used) >= decision.standing.max_count:
            return f"it was good for {decision.standing.max_count} versions, and they are used up"
        return question.standing_bars.get(decision.uid)
    if decision.version != question.version:
        return f"it is about {decision.version}"
    if decision.subject_digest != question.subject:
        return "what it was given for has changed since (the version, its evaluations or the policy): approve anew"
    return None


def _rejection_bar(decision: DecisionStatus, rejection: DecisionStatus | None) -> str | None:
    """A raised retry counter lets a rejected version try again; it does not make people say anew what they said before."""
    if rejection is None:
        return None
    if decision.standing is not None:
        return f"{rejection.version} was rejected by {rejection.approver}, so that it is no routine retrain: approve it by itself"
    if rejection.at >= decision.at:
        return f"{rejection.version} was rejected by {rejection.approver} after it was given: approve anew"
    return None


def _builder_bar(approver: str, question: Question) -> str | None:
    """Nobody approves what they have built; and who is not known might have."""
    person = person_of(approver, question.identities)
    if person is None:
        return f"{approver} is nobody that the policy's identityMap knows"
    if not question.builders:
        return f"{question.version} names no builder (spec.builtBy), so that nobody can be told from its builders"
    for builder in question.builders:
        if builder_of(builder, question.identities) is None:
            return f"builder {builder} is nobody that the policy's identityMap knows"
        if is_the_builder(approver, builder, question.identities):
            return f"{approver} is a builder of {question.version}"
    return None


def _team_bar(approver: str, demand: ApprovalDemand, question: Question) -> str | None:
    if not demand.independent:
        return None
    person = person_of(approver, question.identities)
    teams = teams_of(person, question.identities) if person else None
    if not teams:
        return (
            f"role {demand.role} is for people outside of the owning team, and identityMap names no team of {approver}"
        )
    if question.team is None:
        return f"role {demand.role} is for people outside of the owning team, and the Model has no spec.owner.team"
    shared = team_in_common(person, question.team, question.builders, question.identities) if person else None
    if shared is not None:
        return f"role {demand.role} is for people outside of the owning team, and {approver} is of {shared}"
    return None


def _seated(seats: Sequence[tuple[int, set[str]]]) -> tuple[set[str], ...]:
    """As many people as can be seated, each on one seat (Kuhn's augmenting paths, in a fixed order)."""
    places = [role for role, (count, _) in enumerate(seats) for _ in range(count)]
    holder: dict[int, str] = {}

    def sit(person: str, tried: set[int]) -> bool:
        for place, role in enumerate(places):
            if place in tried or person not in seats[role][1]:
                continue
            tried.add(place)
            if place not in holder or sit(holder[place], tried):
                holder[place] = person
                return True
        return False

    for person in sorted(set().union(*(people for _, people in seats)) if seats else set()):
        sit(person, set())
    return tuple({person for place, person in holder.items() if places[place] == role} for role, _ in enumerate(seats))


def _record(approval: ModelApproval, trusted_since: datetime, now: datetime) -> DecisionStatus:
    spec = approval.spec
    return DecisionStatus(
        name=approval.metadata.name,
        uid=approval.metadata.uid,
        decision=spec.decision.value,
        role=spec.role,
        approver=spec.approver,
        version=spec.version or "",
        subject_digest=spec.subject_digest or "",
        reason=spec.reason[:1024],
        tier=spec.tier.value if spec.tier else "",
        standing=spec.standing,
        at=_created(approval),
        seen_at=now,
        expires_at=spec.expires_at,
        trusted=_created(approval) > trusted_since,
    )


def _created(approval: ModelApproval) -> datetime:
    return datetime.fromisoformat(approval.metadata.creation_timestamp)


def _expired(decision: DecisionStatus, now: datetime) -> bool:
    return decision.expires_at is not None and decision.expires_at <= now
