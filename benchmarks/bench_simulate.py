"""How long `modelward simulate` takes for a month: what the policies that are shipped look at, and an evaluation a minute all along.

``make bench-simulate``; seeded. The recording has both versions in every minute of 30 days.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from modelward.api.lifecycle_policy import LifecyclePolicySpec
from modelward.manifests import shipped
from modelward.simulation.recording import Counted, Interval, Recording
from modelward.simulation.replay import replay

MINUTES = 30 * 24 * 60
ERRORS = {"name": "errors", "errorRate": {"maxIncrease": 0.005, "abortAbove": 0.2}}
SLOW = {"name": "slow", "latency": {"slo": "250ms", "maxIncrease": 0.01}}
MINUTELY: dict[str, Any] = {
    "stages": {"shadow": {"minDuration": "720h", "interval": "60s", "gates": [ERRORS, SLOW]}},
}


def recording_of(minutes: int) -> Recording:
    """Two versions that answer alike."""
    began = datetime(2026, 10, 1, tzinfo=UTC)
    counted = {"v7": Counted(540, 3, (500, 30, 10)), "v8": Counted(60, 0, (55, 4, 1))}
    intervals = tuple(Interval(began + timedelta(minutes=minute), counted) for minute in range(1, minutes + 1))
    return Recording(intervals, (0.1, 0.25))


def timed(name: str, policy: LifecyclePolicySpec, recording: Recording) -> None:
    """Print one line."""
    began, used = time.perf_counter(), time.process_time()
    outcome = replay(name, policy, recording)
    wall, cpu = time.perf_counter() - began, time.process_time() - used
    each = 1000 * cpu / outcome.decisions
    print(f"{name:28} {outcome.decisions:7,} decisions {wall:7.1f} s, {cpu:7.1f} s of CPU, {each:5.2f} ms each")


def main() -> None:
    """A month under each policy."""
    month = recording_of(MINUTES)
    for tier in ("medium", "high"):
        written = yaml.safe_load((shipped.folder() / f"{tier}.yaml").read_text("utf-8"))
        timed(f"shipped policy {tier}", LifecyclePolicySpec.model_validate(written["spec"]), month)
    timed("an evaluation every minute", LifecyclePolicySpec.model_validate(MINUTELY), month)


if __name__ == "__main__":
    main()
