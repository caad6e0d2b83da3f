"""Which of the wanted series a server does not measure: what no gate may take for zero."""

from collections.abc import Iterator, Mapping, Sequence

from modelward.metrics.presets import CounterRule, Preset, noun
from modelward.stats.readings import PodReading

_SHOWN_WITH_THE_FIRST_REQUEST = ("latency", "prediction")


def absent_series(preset: Preset, wanted: Sequence[str], pods: Sequence[PodReading]) -> Mapping[str, str]:
    """One sentence for each wanted series that the preset has not, or that one of the pods should show and does not."""
    return {
        **preset.lacks(wanted),
        **{series: sentence for pod in pods for series, sentence in _unobserved(preset, wanted, pod)},
        **{series: sentence for pod in pods for series, sentence in _hidden(preset, wanted, pod)},
    }


def _hidden(preset: Preset, wanted: Sequence[str], pod: PodReading) -> Iterator[tuple[str, str]]:
    """Counters that the server shows as soon as it counts requests, in those releases that have them."""
    if not _has_answered(pod):
        return
    for rule in preset.counters:
        if rule.always_shown and rule.series in wanted and rule.series not in pod.series:
            yield (
                rule.series,
                f"preset {preset.name} has no {noun(rule.series)} here: pod {pod.pod} shows no {rule.metric}{_labels(rule)}, "
                "so this release does not count it; use one that does, or take the gate out",
            )


def _unobserved(preset: Preset, wanted: Sequence[str], pod: PodReading) -> Iterator[tuple[str, str]]:
    """What every request is observed in, of a pod that has answered some."""
    if not _has_answered(pod):
        return
    for series in _SHOWN_WITH_THE_FIRST_REQUEST:
        if series in wanted and series in preset.given and series not in pod.series:
            metrics = [rule.metric for rule in (*preset.histograms, *preset.categories) if rule.series == series]
            yield (
                series,
                f"pod {pod.pod} has counted requests and shows no {' or '.join(metrics)}, "
                f"which preset {preset.name} reads for the {noun(series)}: "
                "choose the preset of this server and release, or take the gate out",
            )


def _has_answered(pod: PodReading) -> bool:
    requests = pod.series.get("requests")
    return isinstance(requests, (int, float)) and requests > 0


def _labels(rule: CounterRule) -> str:
    labels = ", ".join(f"{name}={value}" for name, value in rule.labels.items())
    return f" with {labels}" if labels else ""
