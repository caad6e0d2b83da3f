"""What Prometheus is told about each Model."""

from datetime import UTC, datetime

from prometheus_client.parser import text_string_to_metric_families

from docs.example_metrics import TROUBLES, status
from modelward.api.status import ModelStatus
from modelward.runtime.keys import ModelKey
from modelward.runtime.telemetry import Telemetry
from tests.unit.runtime.fakes import FakeClock

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
KEY = ModelKey("lending", "credit-risk")


def told(telemetry: Telemetry, prefix: str = "modelward_model_") -> list[str]:
    return [line for line in telemetry.page().decode().splitlines() if line.startswith(prefix)]


def test_a_condition_is_one_series_for_what_it_says_now() -> None:
    telemetry = Telemetry(FakeClock())
    telemetry.report_model(KEY, "High", status(NOW, {"Performing": ("True", "WithinBounds")}))
    telemetry.report_model(KEY, "High", status(NOW, {"Performing": ("False", "MonitoringFailed")}))
    assert [line for line in told(telemetry, "modelward_model_condition") if 'type="Performing"' in line] == [
        'modelward_model_condition{model="credit-risk",namespace="lending",reason="MonitoringFailed",status="False",'
        'type="Performing"} 1.0'
    ]


def test_shares_gates_approvals_and_overrides_are_told() -> None:
    telemetry = Telemetry(FakeClock())
    telemetry.report_model(KEY, "High", status(NOW, TROUBLES[0]))
    page = "\n".join(told(telemetry))
    of = 'model="credit-risk",namespace="lending"'
    for line in (
        f'modelward_model_info{{{of},production="v7",stage="Canary",tier="High"}} 1.0',
        f'modelward_model_traffic_percent{{kind="users",{of},version="v8"}} 10.0',
        f'modelward_model_gate_value{{gate="errors",{of},part="bound",stage="Canary",version="v8"}} 0.2',
        f'modelward_model_gate_result{{gate="drift",{of},reason="Passed",result="Pass",stage="Production",version="v7"}} 1.0',
        f'modelward_model_approval_waiting_since_timestamp_seconds{{{of},role="risk",version="v8"}} 1.7950032e+09',
        f'modelward_model_override_timestamp_seconds{{{of},role="risk"}} 1.7952624e+09',
    ):
        assert line in page


def test_a_model_without_anything_yet_is_told_of() -> None:
    telemetry = Telemetry(FakeClock())
    telemetry.report_model(KEY, "Low", ModelStatus())
    assert told(telemetry) == [
        'modelward_model_info{model="credit-risk",namespace="lending",production="",stage="",tier="Low"} 1.0'
    ]


def test_a_model_that_is_gone_has_no_series() -> None:
    telemetry = Telemetry(FakeClock())
    telemetry.report_model(KEY, "High", status(NOW, {}))
    telemetry.forget(KEY)
    assert told(telemetry) == []


def test_who_leads_no_more_tells_of_no_model() -> None:
    telemetry, leads = Telemetry(FakeClock()), [True]
    telemetry.watch_leadership(lambda: leads[0])
    telemetry.report_model(KEY, "High", status(NOW, {}))
    assert told(telemetry)
    leads[0] = False
    assert told(telemetry) == []
    leads[0] = True
    assert told(telemetry) == []


def test_every_line_is_read_as_it_was_meant() -> None:
    telemetry = Telemetry(FakeClock())
    awkward = 'a "quoted" \\ backslash\nand a line'
    telemetry.report_model(KEY, awkward, status(NOW, TROUBLES[0]))
    families = {family.name: family for family in text_string_to_metric_families(telemetry.page().decode())}
    (info,) = families["modelward_model_info"].samples
    assert info.labels["tier"] == awkward
    shares = {(one.labels["version"], one.value) for one in families["modelward_model_traffic_percent"].samples}
    assert shares == {("v7", 90.0), ("v8", 10.0), ("v9", 100.0)}
    assert {family.type for name, family in families.items() if name.startswith("modelward_model_")} == {"gauge"}
