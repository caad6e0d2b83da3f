"""`modelward discover`: inference servers that nobody has registered."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from modelward.api.resources import DAEMON_SETS, DEPLOYMENTS, MODELS, NAMESPACES, PODS, STATEFUL_SETS
from modelward.cli.cluster import Cluster, Context, Kubeconfig, Namespace, Object, connect
from modelward.cli.explain_text import bare_table, console_for_output
from modelward.cli.failure import Failure
from modelward.cli.output import As, Output, print_data
from modelward.cli.terminal import clean
from modelward.governance.discovery import (
    OPT_IN_LABEL,
    OPT_IN_VALUE,
    Signs,
    SignsInvalid,
    Unregistered,
    discover,
    parse_signs,
    register_of,
    shipped_signs,
    workloads_of,
)

LISTED = (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS, PODS)


@dataclass(frozen=True)
class Told:
    """One workload, as it is printed."""

    namespace: str
    kind: str
    name: str
    server: str
    evidence: tuple[str, ...]
    images: tuple[str, ...]
    made_by: str


def discover_workloads(
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="Look in all namespaces that opt in, as the operator does.")
    ] = False,
    signs: Annotated[
        Path | None, typer.Option("--signs", help="A YAML file with signs of your own, beside the shipped ones.")
    ] = None,
    output: As = Output.TABLE,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = None,
) -> None:
    """List what looks like an inference server, and that no Model stands for.

    Looks at Deployments, StatefulSets, DaemonSets and pods made by anything else: in one namespace, or with -A in all that carry
    the label `modelward.dev/discovery: enabled`. Known are labels, images, commands, variables, ports and metric names of the
    usual servers; the evidence is printed, because a sign can be wrong. Nothing is changed. It needs the right to list what it
    looks at.

    A workload counts as registered when a Model names it in `spec.workloads`, or the operator made it.

    Exit codes: 0 whatever is found; 1 the cluster refuses; 2 the command line is wrong; 3 the cluster gives no answer.

    **Examples**

    `modelward discover -n lending`

    `modelward discover -A -o json | jq -r '.[] | [.namespace, .kind, .name, .server] | @tsv'`
    """
    known = _signs(signs)
    cluster = connect(context, kubeconfig, namespace)
    found = unregistered(cluster, opted_in(cluster) if all_namespaces else (cluster.namespace,), known)
    if output is not Output.TABLE:
        print_data([told(each) for each in found], output)
    else:
        _print(console_for_output(), found, "the namespaces that opt in" if all_namespaces else cluster.namespace)


def opted_in(cluster: Cluster) -> tuple[str, ...]:
    """The namespaces in which the operator looks, too."""
    listed = cluster.list(NAMESPACES, selector=f"{OPT_IN_LABEL}={OPT_IN_VALUE}")
    return tuple(sorted(each["metadata"]["name"] for each in listed))


def unregistered(cluster: Cluster, namespaces: tuple[str, ...], signs: Signs | None = None) -> tuple[Unregistered, ...]:
    """What is found in some namespaces.

    Raises:
        ClusterError: the cluster refuses a list, or gives no answer.
    """
    found: list[Unregistered] = []
    for namespace in namespaces:
        objects: list[Object] = [obj for resource in LISTED for obj in cluster.list(resource, namespace)]
        register = register_of(cluster.list(MODELS, namespace))
        found += discover(workloads_of(objects), register, shipped_signs() if signs is None else signs)
    return tuple(found)


def told(each: Unregistered) -> Told:
    """What is printed of a workload, without the workload."""
    return Told(each.namespace, each.kind, each.name, each.server, each.evidence, each.images, each.made_by)


def _signs(file: Path | None) -> Signs:
    if file is None:
        return shipped_signs()
    try:
        return (*shipped_signs(), *parse_signs(str(file), file.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, SignsInvalid) as error:
        raise Failure(f"--signs cannot be used: {error}.") from error


def _print(console: Console, found: tuple[Unregistered, ...], where: str) -> None:
    if not found:
        console.print(Text(f"Nothing in {clean(where)} looks like an inference server that nobody has registered."))
        return
    table = bare_table("NAMESPACE", "KIND", "NAME", "SERVER", "BECAUSE OF", "MADE BY")
    for each in found:
        cells = (each.namespace, each.kind, each.name, each.server, ", ".join(each.evidence), each.made_by)
        table.add_row(*(Text(clean(cell)) for cell in cells))
    console.print(table)
