"""All default statistics of many Models, beside one pass over the same memory and a scipy call per feature.

Prints a table and, last, one line of JSON. `--models 500` measures less.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import stats
from scipy.spatial.distance import jensenshannon

from modelward.stats.summary import Summary, summarise

ROUNDS, SAMPLE = 15, 500
GOAL_PASSES, GOAL_SPEEDUP = 25.0, 300.0
Floats = NDArray[np.float64]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--models", type=int, default=5_000)
    arguments.add_argument("--features", type=int, default=30)
    arguments.add_argument("--bins", type=int, default=20)
    size = arguments.parse_args()
    reference, current = samples(size.models, size.features, size.bins)
    rows = size.models * size.features

    buffer = np.empty_like(reference)
    ours, fair, one_pass, reading = best(
        lambda: default_statistics(reference, current),
        lambda: with_p_values(reference, current),
        lambda: np.add(reference, current, out=buffer),
        lambda: (reference.sum(), current.sum()),
    )
    (per_sample,) = best(lambda: by_scipy(reference, current, SAMPLE), rounds=2)
    per_feature = per_sample / min(SAMPLE, rows)
    figures = {
        "passes": ours / one_pass,
        "readings": ours / reading,
        "times_faster_than_scipy": per_feature * rows / fair,
    }

    table = Table("what", "seconds", "us a feature", title=f"{rows:,} features of {size.bins} bins")
    for what, seconds in (
        ("reading both arrays", reading),
        ("one pass: reading both, writing their sum", one_pass),
        ("all default statistics", ours),
        ("the same, and p-values of chi-square", fair),
        (f"a call of scipy for each, p-values included, from {SAMPLE}", per_feature * rows),
    ):
        table.add_row(what, f"{seconds:.3f}", f"{1e6 * seconds / rows:.3f}")
    Console(width=100).print(table)
    goals = {"goal_passes": GOAL_PASSES, "goal_times_faster": GOAL_SPEEDUP}
    print(json.dumps({"benchmark": "statistics", **{name: round(one, 1) for name, one in figures.items()}, **goals}))
    return 0 if figures["passes"] <= GOAL_PASSES and figures["times_faster_than_scipy"] >= GOAL_SPEEDUP else 1


def samples(models: int, features: int, bins: int) -> tuple[Floats, Floats]:
    random = np.random.default_rng(7)
    shares = random.dirichlet(np.full(bins, 2.0), size=features)
    reference = random.multinomial(5_000, shares, size=(models, features)).astype(np.float64)
    return reference, random.multinomial(2_000, shares, size=(models, features)).astype(np.float64)


def default_statistics(reference: Floats, current: Floats) -> Summary:
    """Everything that a report of drift shows, with what is computed on demand only."""
    found = summarise(reference, current)
    assert found.psi_critical_value().shape == found.debiased_psi.shape
    return found


def with_p_values(reference: Floats, current: Floats) -> None:
    """What scipy's test of homogeneity computes too, and no gate: repeated looks make such a p-value worthless."""
    assert default_statistics(reference, current).chi_square_p_value().shape == reference.shape[:-1]


def by_scipy(reference: Floats, current: Floats, count: int) -> None:
    """The same statistics as one would write them feature by feature."""
    bins = reference.shape[-1]
    for a, b in zip(reference.reshape(-1, bins)[:count], current.reshape(-1, bins)[:count], strict=True):
        p, q = (a + 0.5) / (a.sum() + 0.5 * bins), (b + 0.5) / (b.sum() + 0.5 * bins)
        stats.entropy(p, q)
        stats.entropy(q, p)
        jensenshannon(a, b, base=2)
        table = np.stack([a, b])
        stats.chi2_contingency(table[:, table.sum(axis=0) > 0], correction=False)
        stats.chi2.isf(0.05, bins - 1)
        float(np.abs(np.cumsum(a / a.sum() - b / b.sum())).max())
        float(np.abs(a / a.sum() - b / b.sum()).sum() / 2)
        float(np.linalg.norm(np.sqrt(a / a.sum()) - np.sqrt(b / b.sum())))


def best(*runs: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """The least seconds of each, taken in turn, so that whatever else the machine does slows all of them."""
    seconds: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for run, found in zip(runs, seconds, strict=True):
            began = time.process_time()  # of this process alone
            run()
            found.append(time.process_time() - began)
    return [min(found) for found in seconds]


if __name__ == "__main__":
    sys.exit(main())
