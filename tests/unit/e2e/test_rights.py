"""What `make e2e` finds in the API server's audit log about the rights of the operator."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import rights
from tests.e2e.rights import Right

NAMESPACE, NAME = "modelward-system", "modelward"
USER = rights.account(NAMESPACE, NAME)
NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
CLUSTER, OWN = "ClusterRole modelward", f"Role {NAMESPACE}/modelward"


def role(kind: str, *rules: dict[str, Any], namespace: str = "") -> dict[str, Any]:
    place = {"namespace": namespace} if namespace else {}
    return {"kind": kind, "metadata": {"name": "modelward", **place}, "rules": list(rules)}


def binding(kind: str, *, of: str, namespace: str = "", to: dict[str, str] | None = None) -> dict[str, Any]:
    place = {"namespace": namespace} if namespace else {}
    subject = to or {"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}
    return {
        "kind": kind,
        "metadata": {"name": "modelward", **place},
        "roleRef": {"kind": of, "name": "modelward"},
        "subjects": [subject],
    }


def rule(group: str, resources: Sequence[str], verbs: Sequence[str], *names: str) -> dict[str, Any]:
    given = {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}
    return given | ({"resourceNames": list(names)} if names else {})


CHART = [
    role(
        "ClusterRole",
        rule("", ["pods"], ["list"]),
        rule("apps", ["deployments"], ["create", "patch"]),
        rule("admission", ["policies"], ["get"], "approvals", "status"),
    ),
    role("Role", rule("coordination.k8s.io", ["leases"], ["get"]), namespace=NAMESPACE),
    binding("ClusterRoleBinding", of="ClusterRole"),
    binding("RoleBinding", of="Role", namespace=NAMESPACE),
    {"kind": "Deployment", "metadata": {"name": "modelward", "namespace": NAMESPACE}},
]


def asked(
    verb: str, group: str, resource: str, *, namespace: str = "lending", name: str = "", code: int = 200, **changes: Any
) -> dict[str, Any]:
    """An audit event of a request that the chart's ClusterRole allowed."""
    reason = f'RBAC: allowed by ClusterRoleBinding "modelward" of ClusterRole "modelward" to ServiceAccount "{NAME}/{NAMESPACE}"'
    event = {
        "user": {"username": USER},
        "verb": verb,
        "objectRef": {"apiGroup": group, "resource": resource, "namespace": namespace, "name": name},
        "responseStatus": {"code": code},
        "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": reason},
        "requestReceivedTimestamp": NOW.isoformat().replace("+00:00", "Z"),
    }
    return event | changes


def found(*events: dict[str, Any]) -> frozenset[rights.Request]:
    return rights.requests(events)


def test_every_verb_of_every_resource_is_a_right_of_its_own() -> None:
    assert rights.granted(CHART, NAMESPACE, NAME) == {
        Right(CLUSTER, "pods", "list"),
        Right(CLUSTER, "deployments.apps", "create"),
        Right(CLUSTER, "deployments.apps", "patch"),
        Right(CLUSTER, "policies.admission", "get", "approvals"),
        Right(CLUSTER, "policies.admission", "get", "status"),
        Right(OWN, "leases.coordination.k8s.io", "get"),
    }


def test_a_role_that_is_bound_to_somebody_else_gives_nothing() -> None:
    others = binding("ClusterRoleBinding", of="ClusterRole", to={"kind": "User", "name": "ada"})
    assert rights.granted([CHART[0], others], NAMESPACE, NAME) == frozenset()


def test_what_was_never_asked_for_is_named_with_its_role() -> None:
    given = rights.granted(CHART, NAMESPACE, NAME)
    made = found(
        asked("list", "", "pods"),
        asked("patch", "apps", "deployments", name="a"),
        asked("get", "admission", "policies", namespace="", name="status"),
    )
    assert [str(right) for right in rights.unused(given, made)] == [
        "create deployments.apps (ClusterRole modelward)",
        "get policies.admission named approvals (ClusterRole modelward)",
        "get leases.coordination.k8s.io (Role modelward-system/modelward)",
    ]


def test_the_right_of_another_role_does_not_count() -> None:
    made = found(asked("get", "coordination.k8s.io", "leases", namespace=NAMESPACE))
    assert Right(OWN, "leases.coordination.k8s.io", "get") in rights.unused(
        rights.granted(CHART, NAMESPACE, NAME), made
    )


def test_applying_what_is_not_there_uses_the_right_to_create() -> None:
    given = {Right(CLUSTER, "deployments.apps", verb) for verb in ("create", "patch")}
    assert rights.unused(given, found(asked("patch", "apps", "deployments", code=201))) == []
    assert len(rights.unused(given, found(asked("patch", "apps", "deployments", code=200)))) == 1


def test_a_subresource_is_not_its_resource() -> None:
    event = asked("update", "modelward.dev", "models", name="scorer")
    event["objectRef"]["subresource"] = "status"
    (request,) = found(event)
    assert request.right == Right(CLUSTER, "models.modelward.dev/status", "update", "scorer")


