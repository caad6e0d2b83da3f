"""The command line: `modelward`, and `kubectl modelward` by way of kubectl's plugins. The commands are in commands.py."""

import typer

from modelward.cli.called import called_as
from modelward.cli.commands import MARKUP, Commands

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
    app(prog_name=called_as())


if __name__ == "__main__":
    main()
