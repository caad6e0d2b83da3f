"""Presets: how the metrics of one kind of model server map to the canonical series of `stats.readings`. Pure data.

A preset is a YAML file: the shipped ones lie beside this package's code, those of a platform in a directory of their own. It has
three lists of rules. Every rule names the canonical `series`, the server's `metric`, and optionally

    alsoNamed      names of the same metric in other releases; the first one that a page has is read
    labels         regular expressions, each of which a label must match in full
    featureLabel   a series per value of that label, such as `feature/income`

What matches one series is summed.

    counters       a number. `required: true`: a page without the metric cannot be the server's. `alwaysShown: true`: the server
                   shows the counter as soon as it counts requests, so that a page without a matching sample has no such counter,
                   and not 0
    histograms     buckets; `divisor` turns the server's unit into seconds (1000000 for microseconds)
    categories     a counter per value of `categoryLabel`

A series that no rule gives is one that the server does not measure. `absent` says why, and the gates that need it are Unknown.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from modelward.api.invalid import first_error_with_value
from modelward.api.types import ObjectName, RegularExpression

_METRIC = r"^[a-zA-Z_:][a-zA-Z0-9_:]*$"
_LABEL = r"^[a-zA-Z_][a-zA-Z0-9_]*$"
_PER_FEATURE = ("feature", "missing", "confusion", "score", "group")  # each with one series per value of a label
_HISTOGRAM_SUFFIXES = ("_bucket", "_sum", "_count")
_LARGEST_FILE = 256 * 1024

_NOUNS = {
    "requests": "count of requests",
    "errors": "count of failed requests",
    "latency": "latency histogram",
    "prediction": "distribution of predictions",
    "feature": "distribution of features",
    "missing": "count of missing values",
    "confusion": "count of labels that came back",
    "score": "histogram of scores by label",
    "group": "count of labels by group",
    "labels": "count of labels that came back",
    "error_absolutes": "sum of errors",
    "error_squares": "sum of squared errors",
    "error_fourth_powers": "sum of fourth powers of errors",
}
_OF_LABELS = ("confusion", "score", "group", "labels", "error_absolutes", "error_squares", "error_fourth_powers")


def noun(series: str) -> str:
    """What a series is called in a sentence."""
    return _NOUNS.get(series, series)


MetricName = Annotated[str, Field(pattern=_METRIC, max_length=256)]
LabelName = Annotated[str, Field(pattern=_LABEL, max_length=256)]
CounterName = Literal[
    "requests", "errors", "missing", "labels", "error_absolutes", "error_squares", "error_fourth_powers"
]
HistogramName = Literal["latency", "prediction", "feature", "score"]
CategoryName = Literal["prediction", "feature", "confusion", "group"]
SeriesName = CounterName | HistogramName | CategoryName


class Rule(BaseModel):
    """One line of a preset: samples of `metric` whose labels match count towards `series`."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    series: str
    metric: MetricName
    also_named: tuple[MetricName, ...] = ()
    labels: Mapping[LabelName, RegularExpression] = Field(default_factory=dict)
    feature_label: LabelName | None = None

    @model_validator(mode="after")
    def _per_feature_or_not(self) -> Self:
        if (self.series in _PER_FEATURE) != (self.feature_label is not None):
            needs = "needs" if self.series in _PER_FEATURE else "cannot have"
            raise ValueError(f"series {self.series} {needs} a featureLabel")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The metric's names, the one of the newest release first."""
        return (self.metric, *self.also_named)

    @cached_property
    def _patterns(self) -> tuple[tuple[str, re.Pattern[str]], ...]:
        return tuple((label, re.compile(pattern)) for label, pattern in self.labels.items())

    def is_wanted(self, wanted: Sequence[str]) -> bool:
        """Whether any of the prefixes asks for a series that this rule can give."""
        if self.feature_label is None:
            return any(self.series.startswith(prefix) for prefix in wanted)
        stem = f"{self.series}/"
        return any(prefix.startswith(stem) or stem.startswith(prefix) for prefix in wanted)

    def series_of(self, labels: Mapping[str, str], wanted: Sequence[str]) -> str | None:
        """The canonical series that a sample with these labels counts towards, if any and if wanted."""
        if not all(pattern.fullmatch(labels.get(label, "")) for label, pattern in self._patterns):
            return None
        if self.feature_label is None:
            return self.series
        name = f"{self.series}/{labels.get(self.feature_label, '')}"
        return name if any(name.startswith(prefix) for prefix in wanted) else None


class CounterRule(Rule):
    series: CounterName
    required: bool = False
    always_shown: bool = False


class HistogramRule(Rule):
    series: HistogramName
    divisor: float = Field(default=1.0, gt=0, allow_inf_nan=False)


class CategoryRule(Rule):
    series: CategoryName
    category_label: LabelName


