"""From cumulative series to what was counted between two looks."""

import json
import math

import pytest

from modelward.stats.increments import MAXIMUM_CATEGORIES, PodMemory, lifetime, pod_increment, sum_increments
from modelward.stats.pod_memories import read_pods, write_pods
from modelward.stats.readings import Binned, Increment, PodReading

STAGE_BEGAN = 1000.0
EDGES = (0.1, 0.5, 1.0)


def reading(at, started_at=500.0, **series):
    return PodReading("v8-a", started_at, at, series)


def look(*readings):
    """The increment of the last of several readings of one pod."""
    memory, increment = None, Increment()
    for item in readings:
        increment, memory = pod_increment("v8-a", memory, item, STAGE_BEGAN)
    return increment


def test_an_older_pod_seen_for_the_first_time_is_only_recorded():
    assert look(reading(1060, requests=5000.0)) == Increment()


def test_a_pod_created_after_the_stage_began_counts_from_zero():
    assert look(reading(1060, started_at=1030, requests=40.0)).counters == {"requests": 40.0}


def test_what_was_counted_is_the_difference_of_two_readings():
    increment = look(
        reading(1060, requests=100.0, latency=Binned(EDGES, (90, 8, 2, 0), 12.0), prediction={"yes": 7.0}),
        reading(1120, requests=150.0, latency=Binned(EDGES, (130, 15, 4, 1), 20.0), prediction={"yes": 9.0, "no": 3.0}),
    )
    assert increment.counters == {"requests": 50.0}
    assert increment.binned == {"latency": Binned(EDGES, (40, 7, 2, 1), 8.0)}
    assert increment.categories == {"prediction": {"yes": 2.0, "no": 3.0}}


def test_one_falling_bucket_makes_the_whole_pod_count_from_zero():
    """The count has already grown past its old value; taken alone it would hide most of what the new process counted."""
    increment = look(
        reading(1060, requests=100.0, latency=Binned(EDGES, (50, 40, 10, 0))),
        reading(1120, requests=140.0, latency=Binned(EDGES, (130, 9, 1, 0))),
    )
    assert increment.counters == {"requests": 140.0}
    assert increment.binned["latency"].counts == (130, 9, 1, 0)


def test_a_counter_that_resets_every_scrape_counts_what_each_process_counted():
    assert look(*(reading(1000 + 60 * i, requests=30.0 - i) for i in range(5))).counters == {"requests": 26.0}


def test_a_late_answer_of_an_earlier_time_is_not_a_restart():
    increment = look(reading(1060, requests=100.0), reading(1120, requests=150.0), reading(1060, requests=100.0))
    assert increment == Increment()


def test_a_new_pod_under_an_old_name_counts_from_zero():
    assert look(reading(1060, requests=100.0), reading(1200, started_at=1100, requests=120.0)).counters == {
        "requests": 120.0
    }


def test_a_clock_that_steps_back_loses_nothing():
    assert look(reading(1060, requests=100.0), reading(900, requests=130.0)).counters == {"requests": 30.0}


def test_a_counter_that_first_appears_with_its_first_event_counts_it():
    assert look(reading(1060, requests=100.0), reading(1120, requests=110.0, errors=2.0)).counters["errors"] == 2.0


@pytest.mark.parametrize(
    ("value", "because"),
    [
        pytest.param(-1.0, "is negative", id="negative"),
        pytest.param(math.nan, "is not a finite number", id="NaN"),
        pytest.param(math.inf, "is not a finite number", id="infinite"),
        pytest.param(Binned(EDGES, (1, -1, 0, 0)), "is negative", id="negative bucket"),
        pytest.param(Binned(EDGES, (1, 1)), "has bins that do not fit its edges", id="too few buckets"),
        pytest.param(Binned((1.0, 1.0), (1, 1, 1)), "has bins that do not fit its edges", id="edges out of order"),
        pytest.param(
            {str(i): 1.0 for i in range(MAXIMUM_CATEGORIES + 1)}, "categories", id="an identifier as category"
        ),
    ],
)
def test_a_senseless_value_makes_its_series_invalid_and_no_other(value, because):
    increment = look(reading(1060, requests=100.0, errors=1.0), reading(1120, requests=110.0, errors=value))
    assert increment.counters == {"requests": 10.0}
    assert because in increment.invalid["errors"]


def test_after_an_invalid_value_the_series_is_only_recorded():
    increment = look(reading(1060, errors=1.0), reading(1120, errors=math.nan), reading(1180, errors=9.0))
    assert "errors" in increment.invalid
    assert increment.counters == {}
    again = look(
        reading(1060, errors=1.0), reading(1120, errors=math.nan), reading(1180, errors=9.0), reading(1240, errors=11.0)
    )
    assert again == Increment(counters={"errors": 2.0})


def test_pods_with_different_edges_are_summed_in_their_common_ones():
    total = sum_increments(
        [
            Increment(binned={"latency": Binned((0.1, 0.5, 1.0), (1, 2, 3, 4))}),
            Increment(binned={"latency": Binned((0.1, 1.0, 2.0), (5, 6, 7, 8))}),
        ]
    )
    assert total.binned["latency"] == Binned((0.1, 1.0), (6, 11, 19))


def test_a_series_that_is_invalid_on_one_pod_is_invalid_for_the_version():
    total = sum_increments([Increment(counters={"errors": 3.0}), Increment(invalid={"errors": "is negative"})])
    assert total.counters == {}
    assert total.invalid == {"errors": "is negative"}


def test_memories_survive_being_written_as_json_and_share_their_edges():
    pods = {
        name: PodMemory(
            500.5,
            1060.25,
            {
                "latency": Binned(EDGES, (1.0, 2.0, 3.5, 0.0), 4.0),
                "requests": 7.0,
                "errors": None,
                "prediction": {"yes": 3.0},
            },
        )
        for name in ("v8-a", "v8-b")
    }
    document = json.loads(json.dumps(write_pods(pods)))
    assert document["edges"] == [list(EDGES)]
    assert read_pods(document) == pods
    assert lifetime(pods.values()).counters == {"requests": 14.0}


def test_a_series_that_is_not_shown_any_more_is_absent_and_not_zero():
    last = pod_increment("a", None, reading(1000, requests=10.0, errors=1.0), 0.0)[1]
    increment, memory = pod_increment("a", last, reading(1060, requests=20.0), 0.0)
    assert increment.absent == {"errors"} == increment.invalid.keys()
    assert "series errors of pod a is not shown any more" in increment.invalid["errors"]
    again, _ = pod_increment("a", memory, reading(1120, requests=30.0, errors=4.0), 0.0)
    assert again.counters == {"requests": 10.0, "errors": 3.0} and not again.invalid


def test_a_process_that_starts_anew_may_not_show_everything_yet():
    last = pod_increment("a", None, reading(1000, requests=10.0, errors=1.0), 0.0)[1]
    increment, _ = pod_increment("a", last, reading(1060, requests=2.0), 0.0)
    assert increment.counters == {"requests": 2.0} and not increment.invalid
