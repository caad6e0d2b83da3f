"""Completion as shells and kubectl ask for it; names from a cluster are tried with a real one, in tests/api."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelward.cli.main import app

SCRIPTS = Path(sys.executable).parent
NO_CLUSTER = {"KUBECONFIG": "/nonexistent"}


def asked_by_kubectl(*words):
    script = "import sys; from modelward.cli.completion import complete_for_kubectl; complete_for_kubectl()"
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        capture_output=True,
        text=True,
        env={**os.environ, **NO_CLUSTER},
        timeout=60,
    )
    assert done.stderr == ""
    *offered, directive = done.stdout.splitlines()
    assert directive == ":4", "no names of files"
    return [line.partition("\t")[0] for line in offered]


def test_commands_are_offered_with_their_help():
    assert asked_by_kubectl("hist") == ["history"]
    assert {"status", "history", "explain", "approve", "retry"} <= set(asked_by_kubectl(""))


def test_commands_of_a_group_and_options_and_their_values_are_offered():
    assert asked_by_kubectl("audit", "ver") == ["verify"]
    assert asked_by_kubectl("status", "--wat") == ["--watch"]
    assert asked_by_kubectl("status", "-o", "") == ["table", "json", "yaml"]
    assert asked_by_kubectl("gate", "credit-risk", "--for", "Sh") == ["Shadow"]


def test_without_a_cluster_there_are_no_names_and_no_error():
    assert asked_by_kubectl("status", "cr") == []
    assert asked_by_kubectl("explain", "credit-risk", "--version", "v") == []


def test_words_with_blanks_and_quotes_do_not_confuse_it():
    assert asked_by_kubectl("approve", "x", "--reason", "it's fine; really", "--rol") == ["--role"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell_that_it_can_read(shell, tmp_path):
    result = CliRunner().invoke(app, ["completion", shell])
    assert result.exit_code == 0
    assert "_MODELWARD_COMPLETE" in result.stdout and "modelward" in result.stdout
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell} here")
    (tmp_path / "script").write_text(result.stdout)
    checked = subprocess.run([program, "-n", tmp_path / "script"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_bash_completes_a_line():
    script = (
        'eval "$(modelward completion bash)"\n'
        "COMP_WORDS=(modelward hist) COMP_CWORD=1\n"
        '_modelward_completion modelward\necho "${COMPREPLY[@]}"\n'
    )
    path = f"{SCRIPTS}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env={**os.environ, "PATH": path}, timeout=60
    )
    assert done.stdout.strip() == "history", done.stderr


def test_another_shell_is_refused_by_name():
    assert CliRunner().invoke(app, ["completion", "tcsh"]).exit_code == 2
