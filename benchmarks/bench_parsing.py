"""Reading a pod's metrics page: the whole of it by the parser of prometheus_client, and what a look wants of it by ours.

The pages are those of modelward.instrument (with 10, 100 and 1,000 features), one on which the model's own metrics are a small part,
and the captured ones of the tests where they are there. Both columns start from the text; "look" goes on to canonical series.
Prints a table and, last, one line of JSON. Each figure is the best of several rounds.
"""

import json
import sys
import timeit
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from modelward.instrument import Monitor, Numeric
from modelward.metrics.canonical import RawSample
from modelward.metrics.exposition import read_exposition, read_samples
from modelward.metrics.presets import Preset, preset

TEXT = "text/plain; version=0.0.4; charset=utf-8"
EVERYTHING = ("requests", "errors", "latency", "prediction", "feature/", "missing/")
BASICS = ("requests", "errors", "latency")
CAPTURED = Path(__file__).parents[1] / "tests" / "unit" / "metrics" / "captured"
SECONDS_A_CASE, ROUNDS = 0.6, 4
GOAL = 3.0


@dataclass(frozen=True)
class Case:
    """A page, and what a look wants of it."""

    page: str
    text: str
    rules: Preset
    wanted: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """Milliseconds a page; the same samples from both parsers, of the same lines."""

    page: str
    lines: int
    samples: int
    parser_all: float
    parser_wanted: float
    ours: float
    look: float

    @property
    def times_faster(self) -> float:
        return self.parser_all / self.ours


def main() -> int:
    rows = [measure(case) for case in cases()]
    table = Table(
        "page",
        "lines",
        "wanted",
        "library, all ms",
        "library, wanted ms",
        "ours ms",
        "look ms",
        "faster",
        title="A page",
    )
    for row in rows:
        figures = (row.parser_all, row.parser_wanted, row.ours, row.look)
        table.add_row(
            row.page,
            f"{row.lines:,}",
            f"{row.samples:,}",
            *(f"{figure:.3f}" for figure in figures),
            f"{row.times_faster:.1f}x",
        )
    Console(width=120).print(table)
    slowest = min(row.times_faster for row in rows)
    answer = {"benchmark": "parsing", "least_times_faster": round(slowest, 2), "goal_times_faster": GOAL}
    print(json.dumps({**answer, "rows": [{**asdict(row), "times_faster": row.times_faster} for row in rows]}))
    return 0 if slowest >= GOAL else 1


def cases() -> list[Case]:
    own = preset("modelward")
    found = [Case(f"{count} features", instrumented(count), own, EVERYTHING) for count in (10, 100, 1000)]
    found.append(Case("10 features in 50,000 lines", instrumented(10) + other_lines(50_000), own, EVERYTHING))
    found.append(Case("100 features, latency alone", instrumented(100), own, BASICS))
    for path in sorted(CAPTURED.glob("*.txt")):
        if path.stem in ("bentoml", "mlserver"):
            found.append(Case(f"{path.stem}, captured", path.read_text("utf-8"), preset(path.stem), BASICS))
    return found


def instrumented(count: int) -> str:
    generator = np.random.default_rng(7)
    features = [Numeric(f"f{i}", tuple(np.sort(generator.normal(size=11)).tolist())) for i in range(count)]
    monitor = Monitor(features, Numeric("prediction", (0.1, 0.3, 0.5, 0.7, 0.9)), model="bench", version="v1")
    for _ in range(50):
        with monitor.request() as request:
            request.features(generator.normal(size=count).tolist())
            request.prediction(0.42)
    registry: CollectorRegistry = monitor.registry()
    return generate_latest(registry).decode()


def other_lines(count: int) -> str:
    return "".join(f'runtime_worker_tasks_total{{worker="{i}",state="done"}} {i}.0\n' for i in range(count))


def measure(case: Case) -> Row:
    names = case.rules.only(case.wanted).sample_names()
    wanted_text = "".join(
        f"{line}\n" for line in case.text.split("\n") if line.partition("{")[0].split(" ")[0] in names
    )
    ours = read_samples(case.text, False, names)
    if comparable(ours) != comparable(by_library(wanted_text)):
        raise AssertionError(f"{case.page}: the parsers disagree")
    return Row(
        page=case.page,
        lines=case.text.count("\n"),
        samples=len(ours),
        parser_all=best(lambda: by_library(case.text)),
        parser_wanted=best(lambda: by_library(wanted_text)),
        ours=best(lambda: read_samples(case.text, False, names)),
        look=best(lambda: read_exposition(case.text, TEXT, case.rules, case.wanted)),
    )


def by_library(text: str) -> list[RawSample]:
    return [
        RawSample(sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


def comparable(samples: list[RawSample]) -> list[tuple[str, list[tuple[str, str]], float]]:
    return sorted((sample.name, sorted(sample.labels.items()), sample.value) for sample in samples)


def best(call: Callable[[], object]) -> float:
    """Milliseconds of the fastest of a few rounds that together take about SECONDS_A_CASE."""
    once = timeit.timeit(call, number=1)
    number = max(1, int(SECONDS_A_CASE / ROUNDS / max(once, 1e-6)))
    return min(once, min(timeit.repeat(call, number=number, repeat=ROUNDS)) / number) * 1e3


if __name__ == "__main__":
    sys.exit(main())
