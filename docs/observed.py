"""The reference of what the operator tells a Prometheus: its metrics, and the alerts of the chart with their runbooks.

Metrics are taken from the operator's own registry, alerts from the files that the chart ships.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from docs.example_metrics import Operator
from modelward.runtime import model_series

_REPOSITORY = Path(__file__).resolve().parents[1]
ALERTS = _REPOSITORY / "charts" / "modelward" / "alerts"
RUNBOOKS = _REPOSITORY / "docs" / "runbooks"

_METRICS = """\
# Metrics of the operator

`/metrics` of each replica, on the port of the probes. The chart's `monitoring.serviceMonitor` or `monitoring.podMonitor` has a
Prometheus read it; without the Prometheus Operator, scrape the Service `modelward`, with `honor_labels: true`: `namespace` is the Model's,
not the operator's. [Alerts](alerts.md) and two dashboards (`monitoring.dashboards`) are made of them.

Only the replica that leads tells of Models and of the portfolio. A Model has about twenty series, and five more for each of its gates.
"""

_GROUPS = {
    "Each Model": r"modelward_(model_|gate_)",
    "The portfolio": r"modelward_(models|approvals|rollouts|production|candidate|trigger|detection|unregistered)",
    "The operator itself": r"modelward_operator_",
    "The audit trail, where records are exported": r"modelward_audit_",
    "Webhooks, where there are any": r"modelward_notifications_",
}

_ALERTS = """\
# Alerts

The chart's `monitoring.prometheusRule.enabled` installs them as a PrometheusRule; without the Prometheus Operator, give the files in
`charts/modelward/alerts` to your Prometheus. Each has a runbook, whose address is in the annotation `runbook_url`.
`monitoring.prometheusRule.disabled` leaves some out, and `monitoring.prometheusRule.rules` changes their limits and labels.

**critical**: users are hurt, or would be without anybody knowing; somebody is called. **warning**: today. **info**: this week.
"""


@dataclass(frozen=True)
class Alert:
    name: str
    group: str
    expression: str
    waits: str
    severity: str
    summary: str
    description: str


def metrics_page() -> str:
    rows: dict[str, list[str]] = {group: [] for group in _GROUPS}
    for name, kind, labels, documentation in sorted(_families()):
        group = next(group for group, pattern in _GROUPS.items() if re.match(pattern, name))
        rows[group].append(f"| `{name}` | {kind} | {labels} | {documentation} |")
    parts = [_METRICS]
    for group, lines in rows.items():
        parts += [f"\n## {group}\n\n| Metric | Kind | Labels | What it is |\n| --- | --- | --- | --- |\n"]
        parts += [f"{line}\n" for line in lines]
    return "".join(parts)


def alerts_page() -> str:
    parts, group = [_ALERTS], ""
    for alert in alerts():
        if alert.group != group:
            group = alert.group
            title = group.removeprefix("modelward-").capitalize()
            parts += [f"\n## {title}\n\n| Alert | Severity | After | What has happened |\n| --- | --- | --- | --- |\n"]
        parts += [
            f"| [{alert.name}](../runbooks/{alert.name}.md) | {alert.severity} | {alert.waits} | {alert.summary} |\n"
        ]
    return "".join(parts)


def runbooks() -> Mapping[Path, str]:
    """For the page of each alert, the part that the alert says itself."""
    return {RUNBOOKS / f"{alert.name}.md": _facts(alert) for alert in alerts()}


def alerts() -> tuple[Alert, ...]:
    """The alerts of the chart, in the order of their files."""
    files = [ALERTS / f"{name}.yaml" for name in ("models", "governance", "audit", "operator")]
    assert set(files) == set(ALERTS.glob("*.yaml"))
    return tuple(
        Alert(
            rule["alert"],
            group["name"],
            rule["expr"],
            rule.get("for", "at once"),
            rule["labels"]["severity"],
            _without_templates(rule["annotations"]["summary"]),
            _without_templates(rule["annotations"]["description"]),
        )
        for path in files
        for group in yaml.safe_load(path.read_text("utf-8"))["groups"]
        for rule in group["rules"]
    )


def _facts(alert: Alert) -> str:
    when = "At once, with" if alert.waits == "at once" else f"After {alert.waits} of"
    return (
        f"{alert.summary}. {alert.description}\n\n**{alert.severity}**. {when}:\n\n```promql\n{alert.expression}\n```\n"
    )


def _without_templates(text: str) -> str:
    """`{{ $labels.model }}` as MODEL, and a value as N."""
    named = re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: found[1].upper(), text)
    return re.sub(r"\{\{ \$value.*?\}\}", "N", named)


def _families() -> Iterator[tuple[str, str, str, str]]:
    """Name, kind, labels and meaning of every metric, by its name in a query."""
    operator = Operator(troubled=True)
    operator.page()
    for family in model_series.FAMILIES:
        yield family.name, "gauge", _listed(("namespace", "model", *family.labels)), family.documentation
    for collector in operator.telemetry.registry._collector_to_names:
        for told in collector.collect():
            # Neither prometheus_client's metrics nor its families say their labels in public; samples do, if there are any.
            labels: Any = getattr(told, "_labelnames", None) or getattr(collector, "_labelnames", ())
            name = f"{told.name}_total" if told.type == "counter" else told.name
            yield name, told.type, _listed(labels), told.documentation


def _listed(labels: Iterable[str]) -> str:
    return ", ".join(f"`{label}`" for label in labels)
