"""`modelward policy impact`: which Models a new or changed policy would block or free, before it is applied."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from modelward.api.invalid import first_error
from modelward.api.lifecycle_policy import LifecyclePolicy
from modelward.api.model import Model
from modelward.api.model_version import ModelVersion, ModelVersionSpec
from modelward.api.resources import LIFECYCLE_POLICIES, MODEL_VERSIONS, MODELS, NAMESPACES
from modelward.cli.cluster import ALL_NAMESPACES, Cluster, Context, Kubeconfig, Object, connect
from modelward.cli.explain_text import console_for_output
from modelward.cli.failure import Failure
from modelward.cli.output import As, Output, print_data
from modelward.cli.reading import Unreadable, models_in, parsed, tell_unread
from modelward.lifecycle.policy_impact import Impact, Situation, Verdict, impact_of
from modelward.traffic.names import child_name

policy = typer.Typer(help="Look at LifecyclePolicies before they are applied.", no_args_is_help=True)

_STYLES = {
    Verdict.BLOCKED: "bold red",
    Verdict.STILL_BLOCKED: "red",
    Verdict.FREED: "green",
    Verdict.CHANGED: "yellow",
    Verdict.SAME: "dim",
}


@policy.command()
def impact(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="One or more LifecyclePolicies in YAML; - is standard input.")
    ],
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="Look at the Models of one namespace. [default: all of them]")
    ] = "",
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="Look at the Models of all namespaces, as without -n.")
    ] = False,
    output: As = Output.TABLE,
    context: Context = "",
    kubeconfig: Kubeconfig = None,
) -> None:
    """Say which Models a new or changed policy would block or free, before it is applied.

    Compares, for each Model, the policy that applies now with the one that would: the least tier that its risk assessment
    allows, fields and documents that are missing, approvals that are newly needed. Rollouts in flight stay pinned to the policy
    that they began under, and what serves goes on serving: this is about the next rollout. It changes nothing, and ends with 0
    whatever it finds.

    **Examples**

    `modelward policy impact high.yaml`

    `modelward policy impact high.yaml -n lending -o json | jq '.[] | select(.verdict == "Blocked")'`
    """
    changed = _policies_in(file)
    where = ALL_NAMESPACES if all_namespaces or not namespace else namespace
    cluster = connect(context, kubeconfig, namespace)
    current = [parsed(LifecyclePolicy, found) for found in cluster.list(LIFECYCLE_POLICIES)]
    now = cluster.now()
    situations = _situations(cluster, where, [*current, *changed])
    impacts = sorted(
        (impact_of(situation, current, changed, now) for situation in situations),
        key=lambda each: (list(Verdict).index(each.verdict), each.namespace, each.model),
    )
    if output is not Output.TABLE:
        print_data(impacts, output)
    else:
        _print(console_for_output(), impacts)


def _policies_in(file: Path) -> list[LifecyclePolicy]:
    name = "standard input" if str(file) == "-" else str(file)
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except OSError as error:
        raise Failure(f"{name} cannot be read: {error.strerror}. Give a file of LifecyclePolicies.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Failure(
            f"{name} is no YAML: {' '.join(str(error).split())}. Give a file of LifecyclePolicies."
        ) from error
    policies = [document for document in documents if _kind_of(document) == "LifecyclePolicy"]
    if not policies:
        kinds = ", ".join(sorted({_kind_of(document) for document in documents})) or "nothing"
        raise Failure(f"{name} has no LifecyclePolicy, but {kinds}: give a file that has one.")
    return [_written(document) for document in policies]


def _kind_of(document: Any) -> str:
    return str(document.get("kind") or "an object without kind") if isinstance(document, dict) else "no object"


def _written(document: Object) -> LifecyclePolicy:
    try:
        return LifecyclePolicy.model_validate(document)
    except ValidationError as error:
        metadata = document.get("metadata")
        name = metadata.get("name", "without a name") if isinstance(metadata, dict) else "without a name"
        raise Failure(f"LifecyclePolicy {name}: {first_error(error, 'all of it')}. Correct it first.") from error


def _situations(cluster: Cluster, where: str, policies: Iterable[LifecyclePolicy]) -> list[Situation]:
    models = [found for found in cluster.list(MODELS, where) if not found["metadata"].get("deletionTimestamp")]
    versions = {
        (found["metadata"]["namespace"], found["metadata"]["name"]): found
        for found in cluster.list(MODEL_VERSIONS, where)
    }
    # Asked for only where a policy selects by them: not everybody who may read Models may read namespaces.
    selecting = any(each.spec.applies_to.namespace_selector.match_labels for each in policies)
    labels = _labels_of_namespaces(cluster, where) if selecting else {}
    return [
        Situation(
            model=model,
            status=status,
            requested=_requested(model, versions),
            namespace_labels=labels.get(model.metadata.namespace, {}),
        )
        for model, status in models_in(models)
    ]


def _requested(model: Model, versions: dict[tuple[str, str], Object]) -> ModelVersionSpec | None:
    """What the Model asks for; None where that is not there, or where another release wrote it."""
    wanted = model.spec.production.version
    found = versions.get((model.metadata.namespace, child_name(model.metadata.name, wanted))) if wanted else None
    if found is None:
        return None
    try:
        return parsed(ModelVersion, found).spec
    except Unreadable as error:
        tell_unread(found, error)
        return None


def _labels_of_namespaces(cluster: Cluster, where: str) -> dict[str, dict[str, str]]:
    one = cluster.get(NAMESPACES, where) if where != ALL_NAMESPACES else None
    found = cluster.list(NAMESPACES) if where == ALL_NAMESPACES else [one] if one else []
    return {each["metadata"]["name"]: each["metadata"].get("labels") or {} for each in found}


def _print(console: Console, impacts: Sequence[Impact]) -> None:
    if not impacts:
        console.print("There are no Models here: the policy blocks nothing.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("NAMESPACE", "MODEL", "TIER", "POLICY", "LEAST TIER", "VERDICT"):
        table.add_column(column)
    for each in impacts:
        table.add_row(
            each.namespace,
            each.model,
            each.tier,
            _arrow(each.now.policy, each.then.policy),
            _arrow(each.now.floor, each.then.floor),
            f"[{_STYLES[each.verdict]}]{each.verdict}[/]",
        )
    console.print(table)
    for each in impacts:
        lines = _details(each)
        if lines:
            console.print(f"\n[bold]{each.namespace}/{each.model}[/]: {each.verdict}", soft_wrap=True)
            for line in lines:
                console.print(f"  {escape(line)}", soft_wrap=True)
    counts = {verdict: sum(each.verdict is verdict for each in impacts) for verdict in Verdict}
    summary = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    console.print(f"\n{summary}. Nothing was changed.")


def _arrow(now: str | None, then: str | None) -> str:
    return now or "none" if now == then else f"{now or 'none'} -> {then or 'none'}"


def _details(each: Impact) -> list[str]:
    if each.verdict is Verdict.SAME:
        return []
    staying = tuple(entry for entry in each.then.obstacles if entry in each.now.obstacles)
    return [
        *(f"blocks: {sentence}" for sentence in each.blocked_by),
        *(f"still blocks: {sentence}" for sentence in staying),
        *(f"frees: {sentence}" for sentence in each.freed_from),
        *(f"newly asks for approval: {demand}" for demand in each.new_approvals),
        *(f"asks no longer for approval: {demand}" for demand in each.dropped_approvals),
        *([f"in flight: {each.in_flight}; it stays so"] if each.in_flight else []),
    ]
