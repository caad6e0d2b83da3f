"""Every step is on record before it is done, once, whatever happens to the operator in between."""

from dataclasses import replace

from modelward.api.model_audit_record import ModelAuditRecordSpec
from modelward.api.status import AuditHead, ModelStatus
from modelward.governance.chain import document_of, verify
from modelward.governance.reconstruction import carried_out
from modelward.lifecycle.plan import Plan
from tests.unit.lifecycle.builders import ERRORS, Given, model, policy
from tests.unit.lifecycle.test_decisions import waiting


def recorded(given: Given, *records: ModelAuditRecordSpec) -> Given:
    """What is in the cluster after the records were created, and nothing else was done."""
    return given._with(chain=(*given.s.chain, *records))


def done(given: Given, plan: Plan) -> Given:
    """Records and status are written, as after a whole reconcile."""
    given = recorded(given, *plan.records).after(plan)
    told = given.s.status.audit
    return given._with(chain=tuple(record for record in given.s.chain if told is None or record.seq > told.seq))


def ready_to_go_on() -> Given:
    return model().serving("v7").canary("v8", weight=10).gate("errors", "Pass", figure=0.001, bound=0.005)


def test_a_step_is_recorded_with_the_weights_after_it_and_the_verdicts_it_rests_on() -> None:
    plan = ready_to_go_on().decide()
    [record] = plan.records
    assert (record.seq, record.prev_hash, record.action, record.actor) == (1, "", "WeightChanged", "modelward")
    assert {weight.version: weight.percent for weight in record.weights} == {"v7": 50, "v8": 50}
    assert [(gate.name, gate.result, gate.figure, gate.bound) for gate in record.gates] == [
        ("errors", "Pass", 0.001, 0.005)
    ]
    assert record.version_digest.startswith("sha256:")
    assert record.policy is not None
    assert record.policy.name == "steady"
    assert plan.status.audit is not None
    assert (plan.status.audit.seq, plan.status.audit.hash) == (1, record.hash)


def test_a_look_that_changes_nothing_writes_no_record() -> None:
    at_rest = model().serving("v7")
    plan = at_rest.decide()
    assert plan.records == ()
    assert plan.status.audit is None


def test_the_start_of_a_rollout_keeps_what_an_examiner_asks_for_years_later() -> None:
    given = model().serving("v7").version("v8", more={"builtBy": ["ada"]}).requests("v8").evaluated("v8", auc=0.9)
    [record] = given.decide().records
    assert record.action == "RolloutStarted"
    assert record.details["version"]["builtBy"] == ["ada"]
    assert "serving" not in record.details["version"]
    assert record.details["policy"]["stages"]["canary"]["gates"][0]["name"] == ERRORS["name"]
    assert record.details["evaluations"][0]["metrics"] == [{"name": "auc", "value": 0.9}]


def test_a_decision_of_a_person_is_a_record_in_that_person_s_name() -> None:
    records = waiting().decided("Approve", by="rita").decide().records
    assert [(record.action, record.actor) for record in records] == [
        ("DecisionRecorded", "rita"),
        ("StageEntered", "modelward"),
    ]
    heard, entered = records
    assert [approval.approver for approval in heard.approvals] == ["rita"]
    assert [approval.approver for approval in entered.approvals] == ["rita"], "the step names the approvals it rests on"


def test_an_approval_that_does_not_count_is_on_record_and_in_no_step() -> None:
    given = waiting().decided("Approve", by="ada").decided("Approve", by="rita")
    *heard, entered = given.decide().records
    assert {record.actor for record in heard} == {"ada", "rita"}
    assert (entered.action, [approval.approver for approval in entered.approvals]) == ("StageEntered", ["rita"])


def test_a_whole_rollout_is_one_chain() -> None:
    given, chain = waiting().decided("Approve", by="rita"), []
    for _ in range(6):
        plan = given.decide()
        chain += plan.records
        given = done(given, plan).later(minutes=1)
    assert len(chain) >= 2
    assert verify([document_of(record) for record in chain]) == ()


def test_an_operator_killed_before_the_status_adopts_the_record_it_wrote() -> None:
    given = ready_to_go_on()
    plan = given.decide()
    again = recorded(given, *plan.records).later(seconds=20).decide()
    assert again.records == ()
    assert again.status.audit == plan.status.audit
    assert again.status.rollout is not None
    assert again.status.rollout.step == 1


def test_an_operator_killed_between_two_records_writes_only_the_second() -> None:
    given = waiting().decided("Approve", by="rita")
    first, second = given.decide().records
    [rest] = recorded(given, first).decide().records
    assert (rest.seq, rest.action, rest.prev_hash) == (2, second.action, first.hash)


def test_what_was_announced_and_is_not_done_is_taken_back_on_the_record() -> None:
    given = ready_to_go_on()
    plan = given.decide()
    otherwise = recorded(given, *plan.records).status(gates=()).gate("errors", "Fail").later(seconds=20).decide()
    taken_back, latched = otherwise.records
    assert (taken_back.action, taken_back.seq) == ("NotCarriedOut", 2)
    assert "Record 1 announced what was not carried out" in taken_back.message
    assert {weight.version: weight.percent for weight in taken_back.weights} == {"v7": 90, "v8": 10}
    assert (latched.action, latched.prev_hash) == ("RolledBack", taken_back.hash)


