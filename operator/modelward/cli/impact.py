"""`modelward impact`: what is affected by a data set, a model, an image, a base model or an artifact, and who has to be told."""

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from modelward.api.resources import CONTROLLER_REVISIONS, MODEL_VERSIONS, MODELS
from modelward.cli.cluster import ALL_NAMESPACES, Cluster, Context, Forbidden, Kubeconfig, Object, connect
from modelward.cli.explain_text import console_for_output
from modelward.cli.output import As, Output, print_data
from modelward.cli.terminal import clean
from modelward.governance.lineage import (
    LONGEST_PATH,
    Impact,
    ModelName,
    ReachedModel,
    ReachedVersion,
    Subject,
    SubjectKind,
    graph_of,
)
from modelward.traffic.workloads import KEPT_LABEL

AllNamespaces = Annotated[
    bool, typer.Option("--all-namespaces", "-A", help="Look in all namespaces, as without --namespace.")
]


def impact(
    dataset: Annotated[
        str,
        typer.Option("--dataset", help="A data set, a context source or a source outside: its name, digest or URI."),
    ] = "",
    model: Annotated[
        str, typer.Option("--model", help="A Model: its name, NAMESPACE/NAME, or its number in the register.")
    ] = "",
    image: Annotated[
        str,
        typer.Option("--image", help="An image that trains or serves: reference or digest; or a lock file's digest."),
    ] = "",
    base_model: Annotated[
        str, typer.Option("--base-model", help="A base model or a vendor's model: its name or digest.")
    ] = "",
    artifact: Annotated[str, typer.Option("--artifact", help="An artifact: its digest or URI.")] = "",
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="Look in one namespace. [default: all of them]")
    ] = "",
    all_namespaces: AllNamespaces = False,
    output: As = Output.TABLE,
    context: Context = "",
    kubeconfig: Kubeconfig = None,
) -> None:
    """Say what is affected: every version, Model and consumer that something reaches, and by which path.

    Versions are reached through the data sets, context sources, base models and environments that they were made from, the images
    that serve them, and the artifact of another version that they were tuned from; Models through their versions and through
    `dependsOn`, any number of steps far. What gives answers to users now comes first.

    Exit codes: 0 something is reached; 1 nothing is, and what is known and like it is said; 2 the command line is wrong; 3 the
    cluster gives no answer.

    **Examples**

    `modelward impact --dataset sha256:3f0a...`

    `modelward impact --image registry.example.com/serve@sha256:77ab... -n lending`

    `modelward impact --base-model tabular-base -o json | jq -r '.models[] | select(.affectedNow) | .contact'`
    """
    subject = _subject(
        {
            SubjectKind.DATASET: dataset,
            SubjectKind.MODEL: model,
            SubjectKind.IMAGE: image,
            SubjectKind.BASE_MODEL: base_model,
            SubjectKind.ARTIFACT: artifact,
        }
    )
    found = _look(connect(context, kubeconfig, namespace), namespace, all_namespaces, subject)
    if output is not Output.TABLE:
        print_data(found, output)
    else:
        print_impact(console_for_output(), found)
    if not found.found:
        raise typer.Exit(1)


def print_impact(console: Console, found: Impact) -> None:
    """A tree, from what was asked about to those who rely on it; then what could not be looked at."""
    asked = f"{found.subject.kind.value} {found.subject.text}"
    if not found.found:
        console.print(_nothing(found, asked), soft_wrap=True, style="yellow", markup=False)
    else:
        _print_tree(console, found, asked)
        now = sum(each.affected_now for each in found.models)
        versions = sum(len(each.versions) for each in found.models)
        consumers = {consumer.name for each in found.models for consumer in each.consumers}
        console.print(
            f"\n{_counted(len(found.models), 'Model')} ({now} with users affected now), {_counted(versions, 'version')},"
            f" {_counted(len(consumers), 'consumer')}."
        )
    if found.truncated:
        console.print(f"Note: what is more than {LONGEST_PATH} steps away is left out.", style="yellow")
    for sentence in found.unread:
        console.print(Text(f"Note: {clean(sentence)}.", style="yellow"), soft_wrap=True)


