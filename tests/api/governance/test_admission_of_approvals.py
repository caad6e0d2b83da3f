"""Who may decide: each attempt to forge an approval is a test that names it, against a real API server with real users."""

import time
from pathlib import Path

import pytest
import yaml

from tests.api.conftest import PATIENCE, Answer
from tests.api.governance.people import API, RBAC, Guarded, Manifest, Person, a_rejection, an_approval, an_override

ROLE = {"apiGroups": ["modelward.dev"], "resources": ["approvalroles"]}
CREATE = {"apiGroups": ["modelward.dev"], "resources": ["modelapprovals"], "verbs": ["create"]}
ALL_OF_MODELWARD = {"apiGroups": ["modelward.dev"], "resources": ["*"], "verbs": ["*"]}


@pytest.fixture
def grace(guarded: Guarded, namespace: str) -> Person:
    """The risk officer of the namespace."""
    person = guarded.person("grace@example.com")
    guarded.bind(person, namespace, "modelward-approver-risk")
    return person


@pytest.fixture
def path(namespace: str) -> str:
    return f"{API}/namespaces/{namespace}/modelapprovals"


def assert_refused(answer: Answer, *words: str) -> None:
    assert answer.code == 403, answer
    for word in ("modelward-approvals", *words):
        assert word in answer.message


# Those who may.


@pytest.mark.parametrize("decision", ["Approve", "Reviewed", "Exception", "Reject"])
def test_the_risk_officer_decides_as_risk(grace: Person, path: str, decision: str) -> None:
    more: Manifest = {
        "Approve": {},
        "Reviewed": {"version": None, "subjectDigest": None},
        "Exception": {"version": None, "reason": "A pilot.", "expiresAt": "2099-01-01T00:00:00Z", "tier": "Low"},
        "Reject": {"subjectDigest": None, "reason": "It discriminates."},
    }[decision]
    answer = grace.create(path, an_approval(grace.name, decision=decision, **more))
    assert answer.accepted, answer.message


def test_who_is_on_call_rejects_and_may_do_nothing_else(guarded: Guarded, namespace: str, path: str) -> None:
    person = guarded.person("olga")
    guarded.bind(person, namespace, "modelward-rejecter-risk")
    assert person.create(path, a_rejection("olga")).accepted
    assert_refused(person.create(path, an_approval("olga")), "'olga' may not approve in the role 'risk'")
    assert_refused(person.create(path, an_override("olga")), "'olga' may not override in the role 'risk'")


def test_breaking_the_glass_takes_a_right_of_its_own(
    guarded: Guarded, namespace: str, path: str, grace: Person
) -> None:
    assert_refused(grace.create(path, an_override(grace.name)), "may not override in the role 'risk'")
    chief = guarded.person("chief")
    guarded.bind(chief, namespace, "modelward-overrider-risk")
    assert chief.create(path, an_override("chief")).accepted
    assert_refused(chief.create(path, an_approval("chief")), "may not approve")


def test_a_right_to_every_verb_on_a_named_role_is_a_right_that_was_given(
    guarded: Guarded, namespace: str, path: str
) -> None:
    person = guarded.person("head-of-risk")
    guarded.grant(person, namespace, CREATE, ROLE | {"resourceNames": ["risk"], "verbs": ["*"]})
    assert person.create(path, an_approval("head-of-risk")).accepted
    assert person.create(path, an_override("head-of-risk")).accepted


# Those who may not.


def test_attack_approving_in_the_name_of_another(guarded: Guarded, namespace: str, path: str, grace: Person) -> None:
    mallory = guarded.person("mallory")
    guarded.bind(mallory, namespace, "modelward-approver-risk")
    assert_refused(
        mallory.create(path, an_approval(grace.name)),
        "spec.approver is 'grace@example.com' and you are 'mallory'",
        "write your own",
    )


@pytest.mark.parametrize("name", ["Grace@example.com", "grace@example.com ", "grace@exаmple.com", "ɡrace@example.com"])
def test_attack_a_name_that_looks_like_ones_own(grace: Person, path: str, name: str) -> None:
    assert_refused(grace.create(path, an_approval(name)))


