"""How a command ends when it cannot do what it was asked: one sentence with a remedy, an exit code, never a traceback."""

from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup


class Failure(Exception):
    """What is wrong, and what to do about it. A wrong command line is typer's to refuse, with 2."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Commands(TyperGroup):
    """The group of all commands; a Failure that any of them raises is said on standard error, here and nowhere else."""

    def invoke(self, ctx: Any) -> Any:  # typer.Context, by a base of it that is typer's own affair
        try:
            return super().invoke(ctx)
        except Failure as failure:
            console = Console(stderr=True, soft_wrap=True)
            console.print(f"[bold red]Error:[/] {escape(failure.message)}", highlight=False)
            raise typer.Exit(failure.exit_code) from failure
