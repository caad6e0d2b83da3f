"""Completion: names from the cluster, the script for a shell, and what kubectl asks of its plugins.

Names are looked up by few requests with a short limit, and nothing is ever said where that fails: whoever presses Tab has not
asked for an error.
"""

import os
import shlex
import sys
from contextlib import redirect_stdout, suppress
from enum import StrEnum
from io import StringIO
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelward.cli.called import NAME

if TYPE_CHECKING:
    from modelward.cli.cluster import Cluster

VARIABLE = "_MODELWARD_COMPLETE"
"""A shell sets it to ask for completions instead of a command."""

LIMIT = 2.0
"""Seconds for the answer of a cluster."""

_NO_FILES = ":4"
"""What kubectl is told about completions, by the rules of cobra: there are no file names among them."""


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> None:
    """Print what a shell has to read so that it completes commands, options, and the names of Models and versions.

    For `kubectl modelward`, kubectl's own completion is enough: it asks `kubectl_complete-modelward`, which has to be on the PATH.

    **Examples**

    `source <(modelward completion bash)`

    `modelward completion zsh > "${fpath[1]}/_modelward"`

    `modelward completion fish > ~/.config/fish/completions/modelward.fish`
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    typer.echo(get_completion_script(prog_name=NAME, complete_var=VARIABLE, shell=shell.value))


def asked_for() -> bool:
    """Has a shell started the program to complete a line? Then typer has to know its shells."""
    if VARIABLE not in os.environ:
        return False
    from typer.completion import completion_init  # type: ignore[attr-defined]

    completion_init()
    return True


def complete_for_kubectl() -> None:
    """What `kubectl_complete-modelward` does: completions of the words that follow, one on each line with its help."""
    words = [NAME, *sys.argv[1:]]
    # The words of a shell that writes a completion and its help as kubectl reads them.
    asked = shlex.join(words[:-1]) + " " + shlex.quote(words[-1]) if words[-1] else shlex.join(words[:-1]) + " "
    os.environ |= {VARIABLE: "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args", "_TYPER_COMPLETE_ARGS": asked}
    from modelward.cli.main import main

    said = StringIO()
    with suppress(SystemExit), redirect_stdout(said):
        main()
    completions = [line for line in said.getvalue().splitlines() if line]
    sys.stdout.write("\n".join([*completions, _NO_FILES]) + "\n")


def model_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Models of the namespace that the line names."""
    from modelward.api.resources import MODELS

    found = _listed(ctx, MODELS)
    return sorted(name for each in found if (name := str(each["metadata"]["name"])).startswith(incomplete))


def version_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Versions of the Model that the line names; all of the namespace where it names none."""
    from modelward.api.resources import MODEL_VERSIONS

    model = ctx.params.get("model")
    specs = [each["spec"] for each in _listed(ctx, MODEL_VERSIONS)]
    names = {str(spec["version"]) for spec in specs if not model or spec["model"] == model}
    return sorted(name for name in names if name.startswith(incomplete))


def namespace_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Namespaces, for those who may list them."""
    from modelward.api.resources import NAMESPACES

    found = _listed(ctx, NAMESPACES)
    return sorted(name for each in found if (name := str(each["metadata"]["name"])).startswith(incomplete))


def context_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Contexts of the kubeconfig."""
    import yaml
    from kubernetes import config

    path = ctx.params.get("kubeconfig")
    try:
        contexts, _ = config.list_kube_config_contexts(None if path is None else str(path))  # type: ignore[no-untyped-call]
    except (config.ConfigException, yaml.YAMLError, OSError, ValueError):
        return []
    return sorted(name for each in contexts if (name := str(each["name"])).startswith(incomplete))


def _listed(ctx: typer.Context, resource: Any) -> list[dict[str, Any]]:
    from modelward.cli.cluster import ClusterError

    try:
        return _cluster(ctx).list(resource)
    except (ClusterError, KeyError, TypeError):
        return []


def _cluster(ctx: typer.Context) -> "Cluster":
    from modelward.cli.cluster import connect

    given = ctx.params
    return connect(given.get("context") or "", given.get("kubeconfig"), given.get("namespace") or "", timeout=LIMIT)
