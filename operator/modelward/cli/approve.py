"""`modelward approve`: shows what a decision is about, asks, and creates the ModelApproval under the caller's own name."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from modelward.api.demands import RiskTier
from modelward.api.model_approval import Decision
from modelward.api.resources import MODEL_APPROVALS
from modelward.api.status import PendingApproval, format_second
from modelward.cli.approvals import untrusted
from modelward.cli.approvals_case import Case, as_decided, read_case
from modelward.cli.approvals_rights import Rights
from modelward.cli.approvals_shown import label, show
from modelward.cli.called import called_as
from modelward.cli.cluster import (
    Cluster,
    Context,
    Forbidden,
    Kubeconfig,
    ModelName,
    Namespace,
    Object,
    connect,
)
from modelward.cli.completion import version_names
from modelward.cli.explain_text import console_for_output
from modelward.cli.failure import Failure
from modelward.cli.moments import moment_of, span_of
from modelward.cli.reading import read_model
from modelward.cli.terminal import clean

_CLUSTER_ROLES = {Decision.REJECT: "rejecter", Decision.OVERRIDE: "overrider"}
_VERBS = {Decision.REJECT: "reject", Decision.OVERRIDE: "override"}
_BOUND = re.compile(r"([^/=\s]+)/([^/=\s]+)=([0-9.eE+-]+)")


@dataclass(frozen=True)
class _Wish:
    """What the command line asks for, beside which Model."""

    decision: Decision
    version: str
    role: str
    reason: str
    expires_at: str
    tier: RiskTier | None
    standing: Object | None


@dataclass(frozen=True)
class _Draft:
    """A decision before the question: its spec but for the approver, and what has to be the same when it is created."""

    spec: Object
    digest: str
    notes: tuple[str, ...] = ()


def approve(
    model: ModelName,
    version: Annotated[
        str,
        typer.Option(
            "--version",
            help="A version. [default: the one in flight, else the one that is asked for]",
            autocompletion=version_names,
        ),
    ] = "",
    role: Annotated[
        str, typer.Option("--role", help="The role to decide in. [default: the only one that lacks and that you have]")
    ] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept in the audit trail.")] = "",
    expires: Annotated[
        str, typer.Option("--expires", metavar="SPAN", help="When it ends to count: 30d, 12h, or a time in RFC 3339.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; for pipelines, with --subject-digest.")] = False,
    subject_digest: Annotated[
        str, typer.Option("--subject-digest", metavar="DIGEST", help="Only if this is what is there to approve.")
    ] = "",
    standing: Annotated[
        int,
        typer.Option(
            "--standing", metavar="COUNT", min=0, max=1000, help="Approve so many routine retrains in advance."
        ),
    ] = 0,
    bound: Annotated[
        list[str] | None,
        typer.Option(
            "--bound", metavar="EVALUATION/METRIC=DECREASE", help="Of --standing: how much worse a figure may be."
        ),
    ] = None,
    override: Annotated[
        bool, typer.Option("--override", help="Break-glass: stand in for every approval that lacks.")
    ] = False,
    exception: Annotated[
        RiskTier | None, typer.Option("--exception", help="Let the Model have this tier, below its assessment's.")
    ] = None,
    reviewed: Annotated[
        bool, typer.Option("--reviewed", help="Record that the Model as a whole was reviewed.")
    ] = False,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = None,
) -> None:
    """Approve a version, after a look at what that means.

    Prints what changes against the version that serves, the newest evaluations of both, the gates as they stand, data sets with their
    classification, the model card, the policy, the builders, and who has decided. Then it asks, looks whether all of it is still so, and
    creates a ModelApproval in your name. A pipeline gives --yes and the --subject-digest that was looked at.

    Also: --standing approves routine retrains in advance, --override is break-glass, --exception allows a lower tier, --reviewed records a
    review. Ends with 1 when it is refused or something has changed, and with 3 when the cluster does not answer.

    **Examples**

    `modelward approve credit-risk -n lending --role risk --reason "Bias within appetite."`

    `modelward approve credit-risk -n lending --version v8 --role risk --yes --subject-digest sha256:0f4c...`

    `modelward approve credit-risk -n lending --role risk --standing 12 --bound holdout/auc=0.005 --expires 180d`

    `modelward approve credit-risk -n lending --role risk --override --reason "Incident 4711." --expires 4h`

    `modelward approve credit-risk -n lending --role risk --exception Medium --reason "Pilot of ten clients." --expires 90d`
    """
    decision = _decision(standing, override, exception, reviewed)
    wish = _Wish(
        decision,
        version,
        role,
        reason,
        _end(expires, datetime.now(UTC)),
        exception,
        _standing(standing, bound or (), expires),
    )
    _must_be_complete(wish)
    if yes and not subject_digest and decision is not Decision.REVIEWED:
        raise Failure(
            "--yes approves without a look: give --subject-digest of what was looked at, as `modelward request` prints it."
        )
    if not yes and not _somebody_answers():
        raise Failure("nobody can be asked here: give --yes and --subject-digest.")
    cluster = connect(context, kubeconfig, namespace)
    console = console_for_output()
    approver = cluster.whoami()
    draft = _drafted(cluster, model, wish, approver, console)
    if subject_digest and subject_digest != draft.digest:
        raise Failure(
            f"what is there to decide about has digest {draft.digest}, not {subject_digest}: something has changed since; look again."
        )
    for note in draft.notes:
        console.print(Text(f"\nWarning: {clean(note)}", style="yellow"), soft_wrap=True)
    if not yes and not typer.confirm(f"\n{_question(wish, model, draft)} as {approver}?"):
        raise Failure("nothing was decided.")
    again = _drafted(cluster, model, wish, approver, Console(quiet=True))
    if again.spec != draft.spec:
        raise Failure("what there is to decide about has changed while you looked: nothing was decided; look again.")
    created = create(cluster, {**draft.spec, "approver": approver})
    console.print(f"Created ModelApproval {created}, in the name of {approver}.", soft_wrap=True, markup=False)
    if draft.digest:
        console.print(
            f"Whether it counts: {called_as()} approvals -n {cluster.namespace}", soft_wrap=True, markup=False
        )


def create(cluster: Cluster, spec: Object) -> str:
    """Create a decision; its name.

    Raises:
        ClusterError: no answer.
        Failure: the API server refuses, in its own words, with the right to ask for.
    """
    parts = (spec["model"], spec.get("version"), spec["role"], spec["decision"].lower())
    metadata = {"generateName": "-".join(part for part in parts if part) + "-", "namespace": cluster.namespace}
    try:
        made = cluster.create(MODEL_APPROVALS, {"metadata": metadata, "spec": spec})
    except Forbidden as error:
        kind = _CLUSTER_ROLES.get(Decision(spec["decision"]), "approver")
        said = error.message.removesuffix(" Ask who runs the cluster for that right.")
        raise Failure(
            f"{said} Who decides as {spec['role']} is bound to the ClusterRole {kind}-{spec['role']} of the release in"
            f" {cluster.namespace}, as an account of a person: ask who runs the cluster."
        ) from error
    return f"{cluster.namespace}/{made['metadata']['name']}"


def role_to_decide_in(
    rights: Rights, decision: Decision, wanted: str, roles: Sequence[str], namespace: str, about: str
) -> str:
    """The role that is named, else the only one of these that the caller has.

    Raises:
        Failure: there is none, or more than one.
    """
    if wanted:
        return wanted
    verb = _VERBS.get(decision, "approve")
    mine = rights.of(verb, roles, namespace)
    if len(mine) == 1:
        return mine[0]
    if mine:
        raise Failure(f"{about} can be decided by you as {' or '.join(mine)}: choose one with --role.")
    named = " or ".join(dict.fromkeys(roles))
    lacking = f"you may not {verb} as {named} in {namespace}" if named else "which role it takes is not known"
    raise Failure(f"{lacking}: ask who runs the cluster for the role, or name one with --role.")


def _decision(standing: int, override: bool, exception: RiskTier | None, reviewed: bool) -> Decision:
    if sum(map(bool, (standing, override, exception, reviewed))) > 1:
        raise typer.BadParameter("--standing, --override, --exception and --reviewed exclude one another")
    if override:
        return Decision.OVERRIDE
    if exception:
        return Decision.EXCEPTION
    return Decision.REVIEWED if reviewed else Decision.APPROVE


def _must_be_complete(wish: _Wish) -> None:
    """What the API server would refuse at the end is refused before anybody reads pages."""
    if wish.decision in (Decision.OVERRIDE, Decision.EXCEPTION) and not wish.reason:
        raise typer.BadParameter(f"--{wish.decision.lower()} takes a --reason")
    lasting = wish.decision in (Decision.OVERRIDE, Decision.EXCEPTION) or wish.standing
    if lasting and not wish.expires_at:
        raise typer.BadParameter("--override, --exception and --standing end at some time: give --expires")


def _end(expires: str, now: datetime) -> str:
    if not expires:
        return ""
    try:
        end = now + span_of(expires)
    except ValueError:
        end = _moment(expires, now)
    if end <= now:
        raise typer.BadParameter(f"--expires {expires} has passed: give a time to come")
    return format_second(end)


def _moment(expires: str, now: datetime) -> datetime:
    try:
        return moment_of(expires, now)
    except ValueError as error:
        raise typer.BadParameter(
            f"--expires {expires} is neither a span, such as 30d or 12h, nor a time in RFC 3339 with its zone"
        ) from error


def _standing(count: int, bounds: Sequence[str], expires: str) -> Object | None:
    if not count:
        if bounds:
            raise typer.BadParameter("--bound belongs to --standing")
        return None
    metrics = []
    for text in bounds:
        matched = _BOUND.fullmatch(text)
        if matched is None:
            raise typer.BadParameter(f"--bound {text} is not EVALUATION/METRIC=DECREASE, such as holdout/auc=0.005")
        metrics.append({"evaluation": matched[1], "metric": matched[2], "maxDecrease": _amount(matched[3])})
    if not metrics:
        raise typer.BadParameter("--standing takes at least one --bound EVALUATION/METRIC=DECREASE")
    return {"maxCount": count, "metrics": metrics}


def _amount(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise typer.BadParameter(f"--bound: {text} is no number") from error


def _somebody_answers() -> bool:
    return sys.stdin.isatty()


def _drafted(cluster: Cluster, model: str, wish: _Wish, approver: str, console: Console) -> _Draft:
    """Read, show, and write down what would be decided."""
    if wish.decision in (Decision.EXCEPTION, Decision.REVIEWED):
        return _about_the_model(cluster, model, wish, console)
    case = read_case(cluster, model, wish.version)
    row = _row(cluster, case, wish)
    if case.subject_of(row) != row.subject_digest:
        raise Failure(
            f"the status of Model {case.where} speaks of other objects than those that are there now: the operator has not seen the"
            " newest version, evaluation or policy yet, or is of another release. Try again in a moment."
        )
    show(console, case, row)
    spec = _spec(wish, case, row)
    digest = str(spec["subjectDigest"])
    console.print()
    label(console, "Digest", digest)
    return _Draft(spec, digest, tuple(_doubts(case, row, wish, approver)))


def _row(cluster: Cluster, case: Case, wish: _Wish) -> PendingApproval:
    """What is asked for in the role to decide in."""
    if not case.asked:
        done = case.status.production is not None and case.status.production.version == case.version
        state = "serves already" if done else case.policy_problem or "lacks no approval"
        raise Failure(f"{case.version} of Model {case.where} {state}: there is nothing to approve.")
    roles = [row.role for row in case.asked]
    rights = Rights(cluster)
    role = role_to_decide_in(rights, wish.decision, wish.role, roles, cluster.namespace, case.version)
    row = next((row for row in case.asked if row.role == role), None)
    if row is None and wish.decision is Decision.OVERRIDE:
        row = case.asked[0].model_copy(update={"role": role})
    if row is None:
        raise Failure(
            f"{case.version} of Model {case.where} lacks no approval as {role}, but as {' and '.join(roles)}."
        )
    return row


def _spec(wish: _Wish, case: Case, row: PendingApproval) -> Object:
    version = {} if wish.standing else {"version": case.version}
    digest = row.standing_digest if wish.standing else row.subject_digest
    return {
        "model": case.model.metadata.name,
        **version,
        "role": row.role,
        "decision": wish.decision.value,
        "subjectDigest": digest,
        **_more(wish),
        **({"standing": wish.standing} if wish.standing else {}),
    }


def _more(wish: _Wish) -> Object:
    reason: Object = {"reason": wish.reason} if wish.reason else {}
    return reason | ({"expiresAt": wish.expires_at} if wish.expires_at else {})


def _doubts(case: Case, row: PendingApproval, wish: _Wish, approver: str) -> list[str]:
    """Why the decision would not count, as far as can be seen from here."""
    found = [f"no approval counts now: {untrusted(case.status)}"] if untrusted(case.status) else []
    if not case.in_flight:
        found.append(
            "the rollout has not begun: a new evaluation or another policy before it does takes another approval"
        )
    if wish.decision is Decision.APPROVE and not wish.standing:
        tried = as_decided(case, row, wish.decision, approver, standing=False)
        bars = [
            bar for answer in case.answers_with(tried) for bar in answer.refused if bar.startswith(f"{tried.name}: ")
        ]
        found += [f"it would not count: {bar.removeprefix(f'{tried.name}: ')}" for bar in bars]
    return found


def _about_the_model(cluster: Cluster, name: str, wish: _Wish, console: Console) -> _Draft:
    """An exception or a review: about the Model, not about one version."""
    if not wish.role:
        raise typer.BadParameter(f"{wish.decision} is decided in a role: give --role")
    model, status = read_model(cluster, name)
    label(console, "Model", f"{cluster.namespace}/{name} {model.spec.model_id or ''}".rstrip())
    label(console, "Purpose", model.spec.purpose or "not said")
    label(console, "In production", status.production.version if status.production else "nothing")
    for condition in status.conditions:
        label(console, condition.type, f"{condition.status}, {condition.reason}: {condition.message}")
    spec: Object = {"model": name, "role": wish.role, "decision": wish.decision.value, **_more(wish)}
    if wish.decision is Decision.REVIEWED:
        return _Draft(spec, "")
    tier = status.risk_tier
    if tier is None or wish.tier is None:
        raise Failure(
            f"Model {cluster.namespace}/{name} has no status.riskTier yet: the operator has not seen it; try again."
        )
    label(console, "Tier claimed", tier.declared)
    label(console, "Least allowed", f"{tier.floor}: {tier.because or 'nothing asks for more'}")
    return _Draft(spec | {"subjectDigest": tier.subject_digest, "tier": wish.tier.value}, tier.subject_digest)


def _question(wish: _Wish, model: str, draft: _Draft) -> str:
    spec: dict[str, Any] = draft.spec
    about = f"{spec['version']} of {model}" if "version" in spec else model
    said = {
        Decision.APPROVE: f"Approve {about}",
        Decision.OVERRIDE: f"Override every approval that {about} lacks, until {wish.expires_at},",
        Decision.EXCEPTION: f"Allow {model} tier {wish.tier}, until {wish.expires_at},",
        Decision.REVIEWED: f"Record that {model} was reviewed",
    }[wish.decision]
    if wish.standing:
        said = f"Approve {wish.standing['maxCount']} retrains of {model} in advance, until {wish.expires_at},"
    return f"{said} in the role {spec['role']}"
