"""Bad input all the way: from the pages that pods answer to the rows in status. Never a verdict from nothing, never an exception.

Two pods of a candidate and one of an incumbent answer over HTTP, look by look. A page goes bad at the start of the stage, or when every
gate has evidence enough already: then what is known must not stand for what is not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from aiohttp import web

from modelward.api.gates import Gate
from modelward.api.model import MetricsEndpoint
from modelward.api.model_version import Baseline
from modelward.lifecycle import evidence
from modelward.lifecycle.evidence import Evidence, Inputs
from modelward.lifecycle.gates.verdict import Result, Verdict
from modelward.metrics.pods import PodsSource
from modelward.metrics.reader import MetricsReader
from modelward.metrics.transport import Limits
from modelward.stats.readings import PodTarget
from tests.unit.metrics.loopback import serving

START = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
LOOKS = 40
FIRST, SECOND, INCUMBENT = "127.0.0.1", "127.0.0.2", "127.0.0.3"
CANDIDATES = (FIRST, SECOND)
EDGES = ("0.1", "0.25", "1.0")
SHARES = (0.5, 0.3, 0.15, 0.05)

GATES = tuple(
    Gate.model_validate({"name": name, "minSamples": 100, kind: spec})
    for name, kind, spec in (
        ("errors", "errorRate", {"maxIncrease": 0.05, "abortAbove": 0.5}),
        ("slow", "latency", {"slo": "250ms", "maxIncrease": 0.2}),
        ("features", "drift", {"method": "PSI", "threshold": 0.3, "features": ["income"]}),
        ("answers", "predictionDrift", {"method": "PSI", "threshold": 0.3, "reference": "Incumbent"}),
        ("data", "dataQuality", {"maxMissing": 0.2, "features": ["income"]}),
        ("right", "quality", {"metric": "Accuracy", "min": 0.5}),
        ("fair", "fairness", {"metric": "DemographicParityDifference", "group": "sex", "max": 0.5}),
    )
)
BASELINE = Baseline.model_validate(
    {"features": [{"name": "income", "edges": [0.1, 0.25, 1.0], "counts": [5000, 3000, 1500, 500]}]}
)
EVERY_GATE = {gate.name for gate in GATES}

Page = Callable[[str, int], str]
"""What the pod at an address answers at a look."""


def histogram(name: str, total: float, labels: str = "", edges: tuple[str, ...] = EDGES) -> list[str]:
    lines, cumulative = [], 0.0
    for edge, share in zip((*edges, "+Inf"), SHARES, strict=True):
        cumulative += share * total
        lines.append(f'{name}_bucket{{{labels}le="{edge}"}} {round(cumulative, 6):g}')
    return [*lines, f"{name}_sum{{{labels}}} {total:g}"]


def page(look: int, edges: tuple[str, ...] = EDGES) -> str:
    """A sound page after so many looks, a thousand requests in each."""
    total = 1000.0 * look
    lines = [
        f'modelward_requests_total{{outcome="success"}} {0.99 * total:g}',
        f'modelward_requests_total{{outcome="error"}} {0.01 * total:g}',
        *histogram("modelward_request_seconds", total, edges=edges),
        *histogram("modelward_feature_value", total, 'feature="income",', edges),
        *histogram("modelward_prediction_value", total, edges=edges),
        f'modelward_feature_missing_total{{feature="income"}} {0.01 * total:g}',
        f'modelward_feedback_confusion_total{{predicted="1",actual="1"}} {0.9 * total:g}',
        f'modelward_feedback_confusion_total{{predicted="1",actual="0"}} {0.1 * total:g}',
    ]
    for group in ("female", "male"):
        for outcome, share in (
            ("true_positive", 0.4),
            ("false_positive", 0.1),
            ("false_negative", 0.1),
            ("true_negative", 0.4),
        ):
            labels = f'group="sex/{group}",outcome="{outcome}"'
            lines.append(f"modelward_feedback_group_total{{{labels}}} {share * total / 2:g}")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Outcome:
    evidence: Evidence
    rows: Mapping[str, Verdict]

    def results(self, gates: set[str]) -> set[tuple[str, str]]:
        return {(self.rows[name].result.value, self.rows[name].reason) for name in gates}


async def judged(
    pages: Page, *, looks: int = LOOKS, started: float = 1.0, clock: Callable[[int], float] = lambda look: 0.0
) -> Outcome:
    """The rows after so many looks. started: seconds after the stage began at which pods did; clock: what the operator's is wrong by."""
    now = 0

    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        return web.Response(text=pages(request.transport.get_extra_info("sockname")[0], now))

    known = evidence.begin("stage", START, "half")
    inputs = Inputs(now=START, candidate="v2", incumbent="v1", alpha=0.05, baseline=BASELINE)
    async with serving(handler, others=(SECOND, INCUMBENT)) as port, aiohttp.ClientSession() as session:
        reader = MetricsReader(PodsSource(session, Limits(5.0, 64 * 1024)), {})
        endpoint = MetricsEndpoint(port=port)
        for now in range(1, looks + 1):
            moment = START + timedelta(seconds=30 * now + clock(now))
            inputs = Inputs(now=moment, candidate="v2", incumbent="v1", alpha=0.05, baseline=BASELINE)
            ours, theirs = [
                await reader.read(version, targets(addresses, started), endpoint, wanted, moment.timestamp())
                for version, addresses, wanted in (
                    ("v2", CANDIDATES, evidence.candidate_series(GATES)),
                    ("v1", (INCUMBENT,), evidence.incumbent_series(GATES)),
                )
            ]
            known = Evidence.from_dict(evidence.fold(known, ours, theirs, "half", GATES, inputs).to_dict())
    return Outcome(known, {verdict.gate: verdict for verdict in evidence.judge(known, GATES, inputs)})


