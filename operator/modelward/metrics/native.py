"""Native histograms of a Prometheus to bins with edges that several of them have in common.

The query API lists only buckets that are not empty, and says neither the schema nor the bounds of the empty ones. But whatever
lies between two of the buckets is known to be empty, so the cumulative count is exact at every point that is not inside of a
bucket. An edge that is exact for all histograms of a series is a common edge: this merges exponential histograms of different
schemas (each bound of a schema is one of the finer ones too) and joins custom buckets whose empty ones differ. Nothing is
interpolated. Observations that are NaN are in the count and in no bucket, and so in no bin.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from modelward.stats.readings import Binned

COARSEST = 2
"""Exponential buckets are merged to this schema, four to a doubling: finer ones would only make the evidence larger."""

_LADDER_EXPONENTS = range(-10 * 2**COARSEST, 7 * 2**COARSEST + 1)
SECONDS_LADDER = tuple(2.0 ** (exponent / 2**COARSEST) for exponent in _LADDER_EXPONENTS)
"""Edges for latencies, 1 ms to 128 s: the same at each look, whatever was observed until then."""

MAXIMUM_EDGES = 512


@dataclass(frozen=True, slots=True)
class Bucket:
    lower: float
    upper: float
    count: float


@dataclass(frozen=True, slots=True)
class NativeHistogram:
    """One sample of a native histogram, with the server's own labels."""

    name: str
    labels: Mapping[str, str]
    count: float
    total: float
    buckets: tuple[Bucket, ...]


class TooManyEdges(Exception):
    """Observations are spread so widely that their bins would not fit any evidence."""


def common_edges(histograms: Sequence[NativeHistogram], ladder: Sequence[float] = ()) -> tuple[float, ...]:
    """Ascending edges at which the cumulative count of every one of the histograms is known exactly.

    With exponential buckets that are fine enough, those of the ladder, if there is one.

    Raises:
        TooManyEdges: more than MAXIMUM_EDGES.
    """
    buckets = [bucket for histogram in histograms for bucket in histogram.buckets if bucket.count > 0]
    bounds = {_rounded(bound) for bucket in buckets for bound in (bucket.lower, bucket.upper) if math.isfinite(bound)}
    exponential = all(_is_exponential(bucket) for bucket in buckets)
    if exponential and ladder and all(_is_fine(bucket) for bucket in buckets):
        bounds = {_rounded(edge) for edge in ladder}
    elif exponential:
        bounds = {bound for bound in bounds if _is_coarse_bound(bound)} or bounds
    inside = _interiors(buckets)
    edges = tuple(sorted(bound for bound in bounds if not _is_inside(bound, inside)))
    if len(edges) > MAXIMUM_EDGES:
        raise TooManyEdges(f"its buckets are spread over {len(edges)} edges, of which {MAXIMUM_EDGES} can be kept")
    return edges


def binned(histogram: NativeHistogram, edges: Sequence[float]) -> Binned:
    """The histogram in bins of these edges, each of which is exact for it."""
    below = [sum(bucket.count for bucket in histogram.buckets if _rounded(bucket.upper) <= edge) for edge in edges]
    everything = math.fsum(bucket.count for bucket in histogram.buckets)
    cumulative = [0.0, *below, everything]
    return Binned(tuple(edges), tuple(after - before for before, after in pairwise(cumulative)), histogram.total)


def _rounded(bound: float) -> float:
    """One number for one bound, however the last digits were computed."""
    return float(f"{bound:.12g}") if math.isfinite(bound) else bound


def _is_near_whole(number: float) -> bool:
    return abs(number - round(number)) < 1e-6


def _schema(bucket: Bucket) -> float:
    """Of a bucket (a, b] with b/a = 2^(2^-schema)."""
    lower, upper = sorted((abs(bucket.lower), abs(bucket.upper)))
    return -math.log2(math.log2(upper / lower))


def _is_zero_bucket(bucket: Bucket) -> bool:
    return bucket.lower <= 0 <= bucket.upper


def _is_finite(bucket: Bucket) -> bool:
    return math.isfinite(bucket.lower) and math.isfinite(bucket.upper)


def _is_exponential(bucket: Bucket) -> bool:
    if _is_zero_bucket(bucket):
        return bucket.lower == -bucket.upper
    if not _is_finite(bucket):
        # Beyond the largest float lies one more exponential bucket; custom ones end at any bound.
        return min(abs(bucket.lower), abs(bucket.upper)) > 1e300
    schema = _schema(bucket)
    return _is_near_whole(schema) and _is_near_whole(math.log2(abs(bucket.upper)) * 2.0 ** round(schema))


def _is_fine(bucket: Bucket) -> bool:
    return _is_zero_bucket(bucket) or not _is_finite(bucket) or _schema(bucket) > COARSEST - 0.5


def _is_coarse_bound(bound: float) -> bool:
    return bound == 0 or _is_near_whole(math.log2(abs(bound)) * 2**COARSEST)


def _interiors(buckets: Sequence[Bucket]) -> list[tuple[float, float]]:
    """Where counts are not known exactly: the insides of buckets, overlapping ones joined."""
    joined: list[tuple[float, float]] = []
    for lower, upper in sorted({(_rounded(bucket.lower), _rounded(bucket.upper)) for bucket in buckets}):
        if joined and lower < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(upper, joined[-1][1]))
        else:
            joined.append((lower, upper))
    return joined


def _is_inside(bound: float, interiors: Sequence[tuple[float, float]]) -> bool:
    return any(lower < bound < upper for lower, upper in interiors)
