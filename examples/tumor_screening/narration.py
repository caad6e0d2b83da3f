"""How the demo speaks: lines with the time on them, in colour on a terminal and plain elsewhere."""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.rule import Rule
from rich.status import Status
from rich.table import Table

_PLAIN_WIDTH = 160
_STYLES = {"Pass": "green", "Fail": "bold red", "Inconclusive": "yellow", "Unknown": "cyan"}
_SECONDS_BETWEEN_ROWS = 8.0

Gate = Mapping[str, Any]


class Narrator:
    """Everything that is printed. On a terminal, a last line says what is going on at this moment."""

    def __init__(self) -> None:
        # A pipe or a file: lines are not to be broken at 80 columns.
        self._console = Console(highlight=False)
        if not self._console.is_terminal:
            self._console = Console(highlight=False, width=_PLAIN_WIDTH)
        self._started = time.monotonic()
        self._status: Status | None = None

    def act(self, title: str) -> None:
        self._console.print()
        self._console.print(Rule(f"[bold]{escape(title)}", align="left", style="blue"))

    def say(self, text: str, style: str = "") -> None:
        stamp = f"[dim]{time.monotonic() - self._started:6.1f} s[/dim]  "
        self._console.print(f"{stamp}[{style}]{escape(text)}[/]" if style else f"{stamp}{escape(text)}", soft_wrap=True)

    def figure(self, text: str) -> None:
        """A result that the reader should not miss."""
        self.say(text, "bold green")

    def quote(self, text: str) -> None:
        """What another program printed."""
        for line in text.rstrip().splitlines():
            self._console.print(f"            {escape(line)}", soft_wrap=True)

    def diff(self, before: str, after: str, name: str) -> None:
        lines = difflib.unified_diff(
            before.splitlines(), after.splitlines(), f"a/{name}", f"b/{name}", n=1, lineterm=""
        )
        styles = {"+": "green", "-": "red", "@": "cyan"}
        for line in lines:
            self._console.print(f"            [{styles.get(line[0], 'default')}]{escape(line)}[/]", soft_wrap=True)

    def gate(self, row: Gate) -> None:
        result = str(row["result"])
        self.say_marked(
            f"  gate {escape(row['name']):<12} [{_STYLES[result]}]{result:<12}[/]  {escape(row['message'])}"
        )

    def say_marked(self, markup: str) -> None:
        self._console.print(f"[dim]{time.monotonic() - self._started:6.1f} s[/dim]  {markup}", soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        table = Table(*columns, box=None, pad_edge=False, header_style="bold")
        for row in rows:
            table.add_row(*map(escape, row))
        self._console.print(table)

    def now(self, text: str) -> None:
        """What is going on at this moment; nothing where it cannot be overwritten."""
        if not self._console.is_terminal:
            return
        if self._status is None:
            self._status = self._console.status("")
            self._status.start()
        self._status.update(escape(text))

    def rest(self) -> None:
        """Nothing is going on."""
        if self._status is not None:
            self._status.stop()
            self._status = None


class Commentary:
    """Says what changes in a Model's status: its history, and the verdicts of its gates."""

    def __init__(self, narrator: Narrator) -> None:
        self._narrator = narrator
        self._told: set[tuple[str, str, str]] = set()
        self._verdicts: dict[tuple[str, str, str], Gate] = {}
        self._rows_told_at = time.monotonic()

    def tell(self, model: Mapping[str, Any]) -> None:
        status = model.get("status", {})
        self._tell_gates(status.get("gates", []), moved=self._has_moved(status))
        for entry in reversed(status.get("history", [])):
            if (key := _identity(entry)) not in self._told:
                self._told.add(key)
                self._narrator.say(f"{entry['action']}: {entry['message']}", "bold")

    def _has_moved(self, status: Mapping[str, Any]) -> bool:
        return any(_identity(entry) not in self._told for entry in status.get("history", []))

    def _tell_gates(self, gates: Sequence[Gate], *, moved: bool) -> None:
        """Each verdict when it changes, and the figures behind it now and then, and when the rollout moves."""
        due = moved or time.monotonic() - self._rows_told_at > _SECONDS_BETWEEN_ROWS
        for row in gates:
            key = (row["version"], row["stage"], row["name"])
            told = self._verdicts.get(key)
            if told is None and row["result"] == "Unknown":
                self._verdicts[key] = row  # nothing has been measured yet
            elif told is None or told["result"] != row["result"] or (due and told["message"] != row["message"]):
                self._narrator.gate(row)
                self._verdicts[key] = row
        if due:
            self._rows_told_at = time.monotonic()


def _identity(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(entry["at"]), str(entry["action"]), str(entry["version"])
