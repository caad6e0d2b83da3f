"""`modelward gate`: lets a pipeline wait until a version has come to a stage, and ends as the version fares."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer
from rich.markup import escape

from modelward.api.model import Model
from modelward.api.resources import MODELS
from modelward.api.status import ModelStatus, Stage
from modelward.api.types import format_duration
from modelward.cli.cluster import Cluster, ClusterError, Context, Kubeconfig, ModelName, Namespace, connect
from modelward.cli.completion import version_names
from modelward.cli.explain_text import console_for_output
from modelward.cli.failure import Failure
from modelward.cli.moments import given_span
from modelward.cli.output import As, Output, print_next
from modelward.cli.reading import model_in
from modelward.cli.terminal import clean
from modelward.lifecycle.arrival import Arrival, State, arrival_of

LOOK_EVERY = 2.0
"""Seconds between two looks. Not a watch: one that a proxy drops in silence would wait for ever."""

TIMED_OUT, WAITS_FOR_A_PERSON = 3, 4
_EXIT_CODES = {State.REACHED: 0, State.FAILED: 1}
_STYLES = {State.REACHED: "green", State.FAILED: "bold red", State.WAITS_FOR_A_PERSON: "yellow", State.UNDER_WAY: ""}


class TimeIsOver(Failure):
    """The version is still on its way."""

    exit_code = TIMED_OUT


class Goal(StrEnum):
    VALIDATION = "Validation"
    SHADOW = "Shadow"
    CANARY = "Canary"
    PRODUCTION = "Production"


def gate(
    model: ModelName,
    version: Annotated[
        str, typer.Option("--version", help="The version that was committed.", autocompletion=version_names)
    ],
    goal: Annotated[
        Goal,
        typer.Option(
            "--for",
            help="Where it has to come to: Validation, Shadow, Canary or Production.",
            metavar="STAGE",
            case_sensitive=False,
        ),
    ] = Goal.PRODUCTION,
    wait: Annotated[str, typer.Option("--wait", help="The longest time to wait, such as 30m or 2h.")] = "30m",
    no_wait_for_people: Annotated[
        bool,
        typer.Option("--no-wait-for-people", help="End with 4 where a person has to decide, in place of waiting."),
    ] = False,
    output: As = Output.TABLE,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = None,
) -> None:
    """Wait in a pipeline until a version has come to a stage, and say what happens meanwhile.

    It changes nothing: the version is requested by a commit, which may arrive in the cluster later. A cluster that gives no answer
    for a while is asked again.

    Ends with 0 when the version has come there, with 1 when it cannot any more (it failed, is latched, or another one is requested),
    with 3 when the time is over, and with 4 when a person has to decide and `--no-wait-for-people` is given.

    **Examples**

    `modelward gate credit-risk --version v8 --for Production --wait 30m -n lending`

    `modelward gate credit-risk --version v8 --for Canary --wait 2h --no-wait-for-people`
    """
    limit = given_span(wait, "--wait")
    cluster = connect(context, kubeconfig, namespace)
    console = console_for_output()
    arrival = Arrival(State.UNDER_WAY, "nothing was seen")
    for arrival in _changes(cluster, model, version, Stage(goal.value), limit):
        if output is not Output.TABLE:
            print_next({"at": datetime.now(UTC), "version": version, **vars(arrival)}, output)
        else:
            console.print(_line(arrival, version), style=_STYLES[arrival.state], soft_wrap=True, highlight=False)
        if arrival.state is State.WAITS_FOR_A_PERSON and no_wait_for_people:
            raise typer.Exit(WAITS_FOR_A_PERSON)
        if arrival.state in _EXIT_CODES:
            raise typer.Exit(_EXIT_CODES[arrival.state])
    raise TimeIsOver(f"{version} has not come to {goal} within {format_duration(limit)}: {arrival.message}")


def _changes(cluster: Cluster, model: str, version: str, goal: Stage, limit: timedelta) -> Iterator[Arrival]:
    """What is seen, each time that it is something else, until the time is over."""
    ends = time.monotonic() + limit.total_seconds()
    before: Arrival | None = None
    was_requested = False
    while True:
        try:
            found = _model(cluster, model)
        except ClusterError as error:
            if not error.may_pass:
                raise
            seen = Arrival(State.UNDER_WAY, f"No answer: {error.message} It is asked again.")
        else:
            if found is None:
                seen = Arrival(State.UNDER_WAY, f"There is no Model {model} in namespace {cluster.namespace} yet.")
            else:
                seen = arrival_of(*found, version, goal, was_requested=was_requested)
                was_requested = was_requested or found[0].spec.production.version == version
        if seen != before:
            yield seen
        before = seen
        left = ends - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(LOOK_EVERY, left))


def _model(cluster: Cluster, name: str) -> tuple[Model, ModelStatus] | None:
    found = cluster.get(MODELS, name)
    return model_in(found) if found is not None else None


def _line(arrival: Arrival, version: str) -> str:
    weight = "" if arrival.weight is None else f" {arrival.weight} %"
    where = f" {arrival.stage}{weight}" if arrival.stage else ""
    gates = f" [{arrival.gates}]" if arrival.gates else ""
    return escape(clean(f"{datetime.now(UTC):%H:%M:%S} {version}{where}{gates}: {arrival.message}"))
