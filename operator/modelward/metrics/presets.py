"""Presets: how the metrics of one kind of model server map to the canonical series of `stats.readings`. Pure data.

A preset is a YAML file beside this package's code, with three lists of rules. Every rule names the canonical
`series`, the server's `metric`, and optionally `labels`: regular expressions that a label must match in full. With
`featureLabel` there is a series per value of that label, such as `feature/income`. What matches one series is summed.

    counters      a number; `required: true` when a page without the metric cannot be the server's
    histograms    classic buckets; `divisor` turns the server's unit into seconds (1000000 for microseconds)
    categories    a counter per value of `categoryLabel`
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources

import yaml
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Rule(BaseModel):
    """One line of a preset: samples of `metric` whose labels match count towards `series`."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    series: str
    metric: str
    labels: Mapping[str, str] = Field(default_factory=dict)
    feature_label: str | None = None

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
    required: bool = False


class HistogramRule(Rule):
    divisor: float = Field(default=1.0, gt=0)


class CategoryRule(Rule):
    category_label: str


class Preset(BaseModel):
    """All rules of one kind of server."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    counters: tuple[CounterRule, ...] = ()
    histograms: tuple[HistogramRule, ...] = ()
    categories: tuple[CategoryRule, ...] = ()

    def only(self, wanted: Sequence[str]) -> "Preset":
        """The rules that the prefixes ask for. A required counter stays: it tells a right page from a wrong one."""
        return Preset(
            name=self.name,
            counters=tuple(rule for rule in self.counters if rule.required or rule.is_wanted(wanted)),
            histograms=tuple(rule for rule in self.histograms if rule.is_wanted(wanted)),
            categories=tuple(rule for rule in self.categories if rule.is_wanted(wanted)),
        )

    def sample_names(self) -> frozenset[str]:
        """Names of the samples that the rules read, as they stand in an exposition."""
        plain = {rule.metric for rule in (*self.counters, *self.categories)}
        return frozenset(
            plain | {f"{rule.metric}{suffix}" for rule in self.histograms for suffix in ("_bucket", "_sum", "_count")}
        )


@dataclass(frozen=True)
class UnknownPreset(Exception):
    """A Model names a preset that does not exist."""

    name: str

    def __str__(self) -> str:
        known = ", ".join(presets())
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


def preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        UnknownPreset: naming those that exist.
    """
    found = presets().get(name)
    if found is None:
        raise UnknownPreset(name)
    return found
