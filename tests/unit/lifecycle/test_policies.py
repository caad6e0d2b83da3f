"""Which policy applies, and what a Model's own gates make of it: tighter is taken, looser is refused by name."""

from typing import Any

import pytest

from modelward.api.lifecycle_policy import LifecyclePolicy
from modelward.api.model import ModelSpec
from modelward.api.status import Stage
from modelward.lifecycle.policies import applicable, merge
from modelward.lifecycle.snapshot import Policy, Problem

ERRORS = {"name": "errors", "errorRate": {"maxIncrease": 0.005, "abortAbove": 0.2}, "minSamples": 500, "warmup": "2m"}
SPEED = {"name": "speed", "latency": {"slo": "250ms", "maxIncrease": 0.01}}
DRIFT = {"name": "drift", "drift": {"method": "PSI", "threshold": 0.2, "maxDriftedShare": 0.3}}
AUC = {
    "name": "auc",
    "evaluation": {"name": "holdout", "metric": "auc", "min": 0.8, "versusIncumbent": {"maxDecrease": 0.005}},
}
TESTED = {
    "name": "tested",
    "evaluation": {"name": "environment-test", "metric": "rollbacks", "max": 0, "evaluators": ["pipeline", "vera"]},
}
ERRATIC = {"name": "queue", "query": {"source": "main", "query": "queue_length", "max": 10}}


def offered(name: str, **applies_to: Any) -> LifecyclePolicy:
    steps = [{"weight": 10, "minDuration": "1m"}]
    stages = {
        "validation": {"gates": [AUC, TESTED]},
        "canary": {"steps": steps, "gates": [ERRORS, SPEED, DRIFT, ERRATIC]},
    }
    deleted = {"deletionTimestamp": applies_to.pop("deleted")} if "deleted" in applies_to else {}
    spec = {"appliesTo": {"tiers": ["Low"], **applies_to}, "stages": stages}
    return LifecyclePolicy.model_validate({"metadata": {"name": name, **deleted}, "spec": spec})


def merged(*gates: dict[str, Any]) -> Policy | Problem:
    return merge(offered("low"), ModelSpec.model_validate({"gates": list(gates)}))


@pytest.mark.parametrize(
    ("policies", "chosen"),
    [
        pytest.param([], None, id="none"),
        pytest.param([offered("high", tiers=["High"])], None, id="another tier"),
        pytest.param([offered("low"), offered("strict", priority=5)], "strict", id="the highest priority"),
        pytest.param([offered("b"), offered("a")], "a", id="a tie goes to the first by name"),
        pytest.param([offered("gone", priority=9, deleted="2026-11-21T12:00:00Z"), offered("low")], "low", id="one that is being deleted"),
        pytest.param([offered("eu", priority=9, namespaceSelector={"matchLabels": {"region": "eu"}})], "eu", id="a namespace with the label"),
        pytest.param([offered("us", priority=9, namespaceSelector={"matchLabels": {"region": "us"}}), offered("low")], "low", id="a namespace without the label"),
    ],
)  # fmt: skip
def test_the_policy_that_applies(policies: list[LifecyclePolicy], chosen: str | None) -> None:
    found = applicable(policies, ModelSpec(), {"region": "eu"})
    assert (found.metadata.name if found else None) == chosen


LOOSER = {
    "a larger increase": ({**ERRORS, "errorRate": {"maxIncrease": 0.01, "abortAbove": 0.2}}, "errorRate.maxIncrease 0.01 is above 0.005"),
    "a breaker that trips later": ({**ERRORS, "errorRate": {"maxIncrease": 0.005, "abortAbove": 0.3}}, "errorRate.abortAbove 0.3 is above 0.2"),
    "no breaker": ({**ERRORS, "errorRate": {"maxIncrease": 0.005}}, "errorRate.abortAbove is left out"),
    "fewer samples": ({**ERRORS, "minSamples": 499}, "minSamples 499 is below 500"),
    "a longer warm-up": ({**ERRORS, "warmup": "3m"}, "warmup is longer than"),
    "advice only": ({**ERRORS, "advisory": True}, "advisory: true"),
    "a window of its own": ({**ERRORS, "window": "24h"}, "window is 24h, the policy's is left out"),
    "another kind": ({**SPEED, "name": "errors"}, "it is of kind latency, the policy's is errorRate"),
    "a slower objective": ({**SPEED, "latency": {"slo": "300ms", "maxIncrease": 0.01}}, "latency.slo"),
    "fewer features": ({**DRIFT, "drift": {**DRIFT["drift"], "features": ["income"]}}, "drift.features leaves features out"),  # type: ignore[dict-item]
    "another method": ({**DRIFT, "drift": {**DRIFT["drift"], "method": "JS"}}, "drift.method"),  # type: ignore[dict-item]
    "a lower minimum": ({**AUC, "stages": ["Validation"], "evaluation": {**AUC["evaluation"], "min": 0.7}}, "evaluation.min 0.7 is below 0.8"),  # type: ignore[dict-item]
    "another evaluator": ({**TESTED, "stages": ["Validation"], "evaluation": {**TESTED["evaluation"], "evaluators": ["pipeline", "mallory"]}}, "evaluation.evaluators names others than pipeline, vera"),  # type: ignore[dict-item]
    "any evaluator": ({**TESTED, "stages": ["Validation"], "evaluation": {"name": "environment-test", "metric": "rollbacks", "max": 0}}, "evaluation.evaluators names others than pipeline, vera"),
    "a larger decrease": ({**AUC, "stages": ["Validation"], "evaluation": {**AUC["evaluation"], "versusIncumbent": {"maxDecrease": 0.1}}}, "evaluation.versusIncumbent.maxDecrease 0.1 is above 0.005"),  # type: ignore[dict-item]
    "another query": ({**ERRATIC, "query": {"source": "main", "query": "0", "max": 10}}, "query.query"),
}  # fmt: skip


