"""docs/tutorial.md, from an empty cluster to the last command: what it says to type works, and prints what it shows."""

import os
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from cluster import claim, lifecycle
from examples.tumor_screening.environment import turn
from tests.tutorial.beginning import has_a_cluster_of_its_own, obstacle
from tests.tutorial.console import Command, Shell, commands

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "tutorial.md"
SECONDS_FOR_A_COMMAND = 400
SECONDS_TO_BUILD = 3600
"""The first `make cluster-up` of a machine builds a Kubernetes."""

SETTINGS_OF_SOMEBODY_ELSE = ("KUBECONFIG", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")


@pytest.fixture
def shell() -> Iterator[Shell]:
    """That of a reader who has just checked this out: no cluster, and nothing exported."""
    if not has_a_cluster_of_its_own():
        pytest.skip("the tutorial starts and stops the local cluster, and KUBECONFIG names another one")
    with turn():
        if in_the_way := obstacle():
            pytest.fail(in_the_way)
        lifecycle.down()
        claim.by_this_run()
        environment = {name: value for name, value in os.environ.items() if name not in SETTINGS_OF_SOMEBODY_ELSE}
        try:
            with Shell(REPOSITORY, {**environment, "COLUMNS": "160"}) as started:
                yield started
        finally:
            lifecycle.down()


@pytest.mark.timeout(0)  # each command has a limit of its own
def test_every_command_of_the_tutorial_does_what_the_page_says(shell: Shell) -> None:
    for command in commands(PAGE.read_text("utf-8")):
        began = monotonic()
        shell.obey(command, _patience(command))
        print(f"{monotonic() - began:6.1f} s  {command.text.partition(chr(10))[0]}")


def _patience(command: Command) -> int:
    return SECONDS_TO_BUILD if command.text.startswith("make ") else SECONDS_FOR_A_COMMAND
