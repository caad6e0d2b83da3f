"""`modelward retry`: the line to commit so that a latched version is tried again. It writes nothing, here or in a cluster."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from modelward.api.model import Model
from modelward.api.reasons import REJECTED
from modelward.api.status import FailedVersion, ModelStatus
from modelward.cli.called import called_as
from modelward.cli.cluster import Context, Kubeconfig, ModelName, Namespace, connect
from modelward.cli.failure import Failure
from modelward.cli.lint import read_manifests
from modelward.cli.output import As, Output, print_data
from modelward.cli.reading import read_model
from modelward.cli.terminal import clean
from modelward.lifecycle.headline import ago, headline_of, latch_of
from modelward.lifecycle.overview import Situation
from modelward.manifests.documents import Document
from modelward.manifests.retry import NotEditable, as_diff, raised, retry_in, version_in


@dataclass(frozen=True)
class Retry:
    """What `modelward retry -o json` prints."""

    namespace: str
    model: str
    version: str
    failed: FailedVersion  # the latch: where, when and why
    retry: int  # what spec.production.retry has to be
    file: str  # empty without --file
    line: int | None
    diff: str


def retry(
    model: ModelName,
    files: Annotated[
        list[Path] | None,
        typer.Option("--file", "-f", help="The manifest, or a folder that has it; may be repeated."),
    ] = None,
    output: As = Output.TABLE,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = None,
) -> None:
    """Print the one line to commit so that a version that failed is tried again.

    A version that failed does not start again by itself, however often Git is synced. Where the cause was not in it, raising
    `spec.production.retry` lifts the latch. Nothing is written: with `--file`, the line is printed as a diff against the manifest,
    for `git apply`, with every comment where it was; without, as it belongs into the Model.

    Why the version is latched is said on standard error, so that standard output has the diff alone. It ends with 1 when nothing is
    latched, because raising the number then would do nothing.

    **Examples**

    `modelward retry credit-risk -n lending`

    `modelward retry credit-risk -n lending -f deploy/prod | git apply`
    """
    cluster = connect(context, kubeconfig, namespace)
    found, status = read_model(cluster, model)
    now = cluster.now()
    situation = Situation(found, status, None, now, called_as())
    failed = latch_of(situation)
    if failed is None:
        raise Failure(f"{_nothing_is_latched(found, status)} {headline_of(situation, lambda _: '').what}")
    number = failed.retry + 1
    asked = _in_manifest(found, failed, number, files) if files else _in_general(found, failed, number)
    if output is not Output.TABLE:
        print_data(asked, output)
        return
    _explain(failed, now)
    typer.echo(asked.diff, nl=False)


def _nothing_is_latched(model: Model, status: ModelStatus) -> str:
    wanted = model.spec.production.version
    lifted = next((each for each in status.failed if each.version == wanted), None)
    if lifted is not None:
        return f"{wanted} failed before, and spec.production.retry is {model.spec.production.retry} already: nothing is latched."
    return f"{wanted or 'no version'} is asked for, and nothing is latched: there is nothing to try again."


def _explain(failed: FailedVersion, now: datetime) -> None:
    told = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    told.print(
        clean(
            f"{failed.version} failed in {failed.stage} {ago(failed.at, now)} ago ({failed.reason}): {failed.message}"
        )
    )
    told.print("It is latched by its content: a version of another content starts without this, and needs no retry.")
    if failed.reason == REJECTED:
        told.print("A person rejected it: tried again, it needs every approval anew.")
    told.print("Commit this when the cause was not in the version:")


def _in_general(model: Model, failed: FailedVersion, number: int) -> Retry:
    """As it belongs into the Model, whatever its manifest looks like."""
    before = f"spec:\n  production:\n    version: {failed.version}\n"
    if model.spec.production.retry:
        before += f"    retry: {model.spec.production.retry}\n"
    after = f"spec:\n  production:\n    version: {failed.version}\n    retry: {number}\n"
    name = f"{model.metadata.namespace}/{model.metadata.name}.yaml"
    return _retry(model, failed, number, "", None, as_diff(name, before, after))


def _in_manifest(model: Model, failed: FailedVersion, number: int, files: Sequence[Path]) -> Retry:
    document = _manifest_of(model, files)
    place = document.place(("spec", "production"))
    if version_in(document) != failed.version:
        raise Failure(
            f"{place} asks for {version_in(document) or 'no version'}, and {failed.version} is latched: name the manifest that is"
            " in the cluster, or merge that one."
        )
    if retry_in(document) >= number:
        raise Failure(f"{place} says retry: {retry_in(document)} already: merge it.")
    # Bytes, so that the ends of lines stay what they are.
    text = Path(place.file).read_bytes().decode("utf-8")
    try:
        edited = raised(text, document, number)
    except NotEditable as error:
        raise Failure(f"{error}.") from error
    path = Path(os.path.relpath(place.file))
    name = str(place.file) if path.parts[0] == ".." else path.as_posix()
    return _retry(model, failed, number, str(place.file), place.line, as_diff(name.lstrip("/"), text, edited))


def _manifest_of(model: Model, files: Sequence[Path]) -> Document:
    """The one document that is this Model; one that names no namespace may be in any."""
    if any(str(path) == "-" for path in files):
        raise typer.BadParameter("a diff is against a file: give --file a file or a folder, not -")
    read, _ = read_manifests(files)
    named = [each for each in read.documents if each.kind == "Model" and each.name == model.metadata.name]
    where = model.metadata.namespace
    found = [each for each in named if each.content["metadata"].get("namespace") in (None, where)]
    given = ", ".join(map(str, files))
    if not found:
        raise Failure(
            f"there is no Model {where}/{model.metadata.name} in {given}: name the file that has it. Where it is rendered, raise"
            " spec.production.retry at what renders it."
        )
    if len(found) > 1:
        places = " and ".join(str(each.place()) for each in found)
        raise Failure(f"{where}/{model.metadata.name} may be {places}: name the folder of its environment.")
    return found[0]


def _retry(model: Model, failed: FailedVersion, number: int, file: str, line: int | None, diff: str) -> Retry:
    metadata = model.metadata
    return Retry(metadata.namespace, metadata.name, failed.version, failed, number, file, line, diff)
