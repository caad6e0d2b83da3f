"""What the instrumentation costs a model server per request, beside the same loop without it.

Prints a table and, last, one line of JSON. Each figure is the best of several rounds.
"""

import json
import sys
import tempfile
import timeit
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from modelward.instrument import Monitor, Numeric

ROUNDS, REPEATS = 7, 2_000
GOAL_MICROSECONDS = 20.0
EDGES = 11


@dataclass(frozen=True)
class Row:
    """Microseconds a request."""

    what: str
    features: int
    bare: float
    instrumented: float

    @property
    def overhead(self) -> float:
        return self.instrumented - self.bare


def main() -> int:
    with tempfile.TemporaryDirectory() as directory:
        rows = [row for count in (1, 10, 30) for row in measure(count, directory)]
    table = Table("request", "features", "bare us", "instrumented us", "overhead us", title="Cost of a request")
    for row in rows:
        figures = (f"{figure:.2f}" for figure in (row.bare, row.instrumented, row.overhead))
        table.add_row(row.what, str(row.features), *figures)
    Console(width=100).print(table)
    worst = max(row.overhead for row in rows if row.features == 30)
    result = {"benchmark": "instrument", "worst_us_at_30_features": round(worst, 2), "goal_us": GOAL_MICROSECONDS}
    print(json.dumps({**result, "rows": [{**asdict(row), "overhead": row.overhead} for row in rows]}))
    return 0 if worst < GOAL_MICROSECONDS else 1


def measure(count: int, directory: str) -> list[Row]:
    generator = np.random.default_rng(7)
    features = [Numeric(f"f{i}", tuple(np.sort(generator.normal(size=EDGES)).tolist())) for i in range(count)]
    prediction = Numeric("prediction", (0.1, 0.3, 0.5, 0.7, 0.9))
    alone = Monitor(features, prediction, model="bench", version="v1")
    shared = Monitor(features, prediction, model="bench", version="v1", directory=directory)
    array = generator.normal(size=count)
    row = array.tolist()
    named = dict(zip(alone.feature_names, row, strict=True))

    def only_features(values: object) -> Callable[[], None]:
        return lambda: alone.request().features(values)

    def whole(monitor: Monitor, values: object) -> Callable[[], None]:
        def answer() -> None:
            with monitor.request() as request:
                request.features(values)
                request.prediction(0.42)

        return answer

    bare = best(lambda: None)
    cases: list[tuple[str, Callable[[], None]]] = [
        ("features only, list", only_features(row)),
        ("whole, list", whole(alone, row)),
        ("whole, mapping", whole(alone, named)),
        ("whole, array", whole(alone, array)),
        ("whole, list, shared by workers", whole(shared, row)),
    ]
    return [Row(what, count, bare, best(call)) for what, call in cases]


def best(call: Callable[[], None]) -> float:
    return min(timeit.repeat(call, number=REPEATS, repeat=ROUNDS)) / REPEATS * 1e6


if __name__ == "__main__":
    sys.exit(main())
