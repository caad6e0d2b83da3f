"""What is remembered of a stage stays as large as it was after its first hours, however long it lasts and however pods come and go."""

import json

import pytest

from modelward.lifecycle.evidence import FORGET_AFTER, begin, fold
from modelward.stats.readings import Binned
from tests.unit.gates.builders import BEGAN, EDGES, gate, inputs, pod, reading

WEEK = 7 * 24 * 60
SETTLED = 3 * 60  # minutes: longer than a pod lives and is remembered
GATES = (
    gate(name="errors", errorRate={"maxIncrease": 0.005, "abortAbove": 0.2}),
    gate(name="drift", drift={"method": "PSI", "threshold": 0.2, "maxDriftedShare": 0.3, "reference": "Incumbent"}),
)
FEATURES = ("feature/age",)
PODS, LIFE, RESTART = 2, 90, 37  # at a time; minutes that a pod lives; minutes after which its process begins again


def series(minutes):
    """What a process counts in so many minutes."""
    histogram = Binned(EDGES, tuple(float(share * minutes) for share in (400, 300, 200, 90, 10)))
    return {
        "requests": 1000.0 * minutes,
        "errors": 1.0 * minutes,
        **dict.fromkeys(FEATURES, histogram),
    }


def pods(version, minute):
    """Each slot's pods follow each other under new names; every process is restarted once in its pod's life."""
    for slot in range(PODS):
        generation, age = divmod(minute + slot * LIFE // PODS, LIFE)
        counted = age if age < RESTART else age - RESTART
        yield pod(minute, f"{version}-{generation}-{slot}", minute - age - 0.5, **series(counted + 0.5))


@pytest.fixture(scope="module")
def sizes():
    """Minute, bytes of the evidence and remembered pods, over the week."""
    evidence, found = begin("canary", BEGAN, "v8=10"), []
    for minute in range(1, WEEK + 1):
        both = (reading(version, minute, *pods(version, minute)) for version in ("v8", "v7"))
        evidence = fold(evidence, *both, "v8=10", GATES, inputs(minute))
        if minute % 30 == 0 and (minute <= 2 * SETTLED or minute > WEEK - 2 * SETTLED):
            remembered = len(evidence.candidate.pods) + len(evidence.incumbent.pods)
            found.append((minute, len(json.dumps(evidence.to_dict())), remembered))
    assert evidence.looks == WEEK
    return found


def test_as_many_pods_are_remembered_after_a_week_as_after_the_first_hours(sizes):
    early = max(count for minute, _, count in sizes if SETTLED < minute <= 2 * SETTLED)
    late = max(count for minute, _, count in sizes if minute > WEEK - 2 * SETTLED)
    assert late == early
    forgotten_after = FORGET_AFTER.total_seconds() / 60
    assert late <= 2 * PODS * (1 + forgotten_after / LIFE) + 2


def test_the_evidence_grows_by_no_more_than_the_digits_of_its_numbers(sizes):
    early = max(size for minute, size, _ in sizes if SETTLED < minute <= 2 * SETTLED)
    late = max(size for minute, size, _ in sizes if minute > WEEK - 2 * SETTLED)
    assert late <= 1.1 * early