def _subject(asked: dict[SubjectKind, str]) -> Subject:
    given = [Subject(kind, text) for kind, text in asked.items() if text.strip()]
    if len(given) != 1:
        options = "--dataset, --model, --image, --base-model and --artifact"
        raise typer.BadParameter(f"give exactly one of {options}")
    return given[0]


def _look(cluster: Cluster, namespace: str, all_namespaces: bool, subject: Subject) -> Impact:
    where = ALL_NAMESPACES if all_namespaces or not namespace else cluster.namespace
    versions = cluster.list(MODEL_VERSIONS, where)
    return graph_of(cluster.list(MODELS, where), versions, _kept(cluster, where)).impact(subject)


def _kept(cluster: Cluster, where: str) -> list[Object]:
    """Copies of versions that were deployed, whose ModelVersions may have been pruned since."""
    try:
        revisions = cluster.list(CONTROLLER_REVISIONS, where, f"{KEPT_LABEL}=Version")
    except Forbidden:
        return []  # what serves without a ModelVersion is then named in a note
    return [_as_version(revision) for revision in revisions]


def _as_version(revision: Object) -> Object:
    spec: dict[str, Any] = (revision.get("data") or {}).get("spec") or {}
    name = f"{spec.get('model')}-{spec.get('version')}"
    return {"metadata": {"namespace": revision["metadata"]["namespace"], "name": name}, "spec": spec}


def _nothing(found: Impact, asked: str) -> str:
    if found.near:
        return f"Nothing is reached from {clean(asked)}. Did you mean {', '.join(clean(name) for name in found.near)}?"
    known = f"{found.known} names and digests" if found.known else "no name and no digest"
    return (
        f"Nothing is reached from {clean(asked)}. The register knows {known} of that kind, and none is like it."
        " Versions that do not say what they were made from cannot be found by it."
    )


def _print_tree(console: Console, found: Impact, asked: str) -> None:
    root = Tree(Text(clean(asked), style="bold"))
    branches: dict[ModelName, Tree] = {}
    # A Model comes after the one that it is reached through: its path is longer.
    for each in sorted(found.models, key=lambda each: (len(each.path), not each.affected_now)):
        parent = branches.get(each.via, root) if each.via else root
        branches[ModelName(each.namespace, each.name)] = _add_model(parent, each)
    if console.is_terminal and not console.no_color:
        console.print(root)
    else:
        _print_plainly(console, root)


def _add_model(parent: Tree, each: ReachedModel) -> Tree:
    serves = f"serves {each.serving} ({each.stage})" if each.serving else f"serves nothing ({each.stage})"
    owner = f"owner {each.owner}" + (f" <{each.contact}>" if each.contact else "") if each.owner else "no owner"
    line = Text(clean(f"{each.namespace}/{each.name}"), style="bold red" if each.affected_now else "bold")
    because = "" if each.versions else f", {each.because}"
    now = ", users affected now" if each.affected_now else ""
    line.append(clean(f"  {each.tier}, {owner}, {serves}{now}{because}"), style="not bold default")
    branch = parent.add(line)
    for version in each.versions:
        branch.add(_version_line(version))
    for consumer in each.consumers:
        who = ", ".join(part for part in (consumer.team, consumer.contact) if part)
        branch.add(Text(clean(f"consumer {consumer.name}" + (f" ({who})" if who else "")), style="cyan"))
    return branch


def _version_line(version: ReachedVersion) -> Text:
    share = f", {version.percent} % of requests" if version.percent else ""
    style = "red" if version.serving else ""
    return Text(clean(f"{version.version}  {version.stage}{share}: {version.because}"), style=style)


def _print_plainly(console: Console, tree: Tree, indent: str = "") -> None:
    console.print(Text(f"{indent}{tree.label}"), soft_wrap=True)
    for child in tree.children:
        _print_plainly(console, child, f"{indent}  ")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")
