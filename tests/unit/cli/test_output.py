"""What programs may rely on: the fields of what commands print with `-o json` and `-o yaml`. A field may come; none may go."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import pytest
import yaml
from pydantic.alias_generators import to_camel

from modelward.api.status import FailedVersion, PendingApproval, Stage
from modelward.cli import discover, history, report_text, retry, status_read
from modelward.cli.output import Output, plain, print_data, print_next
from modelward.governance import lineage
from modelward.lifecycle import explanation, headline, overview, policy_impact
from modelward.manifests import merge_plan

PROMISED = {
    status_read.Overview: "namespace model owner tier at requested headline wrong versions approvals coming notes",
    status_read.Row: "namespace model production candidate stage weight gates owner tier headline",
    headline.Headline: "urgency what todo command",
    overview.Wrong: "condition status reason message since",
    overview.VersionShown: "version role stage since weight mirror note gates",
    overview.GateShown: "name result reason sentence figure low high bound samples needed window holds at",
    overview.Lacking: "version role before missing due since refused command",
    overview.Coming: "what at",
    history.Step: "at version action who message after stage weights approvals revision record",
    retry.Retry: "namespace model version failed retry file line diff",
    explanation.Explanation: (
        "model namespace version incumbent stage since result next notes gates drift quality histograms operations"
    ),
    explanation.GateExplained: (
        "name result sentence reason figure low high bound samples window method advisory applies at track"
    ),
    lineage.Impact: "subject models near known unread truncated",
    policy_impact.Impact: (
        "namespace model tier verdict now then blockedBy freedFrom newApprovals droppedApprovals inFlight"
    ),
    merge_plan.ModelPlan: "namespace model change before version policy stages obstacles notes",
    report_text.Report: "at where state figures endings attention unregistered rows notes",
    discover.Told: "namespace kind name server evidence images madeBy",
}


@pytest.mark.parametrize("kind", PROMISED, ids=lambda kind: f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}")
def test_the_fields_that_are_promised_are_there(kind):
    assert set(PROMISED[kind].split()) <= {to_camel(field.name) for field in dataclasses.fields(kind)}


def test_what_is_of_the_api_has_the_names_of_the_api():
    fields = {field.alias or name for name, field in PendingApproval.model_fields.items()}
    assert {"role", "version", "subjectDigest", "before", "missing", "due", "since", "refused"} <= fields


class Colour(StrEnum):
    RED = "Red"


@dataclasses.dataclass(frozen=True)
class Thing:
    since_when: datetime
    how_long: timedelta
    colour: Colour
    figure: float
    failed: FailedVersion
    parts: tuple[str, ...] = ("ä",)


AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
FAILED = FailedVersion(
    version="v8", digest="sha256:8", retry=0, stage=Stage.CANARY, reason="GateFailed", message="", at=AT
)
THING = Thing(AT, timedelta(minutes=90), Colour.RED, float("nan"), FAILED)


def test_values_are_what_json_has():
    assert plain(THING) == {
        "sinceWhen": "2026-11-21T12:00:00+00:00",
        "howLong": 5400.0,
        "colour": "Red",
        "figure": None,
        "failed": {
            "version": "v8", "digest": "sha256:8", "retry": 0, "stage": "Canary", "reason": "GateFailed", "message": "",
            "at": "2026-11-21T12:00:00.000Z",
        },
        "parts": ["ä"],
    }  # fmt: skip


def test_json_and_yaml_say_the_same(capsys):
    print_data(THING, Output.JSON)
    as_json = json.loads(capsys.readouterr().out)
    print_data(THING, Output.YAML)
    assert yaml.safe_load(capsys.readouterr().out) == as_json == plain(THING)


def test_what_comes_one_after_the_other_is_lines_of_json_or_documents_of_yaml(capsys):
    for _ in range(2):
        print_next(THING, Output.JSON)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [plain(THING)] * 2
    for _ in range(2):
        print_next(THING, Output.YAML)
    assert list(yaml.safe_load_all(capsys.readouterr().out)) == [plain(THING)] * 2
