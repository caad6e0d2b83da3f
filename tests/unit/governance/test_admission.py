"""What the operator holds the admission policies of the API server against. How they decide is tried in tests/api/governance."""

from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from modelward.governance import admission
from modelward.governance.admission import SETTLING, key_of, policies, problem_of, trusted_since

OPERATOR = "system:serviceaccount:modelward:modelward"
TEMPLATE = Path(__file__).parents[3] / "charts" / "modelward" / "templates" / "admission.yaml"
INSTALLED = "2026-01-01T00:00:00Z"


def stored(**metadata: Any) -> dict[str, dict[str, Any] | None]:
    """The policies as an API server that has just stored them shows them."""
    given = {"uid": "1", "generation": 1, "creationTimestamp": INSTALLED} | metadata
    return {key_of(each): each | {"metadata": each["metadata"] | given} for each in deepcopy(policies(OPERATOR))}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_the_template_of_the_chart_is_generated() -> None:
    assert TEMPLATE.read_text("utf-8") == admission.rendered(), "run `make generate`"
    assert admission.main([str(TEMPLATE), "--check"]) == 0


def test_a_template_that_was_edited_is_shown_and_written_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "admission.yaml"
    file.write_text(admission.rendered().replace("failurePolicy: Fail", "failurePolicy: Ignore", 1))
    assert admission.main([str(file), "--check"]) == 1
    assert "-  failurePolicy: Ignore\n+  failurePolicy: Fail\n" in capsys.readouterr().out
    assert admission.main([str(file)]) == 0
    assert admission.main([str(file), "--check"]) == 0


def test_three_policies_are_each_bound_to_deny_and_fail_closed() -> None:
    guards = {key_of(each): each["spec"] for each in policies(OPERATOR)}
    assert len(guards) == 6
    for name in admission.NAMES:
        assert guards[f"ValidatingAdmissionPolicy {name}"]["failurePolicy"] == "Fail"
        assert guards[f"ValidatingAdmissionPolicyBinding {name}"] == {"policyName": name, "validationActions": ["Deny"]}


def test_what_is_stored_as_it_was_written_has_no_problem() -> None:
    assert problem_of(stored(), OPERATOR) is None


def test_an_empty_field_is_an_absent_one_and_an_unknown_field_is_an_edit() -> None:
    live = stored()
    binding = live["ValidatingAdmissionPolicyBinding modelward-status"]
    assert binding is not None
    binding["spec"] |= {"matchResources": {"namespaceSelector": {}, "objectSelector": {}}, "paramRef": None}
    assert problem_of(live, OPERATOR) is None
    binding["spec"]["skipOnFridays"] = True
    problem = problem_of(live, OPERATOR)
    assert problem and "(skipOnFridays)" in problem


def test_nothing_installed_is_a_problem_with_a_remedy() -> None:
    problem = problem_of({}, OPERATOR)
    assert problem == (
        "ValidatingAdmissionPolicy modelward-approvals is missing: apply the chart again with admission.enabled"
    )


def test_a_policy_that_is_going_is_a_problem_before_it_is_gone() -> None:
    problem = problem_of(stored(deletionTimestamp=INSTALLED), OPERATOR)
    assert problem and "is being deleted" in problem


@pytest.mark.parametrize(
    ("metadata", "since"),
    [
        ({}, INSTALLED),
        ({"managedFields": [{"time": "2026-05-01T00:00:00Z"}]}, INSTALLED),  # a label
        ({"generation": 2, "managedFields": [{"time": "2026-05-01T00:00:00Z"}]}, "2026-05-01T00:00:00Z"),
        ({"generation": 3, "managedFields": [{"time": "2020-01-01T00:00:00Z"}]}, INSTALLED),  # made up
    ],
    ids=["just created", "relabelled", "edited", "edited, with a time from before it was created"],
)
def test_approvals_are_trusted_from_a_moment_after_the_last_change(metadata: dict[str, Any], since: str) -> None:
    live = stored(**metadata)
    assert problem_of(live, OPERATOR) is None
    assert trusted_since(live) == at(since).astimezone(UTC) + SETTLING


def test_an_edited_policy_that_does_not_tell_when_is_a_problem() -> None:
    problem = problem_of(stored(generation=2, managedFields=[]), OPERATOR)
    assert problem and "does not tell when it was last changed" in problem
