"""What the documentation takes from the code is complete and up to date."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs import generate, told
from docs.example_metrics import WELL
from modelward.api import reasons
from tests.unit.lifecycle.builders import model

PACKAGE = Path(reasons.__file__).resolve().parents[1]
SOURCES = [
    path
    for folder in ("lifecycle", "metrics", "stats", "runtime")
    for path in sorted((PACKAGE / folder).rglob("*.py"))
    if path.name != "reasons.py"
]
EXPLAINED = {reason.value for reason in told.explained_reasons()}
GIVEN_TO = {"Verdict", "unknown", "verdict", "QueryAnswer", "Reading", "_Problem", "_Unusable"}
ONE_WORD = re.compile(r"[A-Z][a-z]+([A-Z][a-z]+)*")


@pytest.mark.parametrize("path", generate.pages(), ids=lambda path: path.name)
def test_a_page_is_as_the_code_says(path: Path) -> None:
    assert path.read_text("utf-8") == generate.pages()[path], "run `python docs/generate.py`"


def test_every_reason_is_explained_once() -> None:
    constants = [value for name, value in vars(reasons).items() if name.isupper()]
    explained = [reason.value for reason in told.explained_reasons()]
    assert sorted(explained) == sorted(constants)
    assert len(set(explained)) == len(explained)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_reason_that_is_written_out_in_the_code_is_explained(source: Path) -> None:
    assert set(_reasons_in(source)) <= EXPLAINED


def test_reasons_that_gates_write_out_are_found() -> None:
    found = {reason for source in SOURCES for reason in _reasons_in(source)}
    assert {"Passed", "BreakerTripped", "StaleMetrics", "NoEvaluation", "MetricsUnavailable"} <= found


def test_a_reason_is_in_the_reference() -> None:
    page = (generate.FOLDER / "reference" / "conditions.md").read_text("utf-8")
    assert [reason for reason in EXPLAINED if f"| `{reason}` |" not in page] == []


def test_every_condition_is_in_the_reference_in_the_order_of_status() -> None:
    plan = model().serving("v7").version("v8").challenges_with("v8").decide()
    of_a_model = [condition.type for condition in plan.status.conditions]
    of_a_version = [condition.type for condition in plan.versions["v7"].conditions]
    assert list(told.CONDITIONS) == of_a_model + of_a_version


def test_the_status_that_nobody_need_look_at_is_that_of_the_examples() -> None:
    for kind, (status, _) in WELL.items():
        assert told.CONDITIONS[kind][1] in (status, "either")


def test_a_reference_page_has_every_field_of_a_policy() -> None:
    page = (generate.FOLDER / "reference" / "lifecycle-policy.md").read_text("utf-8")
    for field in ("appliesTo.tiers", "stages.shadow.mirrorPercent", "stages.canary.steps[].require", "onUnknown.then"):
        assert f"| `spec.{field}` |" in page


def _reasons_in(path: Path) -> Iterator[str]:
    """Words that the code gives as a reason: to what carries one, or to a name that says so."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and _called(node) in GIVEN_TO:
            for given in [*node.args, *(keyword.value for keyword in node.keywords)]:
                yield from _words(given)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any("reason" in ast.unparse(target).lower() for target in targets):
                yield from (word for part in _parts(node.value) for word in _words(part))


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)


def _parts(value: ast.expr) -> list[ast.expr]:
    if isinstance(value, ast.Tuple):
        return value.elts
    return value.values if isinstance(value, ast.Dict) else [value]


def _words(value: ast.expr) -> Iterator[str]:
    if isinstance(value, ast.IfExp):
        yield from _words(value.body)
        yield from _words(value.orelse)
    elif isinstance(value, ast.Constant) and isinstance(value.value, str) and ONE_WORD.fullmatch(value.value):
        yield value.value
