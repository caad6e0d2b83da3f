"""`modelward history`: what happened to a Model, newest first, from its status or from the whole chain of its audit records."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from modelward.api.model_audit_record import ModelAuditRecordSpec
from modelward.api.resources import MODEL_AUDIT_RECORDS
from modelward.api.status import ModelStatus, WeightStatus
from modelward.cli.called import called_as
from modelward.cli.cluster import Cluster, Context, Kubeconfig, ModelName, Namespace, connect
from modelward.cli.completion import version_names
from modelward.cli.explain_text import bare_table, console_for_output
from modelward.cli.failure import Failure
from modelward.cli.output import As, Output, print_data
from modelward.cli.reading import read_model
from modelward.cli.terminal import clean
from modelward.governance.reconstruction import OPERATOR
from modelward.lifecycle.headline import ago

LISTED_AT_MOST = 20
"""Steps that a status keeps."""


@dataclass(frozen=True)
class Step:
    """One thing that happened; `modelward history -o json` prints a list of these, the newest first."""

    at: datetime
    version: str
    action: str  # a reason, such as Promoted
    who: str  # modelward, or the person who decided
    message: str
    after: timedelta | None  # since the step of the same version before it
    stage: str  # the rest is known with --audit only
    weights: dict[str, int]
    approvals: tuple[str, ...]
    revision: str
    record: int | None


def history(
    model: ModelName,
    audit: Annotated[
        bool, typer.Option("--audit", help="All of it, from the audit records in the cluster: also of years ago.")
    ] = False,
    version: Annotated[
        str, typer.Option("--version", help="What happened to one version only.", autocompletion=version_names)
    ] = "",
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="The newest so many steps. [default: all]")
    ] = None,
    output: As = Output.TABLE,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = None,
) -> None:
    """Say what happened to a Model, newest first: what, when, after how long, who, and why.

    The status of a Model keeps its last 20 steps. `--audit` reads all of them from the chain of audit records, also of a Model that
    was deleted, with stage, shares, approvals and the revision in Git where a pipeline gave it; it does not prove that the chain is
    whole, which `modelward audit verify` does. AFTER is the time since the step of the same version before.

    **Examples**

    `modelward history credit-risk -n lending`

    `modelward history credit-risk -n lending --audit --version v8`

    `modelward history credit-risk -n lending --audit -o json | jq -r '.[] | select(.who != "modelward") | .message'`
    """
    cluster = connect(context, kubeconfig, namespace)
    found = _from_records(cluster, model) if audit else _from_status(cluster, model)
    steps = [step for step in found if version in ("", step.version)][:limit]
    if output is not Output.TABLE:
        print_data(steps, output)
        return
    console = console_for_output()
    _print(console, steps, cluster.now())
    if not audit and len(found) >= LISTED_AT_MOST:
        console.print(
            f"Steps before these are in the audit records: {called_as()} history {model} -n {cluster.namespace} --audit",
            markup=False,
            soft_wrap=True,
        )


def steps_of_status(status: ModelStatus) -> list[Step]:
    """The newest steps, from what a status keeps."""
    steps = [
        Step(
            at=entry.at,
            version=entry.version,
            action=entry.action,
            who=entry.actor or OPERATOR,
            message=entry.message,
            after=None,
            stage="",
            weights={},
            approvals=(),
            revision="",
            record=None,
        )
        for entry in status.history
    ]
    return _with_times(steps)


def steps_of_records(records: Iterable[ModelAuditRecordSpec]) -> list[Step]:
    """All steps, the newest first, from the records of one chain in any order."""
    steps = [
        Step(
            at=record.time,
            version=record.version,
            action=record.action,
            who=record.actor,
            message=record.message,
            after=None,
            stage=record.stage,
            weights=_shares(record.weights),
            approvals=tuple(
                f"{each.decision} by {each.approver}" + (f" as {each.role}" if each.role else "")
                for each in record.approvals
            ),
            revision=record.git_revision,
            record=record.seq,
        )
        for record in sorted(records, key=lambda record: record.seq, reverse=True)
    ]
    return _with_times(steps)


def _from_status(cluster: Cluster, name: str) -> list[Step]:
    return steps_of_status(read_model(cluster, name)[1])


def _from_records(cluster: Cluster, name: str) -> list[Step]:
    records, unread = [], 0
    for found in cluster.list(MODEL_AUDIT_RECORDS):
        # By the name in the spec: a label can be changed.
        if ((found.get("spec") or {}).get("model") or {}).get("name") != name:
            continue
        try:
            records.append(ModelAuditRecordSpec.model_validate(found["spec"]))
        except ValidationError:
            unread += 1
    if not records and not unread:
        raise Failure(
            f"there are no audit records of Model {cluster.namespace}/{name}: --namespace chooses another place, and what was"
            " exported and pruned is read by `modelward audit`."
        )
    if unread:
        message = (
            f"Warning: {unread} audit records cannot be read by this release and are left out: use the operator's."
        )
        Console(stderr=True, soft_wrap=True, markup=False).print(message)
    return steps_of_records(records)


def _with_times(newest_first: Sequence[Step]) -> list[Step]:
    """With the time since the step of the same version before."""
    spans: dict[int, timedelta] = {}
    places: dict[str, list[int]] = {}
    for index, step in enumerate(newest_first):
        places.setdefault(step.version, []).append(index)
    for of_one in places.values():
        for newer, older in pairwise(of_one):
            spans[newer] = newest_first[newer].at - newest_first[older].at
    return [replace(step, after=spans.get(index)) for index, step in enumerate(newest_first)]


def _shares(weights: Iterable[WeightStatus]) -> dict[str, int]:
    return {entry.version: entry.percent for entry in weights}


def _print(console: Console, steps: Sequence[Step], now: datetime) -> None:
    """A paragraph for each step; where nobody looks, a line."""
    if not steps:
        console.print("Nothing has happened yet.")
    elif console.is_terminal:
        for step in steps:
            head = Text(f"{step.at:%Y-%m-%d %H:%M:%S}  {ago(step.at, now)} ago", style="dim")
            head.append(clean(f"  {step.version}"), style="not dim bold")
            head.append(clean(f"  {step.action}"), style=f"not dim {_style(step.action)}".strip())
            head.append(clean(f"  {_span(step, now)}by {step.who}"), style="not dim")
            console.print(head)
            console.print(Padding(Text(clean(_why(step))), (0, 0, 0, 4)))
    else:
        table = bare_table("TIME", "VERSION", "WHAT", "AFTER", "WHO", "WHY")
        for step in steps:
            cells = (f"{step.at:%Y-%m-%dT%H:%M:%SZ}", step.version, step.action, _span(step, now), step.who, _why(step))
            table.add_row(*(Text(clean(cell).strip() or "-") for cell in cells))
        console.print(table)


def _span(step: Step, now: datetime) -> str:
    return "" if step.after is None else f"after {ago(now - step.after, now)}  "


def _why(step: Step) -> str:
    shares = ", ".join(f"{version} {percent} %" for version, percent in step.weights.items())
    more = [
        f"requests: {shares}" if shares else "",
        *step.approvals,
        f"revision {step.revision}" if step.revision else "",
    ]
    return " | ".join(part for part in (step.message, *more) if part)


def _style(action: str) -> str:
    if action in ("RolledBack", "Rejected", "VersionLatched", "GateFailed", "RollbackAbandoned"):
        return "bold red"
    return "green" if action in ("Promoted", "WatchPassed") else ""