@pytest.mark.parametrize(("gate", "why"), LOOSER.values(), ids=LOOSER.keys())
def test_a_model_may_not_loosen_a_gate_of_the_policy(gate: dict[str, Any], why: str) -> None:
    found = merged(gate)
    assert isinstance(found, Problem)
    assert found.reason == "PolicyLoosened"
    assert f"spec.gates[{gate['name']}] asks for less than the policy's gate of that name" in found.message
    assert why in found.message


TIGHTER = {
    "a smaller increase": {**ERRORS, "errorRate": {"maxIncrease": 0.001, "abortAbove": 0.1}},
    "more samples": {**ERRORS, "minSamples": 5000},
    "no warm-up": {**ERRORS, "warmup": "0s"},
    "a breaker where the policy has none": {
        **SPEED,
        "latency": {"slo": "250ms", "maxIncrease": 0.01, "abortAbove": 0.5},
    },
    "a faster objective": {**SPEED, "latency": {"slo": "100ms", "maxIncrease": 0.01}},
    "a smaller threshold": {**DRIFT, "drift": {"method": "PSI", "threshold": 0.1, "maxDriftedShare": 0.3}},
    "the same": ERRORS,
}


@pytest.mark.parametrize("gate", TIGHTER.values(), ids=TIGHTER.keys())
def test_a_model_may_tighten_a_gate_of_the_policy(gate: dict[str, Any]) -> None:
    found = merged(gate)
    assert isinstance(found, Policy)
    assert [known.name for known in found.gates(Stage.CANARY)] == ["errors", "speed", "drift", "queue"]
    own = next(known for known in found.gates(Stage.CANARY) if known.name == gate["name"])
    assert own.model_dump(mode="json", by_alias=True, exclude_defaults=True) == type(own).model_validate(
        gate
    ).model_dump(mode="json", by_alias=True, exclude_defaults=True)


@pytest.mark.parametrize(
    "gate",
    [
        pytest.param({**TESTED, "evaluation": {**TESTED["evaluation"], "evaluators": ["vera"]}}, id="one of those of the policy"),  # type: ignore[dict-item]
        pytest.param({**AUC, "evaluation": {**AUC["evaluation"], "evaluators": ["vera"]}}, id="one where the policy takes anybody"),  # type: ignore[dict-item]
    ],
)  # fmt: skip
def test_a_model_may_take_fewer_evaluators_than_the_policy(gate: dict[str, Any]) -> None:
    found = merged({**gate, "stages": ["Validation"]})
    assert isinstance(found, Policy)
    (own,) = (known.evaluation for known in found.gates(Stage.VALIDATION) if known.name == gate["name"])
    assert own is not None and own.evaluators == ("vera",)


def test_a_model_may_add_gates_in_the_stages_it_names() -> None:
    found = merged({"name": "own", "errorRate": {}, "stages": ["Validation", "Canary"]})
    assert isinstance(found, Policy)
    assert [gate.name for gate in found.gates(Stage.VALIDATION)] == ["auc", "tested", "own"]
    assert [gate.name for gate in found.gates(Stage.PRODUCTION)] == ["errors", "speed", "drift", "queue", "own"]


def test_a_gate_for_a_stage_that_the_policy_lacks_is_refused() -> None:
    found = merged({"name": "own", "errorRate": {}, "stages": ["Shadow"]})
    assert isinstance(found, Problem)
    assert found.reason == "InvalidGate"
    assert "spec.gates[own] is for Shadow, a stage that policy 'low' does not have" in found.message


def test_the_digest_pins_the_demands_and_not_where_they_apply() -> None:
    plain, elsewhere = merge(offered("low"), ModelSpec()), merge(offered("low", priority=7), ModelSpec())
    tighter = merged(TIGHTER["more samples"])
    assert isinstance(plain, Policy) and isinstance(elsewhere, Policy) and isinstance(tighter, Policy)
    assert plain.digest == elsewhere.digest != tighter.digest


OWN_QUERY = {"name": "spend", "query": {"source": "main", "query": "sum(spend)", "max": 10}, "stages": ["Canary"]}


def with_queries(closed: set[str], *gates: dict[str, Any]) -> Policy | Problem:
    return merge(offered("low"), ModelSpec.model_validate({"gates": list(gates)}), closed)


def test_a_query_of_a_model_is_refused_where_the_source_takes_those_of_policies_only() -> None:
    found = with_queries({"main"}, OWN_QUERY)
    assert isinstance(found, Problem)
    assert found.reason == "InvalidGate"
    assert found.message == (
        "spec.gates[spend] brings a query of its own for source 'main', which takes queries of policies only: ask the owner of"
        " policy 'low' for the gate, or the platform for `queries: Models` on that source"
    )


@pytest.mark.parametrize(
    ("closed", "gate"),
    [
        pytest.param({"other"}, OWN_QUERY, id="of an open source"),
        pytest.param({"main"}, {**ERRATIC, "query": {**ERRATIC["query"], "max": 5}}, id="of the policy, made stricter"),  # type: ignore[dict-item]
    ],
)
def test_a_query_of_a_model_is_taken(closed: set[str], gate: dict[str, Any]) -> None:
    assert isinstance(with_queries(closed, gate), Policy)


def test_the_query_of_a_policy_cannot_be_exchanged_for_another() -> None:
    found = with_queries({"main"}, {**ERRATIC, "query": {**ERRATIC["query"], "query": "secret"}})  # type: ignore[dict-item]
    assert isinstance(found, Problem) and found.reason == "PolicyLoosened"
