"""The audit chain: what is sealed is found whole, and whatever is done to it is found, with the place."""

import copy
import json
import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelward.api.model_audit_record import (
    AuditedGate,
    AuditedPolicy,
    ModelAuditRecord,
    ModelAuditRecordSpec,
)
from modelward.api.status import WeightStatus
from modelward.governance.chain import (
    LARGEST_DETAILS,
    FaultKind,
    Head,
    document_of,
    hash_of,
    head_of,
    record_name,
    same_step,
    seal,
    verify,
)
from tests.unit.governance.chains import MODEL, START, Documents, documents_of, entry, head_at

DIGEST = "sha256:" + "a" * 64

few = settings(max_examples=40, deadline=None)  # a chain has many fields: more examples find no more

texts = st.text(max_size=40)
numbers = st.floats() | st.integers() | st.floats(min_value=0.0, max_value=1.0)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(texts, children, max_size=3),
    max_leaves=8,
)
gates = st.builds(
    AuditedGate,
    name=st.just("errors"),
    result=st.sampled_from(["Pass", "Fail"]),
    figure=st.none() | numbers,
    low=st.none() | numbers,
    samples=st.none() | st.integers(min_value=0, max_value=2**53 - 1),
    message=texts,
    at=st.none() | st.datetimes(timezones=st.just(START.tzinfo)),
)
entries = st.builds(
    entry,
    action=st.sampled_from(["RolloutStarted", "WeightChanged", "Promoted"]),
    message=texts,
    version=st.sampled_from(["", "v7", "v8"]),
    weights=st.lists(st.builds(WeightStatus, version=st.just("v8"), percent=st.integers(0, 100)), max_size=2).map(
        tuple
    ),
    policy=st.none() | st.just(AuditedPolicy(name="high", digest=DIGEST)),
    gates=st.lists(gates, max_size=2).map(tuple),
    details=st.dictionaries(texts, json_values, max_size=3),
)
chains = st.lists(entries, min_size=3, max_size=6).map(documents_of)


def _through_an_api_server(document: dict[str, Any]) -> dict[str, Any]:
    """Go writes a number that is whole without a point, and up to 1e21 without an exponent."""

    def rewritten(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: rewritten(each) for key, each in value.items()}
        if isinstance(value, list):
            return [rewritten(each) for each in value]
        if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
            shortest = repr(abs(value))
            if "e" in shortest:
                mantissa, _, exponent = shortest.partition("e")
                whole, _, part = mantissa.partition(".")
                shortest = whole + part.ljust(int(exponent), "0")
            return int(shortest.removesuffix(".0")) * (-1 if value < 0 else 1)
        return value

    return dict(rewritten(json.loads(json.dumps(document))))


@few
@given(chains)
def test_a_chain_as_sealed_is_whole(documents: Documents) -> None:
    assert verify(documents, heads=[head_at(documents, 1), head_at(documents, len(documents))]) == ()


@few
@given(chains)
def test_a_chain_is_whole_after_its_way_through_an_api_server(documents: Documents) -> None:
    assert verify([_through_an_api_server(document) for document in documents]) == ()


@few
@given(entries)
def test_a_record_equals_what_is_read_back_of_it(each: Any) -> None:
    record = seal(None, each, START + timedelta(microseconds=1234567))
    stored = _through_an_api_server(document_of(record))
    read = ModelAuditRecordSpec.model_validate(stored)
    assert read.model_copy(update={"details": record.details}) == record
    assert hash_of(stored) == record.hash
    assert same_step(read, each)


@few
@given(chains, st.data())
def test_any_edit_of_any_field_is_found_at_its_record(documents: Documents, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(documents) - 1))
    edited = copy.deepcopy(documents)
    holder, key = data.draw(st.sampled_from(list(_leaves(edited[place]))))
    previous = holder[key]
    holder[key] = data.draw(
        (texts | st.integers(0, 99)).filter(lambda value: json.dumps(value) != json.dumps(previous))
    )
    if isinstance(previous, float) and isinstance(holder[key], int) and previous == holder[key]:
        return  # 1 and 1.0 are the same number in JSON
    found = verify(edited)
    assert found
    assert {fault.seq for fault in found} & {place + 1, place, place + 2, 0, edited[place]["seq"]}


@few
@given(chains, st.data())
def test_a_field_that_is_added_or_removed_is_found(documents: Documents, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(documents) - 1))
    added, removed = copy.deepcopy(documents), copy.deepcopy(documents)
    added[place]["gitRevision"] = "main"
    del removed[place][data.draw(st.sampled_from(["actor", "action", "time", "model"]))]
    assert (place + 1, FaultKind.EDITED) in [(fault.seq, fault.kind) for fault in verify(added)]
    assert (place + 1, FaultKind.EDITED) in [(fault.seq, fault.kind) for fault in verify(removed)]


