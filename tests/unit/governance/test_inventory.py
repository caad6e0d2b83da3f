"""The inventory of models: one row for each, and nothing in it that a spreadsheet would carry out."""

import csv
import io
from typing import Any

from modelward.governance.inventory import as_csv, as_documents, inventory

DIGEST = "sha256:" + "7" * 64


def _model(name: str = "credit-risk", **changes: Any) -> dict[str, Any]:
    spec = {
        "modelID": "MDL-0042",
        "type": "Classification",
        "purpose": "Scores loan applications.",
        "owner": {"team": "lending-ml", "contact": "lending-ml@example.com", "accountable": "Ada"},
        "businessOwner": {"team": "retail-credit"},
        "provider": {"name": "Acme", "model": "Scorer", "version": "3"},
        "riskTier": "High",
        "limitations": ["No data before 2019"],
        "consumers": [{"name": "loan-desk", "team": "retail-it"}],
        "dependsOn": [{"model": "income", "namespace": "shared"}, {"external": "bureau"}],
        "monitoring": {"dashboardURL": "https://grafana.example.com/d/1", "checks": [{"name": "calibration"}]},
        "serving": {},
    }
    status = {
        "production": {"version": "v7", "digest": DIGEST, "since": "2026-11-01T09:00:00.000Z"},
        "decisions": [
            _decision("ruth@example.com", "risk"),
            _decision("grace@example.com", "independent-validator"),
            _decision("eve@example.com", "risk", version="v6"),
            _decision("bob@example.com", "risk", decision="Reject"),
            _decision("mallory@example.com", "risk", trusted=False),
        ],
        "review": {"at": "2026-06-01T09:00:00.000Z", "by": "grace@example.com"},
        "reviewDue": "2027-06-01T09:00:00.000Z",
        "conditions": [
            _condition("Owned", "True", "OwnerNamed"),
            _condition("Zombie", "True", "Abandoned"),
            _condition("ReviewCurrent", "False", "ReviewOverdue"),
        ],
        "audit": {"seq": 41, "hash": DIGEST},
    }
    return {
        "metadata": {"namespace": "lending", "name": name},
        "spec": {**spec, **changes.get("spec", {})},
        "status": {**status, **changes.get("status", {})},
    }


def _decision(approver: str, role: str, **changes: Any) -> dict[str, Any]:
    at = "2026-10-30T09:00:00.000Z"
    decided = {"name": "d", "uid": approver, "decision": "Approve", "role": role, "approver": approver, "version": "v7"}
    return {**decided, "at": at, "seenAt": at, **changes}


def _condition(kind: str, status: str, reason: str) -> dict[str, Any]:
    return {
        "type": kind, "status": status, "reason": reason, "message": "why", "lastTransitionTime": "2026-11-01T09:00:00Z",
    }  # fmt: skip


EVALUATION = {
    "metadata": {"name": "e"},
    "spec": {
        "model": "credit-risk",
        "version": "v7",
        "versionDigest": DIGEST,
        "name": "holdout",
        "evaluator": "pipeline",
        "metrics": [{"name": "auc", "value": 0.87}],
        "at": "2026-10-01T09:00:00Z",
    },
}


def test_a_row_has_what_an_examiner_asks_for() -> None:
    (row,) = as_documents(inventory([_model()], [EVALUATION]))
    assert row == {
        "id": "MDL-0042",
        "namespace": "lending",
        "name": "credit-risk",
        "description": "",
        "purpose": "Scores loan applications.",
        "businessContext": "",
        "type": "Classification",
        "provider": "Acme/Scorer/3",
        "owner": "lending-ml (lending-ml@example.com)",
        "accountable": "Ada",
        "businessOwner": "retail-credit",
        "tier": "High",
        "lowestTierAllowed": "",
        "regulations": [],
        "status": "In production",
        "concerns": ["Zombie=True Abandoned: why", "ReviewCurrent=False ReviewOverdue: why"],
        "version": "v7",
        "versionDigest": DIGEST,
        "inProductionSince": "2026-11-01T09:00:00.000Z",
        "candidate": "",
        "approvers": [
            "grace@example.com (independent-validator, Approve, 2026-10-30T09:00:00.000Z)",
            "ruth@example.com (risk, Approve, 2026-10-30T09:00:00.000Z)",
        ],
        "lastValidation": "2026-10-01T09:00:00.000Z",
        "lastReview": "2026-06-01T09:00:00.000Z",
        "reviewedBy": "grace@example.com",
        "nextReview": "2027-06-01T09:00:00.000Z",
        "monitoring": ["check calibration", "https://grafana.example.com/d/1"],
        "limitations": ["No data before 2019"],
        "useRestrictions": [],
        "humanOversight": "",
        "consumers": ["loan-desk (retail-it)"],
        "dependsOn": ["shared/income", "bureau"],
        "documents": [],
        "auditRecord": f"41 {DIGEST}",
    }


def test_a_model_that_is_served_elsewhere_is_listed_with_the_version_that_its_team_names() -> None:
    model = _model(spec={"serving": None, "production": {"version": "2026-10"}}, status={"production": None})
    (row,) = inventory([model], [])
    assert (row.status, row.version, row.in_production_since) == ("Served elsewhere", "2026-10", "")


def test_a_model_without_a_version_in_production_is_in_development() -> None:
    (row,) = inventory([_model(status={"production": None})], [])
    assert (row.status, row.version, row.approvers) == ("In development", "", ())


def test_a_model_that_cannot_be_read_has_a_row_that_says_so() -> None:
    (row,) = inventory([_model(spec={"riskTier": "Enormous"})], [])
    assert (row.name, row.status) == ("credit-risk", "Unreadable")
    assert "spec.riskTier" in row.concerns[0]


def test_rows_are_in_order() -> None:
    assert [row.name for row in inventory([_model("b"), _model("a")], [])] == ["a", "b"]


def test_a_spreadsheet_reads_the_csv_and_carries_nothing_out() -> None:
    model = _model(
        spec={"purpose": '=HYPERLINK("http://evil.example.com")', "limitations": ["a, b", 'say "c"', "d\ne"]}
    )
    (row,) = csv.DictReader(io.StringIO(as_csv(inventory([model], []))))
    assert row["purpose"] == '\'=HYPERLINK("http://evil.example.com")'
    assert row["limitations"] == 'a, b; say "c"; d\ne'
