"""What other systems are told: CloudEvents about approvals and rollouts, made of what is on record, and signed.

An event has the same id and the same bytes whenever it is made, so that a receiver can tell that it has it already.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from modelward.api import reasons
from modelward.api.digests import digest_of
from modelward.governance.reconstruction import NOT_CARRIED_OUT

Object = dict[str, Any]

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
SIGNATURE = "modelward-signature"
_TYPE_PREFIX = "dev.modelward."


class Topic(StrEnum):
    APPROVAL_REQUESTED = "approval.requested"
    APPROVAL_DECIDED = "approval.decided"
    ROLLOUT_PROMOTED = "rollout.promoted"
    ROLLOUT_ROLLED_BACK = "rollout.rolled-back"


_TOPICS = {
    reasons.DECISION_RECORDED: Topic.APPROVAL_DECIDED,
    reasons.PROMOTED: Topic.ROLLOUT_PROMOTED,
    reasons.ROLLED_BACK: Topic.ROLLOUT_ROLLED_BACK,
    reasons.REJECTED: Topic.ROLLOUT_ROLLED_BACK,
}


@dataclass(frozen=True)
class Notice:
    """One event, ready to be sent."""

    id: str
    topic: Topic
    time: datetime
    order: tuple[str, str, int]  # namespace, Model and number of the record, for those of one time
    body: bytes
    due: bool = True  # false: not now; a request may have been before, and a step may be carried out yet

    @property
    def is_request(self) -> bool:
        return self.topic is Topic.APPROVAL_REQUESTED


def of_records(records: Iterable[Object], models: Mapping[tuple[str, str], Object]) -> Iterator[Notice]:
    """The events of ModelAuditRecords; due when they are known to be carried out, and none of those that never will be.

    models: by namespace and name.
    """
    told = [record for record in records if record["spec"]["action"] in (*_TOPICS, reasons.NOT_CARRIED_OUT)]
    void = {
        (_chain_of(record), number)
        for record in told
        if record["spec"]["action"] == reasons.NOT_CARRIED_OUT
        for number in (record["spec"].get("details") or {}).get(NOT_CARRIED_OUT, ())
    }
    for record in told:
        spec, chain = record["spec"], _chain_of(record)
        if spec["action"] in _TOPICS and (chain, spec["seq"]) not in void:
            yield replace(_of_record(spec, chain), due=_is_done(spec, models.get(chain)))


def of_requests(model: Object) -> Iterator[Notice]:
    """The events of approvals that a rollout of the Model lacks; one for each role and digest, and due when it waits for it now."""
    metadata, spec = model["metadata"], model.get("spec") or {}
    for row in (model.get("status") or {}).get("pendingApprovals") or ():
        asked = {field: row[field] for field in ("role", "version", "subjectDigest", "before")}
        data = {
            **_named(metadata["namespace"], metadata["name"], spec.get("modelID", "")),
            **asked,
            "missing": row["missing"],
            "owner": (spec.get("owner") or {}).get("team", ""),
            "decide": f"modelward approve {metadata['name']} -n {metadata['namespace']} --version {row['version']}"
            f" --role {row['role']}",
        }
        identity = digest_of({"request": asked, "uid": metadata["uid"]})
        request = _notice(identity, Topic.APPROVAL_REQUESTED, row["since"], 0, row["version"], data)
        yield replace(request, due=bool(row.get("due")))


def signature(body: bytes, key: bytes, at: int) -> str:
    """``t=<unix seconds>,v1=<HMAC-SHA256 over "t.body", in hex>``: the time is part of it, so that no old one can be sent again."""
    return f"t={at},v1={hmac.new(key, f'{at}.'.encode() + body, hashlib.sha256).hexdigest()}"


def _is_done(spec: Object, model: Object | None) -> bool:
    """A record is written before what it announces is done; the status names the newest that was."""
    if model is None or model["metadata"]["uid"] != spec["model"].get("uid"):
        return True
    head = (model.get("status") or {}).get("audit") or {}
    return bool(head.get("seq", 0) >= spec["seq"])


def _of_record(spec: Object, chain: tuple[str, str]) -> Notice:
    given = ("action", "actor", "version", "versionDigest", "stage", "message", "weights", "policy", "gitRevision")
    data = {
        **_named(*chain, spec["model"].get("modelID", "")),
        **{field: spec[field] for field in given if spec.get(field)},
        "approvals": spec.get("approvals") or [],
        "record": {"seq": spec["seq"], "hash": spec["hash"]},
    }
    return _notice(spec["hash"], _TOPICS[spec["action"]], spec["time"], spec["seq"], spec.get("version", ""), data)


def _notice(identity: str, topic: Topic, time: str, number: int, version: str, data: Object) -> Notice:
    event = {
        "specversion": "1.0",
        "id": identity,
        "source": f"/namespaces/{data['namespace']}/models/{data['model']}",
        "type": _TYPE_PREFIX + topic,
        **({"subject": version} if version else {}),
        "time": time,
        "datacontenttype": "application/json",
        "data": data,
    }
    body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
    return Notice(identity, topic, datetime.fromisoformat(time), (data["namespace"], data["model"], number), body)


def _named(namespace: str, model: str, model_id: str) -> Object:
    return {"namespace": namespace, "model": model, **({"modelID": model_id} if model_id else {})}


def _chain_of(record: Object) -> tuple[str, str]:
    return record["metadata"]["namespace"], record["spec"]["model"]["name"]
