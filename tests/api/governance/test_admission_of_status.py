"""What is written by the operator alone: status and audit records, whatever rights others have. And evaluations, by their authors."""

import time

import pytest

from tests.api.conftest import PATIENCE, Answer
from tests.api.governance.people import (
    API,
    OPERATOR,
    Guarded,
    Manifest,
    Person,
    a_record,
    an_approval,
    an_evaluation,
)

WILDCARDS = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
MODEL = {"apiVersion": "modelward.dev/v1alpha1", "kind": "Model", "metadata": {"name": "churn"}, "spec": {}}
SERVING = {"version": "v8", "digest": "sha256:" + "4f" * 32, "since": "2026-11-01T09:00:00Z"}
FORGED = {"status": {"production": SERVING}}


@pytest.fixture
def editor(guarded: Guarded, namespace: str) -> Person:
    """May do everything in the namespace, as editors of namespaces often may."""
    person = guarded.person("editor")
    guarded.grant(person, namespace, WILDCARDS)
    return person


@pytest.fixture
def admin(guarded: Guarded) -> Person:
    person = guarded.person("cluster-admin")
    guarded.bind_everywhere(person, "cluster-admin")
    return person


@pytest.fixture
def master(guarded: Guarded) -> Person:
    return guarded.person("kubernetes-admin", "system:masters")


