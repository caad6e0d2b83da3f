"""What `modelward doctor` holds an operator's rights against is what the chart gives."""

from typing import Any

import pytest

from deploy import rights
from modelward.diagnosis.operators import operator_of
from modelward.diagnosis.rights import Right, rights_of
from tests.unit.charts.rendering import objects, only

CASES: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "in two namespaces": {"watchNamespaces": ["lending", "fraud"]},
    "without discovery": {"discovery__enabled": False},
    "in one namespace, without discovery": {"watchNamespaces": ["lending"], "discovery__enabled": False},
}


def test_the_file_is_as_the_chart_says() -> None:
    assert rights.FILE.read_text("utf-8") == rights.text(), "run `python -m deploy.rights`"


@pytest.mark.parametrize("values", CASES.values(), ids=CASES)
def test_the_rights_of_an_operator_are_those_that_the_chart_gives_it(values: dict[str, Any]) -> None:
    assert set(rights_of(operator_of(only("Deployment", **values)))) == given(values)


def given(values: dict[str, Any]) -> set[Right]:
    """By the chart's own roles and bindings."""
    roles = {
        (kind, role["metadata"].get("namespace", ""), role["metadata"]["name"]): role["rules"]
        for kind in ("Role", "ClusterRole")
        for role in objects(kind, **values)
    }
    bound = [binding for kind in ("RoleBinding", "ClusterRoleBinding") for binding in objects(kind, **values)]
    return {
        Right(group, resource, verb, binding["metadata"].get("namespace", ""), name)
        for binding in bound
        for rule in roles[
            binding["roleRef"]["kind"], binding["metadata"].get("namespace", ""), binding["roleRef"]["name"]
        ]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }
