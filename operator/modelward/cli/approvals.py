"""`modelward approvals`: what waits for people's decisions, since when, and whether the caller is one of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from modelward.api.model import Model
from modelward.api.resources import MODELS
from modelward.api.status import ModelStatus, PendingApproval
from modelward.cli.approvals_rights import Rights
from modelward.cli.called import called_as
from modelward.cli.cluster import ALL_NAMESPACES, Context, Kubeconfig, Namespace, connect
from modelward.cli.explain_text import bare_table, console_for_output
from modelward.cli.output import As, Output, print_data
from modelward.cli.reading import models_in
from modelward.cli.terminal import clean
from modelward.lifecycle.headline import ago


@dataclass(frozen=True)
class _Waiting:
    """One role that has to approve one version."""

    namespace: str
    model: str
    row: PendingApproval
    mine: bool

    def plain(self) -> dict[str, Any]:
        """As JSON, in camelCase."""
        asked = self.row.model_dump(mode="json", by_alias=True)
        return {"namespace": self.namespace, "model": self.model, **asked, "mayApprove": self.mine}


def approvals(
    mine: Annotated[bool, typer.Option("--mine", help="Only what you may decide.")] = False,
    namespace: Namespace = "",
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="Look at the Models of all namespaces.")
    ] = False,
    output: As = Output.TABLE,
    context: Context = "",
    kubeconfig: Kubeconfig = None,
) -> None:
    """List what waits for approval, in which role, and whether you may give it.

    DUE says whether the rollout waits now or will later; MISSING, how many people have still to approve. Below are the approvals that
    are there and do not count, with why. It needs the right to list Models.

    **Examples**

    `modelward approvals -n lending`

    `modelward approvals -A --mine`

    `modelward approvals -A -o json | jq '.[] | select(.due) | [.namespace, .model, .role]'`
    """
    cluster = connect(context, kubeconfig, namespace)
    read = list(models_in(cluster.list(MODELS, ALL_NAMESPACES if all_namespaces else None)))
    rights = Rights(cluster)
    waiting = [each for model, status in read for each in _waiting(model, status, rights) if each.mine or not mine]
    if output is not Output.TABLE:
        print_data([each.plain() for each in waiting], output)
    else:
        _print(console_for_output(), waiting, _doubts(read), cluster.now())


def untrusted(status: ModelStatus) -> str:
    """Why no approval of the Model counts at the moment; empty when they do."""
    found = status.condition("ApprovalsTrusted")
    return found.message if found is not None and found.status == "False" else ""


def _waiting(model: Model, status: ModelStatus, rights: Rights) -> list[_Waiting]:
    namespace, name = model.metadata.namespace, model.metadata.name
    return [
        _Waiting(namespace, name, row, rights.may("approve", row.role, namespace)) for row in status.pending_approvals
    ]


def _doubts(read: Iterable[tuple[Model, ModelStatus]]) -> list[str]:
    return list(dict.fromkeys(said for _, status in read if status.pending_approvals and (said := untrusted(status))))


def _print(console: Console, waiting: Sequence[_Waiting], doubts: Sequence[str], now: datetime) -> None:
    for doubt in doubts:
        console.print(Text(f"Warning: no approval counts now: {clean(doubt)}", style="yellow"), soft_wrap=True)
    if not waiting:
        console.print("Nothing waits for approval here.")
        return
    table = bare_table("NAMESPACE", "MODEL", "VERSION", "ROLE", "BEFORE", "DUE", "MISSING", "AGE", "YOU MAY")
    for each in waiting:
        row = each.row
        table.add_row(
            *(Text(clean(text)) for text in (each.namespace, each.model, row.version, row.role, row.before)),
            "now" if row.due else "later",
            str(row.missing),
            ago(row.since, now),
            Text("yes" if each.mine else "no", style="green" if each.mine else ""),
        )
    console.print(table)
    for each in waiting:
        for refused in each.row.refused:
            told = f"{each.namespace}/{each.model} {each.row.version} as {each.row.role}: not counted: {refused}"
            console.print(Text(clean(told), style="yellow"), soft_wrap=True)
    if any(each.mine for each in waiting):
        mine = next(each for each in waiting if each.mine)
        console.print(
            f"\nDecide: {called_as()} approve {mine.model} -n {mine.namespace} --version {mine.row.version} --role {mine.row.role}",
            soft_wrap=True,
        )