def targets(addresses: tuple[str, ...], started: float) -> list[PodTarget]:
    return [
        PodTarget(
            name=f"pod-{address[-1]}", namespace="lending", address=address, started_at=START.timestamp() + started
        )
        for address in addresses
    ]


async def test_sound_pages_pass() -> None:
    """Without this, the tests below would show nothing."""
    outcome = await judged(lambda _, look: page(look))
    assert outcome.results(EVERY_GATE) == {("Pass", "Passed")}


def everywhere(value: str) -> Callable[[str], str]:
    return lambda text: "\n".join(f"{line.rpartition(' ')[0]} {value}" for line in text.splitlines()) + "\n"


REFUSED = {
    "negative count": (lambda text: text.replace('"success"} ', '"success"} -'), "InvalidResult"),
    "negative bucket": (lambda text: text.replace('le="0.1"} ', 'le="0.1"} -'), "InvalidResult"),
    "NaN everywhere": (everywhere("NaN"), "InvalidResult"),
    "Inf everywhere": (everywhere("+Inf"), "InvalidResult"),
    "-Inf everywhere": (everywhere("-Inf"), "InvalidResult"),
    "duplicate series": (lambda text: text + text.splitlines()[0] + "\n", "InvalidResult"),
    "renamed": (lambda text: text.replace("modelward_requests_total", "modelward_calls_total"), "MetricAbsent"),
    "a million series": (lambda text: text + "".join(f'x_total{{i="{i}"}} 1\n' for i in range(6000)), "MetricsUnavailable"),
    "HTML": (lambda _: "<!doctype html>", "InvalidResult"),
    "nothing": (lambda _: "", "MetricAbsent"),
}  # fmt: skip


