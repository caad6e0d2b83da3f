"""The how-to about approvals is true: its manifests apply, and do what it says they do."""

import re
from pathlib import Path

import pytest
import yaml

from tests.api.governance.people import API, RBAC, Guarded, Manifest, Person, an_override

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "set-up-approvals.md"
NAMESPACE = "lending"
COLLECTIONS = {"RoleBinding": "rolebindings", "Role": "roles"}


def manifests() -> dict[str, Manifest]:
    """Everything of the page that can be applied, by kind and name."""
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    documents = [document for block in blocks for document in yaml.safe_load_all(block)]
    return {f"{each['kind']}/{each.get('metadata', {}).get('name', '')}": each for each in documents if "kind" in each}


@pytest.fixture(scope="session")
def lending(guarded: Guarded) -> None:
    """The namespace, with the bindings of the page in force; for the session, as the server is."""
    guarded.server.namespace(NAMESPACE)
    for manifest in manifests().values():
        if manifest["kind"] in COLLECTIONS:
            guarded.apply(
                f"{RBAC}/namespaces/{NAMESPACE}/{COLLECTIONS[manifest['kind']]}/{manifest['metadata']['name']}",
                manifest,
            )
    # The authorizer hears of roles and of bindings in their order: whoever comes after all of them comes last.
    guarded.grant(
        guarded.person("last"), NAMESPACE, {"apiGroups": ["example.com"], "resources": ["x"], "verbs": ["get"]}
    )


@pytest.fixture
def grace(guarded: Guarded, lending: None) -> Person:
    return guarded.person("grace@example.com")


APPROVALS = f"{API}/namespaces/{NAMESPACE}/modelapprovals"


def test_the_approval_of_the_page_is_the_risk_officers_to_make(grace: Person, guarded: Guarded) -> None:
    approval = manifests()["ModelApproval/credit-risk-v8-risk"]
    assert (
        "spec.approver is 'grace@example.com'"
        in guarded.person("x", "risk-officers").create(APPROVALS, approval).message
    )
    answer = grace.create(APPROVALS, approval)
    assert answer.accepted, answer.message


def test_the_rejection_of_the_page_is_that_of_who_is_on_call(guarded: Guarded, lending: None) -> None:
    olga = guarded.person("olga@example.com", "on-call")
    answer = olga.create(APPROVALS, manifests()["ModelApproval/credit-risk-v8-stop"])
    assert answer.accepted, answer.message


def test_the_glass_is_broken_by_whom_the_page_names(guarded: Guarded, lending: None) -> None:
    head = guarded.person("head-of-risk@example.com")
    answer = head.create(APPROVALS, an_override(head.name))
    assert answer.accepted, answer.message


def test_a_role_that_was_made_without_the_chart_counts(guarded: Guarded, lending: None) -> None:
    erin = guarded.person("erin@example.com")
    approval = manifests()["ModelApproval/credit-risk-v8-risk"]
    for role, accepted in (("ethics-board", True), ("risk", False)):
        own = approval | {"metadata": {"name": f"erin-{role}"}}
        answer = erin.create(APPROVALS, own | {"spec": approval["spec"] | {"approver": erin.name, "role": role}})
        assert answer.accepted is accepted, answer.message


def test_the_review_of_the_page_says_that_the_risk_officer_may(guarded: Guarded, lending: None) -> None:
    review = manifests()["SubjectAccessReview/"]
    answer = guarded.server.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    assert answer.body["status"]["allowed"] is True


@pytest.mark.parametrize(
    ("name", "group", "says"),
    [
        ("nosy", "", "'nosy' may not approve in the role 'risk' in namespace 'lending'"),
        ("kubernetes-admin", "system:masters", "'kubernetes-admin' is in the group system:masters"),
        ("system:serviceaccount:lending:ci", "", "is an account of a machine or of the cluster"),
        ("root", "", "'root' has the right to decide in every role"),
    ],
    ids=["no binding", "an administrator's certificate", "a pipeline", "wildcards"],
)
def test_refusals_are_worded_as_the_page_has_them(
    guarded: Guarded, lending: None, name: str, group: str, says: str
) -> None:
    person = guarded.person(name, group)
    guarded.grant(
        person, NAMESPACE, {"apiGroups": ["modelward.dev"], "resources": ["modelapprovals"], "verbs": ["create"]}
    )
    if name == "root":
        guarded.bind_everywhere(person, "cluster-admin")
    approval = manifests()["ModelApproval/credit-risk-v8-risk"]
    answer = person.create(
        APPROVALS, approval | {"metadata": {"name": "x"}, "spec": approval["spec"] | {"approver": name}}
    )
    assert answer.code == 403 and says in answer.message
    quoted = says.replace(f"'{name}'", "'y'")
    assert quoted in PAGE.read_text("utf-8")
