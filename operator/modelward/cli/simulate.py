"""`modelward simulate`: what a policy would have made of what was recorded."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import urllib3
import yaml
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from modelward.api import reasons
from modelward.api.lifecycle_policy import LifecyclePolicy
from modelward.api.model_version import Baseline
from modelward.api.types import format_duration
from modelward.cli.explain_text import console_for_output
from modelward.cli.failure import Failure
from modelward.cli.lint import read_manifests
from modelward.cli.moments import given_span
from modelward.cli.output import As, Output, print_data
from modelward.manifests.finding import Severity
from modelward.manifests.portfolio import gathered
from modelward.simulation import prometheus, recording
from modelward.simulation.recording import Recording, Unusable
from modelward.simulation.replay import Outcome, replay
from modelward.simulation.world import Step

_LARGEST = 512 * 1024 * 1024
_ANSWER_SECONDS = 60.0


def simulate(
    policy: Annotated[Path | None, typer.Argument(metavar="POLICY", help="A file with one LifecyclePolicy.")] = None,
    data: Annotated[Path | None, typer.Option("--data", "-d", help="A recording, or - for standard input.")] = None,
    server: Annotated[str, typer.Option("--prometheus", help="URL of a Prometheus to read the recording from.")] = "",
    span: Annotated[str, typer.Option("--range", help="With --prometheus: how far back, such as 12h or 30d.")] = "30d",
    model: Annotated[str, typer.Option("--model", help="With --prometheus: the Model.")] = "",
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="With --prometheus: its namespace.")] = "default",
    candidate: Annotated[
        str, typer.Option("--candidate", help="The version to roll out. [default: the one with fewer requests]")
    ] = "",
    baseline: Annotated[
        Path | None, typer.Option("--baseline", help="What `modelward baseline` wrote, for drift gates.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Draws requests anew where the split is another one.")] = 1,
    exact: Annotated[
        bool, typer.Option("--exact", help="Decide at every interval: with the same outcome, many times slower.")
    ] = False,
    output: As = Output.TABLE,
    example: Annotated[bool, typer.Option("--example", help="Print a recording, and do nothing else.")] = False,
) -> None:
    """Say when a policy would have promoted, paused or rolled back, by what was recorded.

    The recording is replayed through the decisions of the operator under a virtual clock: the candidate is requested when it first
    appears, gets the share of requests that the policy gives it, and fails and answers as recorded. Approvals are taken as given;
    gates without evidence in the recording are left out and named.

    **Examples**

    `modelward simulate --example > recording.jsonl`

    `modelward simulate high.yaml --data recording.jsonl`

    `modelward simulate high.yaml --prometheus http://prometheus:9090 --range 30d --model credit-risk -n lending`
    """
    if example:
        typer.echo(recording.example())
        return
    if policy is None or (data is None) == (not server):
        raise typer.BadParameter("give a POLICY, and either --data FILE or --prometheus URL with --model")
    chosen = _policy_in(policy)
    try:
        recorded = _from_server(server, model, namespace, span) if server else _from_file(data)
        outcome = replay(
            chosen.metadata.name,
            chosen.spec,
            recorded,
            candidate=candidate,
            baseline=_baseline_in(baseline) if baseline else None,
            seed=seed,
            exact=exact,
        )
    except Unusable as error:
        raise Failure(f"{error}.") from error
    if output is not Output.TABLE:
        print_data(_as_data(outcome), output)
    else:
        _print(console_for_output(), outcome)


def verdict_of(outcome: Outcome) -> str:
    """How it ended, in one sentence."""
    status, name = outcome.status, outcome.candidate
    failed = next((each for each in status.failed if each.version == name), None)
    if failed is not None:
        return f"The policy would have rolled {name} back in {failed.stage} at {_clock(failed.at)}: {failed.message}"
    if status.production is not None and status.production.version == name:
        alarms = sum(step.reason == "MonitoringFailed" for step in outcome.steps)
        after = f"; its monitoring would have raised {alarms} alarms" if alarms else ""
        return f"The policy would have promoted {name} at {_clock(status.production.since)}{after}."
    where = f"{status.rollout.stage}" if status.rollout else "no stage"
    why = next((each.message for each in status.conditions if each.type == "Progressing"), "")
    return f"The recording ends with {name} in {where}: {why}"


def _policy_in(path: Path) -> LifecyclePolicy:
    read, _ = read_manifests([path])
    portfolio, wrong = gathered(read.documents, "default")
    about = [each for each in (*read.findings, *wrong) if each.severity is Severity.ERROR]
    if about:
        raise Failure(f"{about[0]}. Correct it first.")
    if len(portfolio.policies) != 1:
        raise Failure(f"{path} has {len(portfolio.policies)} LifecyclePolicies: give a file with one.")
    return portfolio.policies[0].value


def _from_file(path: Path | None) -> Recording:
    assert path is not None
    try:
        if str(path) == "-":
            return recording.read(sys.stdin.read(_LARGEST))
        if path.stat().st_size > _LARGEST:
            raise Failure(f"{path} is larger than {_LARGEST // 1024 // 1024} MiB: give a shorter time.")
        return recording.read(path.read_text("utf-8"))
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}. Correct --data.") from error
    except UnicodeDecodeError as error:
        raise Failure(f"{path} is not UTF-8: give JSON lines or CSV.") from error


def _from_server(server: str, model: str, namespace: str, span: str) -> Recording:
    if not model:
        raise typer.BadParameter("with --prometheus, give --model as well")
    length = given_span(span, "--range")
    pool = urllib3.PoolManager(timeout=_ANSWER_SECONDS, retries=False)

    def ask(path: str) -> bytes:
        try:
            return pool.request("GET", server.rstrip("/") + path).data
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise Failure(f"{server} gives no answer: {error}. Correct --prometheus.") from error

    until = datetime.now(UTC).replace(second=0, microsecond=0)
    return prometheus.record(ask, model, namespace, until - length, until)


def _baseline_in(path: Path) -> Baseline:
    try:
        found: Any = yaml.safe_load(path.read_text("utf-8"))
        return Baseline.model_validate(found.get("baseline", found) if isinstance(found, dict) else found)
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}. Correct --baseline.") from error
    except (yaml.YAMLError, UnicodeDecodeError, ValidationError) as error:
        raise Failure(f"{path} is no baseline: {' '.join(str(error).split())[:300]}.") from error


def _as_data(outcome: Outcome) -> Any:
    return {
        "verdict": verdict_of(outcome),
        "candidate": outcome.candidate,
        "incumbent": outcome.incumbent,
        "began": outcome.began,
        "ended": outcome.ended,
        "decisions": outcome.decisions,
        "steps": outcome.steps,
        "leftOut": outcome.left_out,
        "requests": outcome.drawn,
    }


def _print(console: Console, outcome: Outcome) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("TIME", "AFTER", "STAGE", "WEIGHT", "WHAT", "WHY"):
        table.add_column(column, overflow="fold", no_wrap=column == "TIME")
    asked = outcome.steps[0].at if outcome.steps else outcome.began
    for step in outcome.steps:
        style = "red" if step.warning else ""
        stage, weight = _where(step)
        after = format_duration(step.at - asked)
        table.add_row(_clock(step.at), after, stage, weight, step.reason, escape(step.message), style=style)
    console.print(table)
    for left_out in outcome.left_out:
        console.print(f"Not replayed: {escape(left_out)}.")
    for version, drawn in outcome.drawn.items():
        if drawn.given > drawn.recorded * 1.01:
            console.print(
                f"{version} was given {drawn.given:,.0f} requests, {drawn.recorded:,.0f} were recorded of it while it ran: what it"
                " does with more of them is taken to be the same."
            )
    console.print(f"\n[bold]{escape(verdict_of(outcome))}[/]")


def _where(step: Step) -> tuple[str, str]:
    """Stage and share of the candidate; those of the Model are the incumbent's again once it has been rolled back."""
    if step.reason == reasons.ROLLED_BACK:
        return "Latched", "0 %"
    return step.stage, "" if step.weight is None else f"{step.weight} %"


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
