"""How times and spans of time are written on a command line, the same for every option."""

import re
from datetime import datetime, timedelta

_UNITS = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_SPAN = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
NOW = "now"


def span_of(text: str) -> timedelta:
    """90d, 12w, 48h or 30m.

    Raises:
        ValueError: it is none; the message is the end of a sentence, with the remedy.
    """
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise ValueError("is no period: write a number and m, h, d or w, such as 90d")
    return int(match[1]) * _UNITS[match[2]]


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
