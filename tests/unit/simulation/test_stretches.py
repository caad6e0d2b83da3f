"""Most intervals of a recording are lived through without a decision, and nothing comes out differently for it."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from modelward.api.model_version import Baseline
from modelward.simulation.recording import Counted, Interval, Recording
from modelward.simulation.replay import Outcome
from tests.unit.simulation.test_replay import BEGAN, ERRORS, recorded, tried

MINUTES = 420
SLOW: dict[str, Any] = {"name": "slow", "latency": {"slo": "250ms", "maxIncrease": 0.02, "abortAbove": 0.5}}
DRIFT: dict[str, Any] = {"name": "drift", "drift": {"threshold": 0.2, "maxDriftedShare": 0.4}}
OVER: dict[str, Any] = {"name": "over", "drift": {"threshold": 0.1, "reference": "Incumbent"}}
POLICY: dict[str, Any] = {
    "stages": {
        "shadow": {"minDuration": "2h", "gates": [ERRORS]},
        "canary": {"steps": [{"weight": 20, "minDuration": "10h"}], "gates": [ERRORS]},
        "production": {"watch": {"duration": "1h"}},
    },
    "onUnknown": {"deadline": "30m", "then": "Pause"},
}
BASELINE = Baseline.model_validate(
    {
        "features": [
            {"name": "income", "edges": [1, 2, 3], "counts": [100, 200, 200, 100]},
            {"name": "age", "edges": [1, 2], "counts": [400, 100, 100]},
        ]
    }
)


def noisy(share: Any, seed: int) -> Any:
    """About 500 requests a minute, of which a share fails that may change."""
    random = np.random.default_rng(seed)
    counts = [(n := int(random.poisson(500)), int(random.binomial(n, share(minute)))) for minute in range(MINUTES + 1)]
    return lambda minute: counts[minute]


CANDIDATES: dict[str, Any] = {
    "good": lambda minute: 0.005,
    "bad at once": lambda minute: 0.05 if minute > 300 else 0.005,
    "bad for three minutes": lambda minute: 0.6 if 300 < minute <= 303 else 0.005,
    "about as much worse as the gate allows": lambda minute: 0.015,
}


def same(quick: Outcome, exact: Outcome) -> None:
    """Every step with its sentence, all that status says, and the requests that were drawn."""
    assert quick.steps == exact.steps
    assert said(quick) == said(exact)
    assert quick.drawn == exact.drawn
    assert quick.decisions <= exact.decisions


def said(outcome: Outcome) -> dict[str, Any]:
    """What status says, but for when a row was last written, and for the hash of the records of that."""
    status = outcome.status.model_dump(exclude={"audit"})
    for row in (*status["gates"], *(status["monitoring"]["gates"] if status["monitoring"] else ())):
        del row["at"]
    return status


@pytest.mark.parametrize("share", CANDIDATES.values(), ids=list(CANDIDATES))
def test_stretches_tell_the_same_at_the_same_minutes(share: Any) -> None:
    what = recorded(MINUTES, v7=noisy(CANDIDATES["good"], 1), v8=noisy(share, 2))
    quick, exact = (tried(what, POLICY, exact=exact) for exact in (False, True))
    same(quick, exact)
    assert quick.decisions < exact.decisions / 2


def test_evidence_that_stays_away_is_seen_in_the_same_minute() -> None:
    counts = noisy(CANDIDATES["good"], 2)
    what = recorded(MINUTES, v7=noisy(CANDIDATES["good"], 1), v8=lambda now: counts(now) if now < 300 else None)
    quick, exact = (tried(what, POLICY, exact=exact) for exact in (False, True))
    same(quick, exact)


def test_nights_without_any_traffic_take_few_decisions() -> None:
    counts = noisy(CANDIDATES["good"], 2)
    what = recorded(MINUTES, v7=lambda now: counts(now) if now % 200 < 100 else None, v8=lambda now: counts(now) if now % 200 < 100 else None)  # fmt: skip
    quick, exact = (tried(what, POLICY, exact=exact) for exact in (False, True))
    same(quick, exact)
    assert quick.decisions < exact.decisions / 2


def random_recording(random: np.random.Generator) -> Recording:
    """Two versions through a few hours: rates and distributions that may change, gaps, minutes without requests."""
    minutes = int(random.integers(100, 500))
    change, began_late = random.integers(minutes), random.choice([0, 0, 17])
    before, after, theirs = random.choice([0.0, 0.005, 0.012, 0.05, 0.3], 3)
    drifted, missing = random.random() < 0.3, random.choice([0.0, 0.0, 0.01])
    silent = {name: random.choice([[0, 0], [50, 51], [70, 90]]) for name in ("v7", "v8")}
    usual, fraction = random.choice([0.5, 20, 400, 400]), random.choice([0.0, 0.25])

    def counted(name: str, minute: int) -> Counted | None:
        first, last = silent[name]
        if first <= minute < last or random.random() < missing or (name == "v8" and minute < began_late):
            return None
        requests = int(random.poisson(usual))
        rate = theirs if name == "v7" else before if minute < change else after
        slow = int(random.binomial(requests, min(2 * rate, 1.0)))
        shares = [0.1, 0.2, 0.2, 0.5] if drifted and name == "v8" and minute >= change else [1 / 6, 1 / 3, 1 / 3, 1 / 6]
        features = {
            "income": tuple(map(float, random.multinomial(requests, shares))),
            "age": tuple(map(float, random.multinomial(requests, [4 / 6, 1 / 6, 1 / 6]))),
        }
        errors = float(random.binomial(requests, rate))
        return Counted(requests + fraction, errors, (requests + fraction - slow, float(slow)), features)

    intervals = []
    for minute in range(1, minutes + 1):
        both = {name: found for name in ("v7", "v8") if (found := counted(name, minute)) is not None}
        if both:
            intervals.append(Interval(BEGAN + timedelta(minutes=minute), both))
    return Recording(tuple(intervals), (0.25,))


def random_policy(random: np.random.Generator) -> dict[str, Any]:
    """With windows and warm-ups, or without; looks as often as there are intervals, or more or less often."""
    looks = str(random.choice(["60s", "5m", "90s"]))
    warmup = {"warmup": str(random.choice(["0s", "7m"]))}
    window = {"window": "60m"} if random.random() < 0.3 else {}
    alone = {"name": "limit", "errorRate": {"abortAbove": 0.02}}
    steps = [{"weight": 10, "minDuration": "20m"}, {"weight": 50, "minDuration": "45m"}]
    shadow, canary = ({**gate, **warmup} for gate in (SLOW, DRIFT)), ({**gate, **window} for gate in (ERRORS, OVER))
    return {
        "stages": {
            "shadow": {
                "minDuration": str(random.choice(["10m", "1h", "20h"])),
                "interval": looks,
                "gates": [ERRORS, *shadow],
            },
            "canary": {"interval": looks, "steps": steps, "gates": [*canary, {**SLOW, "minSamples": 700}]},
            "production": {
                "watch": {"duration": "1h"},
                "monitoring": {
                    "interval": str(random.choice(["60s", "7m", "30m"])),
                    "window": "6h",
                    "gates": [alone, DRIFT],
                },
            },
        },
        "onUnknown": {"deadline": "30m", "then": "Pause"},
    }


@pytest.mark.parametrize("seed", range(10))
def test_any_recording_has_the_same_outcome_as_with_a_decision_at_every_interval(seed: int) -> None:
    random = np.random.default_rng(seed)
    what, policy = random_recording(random), random_policy(random)
    same(*(tried(what, policy, baseline=BASELINE, exact=exact) for exact in (False, True)))


@pytest.mark.parametrize("seed", range(3))
def test_distributions_that_a_new_window_begins_anew_are_begun_at_the_same_look(seed: int) -> None:
    """All features that both versions show are compared: right after a window there is none yet that could be named."""
    random = np.random.default_rng(130 + seed)
    what = random_recording(random)
    stages = {
        "canary": {
            "interval": "61s",
            "steps": [{"weight": 10, "minDuration": "20h"}],
            "gates": [ERRORS, {**OVER, "window": "45m"}],
        },
        "production": {"watch": {"duration": "1h"}},
    }
    policy = {"stages": stages, "onUnknown": {"deadline": "30m", "then": "Pause"}}
    same(*(tried(what, policy, baseline=BASELINE, exact=exact) for exact in (False, True)))


@pytest.mark.parametrize("seed", range(6))
def test_distributions_near_their_threshold_fail_and_pass_at_the_same_looks(seed: int) -> None:
    """By either distance, of some features or all, also of one that nobody recorded, and by monitoring after a promotion."""
    random = np.random.default_rng(260 + seed)
    what = random_recording(random)

    def drift(name: str, reference: str) -> dict[str, Any]:
        near = {"threshold": float(random.choice([0.02, 0.05, 0.1])), "method": str(random.choice(["PSI", "JS"]))}
        features = [["income"], ["income", "age"], ["age", "height"], []][int(random.integers(4))]
        return {
            "name": name,
            "drift": {**near, "reference": reference, "maxDriftedShare": 0.4, "features": features},
            "minSamples": int(random.choice([1, 2000])),
            "advisory": bool(random.random() < 0.5),
        }

    gates = [drift("baseline", "Baseline"), drift("incumbent", "Incumbent")]
    stages = {
        "shadow": {"minDuration": "40m", "gates": [ERRORS, *gates]},
        "canary": {"interval": "2m", "steps": [{"weight": 50, "minDuration": "1h"}], "gates": [ERRORS, *gates]},
        "production": {
            "watch": {"duration": "1h"},
            "monitoring": {"interval": "3m", "window": "2h", "gates": [drift("serving", "Baseline")]},
        },
    }
    policy = {"stages": stages, "onUnknown": {"deadline": "30m", "then": "Pause"}}
    same(*(tried(what, policy, baseline=BASELINE, exact=exact) for exact in (False, True)))