@few
@given(chains, st.data())
def test_a_deletion_is_found_and_says_which_number(documents: Documents, data: st.DataObject) -> None:
    place = data.draw(st.integers(1, len(documents) - 2))
    found = verify([*documents[:place], *documents[place + 1 :]])
    assert [(fault.seq, fault.kind) for fault in found] == [(place + 1, FaultKind.MISSING)]
    assert f"record {place + 1} is missing" in found[0].sentence


@few
@given(chains, st.data())
def test_a_truncation_at_the_beginning_is_found(documents: Documents, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, len(documents) - 1))
    found = verify(documents[count:])
    assert [(fault.seq, fault.kind) for fault in found] == [(1, FaultKind.TRUNCATED)]


@few
@given(chains, st.data())
def test_a_truncation_at_the_end_is_found_by_a_head_that_is_known(documents: Documents, data: st.DataObject) -> None:
    kept = data.draw(st.integers(1, len(documents) - 1))
    found = verify(documents[:kept], heads=[head_at(documents, len(documents))])
    assert [(fault.seq, fault.kind) for fault in found] == [(kept + 1, FaultKind.TRUNCATED)]


def test_a_chain_that_is_gone_altogether_is_found_by_a_head_that_is_known() -> None:
    documents = documents_of([entry()] * 2)
    assert [fault.sentence for fault in verify([], heads=[head_at(documents, 2)])] == [
        "the chain ends with record 0, but record 2 is known from elsewhere: records 1 to 2 are missing"
    ]


@few
@given(chains, st.data())
def test_two_records_that_changed_places_are_found(documents: Documents, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(documents) - 2))
    moved = [*documents]
    moved[place], moved[place + 1] = moved[place + 1], moved[place]
    assert [(fault.seq, fault.kind) for fault in verify(moved)] == [(place + 1, FaultKind.REORDERED)]


@few
@given(chains, st.data())
def test_two_records_that_swapped_their_numbers_are_found(documents: Documents, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(documents) - 2))
    moved = copy.deepcopy(documents)
    moved[place]["seq"], moved[place + 1]["seq"] = moved[place + 1]["seq"], moved[place]["seq"]
    assert {place + 1, place + 2} <= {fault.seq for fault in verify(moved)}


@few
@given(chains, st.data())
def test_a_record_that_is_there_twice_is_found(documents: Documents, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(documents) - 1))
    found = verify([*documents[: place + 1], documents[place], *documents[place + 1 :]])
    assert [(fault.seq, fault.kind) for fault in found] == [(place + 1, FaultKind.DUPLICATE)]


@few
@given(chains, st.data())
def test_a_fork_is_found_and_says_what_differs(documents: Documents, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(documents) - 1))
    head = head_at(documents, place) if place else None
    other = document_of(seal(head, entry(message="another truth", action="Other"), START))
    found = [fault for fault in verify([*documents, other]) if fault.kind is FaultKind.FORKED]
    assert place + 1 in [fault.seq for fault in found]
    assert "both are whole in themselves" in found[0].sentence
    assert "action" in found[0].sentence


@few
@given(chains, st.data())
def test_a_chain_that_was_written_anew_from_a_record_on_is_found_by_a_checkpoint(
    documents: Documents, data: st.DataObject
) -> None:
    """Every hash is right: only a head that was signed before tells."""
    place = data.draw(st.integers(0, len(documents) - 1))
    rewritten = documents[:place]
    head = head_at(documents, place) if place else None
    for _ in documents[place:]:
        record = seal(head, entry(action="Forged"), START)
        head = head_of(record)
        rewritten = [*rewritten, document_of(record)]
    assert verify(rewritten) == ()
    found = verify(rewritten, heads=[head_at(documents, len(documents))])
    assert [(fault.seq, fault.kind) for fault in found] == [(len(documents), FaultKind.FORKED)]


def test_a_record_of_another_model_is_found() -> None:
    documents = documents_of([entry()] * 2)
    strange = entry(model=MODEL.model_copy(update={"name": "fraud"}))
    documents.append(document_of(seal(head_at(documents, 2), strange, START)))
    (fault,) = verify(documents)
    assert (fault.seq, fault.kind) == (3, FaultKind.FOREIGN)
    assert fault.sentence == "record 3 is about Model lending/fraud, the others are about lending/credit-risk"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("hash", DIGEST, id="the hash"),
        pytest.param("prevHash", DIGEST, id="the hash of the record before"),
        pytest.param("version", "v9", id="a version that the record before names"),
        pytest.param("model", {"namespace": "lending", "name": "credit-risk", "uid": "0000"}, id="the model"),
    ],
)
def test_the_field_that_was_edited_is_named_where_its_value_can_be_told_from_elsewhere(field: str, value: Any) -> None:
    documents = documents_of([entry(version="v8")] * 4)
    documents[1][field] = value
    fault = next(fault for fault in verify(documents) if fault.seq == 2)
    assert (fault.kind, fault.field) == (FaultKind.EDITED, field)
    assert fault.sentence.endswith(f"its field {field} was changed")


