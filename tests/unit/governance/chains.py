"""Chains to try things on: what an operator would have written."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from modelward.api.model_audit_record import AuditedModel
from modelward.governance.chain import Entry, Head, document_of, head_of, seal

START = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)
MODEL = AuditedModel(namespace="lending", name="credit-risk", uid="6f1c", model_id="MDL-0042")

Documents = list[dict[str, Any]]


def entry(action: str = "WeightChanged", **changes: Any) -> Entry:
    return Entry(**{"actor": "modelward", "action": action, "model": MODEL, **changes})


def documents_of(entries: Sequence[Entry], every: timedelta = timedelta(minutes=1)) -> Documents:
    """The entries, sealed one after the other."""
    head: Head | None = None
    documents: Documents = []
    for number, each in enumerate(entries):
        record = seal(head, each, START + number * every)
        head = head_of(record)
        documents.append(document_of(record))
    return documents


def head_at(documents: Documents, seq: int) -> Head:
    return Head(seq, documents[seq - 1]["hash"])