@pytest.fixture(params=["editor", "admin", "master"])
def attacker(request: pytest.FixtureRequest) -> Person:
    """One with wildcards in the namespace, one with wildcards everywhere, one whom no authorizer is asked about."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def records(namespace: str) -> str:
    return f"{API}/namespaces/{namespace}/modelauditrecords"


def assert_refused(answer: Answer, *words: str, policy: str = "modelward-status") -> None:
    assert answer.code == 403, answer
    for word in (policy, *words):
        assert word in answer.message


# Status.


def test_the_operator_writes_status(operator: Person, guarded: Guarded, namespace: str) -> None:
    model = f"{API}/namespaces/{namespace}/models"
    created = guarded.server.request("POST", model, MODEL)
    answer = operator.request("PUT", f"{model}/churn/status", created.body | FORGED)
    assert answer.accepted, answer.message
    assert answer.body["status"]["production"]["version"] == "v8"


def test_attack_a_patched_status_of_a_model(attacker: Person, guarded: Guarded, namespace: str) -> None:
    model = f"{API}/namespaces/{namespace}/models"
    assert guarded.server.request("POST", model, MODEL).accepted
    answer = attacker.patch(f"{model}/churn/status", FORGED)
    assert_refused(
        answer, f"status of models.modelward.dev is written by the operator '{OPERATOR}' alone", attacker.name
    )
    stored = guarded.server.request("GET", f"{model}/churn").body
    assert attacker.request("PUT", f"{model}/churn/status", stored | FORGED).code == 403


UNSEEN = {"observedGeneration": -1}
"""What the API server itself gives to a Model that the operator has not seen."""


def test_attack_a_status_slipped_in_with_the_spec_is_dropped(attacker: Person, namespace: str) -> None:
    model = f"{API}/namespaces/{namespace}/models"
    created = attacker.create(model, MODEL | FORGED)
    assert created.accepted and created.body["status"] == UNSEEN
    patched = attacker.patch(f"{model}/churn", {"spec": {"suspend": True}} | FORGED)
    assert patched.accepted and patched.body["status"] == UNSEEN


def test_attack_a_patched_status_of_every_kind(master: Person, guarded: Guarded, namespace: str) -> None:
    grace = guarded.person("grace")
    guarded.bind(grace, namespace, "modelward-approver-risk")
    approval, evaluation = an_approval("grace"), an_evaluation(master.name)
    within = f"{API}/namespaces/{namespace}"
    assert grace.create(f"{within}/modelapprovals", approval).accepted
    assert master.create(f"{within}/modelevaluations", evaluation).accepted
    for path in (
        f"{within}/modelapprovals/{approval['metadata']['name']}/status",
        f"{within}/modelevaluations/{evaluation['metadata']['name']}/status",
        f"{API}/lifecyclepolicies/low/status",
    ):
        assert_refused(master.patch(path, {"status": {}, "metadata": {"labels": {"a": "b"}}}), "status of ")


def test_a_team_writes_its_models_with_the_charts_rights(guarded: Guarded, namespace: str) -> None:
    ada = guarded.person("ada")
    guarded.bind(ada, namespace, "modelward-edit")
    model = f"{API}/namespaces/{namespace}/models"
    assert ada.create(model, MODEL).accepted
    assert ada.patch(f"{model}/churn", {"spec": {"suspend": True}}).accepted
    assert ada.request("DELETE", f"{model}/churn").accepted
    assert ada.patch(f"{API}/lifecyclepolicies/low", {"spec": {}}).code == 403


# Audit records.


def test_attack_an_audit_record_is_made_up(attacker: Person, records: str) -> None:
    answer = attacker.create(records, a_record())
    assert_refused(
        answer, f"modelauditrecords.modelward.dev is written by the operator '{OPERATOR}' alone", attacker.name
    )


def test_attack_an_audit_record_is_changed_or_deleted(attacker: Person, operator: Person, records: str) -> None:
    record = a_record()
    written = operator.create(records, record)
    assert written.accepted, written.message
    own = f"{records}/{record['metadata']['name']}"
    for change in ({"metadata": {"labels": {"modelward.dev/model": "other"}}}, {"spec": {"actor": "nobody"}}):
        assert not attacker.patch(own, change).accepted
    assert_refused(attacker.patch(own, {"metadata": {"finalizers": None, "annotations": {"a": "b"}}}))
    assert_refused(attacker.request("DELETE", own), attacker.name)
    assert_refused(attacker.request("DELETE", records), attacker.name)
    assert operator.request("GET", own).body["metadata"]["uid"] == written.body["metadata"]["uid"]


def test_the_operator_prunes_audit_records(operator: Person, guarded: Guarded, records: str) -> None:
    record = a_record()
    assert operator.create(records, record).accepted
    own = f"{records}/{record['metadata']['name']}"
    assert operator.request("DELETE", own).accepted
    assert guarded.server.request("GET", own).code == 404


def test_attack_the_namespace_controllers_name_is_no_pass_where_nothing_is_being_deleted(
    operator: Person, namespace_controller: Person, records: str
) -> None:
    record = a_record()
    assert operator.create(records, record).accepted
    assert_refused(namespace_controller.request("DELETE", f"{records}/{record['metadata']['name']}"))


def test_a_namespace_that_is_deleted_takes_its_records_with_it_and_nobody_picks_some_of_them(
    operator: Person, namespace_controller: Person, editor: Person, guarded: Guarded, namespace: str, records: str
) -> None:
    """What then remains is the export: docs/security.md says so."""
    record = a_record()
    assert operator.create(records, record).accepted
    assert guarded.server.request("DELETE", f"/api/v1/namespaces/{namespace}").accepted
    own = f"{records}/{record['metadata']['name']}"
    assert_refused(editor.request("DELETE", own))
    limit = time.monotonic() + PATIENCE
    while not (answer := namespace_controller.request("DELETE", records)).accepted:  # it tries again, as here
        assert time.monotonic() < limit, answer.message
        time.sleep(0.2)
    assert guarded.server.request("GET", own).code == 404


# Evaluations.


@pytest.mark.parametrize(
    ("name", "group"),
    [("vera", ""), ("system:serviceaccount:lending:evaluations", "system:serviceaccounts"), (OPERATOR, "")],
    ids=["a validator", "a pipeline", "a job of the operator's"],
)
def test_evaluators_write_in_their_own_name(guarded: Guarded, namespace: str, name: str, group: str) -> None:
    evaluator = guarded.person(name, group)
    guarded.bind(evaluator, namespace, "modelward-edit")
    answer = evaluator.create(f"{API}/namespaces/{namespace}/modelevaluations", an_evaluation(name))
    assert answer.accepted, answer.message


def test_attack_an_evaluation_in_the_name_of_another(attacker: Person, namespace: str) -> None:
    answer = attacker.create(f"{API}/namespaces/{namespace}/modelevaluations", an_evaluation("vera"))
    assert_refused(
        answer,
        f"spec.evaluator is 'vera' and you are '{attacker.name}'",
        "nobody evaluates in another's name",
        policy="modelward-evaluations",
    )


@pytest.mark.parametrize(
    "change",
    [{"spec": {"metrics": [{"name": "auc", "value": 0.99}]}}, {"metadata": {"labels": {"a": "b"}}}],
    ids=["figures", "labels"],
)
def test_attack_an_evaluation_is_updated(attacker: Person, namespace: str, change: Manifest) -> None:
    evaluation = an_evaluation(attacker.name)
    path = f"{API}/namespaces/{namespace}/modelevaluations"
    assert attacker.create(path, evaluation).accepted
    assert not attacker.patch(f"{path}/{evaluation['metadata']['name']}", change).accepted


def test_attack_a_bad_result_is_deleted_by_the_team_that_it_is_about(
    guarded: Guarded, attacker: Person, namespace: str
) -> None:
    path = f"{API}/namespaces/{namespace}/modelevaluations"
    vera = guarded.person("vera")
    guarded.grant(vera, namespace, WILDCARDS)
    evaluation = an_evaluation("vera")
    assert vera.create(path, evaluation).accepted
    own = f"{path}/{evaluation['metadata']['name']}"
    answer = attacker.request("DELETE", own)
    words = ("an evaluation is deleted by nobody but 'vera'", "a newer one of the same name")
    assert_refused(answer, *words, policy="modelward-evaluations")
    assert_refused(attacker.request("DELETE", path), policy="modelward-evaluations")
    assert vera.request("DELETE", own).accepted
