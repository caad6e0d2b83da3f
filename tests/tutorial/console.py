"""The console blocks of a page, as commands with what they should print, and a shell that runs them.

In a block that is fenced as ``console``, a line that begins with ``$ `` is a command. It goes on after a backslash, and to the end of
its here-document. The lines below are its output, compared with what is printed on both streams: ``...`` stands for anything,
and a run of blanks for any other, because columns move with what is in them. A command without lines below it may print what it
likes. Every command has to succeed.
"""

from __future__ import annotations

import difflib
import doctest
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from time import monotonic
from types import TracebackType

from markdown_it import MarkdownIt

PROMPT = "$ "
_HERE_DOCUMENT = re.compile(r"<<\s*'?(\w+)'?")
_MATCHING = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Command:
    """A command of a page: the line on which it stands, what is typed, and what is shown below it."""

    line: int
    text: str
    shown: str

    def differs(self, printed: str) -> str:
        """How what was printed is not what is shown, line by line; empty when it is."""
        if not self.shown or doctest.OutputChecker().check_output(self.shown, printed, _MATCHING):
            return ""
        both = (text.splitlines() for text in (self.shown, printed))
        return "\n".join(difflib.unified_diff(*both, "shown", "printed", lineterm=""))


class CommandFailed(AssertionError):
    """A command did not do what the page says it does."""


def commands(page: str) -> Iterator[Command]:
    """The commands of all console blocks of a page, in their order."""
    for token in MarkdownIt().parse(page):
        if token.type == "fence" and token.info == "console" and token.map:
            yield from _commands(token.content.splitlines(), first=token.map[0] + 2)


def _commands(lines: list[str], first: int) -> Iterator[Command]:
    position = 0
    while position < len(lines):
        start = position
        if not lines[start].startswith(PROMPT):
            raise ValueError(f"line {first + start}: a console block begins with a command, after {PROMPT!r}")
        position = _end_of_command(lines, start)
        text = "\n".join(lines[start:position]).removeprefix(PROMPT)
        output_from = position
        while position < len(lines) and not lines[position].startswith(PROMPT):
            position += 1
        shown = "".join(f"{line}\n" for line in lines[output_from:position])
        yield Command(first + start, text, shown)


def _end_of_command(lines: list[str], start: int) -> int:
    position = start
    while lines[position].endswith("\\"):
        position += 1
    here = _HERE_DOCUMENT.search(lines[position])
    return (lines.index(here[1], position) if here else position) + 1


class Shell:
    """One bash, as a reader has one: what is exported and started stays. Its children end with it."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
        self._lines: Queue[str] = Queue()
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()
        self._mark = f"--- {os.urandom(8).hex()} "

    def __enter__(self) -> Shell:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            os.killpg(self._bash.pid, signal.SIGTERM)
        except ProcessLookupError:
            return
        self._bash.wait(10)

    def run(self, text: str, seconds: float) -> tuple[int, str]:
        """Type a command; its exit status and what was printed until it ended.

        Raises:
            TimeoutError: it has not ended in that time; with what it had printed.
        """
        assert self._bash.stdin is not None
        self._bash.stdin.write(f"{{ {text}\n}} </dev/null\nprintf '\\n%s%s\\n' '{self._mark}' $?\n")
        self._bash.stdin.flush()
        printed: list[str] = []
        ends = monotonic() + seconds
        while True:
            try:
                line = self._lines.get(timeout=max(ends - monotonic(), 0))
            except Empty:
                raise TimeoutError(f"no end after {seconds:.0f} s; so far:\n{''.join(printed)}") from None
            if line.startswith(self._mark):
                # The empty line before the mark is the shell's, and ends a last line that had no end.
                return int(line.removeprefix(self._mark)), "".join(printed)[:-1]
            printed.append(line)

    def obey(self, command: Command, seconds: float) -> None:
        """Run a command of a page.

        Raises:
            CommandFailed: it failed, took too long, or printed something else than the page shows.
        """
        try:
            status, printed = self.run(command.text, seconds)
        except TimeoutError as late:
            raise CommandFailed(f"line {command.line}: {command.text}\n{late}") from None
        if status:
            raise CommandFailed(f"line {command.line}: {command.text}\nended with {status}:\n{printed}")
        if difference := command.differs(printed):
            raise CommandFailed(f"line {command.line}: {command.text}\n{difference}")

    def _read(self) -> None:
        assert self._bash.stdout is not None
        for line in self._bash.stdout:
            self._lines.put(line)
        self._lines.put(f"{self._mark}1\n")
