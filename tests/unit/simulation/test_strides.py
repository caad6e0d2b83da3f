"""Calm hours are looked at in strides, and nothing that a user would be told comes at another time for it."""

from typing import Any

import numpy as np
import pytest

from modelward.simulation.stretches import CalmStretches
from tests.unit.simulation.test_replay import ERRORS, recorded, tried

MINUTES = 420
POLICY: dict[str, Any] = {
    "stages": {
        "shadow": {"minDuration": "2h", "gates": [ERRORS]},
        "canary": {"steps": [{"weight": 20, "minDuration": "10h"}], "gates": [ERRORS]},
        "production": {"watch": {"duration": "1h"}},
    },
    "onUnknown": {"deadline": "30m", "then": "Pause"},
}


def noisy(share: Any, seed: int) -> Any:
    """About 500 requests a minute, of which a share fails that may change."""
    random = np.random.default_rng(seed)
    counts = [(n := int(random.poisson(500)), int(random.binomial(n, share(minute)))) for minute in range(MINUTES + 1)]
    return lambda minute: counts[minute]


CANDIDATES: dict[str, Any] = {
    "good": lambda minute: 0.005,
    "bad at once": lambda minute: 0.05 if minute > 300 else 0.005,
    "bad for three minutes": lambda minute: 0.6 if 300 < minute <= 303 else 0.005,
}


@pytest.mark.parametrize("share", CANDIDATES.values(), ids=list(CANDIDATES))
def test_strides_tell_the_same_at_the_same_minutes(share: Any) -> None:
    what = recorded(MINUTES, v7=noisy(CANDIDATES["good"], 1), v8=noisy(share, 2))
    quick, exact = (tried(what, POLICY, exact=exact) for exact in (False, True))
    assert quick.strides > 1
    assert quick.decisions < exact.decisions
    assert [(step.at, step.reason) for step in quick.steps] == [(step.at, step.reason) for step in exact.steps]
    assert [failed.stage for failed in quick.status.failed] == [failed.stage for failed in exact.status.failed]


def test_evidence_that_stays_away_is_seen_in_the_same_minute() -> None:
    counts = noisy(CANDIDATES["good"], 2)
    what = recorded(MINUTES, v7=noisy(CANDIDATES["good"], 1), v8=lambda now: counts(now) if now < 300 else None)
    quick, exact = (tried(what, POLICY, exact=exact) for exact in (False, True))
    assert quick.status.rollout == exact.status.rollout


def test_a_stretch_is_calm_where_shares_stay_as_they_were() -> None:
    what = recorded(200, v7=lambda minute: (500, 200 if minute == 150 else 3))
    stretches = CalmStretches(what.intervals, ("v7", None))
    assert stretches.are_calm(80, 110)
    assert not stretches.are_calm(140, 160)
    assert not stretches.are_calm(190, 220)
