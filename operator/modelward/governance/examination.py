"""What an auditor is told of one chain: is it whole, up to where is it signed, and what the given evidence cannot show."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from modelward.governance import checkpoints
from modelward.governance.chain import (
    Document,
    Fault,
    FaultKind,
    Head,
    canonical,
    differing_fields,
    is_readable,
    model_name,
    verify,
)
from modelward.governance.checkpoints import Checkpoint, CheckpointInvalid


@dataclass(frozen=True)
class Examination:
    """The verdict on one chain. `remarks` say what could not be found with what was given."""

    namespace: str
    model: str
    records: int
    head: Head | None
    signed: Checkpoint | None
    faults: tuple[Fault, ...]
    remarks: tuple[str, ...]

    @property
    def whole(self) -> bool:
        return not self.faults


def merged(exported: Sequence[Document], listed: Sequence[Document]) -> tuple[tuple[Document, ...], tuple[Fault, ...]]:
    """The export, continued by what is still in the cluster; where both have a record and it differs, both, one after the other."""
    if not exported:
        return tuple(sorted(listed, key=_place)), ()
    stored = {document["seq"]: document for document in exported if is_readable(document)}
    faults: list[Fault] = []
    extra: list[Document] = []
    for document in sorted(listed, key=_place):
        seq = _place(document)
        if seq not in stored:
            extra.append(document)
            if seq < max(stored, default=0):
                faults.append(
                    Fault(seq, FaultKind.MISSING, f"record {seq} is missing from the export; the cluster has it")
                )
        elif not _is_same(stored[seq], document):
            extra.append(document)
    last = max(stored, default=0)
    together = [*exported]
    for document in (each for each in extra if _place(each) <= last):
        after = [index for index, each in enumerate(together) if _place(each) <= _place(document)]
        together.insert(after[-1] + 1 if after else 0, document)
    return (*together, *(each for each in extra if _place(each) > last)), tuple(faults)


def examine(
    namespace: str,
    model: str,
    documents: Sequence[Document],
    signed: Iterable[Document],
    known: Sequence[Head],
    public_keys: Sequence[bytes],
) -> Examination:
    """Check the links, the checkpoints' signatures, and the links against the checkpoints and other heads that are known.

    Raises:
        KeyUnusable: one of the keys is no Ed25519 public key.
    """
    trusted, faults = _trusted(namespace, model, tuple(signed), public_keys)
    found = verify(documents, heads=[*known, *(checkpoint.head for checkpoint in trusted)])
    newest = max((document for document in documents if is_readable(document)), key=_place, default=None)
    newest_signed = max(trusted, key=lambda each: each.seq, default=None)
    return Examination(
        namespace=namespace,
        model=model,
        records=len(documents),
        head=Head(newest["seq"], newest["hash"]) if newest else None,
        signed=newest_signed if public_keys else None,
        faults=(*_misplaced(f"{namespace}/{model}", documents), *found, *faults),
        remarks=_remarks(newest_signed, newest, bool(public_keys)),
    )


def _trusted(
    namespace: str, model: str, signed: Sequence[Document], public_keys: Sequence[bytes]
) -> tuple[list[Checkpoint], list[Fault]]:
    trusted: list[Checkpoint] = []
    faults: list[Fault] = []
    for document in signed:
        try:
            checkpoint = _checked(document, public_keys)
        except CheckpointInvalid as error:
            seq = document.get("seq")
            faults.append(Fault(seq if isinstance(seq, int) else 0, FaultKind.CHECKPOINT, str(error)))
            continue
        if (checkpoint.namespace, checkpoint.model) == (namespace, model):
            trusted.append(checkpoint)
        else:
            other = f"{checkpoint.namespace}/{checkpoint.model}"
            faults.append(Fault(checkpoint.seq, FaultKind.CHECKPOINT, f"a checkpoint of Model {other} is among these"))
    return trusted, faults


def _checked(document: Document, public_keys: Sequence[bytes]) -> Checkpoint:
    """Signed by one of the keys: after a rotation there are two."""
    refusal = None
    for key in public_keys:
        try:
            return checkpoints.verify(document, key)
        except CheckpointInvalid as error:
            refusal = error
    if refusal is not None:
        raise refusal
    return checkpoints.read(document)


def _misplaced(expected: str, documents: Sequence[Document]) -> list[Fault]:
    """All records are of one Model, but of another than the one that they are kept as."""
    names = {model_name(document) for document in documents if is_readable(document)}
    if len(names) != 1 or expected in names:
        return []
    return [
        Fault(
            1,
            FaultKind.FOREIGN,
            f"the records are about Model {names.pop()}, but are kept as those of {expected}",
            "model",
        )
    ]


def _remarks(signed: Checkpoint | None, newest: Document | None, has_key: bool) -> tuple[str, ...]:
    last = newest["seq"] if newest else 0
    if signed is None:
        return ("there is no checkpoint: a chain that was written anew as a whole would not be found",)
    remarks = [] if has_key else ["the signatures of the checkpoints were not checked: give --public-key"]
    if last > signed.seq:
        which = f"record {last} is" if last == signed.seq + 1 else f"records {signed.seq + 1} to {last} are"
        remarks.append(f"{which} newer than the newest checkpoint: a forgery of all from there on would not be found")
    return tuple(remarks)


def _place(document: Document) -> int:
    return int(document["seq"]) if is_readable(document) else 0


def _is_same(one: Document, other: Document) -> bool:
    """Equal as JSON, where 1 and 1.0 are one number."""
    try:
        return one.get("hash") == other.get("hash") and canonical(one) == canonical(other)
    except ValueError:
        return not differing_fields(one, other)
