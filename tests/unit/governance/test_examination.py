"""Examining a chain from several sources: what an auditor is told, and what they are told could not be shown."""

import copy

import pytest

from modelward.governance import checkpoints
from modelward.governance.chain import FaultKind, Head
from modelward.governance.checkpoints import Checkpoint
from modelward.governance.examination import Examination, examine, merged
from tests.unit.governance.chains import START, Documents, documents_of, entry, head_at

OLD, NEW = bytes(range(32)), bytes(range(1, 33))


def _signed(documents: Documents, seq: int, key: bytes = OLD, model: str = "credit-risk") -> dict[str, object]:
    head = head_at(documents, seq)
    return checkpoints.sign(Checkpoint("lending", model, head.seq, head.hash, START), key)


def _examined(documents: Documents, *signed: dict[str, object], keys: tuple[bytes, ...] = (OLD,)) -> Examination:
    public = [checkpoints.public_key_of(key) for key in keys]
    return examine("lending", "credit-risk", documents, signed, (), public)


@pytest.fixture
def chain() -> Documents:
    return documents_of([entry(message=str(number)) for number in range(5)])


def test_a_whole_chain_that_is_signed_to_its_end_has_no_remarks(chain: Documents) -> None:
    found = _examined(chain, _signed(chain, 5))
    assert (found.whole, found.remarks, found.records) == (True, (), 5)
    assert found.signed is not None
    assert found.signed.seq == 5


def test_checkpoints_of_two_keys_count_after_a_rotation(chain: Documents) -> None:
    signed = (_signed(chain, 2), _signed(chain, 5, key=NEW))
    assert _examined(chain, *signed, keys=(OLD, NEW)).whole
    (fault,) = _examined(chain, *signed, keys=(OLD,)).faults
    assert (fault.seq, fault.kind) == (5, FaultKind.CHECKPOINT)


def test_what_is_newer_than_the_newest_checkpoint_is_said(chain: Documents) -> None:
    assert _examined(chain, _signed(chain, 3)).remarks == (
        "records 4 to 5 are newer than the newest checkpoint: a forgery of all from there on would not be found",
    )


def test_without_a_key_or_a_checkpoint_it_is_said_what_was_not_shown(chain: Documents) -> None:
    assert _examined(chain).remarks == (
        "there is no checkpoint: a chain that was written anew as a whole would not be found",
    )
    found = _examined(chain, _signed(chain, 5), keys=())
    assert found.remarks == ("the signatures of the checkpoints were not checked: give --public-key",)
    assert found.signed is None


def test_a_checkpoint_of_another_model_is_a_fault(chain: Documents) -> None:
    (fault,) = _examined(chain, _signed(chain, 5, model="fraud")).faults
    assert fault.sentence == "a checkpoint of Model lending/fraud is among these"


def test_a_truncation_is_found_by_a_checkpoint(chain: Documents) -> None:
    (fault,) = _examined(chain[:3], _signed(chain, 5)).faults
    assert (fault.seq, fault.kind) == (4, FaultKind.TRUNCATED)


def test_records_that_lie_in_the_place_of_another_model_are_found(chain: Documents) -> None:
    (fault,) = examine("lending", "fraud", chain, (), (), ()).faults
    assert fault.sentence == "the records are about Model lending/credit-risk, but are kept as those of lending/fraud"


def test_the_cluster_continues_the_export(chain: Documents) -> None:
    assert merged(chain[:3], list(reversed(chain[2:]))) == (tuple(chain), ())
    assert merged((), list(reversed(chain))) == (tuple(chain), ())


def test_a_record_that_differs_between_export_and_cluster_is_found_with_its_field(chain: Documents) -> None:
    forged = copy.deepcopy(chain[1])
    forged["message"] = "forged"
    documents, _ = merged(chain[:3], [forged, *chain[2:]])
    (fault,) = examine("lending", "credit-risk", documents, (), (), ()).faults
    assert (fault.seq, fault.kind, fault.field) == (2, FaultKind.FORKED, "message")
    assert fault.sentence.endswith("the hash fits the first of them, the other was changed")


def test_a_hole_in_the_export_is_found_although_the_cluster_fills_it(chain: Documents) -> None:
    documents, (fault,) = merged([chain[0], *chain[2:4]], chain)
    assert documents == tuple(chain)
    assert fault.sentence == "record 2 is missing from the export; the cluster has it"


def test_a_head_that_the_model_knows_is_held_against_the_records(chain: Documents) -> None:
    assert examine("lending", "credit-risk", chain, (), [head_at(chain, 5)], ()).whole
    (fault,) = examine("lending", "credit-risk", chain, (), [Head(9, "sha256:" + "9" * 64)], ()).faults
    assert "records 6 to 9 are missing" in fault.sentence
