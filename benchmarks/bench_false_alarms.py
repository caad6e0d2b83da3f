"""How often a canary that is exactly as much worse as allowed is failed, or passed, when it is looked at after every interval.

On the boundary both verdicts are wrong, and each may be given in at most a share alpha of the runs. Beside the operator's gate, on the same
runs: a fixed threshold on the rates so far, a chi-square test at every look, and a confidence sequence of pooled totals.
Prints a table of the worst cells and, last, one line of JSON. `--runs 2000 --full` is the whole grid.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import special

from modelward.stats.sequential import MINIMUM_INTERVALS, RateDifference, mixing_parameter, mixture_boundary

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


@dataclass
class Tally:
    """Runs of one cell that were ever failed, by method, and ever passed by ours."""

    runs: int
    failed: dict[str, Flags]
    passed: Flags


METHODS = ("ours", "fixed threshold", "repeated chi-square", "pooled sequence")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=200, help="of each cell")
    arguments.add_argument("--full", action="store_true", help="the whole grid instead of a small one")
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    cells = list(grid(full=options.full))
    rows = [(cell, measure(cell, options.runs, options.seed + place)) for place, cell in enumerate(cells)]
    worst_fail = max(shares["ours"] for _, shares in rows)
    worst_pass = max(shares["false pass"] for _, shares in rows)
    Console(width=130).print(show(rows))
    # A share of few runs is itself uncertain: what is above alpha by no more than three standard errors is not shown to be.
    limit = ALPHA + 3 * (ALPHA * (1 - ALPHA) / options.runs) ** 0.5
    worst = {name: round(max(shares[name] for _, shares in rows), 4) for name in METHODS}
    result = {"benchmark": "false_alarms", "cells": len(cells), "runs": options.runs, "looks": LOOKS, "alpha": ALPHA}
    figures: dict[str, object] = {
        "worst_false_fail": worst,
        "worst_false_pass": round(worst_pass, 4),
        "limit": round(limit, 4),
    }
    figures["worst_by_overdispersion"] = by_overdispersion(rows)
    print(json.dumps({**result, **figures, "worst_cell": asdict(max(rows, key=lambda row: row[1]["ours"])[0])}))
    return 0 if max(worst_fail, worst_pass) <= limit else 1


def grid(*, full: bool) -> Iterator[Cell]:
    sizes: Iterable[int] = (50, 200, 2_000, 20_000) if full else (200, 2_000)
    bases: Iterable[float] = (0.0005, 0.01, 0.1, 0.3) if full else (0.01, 0.1)
    tolerances: Iterable[float] = (0.0, 0.005, 0.02) if full else (0.0, 0.005)
    correlations: Iterable[float] = (0.0, 0.001, 0.01, 0.1) if full else (0.0, 0.01)
    for values in product(sizes, bases, tolerances, (False, True), (0.0, 0.9), correlations):
        yield Cell(*values)


def measure(cell: Cell, runs: int, seed: int) -> dict[str, float]:
    """The share of runs with a false Fail by each method, and with a false Pass by ours."""
    tally = Tally(runs, {name: np.zeros(runs, np.bool_) for name in METHODS}, np.zeros(runs, np.bool_))
    sums, totals = RateDifference.empty((runs,)), np.zeros((4, runs))
    rho = mixing_parameter(cell.base, cell.tolerance, ALPHA)
    for look, counts in enumerate(traffic(cell, runs, seed), start=1):
        x_a, n_a, x_b, n_b = counts
        sums = sums.fold(x_a, n_a, x_b, n_b, cell.tolerance, cell.base)
        totals += counts
        bounds = sums.bounds(rho, ALPHA)
        if look >= MINIMUM_INTERVALS:
            tally.failed["ours"] |= bounds.low > cell.tolerance
            tally.passed |= bounds.high < cell.tolerance
            for name, failed in others(totals, cell.tolerance, rho).items():
                tally.failed[name] |= failed
    shares = {name: float(failed.mean()) for name, failed in tally.failed.items()}
    return {**shares, "false pass": float(tally.passed.mean())}


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
        "repeated chi-square": np.asarray((special.chdtrc(1, chi_square) < ALPHA) & (difference > 0)),
        "pooled sequence": np.asarray(difference - mixture_boundary(variance, rho, ALPHA) / weight > tolerance),
    }


def by_overdispersion(rows: list[tuple[Cell, dict[str, float]]]) -> dict[str, tuple[float, float]]:
    """The worst false Fail and false Pass: when errors come in bursts, no few intervals show how bad the rare ones are."""
    levels = sorted({cell.overdispersion for cell, _ in rows})
    grouped = {level: [shares for cell, shares in rows if cell.overdispersion == level] for level in levels}
    return {
        str(level): (max(one["ours"] for one in found), max(one["false pass"] for one in found))
        for level, found in grouped.items()
    }


def show(rows: list[tuple[Cell, dict[str, float]]], count: int = 16) -> Table:
    columns = ("requests", "base", "tolerance", "ramp", "swing", "overdispersion", *METHODS, "false pass")
    table = Table(*columns, title=f"Shares of runs with a false Fail (and, by ours, a false Pass) in {LOOKS} looks")
    for cell, shares in sorted(rows, key=lambda row: -max(row[1]["ours"], row[1]["false pass"]))[:count]:
        known = (str(value) for value in asdict(cell).values())
        table.add_row(*known, *(f"{100 * shares[name]:.1f} %" for name in (*METHODS, "false pass")))
    return table


if __name__ == "__main__":
    sys.exit(main())