@pytest.mark.parametrize("since", [1, LOOKS - 2], ids=["from the start", "after there was evidence enough"])
@pytest.mark.parametrize("who", [SECOND, INCUMBENT], ids=["one of two candidates", "the incumbent"])
@pytest.mark.parametrize(("change", "reason"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_page_that_is_refused_leaves_no_verdict(
    change: Callable[[str], str], reason: str, who: str, since: int
) -> None:
    def pages(address: str, look: int) -> str:
        return change(page(look)) if address == who and look >= since else page(look)

    outcome = await judged(pages, looks=8 if since == 1 else LOOKS)
    concerned = EVERY_GATE if who == SECOND else {"errors", "slow", "answers"}  # those that compare
    assert outcome.results(concerned) == {("Unknown", reason)}
    assert all(f"pod-{who[-1]}" in outcome.rows[name].sentence for name in concerned)
    assert outcome.results(EVERY_GATE - concerned) <= {("Pass", "Passed"), ("Inconclusive", "Inconclusive")}


@pytest.mark.parametrize("since", [1, LOOKS - 2], ids=["from the start", "after there was evidence enough"])
@pytest.mark.parametrize(
    ("metric", "gate"),
    [("modelward_request_seconds", "slow"), ("modelward_prediction_value", "answers")],
)
async def test_a_metric_renamed_in_mid_rollout_is_absent_for_its_gate_alone(metric: str, gate: str, since: int) -> None:
    def pages(address: str, look: int) -> str:
        return page(look).replace(metric, "acme_value") if address in CANDIDATES and look >= since else page(look)

    outcome = await judged(pages)
    assert outcome.results({gate}) == {("Unknown", "MetricAbsent")}
    assert outcome.results(EVERY_GATE - {gate}) == {("Pass", "Passed")}


async def test_edges_that_differ_between_pods_are_judged_in_those_they_have_in_common() -> None:
    outcome = await judged(lambda address, look: page(look, ("0.2", "0.25", "2.0") if address == SECOND else EDGES))
    assert outcome.rows["slow"].result is Result.PASS
    # One edge in common is none to compare a distribution by.
    assert outcome.results({"features", "answers"}) <= {("Unknown", "InvalidResult"), ("Unknown", "MetricsUnavailable")}
    assert outcome.results({"errors", "data", "right", "fair"}) == {("Pass", "Passed")}


@pytest.mark.parametrize("since", [1, LOOKS - 2], ids=["from the start", "after there was evidence enough"])
async def test_pods_without_an_edge_in_common_give_no_verdict_on_a_distribution(since: int) -> None:
    def pages(address: str, look: int) -> str:
        return page(look, ("0.2", "0.3", "2.0") if address == SECOND and look >= since else EDGES)

    outcome = await judged(pages)
    assert outcome.rows["slow"].result is Result.UNKNOWN
    assert not {Result.FAIL} & {row.result for row in outcome.rows.values()}
    assert outcome.results({"errors", "right", "fair"}) == {("Pass", "Passed")}


async def test_counters_that_reset_at_every_scrape_count_what_each_process_counted() -> None:
    outcome = await judged(lambda _, look: page(LOOKS + 1 - look))
    assert not {Result.FAIL, Result.UNKNOWN} & {row.result for row in outcome.rows.values()}
    assert outcome.evidence.samples == 2 * sum(1000.0 * look for look in range(1, LOOKS + 1))


async def test_zero_traffic_is_no_evidence() -> None:
    outcome = await judged(lambda _, look: page(0))
    assert outcome.results(EVERY_GATE) == {("Unknown", "InsufficientSamples")}


async def test_one_request_is_no_verdict() -> None:
    one = page(0).replace('outcome="success"} 0', 'outcome="success"} 1')
    outcome = await judged(lambda address, look: one if address == FIRST else page(0))
    assert not {Result.PASS, Result.FAIL} & {row.result for row in outcome.rows.values()}
    assert outcome.evidence.samples == 1


async def test_one_failed_request_is_no_verdict_either() -> None:
    one = page(0).replace('outcome="error"} 0', 'outcome="error"} 1')
    outcome = await judged(
        lambda address, look: page(look) if address == INCUMBENT else one if address == FIRST else page(0)
    )
    assert not {Result.PASS, Result.FAIL} & {row.result for row in outcome.rows.values()}


@pytest.mark.parametrize("step", [600.0, -600.0], ids=["forward", "back"])
async def test_an_operators_clock_that_jumps_ten_minutes_neither_loses_nor_doubles(step: float) -> None:
    outcome = await judged(lambda _, look: page(look), clock=lambda look: step if look >= LOOKS // 2 else 0.0)
    assert outcome.results(EVERY_GATE) <= {("Pass", "Passed"), ("Unknown", "WarmingUp")}
    assert outcome.evidence.samples == 2 * 1000.0 * LOOKS


async def test_pods_on_nodes_whose_clocks_are_ten_minutes_ahead_give_no_verdict() -> None:
    outcome = await judged(lambda _, look: page(look), looks=10, started=900.0)
    assert outcome.results(EVERY_GATE) == {("Unknown", "InvalidResult")}
    assert "set the clock of its node right" in outcome.rows["errors"].sentence


async def test_pods_on_nodes_whose_clocks_are_ten_minutes_behind_count_from_the_first_look() -> None:
    outcome = await judged(lambda _, look: page(look), started=-600.0)
    assert outcome.results(EVERY_GATE) == {("Pass", "Passed")}
    assert outcome.evidence.samples == 2 * 1000.0 * (LOOKS - 1)
