"""What an undecided verdict still needs, as an estimate: it supposes that everything goes on as it has been."""

import math
from collections.abc import Callable

FARTHEST = 4096.0
"""No further than so many times the evidence so far: by then, something else will have changed."""

_STEPS = 6  # of bisection, to a hundredth of a doubling


def outlook(decides: Callable[[float], bool], samples: float, seconds: float, unit: str) -> str:
    """The end of a sentence: how many more samples, and how much time at this rate, until there would be a verdict.

    decides: would there be a verdict with so many times the evidence?
    """
    if samples <= 0:
        return "not enough yet to decide"
    high = 2.0
    while not decides(high):
        high *= 2
        if high > FARTHEST:
            return "too close to the bound for a verdict in sight"
    low = high / 2
    for _ in range(_STEPS):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if decides(middle) else (middle, high)
    return needed(samples * (high - 1), samples, seconds, unit)


def needed(more: float, samples: float, seconds: float, unit: str) -> str:
    """`about 1,300 more requests needed, 25 minutes at this rate`."""
    text = f"not enough yet to decide: about {_rounded(more):,} more {unit}s needed"
    if seconds <= 0 or samples <= 0:
        return text
    return f"{text}, {_duration(seconds * more / samples)} at this rate"


def _rounded(count: float) -> int:
    """Two digits: an estimate must not look like a figure."""
    if count < 10:
        return max(math.ceil(count), 1)
    scale = 10 ** (math.floor(math.log10(count)) - 1)
    return int(math.ceil(count / scale) * scale)


def _duration(seconds: float) -> str:
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= 2 * size:
            return f"{round(seconds / size):,} {unit}s"
    return f"{max(round(seconds), 1)} second" + ("" if round(seconds) <= 1 else "s")
