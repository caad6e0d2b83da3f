"""Which of the wanted series a server does not measure: what no gate may take for zero."""

from collections.abc import Mapping, Sequence

from modelward.metrics.presets import Preset
from modelward.stats.readings import PodReading


def absent_series(preset: Preset, wanted: Sequence[str], pods: Sequence[PodReading]) -> Mapping[str, str]:
    """One sentence for each wanted series that the preset has not, or that one of the pods should always show and does not."""
    hidden = {
        rule.series: f"pod {pod.pod} shows no {rule.metric} with " + _labels(rule.labels)
        for rule in preset.counters
        for pod in pods
        if rule.always_shown and rule.series in wanted and rule.series not in pod.series
    }
    return {
        **preset.lacks(wanted),
        **{
            series: f"{preset.lack(series)}: {what}, so this release does not count it"
            for series, what in hidden.items()
        },
    }


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in labels.items()) or "any label"
