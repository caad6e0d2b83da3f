"""`modelward audit`: is the record whole, what served then and why, and the inventory of models."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from modelward.api.invalid import first_error
from modelward.api.model_audit_record import ModelAuditRecordSpec
from modelward.api.resources import MODEL_EVALUATIONS, MODELS
from modelward.archive.bundle import SUFFIXES, bundle_files, write_bundle
from modelward.cli.audit_sources import (
    AllNamespaces,
    Checkpoints,
    Collected,
    From,
    PublicKeys,
    Sources,
    collect,
    read_keys,
)
from modelward.cli.cluster import ALL_NAMESPACES, Context, Kubeconfig, Namespace, connect
from modelward.cli.failure import Failure
from modelward.cli.moments import given_moment
from modelward.cli.output import As, Output, data, print_data, write
from modelward.governance.account import chain_of, report_of, report_text
from modelward.governance.chain import is_readable
from modelward.governance.examination import Examination
from modelward.governance.inventory import as_csv, as_documents, inventory
from modelward.governance.reconstruction import served_at

audit = typer.Typer(
    name="audit",
    help="Verify the audit records, answer what served at a time and why, and list the models.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


class Rows(StrEnum):
    """What an inventory is taken away in: it is too wide for a terminal."""

    CSV = "csv"
    JSON = "json"
    YAML = "yaml"


@audit.command()
def verify(
    model: Annotated[str, typer.Option("--model", "-m", help="One Model only. [default: all]")] = "",
    directory: From = None,
    public_key: PublicKeys = None,
    checkpoints: Checkpoints = None,
    output: As = Output.TABLE,
    namespace: Namespace = "",
    all_namespaces: AllNamespaces = False,
    context: Context = "",
    kubeconfig: Kubeconfig = None,
) -> None:
    """Find any change to the audit records: an edit, a deletion, a move, a truncation, a chain written anew.

    Says at which record and, where it can be told, in which field. A chain by itself shows everything but its own end and a
    forgery of the whole: those are found against signed checkpoints and against what the Model's status says.

    Exit codes: 0 every chain is whole; 1 a fault was found, or a source cannot be read; 2 the command line is wrong; 3 the
    cluster gives no answer.

    **Examples**

    `modelward audit verify -n lending`

    `modelward audit verify --from /mnt/audit --public-key audit.pem`

    `modelward audit verify --model credit-risk --from /mnt/audit -n lending --public-key audit.pem -o json`
    """
    keys = read_keys(public_key or ())
    sources = Sources(directory, tuple(checkpoints or ()), namespace, all_namespaces, context, kubeconfig)
    examined = [each.examined(keys) for each in collect(sources, model)]
    whole = all(each.whole for each in examined)
    if output is Output.TABLE:
        for each in examined:
            typer.echo(_verdict(each))
    else:
        chains = [{"namespace": each.namespace, "model": each.model, **chain_of(each)} for each in examined]
        print_data({"whole": whole, "chains": chains}, output)
    if not whole:
        raise typer.Exit(1)


@audit.command()
def bundle(
    model: Annotated[str, typer.Option("--model", "-m", help="Name of the Model.")],
    at: Annotated[str, typer.Option("--at", help="The time asked about: now, or one such as 2026-11-01T09:00:00Z.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="A file to write the proof to: a .tar.gz or a .zip. [default: none]")
    ] = None,
    directory: From = None,
    public_key: PublicKeys = None,
    checkpoints: Checkpoints = None,
    output: As = Output.TABLE,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = None,
) -> None:
    """Say what served at a time, with which share, made from what, judged by which thresholds, approved by whom; and prove it.

    The report is made from the audit records alone: the Model and its versions may be long gone. The archive holds the report,
    every record, the signed checkpoints, and a program that verifies them with the public key and nothing else.

    Exit codes: 0 the chain is whole; 1 it is not (the report says where, and the archive is written all the same), or a source
    cannot be read; 2 the command line is wrong; 3 the cluster gives no answer.

    **Examples**

    `modelward audit bundle --model credit-risk --at 2026-11-01T09:00:00Z -n lending`

    `modelward audit bundle -m credit-risk --at now -n lending`

    `modelward audit bundle -m credit-risk --at 2026-11-01T09:00:00Z --from /mnt/audit --public-key audit.pem --out answer.zip`
    """
    moment = given_moment(at, "--at", datetime.now(UTC).replace(microsecond=0))
    if out is not None and not out.name.endswith(SUFFIXES):
        raise typer.BadParameter(f"{out} is no .tar.gz and no .zip: end the name in one of them", param_hint="--out")
    keys = read_keys(public_key or ())
    sources = Sources(directory, tuple(checkpoints or ()), namespace, False, context, kubeconfig)
    collected = _only(collect(sources, model))
    examined = collected.examined(keys)
    records = _records(collected)
    report = report_of(examined, records, served_at(records, moment))
    if output is Output.TABLE:
        typer.echo(report_text(report).rstrip())
    else:
        print_data(report, output)
    if out is not None:
        _write_bundle(out, collected, bundle_files(report, collected.documents, collected.checkpoints), moment)
    if not examined.whole:
        raise typer.Exit(1)


@audit.command()
def export(
    output: Annotated[
        Rows, typer.Option("--output", "-o", help="csv for spreadsheets; json or yaml for programs.")
    ] = Rows.CSV,
    out: Annotated[str, typer.Option("--out", help="A file, or - for standard output.")] = "-",
    namespace: Namespace = "",
    all_namespaces: AllNamespaces = False,
    context: Context = "",
    kubeconfig: Kubeconfig = None,
) -> None:
    """List the models as an examiner of model risk asks for them (SR 26-2; before it, SR 11-7): one row for each.

    What it is for, owner, tier, version in production and since when, approvers, last validation and review, next review,
    monitoring, limitations, consumers, and what the operator finds wrong. Models that are served elsewhere are in it.

    Exit codes: 0 written; 1 the cluster refuses, or the file cannot be written; 2 the command line is wrong; 3 the cluster
    gives no answer.

    **Examples**

    `modelward audit export -A --out inventory.csv`

    `modelward audit export -n lending -o json | jq '.[] | select(.tier == "High") | .name'`
    """
    cluster = connect(context, kubeconfig, namespace)
    within = ALL_NAMESPACES if all_namespaces else cluster.namespace
    rows = inventory(cluster.list(MODELS, within), cluster.list(MODEL_EVALUATIONS, within))
    text = as_csv(rows) if output is Rows.CSV else data(as_documents(rows), output)
    if out == "-":
        typer.echo(text, nl=False)
        return
    write(Path(out), text, "--out")


def _verdict(examined: Examination) -> str:
    name = f"{examined.namespace}/{examined.model}"
    count = f"{examined.records} record{'' if examined.records == 1 else 's'}"
    signed = f", signed up to record {examined.signed.seq}" if examined.signed else ""
    found = len(examined.faults)
    verdict = (
        f"whole: {count}{signed}"
        if examined.whole
        else f"NOT WHOLE: {found} fault{'' if found == 1 else 's'} in {count}{signed}"
    )
    lines = [f"{name}: {verdict}"]
    for fault in examined.faults:
        field = f", field {fault.field}" if fault.field else ""
        lines.append(f"  record {fault.seq}{field}, {fault.kind}: {fault.sentence}")
    lines += [f"  note: {remark}" for remark in examined.remarks]
    return "\n".join(lines)


def _only(found: tuple[Collected, ...]) -> Collected:
    if len(found) > 1:
        places = ", ".join(str(each.chain) for each in found)
        raise Failure(f"there are several: {places}. Choose one by --namespace.")
    return found[0]


def _records(collected: Collected) -> list[ModelAuditRecordSpec]:
    """Each number once, the first that is there; what cannot be read as a record is among the faults already, or of a later release."""
    records: dict[int, ModelAuditRecordSpec] = {}
    for document in collected.documents:
        if not is_readable(document):
            continue
        try:
            records.setdefault(document["seq"], ModelAuditRecordSpec.model_validate(document))
        except ValidationError as error:
            wrong = first_error(error, "the record")
            typer.echo(f"Warning: record {document['seq']} is not reported on: {wrong}", err=True)
    return [records[seq] for seq in sorted(records)]


def _write_bundle(out: Path, collected: Collected, files: dict[str, bytes], moment: datetime) -> None:
    try:
        write_bundle(out, f"audit-{collected.chain.namespace}-{collected.chain.model}", files, moment)
    except (OSError, ValueError) as error:
        raise Failure(f"--out cannot be written: {error}.") from error
    typer.echo(f"Wrote {out}. Whoever gets it reads VERIFY.md in it, and needs the public key.", err=True)
