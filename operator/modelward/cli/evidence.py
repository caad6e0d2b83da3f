"""`modelward evidence`: what a version has shown in one environment, as a ModelEvaluation for the next one."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
import yaml
from rich.console import Console

from modelward.api.digests import version_digest
from modelward.api.model import Model
from modelward.api.model_audit_record import ModelAuditRecordSpec
from modelward.api.model_evaluation import ModelEvaluation
from modelward.api.model_version import ModelVersion, ModelVersionSpec
from modelward.api.resources import MODEL_VERSIONS
from modelward.api.status import ModelStatus, format_second
from modelward.api.types import API_VERSION, parse_duration
from modelward.cli.approvals import untrusted
from modelward.cli.approvals_case import parsed, read_model
from modelward.cli.audit_sources import Checkpoints, Collected, From, PublicKeys, Sources, collect, read_keys
from modelward.cli.cluster import Cluster, Context, Kubeconfig, Namespace, connect
from modelward.cli.failure import Failure
from modelward.governance import trials
from modelward.governance.builds import differences, unpinned_images
from modelward.governance.chain import Head, is_readable
from modelward.governance.trials import METRICS, NothingToShow, Trial
from modelward.traffic.names import child_name

NOT_YET = 4
_SHOWN = 5


class NotYet(Failure):
    """The version fares well, and has not shown enough."""

    exit_code = NOT_YET


@dataclass(frozen=True)
class Later:
    """The environment that the evidence is for, as far as it is known."""

    namespace: str
    digest: str
    evaluator: str


def evidence(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name of the Model, the same in each environment.")],
    version: Annotated[str, typer.Option("--version", help="The version, which was promoted in the earlier one.")],
    later_namespace: Annotated[
        str,
        typer.Option("--for", help="The namespace of the later environment. [default: that of --namespace]"),
    ] = "",
    later_context: Annotated[
        str,
        typer.Option(
            "--for-context", help="The kubeconfig's context of the later environment. [default: the same cluster]"
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
        str, typer.Option("--valid-for", help="For how long it is evidence, such as 720h. [default: without an end]")
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

    Metrics: METRIC_LIST.

    Ends with 0 when it is printed; with 1 when there is nothing to show (never promoted there, latched, taken back, another build, an
    audit chain that is not whole) or a cluster refuses; with 2 when the command line is wrong; with 3 when a cluster gives no
    answer; with 4 when `--at-least` or `--at-most` does not hold yet.

    **Examples**

    `modelward evidence credit-risk --version v8 -n lending-test --for lending-prod | kubectl create -f -`

    `modelward evidence credit-risk --version v8 -n lending --context test --for-context prod --environment test --at-least daysInProduction=7`
    """
    limits = [*_limits(at_least, "--at-least", operator.ge), *_limits(at_most, "--at-most", operator.le)]
    validity = _duration(valid_for)
    cluster = connect(context, kubeconfig, namespace)
    now = datetime.now(UTC)
    served, status = read_model(cluster, model)
    called = environment or cluster.namespace
    where = f"{cluster.namespace}/{model}"
    _refuse_what_proves_nothing(served, status, where)
    sources = Sources(directory, tuple(checkpoints or ()), cluster.namespace, False, context, kubeconfig)
    records, head = _whole_chain(collect(sources, model), where, read_keys(public_key or ()))
    try:
        trial = trials.trial_of(records, status, version, now)
    except NothingToShow as error:
        raise Failure(f"{called} shows nothing for it: {error}. It has to be promoted there first.") from error
    later_cluster = connect(later_context or context, kubeconfig, later_namespace or cluster.namespace)
    notes: list[str] = []
    same_place = not later_context and later_cluster.namespace == cluster.namespace
    here = _version(cluster, model, version)
    there = here if same_place else _version(later_cluster, model, version)
    digest = _digest_of_the_same_build(trial, here, there, child_name(model, version), cluster, later_cluster, notes)
    later = Later(later_cluster.namespace, digest, evaluator or later_cluster.whoami())
    for name, limit, option, holds in limits:
        if not holds(trial.metrics[name], limit):
            raise NotYet(
                f"{version} in {called}: {name} is {trial.metrics[name]:g}, and {option} asks for {limit:g}. Ask again later."
            )
    for note in notes:
        Console(stderr=True, soft_wrap=True).print(f"note: {note}", highlight=False, markup=False)
    manifest = _manifest(model, version, called, trial, later, head, now, validity, cluster.namespace)
    typer.echo(yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True, width=120), nl=False)


assert evidence.__doc__
evidence.__doc__ = evidence.__doc__.replace(
    "METRIC_LIST", "; ".join(f"`{name}`, {meaning}" for name, meaning in METRICS.items())
)


def _refuse_what_proves_nothing(model: Model, status: ModelStatus, where: str) -> None:
    if model.spec.serving is None:
        raise Failure(
            f"Model {where} is served elsewhere (it has no spec.serving), so that nothing about it is measured there."
        )
    doubt = untrusted(status)
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


def _version(cluster: Cluster, model: str, version: str) -> ModelVersionSpec | None:
    found = cluster.get(MODEL_VERSIONS, child_name(model, version))
    return parsed(ModelVersion, found).spec if found else None


def _digest_of_the_same_build(
    trial: Trial,
    here: ModelVersionSpec | None,
    there: ModelVersionSpec | None,
    name: str,
    earlier: Cluster,
    later: Cluster,
    notes: list[str],
) -> str:
    """The digest of the version in the later environment, once it is sure to be what served in the earlier one.

    Raises:
        Failure: it is not there yet, is another build, or that cannot be told.
    """
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
    tagged = unpinned_images(there)
    if tagged:
        notes.append(
            f"{', '.join(tagged)}: named by a tag, which may mean another image in each environment; pin it by digest"
        )
    return wanted


def _listed(found: Sequence[str]) -> str:
    shown = "; ".join(found[:_SHOWN])
    return shown if len(found) <= _SHOWN else f"{shown}; and {len(found) - _SHOWN} more"


def _manifest(
    model: str, version: str, environment: str, trial: Trial, later: Later, head: Head, now: datetime,
    validity: timedelta | None, namespace: str,
) -> dict[str, object]:  # fmt: skip
    """The evaluation, as the later environment's API server takes it."""
    spec: dict[str, object] = {
        "model": model,
        "version": version,
        "versionDigest": later.digest,
        "name": f"environment-{environment}",
        "evaluator": later.evaluator,
        "metrics": [{"name": name, "value": value} for name, value in trial.metrics.items()],
        "at": format_second(now),
        **({"validUntil": format_second(now + validity)} if validity else {}),
        "environment": {
            "name": environment,
            "namespace": namespace,
            "versionDigest": trial.digest,
            "record": head.seq,
            "recordHash": head.hash,
        },
    }
    about = f"{child_name(model, version)}-environment-{environment}-"
    manifest: dict[str, object] = {
        "apiVersion": API_VERSION,
        "kind": "ModelEvaluation",
        "metadata": {"generateName": about, "namespace": later.namespace},
        "spec": spec,
    }
    ModelEvaluation.model_validate({**manifest, "metadata": {"name": about}})
    return manifest


Limit = tuple[str, float, str, Callable[[float, float], bool]]


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


def _duration(text: str) -> timedelta | None:
    if not text:
        return None
    try:
        parsed_duration = parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--valid-for") from error
    assert isinstance(parsed_duration, timedelta)
    return parsed_duration
