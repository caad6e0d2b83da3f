"""What was counted of each version, interval by interval: the evidence that a policy is tried on.

JSON lines, one for each version and interval, in any order; `at` is the end of the interval, which begins where the one before ends:

    {"at": "2026-10-01T00:01:00Z", "version": "v7", "requests": 1200, "errors": 3, "latency": {"0.1": 1100, "0.25": 90, "+Inf": 10}}

or CSV with the columns at, version, requests, errors, and `latency<=0.1` and so on for the requests in each bucket. Buckets and
bins are not cumulative. `features` are optional: {"income": [12, 40, 9]}, the counts of the bins of the baseline.
"""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import chain, pairwise
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

MOST_LINES = 1_000_000
_LATENCY_COLUMN = "latency<="


class Unusable(Exception):
    """Why a recording cannot be replayed: the line, what is wrong with it, and the remedy."""


@dataclass(frozen=True)
class Counted:
    """What one version counted in one interval."""

    requests: float
    errors: float
    latency: tuple[float, ...] = ()  # requests in each bucket of the recording
    features: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Interval:
    """One interval of the recording, by its end."""

    at: datetime
    counted: Mapping[str, Counted]  # by version


@dataclass(frozen=True)
class Recording:
    """All intervals; edges are those of the buckets of latency, in seconds.

    Each interval begins where the one before ends, so that they have to be in order of time, with one for each end.

    Raises:
        Unusable: they are not.
    """

    intervals: tuple[Interval, ...]
    edges: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for before, interval in pairwise(self.intervals):
            if interval.at <= before.at:
                raise Unusable(
                    f"the interval that ends at {_written(interval.at)} comes after one that ends at {_written(before.at)}: give"
                    " intervals in order of time, and only one for each end"
                )

    @property
    def versions(self) -> tuple[str, ...]:
        """In the order in which they appear."""
        return tuple(dict.fromkeys(name for interval in self.intervals for name in interval.counted))

    @cached_property
    def features(self) -> frozenset[str]:
        """The features that were recorded."""
        every = (counted for interval in self.intervals for counted in interval.counted.values())
        return frozenset(chain.from_iterable(counted.features for counted in every))

    @property
    def began(self) -> datetime:
        """When the first interval began, which is taken to be as long as the second."""
        first = self.intervals[0].at
        second = self.intervals[1].at if len(self.intervals) > 1 else first + timedelta(minutes=1)
        return first - (second - first)

    def first_seen(self, version: str) -> datetime:
        """The end of the first interval that has a version."""
        return next(interval.at for interval in self.intervals if version in interval.counted)


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")

    at: AwareDatetime
    version: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)
    requests: float = Field(ge=0, allow_inf_nan=False)
    errors: float = Field(ge=0, allow_inf_nan=False)
    latency: dict[str, float] = {}
    features: dict[str, tuple[float, ...]] = {}


def read(text: str) -> Recording:
    """A recording in either form.

    Raises:
        Unusable: a line is not as it has to be.
    """
    rows = _csv_rows(text) if text[:512].lstrip().startswith(("at,", '"at"')) else _json_rows(text)
    return assembled(_checked(rows))


def assembled(lines: Sequence["_Line"]) -> Recording:
    """The intervals of lines, in order of time.

    Raises:
        Unusable: there are none, their buckets differ, or a version has two for one interval.
    """
    edges = _edges(lines)
    by_time: dict[datetime, dict[str, Counted]] = {}
    for line in lines:
        buckets = {_bound(key): count for key, count in line.latency.items()}
        latency = tuple(buckets.get(edge, 0.0) for edge in (*edges, math.inf)) if buckets else ()
        counted = Counted(line.requests, min(line.errors, line.requests), latency, line.features)
        interval = by_time.setdefault(line.at.astimezone(UTC), {})
        if line.version in interval:
            raise Unusable(
                f"{line.version} has two lines for the interval that ends at {_written(line.at)}: give one, with the sum of both"
            )
        interval[line.version] = counted
    if not by_time:
        raise Unusable("the recording is empty: give lines as `modelward simulate --example` prints them")
    return Recording(tuple(Interval(at, by_time[at]) for at in sorted(by_time)), edges)


def line_of(at: datetime, version: str, **counted: Any) -> _Line:
    """A line by its values, for sources other than files."""
    return _Line(at=at, version=version, **counted)


def example() -> str:
    """A recording in which the candidate goes bad after a while, as JSON lines."""
    began = datetime(2026, 10, 1, tzinfo=UTC)
    lines: list[str] = []
    for minute in range(1, 181):
        at = began + timedelta(minutes=minute)
        for version, requests in (("v7", 540), ("v8", 60)):
            bad = version == "v8" and minute > 120
            errors = requests // 8 if bad else requests // 200
            slow = requests // 4 if bad else requests // 60
            written = {
                "at": _written(at),
                "version": version,
                "requests": requests,
                "errors": errors,
                "latency": {"0.1": requests - slow, "0.25": 0, "+Inf": slow},
            }
            lines.append(json.dumps(written))
    return "\n".join(lines)


def _json_rows(text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                raise Unusable(f"line {number} is no JSON: {error}: write one object on each line") from error


def _csv_rows(text: str) -> Iterator[tuple[int, Any]]:
    reader = csv.DictReader(io.StringIO(text))
    for number, row in enumerate(reader, 2):
        latency = {
            key.removeprefix(_LATENCY_COLUMN): value
            for key, value in row.items()
            if key and key.startswith(_LATENCY_COLUMN)
        }
        others = {key: value for key, value in row.items() if key and not key.startswith(_LATENCY_COLUMN)}
        yield number, {**others, **({"latency": latency} if latency else {})}


def _checked(rows: Iterator[tuple[int, Any]]) -> list[_Line]:
    lines: list[_Line] = []
    for number, row in rows:
        if len(lines) >= MOST_LINES:
            raise Unusable(f"there are more than {MOST_LINES:,} lines: give a shorter time, or longer intervals")
        try:
            lines.append(_Line.model_validate(row))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            path = ".".join(str(part) for part in first["loc"]) or "the line"
            raise Unusable(f"line {number}: {path}: {first['msg']}: look at `modelward simulate --example`") from error
    return lines


def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _edges(lines: Sequence[_Line]) -> tuple[float, ...]:
    found = sorted({_bound(key) for line in lines for key in line.latency} - {math.inf})
    if len(found) > 256:
        raise Unusable(f"latency has {len(found)} different buckets: use the same ones in all lines, at most 256")
    return tuple(found)


def _bound(text: str) -> float:
    try:
        value = math.inf if text == "+Inf" else float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value) or value <= 0:
        raise Unusable(f"latency: {text!r} is no upper end of a bucket: write seconds, such as 0.25, or +Inf")
    return value
