"""With watchNamespaces, the operator's rights end where its Models do."""

from typing import Any

import pytest

from tests.unit.charts.rendering import objects, only, refusal

NAMESPACES = ["lending", "fraud"]


def granted(rules: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def cluster_role(**values: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = next(
        role["rules"] for role in objects("ClusterRole", **values) if role["metadata"]["name"] == "modelward"
    )
    return found


def roles_of_models() -> dict[str, list[dict[str, Any]]]:
    return {
        role["metadata"]["namespace"]: role["rules"]
        for role in objects("Role", watchNamespaces=NAMESPACES)
        if role["metadata"]["name"] == "modelward-models"
    }


def test_each_namespace_has_a_role_of_its_own() -> None:
    assert sorted(roles_of_models()) == sorted(NAMESPACES)


def test_rights_are_the_same_and_elsewhere() -> None:
    in_cluster = granted(cluster_role(watchNamespaces=NAMESPACES))
    for rules in roles_of_models().values():
        assert granted(rules) | in_cluster == granted(cluster_role())
        assert granted(rules) & in_cluster == set()


def test_nothing_is_written_beyond_the_namespaces() -> None:
    verbs = {verb for *_, verb in granted(cluster_role(watchNamespaces=NAMESPACES))}
    assert verbs == {"get", "list", "watch"}


def test_no_model_elsewhere_can_be_read() -> None:
    readable = {resource for group, resource, _ in granted(cluster_role(watchNamespaces=NAMESPACES)) if group}
    assert readable == {
        "lifecyclepolicies",
        "gateways",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
    }


def test_each_role_is_bound_to_the_operator() -> None:
    bindings = [
        binding
        for binding in objects("RoleBinding", watchNamespaces=NAMESPACES)
        if binding["roleRef"]["name"] == "modelward-models"
    ]
    assert {binding["metadata"]["namespace"] for binding in bindings} == set(NAMESPACES)
    for binding in bindings:
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "modelward", "namespace": "modelward"}]


def test_the_operator_is_told_of_the_namespaces() -> None:
    (container,) = only("Deployment", watchNamespaces=NAMESPACES)["spec"]["template"]["spec"]["containers"]
    assert [argument for argument in container["args"] if argument.startswith("--namespace=")] == [
        "--namespace=lending",
        "--namespace=fraud",
    ]


@pytest.mark.parametrize("namespaces", [["Lending"], ["a", "a"], "lending"], ids=str)
def test_what_is_no_list_of_names_is_refused(namespaces: Any) -> None:
    assert "watchNamespaces" in refusal(watchNamespaces=namespaces)
