"""How often a canary that is exactly as much worse as allowed is failed, or passed, when it is looked at after every interval.

On the boundary both verdicts are wrong, and each may be given in at most a share alpha of the runs. Beside the operator's gate, on the same
runs: a fixed threshold on the rates so far, a chi-square test at every look, and a confidence sequence of pooled totals.
Prints a table of the worst cells and, last, one line of JSON. `--full --runs 2000` is the whole grid.

A share of a few runs is itself uncertain, and of many cells the unluckiest is shown: each cell with more than alpha is measured
again, in ten times as many fresh runs, and only these count. The exit code is 1 when one is still above alpha by more than three standard errors.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import count, product, repeat

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import special

from modelward.stats.sequential import MINIMUM_INTERVALS, RateComparison, mixing_parameter, mixture_boundary

ALPHA, LOOKS = 0.05, 120
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Cell:
    """One kind of traffic."""

    requests: int  # per interval, both versions together
    base: float  # the incumbent's rate
    tolerance: float  # the candidate's is higher by exactly this
    ramp: bool  # the candidate's weight rises from 5 to 50 %, or stays at 10 %
    swing: float  # of both rates over a day, as a share of them
    overdispersion: float  # correlation of requests within an interval


@dataclass(frozen=True)
class Measured:
    """Shares of the runs of a cell that were ever failed, by method, and ever passed by ours."""

    cell: Cell
    failed: dict[str, float]
    passed: float
    runs: int

    @property
    def worst(self) -> float:
        return max(self.failed["ours"], self.passed)

    @property
    def limit(self) -> float:
        """What alpha may look like by chance."""
        return ALPHA + 3 * float(np.sqrt(ALPHA * (1 - ALPHA) / self.runs))


METHODS = ("ours", "fixed threshold", "repeated chi-square", "pooled sequence")
AGAIN = 10  # times the runs, for a cell above alpha


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=200, help="of each cell")
    arguments.add_argument("--full", action="store_true", help="the whole grid instead of a small one")
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        cells = list(grid(full=options.full))
        found = list(pool.map(measure, cells, repeat(options.runs), count(options.seed), chunksize=4))
        doubtful = [one.cell for one in found if one.worst > ALPHA]
        fresh = count(options.seed + len(cells))
        again = list(pool.map(measure, doubtful, repeat(AGAIN * options.runs), fresh))
    settled = {**{one.cell: one for one in found}, **{one.cell: one for one in again}}
    rows = list(settled.values())
    Console(width=130).print(show(rows))
    result = {"benchmark": "false_alarms", "cells": len(cells), "runs": options.runs, "looks": LOOKS, "alpha": ALPHA}
    figures: dict[str, object] = {
        "worst_false_fail": {name: round(max(one.failed[name] for one in rows), 4) for name in METHODS},
        "worst_false_pass": round(max(one.passed for one in rows), 4),
        "worst_by_overdispersion": by_overdispersion(rows),
        "measured_again": {"cells": len(again), "runs": AGAIN * options.runs},
        "worst_cell": asdict(max(rows, key=lambda one: one.worst).cell),
    }
    above = [asdict(one.cell) for one in rows if one.worst > one.limit]
    print(json.dumps({**result, **figures, "above_alpha": above}))
    return 1 if above else 0


def grid(*, full: bool) -> Iterator[Cell]:
    sizes: Iterable[int] = (50, 200, 2_000, 20_000) if full else (200, 2_000)
    bases: Iterable[float] = (0.0005, 0.01, 0.1, 0.3) if full else (0.0005, 0.01)
    tolerances: Iterable[float] = (0.0, 0.005, 0.02) if full else (0.0, 0.005)
    correlations: Iterable[float] = (0.0, 0.001, 0.01, 0.1) if full else (0.0, 0.1)
    for values in product(sizes, bases, tolerances, (False, True), (0.0, 0.9), correlations):
        yield Cell(*values)


def measure(cell: Cell, runs: int, seed: int) -> Measured:
    """Look at all runs of a cell side by side."""
    failed = {name: np.zeros(runs, np.bool_) for name in METHODS}
    passed = np.zeros(runs, np.bool_)
    compared, totals = RateComparison.empty((runs,)), np.zeros((4, runs))
    rho = mixing_parameter(cell.base, cell.tolerance, ALPHA)
    for counts in traffic(cell, runs, seed):
        x_a, n_a, x_b, n_b = counts
        compared = compared.fold(x_a, n_a, x_b, n_b, cell.tolerance, cell.base)
        totals += counts
        enough = compared.sums.intervals >= MINIMUM_INTERVALS
        if enough.any():
            bounds = compared.bounds(rho, ALPHA, cell.tolerance)
            failed["ours"] |= enough & (bounds.low > cell.tolerance)
            passed |= enough & (bounds.high < cell.tolerance)
            for name, now in others(totals, cell.tolerance, rho).items():
                failed[name] |= enough & now
    return Measured(cell, {name: float(flags.mean()) for name, flags in failed.items()}, float(passed.mean()), runs)


def traffic(cell: Cell, runs: int, seed: int) -> Iterator[Floats]:
    """Candidate's events and requests, incumbent's events and requests, for each interval of a day."""
    random = np.random.default_rng(seed)
    for look in range(LOOKS):
        weight = (0.05, 0.1, 0.25, 0.5)[4 * look // LOOKS] if cell.ramp else 0.1
        rate = cell.base * (1 + cell.swing * np.sin(2 * np.pi * look / LOOKS))
        ours = random.binomial(cell.requests, weight, runs)
        theirs = cell.requests - ours
        rates = (drawn(random, p, cell.overdispersion, runs) for p in (rate + cell.tolerance, rate))
        events = [random.binomial(n, p) for n, p in zip((ours, theirs), rates, strict=True)]
        yield np.array([events[0], ours, events[1], theirs], np.float64)


def drawn(random: np.random.Generator, rate: float, correlation: float, runs: int) -> Floats:
    """An interval's own rate: with correlated requests, it varies around the true one."""
    if correlation == 0:
        return np.full(runs, rate)
    size = 1 / correlation - 1
    return random.beta(rate * size, (1 - rate) * size, runs)


