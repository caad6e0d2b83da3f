"""The report of the portfolio in a terminal; and what it says in words, for the page as well."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from modelward.cli.explain_text import bare_table, clock
from modelward.cli.terminal import clean
from modelward.governance.discovery import Unregistered
from modelward.governance.flow import Attention, Distribution, Ending, Figures, State, words_of
from modelward.governance.inventory import Row

_STYLES = {"Ungoverned": "bold red", "Zombie": "bold red", "ReviewOverdue": "red", "Unregistered": "red"}


@dataclass(frozen=True)
class Report:
    """All that is reported."""

    at: datetime
    where: str
    state: State
    figures: Figures
    endings: tuple[tuple[datetime, Ending], ...]
    attention: tuple[Attention, ...]
    unregistered: tuple[Unregistered, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Figure:
    """One line of the flow: what, how much, and how it is spread."""

    name: str
    value: str
    detail: str = ""


def print_report(console: Console, report: Report) -> None:
    """Flow, attention, models."""
    console.print(Text(f"Portfolio of {clean(report.where)} on {clock(report.at)}", style="bold"), soft_wrap=True)
    table = bare_table("FIGURE", "VALUE", "")
    for figure in figures_in_words(report):
        table.add_row(Text(figure.name), Text(figure.value), Text(figure.detail))
    console.print(table)
    for note in report.notes:
        console.print(Text(f"Note: {clean(note)}", style="yellow"), soft_wrap=True)
    _print_attention(console, all_attention(report))
    _print_models(console, report.rows)


def figures_in_words(report: Report) -> tuple[Figure, ...]:
    """Every figure with its spread, in the order in which they are shown."""
    state, figures = report.state, report.figures
    due = [wait for wait in state.waiting if wait.due]
    oldest = f"the oldest for {words_of(report.at - min(wait.since for wait in due))}" if due else ""
    decided = figures.promoted + figures.rolled_back
    return (
        Figure("Models", str(state.models), f"{state.in_production} in production"),
        Figure(
            "Monitored and owned",
            _share(state.monitored_and_owned, state.in_production),
            f"of {state.in_production} in production; {state.monitored} monitored, {state.owned} owned",
        ),
        Figure("Zombies", str(state.zombies), "serve, and nobody looks after them"),
        Figure("Ungoverned", str(state.ungoverned), "serve what was not approved"),
        Figure("Unregistered workloads", str(len(report.unregistered)), "look like inference servers"),
        Figure("Approvals waiting", str(sum(wait.missing for wait in due)), oldest),
        Figure("Reviews overdue", str(state.reviews_overdue), f"{state.reviews_near} more due within 30 days"),
        Figure(
            "Candidate to production",
            _median(figures.candidate_to_production),
            _spread(figures.candidate_to_production),
        ),
        Figure(
            "Retraining to production", _median(figures.trigger_to_production), _spread(figures.trigger_to_production)
        ),
        Figure(
            "Fault found in a rollout",
            _median(figures.detection_in_rollout, "at most "),
            _spread(figures.detection_in_rollout) or "after its first users",
        ),
        Figure(
            "Fault found in production",
            _median(figures.detection_in_production, "at most "),
            _spread(figures.detection_in_production) or "after its gates were last in order",
        ),
        Figure(
            "Rollbacks",
            f"{figures.rollbacks_per_30_days:g} in 30 days",
            f"{figures.rolled_back} of {decided} rollouts ({_share(figures.rolled_back, decided)}),"
            f" {figures.stopped_before_users} of them before any user; {figures.rolled_back_in_production} in production",
        ),
        Figure("Promotions", str(figures.promoted), f"{figures.rejected} rejected, {figures.superseded} superseded"),
    )


def all_attention(report: Report) -> tuple[Attention, ...]:
    """What needs somebody, with what runs unregistered."""
    unregistered = (Attention("Unregistered", each.namespace, each.name, each.sentence) for each in report.unregistered)
    return (*report.attention, *unregistered)


def _print_attention(console: Console, attention: Sequence[Attention]) -> None:
    table = bare_table("NEEDS ATTENTION", "NAMESPACE", "NAME", "BECAUSE")
    for each in attention:
        table.add_row(
            Text(each.kind, style=_STYLES.get(each.kind, "yellow")),
            *(Text(clean(cell)) for cell in (each.namespace, each.name, each.sentence)),
        )
    _print_section(console, table if attention else None, "Nothing needs attention.")


def _print_models(console: Console, rows: Sequence[Row]) -> None:
    table = bare_table("NAMESPACE", "NAME", "TIER", "OWNER", "STATUS", "VERSION", "SINCE", "NEXT REVIEW", "CONCERNS")
    for row in rows:
        table.add_row(*(Text(clean(cell)) for cell in cells_of(row)))
    _print_section(console, table if rows else None, "No Model is registered.")


def cells_of(row: Row) -> tuple[str, ...]:
    """One Model as it is listed."""
    since, review = row.in_production_since[:10], row.next_review[:10]
    concerns = ", ".join(_names_of(row.concerns))
    return (row.namespace, row.name, row.tier, row.owner, row.status, row.version, since, review, concerns)


def _names_of(concerns: Sequence[str]) -> Iterator[str]:
    """`Zombie=True Ownerless: sentence` is told in full above; here its first word will do. Another sentence is told as it is."""
    for concern in concerns:
        condition = concern.split(" ", 1)[0]
        yield condition if "=" in condition else concern


def _print_section(console: Console, table: Table | None, otherwise: str) -> None:
    console.print()
    console.print(otherwise if table is None else table)


def _median(found: Distribution, prefix: str = "") -> str:
    return f"{prefix}{words_of(found.median)}" if found.count else "no case"


def _spread(found: Distribution) -> str:
    if not found.count:
        return ""
    return f"median of {found.count}; 90 % within {words_of(found.p90)}, all within {words_of(found.longest)}"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "none"
