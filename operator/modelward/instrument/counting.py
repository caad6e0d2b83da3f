"""Adding observations to cells: the part that every request pays for.

One row of numbers is a loop over plain Python floats with `bisect`, which is as fast as numpy for tens of features and
needs no conversion: every numpy call costs as much as ten rounds of the loop. Batches go through numpy by column.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelward.instrument.layout import Block, Numeric, category_name

# What lies outside takes the slow way. Within the range of float32, so that numpy compares its scalars without a cast.
_LOWEST, _HIGHEST = -3e38, 3e38

Way = tuple[int, int, int, tuple[float, ...] | None, dict[object, int]]
"""missing, start and sum cells, edges or None, cells of categories. A tuple, because nothing is cheaper to unpack."""


@dataclass(frozen=True)
class Columns:
    """Blocks made ready for counting, in the order of a row."""

    names: tuple[str, ...]
    ways: tuple[Way, ...]


def columns_of(blocks: Sequence[Block]) -> Columns:
    return Columns(tuple(block.quantity.name for block in blocks), tuple(way_of(block) for block in blocks))


def way_of(block: Block) -> Way:
    if isinstance(block.quantity, Numeric):
        edges = block.quantity.edges
        return block.missing, block.start, block.start + len(edges) + 1, edges, {}
    return block.missing, block.start, -1, None, {name: block.start + i for i, name in enumerate(block.names)}


def count_row(cells: "memoryview[float]", ways: Sequence[Way], values: Iterable[Any]) -> None:
    """Count one value of each quantity."""
    for value, (missing, start, total, edges, categories) in zip(values, ways, strict=True):
        try:
            if edges is None:
                cells[categories[value]] += 1.0
            elif _LOWEST <= value <= _HIGHEST:
                cells[total] += value
                cells[start + bisect_left(edges, value)] += 1.0
            else:
                _count_unusual(cells, (missing, start, total, edges, categories), value)
        except (KeyError, TypeError, ValueError):
            _count_unusual(cells, (missing, start, total, edges, categories), value)


def count_column(cells: "memoryview[float]", way: Way, values: Any) -> None:
    """Count many values of one quantity."""
    missing, start, total, edges, _ = way
    if edges is None:
        count_row_of_one(cells, way, values)
        return
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        count_row_of_one(cells, way, values)
        return
    view = np.asarray(cells)
    present = numbers[~np.isnan(numbers)]
    bins = np.searchsorted(edges, present, side="left")
    view[start : start + len(edges) + 1] += np.bincount(bins, minlength=len(edges) + 1)
    view[total] += present[np.isfinite(present)].sum()
    view[missing] += numbers.size - present.size


def count_row_of_one(cells: "memoryview[float]", way: Way, values: Iterable[Any]) -> None:
    """Count many values of one quantity, one by one."""
    for value in values:
        count_row(cells, (way,), (value,))


def _count_unusual(cells: "memoryview[float]", way: Way, value: object) -> None:
    """None, NaN, a number as text or Decimal, an unknown category. Never an error: a server must serve."""
    missing, start, total, edges, categories = way
    if value is None:
        cells[missing] += 1.0
    elif edges is None:
        unusable = isinstance(value, float) and math.isnan(value)
        cells[missing if unusable else categories.get(category_name(value), start + len(categories) - 1)] += 1.0
    else:
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            number = math.nan
        if math.isfinite(number):  # an infinity belongs to an end bin, and would spoil the sum for ever
            cells[total] += number
        cells[missing if math.isnan(number) else start + bisect_left(edges, number)] += 1.0
