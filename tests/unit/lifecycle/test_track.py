"""The track of a gate: evenly spread looks, the first and the newest among them, in a bounded number of bytes."""

import json
from itertools import pairwise

import pytest

from modelward.lifecycle.track import LONGEST, Point, Track


def point(look, **changes):
    return Point(
        **{
            "seconds": 60 * look,
            "result": "Pass",
            "figure": 0.5,
            "low": 0.4,
            "high": 0.6,
            "bound": 1.0,
            "samples": look,
        }
        | changes
    )


def track_of(looks, longest=LONGEST):
    track = Track()
    for look in range(looks):
        track = track.with_point(point(look), longest)
    return track


def minutes(track):
    return [each.seconds // 60 for each in track.points]


def test_a_short_stage_keeps_every_look():
    assert minutes(track_of(LONGEST)) == list(range(LONGEST))


@pytest.mark.parametrize("looks", [2, 63, 64, 65, 66, 129, 1000, 10_081], ids=str)
def test_a_long_stage_keeps_evenly_spread_looks_with_the_first_and_the_newest(looks):
    kept = minutes(track_of(looks))
    gaps = {later - earlier for earlier, later in pairwise(kept[:-1])}
    assert (kept[0], kept[-1]) == (0, looks - 1)
    assert len(gaps) <= 1
    assert min(looks, LONGEST // 2) <= len(kept) <= LONGEST


@pytest.mark.parametrize("longest", [2, 3, 8], ids=str)
def test_a_shorter_limit_is_kept_at_every_look(longest):
    track = Track()
    for look in range(200):
        track = track.with_point(point(look), longest)
        assert len(track.points) <= longest
        assert minutes(track)[-1] == look


def test_a_track_that_was_stored_goes_on_as_it_would_have():
    stored = Track()
    for look in range(300):
        stored = Track.from_json(json.loads(json.dumps(stored.with_point(point(look)).to_json())))
    assert stored == track_of(300)


def test_a_figure_takes_the_digits_that_a_chart_can_show():
    (kept,) = Track().with_point(point(0, figure=0.123456789, low=None)).points
    assert (kept.figure, kept.low) == (0.1235, None)


def test_a_full_track_takes_less_than_4_kib():
    track = Track()
    for look in range(20_000):
        track = track.with_point(point(look, figure=-0.0012345, low=-0.0023456, high=0.0034567, samples=20_000_000))
    assert len(json.dumps(track.to_json(), separators=(",", ":"))) < 4096
