"""The status of Models in a terminal: a headline, then a tree; piped, the same lines, indented and in plain ASCII."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from modelward.cli.status_read import Overview, Row
from modelward.cli.terminal import clean
from modelward.lifecycle.gates.wording import number
from modelward.lifecycle.headline import Headline, Urgency, ago
from modelward.lifecycle.overview import LATCHED, Coming, GateShown, Lacking, VersionShown, Wrong

BAR = 20
_TOLD = 160
"""Characters of a note beside a version; all of it is in `-o json`, and of a latch in the headline."""
_INDENT = 2
_URGENCY = {Urgency.ACT: "bold yellow", Urgency.WAIT: "bold cyan", Urgency.REST: "bold green"}
_RESULT = {"Pass": "green", "Fail": "bold red", "Inconclusive": "yellow", "Unknown": "magenta"}
_ROLE = {"Candidate": "bold cyan", "Production": "bold green", LATCHED: "bold red"}


def is_plain(console: Console) -> bool:
    """Does nobody look, or somebody who wants no colours?"""
    return not console.is_terminal or console.no_color


def picture(shown: Overview, *, plain: bool, problem: str = "") -> RenderableType:
    """All of one Model. problem: why it may be old."""
    root = Tree(Text(clean(_title(shown)), style="bold"), guide_style="dim")
    if shown.wrong:
        branch = root.add(Text("wrong", style="bold red"))
        for wrong in shown.wrong:
            branch.add(_wrong(wrong, shown.at))
    for version in shown.versions:
        _add_version(root, version, shown.at, plain)
    if not shown.versions:
        root.add(Text("no version of it plays a part yet"))
    if shown.approvals:
        branch = root.add(Text("approvals", style="bold"))
        for lacking in shown.approvals:
            _add_approval(branch, lacking, shown.at)
    if shown.coming:
        branch = root.add(Text("next", style="bold"))
        branch.add(_coming(shown.coming, shown.at))
    notes = [Text(f"Note: {clean(note)}", style="dim") for note in shown.notes]
    old = [Text(f"Old, since the connection broke: {clean(problem)}", style="yellow")] if problem else []
    return Group(*headline(shown.headline), Text(), indented(root) if plain else root, *notes, *old)


def headline(said: Headline) -> list[Text]:
    """What is going on and what to do, and the command for it on a line of its own, to be copied."""
    line = Text(clean(said.what), style=_URGENCY[said.urgency])
    line.append(clean(f" {said.todo}") if said.todo else "", style="not bold default")
    return [line, *([Text(f"  {clean(said.command)}", style="bold", no_wrap=True)] if said.command else [])]


def table(rows: Sequence[Row], *, plain: bool, problem: str = "") -> RenderableType:
    """Many Models, those that need somebody first."""
    if not rows:
        return Text("There are no Models here.")
    columns = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for header in ("MODEL", "SERVES", "CANDIDATE", "WHAT GOES ON"):
        columns.add_column(header, no_wrap=header in ("MODEL", "SERVES"), overflow="fold")
    for each in sorted(rows, key=lambda each: (list(Urgency).index(each.headline.urgency), each.namespace, each.model)):
        weight = f" {each.weight} %" if each.weight else ""
        columns.add_row(
            clean(f"{each.namespace}/{each.model}"),
            clean(each.production or "-"),
            clean(f"{each.candidate} {each.stage}{weight}" if each.candidate else "-"),
            Text(clean(_short(each.headline.what)), style="" if plain else _URGENCY[each.headline.urgency]),
        )
    old = [Text(f"Old, since the connection broke: {clean(problem)}", style="yellow")] if problem else []
    return Group(columns, *old)


def line(namespace: str, model: str, said: Headline) -> str:
    """One line for a log: what goes on with a Model, and what to do."""
    todo = f" {said.todo}" if said.todo else ""
    command = f" {said.command}" if said.command else ""
    return clean(f"{namespace}/{model}: {said.what}{todo}{command}")


def bar(gate: GateShown, *, plain: bool) -> str:
    """The interval and the bound on one line; without an interval, how many of the samples it needs are there."""
    if gate.bound is not None and gate.low is not None and gate.high is not None:
        return _interval_bar(gate.low, gate.high, gate.figure, gate.bound, plain)
    if gate.needed:
        done = min(round(BAR * gate.samples / gate.needed), BAR)
        full, empty = ("#", ".") if plain else ("▰", "▱")
        return full * done + empty * (BAR - done)
    return ""


def _interval_bar(low: float, high: float, figure: float | None, bound: float, plain: bool) -> str:
    """From a little below the smallest of all to a little above the largest; the bound is drawn over the interval."""
    least, most = min(low, bound), max(high, bound)
    span = (most - least) or abs(bound) or 1.0
    begin, scale = least - span / 10, span * 1.2

    def place(value: float) -> int:
        return min(max(round((BAR - 1) * (value - begin) / scale), 0), BAR - 1)

    axis, inside, at, limit = "-=o|" if plain else "─━●┃"
    drawn = [inside if place(low) <= index <= place(high) else axis for index in range(BAR)]
    if figure is not None:
        drawn[place(figure)] = at
    drawn[place(bound)] = limit
    return "".join(drawn)


def indented(tree: Tree, depth: int = 0) -> RenderableType:
    """A tree without its lines, for programs that read lines: a sentence stays one, however long."""
    margin = " " * (_INDENT * depth)
    label = tree.label
    shown = Text(margin) + label if isinstance(label, Text) else Padding(label, (0, 0, 0, len(margin)), expand=False)
    return Group(shown, *(indented(child, depth + 1) for child in tree.children))


def _title(shown: Overview) -> str:
    owner = f"owner {shown.owner}" if shown.owner else "no owner"
    wants = f", asks for {shown.requested}" if shown.requested else ""
    return f"{shown.namespace}/{shown.model}  {owner}, tier {shown.tier or 'unknown'}{wants}"


def _wrong(wrong: Wrong, now: datetime) -> Text:
    since = ago(wrong.since, now)
    said = Text(f"{wrong.condition} is {wrong.status}", style="red")
    said.append(clean(f" since {since} ({wrong.reason}): {wrong.message}"), style="default")
    return said


def _add_version(root: Tree, version: VersionShown, now: datetime, plain: bool) -> None:
    said = Text(clean(version.version), style=_ROLE.get(version.role, "bold"))
    since = f" since {ago(version.since, now)}" if version.since else ""
    in_stage = f" in {version.stage}" if version.stage not in (version.role, "") else ""
    weight = "" if version.weight is None else f", {version.weight} % of requests"
    mirror = "" if version.mirror is None else f", {version.mirror} % mirrored to it"
    note = f": {_short(version.note)}" if version.note else ""
    said.append(clean(f"  {version.role}{in_stage}{since}{weight}{mirror}{note}"), style="not bold default")
    branch = root.add(said)
    if version.gates:
        branch.add(_gates(version.gates, plain))
    for gate in version.gates:
        if gate.result != "Pass" and version.role != LATCHED:
            branch.add(
                Text(clean(f"{gate.name}: {gate.sentence}"), style=_RESULT[gate.result] if gate.holds else "dim")
            )


def _gates(gates: Iterable[GateShown], plain: bool) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(3):
        grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for gate in gates:
        style = _RESULT[gate.result] if gate.holds else "dim"
        result = gate.result if gate.holds else f"({gate.result})"
        drawn = Text(bar(gate, plain=plain), style=style)
        grid.add_row(clean(gate.name), Text(result, style=style), drawn, Text(_figures(gate)))
    return grid


def _figures(gate: GateShown) -> str:
    parts = []
    if gate.figure is not None:
        interval = (
            f" ({number(gate.low)} to {number(gate.high)})" if gate.low is not None and gate.high is not None else ""
        )
        parts.append(f"{number(gate.figure)}{interval}")
    if gate.bound is not None:
        parts.append(f"bound {number(gate.bound)}")
    if gate.needed and gate.samples < gate.needed:
        parts.append(f"{gate.samples:,} of {gate.needed:,} samples")
    elif gate.samples:
        parts.append(f"{gate.samples:,} samples")
    return ", ".join(parts)


def _add_approval(branch: Tree, lacking: Lacking, now: datetime) -> None:
    when = "needed for the next step" if lacking.due else "needed later"
    people = "1 person has" if lacking.missing == 1 else f"{lacking.missing} people have"
    said = Text(
        clean(
            f"{people} to approve {lacking.version} as {lacking.role}, before {lacking.before}: {when},"
            f" asked for {ago(lacking.since, now)} ago"
        ),
        style="yellow" if lacking.due else "",
    )
    below = branch.add(said)
    for refused in lacking.refused:
        below.add(Text(clean(f"not counted: {refused}"), style="yellow"))
    below.add(Text(clean(lacking.command), style="bold", no_wrap=True))


def _coming(coming: Iterable[Coming], now: datetime) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for each in coming:
        grid.add_row("" if each.at is None else _when(each.at, now), Text(clean(each.what)))
    return grid


def _when(at: datetime, now: datetime) -> str:
    return f"in {ago(now, at)}" if at > now else "now"


def _short(text: str) -> str:
    return text if len(text) <= _TOLD else f"{text[: _TOLD - 3]}..."
