"""A version of tier High on a whole cluster: people decide, each by a client certificate, and the operator under its own account."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from examples.tumor_screening.environment import Environment
from examples.tumor_screening.people import Person, Said, bound, modelward
from tests.e2e import policies
from tests.e2e.kubectl import Refused
from tests.e2e.policies import ERRORS
from tests.e2e.scene import MODEL, FollowedModel, Scene, assert_unharmed, condition, serving

VALIDATOR, RISK = "independent-validator", "risk"
BUILDER, VALIDATORS_OWN, OFFICER, EDITOR = "ada@example.com", "grace@example.com", "rita@example.com", "tom@example.com"
STAGES = policies.shadow(ERRORS) | policies.canary(ERRORS, weights=(20, 50), at_least="8s")
DEMANDS = [{"role": role, "independent": True, "beforeWeight": 1} for role in (VALIDATOR, RISK)]
PEOPLE = [
    {"name": "Ada", "usernames": [BUILDER], "identities": [BUILDER], "teams": ["e2e"]},
    {"name": "Grace", "usernames": [VALIDATORS_OWN], "teams": ["model-validation"]},
    {"name": "Rita", "usernames": [OFFICER], "teams": ["risk-office"]},
    {"name": "Tom", "usernames": [EDITOR], "teams": ["elsewhere"]},
]


@pytest.fixture(autouse=True)
def _on_the_local_cluster(environment: Environment) -> None:
    if not environment.is_local:
        pytest.skip("makes people of the local cluster")


@dataclass(frozen=True)
class Committee:
    """The people of one namespace."""

    scene: Scene

    async def is_given_its_rights(self) -> None:
        """Everybody may read; the builder has a role, too; the editor has everything but a role."""
        await self.scene.kubectl.apply(
            bound(f"modelward-approver-{VALIDATOR}", self.scene.namespace, VALIDATORS_OWN),
            bound(f"modelward-approver-{RISK}", self.scene.namespace, BUILDER, OFFICER),
            bound("edit", self.scene.namespace, EDITOR),
        )

    async def approves(self, name: str, role: str, digest: str) -> Said:
        """``modelward approve`` by somebody, about what has this digest."""
        asked = ("--role", role, "--yes", "--subject-digest", digest)
        return await self.says(name, "approve", MODEL, "-n", self.scene.namespace, *asked)

    async def says(self, name: str, *words: str) -> Said:
        """``modelward WORDS`` by somebody."""
        person = Person(name, self.scene.environment.person(name))
        return await asyncio.to_thread(person.modelward, *words)


async def test_a_version_of_tier_high_waits_for_the_people_that_its_policy_names(scene: Scene) -> None:
    committee = Committee(scene)
    model = await _high(scene)
    await committee.is_given_its_rights()

    async with scene.clients(rate=30) as clients:
        await model.ask_for("v2")
        status = await model.until(lambda status: len(_due(status)) == 2, "two approvals that are due")
        digest = _due(status)[RISK]["subjectDigest"]
        assert status["rollout"]["stage"] == "Shadow"
        assert (await model.row())["TIER"] == "High"

        # Who has no role is refused by the API server; a role is one role.
        for name, role in ((VALIDATORS_OWN, RISK), (OFFICER, VALIDATOR), (EDITOR, RISK)):
            said = await committee.approves(name, role, digest)
            assert said.code == 1, said.text
            assert name in said.text
        assert await scene.kubectl.items("modelapprovals", "-n", scene.namespace) == []

        # The builder has the role, and it is not counted.
        said = await committee.approves(BUILDER, RISK, digest)
        assert said.code == 0, said.text
        status = await model.until(lambda status: _due(status)[RISK].get("refused"), "a refused approval")
        assert f"{BUILDER} is a builder of v2" in _due(status)[RISK]["refused"][0]
        assert _due(status)[RISK]["missing"] == 1

        # A digest that nobody was shown.
        said = await committee.approves(OFFICER, RISK, "sha256:" + "0" * 64)
        assert said.code == 1, said.text
        listed = await committee.says(OFFICER, "approvals", "-n", scene.namespace, "-o", "json")
        assert {row["role"]: row["mayApprove"] for row in json.loads(listed.text)} == {VALIDATOR: False, RISK: True}

        assert (await committee.approves(VALIDATORS_OWN, VALIDATOR, digest)).code == 0
        await model.until(lambda status: list(_due(status)) == [RISK], "the validator's approval")
        assert serving(model.status) == "v1"
        assert (await committee.approves(OFFICER, RISK, digest)).code == 0
        status = await model.until_rest("v2")

    assert_unharmed(clients)
    assert condition(status, "ApprovalsTrusted").get("status") in ("True", None)
    counted = {(entry["approver"], entry["role"]) for entry in status["decisions"] if entry["trusted"]}
    assert {(VALIDATORS_OWN, VALIDATOR), (OFFICER, RISK)} <= counted
    with pytest.raises(Refused, match=r"immutable|denied|cannot"):
        name = status["decisions"][0]["name"]
        await scene.kubectl.patch("modelapproval", scene.namespace, name, {"spec": {"reason": "otherwise"}})
    [promoted] = [each["spec"] for each in await _assert_whole(scene, model) if each["spec"]["action"] == "Promoted"][
        1:
    ]
    assert {each["approver"] for each in promoted["approvals"]} == {VALIDATORS_OWN, OFFICER}


@pytest.mark.xdist_group("with the operator to itself")
async def test_the_audit_trail_of_a_rollout_is_whole_after_the_operator_was_killed_in_it(scene: Scene) -> None:
    model = await scene.establish("v1", STAGES, "v2")
    namespace = scene.environment.operator_namespace

    async with scene.clients(rate=30):
        await model.ask_for("v2")
        await model.until_stage("v2", "Canary", weight=20)
        await scene.kubectl("delete", "pods", "--all", "-n", namespace, "--force", "--grace-period=0")
        await model.until_rest("v2")

    records = await _assert_whole(scene, model)
    steps = [record["spec"] for record in records if record["spec"]["version"] == "v2"]
    told = [step["action"] for step in steps if step["action"] in set(model.actions("v2"))]
    assert told == model.actions("v2")
    weights = [{entry["version"]: entry["percent"] for entry in step["weights"]}.get("v2", 0) for step in steps]
    assert list(dict.fromkeys(weights)) == [0, 20, 50, 100]


async def _high(scene: Scene) -> FollowedModel:
    """A Model of tier High that serves a first version, from before anybody had to approve."""
    policy = policies.policy(scene.namespace, STAGES)
    policy["spec"]["appliesTo"]["tiers"] = ["High"]
    await scene.kubectl.apply(policy, scene.version("v1"), scene.version("v2"), scene.model("v1", riskTier="High"))
    model = await scene.follow()
    await model.until_rest("v1")
    await scene.until_answered()
    policy["spec"]["identityMap"] = {"people": PEOPLE}
    policy["spec"]["stages"]["canary"] = {**STAGES["canary"], "approvals": DEMANDS}
    await scene.kubectl.apply(policy)
    return model


async def _assert_whole(scene: Scene, model: FollowedModel) -> list[dict[str, Any]]:
    """The records of a Model, which `modelward audit verify` finds whole, in the cluster and in the export."""
    seen = ("audit", "verify", "--model", MODEL, "-n", scene.namespace)
    said = await asyncio.to_thread(modelward, *seen, kubeconfig=scene.environment.kubeconfig)
    assert said.code == 0, said.text
    assert "whole" in said.text
    records = await scene.kubectl.items("modelauditrecords", "-n", scene.namespace)
    records.sort(key=lambda record: record["spec"]["seq"])
    assert [record["spec"]["seq"] for record in records] == list(range(1, len(records) + 1))
    assert model.status["audit"] == {"seq": records[-1]["spec"]["seq"], "hash": records[-1]["spec"]["hash"]}
    return records


def _due(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """What the rollout waits for, by role."""
    return {row["role"]: row for row in status.get("pendingApprovals", ()) if row.get("due")}
