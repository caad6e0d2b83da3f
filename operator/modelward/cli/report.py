"""`modelward report`: the portfolio, how well it flows, and what needs somebody's attention."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from modelward.api.model_audit_record import ModelAuditRecordSpec
from modelward.api.resources import MODEL_AUDIT_RECORDS, MODEL_EVALUATIONS, MODEL_VERSIONS, MODELS
from modelward.cli.audit_sources import AllNamespaces, From, Sources, collect
from modelward.cli.cluster import ALL_NAMESPACES, Cluster, Context, Forbidden, Kubeconfig, Namespace, Object, connect
from modelward.cli.discover import opted_in, told, unregistered
from modelward.cli.explain_text import console_for_output
from modelward.cli.moments import given_span
from modelward.cli.output import As, Output, print_data, write
from modelward.cli.report_html import report_page
from modelward.cli.report_text import Report, print_report
from modelward.governance.discovery import Unregistered
from modelward.governance.flow import VersionName, attention_of, figures_of, flow_of, state_of
from modelward.governance.inventory import as_documents, inventory


def report(
    since: Annotated[
        str, typer.Option("--since", help="The period of the flow figures, back from now: 90d, 12w, 48h.")
    ] = "90d",
    html: Annotated[
        Path | None, typer.Option("--html", help="Also write a report of one file, which needs no network.")
    ] = None,
    directory: From = None,
    output: As = Output.TABLE,
    all_namespaces: AllNamespaces = False,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = None,
) -> None:
    """Report on the portfolio: every Model, how well candidates flow to production, and what needs attention.

    Flow: time from candidate to production, from a retraining to production, until a fault is found; rollbacks; the share of
    production models that are monitored and owned. Attention: models that nobody approved or looks after, approvals that
    wait, reviews that are due, and inference servers that nobody has registered. The operator shows the same figures as metrics.

    Audit records that were exported and pruned are no longer in the cluster: give the export by --from for figures of a period that
    is longer than the cluster keeps them.

    Exit codes: 0 reported; 1 the cluster refuses, or a file cannot be read or written; 2 the command line is wrong; 3 the
    cluster gives no answer.

    **Examples**

    `modelward report -A --html portfolio.html`

    `modelward report -A --since 52w --from /mnt/audit -o json | jq .figures.candidateToProduction`
    """
    span = given_span(since, "--since")
    cluster = connect(context, kubeconfig, namespace)
    sources = Sources(directory, (), cluster.namespace, all_namespaces, context, kubeconfig)
    made = _report(cluster, sources, span)
    if html is not None:
        write(html, report_page(made), "--html")
    if output is not Output.TABLE:
        told_of = [told(each) for each in made.unregistered]
        print_data(vars(made) | {"rows": as_documents(made.rows), "unregistered": told_of}, output)
    else:
        print_report(console_for_output(), made)


def _report(cluster: Cluster, sources: Sources, span: timedelta) -> Report:
    within = ALL_NAMESPACES if sources.all_namespaces else cluster.namespace
    models = cluster.list(MODELS, within)
    until = cluster.now()
    since = until - span
    notes: list[str] = []
    flow = flow_of(_records(cluster, within, sources, notes), _created(cluster.list(MODEL_VERSIONS, within)))
    figures = figures_of(flow, since, until)
    if figures.without_start:
        notes.append(
            f"Of {figures.promoted} promotions, {figures.without_start} have no record of their start in the cluster any more, and no"
            " duration: give the export of the audit trail by --from."
        )
    return Report(
        at=until,
        where="all namespaces" if sources.all_namespaces else f"namespace {cluster.namespace}",
        state=state_of(models, until),
        figures=figures,
        endings=tuple((each.ended_at, each.ending) for each in flow.passages if since <= each.ended_at <= until),
        attention=attention_of(models, until),
        unregistered=_unregistered(cluster, sources.all_namespaces, notes),
        rows=inventory(models, cluster.list(MODEL_EVALUATIONS, within)),
        notes=tuple(notes),
    )


def _records(cluster: Cluster, within: str, sources: Sources, notes: list[str]) -> Iterator[ModelAuditRecordSpec]:
    """From the cluster; with --from, from the export and, where that ends, from the cluster."""
    if sources.directory is None:
        documents = [record["spec"] for record in cluster.list(MODEL_AUDIT_RECORDS, within)]
    else:
        documents = [document for collected in collect(sources) for document in collected.documents]
    unread = 0
    for document in documents:
        try:
            yield ModelAuditRecordSpec.model_validate(document)
        except ValidationError:
            unread += 1
    if unread:
        notes.append(f"{unread} audit records cannot be read by this release and are left out: use the operator's.")


def _created(versions: list[Object]) -> dict[VersionName, datetime]:
    found: dict[VersionName, datetime] = {}
    for version in versions:
        metadata, spec = version["metadata"], version["spec"]
        name = VersionName(metadata["namespace"], spec["model"], spec["version"])
        found[name] = datetime.fromisoformat(metadata["creationTimestamp"])
    return found


def _unregistered(cluster: Cluster, everywhere: bool, notes: list[str]) -> tuple[Unregistered, ...]:
    """Whoever may read the register need not be allowed to list pods: then the rest is reported all the same."""
    try:
        return unregistered(cluster, opted_in(cluster) if everywhere else (cluster.namespace,))
    except Forbidden as error:
        notes.append(f"Unregistered workloads were not looked for: {error.message}")
        return ()
