"""What is counted, and in which cell: every count and sum of a server is one number in one flat array.

The layout is fixed by the baseline, so all processes of a server agree on it; to observe is to find an index and add.
Bins are (lo, hi], the first and the last are open; a histogram's block is its bins and then the sum of the values.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

OTHER = "__other__"
"""The category of every value that training did not see: bounded, and known to no baseline."""

LATENCY_BUCKETS = (
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0,
)  # fmt: skip


@dataclass(frozen=True)
class Numeric:
    """A number with the inner edges of its training bins."""

    name: str
    edges: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.edges or not all(map(math.isfinite, self.edges)) or any(b <= a for a, b in pairwise(self.edges)):
            raise ValueError(
                f"{self.name}: edges have to be finite numbers in strictly ascending order, and at least one"
            )


@dataclass(frozen=True)
class Categorical:
    """A value of a known set; others are counted together."""

    name: str
    categories: tuple[str, ...]


Quantity = Numeric | Categorical


@dataclass(frozen=True)
class Block:
    """Where one quantity is counted."""

    quantity: Quantity
    start: int
    missing: int

    @property
    def names(self) -> tuple[str, ...]:
        """Categories in the order of their cells, the unknown last."""
        assert isinstance(self.quantity, Categorical)
        return (*dict.fromkeys(name for name in self.quantity.categories if name != OTHER), OTHER)

    @property
    def width(self) -> int:
        return len(self.quantity.edges) + 2 if isinstance(self.quantity, Numeric) else len(self.names)


@dataclass(frozen=True)
class Layout:
    """All blocks of one server."""

    success: int
    error: int
    latency: Block
    features: tuple[Block, ...]
    prediction: Block | None
    size: int  # without the cells of feedback, which come after all others
    digest: str


def lay_out(
    features: Sequence[Quantity], prediction: Quantity | None, latency_buckets: Sequence[float], identity: Sequence[str]
) -> Layout:
    """Give every quantity its cells. The digest changes with anything that changes the meaning of a cell.

    Raises:
        ValueError: two features of one name.
    """
    names = [feature.name for feature in features]
    if len(set(names)) != len(names):
        raise ValueError(f"two features are named {next(name for name in names if names.count(name) > 1)!r}")
    end = 2

    def block(quantity: Quantity) -> Block:
        nonlocal end
        placed = Block(quantity, start=end + 1, missing=end)
        end = placed.start + placed.width
        return placed

    latency = block(Numeric("latency", tuple(latency_buckets)))
    blocks = tuple(block(feature) for feature in features)
    predicted = block(prediction) if prediction is not None else None
    meaning = [repr((latency.quantity, tuple(features), prediction)), *identity]
    digest = hashlib.sha256(json.dumps(meaning).encode()).hexdigest()[:12]
    return Layout(0, 1, latency, blocks, predicted, size=end, digest=digest)


def features_of(baseline: Mapping[str, Any]) -> Iterator[Quantity]:
    """The features of a ModelVersion's baseline, in its order."""
    for feature in baseline.get("features", ()):
        yield _quantity(feature["name"], feature)


def prediction_of(baseline: Mapping[str, Any]) -> Quantity | None:
    """The predictions of a ModelVersion's baseline, if it records them."""
    recorded = baseline.get("predictions")
    return _quantity("prediction", recorded) if recorded else None


def category_name(value: object) -> str:
    """How a value is written as a category: 3.0 and 3 are one."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _quantity(name: str, recorded: Mapping[str, Any]) -> Quantity:
    counts = recorded.get("counts", ())
    if recorded.get("kind") == "Categorical" or isinstance(counts, Mapping):
        return Categorical(name, tuple(counts))
    return Numeric(name, tuple(float(edge) for edge in recorded.get("edges", ())))