def test_of_two_copies_the_changed_one_is_told_and_the_field_that_differs() -> None:
    documents = documents_of([entry(gates=(AuditedGate(name="errors", result="Fail", figure=0.03),))] * 2)
    forged = copy.deepcopy(documents[1])
    forged["gates"][0]["result"] = "Pass"
    (fault,) = [fault for fault in verify([*documents, forged]) if fault.kind is FaultKind.FORKED]
    assert fault.field == "gates[0].result"
    assert fault.sentence.endswith("differ in gates[0].result: the hash fits the first of them, the other was changed")


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"seq": "1", "prevHash": "", "hash": DIGEST},
        {"seq": True, "prevHash": "", "hash": DIGEST},
        {"seq": 1, "prevHash": "", "hash": DIGEST, "details": {"x": math.nan}},
        {"seq": 1, "prevHash": "", "hash": DIGEST, "details": {"x": 10**400}},
    ],
    ids=["nothing", "seq is text", "seq is a truth value", "no number", "beyond numbers"],
)
def test_what_is_no_record_is_a_fault_and_not_an_exception(broken: dict[str, Any]) -> None:
    assert FaultKind.UNREADABLE in [fault.kind for fault in verify([broken])]


def test_a_chain_continues_from_a_head() -> None:
    documents = documents_of([entry()] * 4)
    assert verify(documents[2:], after=head_at(documents, 2)) == ()
    assert [fault.kind for fault in verify(documents[2:], after=Head(2, DIGEST))] == [FaultKind.FORKED]
    assert [fault.kind for fault in verify(documents[3:], after=head_at(documents, 2))] == [FaultKind.TRUNCATED]


def test_figures_that_are_no_numbers_are_left_out_and_sentences_are_cut() -> None:
    gate = AuditedGate(name="errors", result="Unknown", figure=math.nan, low=-math.inf, message="x" * 5000)
    record = seal(None, entry(gates=(gate,), message="é" * 5000, details={"a": math.inf, "b": 2**60}), START)
    assert (record.gates[0].figure, record.gates[0].low) == (None, None)
    assert len(record.gates[0].message) == len(record.message) == 4096
    assert record.message.endswith("é…")
    assert record.details == {"b": str(2**60)}


def test_of_details_that_are_too_large_the_digest_is_kept() -> None:
    record = seal(None, entry(details={"version": {"x": "y" * LARGEST_DETAILS}, "policy": {"name": "high"}}), START)
    assert record.details["policy"] == {"name": "high"}
    assert record.details["version"]["leftOut"].startswith("too large for a record: ")
    assert record.details["version"]["digest"].startswith("sha256:")


@pytest.mark.parametrize(
    "change",
    [
        {"action": "Promoted"},
        {"version": "v9"},
        {"version_digest": DIGEST},
        {"stage": "Canary"},
        {"weights": (WeightStatus(version="v8", percent=50),)},
        {"mirrors": (WeightStatus(version="v8", percent=100),)},
        {"model": MODEL.model_copy(update={"uid": "another"})},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_step_is_not_adopted(change: dict[str, Any]) -> None:
    planned = entry(version="v8", weights=(WeightStatus(version="v8", percent=10),))
    record = seal(None, planned, START)
    assert same_step(record, planned)
    assert same_step(record, entry(version="v8", weights=planned.weights, message="in other words"))
    assert not same_step(record, entry(**{"version": "v8", "weights": planned.weights, **change}))


def test_the_hash_is_known_from_outside() -> None:
    """Pinned: a release that hashes otherwise could not verify what older ones wrote."""
    record = seal(None, entry(version="v8", details={"share": 1.0}), START)
    assert hash_of(document_of(record)) == record.hash
    assert record.hash == "sha256:0eae3a419b436e969f6a9f6e035b5dbbcffe38e6a392bc745900e72427e56bf9"


def test_a_record_is_named_after_its_place() -> None:
    record = seal(None, entry(), START)
    assert record_name("credit-risk", 1) == "credit-risk-00000001"
    ModelAuditRecord.model_validate({"metadata": {"name": "credit-risk-00000001"}, "spec": record})
    with pytest.raises(ValueError, match="is not <model>-<seq>"):
        ModelAuditRecord.model_validate({"metadata": {"name": "credit-risk-1"}, "spec": record})


def _leaves(value: Any) -> Any:
    """Every place in a document that holds a plain value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in list(pairs):
        if isinstance(each, dict | list):
            yield from _leaves(each)
        else:
            yield value, key
