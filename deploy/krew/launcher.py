#!/usr/bin/env python3
"""Starts modelward from the folder that krew has unpacked it into, with a Python that its libraries are made for."""

from __future__ import annotations  # so that an old Python, too, can say what is needed

import os
import shutil
import sys
from pathlib import Path

# krew starts the plugin by a link.
HERE = Path(__file__).resolve().parent


def version_of(folder: Path) -> tuple[int, int]:
    """cp311 is (3, 11)."""
    digits = folder.name[len("cp") :]
    return int(digits[0]), int(digits[1:])


def main() -> None:
    made_for = {version_of(folder): folder for folder in (HERE / "lib").iterdir()}
    libraries = made_for.get(sys.version_info[:2])
    if libraries is None:
        start_with_another(sorted(made_for, reverse=True))
    sys.path.insert(0, str(libraries))
    if Path(sys.argv[0]).name.startswith("kubectl_complete"):
        from modelward.cli.completion import complete_for_kubectl as start
    else:
        from modelward.cli.main import main as start
    start()


def start_with_another(versions: list[tuple[int, int]]) -> None:
    """Become the program again under a Python that fits, or say what is needed."""
    for major, minor in versions:
        python = shutil.which(f"python{major}.{minor}")
        if python:
            os.execv(python, [python, *sys.argv])
    names = " or ".join(f"{major}.{minor}" for major, minor in versions)
    mine = f"{sys.version_info.major}.{sys.version_info.minor}"
    sys.exit(
        f"Error: python3 is {mine}, and this archive is made for Python {names}: install one of them, or install modelward by"
        " `pipx install 'modelward[cli]'`."
    )


if __name__ == "__main__":
    main()
