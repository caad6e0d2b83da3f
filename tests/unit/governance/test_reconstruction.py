"""What served at a time, from the records alone."""

from datetime import datetime

import pytest

from modelward.api.model_audit_record import ModelAuditRecordSpec
from modelward.governance.account import report_of, report_text
from modelward.governance.examination import examine
from modelward.governance.reconstruction import carried_out, intervals, served_at
from tests.unit.governance.chains import START
from tests.unit.governance.story import (
    ARTIFACT,
    CONTENT,
    ERRORS,
    EVALUATION,
    GRACE,
    HOUR,
    POLICY,
    RUTH,
    V7,
    V8,
    story,
)

RECORDS = tuple(ModelAuditRecordSpec.model_validate(document) for document in story())


@pytest.mark.parametrize(
    ("at", "shares"),
    [
        pytest.param(START - HOUR, {}, id="before the first record"),
        pytest.param(START, {"v7": 100}, id="at the first record"),
        pytest.param(START + 1.5 * HOUR, {"v7": 100}, id="while the rollout gets no requests yet"),
        pytest.param(START + 2 * HOUR, {"v7": 90, "v8": 10}, id="at the first step"),
        pytest.param(
            START + 3.5 * HOUR, {"v7": 90, "v8": 10}, id="after a step that was announced and not carried out"
        ),
        pytest.param(START + 5 * HOUR, {"v8": 100}, id="after the promotion"),
        pytest.param(START + 60 * HOUR, {"v7": 100}, id="after the rollback, until now"),
    ],
)
def test_the_versions_that_served_with_their_shares(at: datetime, shares: dict[str, int]) -> None:
    assert {account.version: account.percent for account in served_at(RECORDS, at).accounts} == shares


def test_a_share_has_a_beginning_and_an_end() -> None:
    v7, v8 = served_at(RECORDS, START + 2.5 * HOUR).accounts
    assert (v7.since, v7.until) == (START + 2 * HOUR, START + 5 * HOUR)
    assert (v8.since, v8.until) == (START + 2 * HOUR, START + 5 * HOUR)
    (now,) = served_at(RECORDS, START + 9 * HOUR).accounts
    assert (now.version, now.since, now.until) == ("v7", START + 6 * HOUR, None)


def test_an_account_has_all_that_an_examiner_asks_for() -> None:
    (account,) = served_at(RECORDS, START + 5.5 * HOUR).accounts
    assert account.digest == V8
    assert account.content == CONTENT
    assert account.policy == POLICY
    assert account.evaluations == (EVALUATION,)
    assert [gate for judgement in account.judgements for gate in judgement.gates] == [ERRORS, ERRORS]
    assert account.approvals == (GRACE, RUTH)
    assert account.started_by == 2


def test_what_was_decided_later_is_not_part_of_the_answer() -> None:
    accounts = served_at(RECORDS, START + 2.5 * HOUR).accounts
    assert accounts[1].approvals == (GRACE,)


def test_a_version_whose_rollout_is_older_than_the_records_has_its_digest_and_no_content() -> None:
    (account,) = served_at(RECORDS, START).accounts
    assert (account.digest, account.content, account.started_by) == (V7, {}, None)


def test_records_that_were_not_carried_out_do_not_count() -> None:
    assert [record.seq for record in carried_out(RECORDS)] == [1, 2, 3, 5, 6, 7]
    assert [interval.seq for interval in intervals(carried_out(RECORDS))] == [1, 3, 6, 7]


def test_without_numbers_it_is_the_record_before_that_was_not_carried_out() -> None:
    plain = [record.model_copy(update={"details": {}}) if record.seq == 5 else record for record in RECORDS]
    assert [record.seq for record in carried_out(plain)] == [1, 2, 3, 5, 6, 7]


def test_the_report_names_everything_in_words() -> None:
    documents = story()
    examination = examine("lending", "credit-risk", documents, (), (), ())
    text = report_text(report_of(examination, RECORDS, served_at(RECORDS, START + 5.5 * HOUR)))
    for words in (
        "# What served: lending/credit-risk (MDL-0042) at 2026-11-01T14:30:00.000Z",
        "| v8 | 100 % |  | 2026-11-01T14:00:00.000Z | 2026-11-01T15:00:00.000Z |",
        f"* Artifact: s3://models/credit-risk/v8, `{ARTIFACT}`",
        "* Training run: run-991, https://mlflow.example.com/runs/991",
        "* Code: https://git.example.com/credit-risk at 4b825dc",
        "* Data: loans, sha256:dddd",
        "* Built by: ada@example.com",
        f"* Policy: high, `{POLICY.digest}`",
        "* credit-risk-v8-holdout, 2026-11-01T08:00:00Z, by validation-pipeline: auc 0.871",
        "| canary | errors | errorRate (maxIncrease 0.005), minSamples 500 |",
        "| canary | approval by risk | beforeWeight 50 |",
        "| 6 | Promoted | errors | Pass | 0.0011 (-0.0006 to 0.0028) | 0.005 | 48211 |",
        "* grace@example.com, Approve in the role independent-validator, 2026-11-01T11:00:00.000Z",
        "* ruth@example.com, Approve in the role risk, 2026-11-01T12:00:00.000Z",
        "| 2026-11-01T11:00:00.000Z | 2026-11-01T14:00:00.000Z | v7 90 %, v8 10 % |  | 3 WeightChanged |",
        "No fault was found.",
        "There is no checkpoint",
    ):
        assert words in text


def test_before_the_first_record_the_report_says_so() -> None:
    examination = examine("lending", "credit-risk", story(), (), (), ())
    text = report_text(report_of(examination, RECORDS, served_at(RECORDS, START - HOUR)))
    assert "There is no record of this time or before it." in text
