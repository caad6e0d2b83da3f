"""The table of commands: what is imported when, and what `--help` says of each."""

import json
import subprocess
import sys

import pytest
import typer
from typer.core import TyperGroup, TyperOption
from typer.testing import CliRunner

from modelward.cli.commands import TABLE
from modelward.cli.main import app

HEAVY = {"scipy", "numpy", "pandas", "kubernetes", "pyarrow", "aiohttp", "asyncpg", "cryptography", "jinja2", "yaml"}
"""Not pydantic: typer itself checks values with it."""


def imported_by(*arguments, argv0="modelward"):
    """What is printed, and the top-level modules that were imported for it."""
    script = (
        "import json, sys; sys.argv = json.loads(sys.argv[1])\n"
        "from modelward.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: sys.stdout.flush()\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})), file=sys.stderr)\n"
    )
    given = json.dumps([argv0, *arguments])
    done = subprocess.run([sys.executable, "-c", script, given], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout, set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [("--help",), ("version",), ("no-such-command",)], ids=" ".join)
def test_what_needs_no_command_imports_no_library_of_one(arguments):
    _, imported = imported_by(*arguments)
    assert not imported & HEAVY


def test_a_command_imports_what_it_needs():
    """Otherwise the test above could not fail."""
    _, imported = imported_by("approvals", "--help")
    assert {"kubernetes", "yaml"} <= imported


def test_what_completes_the_options_of_status_does_not_wait_for_the_libraries_that_draw_it():
    _, imported = imported_by("status", "--help")
    assert not imported & (HEAVY - {"kubernetes", "yaml"})


def walk(group, path=()):
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from walk(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(walk(typer.main.get_command(app)))


def test_every_command_of_the_table_is_there_with_its_own():
    assert set(TABLE) <= {name.partition(" ")[0] for name in COMMANDS}
    assert {"policy impact", "audit verify", "audit copy", "audit schema"} <= set(COMMANDS)


@pytest.mark.parametrize("name", TABLE)
def test_the_line_in_the_table_is_the_first_of_the_help(name):
    command = typer.main.get_command(app).commands[name]
    assert " ".join((command.help or "").split("\n\n")[0].split()) == TABLE[name].summary


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_that_calls_it(name):
    text = COMMANDS[name].help or ""
    assert "**Example" in text, "the docstring has no **Examples**"
    assert f"modelward {name}" in text.partition("**Example")[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help(name):
    silent = [each.name for each in COMMANDS[name].params if isinstance(each, TyperOption) and not each.help]
    assert not silent


@pytest.mark.parametrize("name", COMMANDS)
def test_the_names_of_options_are_whole_on_80_columns(name):
    result = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "80"})
    cut = [option for each in COMMANDS[name].params for option in each.opts if f" {option} " not in result.output]
    assert result.exit_code == 0
    assert [option for option in cut if option.startswith("-")] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_form_of_what_is_printed_is_asked_for_in_one_way(name):
    options = {each.name: each for each in COMMANDS[name].params if isinstance(each, TyperOption)}
    forms = options.pop("output", None)
    if forms is not None:
        assert forms.opts == ["--output", "-o"]
        assert {"json", "yaml"} <= {form.value for form in type(forms.default)}
    assert not {"format", "layout", "json", "yaml", "csv", "markdown"} & set(options)


def test_called_by_kubectl_the_usage_and_the_examples_say_so():
    said, _ = imported_by("gate", "--help", argv0="/usr/local/bin/kubectl-modelward")
    assert "Usage: kubectl modelward gate [OPTIONS]" in said
    assert "kubectl modelward gate credit-risk --version v8" in " ".join(said.split())
    said, _ = imported_by("gate", "--help")
    assert "Usage: modelward gate [OPTIONS]" in said and "kubectl modelward" not in said


def test_a_misspelt_command_is_told_the_nearest():
    result = CliRunner().invoke(app, ["explian"])
    assert result.exit_code == 2
    assert "Did you mean 'explain'" in result.output


def test_somebody_on_call_finds_what_they_need_at_the_top_of_the_help():
    lines = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).output.splitlines()
    headings = [line.split("─ ")[1].split(" ─")[0] for line in lines if line.startswith("╭─ ")]
    assert headings[:3] == ["Options", "On call", "Decisions of people"]
    first = [line.split()[1] for line in lines if line.startswith("│ ") and line[2] != " "]
    assert first[first.index("--help") + 1] == "status"
