"""`modelward lint`: what is wrong with manifests, before they are merged and without a cluster."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from modelward.api.lifecycle_policy import LifecyclePolicy
from modelward.cli.failure import Failure
from modelward.cli.output import print_data
from modelward.manifests import lint as linting
from modelward.manifests import reports, shipped
from modelward.manifests.documents import LARGEST_FILE, Read, TooMuch, files_in, read_files, read_text
from modelward.manifests.finding import Severity
from modelward.manifests.portfolio import gathered

FINDINGS, USAGE = 1, 2
"""Exit codes; 0 when nothing is wrong."""


class Form(StrEnum):
    """Those of every command, and two that other programs read findings in."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    SARIF = "sarif"
    JUNIT = "junit"


class Misuse(Failure):
    """The command line names what cannot be looked at."""

    exit_code = USAGE


Paths = Annotated[list[Path], typer.Argument(metavar="DIR|FILE...", help="Folders, files, or - for standard input.")]
Policies = Annotated[
    list[Path] | None,
    typer.Option("--policies", help="A folder or file of LifecyclePolicies that are kept elsewhere. May be repeated."),
]
Shipped = Annotated[bool, typer.Option("--shipped", help="Hold Models against the policies that the chart installs.")]
DefaultNamespace = Annotated[
    str, typer.Option("--namespace", "-n", help="The namespace of manifests that name none.", show_default=True)
]


def lint(
    paths: Paths,
    policies: Policies = None,
    use_shipped: Shipped = False,
    output: Annotated[
        Form,
        typer.Option(
            "--output",
            "-o",
            help="table for people: a line for each finding; json or yaml for programs; sarif for code scanning; junit for CI.",
        ),
    ] = Form.TABLE,
    namespace: DefaultNamespace = "default",
) -> None:
    """Say what is wrong with manifests before they are merged. It needs no cluster.

    It says what the API server would refuse (schema, rules, unknown fields) and what the operator could not act upon: a version
    that is not there, a gate without its baseline, a loosened gate, a tier below the floor, fields that the policy asks for, two
    Models with one number or one route. Name the folder of one environment, so that references can be followed.

    Ends with 0 when nothing is wrong, with 1 when something is, and with 2 when the command line is. Templates that are not plain
    YAML are named and left out: check what they render.

    **Examples**

    `modelward lint deploy/prod --shipped`

    `kustomize build overlays/prod | modelward lint - --policies policies/`

    `modelward lint . -o sarif > modelward.sarif`
    """
    read, files = read_manifests(paths)
    looked = linting.lint(read, known_policies(policies, use_shipped), namespace, datetime.now(UTC))
    if output is Form.SARIF:
        typer.echo(reports.as_sarif(looked.findings, version("modelward")))
    elif output is Form.JUNIT:
        typer.echo(reports.as_junit(looked.findings, files))
    elif output is not Form.TABLE:
        print_data(reports.as_documents(looked.findings), output)
    elif looked.findings:
        typer.echo(reports.as_text(looked.findings))
    warnings = len(looked.findings) - len(looked.errors)
    found = ", ".join(filter(None, [_counted(len(looked.errors), "error"), _counted(warnings, "warning")]))
    summary = (
        f"{_counted(looked.documents, 'manifest') or 'no manifest'} of modelward in {_counted(len(files), 'file')}"
    )
    Console(stderr=True, soft_wrap=True).print(f"{summary}: {found or 'nothing is wrong'}.", highlight=False)
    if looked.errors:
        raise typer.Exit(FINDINGS)


def read_manifests(paths: Sequence[Path]) -> tuple[Read, tuple[str, ...]]:
    """What files and folders hold, with the names of the files.

    Raises:
        Misuse: one of them is not there, or there are too many.
    """
    given = [path for path in paths if str(path) != "-"]
    for path in given:
        if not path.exists():
            raise Misuse(f"there is no file or folder {path}: correct the command line.")
    try:
        files = files_in(given)
    except TooMuch as error:
        raise Misuse(f"{error}.") from error
    read = read_files(files)
    names = tuple(str(file) for file in files)
    if len(given) < len(paths):
        read, names = read + _standard_input(), (*names, "-")
    if not names:
        raise Misuse(f"there is no .yaml, .yml or .json file below {', '.join(map(str, paths))}: name another folder.")
    return read, names


def known_policies(paths: Sequence[Path] | None, use_shipped: bool) -> tuple[LifecyclePolicy, ...]:
    """The policies of other places; one of a named place comes before a shipped one of its name.

    Raises:
        Misuse: a place has none, or one that is not valid.
    """
    found: dict[str, LifecyclePolicy] = {}
    for path in [*([shipped.folder()] if use_shipped else []), *(paths or [])]:
        read, _ = read_manifests([path])
        portfolio, wrong = gathered(read.documents, "default")
        about = [each for each in (*read.findings, *wrong) if each.severity is Severity.ERROR]
        if about:
            raise Misuse(f"{about[0]}. Correct it first.")
        if not portfolio.policies:
            raise Misuse(f"{path} has no LifecyclePolicy: give a folder or file that has one.")
        found |= {each.value.metadata.name: each.value for each in portfolio.policies}
    return tuple(found.values())


def _standard_input() -> Read:
    data = sys.stdin.buffer.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise Misuse(f"standard input is larger than {LARGEST_FILE // 1024 // 1024} MiB: split it.")
    try:
        return read_text(data.decode("utf-8"), "-")
    except UnicodeDecodeError as error:
        raise Misuse("standard input is not UTF-8: give text.") from error


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}" if count else ""
