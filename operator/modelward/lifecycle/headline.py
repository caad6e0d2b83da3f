"""What is going on with a Model, and what to do, in two sentences for whoever is called out of bed.

The list is read like that of the rules: the first that has something to say wins.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from modelward.api import reasons
from modelward.api.status import FailedVersion, RolloutStatus, Stage
from modelward.api.types import format_duration
from modelward.lifecycle.assess import rows_of
from modelward.lifecycle.overview import Situation, blocking, stage_in_words, weight_of, wrong_of

_FELT = ("TrafficApplied", "DriftDetected", "Ungoverned", "ChallengersShadowed")
_ONLY_TIME = (reasons.INSUFFICIENT_SAMPLES, reasons.WARMING_UP, reasons.NOT_MEASURED)
"""Reasons of a gate without evidence that end by themselves, as long as requests come."""

OVERDUE = timedelta(minutes=2)
"""How long after the time of its next look an operator may still be taken to be at work: another replica takes over in less."""


class Urgency(StrEnum):
    ACT = "Act"  # nothing goes on until somebody does something
    WAIT = "Wait"  # it goes on by itself
    REST = "Rest"  # nothing is going on


@dataclass(frozen=True)
class Headline:
    """One sentence for what is going on, one for what to do, and the command for it where there is one."""

    urgency: Urgency
    what: str
    todo: str
    command: str = ""


Remedies = Callable[[str], str]
"""What to do about a reason of api/reasons.py, as a sentence or more; empty where it is not known."""


def headline_of(s: Situation, remedy: Remedies) -> Headline:
    """The two sentences."""
    for said in SAID:
        found = said(s, remedy)
        if found is not None:
            return found
    return Headline(Urgency.REST, "Nothing is known of it yet.", "Wait until the operator has looked at it.")


def ago(since: datetime, now: datetime) -> str:
    """A span of time in one unit, or two where that says more: 42s, 8m, 2h10m, 3d."""
    seconds = max(int((now - since).total_seconds()), 0)
    if seconds < 120:
        return f"{seconds}s"
    if seconds < 7200:
        return f"{seconds // 60}m"
    if seconds < 172_800:
        return format_duration(timedelta(minutes=seconds // 60))
    return f"{seconds // 86_400}d"


def being_deleted(s: Situation, remedy: Remedies) -> Headline | None:
    if s.model.metadata.deletion_timestamp is None:
        return None
    return Headline(Urgency.WAIT, "It is being deleted: its route goes first, then its pods.", "Wait a minute.")


def nobody_looks(s: Situation, remedy: Remedies) -> Headline | None:
    """Everything below is then as old as the last look, and no failure would be rolled back."""
    planned = s.status.next_check_at
    if planned is None or s.now < planned + OVERDUE:
        return None
    what = f"The operator should have looked at it {ago(planned, s.now)} ago and has not: what is shown here is old."
    return Headline(Urgency.ACT, what, "See whether the operator runs.", f"{s.called} doctor")


def not_seen_yet(s: Situation, remedy: Remedies) -> Headline | None:
    generation = s.model.metadata.generation
    if s.status.observed_generation >= generation:
        return None
    what = f"The operator has not looked at the newest spec yet (generation {generation})."
    return Headline(Urgency.WAIT, what, "Wait a few seconds; if it stays so, see whether the operator runs.")


def users_get_no_answers(s: Situation, remedy: Remedies) -> Headline | None:
    serving = s.status.condition("Serving")
    if s.status.production is None or serving is None or serving.status != "False":
        return None
    what = f"Users get no answers since {ago(serving.last_transition_time, s.now)}: {_sentence(serving.message)}"
    if serving.reason == reasons.BACKENDS_UNAVAILABLE:
        return Headline(Urgency.ACT, what, "Look at its pods.", _describe_pods(s, s.status.production.version))
    return Headline(Urgency.ACT, what, remedy(serving.reason))


def frozen(s: Situation, remedy: Remedies) -> Headline | None:
    if not s.model.spec.suspend:
        return None
    what = "spec.suspend is true: nothing starts, moves or rolls back; traffic goes on as it is."
    return Headline(Urgency.ACT, what, "Commit spec.suspend: false when it may go on.")


def the_spec_is_invalid(s: Situation, remedy: Remedies) -> Headline | None:
    valid = s.status.condition("SpecValid")
    if valid is None or valid.status != "False":
        return None
    serves = f"; {s.status.production.version} goes on serving" if s.status.production else ""
    what = f"The spec cannot be acted upon{serves}: {_sentence(valid.message)}"
    return Headline(Urgency.ACT, what, "Mend it in Git; it then goes on by itself.")  # the sentence says how


def traffic_goes_back(s: Situation, remedy: Remedies) -> Headline | None:
    switch, progressing = s.status.switch, s.status.condition("Progressing")
    if switch is None:
        return None
    what = progressing.message if progressing else f"All traffic goes to {switch.to}: {switch.because}"
    return Headline(Urgency.WAIT, _sentence(what), f"Wait for the pods of {switch.to}.")


def it_was_rolled_back(s: Situation, remedy: Remedies) -> Headline | None:
    failed = latch_of(s)
    if failed is None or s.status.rollout is not None:
        return None
    serving = s.status.production.version if s.status.production else None
    serves = "" if serving is None else f"; {serving} serves all traffic"
    what = f"{failed.version} failed in {failed.stage} {ago(failed.at, s.now)} ago and is latched{serves}: {_sentence(failed.message)}"
    if failed.version == serving:
        what = f"{failed.version} failed and goes on serving, because there is nothing to go back to: {_sentence(failed.message)}"
    todo = f"Commit another version; or, if the cause was not in {failed.version}, commit what this prints."
    return Headline(Urgency.ACT, what, todo, f"{s.called} retry {s.where}")


def people_have_to_approve(s: Situation, remedy: Remedies) -> Headline | None:
    rollout, progressing = s.status.rollout, s.status.condition("Progressing")
    due = [row for row in s.status.pending_approvals if row.due]
    if rollout is None or progressing is None or progressing.reason != reasons.AWAITING_APPROVAL or not due:
        return None
    roles = " and ".join(f"{row.missing} approval{'' if row.missing == 1 else 's'} as {row.role}" for row in due)
    here = stage_in_words(rollout, weight_of(s, rollout.version))
    since = ago(min(row.since for row in due), s.now)
    what = f"{rollout.version} waits in {here} for {roles}, asked for {since} ago; {_measured(s, rollout)}."
    trusted = s.status.condition("ApprovalsTrusted")
    if trusted is not None and trusted.status == "False":
        return Headline(Urgency.ACT, f"{what} {_sentence(trusted.message)}", remedy(trusted.reason))
    command = f"{s.called} approve {s.where} --version {rollout.version} --role {due[0].role}"
    return Headline(Urgency.ACT, what, f"Somebody with the role {due[0].role} decides.", command)


def the_rollout_is_held(s: Situation, remedy: Remedies) -> Headline | None:
    rollout, progressing = s.status.rollout, s.status.condition("Progressing")
    if rollout is None or progressing is None or progressing.status != "False":
        return None
    here = stage_in_words(rollout, weight_of(s, rollout.version))
    since = ago(progressing.last_transition_time, s.now)
    lacking = next((row for row in blocking(s) if row.result == "Unknown"), None)
    if progressing.reason == reasons.PAUSED and lacking is not None:
        what = f"{rollout.version} is paused in {here} since {since}, because gate {lacking.name} has no evidence: {_sentence(lacking.message)}"
        todo = f"{remedy(lacking.reason)} It goes on by itself when evidence comes.".lstrip()
        return Headline(Urgency.ACT, what, todo, f"{s.called} explain {s.where}")
    why = _sentence(progressing.message.removeprefix(f"{rollout.version} in {here}. "))
    what = f"{rollout.version} is held in {here} since {since} ({progressing.reason}): {why}"
    return Headline(
        Urgency.ACT, what, remedy(progressing.reason), f"{s.called} explain {s.where}" if blocking(s) else ""
    )


def its_pods_are_ailing(s: Situation, remedy: Remedies) -> Headline | None:
    rollout, progressing = s.status.rollout, s.status.condition("Progressing")
    if rollout is None or progressing is None or progressing.reason != reasons.PODS_NOT_READY:
        return None
    command = _describe_pods(s, rollout.version)
    return Headline(Urgency.ACT, _sentence(progressing.message), remedy(progressing.reason), command)


def its_traffic_is_refused(s: Situation, remedy: Remedies) -> Headline | None:
    """No time of a stage counts until the gateway has taken its traffic over, and a gateway that has refused it does not do so later."""
    rollout, applied = s.status.rollout, s.status.condition("TrafficApplied")
    if rollout is None or rollout.stage is Stage.VALIDATION or applied is None or applied.status != "False":
        return None
    here = stage_in_words(rollout, weight_of(s, rollout.version))
    what = f"{rollout.version} is held in {here} since {ago(applied.last_transition_time, s.now)}, because its traffic is not in force: {_sentence(applied.message)}"
    return Headline(Urgency.ACT, what, remedy(applied.reason), f"kubectl describe httproute {s.where}")


def a_rollout_is_under_way(s: Situation, remedy: Remedies) -> Headline | None:
    rollout, progressing = s.status.rollout, s.status.condition("Progressing")
    if rollout is None:
        return None
    here = stage_in_words(rollout, weight_of(s, rollout.version))
    held_by = blocking(s)
    if rollout.unknown_since is not None and held_by:
        what = f"{rollout.version} is in {here}, and gate {held_by[0].name} has had no evidence for {ago(rollout.unknown_since, s.now)}: {_sentence(held_by[0].message)}"
        urgency = Urgency.WAIT if held_by[0].reason in _ONLY_TIME else Urgency.ACT
        return Headline(urgency, what, remedy(held_by[0].reason), f"{s.called} explain {s.where}")
    said = progressing.message if progressing else f"{rollout.version} in {rollout.stage}."
    unasked = held_by and held_by[0].reason == reasons.INSUFFICIENT_SAMPLES and not held_by[0].samples
    todo = "It goes on when users send requests." if unasked else "Nothing to do: it goes on by itself."
    return Headline(Urgency.WAIT, _sentence(said), todo)


def what_serves_does_not_perform(s: Situation, remedy: Remedies) -> Headline | None:
    performing, production = s.status.condition("Performing"), s.status.production
    if production is None or performing is None or performing.status != "False":
        return None
    what = f"{production.version} serves all traffic, and its monitoring fails: {_sentence(performing.message)}"
    return Headline(Urgency.ACT, what, remedy(performing.reason), f"{s.called} explain {s.where} --monitoring")


def something_else_is_wrong(s: Situation, remedy: Remedies) -> Headline | None:
    """What users may come to feel, while nothing is under way; what only a register cares for is listed, and is no alarm."""
    production = s.status.production
    wrong = next((each for each in wrong_of(s.status) if each.condition in _FELT), None)
    if wrong is None or production is None:
        return None
    what = (
        f"{production.version} serves all traffic, but {wrong.condition} is {wrong.status}: {_sentence(wrong.message)}"
    )
    return Headline(Urgency.ACT, what, remedy(wrong.reason))


def it_is_watched(s: Situation, remedy: Remedies) -> Headline | None:
    watch = s.status.watch
    if watch is None:
        return None
    left = ago(s.now, watch.until)
    return Headline(
        Urgency.WAIT,
        f"{watch.version} serves all traffic and is watched for another {left}; a failing gate rolls it back.",
        "Nothing to do.",
    )


def it_is_at_rest(s: Situation, remedy: Remedies) -> Headline | None:
    ready, production = s.status.condition("Ready"), s.status.production
    if ready is None:
        return None
    if production is not None and production.version == s.model.spec.production.version:
        wrong = len(wrong_of(s.status))
        todo = f"{wrong} condition{' is' if wrong == 1 else 's are'} wrong." if wrong else "Nothing to do."
        return Headline(Urgency.REST, f"{production.version} serves all traffic; nothing is under way.", todo)
    if ready.reason == reasons.NOT_SERVED_HERE:
        return Headline(Urgency.REST, _sentence(ready.message), "Nothing to do.")
    return Headline(Urgency.ACT, _sentence(ready.message), remedy(ready.reason))


SAID: tuple[Callable[[Situation, Remedies], Headline | None], ...] = (
    being_deleted,
    nobody_looks,
    not_seen_yet,
    users_get_no_answers,
    frozen,
    the_spec_is_invalid,
    traffic_goes_back,
    it_was_rolled_back,
    people_have_to_approve,
    the_rollout_is_held,
    its_pods_are_ailing,
    its_traffic_is_refused,
    a_rollout_is_under_way,
    what_serves_does_not_perform,
    something_else_is_wrong,
    it_is_watched,
    it_is_at_rest,
)


def latch_of(s: Situation) -> FailedVersion | None:
    """The latch that keeps the requested version from starting; a raised retry counter lifts it."""
    wanted = s.model.spec.production
    return next(
        (each for each in s.status.failed if each.version == wanted.version and wanted.retry <= each.retry), None
    )


def _measured(s: Situation, rollout: RolloutStatus) -> str:
    """What whoever approves has to know of the gates: an undecided one does not hold every step."""
    rows = rows_of(s.status.gates, rollout.version, rollout.stage)
    undecided = [row.name for row in rows if row.result != "Pass"]
    if undecided:
        return (
            f"no gate has failed, and {', '.join(undecided)} {'is' if len(undecided) == 1 else 'are'} not decided yet"
        )
    return "every gate passes" if rows else "no gate is judged in this stage"


def _describe_pods(s: Situation, version: str) -> str:
    selector = f"modelward.dev/model={s.model.metadata.name},modelward.dev/version={version}"
    return f"kubectl describe pods -n {s.model.metadata.namespace} -l {selector}"


def _sentence(text: str) -> str:
    """With one full stop, whether its writer set one or not."""
    return f"{text.rstrip('. ')}."