def test_attack_a_builder_without_the_role(guarded: Guarded, namespace: str, path: str) -> None:
    ada = guarded.person("ada@example.com")
    guarded.bind(ada, namespace, "modelward-edit")
    assert ada.create(path, an_approval(ada.name)).code == 403  # by RBAC: he cannot create the kind
    guarded.grant(ada, namespace, CREATE)
    assert_refused(
        ada.create(path, an_approval(ada.name)),
        "'ada@example.com' may not approve in the role 'risk'",
        namespace,
        "approvalroles.modelward.dev with resourceNames ['risk']",
    )


def test_a_builder_who_has_the_role_passes_the_door_because_separation_of_duties_is_decided_inside(
    guarded: Guarded, namespace: str, path: str
) -> None:
    ada = guarded.person("ada@example.com")
    guarded.bind(ada, namespace, "modelward-approver-risk")
    assert ada.create(path, an_approval(ada.name)).accepted


@pytest.mark.parametrize("resources", [["modelapprovals"], ["modelapprovals", "models", "modelversions"]])
def test_attack_an_editor_of_the_namespace_with_every_verb(
    guarded: Guarded, namespace: str, path: str, resources: list[str]
) -> None:
    editor = guarded.person("editor")
    guarded.grant(editor, namespace, {"apiGroups": ["modelward.dev"], "resources": resources, "verbs": ["*"]})
    assert_refused(editor.create(path, an_approval("editor")), "'editor' may not approve")


@pytest.mark.parametrize(
    "rule",
    [
        ALL_OF_MODELWARD,
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        ROLE | {"verbs": ["approve"]},
        ROLE | {"verbs": ["*"]},
        ROLE | {"verbs": ["approve"], "resourceNames": ["risk", "modelward-nobody"]},
    ],
    ids=["all of the group", "all", "approve without names", "every verb without names", "also nobody's role"],
)
def test_attack_an_editor_of_the_namespace_with_wildcards(
    guarded: Guarded, namespace: str, path: str, rule: Manifest
) -> None:
    editor = guarded.person("editor")
    guarded.grant(editor, namespace, CREATE, rule)
    answer = editor.create(path, an_approval("editor"))
    assert_refused(
        answer, "'editor' has the right to decide in every role", "use an account whose rights name the role"
    )


def test_attack_wildcards_beside_the_role_itself(guarded: Guarded, namespace: str, path: str) -> None:
    both = guarded.person("both")
    guarded.bind(both, namespace, "modelward-approver-risk")
    guarded.grant(both, namespace, ALL_OF_MODELWARD)
    for manifest in (an_approval("both"), a_rejection("both"), an_override("both")):
        assert_refused(both.create(path, manifest), "has the right to decide in every role")


def test_attack_a_service_account_with_the_role(guarded: Guarded, namespace: str, path: str) -> None:
    """The pipeline's, or one that a namespace's editor made for himself."""
    account = guarded.person(f"system:serviceaccount:{namespace}:pipeline", "system:serviceaccounts")
    guarded.bind(account, namespace, "modelward-approver-risk")
    assert_refused(
        account.create(path, an_approval(account.name)), "is an account of a machine", "create it as yourself"
    )


def test_attack_the_operators_own_account(operator: Person, guarded: Guarded, namespace: str, path: str) -> None:
    guarded.bind(operator, namespace, "modelward-approver-risk")
    assert_refused(operator.create(path, an_approval(operator.name)), "is an account of a machine")


def test_attack_a_cluster_admin(guarded: Guarded, path: str) -> None:
    admin = guarded.person("cluster-admin")
    guarded.bind_everywhere(admin, "cluster-admin")
    for manifest in (an_approval(admin.name), a_rejection(admin.name), an_override(admin.name)):
        assert_refused(admin.create(path, manifest), "has the right to decide in every role")


def test_attack_a_member_of_system_masters(guarded: Guarded, path: str) -> None:
    master = guarded.person("kubernetes-admin", "system:masters")
    for manifest in (an_approval(master.name), a_rejection(master.name), an_override(master.name)):
        assert_refused(master.create(path, manifest), "is in the group system:masters")


