"""How many looks until a canary is decided: the errors gate of the shipped policy `low`, over simulated requests.

``make bench-looks``; seeded, so that it prints the same table every time.
"""

import json
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from modelward.api.lifecycle_policy import LifecyclePolicySpec
from modelward.lifecycle.evidence import split_alpha
from modelward.stats.sequential import MINIMUM_INTERVALS, RateDifference, mixing_parameter

POLICY = Path(__file__).resolve().parent.parent / "charts/modelward/policies/low.yaml"
RUNS = 1000
LOOKS = 120
BASE = 0.01  # the incumbent's share of errors
REQUESTS = (200, 2_000, 20_000)  # of both versions together, per look
WEIGHTS = (1, 5, 50)  # the candidate's share of them, in percent
HARMS = (0.0, 0.02, 0.05)  # what is added to the candidate's share of errors


@dataclass(frozen=True)
class Decided:
    """When the runs of one case were decided."""

    passed: NDArray[np.float64]  # look of the verdict, infinity where there was none
    failed: NDArray[np.float64]


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
        cases = [_simulate(requests, weight, harm, tolerance, alpha) for harm in HARMS]
        right = [cases[0].passed, *(case.failed for case in cases[1:])]
        wrong = max(
            float(np.isfinite(looks).mean()) for looks in (cases[0].failed, *(case.passed for case in cases[1:]))
        )
        told = [_told(looks) for looks in right]
        print(f"| {requests:,} | {weight} % | {' | '.join(told)} | {wrong:.1%} |")
        rows.append({"requests": requests, "weight": weight, "verdicts": told, "wrong": wrong})
    print(json.dumps({"benchmark": "statistics", "runs": RUNS, "looks": LOOKS, "rows": rows}))


def _gate() -> tuple[float, float]:
    """The tolerance of the gate, and the alpha that is left for its comparison: half of its share, for the breaker has the rest."""
    policy = LifecyclePolicySpec.model_validate(yaml.safe_load(POLICY.read_text("utf-8"))["spec"])
    shadow, canary = policy.stages.shadow, policy.stages.canary
    assert shadow is not None and canary is not None
    gates = {"Shadow": shadow.gates, "Canary": canary.gates, "Production": canary.gates}
    errors = next(gate.error_rate for gate in canary.gates if gate.error_rate)
    return errors.max_increase, split_alpha(canary.alpha, gates) / (2 if errors.abort_above is not None else 1)


def _simulate(requests: int, weight: int, harm: float, tolerance: float, alpha: float) -> Decided:
    random = np.random.default_rng([requests, weight, round(harm * 1000)])
    candidates = random.binomial(requests, weight / 100, (LOOKS, RUNS))
    errors = random.binomial(candidates, BASE + harm)
    incumbents = requests - candidates
    other_errors = random.binomial(incumbents, BASE)
    sums = RateDifference.empty((RUNS,))
    rho = mixing_parameter(BASE, tolerance, alpha)
    passed, failed = np.full(RUNS, np.inf), np.full(RUNS, np.inf)
    for look in range(LOOKS):
        sums = sums.fold(errors[look], candidates[look], other_errors[look], incumbents[look], tolerance, BASE)
        bounds = sums.bounds(rho, alpha)
        open_ones = np.isinf(passed) & np.isinf(failed) & (sums.intervals >= MINIMUM_INTERVALS)
        failed[open_ones & (bounds.low > tolerance)] = look + 1
        passed[open_ones & (bounds.high < tolerance)] = look + 1
    return Decided(passed, failed)


def _told(looks: NDArray[np.float64]) -> str:
    """The median look, or, where fewer than half were decided, how many were."""
    middle = float(np.median(looks))
    return f"{middle:.0f}" if np.isfinite(middle) else f"{np.isfinite(looks).mean() * 100:.0f} % decided"


if __name__ == "__main__":
    main()
