"""`modelward evidence`: what a version has shown in one environment, as a ModelEvaluation for the next one."""

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated

import typer
import yaml
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from modelward.api.digests import version_digest
from modelward.api.model import Model
from modelward.api.model_audit_record import ModelAuditRecordSpec
from modelward.api.status import ModelStatus, format_second
from modelward.api.types import API_VERSION, ObjectName
from modelward.cli.approvals import untrusted
from modelward.cli.audit_sources import Checkpoints, Collected, From, PublicKeys, Sources, collect, read_keys
from modelward.cli.cluster import Cluster, Context, Kubeconfig, Namespace, connect
from modelward.cli.failure import Failure
from modelward.cli.moments import given_span
from modelward.cli.reading import read_model, read_version
from modelward.cli.terminal import clean
from modelward.governance import trials
from modelward.governance.builds import differences, unpinned_images
from modelward.governance.chain import Head, is_readable
from modelward.governance.trials import EVALUATION_PREFIX, METRICS, NothingToShow, Trial
from modelward.traffic.names import child_name

NOT_YET = 4
_SHOWN = 5


class NotYet(Failure):
    """The version fares well, and has not shown enough."""

    exit_code = NOT_YET


Limit = tuple[str, float, str, Callable[[float, float], bool]]
"""A metric, its bound, the option that gave it, and how they compare."""


def evidence(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name of the Model, the same in each environment.")],
    version: Annotated[str, typer.Option("--version", help="The version, which was promoted in the earlier one.")],
    later_namespace: Annotated[
        str,
        typer.Option(
            "--for", help="The namespace of the later environment. [default: that of the earlier one, in --for-context]"
        ),
    ] = "",
    later_context: Annotated[
        str,
        typer.Option(
            "--for-context",
            help="The kubeconfig's context of the later environment. [default: that of the earlier one]",
        ),
    ] = "",
    environment: Annotated[
        str, typer.Option("--environment", help="What the earlier environment is called. [default: its namespace]")
    ] = "",
    at_least: Annotated[
        list[str] | None,
        typer.Option(
            "--at-least", metavar="METRIC=NUMBER", help="End with 4 while a metric is below. May be repeated."
        ),
    ] = None,
    at_most: Annotated[
        list[str] | None,
        typer.Option("--at-most", metavar="METRIC=NUMBER", help="End with 4 when a metric is above. May be repeated."),
    ] = None,
    valid_for: Annotated[
        str, typer.Option("--valid-for", help="For how long it is evidence, such as 30d. [default: without an end]")
    ] = "",
    evaluator: Annotated[
        str, typer.Option("--evaluator", help="Who will create it. [default: who you are in the later environment]")
    ] = "",
    directory: From = None,
    public_key: PublicKeys = None,
    checkpoints: Checkpoints = None,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = None,
) -> None:
    """Print what a version has shown in one environment, as a ModelEvaluation that a gate of the next one reads.

    It reads the Model, its ModelVersion and its audit records where `--namespace` and `--context` say, and the ModelVersion of the later
    environment, which must be the same build: pods may be sized and placed otherwise, nothing else may differ. It creates nothing:
    hand what it prints to `kubectl create`, as the account that the gate names in `evaluators`.

    Metrics: `daysInProduction`, days in which it answered all requests, since it was promoted; `requests`, the most requests that one gate
    has counted of it; `gatesPassed` and `gatesNotPassed`, by the newest verdict of each gate; `rollbacks`, times that the same content
    failed there; `incidents`, times that its monitoring has failed since it was promoted; `watchPassed`, 1 when the watch after its
    promotion is over and was passed, else 0.

    Ends with 0 when it is printed; with 1 when there is nothing to show (never promoted there, latched, taken back, another build, an
    audit chain that is not whole) or a cluster refuses; with 2 when the command line is wrong; with 3 when a cluster gives no
    answer; with 4 when `--at-least` or `--at-most` does not hold yet.

    **Examples**

    `modelward evidence credit-risk --version v8 -n lending-test --for lending-prod | kubectl create -f -`

    `modelward evidence credit-risk --version v8 -n lending --context test --for-context prod --environment test --at-least daysInProduction=7`
    """
    limits = [*_limits(at_least, "--at-least", operator.ge), *_limits(at_most, "--at-most", operator.le)]
    validity = given_span(valid_for, "--valid-for") if valid_for else None
    cluster = connect(context, kubeconfig, namespace)
    if not later_context and later_namespace in ("", cluster.namespace):
        raise typer.BadParameter("say which environment it is for, by --for or --for-context", param_hint="--for")
    called = _environment(environment) or cluster.namespace
    sources = Sources(directory, tuple(checkpoints or ()), cluster.namespace, False, context, kubeconfig)
    trial, head = _shown(cluster, sources, read_keys(public_key or ()), model, version, called)
    later = connect(later_context or context, kubeconfig, later_namespace or cluster.namespace)
    digest, notes = _digest_of_the_same_build(trial, cluster, later, model, version)
    _refuse_too_little(trial, limits, f"{version} in {called}")
    for note in notes:
        Console(stderr=True, soft_wrap=True).print(f"note: {clean(note)}", highlight=False, markup=False)
    now = later.now()
    manifest = {
        "apiVersion": API_VERSION,
        "kind": "ModelEvaluation",
        "metadata": {
            "generateName": f"{child_name(model, version)}-{EVALUATION_PREFIX}{called}-",
            "namespace": later.namespace,
        },
        "spec": {
            "model": model,
            "version": version,
            "versionDigest": digest,
            "name": f"{EVALUATION_PREFIX}{called}",
            "evaluator": evaluator or later.whoami(),
            "metrics": [{"name": name, "value": value} for name, value in trial.metrics.items()],
            "at": format_second(now),
            **({"validUntil": format_second(now + validity)} if validity else {}),
            "environment": {
                "name": called,
                "namespace": cluster.namespace,
                "versionDigest": trial.digest,
                "record": head.seq,
                "recordHash": head.hash,
            },
        },
    }
    typer.echo(yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True, width=120), nl=False)