def forbidden(message: str, **annotations: str) -> dict[str, Any]:
    answer = {"code": 403, "message": message}
    return asked("get", "", "secrets", name="key", responseStatus=answer, annotations=annotations)


def test_a_refused_request_is_named_with_what_the_server_said() -> None:
    made = found(forbidden("secrets is forbidden", **{"authorization.k8s.io/decision": "forbid"}))
    assert [str(one) for one in rights.refused(made)] == ["get secrets key in lending: 403 secrets is forbidden"]


def test_a_namespace_that_ends_refuses_everybody() -> None:
    message = 'events "x" is forbidden: unable to create new content in namespace e2e because it is being terminated'
    assert rights.refused(found(forbidden(message, **{"authorization.k8s.io/decision": "allow"}))) == []


@pytest.mark.parametrize(
    ("kind", "who", "allowed"),
    [("Group", "system:authenticated", True), ("Group", "system:masters", False), ("User", USER, False)],
)
def test_what_something_else_allowed_is_named(kind: str, who: str, allowed: bool) -> None:
    reason = f'RBAC: allowed by ClusterRoleBinding "x" of ClusterRole "x" to {kind} "{who}"'
    event = asked("create", "authentication.k8s.io", "selfsubjectreviews", namespace="")
    event["annotations"]["authorization.k8s.io/reason"] = reason
    assert (rights.beyond(rights.granted(CHART, NAMESPACE, NAME), found(event)) == []) is allowed


def test_a_binding_that_is_not_the_charts_is_named() -> None:
    group = binding("RoleBinding", of="Role", to={"kind": "Group", "name": f"system:serviceaccounts:{NAMESPACE}"})
    group["metadata"] = {"name": "more", "namespace": "lending"}
    assert rights.other_bindings([*CHART[2:4], group], CHART, NAMESPACE, NAME) == ["RoleBinding lending more"]


OPERATOR = rights.Operator(CHART, CHART[2:4], NAMESPACE, NAME)
EVERY_REQUEST = (
    asked("list", "", "pods"),
    asked("patch", "apps", "deployments", code=201),
    asked("get", "admission", "policies", namespace="", name="approvals"),
    asked("get", "admission", "policies", namespace="", name="status"),
)
LEASE_REASON = 'RBAC: allowed by RoleBinding "modelward/modelward-system" of Role "modelward" to ServiceAccount "modelward/modelward-system"'
LEASE = asked(
    "get",
    "coordination.k8s.io",
    "leases",
    namespace=NAMESPACE,
    annotations={"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": LEASE_REASON},
)
IDLE = Right(OWN, "leases.coordination.k8s.io", "get")


def test_an_operator_that_uses_what_it_was_given_and_no_more_is_fine() -> None:
    assert rights.findings(OPERATOR, found(*EVERY_REQUEST, LEASE), {}) == []


def test_a_right_too_many_is_told_with_what_to_do() -> None:
    told = rights.findings(OPERATOR, found(*EVERY_REQUEST), {})
    assert told == [f"never used: take it out of the chart, or test what needs it: {IDLE}"]


def test_a_right_that_another_test_uses_is_not_told_until_these_use_it_too() -> None:
    elsewhere = {IDLE: "only a first installation creates it"}
    assert rights.findings(OPERATOR, found(*EVERY_REQUEST), elsewhere) == []
    told = rights.findings(OPERATOR, found(*EVERY_REQUEST, LEASE), elsewhere)
    assert told == [f"said to be used elsewhere only, and used here: {IDLE}"]


def at(event: dict[str, Any], moment: datetime) -> str:
    return json.dumps(event | {"requestReceivedTimestamp": moment.isoformat()}) + "\n"


def test_a_log_is_read_from_a_moment_on_across_its_files_and_without_a_line_that_is_not_finished(
    tmp_path: Path,
) -> None:
    log, minute = tmp_path / "audit.log", timedelta(minutes=1)
    (tmp_path / "audit-2026-11-20T09-00-00.000.log").write_text(
        at(asked("list", "", "before"), NOW - minute) + at(asked("list", "", "first"), NOW)
    )
    other = asked("list", "", "others") | {"user": {"username": "ada"}, "requestURI": USER}
    log.write_text(at(other, NOW) + at(asked("list", "", "second"), NOW + minute) + '{"user": "' + USER)
    resources = [event["objectRef"]["resource"] for event in rights.events(log, NOW, USER)]
    assert resources == ["first", "second"]


def test_a_log_whose_beginning_is_gone_is_no_proof(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    (tmp_path / "audit-2026-11-20T09-00-00.000.log").write_text(at(asked("list", "", "pods"), NOW))
    log.write_text(at(asked("list", "", "pods"), NOW))
    with pytest.raises(rights.LogIncomplete, match="thrown away"):
        list(rights.events(log, NOW - timedelta(hours=1), USER))
    assert len(list(rights.events(log, NOW, USER))) == 2