def test_an_announcement_that_nothing_follows_is_taken_back_too() -> None:
    given = ready_to_go_on()
    plan = given.decide()
    [taken_back] = recorded(given, *plan.records).suspended().decide().records
    assert taken_back.action == "NotCarriedOut"


def test_a_model_made_anew_continues_the_chain_of_its_name() -> None:
    first = ready_to_go_on()
    left = first.decide().records
    metadata = first.s.model.metadata.model_copy(update={"uid": "uid-2"})
    anew = recorded(first._with(model=first.s.model.model_copy(update={"metadata": metadata})), *left)
    [record] = anew.decide().records
    assert (record.seq, record.prev_hash) == (2, left[0].hash)


def test_a_split_that_changes_without_a_step_is_on_record() -> None:
    given = model().serving("v7").canary("v8", weight=10, ready=2).gate("errors", "Unknown")
    lost = given._with(
        versions={**given.s.versions, "v8": replace(given.s.versions["v8"], service_exists=False)}
    ).decide()
    [record] = lost.records
    assert record.action == "TrafficChanged"
    assert {weight.version: weight.percent for weight in record.weights} == {"v7": 100}


def test_the_record_of_one_person_s_decision_is_not_taken_for_that_of_another() -> None:
    """Killed after rita's approval was on record; her object is deleted meanwhile, and ruth approves."""
    two = waiting({"role": "risk", "count": 2})
    [first] = two.decided("Approve", by="rita").decide().records
    otherwise = recorded(two.decided("Approve", by="ruth"), first).decide()
    assert [(record.action, record.actor) for record in otherwise.records] == [
        ("NotCarriedOut", "modelward"),
        ("DecisionRecorded", "ruth"),
    ]


def test_a_rollout_that_starts_under_another_policy_than_was_announced_is_announced_anew() -> None:
    given = model().serving("v7").version("v8").requests("v8")
    [announced] = given.decide().records
    changed = recorded(given.under(policy(canary__approvals=[{"role": "risk"}])), announced).decide()
    taken_back, started = changed.records
    assert (taken_back.action, started.action) == ("NotCarriedOut", "RolloutStarted")
    assert started.policy != announced.policy


def test_what_was_taken_back_and_is_decided_again_is_on_record_again() -> None:
    """Killed three times: it was to go on, then to fail, then to go on after all."""
    going_on = ready_to_go_on()
    [first] = going_on.decide().records
    failing = recorded(going_on, first).status(gates=()).gate("errors", "Fail")
    taken_back, failed = failing.decide().records
    last = recorded(going_on, first, taken_back, failed).decide()
    chain = (first, taken_back, failed, *last.records)
    assert [record.action for record in carried_out(chain)][-1] == "WeightChanged"
    assert verify([document_of(record) for record in chain]) == ()
    assert last.status.audit is not None
    assert last.status.audit.seq == chain[-1].seq


def test_an_operator_killed_after_it_took_something_back_adopts_what_it_wrote_then() -> None:
    failing = ready_to_go_on()
    [first] = failing.decide().records
    failing = recorded(failing, first).status(gates=()).gate("errors", "Fail")
    plan = failing.decide()
    again = recorded(failing, *plan.records).decide()
    assert again.records == ()
    assert again.status.audit == plan.status.audit


def test_a_memory_that_was_lost_takes_nothing_back_that_was_done() -> None:
    """The status is gone, and what it stood for is not: pods run."""
    given = ready_to_go_on()
    plan = given.decide()
    lost = recorded(given, *plan.records)._with(status=ModelStatus())
    assert all(record.action != "NotCarriedOut" for record in lost.decide().records)
    [record] = lost.decide().records
    assert record.prev_hash == plan.records[-1].hash


def test_only_approvals_that_count_are_given_as_grounds() -> None:
    given = waiting({"role": "risk", "count": 2}).decided("Approve", by="rita").decided("Approve", by="ada")
    given = given.decided("Approve", by="ruth").decided("Override", by="ada", subjectDigest="sha256:" + "0" * 64)
    entered = given.decide().records[-1]
    assert entered.action == "StageEntered"
    assert sorted(approval.approver for approval in entered.approvals) == ["rita", "ruth"]


def test_who_is_who_is_no_part_of_a_record() -> None:
    people = {"people": [{"name": "ada", "usernames": ["ada"], "identities": ["ada@example.com"]}]}
    under = policy(spec__identityMap=people)
    [record] = model().under(under).serving("v7").version("v8").requests("v8").decide().records
    assert record.details["policy"]["stages"]
    assert "identityMap" not in record.details["policy"]


def test_the_end_of_a_model_s_traffic_is_recorded_as_such() -> None:
    [record] = model().serving("v7").deleted().decide().records
    assert record.weights == ()
    assert "deleted" in record.message


def test_a_record_far_ahead_that_continues_nothing_does_not_move_the_chain() -> None:
    """Whoever could write one, while the admission policies were not in place, would bring the chain to its last number."""
    given = ready_to_go_on()
    [first] = given.decide().records
    far = first.model_copy(update={"seq": 99_999_999})
    known = given.status(audit=AuditHead(seq=first.seq, hash=first.hash))
    [record] = recorded(known, far).decide().records
    assert (record.seq, record.action) == (2, "WeightChanged")