def test_attack_a_role_that_nobody_declared(grace: Person, path: str) -> None:
    answer = grace.create(path, an_approval(grace.name, role="made-up"))
    assert_refused(answer, "may not approve in the role 'made-up'")


@pytest.mark.parametrize("role", ["modelward-nobody", "*", "", "risk/../made-up", "RISK"])
def test_attack_a_role_with_a_special_name(grace: Person, path: str, role: str) -> None:
    assert not grace.create(path, an_approval(grace.name, role=role)).accepted


def test_attack_a_right_of_another_namespace(guarded: Guarded, grace: Person) -> None:
    elsewhere = guarded.server.namespace()
    guarded.grant(grace, elsewhere, CREATE)
    answer = grace.create(f"{API}/namespaces/{elsewhere}/modelapprovals", an_approval(grace.name))
    assert_refused(answer, f"may not approve in the role 'risk' in namespace '{elsewhere}'")


def test_attack_a_rejection_without_its_verb(guarded: Guarded, namespace: str, path: str) -> None:
    chief = guarded.person("chief")
    guarded.bind(chief, namespace, "modelward-overrider-risk")
    assert_refused(chief.create(path, a_rejection("chief")), "'chief' may not reject in the role 'risk'")


def test_attack_an_administrator_of_the_namespace_appoints_himself(guarded: Guarded, namespace: str) -> None:
    """He may bind roles in his namespace, but only such as he has himself."""
    admin = guarded.person("namespace-admin")
    rules = [{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["*"]}]
    guarded.grant(admin, namespace, CREATE, *(rule | {"verbs": ["create", "get", "update"]} for rule in rules))
    group = "rbac.authorization.k8s.io"
    manifest = {
        "metadata": {"name": "appointed"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "modelward-approver-risk"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": admin.name}],
    }
    answer = admin.create(f"{RBAC}/namespaces/{namespace}/rolebindings", manifest)
    assert answer.code == 403 and "attempting to grant RBAC permissions not currently held" in answer.message


def test_attack_an_approval_in_the_name_of_another_by_an_apply(
    guarded: Guarded, namespace: str, path: str, grace: Person
) -> None:
    """Server-side apply creates what is not there."""
    mallory = guarded.person("mallory")
    guarded.bind(mallory, namespace, "modelward-approver-risk")
    guarded.grant(mallory, namespace, {**CREATE, "verbs": ["patch"]})

    def applied(approver: str) -> Answer:
        manifest = an_approval(approver)
        own = f"{path}/{manifest['metadata']['name']}?fieldManager=x"
        return mallory.request("PATCH", own, manifest, content_type="application/apply-patch+yaml")

    assert_refused(applied(grace.name), "nobody decides in another's name")
    assert applied("mallory").accepted


# Changes.


def test_attack_an_approval_is_updated(grace: Person, guarded: Guarded, namespace: str, path: str) -> None:
    guarded.grant(grace, namespace, {**CREATE, "verbs": ["get", "update", "patch"]})
    manifest = an_approval(grace.name)
    own = f"{path}/{manifest['metadata']['name']}"
    assert grace.create(path, manifest).accepted
    for change in (
        {"spec": {"version": "v9"}},
        {"spec": {"subjectDigest": "sha256:" + "00" * 32}},
        {"metadata": {"labels": {"modelward.dev/model": "other"}}},
        {"metadata": {"annotations": {"note": "x"}}},
        {"metadata": {"finalizers": ["example.com/keep"]}},
        {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "1"}]}},
    ):
        answer = grace.patch(own, change)
        assert not answer.accepted, change
        assert "create another" in answer.message
    assert grace.patch(own, {}).accepted  # an apply of the same manifest


