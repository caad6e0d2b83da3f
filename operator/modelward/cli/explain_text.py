"""An explanation in a terminal: tables and bars. Without a terminal, or with NO_COLOR, plain ASCII that other programs can read."""

from collections.abc import Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from modelward.cli.explain_figures import ONE_LOOK, distance_bounds, operation_rows, p_value
from modelward.cli.terminal import clean
from modelward.lifecycle.explanation import Explanation, GateExplained
from modelward.lifecycle.gates.wording import number, percent
from modelward.lifecycle.operations import Operations
from modelward.lifecycle.tables import BadShare, DriftTable, Histogram, QualityTable

WORST = 5
"""Features that are drawn; all of them are in the report that --html writes."""
PIPED_WIDTH = 240
_BAR = 40
_BINS = 12
_LEGEND = (
    "debiased: the distance less what sampling noise alone adds. critical: what 5 of 100 single looks exceed when nothing"
    " has drifted. at least: a lower bound of the total variation that holds at every look; above 0, the difference is real."
)
_NARROW = "KS, Wasserstein-1 and p-values of each feature at one look: --wide"
_STYLES = {
    "Pass": "green",
    "Fail": "bold red",
    "Inconclusive": "yellow",
    "Unknown": "magenta",
    "fits": "green",
    "good": "green",
    "drifted": "bold red",
    "bad": "bold red",
    "undecided": "yellow",
    "unknown": "magenta",
}


def console_for_output() -> Console:
    """Standard output; wide enough for any table where nobody looks at it."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPED_WIDTH)


def print_explanation(console: Console, explained: Explanation, wide: bool = False) -> None:
    """Head, gates, operations, features, and the worst features as bars; what decides nothing only when asked for."""
    _print_head(console, explained)
    for note in explained.notes:
        console.print(Text(f"Note: {clean(note)}", style="yellow"), soft_wrap=True)
    _print_gates(console, explained.gates)
    if explained.operations:
        _print_operations(console, explained.operations)
    for drift in explained.drift:
        _print_drift(console, drift)
    if explained.drift:
        console.print(Text(_LEGEND if wide else f"{_LEGEND} {_NARROW}.", style="dim"), soft_wrap=True)
    if explained.drift and wide:
        for drift in explained.drift:
            _print_one_look(console, drift)
        console.print(Text(ONE_LOOK, style="dim"), soft_wrap=True)
    for quality in explained.quality:
        _print_quality(console, quality)
    for histogram in explained.histograms[:WORST]:
        _print_histogram(console, histogram)
    if len(explained.histograms) > WORST:
        console.print(f"\n{len(explained.histograms) - WORST} more features are in the report: --html FILE")


def clock(time: datetime | None) -> str:
    """A time as people read it."""
    return "" if time is None else f"{time:%Y-%m-%d %H:%M:%S} UTC"


def interval(low: float | None, high: float | None) -> str:
    """Both ends, or nothing where there is none."""
    return "" if low is None or high is None else f"{number(low)} to {number(high)}"


def result_of(gate: GateExplained) -> str:
    """The result, and whether it can hold anything."""
    if not gate.applies:
        return f"{gate.result} (does not apply)"
    return f"{gate.result} (advisory)" if gate.advisory else gate.result


def bad_share(share: BadShare | None) -> str:
    """A share of bad values, its interval and its bound."""
    if share is None:
        return "not checked"
    if share.share is None:
        return "no value seen"
    return f"{percent(share.share)} ({percent(share.low)} to {percent(share.high)}; at most {percent(share.bound)})"


def bare_table(*headers: str) -> Table:
    """A table without lines, as kubectl prints them."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def _print_head(console: Console, explained: Explanation) -> None:
    against = f", against {explained.incumbent}" if explained.incumbent else ""
    since = f" since {clock(explained.since)}" if explained.since else ""
    lines = (
        ("Model", f"{explained.namespace}/{explained.model}"),
        ("Version", f"{explained.version}{against}"),
        ("Stage", f"{explained.stage or 'none'}{since}"),
        ("Result", explained.result),
        ("Next", explained.next),
    )
    for label, text in lines:
        console.print(Text.assemble((f"{label + ':':<9}", "bold"), clean(text)), soft_wrap=True)


def _print_gates(console: Console, gates: Sequence[GateExplained]) -> None:
    if not gates:
        return
    table = bare_table("GATE", "RESULT", "FIGURE", "INTERVAL", "BOUND", "SAMPLES", "WINDOW", "METHOD")
    for gate in gates:
        table.add_row(
            _text(gate.name),
            Text(result_of(gate), style=_STYLES.get(gate.result, "")),
            _figure(gate.figure),
            interval(gate.low, gate.high),
            _figure(gate.bound),
            f"{gate.samples:,}",
            _text(gate.window),
            _text(gate.method),
        )
    _print_table(console, "Gates", table)
    for gate in gates:
        console.print(Text.assemble((f"{clean(gate.name)}: ", "bold"), clean(gate.sentence)), soft_wrap=True)


