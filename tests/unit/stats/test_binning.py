"""Bins as Prometheus counts them, and bringing two sets of bins together."""

import numpy as np
import pytest

from modelward.stats.binning import align, align_categories, coarsen, common_edges, count_values
from modelward.stats.readings import Binned


def test_a_value_on_an_edge_belongs_to_the_bin_below_it():
    assert count_values([1, 2, 2, 3, 99], [1, 2, 3]).tolist() == [1, 2, 1, 1]


def test_a_missing_value_belongs_to_no_bin():
    assert count_values([np.nan, 0.5, np.inf, -np.inf], [1.0]).tolist() == [2, 1]


def test_edges_are_compared_as_numbers():
    assert common_edges((1, 2.0, 3), (1.0, 3.0, 4.0)) == (1.0, 3.0)


def test_coarsening_merges_bins_and_keeps_every_count():
    fine = Binned((1.0, 2.0, 3.0, 4.0), (1, 2, 4, 8, 16), 50.0)
    assert coarsen(fine, (2.0, 4.0)) == Binned((2.0, 4.0), (3, 12, 16), 50.0)
    assert coarsen(fine, ()) == Binned((), (31,), 50.0)


def test_an_edge_that_was_never_there_is_not_interpolated():
    with pytest.raises(ValueError, match="an edge may only be removed"):
        coarsen(Binned((1.0, 2.0), (1, 2, 3)), (1.5,))


def test_two_histograms_meet_in_their_common_edges():
    first, second = align(Binned((1.0, 2.0, 3.0), (1, 1, 1, 1)), Binned((1.0, 3.0, 5.0), (2, 2, 2, 2)))
    assert first == Binned((1.0, 3.0), (1, 2, 1))
    assert second == Binned((1.0, 3.0), (2, 2, 4))


def test_a_category_that_only_one_side_has_is_a_bin_of_its_own():
    names, first, second = align_categories({"north": 3, "south": 4}, {"south": 1, "mars": 2})
    assert names == ("mars", "north", "south")
    assert first.tolist() == [0, 3, 4]
    assert second.tolist() == [2, 0, 1]
