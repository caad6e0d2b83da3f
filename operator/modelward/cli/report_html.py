"""The report of the portfolio as one HTML file: the terminal's figures and tables, and a picture of how rollouts ended by week."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from modelward.cli.explain_text import clock
from modelward.cli.page import rendered
from modelward.cli.report_text import Report, all_attention, cells_of, figures_in_words
from modelward.governance.flow import Ending

_MOST_WEEKS = 53
_BAR, _GAP, _HEIGHT, _LEFT, _BOTTOM = 18, 8, 160, 36, 24
_SHOWN = (Ending.PROMOTED, Ending.ROLLED_BACK, Ending.REJECTED, Ending.SUPERSEDED)


@dataclass(frozen=True)
class Bar:
    """How many rollouts of a week ended in one way."""

    ending: str
    x: float
    y: float
    height: float
    text: str


@dataclass(frozen=True)
class Label:
    """A text below a bar."""

    x: float
    text: str


@dataclass(frozen=True)
class WeeksPicture:
    """A stacked bar for each week."""

    title: str
    description: str
    width: int
    height: int
    left: int
    base: int
    bar: int
    highest: int
    bars: tuple[Bar, ...]
    labels: tuple[Label, ...]


def report_page(report: Report) -> str:
    """The whole page."""
    return rendered(
        "report.html.j2",
        {"clock": clock, "lowered": str.lower},
        report=report,
        figures=figures_in_words(report),
        attention=all_attention(report),
        models=[cells_of(row) for row in report.rows],
        endings=[ending.value for ending in _SHOWN],
        weeks=draw_weeks(report),
    )


def draw_weeks(report: Report) -> WeeksPicture | None:
    """Nothing where no rollout ended."""
    if not report.endings:
        return None
    last = _monday(report.at)
    first = max(_monday(report.figures.since), last - (_MOST_WEEKS - 1) * timedelta(weeks=1))
    weeks = [first + n * timedelta(weeks=1) for n in range((last - first).days // 7 + 1)]
    counted = Counter((_monday(at), ending) for at, ending in report.endings)
    highest = max(sum(counted[week, ending] for ending in _SHOWN) for week in weeks) or 1
    scale = (_HEIGHT - _BOTTOM - 10) / highest
    bars: list[Bar] = []
    for index, week in enumerate(weeks):
        below = 0
        for ending in _SHOWN:
            count = counted[week, ending]
            if count:
                top = _HEIGHT - _BOTTOM - (below + count) * scale
                text = f"week of {week}: {count} {ending}"
                bars.append(Bar(ending.value.lower(), _x(index), round(top, 1), round(count * scale, 1), text))
            below += count
    step = max(1, len(weeks) // 8)
    return WeeksPicture(
        title="How rollouts ended, by week",
        description="; ".join(bar.text for bar in bars) or "none in the weeks shown",
        width=_LEFT + len(weeks) * (_BAR + _GAP) + 40,
        height=_HEIGHT,
        left=_LEFT,
        base=_HEIGHT - _BOTTOM,
        bar=_BAR,
        highest=highest,
        bars=tuple(bars),
        labels=tuple(Label(_x(index), f"{week:%d %b}") for index, week in enumerate(weeks) if index % step == 0),
    )


def _x(index: int) -> float:
    return _LEFT + _GAP + index * (_BAR + _GAP)


def _monday(moment: datetime) -> date:
    day = moment.date()
    return day - timedelta(days=day.weekday())
