"""How often monitoring cries wolf, and how soon it sees a drift: whole windows of looks at simulated production traffic.

``make bench-monitoring``; seeded, so that it prints the same tables every time. The windows follow each other as they do in production: each
begins where the one before ended, by the memory that the operator itself writes.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
from numpy.typing import NDArray

from modelward.api.gates import Gate
from modelward.api.model_version import Baseline
from modelward.api.stages import Monitoring
from modelward.lifecycle.evidence import Evidence, Inputs, begin, fold, judge, split_alpha
from modelward.lifecycle.gates.verdict import Result
from modelward.lifecycle.monitoring import gates_of
from modelward.stats.distances import psi
from modelward.stats.readings import Binned, PodReading, Reading
from modelward.stats.sequential import ChangeEvidence, log_beta_binomial

Floats = NDArray[np.float64]

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
WINDOWS = 365  # of a day each, with a look an hour
SWINGING = 120  # where far more alarms are to be seen
MODELS = 1
MANY = 20_000
REQUESTS = (100, 5_000)  # an hour
FEATURES = 5
EDGES = (10.0, 20.0, 30.0, 40.0)
USUAL = np.array([0.1, 0.2, 0.4, 0.2, 0.1])
TILT = np.array([-0.5, -0.3, 0.0, 0.4, 0.7])  # in which way shares move: the low bins lose what the high ones gain
LIMIT = 0.05
BASELINE = Baseline.model_validate(
    {
        "features": [
            {
                "name": f"f{number}",
                "kind": "Numeric",
                "edges": EDGES,
                "counts": [round(20_000 * share) for share in USUAL],
                "missing": 0,
            }
            for number in range(FEATURES)
        ]
    }
)


@dataclass(frozen=True)
class Traffic:
    """What a model meets: requests an hour, shares that go wrong, and how the features lie at an hour."""

    requests: int
    errors: float = 0.01
    missing: float = 0.01
    shares: Callable[[int], Floats] = lambda hour: USUAL
    windows: int = WINDOWS


def monitoring(requests: int, min_samples: int = 0) -> Monitoring:
    """The shipped kind: errors, drift of all features, missing values; alpha 0.01 a window over the three."""
    drift = {"name": "drift", "drift": {"threshold": 0.2, "maxDriftedShare": 0.3}, "minSamples": min_samples}
    return Monitoring.model_validate(
        {
            "gates": [
                {"name": "errors", "errorRate": {"abortAbove": LIMIT}},
                drift,
                {"name": "missing", "dataQuality": {"maxMissing": LIMIT}},
            ]
        }
    )


def swinging(strength: float) -> Callable[[int], Floats]:
    """Shares that move over the day and are those of the baseline on the whole; a window begins when they are farthest from it."""

    def at(hour: int) -> Floats:
        return tilted(strength * np.cos(2 * np.pi * (hour - 1) / 24))

    return at


def tilted(strength: float) -> Floats:
    return np.asarray(USUAL * (1 + strength * (TILT - (USUAL * TILT).sum())), np.float64)


def main() -> None:
    rows = [*_false_alarms(), *_at_the_limit(), *_detections()]
    print(json.dumps({"benchmark": "monitoring", "windows": WINDOWS * MODELS, "rows": rows}))


def _false_alarms() -> Iterator[dict[str, object]]:
    print(
        f"{WINDOWS * MODELS} windows of a day ({SWINGING * MODELS} of those that swing), 24 looks each; alpha 0.01 a window, shared by three gates\n"
    )
    print(
        "| traffic | requests an hour | windows with a false alarm, by gate | months with any |\n| --- | --- | --- | --- |"
    )
    for requests in REQUESTS:
        for name, traffic, least in _harmless(requests):
            failed = np.array([_failed_windows(traffic, monitoring(requests, least), seed) for seed in range(MODELS)])
            by_gate = ", ".join(
                f"{gate} {share:.2%}"
                for gate, share in zip(("errors", "drift", "missing"), failed.mean((0, 1)), strict=True)
            )
            alarmed = np.asarray(failed.any(axis=2))
            whole = alarmed.shape[1] // 30
            months = alarmed[:, : whole * 30].reshape(MODELS * whole, 30).any(axis=1).mean()
            print(f"| {name} | {requests:,} | {by_gate} | {months:.1%} |", flush=True)
            yield {
                "traffic": name,
                "requests": requests,
                "failed": failed.mean((0, 1)).tolist(),
                "months": float(months),
            }


def _harmless(requests: int) -> Iterator[tuple[str, Traffic, int]]:
    yield "nothing wrong", Traffic(requests), 0
    yield "errors and missing values exactly at their bounds", Traffic(requests, LIMIT, LIMIT), 0
    for strength in (0.8, 1.5):
        traffic = Traffic(requests, shares=swinging(strength), windows=SWINGING)
        most = float(psi(USUAL * 1e6, tilted(strength) * 1e6))
        yield f"features swing over the day, PSI {most:.2f} at most", traffic, 0
    yield "the same, minSamples of 20 hours", traffic, 20 * requests


def _failed_windows(traffic: Traffic, section: Monitoring, seed: int) -> NDArray[np.bool_]:
    """By window and gate, whether it failed."""
    gates = gates_of(section)
    failed = np.zeros((traffic.windows, len(gates)), dtype=bool)
    for hour, evidence, inputs in _looks(traffic, gates, section.alpha, seed, 24 * traffic.windows):
        for index, gate in enumerate(gates):
            found = evidence.gates[gate.name].found if gate.name in evidence.gates else None
            if found is not None and found.at == inputs.now and found.verdict.result is Result.FAIL:
                failed[min((hour - 1) // 24, traffic.windows - 1), index] = True
    return failed


def _looks(
    traffic: Traffic, gates: tuple[Gate, ...], alpha: float, seed: int, hours: int
) -> Iterator[tuple[int, Evidence, Inputs]]:
    random = np.random.default_rng([seed, traffic.requests])
    evidence = begin("Monitoring", BEGAN, "")
    counted = {"requests": 0.0, "errors": 0.0}
    binned, missing = np.zeros((FEATURES, len(USUAL))), np.zeros(FEATURES)
    share = split_alpha(alpha, {"Production": gates})
    for hour in range(hours + 1):
        now = BEGAN + timedelta(hours=hour)
        if hour:  # the first look is where counting begins
            requests = int(random.poisson(traffic.requests))
            counted["requests"] += requests
            counted["errors"] += float(random.binomial(requests, traffic.errors))
            lost = random.binomial(requests, traffic.missing, FEATURES)
            missing += lost
            binned += random.multinomial(requests - lost, traffic.shares(hour))
        series: dict[str, float | Binned] = dict(counted)
        for number in range(FEATURES):
            series[f"feature/f{number}"] = Binned(EDGES, tuple(binned[number].tolist()))
            series[f"missing/f{number}"] = float(missing[number])
        pod = PodReading("a", BEGAN.timestamp() - 1, now.timestamp(), series)
        inputs = Inputs(now, "v1", None, share, baseline=BASELINE, alone=True)
        evidence = fold(evidence, Reading("v1", now.timestamp(), (pod,)), None, "", gates, inputs)
        yield hour, evidence, inputs


def _at_the_limit() -> Iterator[dict[str, object]]:
    """Many more windows of the errors gate alone, at an error rate of exactly `abortAbove`: by its two tests, each with half of its alpha."""
    alpha = 0.01 / 3 / 2
    print(f"\n| requests an hour | {MANY:,} windows of errors exactly at abortAbove: false alarms |\n| --- | --- |")
    for requests in (20, *REQUESTS):
        random = np.random.default_rng(requests)
        total = random.poisson(requests, (24, MANY))
        events = random.binomial(total, LIMIT)
        k, n = events.cumsum(axis=0), total.cumsum(axis=0)
        evidence = log_beta_binomial(k, n, LIMIT)
        failed = np.asarray(((evidence >= np.log(1 / alpha)) & (k > LIMIT * n)).any(axis=0))
        for window in range(MANY):
            change = ChangeEvidence()
            for look in range(24):
                change = change.fold(float(events[look, window]), float(total[look, window]), LIMIT)
                failed[window] |= change.recent_total > 0 and change.exceeds(alpha)
        print(f"| {requests:,} | {failed.mean():.3%} |", flush=True)
        yield {"requests": requests, "at_the_limit": float(failed.mean())}


def _detections() -> Iterator[dict[str, object]]:
    print("\n| shift of all features | requests an hour | hours until Fail: median of 11 models |\n| --- | --- | --- |")
    for strength in (1.4, 1.6, 1.75):
        for requests in (20, *REQUESTS):
            distance = float(psi(USUAL * 1e6, tilted(strength) * 1e6))
            traffic = Traffic(requests, shares=partial(_shifted, tilted(strength)))
            hours = sorted(_hours_to_fail(traffic, seed) for seed in range(11))
            print(f"| PSI {distance:.2f} | {requests:,} | {hours[5]:.0f} |", flush=True)
            yield {"psi": distance, "requests": requests, "hours": hours[5]}


def _shifted(shares: Floats, hour: int) -> Floats:
    return shares


def _hours_to_fail(traffic: Traffic, seed: int) -> float:
    section = monitoring(traffic.requests)
    gates = gates_of(section)
    for hour, evidence, inputs in _looks(traffic, gates, section.alpha, seed, 24 * 7):
        if judge(evidence, gates[1:2], inputs)[0].result is Result.FAIL:
            return hour
    return float("inf")


if __name__ == "__main__":
    main()