class Preset(BaseModel):
    """All rules of one kind of server."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: ObjectName
    counters: Annotated[tuple[CounterRule, ...], Field(max_length=64)] = ()
    histograms: Annotated[tuple[HistogramRule, ...], Field(max_length=64)] = ()
    categories: Annotated[tuple[CategoryRule, ...], Field(max_length=64)] = ()
    absent: Mapping[SeriesName, Annotated[str, Field(min_length=1, max_length=512)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _absent_is_not_given(self) -> Self:
        both = sorted(self.absent.keys() & self.given)
        if both:
            raise ValueError(f"{both[0]} is absent and has a rule: remove one of the two")
        return self

    @cached_property
    def given(self) -> frozenset[str]:
        """The series that the rules give."""
        return frozenset(rule.series for rule in (*self.counters, *self.histograms, *self.categories))

    def lacks(self, wanted: Sequence[str]) -> Mapping[str, str]:
        """Of the wanted series, those that this kind of server does not measure, each with one sentence."""
        return {name: self.lack(stem) for name in wanted if (stem := name.partition("/")[0]) not in self.given}

    def lack(self, series: str) -> str:
        """Why there is no such series, and what to do about it."""
        remedy = f"add a rule for series {series} to the preset, or take the gate out"
        if series in _OF_LABELS:
            remedy = "modelward.instrument counts labels that come back; take the gate out where it cannot be used"
        reason = self.absent.get(series, remedy)  # type: ignore[call-overload]
        return f"preset {self.name} has no {noun(series)}: {reason}"

    def only(self, wanted: Sequence[str]) -> "Preset":
        """The rules that the prefixes ask for. A required counter stays: it tells a right page from a wrong one."""
        return self.model_copy(
            update={
                "counters": tuple(rule for rule in self.counters if rule.required or rule.is_wanted(wanted)),
                "histograms": tuple(rule for rule in self.histograms if rule.is_wanted(wanted)),
                "categories": tuple(rule for rule in self.categories if rule.is_wanted(wanted)),
            }
        )

    def sample_names(self) -> frozenset[str]:
        """Names of the samples that the rules read, as they stand in an exposition."""
        plain = {name for rule in (*self.counters, *self.categories) for name in rule.names}
        parts = {f"{name}{suffix}" for rule in self.histograms for name in rule.names for suffix in _HISTOGRAM_SUFFIXES}
        return frozenset(plain | parts)

    def native_names(self) -> frozenset[str]:
        """Names under which a Prometheus keeps the same histograms when they are native ones."""
        histograms = {name for rule in self.histograms for name in rule.names}
        counts = {
            name.removesuffix("_count") for rule in self.counters for name in rule.names if name.endswith("_count")
        }
        return frozenset(histograms | counts)


class PresetsInvalid(Exception):
    """A file of presets cannot be used; the message names the file and the field."""


@dataclass(frozen=True)
class UnknownPreset(Exception):
    """A Model names a preset that does not exist."""

    name: str
    known: tuple[str, ...]

    def __str__(self) -> str:
        known = ", ".join(self.known)
        return f"there is no metrics preset {self.name!r}: set spec.serving.metrics.preset to one of {known}"


@lru_cache(maxsize=1)
def presets() -> Mapping[str, Preset]:
    """All shipped presets by name."""
    files = (
        file
        for file in resources.files("modelward.metrics").joinpath("presets").iterdir()
        if file.name.endswith(".yaml")
    )
    loaded = (Preset.model_validate(yaml.safe_load(file.read_text("utf-8"))) for file in files)
    return {preset.name: preset for preset in sorted(loaded, key=lambda preset: preset.name)}


def with_own(directory: Path | None) -> Mapping[str, Preset]:
    """The shipped presets and those of the platform, one in each *.yaml file of the directory.

    Raises:
        PresetsInvalid: unreadable, not YAML, a wrong field, or a name that is taken.
    """
    known = dict(presets())
    if directory is None:
        return known
    try:
        # A mounted ConfigMap keeps its versions in entries whose names begin with two dots.
        paths = sorted(path for path in directory.iterdir() if path.suffix in (".yaml", ".yml") and path.name[0] != ".")
    except OSError as error:
        raise PresetsInvalid(f"{directory}: {error.strerror or error}") from error
    for path in paths:
        preset = _read(path)
        if preset.name in known:
            raise PresetsInvalid(f"{path}: name: there is a preset {preset.name!r} already: choose another name")
        known[preset.name] = preset
    return known


def _read(path: Path) -> Preset:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise PresetsInvalid(f"{path}: a preset is at most {_LARGEST_FILE // 1024} KiB long")
        document = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PresetsInvalid(f"{path}: {' '.join(str(error).split())}") from error
    try:
        preset = Preset.model_validate(document)
    except ValidationError as error:
        raise PresetsInvalid(f"{path}: {first_error_with_value(error, 'the file')}") from error
    if "requests" not in preset.given:
        raise PresetsInvalid(f"{path}: counters: a preset needs a counter for series requests")
    return preset


def preset(name: str, known: Mapping[str, Preset] | None = None) -> Preset:
    """The preset of that name, of the shipped ones or of those given.

    Raises:
        UnknownPreset: naming those that exist.
    """
    among = presets() if known is None else known
    found = among.get(name)
    if found is None:
        raise UnknownPreset(name, tuple(among))
    return found
