"""How times and spans of time are written on a command line, the same for every option."""

import re
from datetime import datetime, timedelta

import typer

_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}
_SPAN = re.compile("".join(f"(?:([0-9]{{1,5}}){unit})?" for unit in _UNITS))
_LONGEST = timedelta(days=36_525)
"""A hundred years: what is longer is a slip, and would lead out of the calendar."""

NOW = "now"


def span_of(text: str) -> timedelta:
    """90d, 12w, 48h, 30m, 45s, or several of them, the largest first: 1h30m.

    Raises:
        ValueError: it is none; the message is the end of a sentence, with the remedy.
    """
    match = _SPAN.fullmatch(text.strip())
    parts = match.groups() if match else ()
    span = sum((int(part) * unit for part, unit in zip(parts, _UNITS.values(), strict=False) if part), timedelta())
    if not timedelta() < span <= _LONGEST:
        raise ValueError("is no period: write numbers with w, d, h, m or s, such as 90d or 1h30m")
    return span


def moment_of(text: str, now: datetime) -> datetime:
    """`now`, or a time with its zone such as 2026-11-01T09:00:00Z.

    Raises:
        ValueError: it is neither; the message is the end of a sentence, with the remedy.
    """
    if text.strip().lower() == NOW:
        return now
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ValueError("is no point in time: write it like 2026-11-01T09:00:00Z, or now") from error
    if moment.tzinfo is None:
        raise ValueError("has no time zone: write it like 2026-11-01T09:00:00Z, or now")
    return moment


def given_span(text: str, option: str) -> timedelta:
    """The span that an option gives.

    Raises:
        typer.BadParameter: it gives none.
    """
    try:
        return span_of(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} {error}", param_hint=option) from error


def given_moment(text: str, option: str, now: datetime) -> datetime:
    """The point in time that an option gives.

    Raises:
        typer.BadParameter: it gives none.
    """
    try:
        return moment_of(text, now)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} {error}", param_hint=option) from error
