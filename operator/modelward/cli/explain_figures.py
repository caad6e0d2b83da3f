"""How an explanation writes the figures by which nothing is decided: operations, and features at one look."""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import partial

from modelward.api.types import format_duration
from modelward.lifecycle.gates.wording import number, percent
from modelward.lifecycle.operations import LatencyQuantile, Operations
from modelward.stats.intervals import Estimate

ONE_LOOK = (
    "One look decides nothing: the verdict is that of all looks together. KS and Wasserstein-1 are estimates between bounds, as"
    " nobody knows where in its bin a value lies; where values lie in the open bins at the ends, Wasserstein-1 has no upper"
    " bound, and its estimate leaves those bins out. p: chi-square of homogeneity. Adjusted: by Benjamini and Hochberg, over the"
    " features of the gate."
)
_SMALLEST_P = 1e-16
_NOT_READ = "unknown"
_TIME = "%Y-%m-%d %H:%M:%S UTC"

Row = tuple[str, tuple[str, ...]]


def operation_rows(versions: Sequence[Operations], most_scores: int | None = None) -> list[Row]:
    """A label, and what there is to say of each version; what is unknown says why. More scores than the most are counted only."""
    return [
        _row("since", versions, _span),
        _row("requests", versions, _requests),
        _row("per second", versions, _per_second),
        *_latency(versions),
        _row("error rate", versions, _error_rate),
        _row("newest reading", versions, _newest),
        _row("its age", versions, _age),
        _row("pods read", versions, lambda version: f"{version.pods_read} of {version.pods_known}"),
        *_scores(versions, most_scores),
    ]


def distance_bounds(distance: Estimate | None) -> str:
    """An estimate and its bounds; none where the bins have no order, or none but open ones."""
    if distance is None:
        return "none"
    end = "no upper bound" if distance.high is None else number(distance.high)
    return f"{number(distance.value)} ({number(distance.low)} to {end})"


def p_value(value: float | None) -> str:
    """A very small one says no more than that there is no doubt."""
    if value is None:
        return "too few values"
    return f"<{_SMALLEST_P:g}" if value < _SMALLEST_P else number(value)


def _row(label: str, versions: Iterable[Operations], cell: Callable[[Operations], str]) -> Row:
    return label, tuple(cell(version) for version in versions)


def _unknown(version: Operations, field: str, in_full: bool = True) -> str:
    """The reason once, where several rows have the same."""
    return f"unknown: {version.unknown[field]}" if in_full else "unknown"


def _span(version: Operations) -> str:
    if version.since is None or version.until is None:
        return _NOT_READ
    return f"{version.since:{_TIME}}, {_duration((version.until - version.since).total_seconds())}"


def _requests(version: Operations) -> str:
    return _unknown(version, "requests") if version.requests is None else f"{round(version.requests):,}"


def _per_second(version: Operations) -> str:
    rate = version.per_second
    if rate is None:
        return _unknown(version, "perSecond")
    if rate.high is None:
        return f"at least {number(rate.low)}: counters began anew, or went with their pods"
    return f"{number(rate.value)} ({number(rate.low)} to {number(rate.high)})"


def _error_rate(version: Operations) -> str:
    return _unknown(version, "errorRate") if version.error_rate is None else _share(version.error_rate)


def _share(share: Estimate) -> str:
    return f"{percent(share.value)} ({percent(share.low)} to {percent(1.0 if share.high is None else share.high)})"


def _latency(versions: Sequence[Operations]) -> list[Row]:
    if not any(version.latency for version in versions):
        return [_row("latency", versions, lambda version: _unknown(version, "latency"))]
    rows = []
    for place, label in enumerate(("latency p50", "latency p95", "latency p99")):
        cells = tuple(
            _seconds(version.latency[place]) if version.latency else _unknown(version, "latency", place == 0)
            for version in versions
        )
        rows.append((label, cells))
    return rows


def _seconds(quantile: LatencyQuantile) -> str:
    found = quantile.seconds
    if quantile.saturated:
        low = f"; interval from {number(found.low)} s" if found.low < found.value else ""
        return f"at least {number(found.value)} s (beyond the highest bucket{low})"
    end = "beyond the highest bucket" if found.high is None else number(found.high)
    return f"{number(found.value)} s ({number(found.low)} to {end})"


def _newest(version: Operations) -> str:
    return _NOT_READ if version.until is None else f"{version.until:{_TIME}}"


def _age(version: Operations) -> str:
    return _NOT_READ if version.age is None else f"{_duration(version.age)} at the newest look"


def _scores(versions: Sequence[Operations], most: int | None) -> list[Row]:
    """Bins of all versions, in the order of the first that has them."""
    labels = list(dict.fromkeys(score.bin for version in versions for score in version.confidence))
    if not labels:
        return [_row("scores", versions, lambda version: _unknown(version, "confidence"))]
    if most is not None and len(labels) > most:
        return [_row("scores", versions, _counted)]
    return [_row(f"scores {label}", versions, partial(_score, label, label == labels[0])) for label in labels]


def _counted(version: Operations) -> str:
    bins = len(version.confidence)
    return f"{bins} bins: they are in the report, --html FILE" if bins else _unknown(version, "confidence")


def _score(label: str, first: bool, version: Operations) -> str:
    if not version.confidence:
        return _unknown(version, "confidence", first)
    return next((_share(score.share) for score in version.confidence if score.bin == label), "no such bin")


def _duration(seconds: float) -> str:
    return format_duration(timedelta(seconds=round(seconds)))