def _print_operations(console: Console, versions: Sequence[Operations]) -> None:
    table = bare_table("", *(version.role.upper() for version in versions))
    for label, cells in operation_rows(versions, _BINS):
        table.add_row(_text(label), *(_text(cell) for cell in cells))
    names = " and ".join(version.version for version in versions)
    title = f"Operations of {names} since their pods started (95 % intervals of one look, by which nothing is decided)"
    _print_table(console, title, table)


def _print_drift(console: Console, drift: DriftTable) -> None:
    table = bare_table("FEATURE", "VERDICT", "DISTANCE", "DEBIASED", "CRITICAL", "AT LEAST", "VALUES")
    for feature in drift.features:
        because = f": {clean(feature.because)}" if feature.because else ""
        table.add_row(
            _text(feature.feature),
            Text(f"{feature.verdict}{because}", style=_STYLES.get(feature.verdict, "")),
            _figure(feature.distance),
            _figure(feature.debiased),
            _figure(feature.critical),
            _figure(feature.at_least),
            "" if feature.values is None else f"{round(feature.values):,}",
        )
    title = (
        f"Gate {drift.gate}: {drift.method} against the {drift.reference.lower()}, threshold {number(drift.threshold)}"
    )
    _print_table(console, title, table)


def _print_one_look(console: Console, drift: DriftTable) -> None:
    table = bare_table("FEATURE", "KS", "WASSERSTEIN-1", "P", "ADJUSTED P")
    for feature in drift.features:
        once = feature.one_look
        cells = (
            ("unknown", "", "", "")
            if once is None
            else (
                distance_bounds(once.ks),
                distance_bounds(once.wasserstein),
                p_value(once.p_value),
                p_value(once.adjusted),
            )
        )
        table.add_row(_text(feature.feature), *cells)
    _print_table(console, f"Gate {drift.gate}, one look, which does not decide", table)


def _print_quality(console: Console, quality: QualityTable) -> None:
    table = bare_table("FEATURE", "VERDICT", "MISSING", "OUT OF RANGE", "NEW CATEGORIES")
    for feature in quality.features:
        table.add_row(
            _text(feature.feature),
            Text(feature.verdict, style=_STYLES.get(feature.verdict, "")),
            bad_share(feature.missing),
            bad_share(feature.out_of_range),
            bad_share(feature.new_categories),
        )
    _print_table(console, f"Gate {quality.gate}: values that are bad", table)


def _print_histogram(console: Console, histogram: Histogram) -> None:
    rows = [
        (name, shares, style)
        for name, shares, style in (
            ("baseline", histogram.baseline, "blue"),
            ("incumbent", histogram.incumbent, "cyan"),
            ("candidate", histogram.candidate, "magenta"),
        )
        if shares is not None
    ]
    tallest = max((max(shares) for _, shares, _ in rows), default=0.0) or 1.0
    shown = _telling_bins(histogram)
    width = max((len(clean(histogram.bins[index])) for index in shown), default=0)
    block = "#" if _is_plain(console) else "█"
    distance = "" if histogram.debiased is None else f", debiased distance {number(histogram.debiased)}"
    verdict = (
        f": {histogram.verdict}{distance} (threshold {number(histogram.threshold or 0)})" if histogram.verdict else ""
    )
    console.print()
    console.print(Text(clean(histogram.name) + verdict, style="bold"), soft_wrap=True)
    for index in shown:
        label = clean(histogram.bins[index])
        for name, shares, style in rows:
            bar = block * round(_BAR * shares[index] / tallest)
            line = Text(f"  {label:<{width}}  {name:<9}  ")
            line.append(f"{bar:<{_BAR}}", style=style)
            line.append(f"  {percent(shares[index])}")
            console.print(line, soft_wrap=True)
            label = ""
    left_out = len(histogram.bins) - len(shown)
    if left_out:
        console.print(f"  {left_out} bins that differ less are in the report: --html FILE")


def _telling_bins(histogram: Histogram) -> list[int]:
    """All bins, or those of many that differ most, in their order."""
    count = len(histogram.bins)
    drawn = [shares for shares in (histogram.baseline, histogram.incumbent, histogram.candidate) if shares is not None]
    spread = [max(shares[index] for shares in drawn) - min(shares[index] for shares in drawn) for index in range(count)]
    return sorted(sorted(range(count), key=lambda index: -spread[index])[:_BINS])


def _print_table(console: Console, title: str, table: Table) -> None:
    console.print()
    console.print(Text(clean(title), style="bold"), soft_wrap=True)
    console.print(table)


def _is_plain(console: Console) -> bool:
    return not console.is_terminal or console.no_color


def _figure(value: float | None) -> str:
    return "" if value is None else number(value)


def _text(text: str) -> Text:
    return Text(clean(text))
