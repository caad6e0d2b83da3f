"""Metrics from a Prometheus that the platform configured: raw samples per pod, and the one number of a `query` gate.

Never `rate()` or `increase()`: they extrapolate, and lose what a new pod counted before its first scrape. One range
selector over all wanted metrics gives what the server scraped, from one consistent moment, with the true sample times.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from modelward.api.gates import QueryGate
from modelward.metrics.absent import absent_series
from modelward.metrics.canonical import InvalidSamples, RawSample, canonical_series, native_grids
from modelward.metrics.native import Bucket, NativeHistogram
from modelward.metrics.presets import Preset
from modelward.metrics.transport import (
    NO_CREDENTIALS,
    PROMETHEUS_LIMITS,
    Credentials,
    CredentialsUnreadable,
    Limits,
    RequestFailed,
    request,
)
from modelward.stats.readings import PodReading, PodTarget, QueryAnswer, Reading

_CLOCKS = "set the clocks right"
_TARGET_LABELS = ("job", "instance")
_SHORTEST_STEP = 30  # seconds
_LONGEST_SERIES = 120
_PLACEHOLDER = re.compile(r"\{\{\s*(\w*)\s*\}\}")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


@dataclass(frozen=True)
class Connection:
    """How one Prometheus is reached."""

    name: str
    url: str
    max_staleness: float = 120.0
    limits: Limits = PROMETHEUS_LIMITS
    credentials: Credentials = NO_CREDENTIALS
    queries_of_models: bool = False  # may a Model bring a query, or only a LifecyclePolicy?


@dataclass(frozen=True)
class QueryNames:
    """What the placeholders of a query stand for."""

    model: str
    namespace: str
    candidate: str
    incumbent: str | None = None


_Sample = tuple[float, str]  # Unix seconds, and the value as Prometheus writes it


class _Histogram(BaseModel):
    """A native histogram; a bucket is a rule about its bounds, lower bound, upper bound and count."""

    count: str
    sum: str
    buckets: list[tuple[int, str, str, str]] = []


class _Series(BaseModel):
    """One series of an answer: `value` of an instant vector, `values` of a range, `histograms` of a native one."""

    metric: dict[str, str] = {}
    value: _Sample | None = None
    values: list[_Sample] = []
    histograms: list[tuple[float, _Histogram]] = []

    @property
    def newest(self) -> tuple[float, str | _Histogram] | None:
        """The last sample. A series changes its kind when its server is replaced, so both kinds may be there."""
        last: list[tuple[float, str | _Histogram]] = [*self.values[-1:], *self.histograms[-1:]]
        return max(last, key=lambda sample: sample[0], default=None)


class _Data(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    result_type: str
    result: _Sample | list[_Series]

    @property
    def series(self) -> Sequence[_Series]:
        return self.result if isinstance(self.result, list) else ()


class _Document(BaseModel):
    """What the query API answers, as far as it is read here."""

    data: _Data | None = None
    error: str = ""


class _Unusable(Exception):
    """Why there is no result: a reason of `Reading`, and a sentence."""

    def __init__(self, sentence: str, reason: str = "MetricsUnavailable") -> None:
        super().__init__(sentence)
        self.reason = reason


class PrometheusSource:
    """One configured Prometheus, or anything that speaks its query API."""

    def __init__(self, connection: Connection, session: aiohttp.ClientSession) -> None:
        self._connection = connection
        self._session = session

    @property
    def queries_of_models(self) -> bool:
        """May a Model bring a query of its own?"""
        return self._connection.queries_of_models

    async def read(
        self, version: str, targets: Sequence[PodTarget], preset: Preset, wanted: Sequence[str], now: float
    ) -> Reading:
        """The newest scrape of every pod, or why one of them has none."""
        chosen = preset.only(wanted)
        try:
            selector = _selector(chosen, targets)
            result = await self._ask(f"{selector}[{math.ceil(self._connection.max_staleness)}s]", now, "matrix")
            scrapes = _newest_scrapes(result)
            own = {target.name: await self._scrape(target, scrapes, chosen, now) for target in targets}
            grids = self._grids(own.values(), chosen, wanted)
            pods = [self._pod(target, own[target.name], chosen, wanted, grids) for target in targets]
        except _Unusable as error:
            return Reading(version=version, at=now, problem=str(error), reason=error.reason)
        return Reading(version=version, at=now, pods=tuple(pods), absent=absent_series(preset, wanted, pods))

    async def query(self, gate: QueryGate, names: QueryNames, now: float) -> QueryAnswer:
        """Exactly one finite number that is no older than the gate's `maxStaleness`, or why not.

        An instant query hides how old its samples are, so the look-back is shortened to `maxStaleness`, and
        `timestamp()` is asked for too, which is the sample's for a selector. Where that leaves nothing, the last hour
        tells what is old from what was never there.
        Inside `rate(x[5m])` and the like, the window is what the author wrote.
        """
        staleness = gate.max_staleness.total_seconds()
        try:
            expression = _filled_in(gate.query, names)
            result = await self._ask(expression, now, "scalar", "vector", look_back=staleness)
            if result.result == []:
                await self._explain_nothing(expression, now, staleness)
            value = _one_number(result)
            at = now if result.result_type == "scalar" else await self._sampled_at(expression, now, staleness)
        except _Unusable as error:
            return QueryAnswer(value=None, problem=str(error), reason=error.reason)
        return QueryAnswer(value=value, at=at)

    async def _scrape(
        self, target: PodTarget, scrapes: "Mapping[tuple[str, str], list[_Scrape]]", preset: Preset, now: float
    ) -> "_Scrape":
        own = scrapes.get((target.namespace, target.name), [])
        if not own:
            await self._explain_absence(target, preset, now)
        if len(own) > 1:
            seen = " and ".join(f"job={scrape.job!r} instance={scrape.instance!r}" for scrape in own[:2])
            raise _Unusable(
                f"{self._named} scrapes pod {target.name} more than once ({seen}): keep one", "InvalidResult"
            )
        ahead = own[0].at - now
        if abs(ahead) > self._connection.max_staleness:
            where = "ahead of this operator's clock" if ahead > 0 else "behind this operator's clock"
            raise _Unusable(
                f"the newest sample of pod {target.name} in {self._named} is {abs(ahead):.0f} s {where}: {_CLOCKS}",
                "StaleMetrics",
            )
        return own[0]

    def _grids(
        self, scrapes: "Iterable[_Scrape]", preset: Preset, wanted: Sequence[str]
    ) -> Mapping[str, tuple[float, ...]]:
        """Edges that the native histograms of all pods have in common, so that pods can be added up."""
        try:
            return native_grids([native for scrape in scrapes for native in scrape.natives], preset, wanted)
        except InvalidSamples as error:
            raise _Unusable(f"{self._named} has metrics that cannot be used: {error}", "InvalidResult") from error

    def _pod(
        self,
        target: PodTarget,
        scrape: "_Scrape",
        preset: Preset,
        wanted: Sequence[str],
        grids: Mapping[str, tuple[float, ...]],
    ) -> PodReading:
        try:
            series = canonical_series(scrape.samples, preset, wanted, scrape.natives, grids)
        except InvalidSamples as error:
            raise _Unusable(
                f"{self._named} has metrics of pod {target.name} that cannot be used: {error}", error.reason
            ) from error
        return PodReading(pod=target.name, started_at=target.started_at, at=scrape.at, series=series)

    async def _explain_absence(self, target: PodTarget, preset: Preset, now: float) -> None:
        """Stale, or never there? One small query over an hour tells."""
        names = {spelling for rule in preset.counters for name in rule.names for spelling in _spellings(name)}
        if names:
            result = await self._ask(f"{_named(names, [target])}[1h]", now, "matrix")
            times = [newest[0] for series in result.series if (newest := series.newest)]
            if times:
                raise _Unusable(
                    f"the newest sample of pod {target.name} in {self._named} is {now - max(times):.0f} s old, "
                    f"more than {self._connection.max_staleness:g} s: check that the pod is still scraped",
                    "StaleMetrics",
                )
        raise _Unusable(
            f"{self._named} has no metrics of pod {target.name}: "
            "check that it scrapes the pod and sets the labels namespace and pod"
        )

    @property
    def _named(self) -> str:
        return f"Prometheus {self._connection.name}"

    async def _sampled_at(self, expression: str, now: float, staleness: float) -> float:
        result = await self._ask(f"timestamp(\n{expression}\n)", now, "vector", look_back=staleness)
        at = _one_number(result)
        if now - at > staleness:
            raise _too_old(now - at, staleness)
        return at

    async def _explain_nothing(self, expression: str, now: float, staleness: float) -> None:
        """Old, or never there? The newest time within an hour tells; a series that ended is not found by looking back alone."""
        step = max(math.ceil(staleness), _SHORTEST_STEP)
        newest = f"max_over_time(timestamp(\n{expression}\n)[1h:{step}s])"
        result = await self._ask(newest, now, "vector", look_back=step)
        ages = [now - _number(series.value[1]) for series in result.series if series.value is not None]
        if ages:
            raise _too_old(min(ages), staleness)
        raise _Unusable("the query gave no data instead of one number: check its metrics and labels in the Prometheus")

    async def _ask(self, expression: str, now: float, *types: str, look_back: float | None = None) -> _Data:
        """The `data` of one instant query, its result type checked."""
        limits = self._connection.limits
        form = {"query": expression, "time": f"{now:.3f}", "timeout": f"{limits.seconds:g}s"}
        if look_back is not None:
            form["lookback_delta"] = f"{look_back:g}"
        try:
            answer = await request(
                self._session,
                "POST",
                f"{self._connection.url.rstrip('/')}/api/v1/query",
                limits,
                form=form,
                credentials=self._connection.credentials,
            )
        except RequestFailed as error:
            raise _Unusable(f"{self._named} {error}") from error
        except CredentialsUnreadable as error:
            raise _Unusable(f"{self._named} cannot be asked: {error}") from error
        skew = answer.clock_ahead
        if abs(skew) > self._connection.max_staleness:
            where = "ahead of" if skew > 0 else "behind"
            raise _Unusable(
                f"the clock of {self._named} is {abs(skew):.0f} s {where} this operator's: {_CLOCKS}", "StaleMetrics"
            )
        if answer.status in (401, 403):
            raise _Unusable(f"{self._named} refused the operator's credentials (HTTP {answer.status})")
        return self._data(answer.status, answer.body, types)

    def _data(self, status: int, body: bytes, types: Sequence[str]) -> _Data:
        try:
            document = _Document.model_validate_json(body)
        except ValidationError as error:
            sentence = f"{self._named} did not answer as a Prometheus query API does (HTTP {status}): check its url"
            raise _Unusable(sentence) from error
        if document.data is None:
            what = f"refused the query: {document.error[:200]}" if document.error else "gave neither data nor an error"
            raise _Unusable(f"{self._named} {what} (HTTP {status})", "InvalidResult")
        if document.data.result_type not in types:
            raise _Unusable(
                f"{self._named} gave a {document.data.result_type} where a {' or '.join(types)} is needed",
                "InvalidResult",
            )
        return document.data


@dataclass
class _Scrape:
    """The newest scrape of one target of Prometheus."""

    job: str
    instance: str
    at: float = -math.inf
    samples: list[RawSample] = field(default_factory=list)
    natives: list[NativeHistogram] = field(default_factory=list)

    def add(self, name: str, labels: Mapping[str, str], value: str | _Histogram) -> None:
        if isinstance(value, str):
            self.samples.append(RawSample(name, labels, _number(value)))
        else:
            self.natives.append(_native(name, labels, value))


def _native(name: str, labels: Mapping[str, str], histogram: _Histogram) -> NativeHistogram:
    buckets = tuple(
        Bucket(_number(lower), _number(upper), _number(count)) for _, lower, upper, count in histogram.buckets
    )
    count = _number(histogram.count)
    counts = (count, *(bucket.count for bucket in buckets))
    sound = all(bucket.lower < bucket.upper or bucket.lower == bucket.upper == 0 for bucket in buckets)
    if not sound or not all(math.isfinite(number) and number >= 0 for number in counts):
        raise _Unusable(f"the native histogram {name} has buckets that no histogram can have", "InvalidResult")
    return NativeHistogram(name, labels, count, _number(histogram.sum), buckets)


def _newest_scrapes(
    data: _Data,
) -> Mapping[tuple[str, str], list[_Scrape]]:
    """Per pod, the samples of its newest scrape.

    All samples of a scrape carry its time. A series whose last sample is older has gone from the page since.
    """
    targets: dict[tuple[str, str], dict[tuple[str, str], _Scrape]] = {}
    for series in data.series:
        newest = series.newest
        if newest is None:
            continue
        labels, (at, value) = series.metric, newest
        job, instance = (labels.get(label, "") for label in _TARGET_LABELS)
        by_target = targets.setdefault((labels.get("namespace", ""), labels.get("pod", "")), {})
        scrape = by_target.setdefault((job, instance), _Scrape(job, instance))
        if at < scrape.at:
            continue
        if at > scrape.at:
            scrape.at = at
            scrape.samples.clear()
            scrape.natives.clear()
        scrape.add(labels.get("__name__", ""), labels, value)
    return {pod: list(by_target.values()) for pod, by_target in targets.items()}


def _selector(preset: Preset, targets: Sequence[PodTarget]) -> str:
    return _named(preset.sample_names() | preset.native_names(), targets)


def _spellings(counter: str) -> tuple[str, ...]:
    """The count of a native histogram is no series of its own."""
    return (counter, counter.removesuffix("_count"))


def _named(names: Iterable[str], targets: Sequence[PodTarget]) -> str:
    alternatives = "|".join(re.escape(name) for name in sorted(names))
    return f"{{__name__=~{_quoted(alternatives)},{_pod_matchers(targets)}}}"


def _pod_matchers(targets: Sequence[PodTarget]) -> str:
    """Names of pods come from Kubernetes; the check keeps them from ever being more than a name in a query."""
    for name in (text for target in targets for text in (target.name, target.namespace)):
        if _NAME.fullmatch(name) is None:
            raise _Unusable(f"{name!r} is not a name of Kubernetes")
    pods = "|".join(target.name.replace(".", "[.]") for target in targets)
    return f'namespace="{targets[0].namespace}",pod=~"{pods}"'


def _quoted(text: str) -> str:
    """A string literal of PromQL."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _filled_in(query: str, names: QueryNames) -> str:
    known = {
        "model": names.model,
        "namespace": names.namespace,
        "candidate": names.candidate,
        "incumbent": names.incumbent,
    }

    def name_of(match: re.Match[str]) -> str:
        word = match.group(1)
        if word not in known:
            raise _Unusable(
                f"the query has an unknown placeholder {match.group()}: known are {', '.join(known)}", "InvalidResult"
            )
        name = known[word]
        if name is None:
            raise _Unusable("the query asks for {{incumbent}}, and there is no incumbent to compare with")
        if _NAME.fullmatch(name) is None:
            raise _Unusable(f"{name!r} is not a name of Kubernetes", "InvalidResult")
        return name

    return _PLACEHOLDER.sub(name_of, query)