def _shown(
    cluster: Cluster, sources: Sources, keys: tuple[bytes, ...], model: str, version: str, called: str
) -> tuple[Trial, Head]:
    """What the version has shown there, and the newest record that says so.

    Raises:
        Failure: nothing, or nothing that can be believed.
    """
    served, status = read_model(cluster, model)
    where = f"{cluster.namespace}/{model}"
    _refuse_what_proves_nothing(served, status, where)
    records, head = _whole_chain(collect(sources, model), where, keys)
    try:
        return trials.trial_of(records, status, version, cluster.now()), head
    except NothingToShow as error:
        raise Failure(f"{called} shows nothing for it: {error}. It has to be promoted there first.") from error


def _refuse_what_proves_nothing(model: Model, status: ModelStatus, where: str) -> None:
    if model.spec.serving is None:
        raise Failure(
            f"Model {where} is served elsewhere (it has no spec.serving), so that nothing about it is measured there."
        )
    doubt = untrusted(status)
    if status.condition("ApprovalsTrusted") is None:
        doubt = "the operator has not said whether the admission policies are in place."
    if doubt:
        raise Failure(
            f"what Model {where} says of itself cannot be believed: {doubt} Anybody may have written it: install the chart there with"
            " admission.enabled."
        )


def _whole_chain(
    found: tuple[Collected, ...], where: str, keys: tuple[bytes, ...]
) -> tuple[list[ModelAuditRecordSpec], Head]:
    """The records of the Model, all of them and unchanged, and the last of them."""
    (collected,) = found
    examined = collected.examined(keys)
    if not examined.whole or examined.head is None:
        fault = (
            f": record {examined.faults[0].seq}, {examined.faults[0].sentence.rstrip('.')}" if examined.faults else ""
        )
        hint = "".join(f" {remark[0].upper()}{remark[1:]}." for remark in examined.remarks)
        raise Failure(
            f"the audit chain of {where} is not whole{fault}.{hint} Look at it with `modelward audit verify` first."
        )
    readable = [document for document in collected.documents if is_readable(document)]
    return [ModelAuditRecordSpec.model_validate(document) for document in readable], examined.head


def _digest_of_the_same_build(
    trial: Trial, earlier: Cluster, later: Cluster, model: str, version: str
) -> tuple[str, list[str]]:
    """The digest of the version in the later environment, once it is sure to be what served in the earlier one; and what to note.

    Raises:
        Failure: it is not there yet, is another build, or that cannot be told.
    """
    name, notes = child_name(model, version), []
    here, there = read_version(earlier, model, version), read_version(later, model, version)
    if there is None:
        raise Failure(
            f"there is no ModelVersion {later.namespace}/{name} in the later environment: commit it there first, or correct --for and"
            " --for-context."
        )
    wanted = version_digest(there)
    if wanted != trial.digest:
        if here is None or version_digest(here) != trial.digest:
            what = "is not there any more" if here is None else "was made anew with other content"
            raise Failure(
                f"ModelVersion {earlier.namespace}/{name} {what}, so that what served there (digest {trial.digest}) cannot be compared"
                f" with what is to serve in {later.namespace} (digest {wanted})."
            )
        found = differences(here, there)
        if found:
            raise Failure(
                f"what served in {earlier.namespace} is not the build that is to serve in {later.namespace}: {_listed(found)}. Only the"
                " size and the place of pods may differ; keep what differs by environment in a ConfigMap or Secret of the same name."
            )
        notes.append(
            f"the same build under two digests, because pods are sized or placed otherwise: {trial.digest} in {earlier.namespace},"
            f" {wanted} in {later.namespace}"
        )
    if tagged := unpinned_images(there):
        notes.append(
            f"{', '.join(tagged)}: named by a tag, which may mean another image in each environment; pin it by digest"
        )
    return wanted, notes


def _listed(found: Sequence[str]) -> str:
    shown = "; ".join(found[:_SHOWN])
    return shown if len(found) <= _SHOWN else f"{shown}; and {len(found) - _SHOWN} more"


def _refuse_too_little(trial: Trial, limits: Iterable[Limit], what: str) -> None:
    """Too little would fail the gate, and bar the version; nothing makes it wait."""
    for name, limit, option, holds in limits:
        if not holds(trial.metrics[name], limit):
            raise NotYet(
                f"{what}: {name} is {trial.metrics[name]:g}, and {option} asks for {limit:g}. Ask again later."
            )


def _limits(given: list[str] | None, option: str, holds: Callable[[float, float], bool]) -> list[Limit]:
    limits: list[Limit] = []
    for text in given or ():
        name, _, number = text.partition("=")
        if name not in METRICS:
            raise typer.BadParameter(f"{name!r} is no metric: it is one of {', '.join(METRICS)}", param_hint=option)
        try:
            limits.append((name, float(number), option, holds))
        except ValueError as error:
            raise typer.BadParameter(f"{text!r} gives no number: write it as in {name}=7", param_hint=option) from error
    return limits


def _environment(text: str) -> str:
    """A part of the name that the evaluation gets."""
    try:
        return TypeAdapter(ObjectName).validate_python(text) if text else ""
    except ValidationError as error:
        raise typer.BadParameter(
            f"{text!r} cannot be part of a name: write small letters, digits and '-' only, as in test",
            param_hint="--environment",
        ) from error
