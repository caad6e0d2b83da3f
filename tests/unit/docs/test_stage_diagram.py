"""The diagram of stages in docs/concepts.md has the ways that versions go, and no others."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from modelward.lifecycle.plan import Plan
from modelward.lifecycle.shares import stage_of
from tests.unit.lifecycle.builders import ERRORS, model, policy
from tests.unit.lifecycle.world import Behaviour, World

PAGE = Path(__file__).resolve().parents[3] / "docs" / "concepts.md"
WAY = re.compile(r"^ +(\w+) --> (\w+)(?::|$)", re.MULTILINE)
QUICK = policy(
    "quick",
    shadow__gates=[ERRORS],
    shadow__minDuration="3m",
    shadow__interval="15s",
    canary__interval="15s",
    canary__steps=[{"weight": 50, "minDuration": "3m", "require": "NotFailed"}],
    canary__gates=[ERRORS],
    production__watch={"duration": "2m"},
    production__standby={"keep": 1, "replicas": "Full", "warmFor": "72h"},
)
EVALUATED = policy(
    "evaluated", validation__gates=[{"name": "auc", "evaluation": {"name": "holdout", "metric": "auc", "min": 0.8}}]
)
Ways = set[tuple[str, str]]


class Walked(World):
    """A world that notes which way each version goes from stage to stage."""

    ways: Ways

    def __post_init__(self) -> None:
        super().__post_init__()
        self.ways = set()

    def _remember(self, plan: Plan) -> None:
        before = self._stages()
        super()._remember(plan)
        now = self._stages()
        self.ways |= {(before[version], now[version]) for version in before if before[version] != now[version]}

    def _stages(self) -> dict[str, str]:
        return {view.version: str(stage_of(view, self.status())) for view in self.given.s.versions.values()}

    def promote(self, version: str) -> None:
        """Request a version, and go on until it serves and its watch is over."""
        self.request(version)
        assert self.run(lambda world: _serves(world, version) and world.status().watch is None, hours=3), version


def test_the_diagram_has_every_way_that_is_gone_and_no_other() -> None:
    stories = (promoted_again_and_again, stopped_on_the_way, failed_after_the_promotion, challenged, superseded)
    gone: Ways = set().union(*(story() for story in stories))
    assert _drawn() == gone


def promoted_again_and_again() -> Ways:
    world = _world("v1", "v2", "v3")
    for version in ("v1", "v2", "v3", "v2", "v1"):
        world.promote(version)  # v2 is in standby when it is requested again, v1 is retired
    return world.ways


def stopped_on_the_way() -> Ways:
    world = _world("v1", "v2", "v3")
    world.promote("v1")
    world.behaviours["v2"] = Behaviour(errors=lambda answered: 0.5)
    world.request("v2")
    assert world.run(lambda world: _is_latched(world, "v2"), hours=1)
    world.request("v3")
    assert world.run(lambda world: world.status().weight == 50 and world.status().rollout is not None, hours=1)
    world.behaviours["v3"] = Behaviour(errors=lambda answered: 0.6)
    assert world.run(lambda world: _is_latched(world, "v3"), hours=1)
    assert [failed.stage for failed in world.status().failed] == ["Canary", "Shadow"]
    return world.ways


def failed_after_the_promotion() -> Ways:
    world = _world("v1", "v2")
    world.promote("v1")
    world.request("v2")
    assert world.run(lambda world: _serves(world, "v2"), hours=3)
    world.behaviours["v2"] = Behaviour(errors=lambda answered: 0.6)
    assert world.run(lambda world: _serves(world, "v1"), minutes=10)
    return world.ways


def challenged() -> Ways:
    world = _world("v1", "v2", "v3")
    world.promote("v1")
    world.given = world.given.challenges_with("v2", "v3")
    world.run(minutes=5)
    world.given = world.given.challenges_with("v2")
    world.promote("v2")
    return world.ways


def superseded() -> Ways:
    world = Walked(model().under(EVALUATED), requests_per_second=1.0)
    for version in ("v1", "v2"):
        world.register(version)
    world.request("v1")
    world.run(minutes=1)  # it waits for its evaluation
    world.request("v2")
    world.run(minutes=1)
    return world.ways


@pytest.mark.parametrize("stage", ["Registered", "Validation", "Shadow", "Canary", "Production", "Standby", "Retired"])
def test_a_stage_of_the_diagram_is_in_the_table_below_it(stage: str) -> None:
    assert stage in {state for way in _drawn() for state in way}
    assert f"| {stage} |" in PAGE.read_text("utf-8")


def _world(*versions: str) -> Walked:
    world = Walked(model().under(QUICK), requests_per_second=40.0)
    for version in versions:
        world.register(version, Behaviour(errors=lambda answered: 0.0, ready_after=timedelta(seconds=5)))
    return world


def _serves(world: World, version: str) -> bool:
    production = world.status().production
    return production is not None and production.version == version


def _is_latched(world: World, version: str) -> bool:
    return any(failed.version == version for failed in world.status().failed)


def _drawn() -> Ways:
    page = PAGE.read_text("utf-8")
    diagram = page[page.index("stateDiagram-v2") :].partition("```")[0]
    return {(start, end) for start, end in WAY.findall(diagram) if start != end}
