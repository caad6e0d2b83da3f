"""Alerts and dashboards, as the chart hands them over."""

import json
from typing import Any

import yaml

from tests.unit.charts.rendering import CHART, objects, only, refusal

RUNBOOKS = CHART.parents[1] / "docs" / "runbooks"
SHIPPED = {
    rule["alert"]: rule
    for path in sorted((CHART / "alerts").glob("*.yaml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
}


def rules(**values: Any) -> dict[str, dict[str, Any]]:
    rule = only("PrometheusRule", monitoring__prometheusRule__enabled=True, **values)
    return {one["alert"]: one for group in rule["spec"]["groups"] for one in group["rules"]}


def test_each_alert_is_handed_over_with_the_address_of_its_runbook() -> None:
    for name, rule in rules(monitoring__prometheusRule__runbookURL="https://example.com/runbooks/").items():
        address = {"runbook_url": f"https://example.com/runbooks/{name}.md"}
        assert rule == {**SHIPPED[name], "annotations": {**SHIPPED[name]["annotations"], **address}}
    assert list(rules()) == list(SHIPPED)


def test_an_alert_can_be_left_out_or_changed() -> None:
    changed = {"ModelApprovalWaiting": {"for": "48h", "labels": {"severity": "info", "team": "risk"}}}
    found = rules(monitoring__prometheusRule__disabled=["ModelUnowned"], monitoring__prometheusRule__rules=changed)
    assert SHIPPED.keys() - found.keys() == {"ModelUnowned"}
    waiting = found["ModelApprovalWaiting"]
    assert (waiting["for"], waiting["labels"]) == ("48h", {"severity": "info", "team": "risk"})
    assert waiting["expr"] == SHIPPED["ModelApprovalWaiting"]["expr"]


def test_the_name_of_no_alert_is_refused_with_those_that_there_are() -> None:
    for values in (
        {"monitoring__prometheusRule__disabled": ["ModelGone"]},
        {"monitoring__prometheusRule__rules": {"ModelGone": {"for": "1m"}}},
    ):
        said = refusal(monitoring__prometheusRule__enabled=True, **values)
        assert "there is no alert ModelGone; there are" in said and "ModelRolledBack" in said


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(SHIPPED)


def test_a_dashboard_is_in_a_config_map_that_grafanas_sidecar_finds() -> None:
    found = objects("ConfigMap", monitoring__dashboards__enabled=True, monitoring__dashboards__namespace="grafana")
    boards = {board["metadata"]["name"]: board for board in found if "-dashboard-" in board["metadata"]["name"]}
    for name in ("portfolio", "model"):
        board = boards[f"modelward-dashboard-{name}"]
        assert board["metadata"]["namespace"] == "grafana"
        assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
        (text,) = board["data"].values()
        assert json.loads(text) == json.loads((CHART / "dashboards" / f"{name}.json").read_text())
    assert len(boards) == 2
    assert len({json.loads(next(iter(board["data"].values())))["uid"] for board in boards.values()}) == 2
