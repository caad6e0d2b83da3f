"""What the records say served is what the route carried: whole rollouts in a cluster in memory, read back from their chain."""

from dataclasses import dataclass, field

import pytest

from modelward.api.model_audit_record import ModelAuditRecordSpec
from modelward.governance.chain import document_of, verify
from modelward.governance.reconstruction import intervals, served_at
from modelward.lifecycle.plan import Plan
from tests.unit.lifecycle.test_whole_rollouts import decays_after, is_latched, is_promoted, quick_model, serves
from tests.unit.lifecycle.world import Behaviour, World


@dataclass
class RecordedWorld(World):
    """A world that keeps the records, as a cluster does."""

    records: list[ModelAuditRecordSpec] = field(default_factory=list)

    def _decide(self) -> Plan:
        plan = super()._decide()
        self.records += [ModelAuditRecordSpec.model_validate(document_of(record)) for record in plan.records]
        return plan


def told(*versions: str, until: str = "", **behaviours: Behaviour) -> RecordedWorld:
    world = RecordedWorld(quick_model())
    for version in versions:
        world.register(version, behaviours.get(version))
    for version in versions:
        world.request(version)
        assert world.run(is_latched(version) if version == until else serves(version), hours=4)
    return world


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(lambda: told("v1"), id="a first version"),
        pytest.param(lambda: told("v1", "v2"), id="a promotion"),
        pytest.param(lambda: told("v1", "v2", until="v2", v2=decays_after(0)), id="a failure in shadow"),
        pytest.param(lambda: told("v1", "v2", until="v2", v2=decays_after(9_000)), id="a rollback from canary"),
    ],
)
def test_what_served_according_to_the_records_is_what_the_route_carried(world) -> None:
    seen = world()
    assert verify([document_of(record) for record in seen.records]) == ()
    for moment in seen.timeline:
        accounts = served_at(seen.records, moment.at).accounts
        assert {each.version: each.percent for each in accounts if each.percent} == moment.weights
        assert {each.version: each.mirrored for each in accounts if each.mirrored} == dict(moment.mirrors)
    assert len(intervals(seen.records)) >= len(seen.splits())


def test_after_a_revert_it_is_again_the_first_version_with_what_it_was_made_from() -> None:
    world = told("v1", "v2")
    world.request("v1")
    assert world.run(is_promoted("v1"), minutes=10)
    (account,) = served_at(world.records, world.now).accounts
    assert (account.version, account.percent, account.started_by) == ("v1", 100, 1)
    assert account.content["version"] == "v1"


def test_the_answer_has_the_verdicts_and_the_thresholds_of_the_policy() -> None:
    world = told("v1", "v2")
    (account,) = served_at(world.records, world.now).accounts
    assert account.version == "v2"
    assert {gate.name for judgement in account.judgements for gate in judgement.gates} == {"errors"}
    assert account.rules["stages"]["canary"]["gates"][0]["errorRate"]["maxIncrease"] == 0.02
    assert account.policy is not None
    assert account.policy.name == "quick"
