"""The report of an audit bundle: as data, and as a text for people that is written from that data alone."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from modelward.api.model_audit_record import AuditedApproval, AuditedGate, ModelAuditRecordSpec
from modelward.api.status import WeightStatus, format_time
from modelward.governance.examination import Examination
from modelward.governance.reconstruction import Account, Interval, Served, carried_out, intervals
from modelward.governance.untyped import mapping, mappings

FORMAT = "modelward.dev/audit-bundle/v1"

Report = dict[str, Any]


def report_of(examination: Examination, records: Sequence[ModelAuditRecordSpec], served: Served) -> Report:
    """What the bundle says, as plain JSON; every statement names the record that it comes from."""
    about = records[-1].model if records else None
    return {
        "format": FORMAT,
        "model": {
            "namespace": examination.namespace,
            "name": examination.model,
            "modelID": about.model_id if about else "",
            "uid": about.uid if about else "",
        },
        "at": format_time(served.at),
        "chain": chain_of(examination),
        "served": [_account(account) for account in served.accounts],
        "decidedBy": _decided_by(served.interval, records),
        "intervals": [_interval(each) for each in intervals(carried_out(records))],
    }


def chain_of(examination: Examination) -> Report:
    """The verdict on a chain, as plain JSON."""
    return {
        "whole": examination.whole,
        "records": examination.records,
        "head": {"seq": examination.head.seq, "hash": examination.head.hash} if examination.head else None,
        "signedUpTo": {"seq": examination.signed.seq, "time": format_time(examination.signed.time)}
        if examination.signed
        else None,
        "faults": [
            {"seq": fault.seq, "kind": fault.kind.value, "field": fault.field, "sentence": fault.sentence}
            for fault in examination.faults
        ],
        "remarks": list(examination.remarks),
    }


def report_text(report: Report) -> str:
    """The report in Markdown."""
    model, chain = report["model"], report["chain"]
    known_as = f" ({model['modelID']})" if model["modelID"] else ""
    lines = [f"# What served: {model['namespace']}/{model['name']}{known_as} at {report['at']}", ""]
    lines += _answer(report)
    for account in report["served"]:
        lines += _account_text(account)
    lines += _intervals_text(report)
    lines += ["## The chain", ""]
    head = f", the last with the hash `{chain['head']['hash']}`" if chain["head"] else ""
    lines.append(f"{chain['records']} records{head}.")
    lines += _signed_text(report)
    lines += [f"{remark[0].upper()}{remark[1:]}." for remark in chain["remarks"]]
    lines += ["", "Faults:" if chain["faults"] else "No fault was found."]
    lines += [f"* record {fault['seq']}, {fault['kind']}: {fault['sentence']}" for fault in chain["faults"]]
    return "\n".join(lines) + "\n"


def _signed_text(report: Report) -> list[str]:
    """Is the answer itself beneath a signature?"""
    signed, decided = report["chain"]["signedUpTo"], report["decidedBy"]
    if signed is None:
        return ["No signature was checked."]
    lines = [f"Signed up to record {signed['seq']} at {signed['time']}."]
    if decided is not None:
        covered = "is covered by that signature" if decided["seq"] <= signed["seq"] else "is newer, and not signed yet"
        lines.append(f"Record {decided['seq']}, which the answer comes from, {covered}.")
    return lines


def _account(account: Account) -> Report:
    lineage = mapping(account.content.get("lineage"))
    return {
        "version": account.version,
        "percent": account.percent,
        "mirroredPercent": account.mirrored,
        "since": format_time(account.since),
        "until": _time(account.until),
        "versionDigest": account.digest,
        "startedBy": account.started_by,
        "artifact": account.content.get("artifact"),
        "run": lineage.get("run"),
        "code": lineage.get("code"),
        "datasets": lineage.get("datasets", []),
        "environment": lineage.get("environment"),
        "baseModel": account.content.get("baseModel"),
        "builtBy": account.content.get("builtBy", []),
        "validators": account.content.get("validators", []),
        "policy": account.policy.model_dump(mode="json", by_alias=True) if account.policy else None,
        "thresholds": list(_thresholds(account.rules)),
        "evaluations": [dict(each) for each in account.evaluations],
        "judgements": [
            {
                "seq": each.seq,
                "time": format_time(each.time),
                "action": each.action,
                "message": each.message,
                "gates": [_gate(gate) for gate in each.gates],
            }
            for each in account.judgements
        ],
        "approvals": [_approval(each) for each in account.approvals],
    }


def _thresholds(rules: Mapping[str, Any]) -> Iterator[Report]:
    """Each gate and each demand for an approval of the pinned policy, with the stage that it holds in."""
    for stage, content in mapping(rules.get("stages")).items():
        listed = mapping(content)
        nested = mapping(listed.get("monitoring"))
        for gate in [*mappings(listed.get("gates")), *mappings(nested.get("gates"))]:
            yield {"stage": stage, "gate": gate.get("name"), "rule": {k: v for k, v in gate.items() if k != "name"}}
        for demand in mappings(listed.get("approvals")):
            yield {
                "stage": stage,
                "approval": demand.get("role"),
                "rule": {k: v for k, v in demand.items() if k != "role"},
            }


def _gate(gate: AuditedGate) -> Report:
    return gate.model_dump(mode="json", by_alias=True, exclude_none=True)


def _approval(approval: AuditedApproval) -> Report:
    return approval.model_dump(mode="json", by_alias=True, exclude_none=True)


def _interval(interval: Interval) -> Report:
    return {
        "since": format_time(interval.since),
        "until": _time(interval.until),
        "weights": _shares(interval.weights),
        "mirrors": _shares(interval.mirrors),
        "seq": interval.seq,
        "action": interval.action,
    }


def _shares(shares: Iterable[WeightStatus]) -> list[Report]:
    return [{"version": each.version, "percent": each.percent} for each in shares if each.percent > 0]


def _decided_by(interval: Interval | None, records: Sequence[ModelAuditRecordSpec]) -> Report | None:
    record = next((each for each in records if interval is not None and each.seq == interval.seq), None)
    if record is None:
        return None
    return {
        "seq": record.seq,
        "time": format_time(record.time),
        "actor": record.actor,
        "action": record.action,
        "version": record.version,
        "message": record.message,
        "gitRevision": record.git_revision,
    }


def _answer(report: Report) -> list[str]:
    decided = report["decidedBy"]
    if decided is None:
        return ["There is no record of this time or before it.", ""]
    if not report["served"]:
        return [f"No version served (record {decided['seq']}, {decided['action']}).", ""]
    rows = [
        f"| {each['version']} | {each['percent']} % | {_mirrored(each)} | {each['since']} | {each['until'] or 'now'} |"
        for each in report["served"]
    ]
    by = f"By record {decided['seq']} of {decided['time']}, {decided['action']}, by {decided['actor']}: {decided['message']}"
    revision = [f"Git revision: {decided['gitRevision']}"] if decided["gitRevision"] else []
    return [
        "| Version | Share of requests | Mirrored | Since | Until |", "| --- | --- | --- | --- | --- |", *rows, "", by, *revision, "",
    ]  # fmt: skip


def _mirrored(account: Report) -> str:
    return f"{account['mirroredPercent']} %" if account["mirroredPercent"] else ""


def _account_text(account: Report) -> list[str]:
    lines = [f"## Version {account['version']}", ""]
    if account["startedBy"] is None:
        lines += ["Its RolloutStarted is not among the records: what it was made from cannot be told from them.", ""]
    lines += [f"* {label}: {text}" for label, text in _facts(account) if text]
    lines += ["", *_evaluations_text(account), *_thresholds_text(account), *_judgements_text(account)]
    lines += ["### Approved by", ""]
    lines += [
        f"* {each['approver']}, {each['decision']} in the role {each.get('role', '')}, {each.get('at', '')}"
        f" (ModelApproval {each['name']}, for {each.get('subjectDigest') or 'no digest'})"
        for each in account["approvals"]
    ] or ["No decision of a person is on record for it."]
    return [*lines, ""]


def _facts(account: Report) -> Iterator[tuple[str, str]]:
    yield "Content", f"`{account['versionDigest']}`, recorded when its rollout started (record {account['startedBy']})"
    artifact, run, code = (mapping(account[key]) for key in ("artifact", "run", "code"))
    yield "Artifact", f"{artifact.get('uri')}, `{artifact.get('digest')}`" if artifact else ""
    yield "Training run", ", ".join(str(run[key]) for key in ("id", "uri") if key in run)
    yield "Code", f"{code.get('repo')} at {code.get('commit')}" if code else ""
    yield "Environment", ", ".join(str(value) for value in mapping(account["environment"]).values())
    for dataset in mappings(account["datasets"]):
        details = [str(dataset[key]) for key in ("version", "uri", "digest", "classification") if key in dataset]
        yield "Data", ", ".join([str(dataset.get("name")), *details])
    yield "Base model", ", ".join(str(value) for value in mapping(account["baseModel"]).values())
    yield "Built by", ", ".join(account["builtBy"])
    yield "Validated by", ", ".join(account["validators"])
    policy = account["policy"]
    yield "Policy", f"{policy['name']}, `{policy['digest']}`" if policy else ""


def _evaluations_text(account: Report) -> list[str]:
    lines = ["### Evaluations", ""]
    for each in account["evaluations"]:
        metrics = ", ".join(f"{metric.get('name')} {metric.get('value')}" for metric in mappings(each.get("metrics")))
        lines.append(f"* {each.get('name')}, {each.get('at')}, by {each.get('evaluator')}: {metrics}")
    return [*(lines if len(lines) > 2 else [*lines, "None is on record."]), ""]


def _thresholds_text(account: Report) -> list[str]:
    if not account["thresholds"]:
        return []
    lines = ["### Thresholds then in force", "", "| Stage | Gate or approval | Rule |", "| --- | --- | --- |"]
    for each in account["thresholds"]:
        name = each.get("gate") or f"approval by {each.get('approval')}"
        lines.append(f"| {each['stage']} | {name} | {_words(each['rule'])} |")
    return [*lines, ""]


def _words(rule: Any) -> str:
    """A rule on one line: ``errorRate (maxIncrease 0.005), minSamples 500``."""
    if isinstance(rule, Mapping):
        return ", ".join(
            f"{key} ({_words(value)})" if isinstance(value, Mapping) else f"{key} {_words(value)}"
            for key, value in rule.items()
        )
    if isinstance(rule, list):
        return "[" + ", ".join(_words(each) for each in rule) + "]"
    return str(rule)


def _judgements_text(account: Report) -> list[str]:
    rows = [
        f"| {step['seq']} | {step['action']} | {gate['name']} | {gate['result']} | {_figure(gate)} | {_number(gate, 'bound')} |"
        f" {gate.get('samples', '')} |"
        for step in account["judgements"]
        for gate in step["gates"]
    ]
    if not rows:
        return ["### Gates", "", "No verdict of a gate is on record for it.", ""]
    head = [
        "| Record | Step | Gate | Result | Figure | Bound | Samples |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    return ["### Gates", "", *head, *rows, ""]


def _figure(gate: Report) -> str:
    interval = f" ({_number(gate, 'low')} to {_number(gate, 'high')})" if "low" in gate or "high" in gate else ""
    return f"{_number(gate, 'figure')}{interval}"


def _number(gate: Report, name: str) -> str:
    return f"{gate[name]:.6g}" if name in gate else ""


def _intervals_text(report: Report) -> list[str]:
    lines = [
        "## Shares over time",
        "",
        "| Since | Until | Requests | Mirrored | Record |",
        "| --- | --- | --- | --- | --- |",
    ]
    for each in report["intervals"]:
        shares = [
            ", ".join(f"{share['version']} {share['percent']} %" for share in each[key])
            for key in ("weights", "mirrors")
        ]
        lines.append(
            f"| {each['since']} | {each['until'] or 'now'} | {shares[0] or 'none'} | {shares[1]} | {each['seq']} {each['action']} |"
        )
    return [*lines, ""]


def _time(value: datetime | None) -> str | None:
    return format_time(value) if value else None
