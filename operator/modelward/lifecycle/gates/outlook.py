"""What an undecided verdict still needs, as an estimate: it supposes that everything goes on as it has been."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

FARTHEST = 4096.0
"""No further than so many times the evidence so far: by then, something else will have changed."""

_MULTIPLES: Floats = np.geomspace(1.0, FARTHEST, 65)[1:]


def outlook(decides: Callable[[Floats], Flags], samples: float, seconds: float, unit: str) -> str:
    """The end of a sentence: how many more samples, and how much time at this rate, until there would be a verdict.

    decides: for each multiple of the evidence, would there be a verdict with so much?
    """
    if samples <= 0:
        return "not enough yet to decide"
    decided = decides(_MULTIPLES)
    if not decided.any():
        return "too close to the bound for a verdict in sight"
    return needed(samples * (float(_MULTIPLES[decided.argmax()]) - 1), samples, seconds, unit)


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
