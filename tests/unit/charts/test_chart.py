"""The chart's rights and the operator's calls: what is granted is what is used."""

from typing import Any

from tests.unit.charts.rendering import objects


def rules(kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = next(one["rules"] for one in objects(kind) if one["metadata"]["name"] == "modelward")
    return found


def test_no_right_is_a_wildcard() -> None:
    for rule in [*rules("ClusterRole"), *rules("Role")]:
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]


def test_the_operator_may_not_create_or_delete_what_people_write() -> None:
    for rule in rules("ClusterRole"):
        if rule["apiGroups"] == ["modelward.dev"] and rule["resources"] != ["modelauditrecords"]:
            assert not {"create", "delete", "deletecollection"} & set(rule["verbs"])


def test_nobody_may_change_an_audit_record_not_even_the_operator() -> None:
    (rule,) = (rule for rule in rules("ClusterRole") if "modelauditrecords" in rule["resources"])
    assert not {"update", "patch"} & set(rule["verbs"])


def test_the_operator_reads_no_secret_and_executes_nothing() -> None:
    granted = {resource for rule in rules("ClusterRole") for resource in rule["resources"]}
    assert not {"secrets", "pods/exec", "pods/proxy", "roles", "clusterroles"} & granted


def test_leases_are_written_in_the_own_namespace_only() -> None:
    assert all("leases" not in rule["resources"] for rule in rules("ClusterRole"))
    assert [rule["resources"] for rule in rules("Role")] == [["leases"]]
