"""An explanation as one HTML file: no script, no network, readable in dark and light, and with a text for every picture.

The page is a Jinja template with autoescape, because names and sentences in it come from objects that others write. The pictures
are a few rectangles and lines: a plotting library would bring a megabyte of script, or images that nobody can read aloud.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from modelward.api.types import format_duration
from modelward.cli.explain_figures import ONE_LOOK, distance_bounds, operation_rows, p_value
from modelward.cli.explain_text import bad_share, clock, interval, result_of
from modelward.cli.page import rendered
from modelward.lifecycle.explanation import Explanation, GateExplained
from modelward.lifecycle.gates.wording import number, percent
from modelward.lifecycle.tables import Histogram
from modelward.lifecycle.track import Point

_TEMPLATE = "explain.html.j2"
_WIDTH = 640
_LABELS, _FIGURES = 170, 70
_BAR, _GAP = 13, 7
_LEFT, _TOP, _BOTTOM, _HEIGHT = 72, 10, 26, 190
_LONGEST_LABEL = 24


def report(explained: Explanation) -> str:
    """The whole page."""
    return rendered(
        _TEMPLATE,
        {
            "clock": clock,
            "number": lambda value: "" if value is None else number(value),
            "bad_share": bad_share,
            "distance_bounds": distance_bounds,
            "p_value": p_value,
            "result_of": result_of,
            "count": lambda value: "" if value is None else f"{round(value):,}",
        },
        explained=explained,
        interval=interval,
        operation_rows=operation_rows(explained.operations),
        one_look=ONE_LOOK,
        histograms=[draw_histogram(histogram, row) for row, histogram in enumerate(explained.histograms)],
        tracks=[draw_track(gate, row) for row, gate in enumerate(explained.gates) if len(_measured(gate)) > 1],
    )


@dataclass(frozen=True)
class Bar:
    """One bar, with the text beside it."""

    series: str
    y: float
    width: float
    text: str


@dataclass(frozen=True)
class Group:
    """The bars of one bin."""

    label: str
    full_label: str
    y: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class HistogramPicture:
    """Bins from top to bottom, in each a bar for each sample."""

    key: str
    title: str
    description: str
    width: int
    height: float
    left: int
    bar: int
    series: tuple[str, ...]
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Dot:
    """One look."""

    x: float
    y: float
    result: str
    text: str


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class TrackPicture:
    """A figure with its interval and its bound over time."""

    key: str
    title: str
    description: str
    width: int
    height: int
    left: int
    top: int
    bottom: int
    bands: tuple[str, ...]  # points of polygons
    lines: tuple[str, ...]  # points of polylines
    bounds: tuple[str, ...]
    dots: tuple[Dot, ...]
    across: tuple[Tick, ...]
    upward: tuple[Tick, ...]


def draw_histogram(histogram: Histogram, row: int) -> HistogramPicture:
    """Every bin, so that the page has what the terminal leaves out."""
    samples = (("baseline", histogram.baseline), ("incumbent", histogram.incumbent), ("candidate", histogram.candidate))
    drawn = [(name, shares) for name, shares in samples if shares is not None]
    tallest = max((max(shares) for _, shares in drawn), default=0.0) or 1.0
    scale = (_WIDTH - _LABELS - _FIGURES) / tallest
    step = _BAR * len(drawn) + _GAP
    groups = tuple(
        Group(
            label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…",
            label,
            _GAP + index * step,
            tuple(
                Bar(name, _GAP + index * step + place * _BAR, round(shares[index] * scale, 1), percent(shares[index]))
                for place, (name, shares) in enumerate(drawn)
            ),
        )
        for index, label in enumerate(histogram.bins)
    )
    described = "; ".join(
        f"{group.full_label}: {', '.join(f'{bar.series} {bar.text}' for bar in group.bars)}" for group in groups
    )
    return HistogramPicture(
        key=f"histogram-{row}",
        title=f"Shares of {histogram.name} by bin",
        description=described,
        width=_WIDTH,
        height=_GAP + step * len(groups),
        left=_LABELS,
        bar=_BAR - 2,
        series=tuple(name for name, _ in drawn),
        groups=groups,
    )


def draw_track(gate: GateExplained, row: int) -> TrackPicture:
    """Looks without a figure are gaps; an interval that leaves the picture is cut off at its edge."""
    points = _measured(gate)
    first, last = points[0].seconds, max(points[-1].seconds, points[0].seconds + 1)
    low, high = _range(points)

    def x(point: Point) -> float:
        return round(_LEFT + (point.seconds - first) / (last - first) * (_WIDTH - _LEFT - 12), 1)

    def y(value: float) -> float:
        inside = min(max(value, low), high)
        return round(_TOP + (high - inside) / (high - low) * (_HEIGHT - _TOP - _BOTTOM), 1)

    runs = list(_runs(gate.track))
    bounded = [[point for point in run if point.bound is not None] for run in runs]
    ranged = [[point for point in run if point.low is not None and point.high is not None] for run in runs]
    return TrackPicture(
        key=f"track-{row}",
        title=f"Gate {gate.name} over time",
        description=_described(gate, points),
        width=_WIDTH,
        height=_HEIGHT,
        left=_LEFT,
        top=_TOP,
        bottom=_HEIGHT - _BOTTOM,
        bands=tuple(
            " ".join(
                [f"{x(point)},{y(point.high or 0.0)}" for point in run]
                + [f"{x(point)},{y(point.low or 0.0)}" for point in reversed(run)]
            )
            for run in ranged
            if run
        ),
        lines=tuple(" ".join(f"{x(point)},{y(point.figure or 0.0)}" for point in run) for run in runs),
        bounds=tuple(" ".join(f"{x(point)},{y(point.bound or 0.0)}" for point in run) for run in bounded if run),
        dots=tuple(
            Dot(x(point), y(point.figure or 0.0), point.result.lower(), f"{_after(point)}: {_said(point)}")
            for point in points
        ),
        across=tuple(Tick(x(point), _after(point)) for point in (points[0], points[len(points) // 2], points[-1])),
        upward=tuple(Tick(y(value), f"{value:.3g}") for value in (low, (low + high) / 2, high)),
    )


def _measured(gate: GateExplained) -> list[Point]:
    return [point for point in gate.track if point.figure is not None]


def _runs(points: Sequence[Point]) -> Iterator[list[Point]]:
    """Looks without a gap between them."""
    run: list[Point] = []
    for point in points:
        if point.figure is not None:
            run.append(point)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _range(points: Sequence[Point]) -> tuple[float, float]:
    """All figures and bounds, and the intervals of the later half: the first ones are as wide as the world."""
    later = points[len(points) // 2 :]
    values = [
        value
        for value in (
            *(point.figure for point in points),
            *(point.bound for point in points),
            *(point.low for point in later),
            *(point.high for point in later),
        )
        if value is not None and math.isfinite(value)
    ]
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.5
    return low - margin, high + margin


def _described(gate: GateExplained, points: Sequence[Point]) -> str:
    newest = points[-1]
    return f"{len(points)} looks from {_after(points[0])} to {_after(newest)} after the stage began; at the newest {_said(newest)}."


def _said(point: Point) -> str:
    ends = interval(point.low, point.high)
    spread = f" ({ends})" if ends else ""
    bound = "" if point.bound is None else f", bound {number(point.bound)}"
    return f"{point.result}, {number(point.figure or 0.0)}{spread}{bound}, {point.samples:,} samples"


def _after(point: Point) -> str:
    return format_duration(timedelta(seconds=max(point.seconds, 0)))
