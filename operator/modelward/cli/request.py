"""`modelward request`: what a promotion will ask people for, ready to hand to them."""

from collections.abc import Iterable, Sequence
from typing import Annotated

import typer
import yaml
from rich.console import Console
from rich.text import Text

from modelward.api.demands import IdentityMap
from modelward.api.model_approval import Decision
from modelward.api.stages import ApprovalDemand
from modelward.api.status import PendingApproval
from modelward.api.types import GROUP, VERSION
from modelward.cli.approvals_case import Case, read_case
from modelward.cli.approvals_shown import label
from modelward.cli.cluster import Context, Kubeconfig, ModelName, Namespace, Object, connect
from modelward.cli.completion import version_names
from modelward.cli.explain_text import console_for_output
from modelward.cli.failure import Failure
from modelward.cli.terminal import clean
from modelward.governance.identities import builder_of, builders_of, team_in_common

YOURSELF = "YOUR-USER-NAME"
"""What is put for the approver, who is whoever creates the object."""


def request(
    model: ModelName,
    version: Annotated[
        str,
        typer.Option(
            "--version",
            help="A version. [default: the one in flight, else the one that is asked for]",
            autocompletion=version_names,
        ),
    ] = "",
    standing: Annotated[
        bool, typer.Option("--standing", help="Show what approves routine retrains in advance instead.")
    ] = False,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = None,
) -> None:
    """Print which approvals a version lacks or will lack, who may give them, and what to hand to them.

    For each role: the digest of what is to be approved, the people of the policy's identityMap who may count (who built the version never
    does; whether the cluster gave them the role is not looked at), a ModelApproval in YAML, and a text for a chat or a ticket. Before the
    promotion it tells what the digest is now: a new evaluation or another policy changes it.

    **Examples**

    `modelward request credit-risk -n lending`

    `modelward request credit-risk -n lending --version v8`

    `modelward request credit-risk -n lending --standing`
    """
    cluster = connect(context, kubeconfig, namespace)
    case = read_case(cluster, model, version)
    console = console_for_output()
    if not case.asked:
        if case.policy_problem and not case.in_flight:
            raise Failure(f"what {case.version} of Model {case.where} will lack cannot be told: {case.policy_problem}.")
        console.print(f"{case.version} of Model {case.where} lacks no approval.", markup=False, soft_wrap=True)
        return
    label(console, "Model", case.where)
    label(console, "Version", case.version + (", in flight" if case.in_flight else ", not begun"))
    if case.policy_problem:
        console.print(Text(f"Note: {clean(case.policy_problem)}.", style="yellow"), soft_wrap=True)
    demands = {demand.role: demand for demand in case.demands()}
    for row in case.asked:
        _print_row(console, case, row, demands.get(row.role))
    manifests = [_manifest(case, row, standing=standing) for row in case.asked]
    console.print()
    console.print(Text("To create, each by the person who decides:", style="bold"))
    console.print(
        yaml.safe_dump_all(manifests, sort_keys=False, allow_unicode=True, width=120), markup=False, soft_wrap=True
    )
    console.print(Text("To hand to them:", style="bold"))
    for row in case.asked:
        for line in _text(case, row, standing=standing):
            console.print(clean(line), markup=False, soft_wrap=True)


def may_count(
    identities: IdentityMap, builders: Sequence[str], demand: ApprovalDemand | None, team: str | None
) -> list[str]:
    """The people whose approval would count: not the builders, and where the role is for others than the team, not of it."""
    built = {builder_of(builder, identities) for builder in builders}
    outside = demand is not None and demand.independent
    return [
        f"{person.name} ({', '.join(person.usernames)})" if person.usernames else person.name
        for person in identities.people
        if person.name not in built
        and not (
            outside and (not person.teams or team is None or team_in_common(person.name, team, builders, identities))
        )
    ]


def _print_row(console: Console, case: Case, row: PendingApproval, demand: ApprovalDemand | None) -> None:
    console.print()
    due = "the rollout waits for it" if row.due else "asked for later" if case.in_flight else "will be asked for"
    label(console, "Role", f"{row.role}: {row.missing} before {row.before}, {due}")
    label(console, "Digest", row.subject_digest)
    if row.standing_digest:
        label(console, "Standing", row.standing_digest)
    for line in _people(case, demand):
        label(console, "Who", line)
    for refused in row.refused:
        label(console, "Not counted", refused)


def _people(case: Case, demand: ApprovalDemand | None) -> Iterable[str]:
    if case.policy is None:
        return ["not known: the policy cannot be shown"]
    identities = case.policy.spec.identity_map
    builders = builders_of(case.candidate.spec)
    if not builders:
        return [f"nobody: {case.version} names no builder (spec.builtBy)"]
    unknown = [builder for builder in builders if builder_of(builder, identities) is None]
    if unknown:
        return [f"nobody: the policy's identityMap does not know the builder {', '.join(unknown)}"]
    owner = case.model.spec.owner
    people = may_count(identities, builders, demand, owner.team if owner else None)
    others = ["everybody else who has the role and built nothing of it"] if identities.match_by_name else []
    return [", ".join([*people, *others]) or "nobody that the policy's identityMap knows"]


def _manifest(case: Case, row: PendingApproval, *, standing: bool) -> Object:
    spec: Object = {
        "model": case.model.metadata.name,
        **({} if standing else {"version": case.version}),
        "role": row.role,
        "decision": Decision.APPROVE.value,
        "subjectDigest": row.standing_digest if standing else row.subject_digest,
        "approver": YOURSELF,
        "reason": "",
    }
    if standing:
        evaluation, metric = _any_metric(case)
        spec |= {
            "expiresAt": f"{case.situation.now.year + 1}-01-01T00:00:00Z",
            "standing": {
                "maxCount": 12,
                "metrics": [{"evaluation": evaluation, "metric": metric, "maxDecrease": 0.005}],
            },
        }
    about = [
        case.model.metadata.name,
        *([] if standing else [case.version]),
        row.role,
        "standing" if standing else "approve",
    ]
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "ModelApproval",
        "metadata": {"generateName": "-".join(about) + "-", "namespace": case.model.metadata.namespace},
        "spec": spec,
    }


def _any_metric(case: Case) -> tuple[str, str]:
    """A figure that the version has, as an example of a bound."""
    found = sorted(case.evaluations_of(case.candidate).items())
    return (found[0][0], found[0][1].spec.metrics[0].name) if found else ("holdout", "auc")


def _text(case: Case, row: PendingApproval, *, standing: bool) -> tuple[str, str]:
    """What is asked, and the command that decides."""
    model, namespace = case.model.metadata.name, case.model.metadata.namespace
    if standing:
        evaluation, metric = _any_metric(case)
        return (
            f"Please decide whether routine retrains of {model} ({namespace}) need no look of yours as {row.role}:",
            f"  modelward approve {model} -n {namespace} --role {row.role} --standing 12 --bound {evaluation}/{metric}=0.005"
            " --expires 180d",
        )
    return (
        f"Please decide on {case.version} of {model} ({namespace}) as {row.role}, before {row.before}. Its digest is"
        f" {row.subject_digest}.",
        f"  modelward approve {model} -n {namespace} --version {case.version} --role {row.role}",
    )
