"""How a gate's figure and its bounds moved over a stage: a bounded number of looks, evenly spread, for people to read.

Nothing is decided on it. A stage may last for weeks of looks, so that beyond LONGEST of them only every second one is kept, then every
fourth, and so on; the first and the newest are always there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

LONGEST = 64
"""Looks that are kept of one gate: what a chart can show, in at most 4 KiB."""
_DIGITS = 4


@dataclass(frozen=True)
class Point:
    """One gate at one look."""

    seconds: int  # since the stage began
    result: str
    figure: float | None
    low: float | None
    high: float | None
    bound: float | None
    samples: int


@dataclass(frozen=True)
class Track:
    """The kept looks of one gate: every `every`-th one of the `seen`, and the newest."""

    points: tuple[Point, ...] = ()
    every: int = 1
    seen: int = 0

    def with_point(self, point: Point, longest: int = LONGEST) -> "Track":
        """The track after one more look."""
        newest_stays = (self.seen - 1) % self.every == 0
        points = (*(self.points if newest_stays else self.points[:-1]), _rounded(point))
        if len(points) <= longest:
            return Track(points, self.every, self.seen + 1)
        regular = points if self.seen % self.every == 0 else points[:-1]
        thinned = regular[::2]
        kept = thinned if thinned[-1] is points[-1] else (*thinned, points[-1])
        return Track(kept, 2 * self.every, self.seen + 1)

    def to_json(self) -> dict[str, Any]:
        rows = [[getattr(point, item.name) for item in fields(Point)] for point in self.points]
        return {"every": self.every, "seen": self.seen, "points": rows}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        rows: Sequence[Sequence[Any]] = data["points"]
        return cls(tuple(Point(*row) for row in rows), data["every"], data["seen"])


def _rounded(point: Point) -> Point:
    """As many digits as a chart can show: the bytes are written at every look."""
    return replace(
        point,
        figure=_short(point.figure),
        low=_short(point.low),
        high=_short(point.high),
        bound=_short(point.bound),
    )


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{_DIGITS}g}")
