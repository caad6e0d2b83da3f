"""How many looks until a canary is decided: the errors gate of the shipped policy `low`, over simulated requests, and one gate alone on a ramp.

``make bench-looks``; seeded, so that it prints the same tables every time. In brackets: without room for bursts that have not shown yet.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from modelward.api.lifecycle_policy import LifecyclePolicySpec
from modelward.lifecycle.evidence import split_alpha
from modelward.stats.sequential import MINIMUM_INTERVALS, RateComparison, mixing_parameter

POLICY = Path(__file__).resolve().parent.parent / "charts/modelward/policies/low.yaml"
RUNS = 1000
LOOKS = 120
BASE = 0.01  # the incumbent's share of errors
REQUESTS = (200, 2_000, 20_000)  # of both versions together, per look
WEIGHTS = (1, 5, 50)  # the candidate's share of them, in percent
HARMS = (0.0, 0.02, 0.05)  # what is added to the candidate's share of errors


RAMP = (5, 10, 25, 50)  # percent, for a quarter of the looks each
Looks = NDArray[np.float64]


@dataclass(frozen=True)
class Decided:
    """When the runs of one case were decided."""

    passed: Looks  # infinity where there was no verdict
    passed_without_room: Looks
    failed: Looks


def main() -> None:
    tolerance, alpha = _gate()
    print(
        f"errors gate of policy low: maxIncrease {tolerance}, alpha of its comparison {alpha:.3g}; base rate {BASE:.0%}"
    )
    print(
        f"{RUNS} runs of {LOOKS} looks, a verdict from look {MINIMUM_INTERVALS} on; median look of the verdict, or the share of runs decided\n"
    )
    print(
        "| requests per look, both versions | weight | no harm: Pass | errors +2 points: Fail | errors +5 points: Fail | wrong |\n| --- | --- | --- | --- | --- | --- |"
    )
    rows: list[dict[str, object]] = []
    for requests, weight in product(REQUESTS, WEIGHTS):
        cases = [_simulate(requests, (weight,), harm, tolerance, alpha) for harm in HARMS]
        right = [cases[0].passed, *(case.failed for case in cases[1:])]
        wrong = max(
            float(np.isfinite(looks).mean()) for looks in (cases[0].failed, *(case.passed for case in cases[1:]))
        )
        told = [_told_with_and_without(cases[0]), *(_told(looks) for looks in right[1:])]
        print(f"| {requests:,} | {weight} % | {' | '.join(told)} | {wrong:.1%} |")
        rows.append({"requests": requests, "weight": weight, "verdicts": told, "wrong": wrong})
    print(json.dumps({"benchmark": "looks", "runs": RUNS, "looks": LOOKS, "rows": rows, "ramp": _print_ramp()}))


def _print_ramp() -> dict[str, list[str]]:
    """One gate with the whole of an alpha of 5 % and a tolerance half as large as the usual rate, while the weight rises."""
    print(f"\n| base {BASE:.0%}, tolerance 0.5 points, alpha 5 % | " + " | ".join(f"{n:,}" for n in REQUESTS) + " |")
    print("| --- | " + " | ".join("---" for _ in REQUESTS) + " |")
    rows: dict[str, list[str]] = {}
    for name, weights, harm in (
        ("errors +1 point on a ramp: Fail", RAMP, 0.01),
        ("errors +2 points on a ramp: Fail", RAMP, 0.02),
        ("no harm on a ramp: Pass", RAMP, 0.0),
        ("no harm at 1 %: Pass", (1,), 0.0),
    ):
        found = [_simulate(requests, weights, harm, 0.005, 0.05) for requests in REQUESTS]
        rows[name] = [_told(one.failed) if harm else _told_with_and_without(one) for one in found]
        print(f"| {name} | {' | '.join(rows[name])} |")
    return rows


def _gate() -> tuple[float, float]:
    """The tolerance of the gate, and the alpha that is left for its comparison: half of its share, for the breaker has the rest."""
    policy = LifecyclePolicySpec.model_validate(yaml.safe_load(POLICY.read_text("utf-8"))["spec"])
    shadow, canary = policy.stages.shadow, policy.stages.canary
    assert shadow is not None and canary is not None
    gates = {"Shadow": shadow.gates, "Canary": canary.gates, "Production": canary.gates}
    errors = next(gate.error_rate for gate in canary.gates if gate.error_rate)
    return errors.max_increase, split_alpha(canary.alpha, gates) / (2 if errors.abort_above is not None else 1)


def _simulate(requests: int, weights: Sequence[int], harm: float, tolerance: float, alpha: float) -> Decided:
    """weights: the candidate's, in percent, each for an equal part of the looks."""
    random = np.random.default_rng([requests, *weights, round(harm * 1000)])
    shares = np.repeat(weights, LOOKS // len(weights))[:, None] / 100
    candidates = random.binomial(requests, shares, (LOOKS, RUNS))
    errors = random.binomial(candidates, BASE + harm)
    incumbents = requests - candidates
    other_errors = random.binomial(incumbents, BASE)
    compared = RateComparison.empty((RUNS,))
    rho = mixing_parameter(BASE, tolerance, alpha)
    passed, without_room, failed = (np.full(RUNS, np.inf) for _ in range(3))
    for look in range(LOOKS):
        compared = compared.fold(errors[look], candidates[look], other_errors[look], incumbents[look], tolerance, BASE)
        bounds = compared.bounds(rho, alpha, tolerance)
        open_ones = np.isinf(passed) & np.isinf(failed) & (compared.sums.intervals >= MINIMUM_INTERVALS)
        narrow = compared.sums.bounds(rho, alpha).high < tolerance
        without_room[open_ones & np.isinf(without_room) & narrow] = look + 1
        failed[open_ones & (bounds.low > tolerance)] = look + 1
        passed[open_ones & (bounds.high < tolerance)] = look + 1
    return Decided(passed, np.minimum(without_room, passed), failed)


def _told_with_and_without(decided: Decided) -> str:
    told, before = _told(decided.passed), _told(decided.passed_without_room)
    return told if told == before else f"{told} ({before})"


def _told(looks: Looks) -> str:
    """The median look, or, where fewer than half were decided, how many were."""
    middle = float(np.median(looks))
    return f"{middle:.0f}" if np.isfinite(middle) else f"{np.isfinite(looks).mean() * 100:.0f} % decided"


if __name__ == "__main__":
    main()
