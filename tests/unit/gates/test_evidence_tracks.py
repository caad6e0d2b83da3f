"""What evidence keeps for people: how every gate moved, and by what it was judged. Decisions never depend on it."""

import json
from dataclasses import replace

from modelward.lifecycle.evidence import LARGEST, Evidence, bounded, judge, recorded
from modelward.lifecycle.track import LONGEST, Track
from tests.unit.gates.builders import Stage, gate, inputs

ERRORS = gate(name="errors", errorRate={"maxIncrease": 0.005})
PER_LOOK = {"requests": 200.0, "errors": 2.0}


def size(evidence):
    return len(json.dumps(evidence.to_dict(), separators=(",", ":")))


def stored(evidence):
    return Evidence.from_dict(json.loads(json.dumps(evidence.to_dict())))


def looked_at(stage, looks):
    for _ in range(looks):
        stage.look(PER_LOOK, PER_LOOK)
        stage.evidence = stored(recorded(stage.evidence, stage.verdicts(), inputs(stage.minute).now))
    return stage


def test_every_look_adds_the_verdict_that_was_given_then():
    stage = looked_at(Stage(ERRORS), 12)
    verdict, points = stage.verdict(), stage.evidence.gates["errors"].track.points
    assert [point.seconds for point in points] == [60 * minute for minute in range(2, 14)]
    assert [point.result for point in points][:2] == ["Inconclusive", "Inconclusive"]
    newest = points[-1]
    assert (newest.result, newest.bound, newest.samples) == (verdict.result.value, verdict.bound, verdict.samples)
    assert newest.high == float(f"{verdict.high:.4g}")


def test_verdicts_do_not_depend_on_tracks():
    with_tracks = looked_at(Stage(ERRORS), 12)
    without = Stage(ERRORS).looks(12, PER_LOOK, PER_LOOK)
    assert with_tracks.verdicts() == without.verdicts()


def test_thirty_gates_add_at_most_100_kib_however_long_the_stage_lasts():
    gates = [gate(name=f"errors-{index}", errorRate={"maxIncrease": 0.005}) for index in range(30)]
    stage = looked_at(Stage(*gates), LONGEST + 2)
    bare = replace(
        stage.evidence,
        gates={name: replace(memory, track=Track()) for name, memory in stage.evidence.gates.items()},
    )
    assert size(stage.evidence) - size(bare) < 100 * 1024


def test_tracks_give_way_where_evidence_reaches_its_limit():
    stage = looked_at(Stage(ERRORS), 30)
    before = stage.evidence
    limit = size(before) - 100
    kept = bounded(before, before, inputs(stage.minute), limit)
    assert kept.gates["errors"].track == Track()
    assert judge(kept, [ERRORS], inputs(stage.minute)) == stage.verdicts()
    assert recorded(before, stage.verdicts(), inputs(stage.minute).now, limit) == before
    assert size(before) < LARGEST


def test_evidence_of_a_release_without_tracks_is_gone_on_with():
    stage = looked_at(Stage(ERRORS), 12)
    written = stage.evidence.to_dict()
    del written["terms"], written["gates"]["errors"]["track"]
    older = Evidence.from_dict(written)
    assert judge(older, [ERRORS], inputs(stage.minute)) == stage.verdicts()
    stage.evidence = older
    assert len(looked_at(stage, 1).evidence.gates["errors"].track.points) == 1


def test_evidence_says_by_what_it_is_judged():
    stage = looked_at(Stage(ERRORS, alpha=0.02), 2)
    assert stage.evidence.terms == {
        "incumbent": "v7",
        "alpha": 0.02,
        "alone": False,
        "gates": [{"name": "errors", "errorRate": {}}],
    }


def test_a_figure_comes_with_the_span_of_time_in_which_it_was_counted():
    warmed = gate(name="warmed", errorRate={"maxIncrease": 0.005}, warmup="2m")
    plain, late = looked_at(Stage(ERRORS, warmed), 12).verdicts()
    assert (plain.seconds, late.seconds) == (13 * 60.0, 11 * 60.0)
