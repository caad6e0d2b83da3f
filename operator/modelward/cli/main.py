"""The command line: `modelward`, and `kubectl modelward` by way of kubectl's plugins. The commands are in commands.py."""

import typer

from modelward.cli.called import NAME, called_as
from modelward.cli.commands import MARKUP, Commands
from modelward.cli.completion import VARIABLE, asked_for

app = typer.Typer(
    name="modelward",
    cls=Commands,
    help="Shadow, canary, promotion and rollback of machine-learning models, on evidence.",
    no_args_is_help=True,
    add_completion=False,  # its options would install themselves for `kubectl`: `modelward completion` prints a script
    rich_markup_mode=MARKUP,
)


@app.callback()
def every_command() -> None:
    """Makes a group of the table, which typer would not see."""


def main() -> None:
    """What the installed programs start."""
    if asked_for():
        app(prog_name=NAME, complete_var=VARIABLE)
    app(prog_name=called_as())


if __name__ == "__main__":
    main()
