"""How the commands of a page are told from their output, run, and held against what the page shows."""

import os
from pathlib import Path

import pytest

from tests.tutorial.console import Command, CommandFailed, Shell, commands

PAGE = """\
Some text.

```console
$ echo one
one
$ kubectl wait model/tumor-screening \\
    --timeout=1m
```

```yaml
$ not: a command
```

1. In a list:

   ```console
   $ cat > file <<'END'
   $ is a line of the file
   END
   $ cat file
   $ is not seen as a command
   ```
"""


@pytest.fixture
def shell(tmp_path: Path):
    with Shell(tmp_path, os.environ) as started:
        yield started


def test_commands_are_found_with_their_lines_and_what_is_shown() -> None:
    found = list(commands(PAGE[: PAGE.index("1. In")]))
    assert found == [
        Command(4, "echo one", "one\n"),
        Command(6, "kubectl wait model/tumor-screening \\\n    --timeout=1m", ""),
    ]


def test_a_command_goes_on_to_the_end_of_its_here_document() -> None:
    assert [command.text for command in commands(PAGE)][2] == "cat > file <<'END'\n$ is a line of the file\nEND"


def test_a_block_that_begins_with_output_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2: a console block begins with a command"):
        list(commands("```console\nout of nowhere\n```\n"))


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("", "anything\n"),
        ("one\n", "one\n"),
        ("NAME   AGE\nchurn  3m\n", "NAME      AGE\nchurn     3m\n"),
        ("v2 is in ..., since ... s\n", "v2 is in Shadow, since 12 s\n"),
        ("first\n...\nlast\n", "first\nsecond\nthird\nlast\n"),
    ],
)
def test_output_that_is_as_shown(shown: str, printed: str) -> None:
    assert Command(1, "true", shown).differs(printed) == ""


@pytest.mark.parametrize(
    ("shown", "printed"),
    [("one\n", ""), ("one\n", "two\n"), ("one\n", "one\ntwo\n"), ("all ... pass\n", "all 4 fail\n")],
)
def test_output_that_is_not_as_shown(shown: str, printed: str) -> None:
    assert Command(1, "true", shown).differs(printed).startswith("--- shown")


def test_what_was_exported_stays_and_what_is_printed_on_either_stream_is_seen(shell: Shell) -> None:
    assert shell.run("export NAME=churn", 10) == (0, "")
    assert shell.run("echo $NAME; echo oh >&2", 10) == (0, "churn\noh\n")
    assert shell.run("printf 'no end of line'; false", 10) == (1, "no end of line")


def test_a_command_does_not_read_the_next_one_as_its_input(shell: Shell) -> None:
    assert shell.run("cat", 10) == (0, "")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (Command(7, "echo x; exit 3", ""), "line 7: echo x; exit 3\nended with"),
        (Command(7, "false", ""), "line 7: false\nended with 1"),
        (Command(7, "echo two", "one\n"), "-one\n\\+two"),
        (Command(7, "echo begun; sleep 60", ""), "no end after 1 s; so far:\nbegun"),
    ],
)
def test_a_command_that_does_not_do_what_the_page_says(shell: Shell, command: Command, says: str) -> None:
    with pytest.raises(CommandFailed, match=says):
        shell.obey(command, seconds=1)
