"""`modelward status`: what goes on with a Model, or with all of them; with --watch, as it happens."""

from typing import Annotated

import typer

from modelward.cli.cluster import ALL_NAMESPACES, Context, Kubeconfig, Namespace, connect
from modelward.cli.completion import model_names
from modelward.cli.output import As, Output


def status(
    model: Annotated[
        str,
        typer.Argument(metavar="[MODEL]", help="A Model. [default: a table of all]", autocompletion=model_names),
    ] = "",
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Show every change as it happens, until Ctrl-C.")
    ] = False,
    namespace: Namespace = "",
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="The Models of all namespaces, in a table.")
    ] = False,
    output: As = Output.TABLE,
    context: Context = "",
    kubeconfig: Kubeconfig = None,
) -> None:
    """Say what goes on with a Model and what to do; or with all Models, those that need somebody first.

    The first line says it in two sentences. Below are what is wrong, every version with its share of requests and its gates, the
    approvals that are lacking with the command that gives them, and what happens next and when. A bar shows the interval of a
    gate's figure against its bound; where there is no figure yet, how many of the samples that it needs are there.

    `--watch` follows the Model by a watch of Kubernetes: in a terminal the picture is drawn anew, piped one line is added for
    each change. It needs the right to get, list and watch Models; that to get ControllerRevisions, or to list LifecyclePolicies,
    adds durations and the steps to come.

    **Examples**

    `modelward status -A`

    `modelward status credit-risk -n lending`

    `modelward status credit-risk -n lending --watch`

    `modelward status credit-risk -n lending -o json | jq -r .headline.what`
    """
    if model and all_namespaces:
        raise typer.BadParameter(
            "-A shows the Models of all namespaces: leave MODEL out, or name its namespace with -n"
        )
    from modelward.cli import status_shown  # here, so that completing the options above does not wait for it

    cluster = connect(context, kubeconfig, namespace)
    where = ALL_NAMESPACES if all_namespaces else cluster.namespace
    if watch:
        status_shown.follow(cluster, model, where, output)
    elif model:
        status_shown.show(cluster, model, output)
    else:
        status_shown.list_all(cluster, where, output)
