"""A virtual cluster that lives through a recording: `decide` decides, pods and routes follow at once, counts come from the recording.

Each version fails and answers as it was recorded at that time; how many requests it gets follows the split that the policy
would have made. Where that is the recorded number, the recorded counts are replayed as they are; where it is another one, they
are drawn with the recorded shares, by a seed. A version cannot show more than was recorded of it: the report says when more
was drawn.

A month has 43,200 minutes, so that they are not decided one by one. While every gate goes on saying the same at each look, only
time can change a decision, and what time has changed stays so: one decision is made at the end of a stretch, and where that
finds a change, the first interval with it is searched by halves. The answer is the same to the last digit as that of `exact`,
which decides at every interval; each series is drawn by a stream of chance of its own, so that it does not matter how many
intervals are drawn at once.

What nobody is there to answer is taken as answered: approvals, the demands on the register, and gates whose evidence a
recording does not have. `left_out` names them. pods start at once, so that no time is spent on that.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from modelward.api.lifecycle_policy import LifecyclePolicySpec
from modelward.api.model_version import Baseline
from modelward.api.status import ModelStatus
from modelward.simulation.answerable import replayable
from modelward.simulation.recording import Interval, Recording, Unusable
from modelward.simulation.world import Drawn, Step, World

LONGEST_GAP = 100_000
"""Intervals without a recording that are lived through between two that have one."""
FIRST_STRETCH, SHORT_STRETCH, LONGEST_STRETCH = 64, 512, 4096
"""Intervals with one decision: each stretch is eight times as long as the one before, from a short one on twice as long, since it is
gone through again where its decision finds a change."""
STRIDE = 512
"""Intervals that are gone through at once: arrays of more do not fit into the caches of a processor."""


@dataclass(frozen=True)
class Outcome:
    """What the policy would have made of a recording."""

    candidate: str
    incumbent: str | None
    steps: tuple[Step, ...]
    status: ModelStatus  # at the end
    began: datetime
    ended: datetime
    decisions: int
    left_out: tuple[str, ...]
    drawn: Mapping[str, Drawn]


def roles_in(recording: Recording, candidate: str = "") -> tuple[str, str | None]:
    """Which version is the candidate, and which one serves before.

    Raises:
        Unusable: it cannot be told.
    """
    versions = recording.versions
    if candidate and candidate not in versions:
        raise Unusable(f"nothing was recorded of {candidate}: name one of {', '.join(versions)}")
    others = [version for version in versions if version != candidate]
    if not candidate and len(versions) == 1:
        return versions[0], None
    if len(versions) > 2 or (not candidate and len(versions) != 2):
        raise Unusable(f"{len(versions)} versions were recorded, {', '.join(versions)}: give two of them")
    if candidate:
        return candidate, others[0] if others else None
    totals = {
        name: sum(interval.counted[name].requests for interval in recording.intervals if name in interval.counted)
        for name in versions
    }
    incumbent = max(versions, key=lambda name: totals[name])
    return next(name for name in versions if name != incumbent), incumbent


def replay(
    name: str,
    policy: LifecyclePolicySpec,
    recording: Recording,
    *,
    candidate: str = "",
    baseline: Baseline | None = None,
    seed: int = 1,
    exact: bool = False,
) -> Outcome:
    """Live through a recording under a policy.

    Raises:
        Unusable: the recording has no two versions that can be told apart.
    """
    wanted, incumbent = roles_in(recording, candidate)
    spec, left_out = replayable(policy, recording, baseline)
    # No version is promoted that nothing watches: a monitoring whose gates were all left out is taken to be elsewhere.
    elsewhere = policy.stages.production.monitoring is not None and spec.stages.production.monitoring is None
    intervals = tuple(_without_gaps(recording))
    world = World(name, spec, recording, intervals, wanted, incumbent, baseline, seed, watched_elsewhere=elsewhere)
    if exact:
        for at in range(len(intervals)):
            world.live_through(at)
    else:
        _live_in_stretches(world, len(intervals))
    return Outcome(
        candidate=wanted,
        incumbent=incumbent,
        steps=tuple(world.steps),
        status=world.s.status,
        began=recording.began,
        ended=recording.intervals[-1].at,
        decisions=world.decisions,
        left_out=left_out,
        drawn=world.drawn(),
    )


def _live_in_stretches(world: World, intervals: int) -> None:
    """Live through all intervals, each stretch longer than the one before until something changes."""
    at, longest = 0, FIRST_STRETCH
    suspect: int | None = None  # the end of a stretch that began here, and at whose end something had changed
    while at < intervals:
        end = min(at + longest, intervals) if suspect is None else (at + suspect) // 2
        end = max(end, at + 1)
        before, known = world.memory(), world.picture()
        quiet = _live_quietly(world, at, end - 1)
        world.live_through(quiet)
        lived = quiet + 1 - at
        changed = world.picture() != known
        if changed and lived > 1:
            world.go_back(before)
            suspect = quiet + 1
            continue
        at += lived
        longer = min(max(min(8 * lived, SHORT_STRETCH), 2 * lived), LONGEST_STRETCH)
        longest = FIRST_STRETCH if changed or at < end else longer
        suspect = None if changed else suspect


def _live_quietly(world: World, begin: int, end: int) -> int:
    """Up to where a decision is needed, or to the end."""
    at = begin
    while at < end:
        until = min(at + STRIDE, end)
        reached = world.live_quietly_through(at, until)
        if reached < until:
            return reached
        at = until
    return at


def _without_gaps(recording: Recording) -> Iterator[Interval]:
    """The intervals, with empty ones where nothing was recorded: time passes there too, and deadlines come."""
    spans = sorted(b.at - a.at for a, b in zip(recording.intervals, recording.intervals[1:], strict=False))
    step = max(spans[len(spans) // 2], timedelta(seconds=1)) if spans else timedelta(minutes=1)
    before = recording.began
    for interval in recording.intervals:
        missing = round((interval.at - before) / step) - 1
        if missing > LONGEST_GAP:
            raise Unusable(f"nothing was recorded between {before} and {interval.at}: give the time before or after")
        for number in range(1, missing + 1):
            yield Interval(before + number * step, {})
        yield interval
        before = interval.at
