"""`modelward plan`: what merging manifests would do."""

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from modelward.api.resources import CONFIG_MAPS, LIFECYCLE_POLICIES, MODEL_VERSIONS, MODELS, NAMESPACES, Resource
from modelward.api.status import ModelStatus
from modelward.api.types import format_duration
from modelward.cli.cluster import ALL_NAMESPACES, Cluster, Context, Kubeconfig, connect
from modelward.cli.explain_text import console_for_output
from modelward.cli.lint import DefaultNamespace, Paths, Policies, Shipped, known_policies, read_manifests
from modelward.cli.output import print_data
from modelward.manifests.documents import Document
from modelward.manifests.finding import Place, Severity
from modelward.manifests.merge_markdown import approval, as_markdown, headline, users
from modelward.manifests.merge_plan import Change, ModelPlan, plans_of
from modelward.manifests.portfolio import Key, Portfolio, gathered

_STYLES = {Change.BLOCKED: "red", Change.LATCHED: "red", Change.ROLLOUT: "green", Change.FIRST: "green"}
_SERVERS_OWN = ("managedFields", "uid", "resourceVersion", "generation", "creationTimestamp", "selfLink")


class Form(StrEnum):
    """Those of every command, and one for people who review."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    MARKDOWN = "markdown"


def plan(
    paths: Paths,
    use_cluster: Annotated[
        bool, typer.Option("--cluster", help="Ask the cluster what serves now, and for what the files lack.")
    ] = False,
    policies: Policies = None,
    use_shipped: Shipped = False,
    output: Annotated[
        Form,
        typer.Option(
            "--output",
            "-o",
            help="table for people; json or yaml for programs; markdown for a comment on a pull request.",
        ),
    ] = Form.TABLE,
    namespace: DefaultNamespace = "default",
    context: Context = "",
    kubeconfig: Kubeconfig = None,
) -> None:
    """Say what merging manifests would do: stages, gates, approvals and by whom, the least time, and who meets the candidate when.

    Nothing is changed. With `--cluster`, what serves now is known, and versions, policies and baselines that are there already count as
    if they were in the files. Who is named for an approval is of the policy's identityMap and did not build the version; whether somebody
    has the right to approve in a role is for the cluster to say.

    **Examples**

    `modelward plan deploy/prod --policies policies/`

    `modelward plan deploy/prod --cluster -o markdown > comment.md`
    """
    read, _ = read_manifests(paths)
    portfolio, wrong = gathered(read.documents, namespace)
    errors = sum(each.severity is Severity.ERROR for each in (*read.findings, *wrong))
    if errors:
        message = (
            f"{errors} errors in the manifests, and what has them is not in this plan: `modelward lint` says which."
        )
        Console(stderr=True, soft_wrap=True).print(message, style="red", highlight=False)
    statuses: dict[Key, ModelStatus] | None = None
    if use_cluster:
        cluster = connect(context, kubeconfig)
        spaces = sorted({space for space, _ in portfolio.models})
        statuses = _statuses(cluster, spaces)
        portfolio, _ = gathered((*read.documents, *_others(cluster, spaces, portfolio)), namespace)
    plans = plans_of(portfolio, known_policies(policies, use_shipped), statuses, datetime.now(UTC))
    if output is Form.MARKDOWN:
        typer.echo(as_markdown(plans), nl=False)
    elif output is not Form.TABLE:
        print_data(plans, output)
    else:
        _print(console_for_output(), plans)


def _statuses(cluster: Cluster, namespaces: Iterable[str]) -> dict[Key, ModelStatus]:
    return {
        (namespace, found["metadata"]["name"]): ModelStatus.model_validate(found.get("status") or {})
        for namespace in namespaces
        for found in cluster.list(MODELS, namespace)
    }


def _others(cluster: Cluster, namespaces: Iterable[str], portfolio: Portfolio) -> list[Document]:
    """What the cluster has and the files do not; what both have is as the files say."""
    there = list(_documents(cluster, LIFECYCLE_POLICIES, ALL_NAMESPACES))
    for namespace in namespaces:
        there += _documents(cluster, MODEL_VERSIONS, namespace)
        found = cluster.get(NAMESPACES, namespace)
        there += [_document(found)] if found else []
    named = {each.value.metadata.name for each in portfolio.policies} | {name for _, name in portfolio.versions}
    there = [each for each in there if each.name not in named and each.name not in portfolio.namespace_labels]
    return there + list(_baselines(cluster, [*there, *(each.document for each in portfolio.versions.values())]))


def _baselines(cluster: Cluster, versions: Iterable[Document]) -> Iterable[Document]:
    for version in versions:
        baseline = (version.content.get("spec") or {}).get("baseline") or {}
        name = baseline.get("configMap")
        found = cluster.get(CONFIG_MAPS, str(name), version.content["metadata"].get("namespace")) if name else None
        if found is not None:
            yield _document(found)


def _documents(cluster: Cluster, resource: Resource, namespace: str) -> Iterable[Document]:
    return (_document(found) for found in cluster.list(resource, namespace))


def _document(found: dict[str, Any]) -> Document:
    metadata = {key: value for key, value in found["metadata"].items() if key not in _SERVERS_OWN}
    return Document({**found, "metadata": metadata}, {(): Place("the cluster")})


def _print(console: Console, plans: Iterable[ModelPlan]) -> None:
    listed = tuple(plans)
    if not listed:
        console.print("There are no Models here.")
    for each in listed:
        style = _STYLES.get(each.change, "")
        said = f"[bold]{each.namespace}/{each.model}[/]: {escape(headline(each))}."
        console.print(f"[{style}]{said}[/]" if style else said, soft_wrap=True)
        for obstacle in each.obstacles:
            console.print(f"  [red]stands in the way:[/] {escape(obstacle)}", soft_wrap=True)
        for note in each.notes:
            console.print(f"  {escape(note)}", soft_wrap=True)
        if each.stages:
            console.print(_table(each))
        console.print()


def _table(each: ModelPlan) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    asks = any(stage.approvals for stage in each.stages)
    for column in ("  STAGE", "FROM", "LEAST", "USERS", "GATES", *(["APPROVALS TO GO ON"] if asks else [])):
        table.add_column(column, overflow="fold")
    for stage in each.stages:
        approvals = [escape("\n".join(map(approval, stage.approvals)))] if asks else []
        table.add_row(
            f"  {stage.name}",
            f"+{format_duration(stage.starts_after)}",
            format_duration(stage.least) if stage.least else "",
            users(stage),
            escape("\n".join(stage.gates)),
            *approvals,
        )
    return table
