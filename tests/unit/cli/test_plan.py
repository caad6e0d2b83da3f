"""`modelward plan` as a table: what it shows where there is little room."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from modelward.cli.main import app

EXAMPLES = Path(__file__).parents[3] / "examples/environments"
ASKED = {"role": "risk", "beforeWeight": 25}


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The plan for the production of the example, on 80 columns, with changes of the policy's canary."""
    monkeypatch.setattr("modelward.cli.explain_text.PIPED_WIDTH", 80)

    def plan(**canary: Any) -> str:
        policy = yaml.safe_load((EXAMPLES / "policies/prod.yaml").read_text("utf-8"))
        policy["spec"]["stages"]["canary"].update(canary)
        model = yaml.safe_load((EXAMPLES / "base/model.yaml").read_text("utf-8"))
        model["spec"] |= yaml.safe_load((EXAMPLES / "prod/production.yaml").read_text("utf-8"))["spec"]
        model["spec"]["serving"]["route"] = {"parentRefs": [{"name": "public", "namespace": "gateways"}]}
        version = yaml.safe_load((EXAMPLES / "base/versions/credit-risk-v7.yaml").read_text("utf-8"))
        space = yaml.safe_load((EXAMPLES / "prod/namespace.yaml").read_text("utf-8"))
        for each in (model, version):
            each["metadata"]["namespace"] = space["metadata"]["name"]
        path = tmp_path / "prod.yaml"
        path.write_text(yaml.safe_dump_all([policy, model, version, space]))
        result = CliRunner().invoke(app, ["plan", str(path)])
        assert result.exit_code == 0, result.output
        return result.stdout

    return plan


def test_names_of_gates_are_whole_on_80_columns(planned: Any) -> None:
    printed = planned()
    assert "would be rolled out under policy low-prod" in printed
    assert "…" not in printed
    assert "no-failure-in-test:" in printed


def test_approvals_have_a_column_where_a_stage_asks_for_some(planned: Any) -> None:
    assert "APPROVALS" not in planned()
    asking = planned(approvals=[ASKED])
    assert "APPROVALS" in asking
    assert "risk" in asking
