"""What the gates on labelled feedback share: gathering counts, and a figure's interval held against fixed bounds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from modelward.api.gates import Gate
from modelward.lifecycle.gates.outlook import outlook
from modelward.lifecycle.gates.verdict import GateContext, Result, Verdict, unknown
from modelward.stats.intervals import Bounds
from modelward.stats.readings import Increment

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Table = Mapping[str, Mapping[str, float]]
REASONS = {Result.PASS: "Passed", Result.FAIL: "Failed", Result.INCONCLUSIVE: "Inconclusive"}


@dataclass(frozen=True)
class Figure:
    """A measured figure: what to call it, how to write it, and its interval from so many times the evidence."""

    noun: str
    write: Callable[[float], str]
    bounds: Callable[[Floats], Bounds]
    method: str
    labels: float
    enough: float = 1  # labels below which no verdict is given, because the interval cannot be trusted yet


def gather(known: Table, prefix: str, increment: Increment) -> dict[str, dict[str, float]]:
    """The categories of all series of a prefix, added to those known already; by the rest of the series' names."""
    table = {name: dict(counts) for name, counts in known.items()}
    for series, counts in increment.categories.items():
        if series.startswith(prefix):
            row = table.setdefault(series.removeprefix(prefix), {})
            for category, count in counts.items():
                row[category] = row.get(category, 0.0) + count
    return table


def by_labels(context: GateContext, labels: float) -> GateContext:
    """Gates on feedback count labels, not requests."""
    return replace(context, candidate_samples=round(labels))


def too_few_labels(gate: Gate, context: GateContext, labels: float) -> Verdict | None:
    """Unknown while no label has come back, or fewer than the gate's `min_samples`."""
    counted = by_labels(context, labels)
    if labels <= 0:
        sentence = f"no label of a prediction of {context.candidate} has come back yet"
        return unknown(gate, counted, sentence, "InsufficientSamples")
    if labels < gate.min_samples:
        sentence = f"{round(labels):,} of the {gate.min_samples:,} labels needed have come back for {context.candidate}"
        return unknown(gate, counted, sentence, "InsufficientSamples")
    return None


def hold_against_bounds(
    gate: Gate, figure: Figure, least: float | None, most: float | None, context: GateContext
) -> Verdict:
    """Fail when the whole interval is on the wrong side of a bound, Pass when it is on the right side of all."""
    bounds = figure.bounds(np.ones(()))
    estimate, low, high = float(bounds.estimate), float(bounds.low), float(bounds.high)
    counted = by_labels(context, figure.labels)
    nearest = least if least is not None and (most is None or abs(estimate - least) <= abs(estimate - most)) else most
    if estimate != estimate:
        sentence = f"{figure.noun} of {context.candidate} is not defined by the {round(figure.labels):,} labels so far"
        return unknown(gate, counted, sentence, "InsufficientSamples", bound=nearest)

    result = _result(figure, bounds, least, most)
    limits = [f"minimum {figure.write(least)}"] if least is not None else []
    limits += [f"maximum {figure.write(most)}"] if most is not None else []
    sentence = (
        f"{figure.noun} of {context.candidate} is {figure.write(estimate)} ({figure.write(low)} to {figure.write(high)}; "
        f"{', '.join(limits)}), {round(figure.labels):,} labels"
    )
    if result is Result.INCONCLUSIVE:
        more = outlook(
            lambda times: _is_decided(figure, times, least, most), figure.labels, context.measured_seconds, "label"
        )
        sentence = f"{sentence}; {more}"
    return Verdict(
        gate.name,
        result,
        sentence,
        REASONS[result],
        figure=estimate,
        low=low if abs(low) < float("inf") else None,
        high=high if abs(high) < float("inf") else None,
        bound=nearest,
        samples=round(figure.labels),
        method=figure.method,
    )


def _result(figure: Figure, bounds: Bounds, least: float | None, most: float | None) -> Result:
    broken, kept = _broken_and_kept(bounds, least, most)
    if figure.labels < figure.enough:
        return Result.INCONCLUSIVE
    if broken.any():
        return Result.FAIL
    return Result.PASS if kept.all() else Result.INCONCLUSIVE


def _is_decided(figure: Figure, times: Floats, least: float | None, most: float | None) -> Flags:
    broken, kept = _broken_and_kept(figure.bounds(times), least, most)
    return (broken | kept) & (figure.labels * times >= figure.enough)


def _broken_and_kept(bounds: Bounds, least: float | None, most: float | None) -> tuple[Flags, Flags]:
    """Is the whole interval on the wrong side of a bound, or on the right side of all?"""
    lowest, highest = -np.inf if least is None else least, np.inf if most is None else most
    broken = np.asarray((bounds.high < lowest) | (bounds.low > highest))
    return broken, np.asarray((bounds.low >= lowest) & (bounds.high <= highest))
