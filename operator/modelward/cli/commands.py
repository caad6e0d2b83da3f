"""All commands in one table, and how each is imported only when it is called.

A command that is not called costs nothing: the libraries of some take more than a second to import. `--help` and completion of
names are written from the table alone.
"""

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from modelward.cli.called import NAME, called_as
from modelward.cli.failure import Failure
from modelward.cli.terminal import clean_lines

MARKUP: Final = "markdown"


@dataclass(frozen=True)
class Entry:
    """Where a command is, as `module:name` of a function or of a Typer with commands of its own, the first line of its help, and the
    heading below which `--help` lists it."""

    where: str
    summary: str
    heading: str


ON_CALL, DECISIONS, BEFORE, PROOF, ITSELF = (
    "On call",
    "Decisions of people",
    "Before the merge, and in pipelines",
    "Portfolio and proof",
    "This command",
)

TABLE = {
    "status": Entry(
        "status:status",
        "Say what goes on with a Model and what to do; or with all Models, those that need somebody first.",
        ON_CALL,
    ),
    "explain": Entry("explain:explain", "Show why a version was let go on, was held, or failed.", ON_CALL),
    "history": Entry(
        "history:history",
        "Say what happened to a Model, newest first: what, when, after how long, who, and why.",
        ON_CALL,
    ),
    "retry": Entry(
        "retry:retry", "Print the one line to commit so that a version that failed is tried again.", ON_CALL
    ),
    "doctor": Entry(
        "doctor:doctor", "Look for what is wrong with an installation, and say how to put it right.", ON_CALL
    ),
    "approvals": Entry(
        "approvals:approvals", "List what waits for approval, in which role, and whether you may give it.", DECISIONS
    ),
    "request": Entry(
        "request:request",
        "Print which approvals a version lacks or will lack, who may give them, and what to hand to them.",
        DECISIONS,
    ),
    "approve": Entry("approve:approve", "Approve a version, after a look at what that means.", DECISIONS),
    "reject": Entry(
        "reject:reject", "Reject a version: stop its rollout, or take it out of production, and bar it.", DECISIONS
    ),
    "lint": Entry("lint:lint", "Say what is wrong with manifests before they are merged. It needs no cluster.", BEFORE),
    "plan": Entry(
        "plan:plan",
        "Say what merging manifests would do: stages, gates, approvals and by whom, the least time, and who meets the candidate when.",
        BEFORE,
    ),
    "policy": Entry("policy:policy", "Look at LifecyclePolicies before they are applied.", BEFORE),
    "simulate": Entry(
        "simulate:simulate",
        "Say when a policy would have promoted, paused or rolled back, by what was recorded.",
        BEFORE,
    ),
    "gate": Entry(
        "gate:gate", "Wait in a pipeline until a version has come to a stage, and say what happens meanwhile.", BEFORE
    ),
    "evidence": Entry(
        "evidence:evidence",
        "Print what a version has shown in one environment, as a ModelEvaluation that a gate of the next one reads.",
        BEFORE,
    ),
    "baseline": Entry(
        "baseline:baseline",
        "Record the training distributions of a model, for its ModelVersion and its server.",
        BEFORE,
    ),
    "report": Entry(
        "report:report",
        "Report on the portfolio: every Model, how well candidates flow to production, and what needs attention.",
        PROOF,
    ),
    "impact": Entry(
        "impact:impact",
        "Say what is affected: every version, Model and consumer that something reaches, and by which path.",
        PROOF,
    ),
    "discover": Entry(
        "discover:discover_workloads", "List what looks like an inference server, and that no Model stands for.", PROOF
    ),
    "audit": Entry(
        "audit_storage:audit",
        "Verify the audit records, answer what served at a time and why, and list the models.",
        PROOF,
    ),
    "completion": Entry(
        "completion:completion",
        "Print what a shell has to read so that it completes commands, options, and the names of Models and versions.",
        ITSELF,
    ),
    "version": Entry("version:version", "Print the version of this program.", ITSELF),
}
"""Name to entry, in the order of `--help`; modules are those of `modelward.cli`."""


class Deferred(TyperCommand):
    """Stands for a command that is not imported yet: has its name and the first line of its help, and becomes it when called."""

    def __init__(self, name: str, entry: Entry) -> None:
        super().__init__(name, help=entry.summary, rich_markup_mode=MARKUP, rich_help_panel=entry.heading)
        self._entry = entry

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        assert self.name is not None
        return imported(self.name, self._entry).make_context(info_name, args, parent, **extra)


class _Imported(MutableMapping[str, Any]):
    """The commands themselves by name: looking one up imports it."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._given = given

    def __getitem__(self, name: str) -> Any:
        return self._given[name] if name in self._given else imported(name, TABLE[name])

    def __setitem__(self, name: str, command: Any) -> None:
        self._given[name] = command

    def __delitem__(self, name: str) -> None:
        del self._given[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*TABLE, *self._given]))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, name: object) -> bool:
        return name in TABLE or name in self._given


class Commands(TyperGroup):
    """The group of all commands; a Failure that any of them raises is said on standard error, here and nowhere else."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = _Imported(dict(self.commands))

    def list_commands(self, ctx: Any) -> list[str]:  # typer.Context, by a base of it that is typer's own affair
        return list(self.commands)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return Deferred(cmd_name, TABLE[cmd_name]) if cmd_name in TABLE else None

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Failure as failure:
            from rich.console import Console
            from rich.markup import escape

            console = Console(stderr=True, soft_wrap=True)
            console.print(f"[bold red]Error:[/] {escape(clean_lines(failure.message))}", highlight=False)
            raise typer.Exit(failure.exit_code) from failure


def imported(name: str, entry: Entry) -> Any:
    """The command itself; examples in its help begin as the user has called it."""
    module, _, attribute = entry.where.partition(":")
    found = getattr(import_module(f"modelward.cli.{module}"), attribute)
    around = typer.Typer(rich_markup_mode=MARKUP)
    if isinstance(found, typer.Typer):
        around.add_typer(found, name=name)
    else:
        around.command(name=name)(found)
    command: Any = typer.main.get_group(around).commands[name]
    if (called := called_as()) != NAME:
        _call(command, called)
    return command


def _call(command: Any, called: str) -> None:
    command.help = (command.help or "").replace(f"`{NAME} ", f"`{called} ")
    for each in getattr(command, "commands", {}).values():
        _call(each, called)
