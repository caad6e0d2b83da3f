"""`modelward version`."""

from importlib.metadata import version as installed_version

import typer


def version() -> None:
    """Print the version of this program.

    **Example**

    `modelward version`
    """
    typer.echo(installed_version("modelward"))
