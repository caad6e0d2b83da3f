"""Random tables, many at once, for comparison with other libraries."""

import numpy as np

RUNS = 1000


def pairs_of_counts(bins=8, runs=RUNS, seed=1, least=0):
    """Reference and current counts of many features; with `least` = 0 some bins are empty."""
    random = np.random.default_rng(seed)
    shares = random.dirichlet(np.full(bins, 0.7), size=(2, runs))
    sizes = random.integers(30, 5000, size=(2, runs))
    counts = random.multinomial(sizes, shares).astype(float) + least
    return counts[0], counts[1]


def confusions(classes, runs=RUNS, seed=2):
    random = np.random.default_rng(seed)
    return random.integers(1, 400, size=(runs, classes, classes)).astype(float)


def rows_of(confusion):
    """Actual, predicted and weight of each cell of a confusion table."""
    predicted, actual = np.indices(confusion.shape)
    return actual.ravel(), predicted.ravel(), confusion.ravel()
