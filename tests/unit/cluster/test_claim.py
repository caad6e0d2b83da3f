"""Who takes the local cluster down."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster import claim

RUN = "from cluster import claim; claim.by_this_run(); print('claimed', flush=True); input()"


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELWARD_CACHE", str(tmp_path / "cache"))


@contextmanager
def a_run() -> Iterator[None]:
    """One that goes on, and is killed in the end."""
    command = [sys.executable, "-c", RUN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "claimed\n"
        try:
            yield
        finally:
            process.kill()


def test_a_cluster_that_nobody_has_claimed_is_of_no_run() -> None:
    assert not claim.of_a_dead_run()


def test_a_run_that_goes_on_will_take_its_cluster_down() -> None:
    with a_run():
        assert not claim.of_a_dead_run()


def test_a_run_that_was_killed_will_not() -> None:
    with a_run():
        pass
    assert claim.of_a_dead_run()


def test_a_person_keeps_the_cluster_of_a_run_that_was_killed() -> None:
    with a_run():
        pass
    claim.by_a_person()
    assert not claim.of_a_dead_run()


def test_a_person_does_not_take_the_cluster_from_a_run_that_goes_on() -> None:
    with a_run():
        claim.by_a_person()
    assert claim.of_a_dead_run()


def test_the_next_run_claims_what_a_killed_one_has_left() -> None:
    with a_run():
        pass
    with a_run():
        assert not claim.of_a_dead_run()