def _one_number(data: _Data) -> float:
    _, text = data.result if isinstance(data.result, tuple) else _only_sample(data.result)
    value = _number(text)
    if not math.isfinite(value):
        raise _Unusable(
            f"the query gave {text[:40]} instead of a finite number: see that it divides by no zero and its window has observations",
            "InvalidResult",
        )
    return value


def _too_old(age: float, staleness: float) -> _Unusable:
    return _Unusable(f"the query's newest sample is {age:.0f} s old, more than {staleness:g} s", "StaleMetrics")


def _only_sample(series: list[_Series]) -> tuple[float, str]:
    """The one sample of a vector of one series."""
    if not series:
        raise _Unusable("the query gave no data instead of one number")
    if len(series) > 1:
        examples = " and ".join(_shown(one) for one in series[:2])
        raise _Unusable(
            f"the query gave {len(series)} series instead of one number, such as {examples}: add them up, or select one",
            "InvalidResult",
        )
    if series[0].value is None:
        raise _Unusable("the query gave a native histogram instead of one number", "InvalidResult")
    return series[0].value


def _shown(series: _Series) -> str:
    """A series as PromQL writes it, and its number; what a server adds to it is cut off."""
    labels = ",".join(f"{name}={_quoted(text)}" for name, text in sorted(series.metric.items()) if name != "__name__")
    shown = f"{series.metric.get('__name__', '')}{{{labels}}}"
    value = f" = {series.value[1][:40]}" if series.value is not None else ""
    return (shown if len(shown) <= _LONGEST_SERIES else f"{shown[:_LONGEST_SERIES]}...") + value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