def test_deletion_and_garbage_collection_of_an_approval_still_work(
    grace: Person, guarded: Guarded, namespace: str, path: str
) -> None:
    """The collector takes finalizers and owners away; nothing else may change while it does."""
    manifest = an_approval(grace.name)
    manifest["metadata"] |= {
        "finalizers": ["example.com/keep"],
        "ownerReferences": [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": name, "blockOwnerDeletion": True}
            for name in ("a", "b")
        ],
    }
    own = f"{path}/{manifest['metadata']['name']}"
    assert grace.create(path, manifest).accepted
    collector = guarded.person("system:serviceaccount:kube-system:generic-garbage-collector", "system:serviceaccounts")
    guarded.bind_everywhere(collector, "system:controller:generic-garbage-collector")
    owners = manifest["metadata"]["ownerReferences"]
    unblocked = {"metadata": {"ownerReferences": [owner | {"blockOwnerDeletion": False} for owner in owners]}}
    assert collector.patch(own, unblocked).accepted
    assert collector.patch(own, {"metadata": {"ownerReferences": owners[:1]}}).accepted
    assert collector.request("DELETE", own, {"propagationPolicy": "Foreground"}).accepted
    assert collector.patch(own, {"metadata": {"finalizers": ["foregroundDeletion"]}}).accepted
    assert not collector.patch(own, {"metadata": {"finalizers": None, "labels": {"a": "b"}}}).accepted
    assert collector.patch(own, {"metadata": {"finalizers": None}}).accepted
    limit = time.monotonic() + PATIENCE
    while guarded.server.request("GET", own).code != 404:
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_attack_a_rejection_is_deleted_before_the_operator_can_have_seen_it(
    guarded: Guarded, grace: Person, namespace: str, path: str
) -> None:
    guarded.grant(grace, namespace, {**CREATE, "verbs": ["delete"]})
    rejection, approval = a_rejection(grace.name), an_approval(grace.name)
    for manifest in (rejection, approval):
        assert grace.create(path, manifest).accepted
    rejected, approved = (f"{path}/{each['metadata']['name']}" for each in (rejection, approval))
    editor, master = guarded.person("editor"), guarded.person("kubernetes-admin", "system:masters")
    guarded.grant(editor, namespace, ALL_OF_MODELWARD)
    for attacker in (editor, master):
        answer = attacker.request("DELETE", rejected)
        assert_refused(
            answer, "a rejection is deleted by nobody but 'grace@example.com'", "raise spec.production.retry"
        )
    assert_refused(editor.request("DELETE", path))
    assert master.request("DELETE", approved).code in (200, 404)  # the collection's deletion may have come so far
    assert grace.request("DELETE", rejected).accepted


def test_a_namespace_takes_its_rejections_with_it(
    guarded: Guarded, grace: Person, namespace_controller: Person, namespace: str, path: str
) -> None:
    assert grace.create(path, a_rejection(grace.name)).accepted
    assert guarded.server.request("DELETE", f"/api/v1/namespaces/{namespace}").accepted
    assert namespace_controller.request("DELETE", path).accepted
    assert guarded.server.request("GET", path).body["items"] == []


def test_kubectl_lists_the_roles_in_which_one_may_decide(grace: Person, namespace: str) -> None:
    """Of a single role it cannot ask: no server has a kind approvalroles, and kubectl then drops the group."""
    table = grace.kubectl("auth", "can-i", "--list", "--namespace", namespace).stdout
    (line,) = (line for line in table.splitlines() if line.startswith("approvalroles.modelward.dev"))
    assert " ".join(line.split()) == "approvalroles.modelward.dev [] [risk] [approve reject]"


def test_kubectl_tries_an_approval_without_making_it(grace: Person, namespace: str, path: str, tmp_path: Path) -> None:
    for role, says in (("risk", "(server dry run)"), ("made-up", "may not approve in the role 'made-up'")):
        manifest = an_approval(grace.name, role=role)
        (tmp_path / "approval.yaml").write_text(yaml.safe_dump(manifest))
        tried = grace.kubectl("create", "--dry-run=server", "-n", namespace, "-f", str(tmp_path / "approval.yaml"))
        assert says in tried.stdout + tried.stderr
        assert grace.request("GET", f"{path}/{manifest['metadata']['name']}").code == 404
