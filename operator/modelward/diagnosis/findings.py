"""What a check says: how bad it is, why, and what to type."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "OK"
    WARNING = "Warning"  # something works less well than it could, or will not work later
    PROBLEM = "Problem"  # something does not work
    UNSEEN = "NotLookedAt"  # nothing is known


@dataclass(frozen=True)
class Said:
    """What a check has found, in a sentence; the remedy is a command where there is one, and empty where all is well."""

    level: Level
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class Finding:
    """What a check has found, and which check it was."""

    check: str
    level: Level
    message: str
    remedy: str = ""


def ok(message: str) -> Said:
    return Said(Level.OK, message)


def warning(message: str, remedy: str) -> Said:
    return Said(Level.WARNING, message, remedy)


def problem(message: str, remedy: str) -> Said:
    return Said(Level.PROBLEM, message, remedy)


MOST_NAMES = 4
"""How many names a sentence has; the rest is counted."""


def names(found: list[str]) -> str:
    """Some names of many, as a sentence has them: ``a, b and 12 more``."""
    shown = list(dict.fromkeys(found))
    if len(shown) <= MOST_NAMES:
        return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else ""
    return f"{', '.join(shown[:MOST_NAMES])} and {len(shown) - MOST_NAMES} more"


def count(number: int, what: str) -> str:
    """A number and its noun: ``1 Model``, ``2 Models``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