def others(totals: Floats, tolerance: float, rho: Floats) -> dict[str, Flags]:
    """What is done elsewhere, on the totals so far."""
    x_a, n_a, x_b, n_b = totals
    n_a, n_b = np.maximum(n_a, 1), np.maximum(n_b, 1)
    difference = x_a / n_a - x_b / n_b
    p = np.clip((x_a + x_b) / (n_a + n_b), 1e-9, 1 - 1e-9)
    chi_square = difference**2 / (p * (1 - p) * (1 / n_a + 1 / n_b))
    weight = n_a * n_b / (n_a + n_b)
    spread = np.clip((x_a + x_b - tolerance * n_a) / (n_a + n_b), 1e-6, 1 - tolerance - 1e-6)
    above = np.clip(spread + tolerance, 1e-6, 1 - 1e-6)
    variance = weight**2 * (above * (1 - above) / n_a + spread * (1 - spread) / n_b)
    return {
        "fixed threshold": np.asarray(difference > tolerance),
        "repeated chi-square": np.asarray((chi_square > special.chdtri(1, ALPHA)) & (difference > 0)),
        "pooled sequence": np.asarray(difference - mixture_boundary(variance, rho, ALPHA) / weight > tolerance),
    }


def by_overdispersion(rows: list[Measured]) -> dict[str, tuple[float, float]]:
    """The worst false Fail and false Pass at each level."""
    levels = sorted({one.cell.overdispersion for one in rows})
    grouped = {level: [one for one in rows if one.cell.overdispersion == level] for level in levels}
    return {
        str(level): (max(one.failed["ours"] for one in found), max(one.passed for one in found))
        for level, found in grouped.items()
    }


def show(rows: list[Measured], length: int = 16) -> Table:
    columns = ("requests", "base", "tolerance", "ramp", "swing", "overdispersion", *METHODS, "false pass")
    table = Table(*columns, title=f"Shares of runs with a false Fail (and, by ours, a false Pass) in {LOOKS} looks")
    for one in sorted(rows, key=lambda one: -one.worst)[:length]:
        known = (str(value) for value in asdict(one.cell).values())
        shares = (*(one.failed[name] for name in METHODS), one.passed)
        table.add_row(*known, *(f"{100 * share:.1f} %" for share in shares))
    return table


if __name__ == "__main__":
    sys.exit(main())
