"""Approvals from the person to the traffic: real users with their own certificates, the chart's admission policies on a real API
server, the command line as people use it, and the real operator, which moves a route by what it finds."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio
import yaml
from typer.testing import CliRunner, Result

from modelward.api.resources import MODEL_APPROVALS, MODEL_AUDIT_RECORDS, MODEL_EVALUATIONS, MODEL_VERSIONS, MODELS
from modelward.api.status import DecisionStatus, ModelStatus, PendingApproval
from modelward.cli.main import app
from modelward.governance.admission import APPROVALS, BINDING, NAMES, POLICY, key, trusted_since
from modelward.runtime.kube import KubeClient, Object
from modelward.runtime.notices import Topic, of_records, of_requests
from tests.api.conftest import PATIENCE, Answer
from tests.api.governance.people import ADMISSION, API, Guarded, Person, chart, wait_until_enforced
from tests.api.rollouts.conftest import install_gateway_api
from tests.api.rollouts.world import MODEL, World, new_world, stages_with, version_manifest

BUILDER, VALIDATOR, RISK, ON_CALL, STRANGER = "ada", "vera", "rita", "olga", "mallory"
PEOPLE = {
    "people": [
        {"name": "Ada", "usernames": [BUILDER], "identities": ["ada@example.com"], "teams": ["scoring"]},
        {"name": "Vera", "usernames": [VALIDATOR], "teams": ["validation"]},
        {"name": "Rita", "usernames": [RISK], "teams": ["risk"]},
        {"name": "Olga", "usernames": [ON_CALL], "teams": ["operations"]},
    ]
}
ASKING = stages_with(
    shadow={"approvals": [{"role": "independent-validator", "independent": True}]},
    canary={"approvals": [{"role": "risk", "beforeWeight": 50}]},
)
_PRIORITIES = itertools.count(1)  # the command line sees the policies of all worlds; the newest one is this world's


@dataclass
class Office:
    """A namespace with v1 in production and v4, built by Ada, on its way; and people who decide, each on their own machine."""

    world: World
    guarded: Guarded
    people: dict[str, Person]
    folder: Path

    def run(self, name: str, *arguments: str) -> Result:
        """A command of modelward, as one of them types it."""
        return CliRunner().invoke(
            app, [*arguments, "-n", self.world.namespace, "--kubeconfig", str(self._kubeconfig(name))]
        )

    def approve(self, name: str, role: str, digest: str) -> Result:
        wanted = ("--role", role, "--reason", "Looked at.", "--yes", "--subject-digest", digest)
        return self.run(name, "approve", MODEL, *wanted)

    def create(self, name: str, **spec: object) -> Answer:
        """A ModelApproval without the command line, in any words."""
        fields = {"model": MODEL, "version": "v4", "role": "risk", "decision": "Approve", "approver": name, **spec}
        manifest = {
            "apiVersion": "modelward.dev/v1alpha1",
            "kind": "ModelApproval",
            "metadata": {"generateName": "by-hand-"},
            "spec": fields,
        }
        return self.people[name].create(f"{API}/namespaces/{self.world.namespace}/modelapprovals", manifest)

    async def asked(self, role: str) -> PendingApproval:
        return next(row for row in (await self.world.status()).pending_approvals if row.role == role)

    async def waits_for(self, role: str) -> PendingApproval:
        """Until the rollout waits for nothing but this role."""
        await self.world.until(lambda status: any(row.role == role and row.due for row in status.pending_approvals))
        return await self.asked(role)

    async def hears(self) -> ModelStatus:
        """The operator notices what people did, and looks."""
        await self.world.notice()
        for _ in range(5):
            await self.world.step()
            await self.world.notice()
        return await self.world.status()

    async def decision(self, name: str) -> DecisionStatus:
        return next(each for each in (await self.world.status()).decisions if each.approver == name)

    async def refused(self, role: str) -> str:
        return "; ".join((await self.asked(role)).refused)

    async def approvals_trusted(self) -> tuple[str, str, str]:
        return await self.world.condition("ApprovalsTrusted")

    def _kubeconfig(self, name: str) -> Path:
        person = self.people[name]
        server = {"server": person.url, "certificate-authority": str(person.server_certificate)}
        own = {"client-certificate": str(person.certificate), "client-key": str(person.key)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [{"name": "tests", "cluster": server}],
            "users": [{"name": name, "user": own}],
            "contexts": [{"name": name, "context": {"cluster": "tests", "user": name}}],
        }
        path = self.folder / name
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        return path


@pytest_asyncio.fixture(scope="session")
async def admin(guarded: Guarded) -> AsyncIterator[KubeClient]:
    install_gateway_api(guarded.server)
    for name in (BUILDER, VALIDATOR):
        guarded.bind_everywhere(guarded.person(name), "modelward-policy-reader")
    async with guarded.server.client("admin") as api:
        yield KubeClient(api, timeout=PATIENCE)


@pytest_asyncio.fixture(scope="session")
async def operating(operator: Person) -> AsyncIterator[KubeClient]:
    async with operator.client() as api:
        yield KubeClient(api, timeout=PATIENCE)


@pytest_asyncio.fixture
async def office(guarded: Guarded, admin: KubeClient, operating: KubeClient, tmp_path: Path) -> Office:
    world = await new_world(admin, operating)
    await world.serve("v1", owner={"team": "scoring"})
    await world.settle()
    await ask_people(world)
    await world.kube.create(MODEL_VERSIONS, built_by_ada(world.namespace, "v4"))
    await world.ask_for("v4")
    await world.notice()
    people = {name: guarded.person(name) for name in (BUILDER, VALIDATOR, RISK, ON_CALL, STRANGER)}
    given = {
        BUILDER: "approver-independent-validator",
        VALIDATOR: "approver-independent-validator",
        RISK: "approver-risk",
    }
    for name, role in {**given, ON_CALL: "rejecter-risk"}.items():
        guarded.bind(people[name], world.namespace, f"modelward-{role}")
    await until_approvals_count(guarded)
    return Office(world, guarded, people, tmp_path)


async def ask_people(world: World) -> None:
    applies = {"tiers": ["Low"], "priority": next(_PRIORITIES)}
    await world.set_policy(ASKING, appliesTo=applies, identityMap=PEOPLE)


def built_by_ada(namespace: str, version: str) -> Object:
    manifest = version_manifest(namespace, version)
    return manifest | {"spec": manifest["spec"] | {"builtBy": ["ada@example.com"]}}


async def until_approvals_count(guarded: Guarded) -> None:
    """Until an approval is younger than the newest change of the admission policies, by more than API servers may lag behind."""
    since = trusted_since(live_policies(guarded))
    while datetime.now(UTC) <= since + timedelta(seconds=1):
        await asyncio.sleep(0.2)


def live_policies(guarded: Guarded) -> dict[str, Any]:
    return {
        key(kind, name): guarded.server.request("GET", f"{ADMISSION}/{plural}/{name}").body
        for kind, plural in ((POLICY, "validatingadmissionpolicies"), (BINDING, "validatingadmissionpolicybindings"))
        for name in NAMES
    }


def promoted(version: str) -> Callable[[ModelStatus], bool]:
    return lambda status: status.production is not None and status.production.version == version


async def test_a_version_waits_until_two_people_who_did_not_build_it_have_approved(office: Office) -> None:
    """The whole way: the builder's own approval is admitted, for he has the role, and is not counted."""
    waiting = await office.waits_for("independent-validator")
    assert (waiting.version, waiting.before, waiting.missing) == ("v4", "leaving Shadow", 1)
    requests = list(of_requests(await office.world.model()))
    assert [json.loads(each.body)["data"]["role"] for each in requests if each.due] == ["independent-validator"]

    own = office.approve(BUILDER, "independent-validator", waiting.subject_digest)
    assert own.exit_code == 0, own.output
    assert "it would not count: ada is a builder of v4" in own.output
    await office.hears()
    assert "ada is a builder of v4" in await office.refused("independent-validator")
    assert (await office.decision(BUILDER)).trusted
    assert (await office.world.split())[0] == {"v1": 100}

    listed = office.run(VALIDATOR, "approvals")
    assert "ada is a builder of v4" in listed.output
    assert listed.output.splitlines()[1].split()[:5] == [
        office.world.namespace,
        MODEL,
        "v4",
        "independent-validator",
        "leaving",
    ]
    assert office.run(VALIDATOR, "approvals", "--mine").output.count(f"{MODEL} ") >= 1
    assert office.run(STRANGER, "approvals").exit_code == 1

    looked_at = office.run(VALIDATOR, "request", MODEL)
    assert "Vera (vera), Rita (rita), Olga (olga)" in looked_at.output
    assert "Ada" not in looked_at.output
    given = office.approve(VALIDATOR, "independent-validator", waiting.subject_digest)
    assert given.exit_code == 0, given.output
    assert (
        "serving.template.spec.containers[server].image: registry.example.com/scorer:v1 -> registry.example.com/scorer:v4"
        in given.output
    )
    assert "would not count" not in given.output

    await office.world.notice()
    last = await office.waits_for("risk")
    assert last.before == "50 % of requests"
    assert (await office.world.split())[0] == {"v1": 80, "v4": 20}
    refused = office.approve(VALIDATOR, "risk", last.subject_digest)
    assert refused.exit_code == 1
    assert "'vera' may not approve in the role 'risk'" in refused.output
    assert office.approve(RISK, "risk", last.subject_digest).exit_code == 0
    await office.world.notice()
    status = await office.world.until(promoted("v4"))
    assert status.production is not None
    assert status.production.approval == "Given"
    assert {each.approver for each in status.decisions} == {BUILDER, VALIDATOR, RISK}
    records = await office.world.kube.list(MODEL_AUDIT_RECORDS, office.world.namespace)
    notices = of_records(records, {(office.world.namespace, MODEL): await office.world.model()})
    told = [notice.topic for notice in sorted(notices, key=lambda notice: notice.order) if notice.due]
    assert told == [Topic.ROLLOUT_PROMOTED, *[Topic.APPROVAL_DECIDED] * 3, Topic.ROLLOUT_PROMOTED]


async def test_a_rejection_by_somebody_who_may_only_reject_stops_a_rollout_and_stays_when_it_is_deleted(
    office: Office,
) -> None:
    waiting = await office.waits_for("independent-validator")
    assert office.approve(ON_CALL, "risk", waiting.subject_digest).exit_code == 1
    said = office.run(ON_CALL, "reject", MODEL, "--reason", "It discriminates.")
    assert said.exit_code == 0, said.output
    await office.hears()
    status = await office.world.until(lambda status: status.rollout is None)
    assert [(failed.version, failed.reason) for failed in status.failed] == [("v4", "Rejected")]
    assert "It discriminates" in status.failed[0].message
    assert await office.world.split() == ({"v1": 100}, {})

    path = f"{API}/namespaces/{office.world.namespace}/modelapprovals"
    rejection = next(each for each in await office.world.kube.list(MODEL_APPROVALS, office.world.namespace))
    by_admin = office.guarded.server.request("DELETE", f"{path}/{rejection['metadata']['name']}")
    assert "deleted by nobody but 'olga'" in by_admin.message
    rule = {"apiGroups": ["modelward.dev"], "resources": ["modelapprovals"], "verbs": ["delete"]}
    office.guarded.grant(office.people[ON_CALL], office.world.namespace, rule)
    assert office.people[ON_CALL].request("DELETE", f"{path}/{rejection['metadata']['name']}").accepted
    await office.hears()
    await office.world.restart()  # an operator that remembers nothing but what is written
    status = await office.hears()
    assert (status.rollout, [failed.reason for failed in status.failed]) == (None, ["Rejected"])
    assert await office.world.split() == ({"v1": 100}, {})


async def test_an_approval_replayed_after_what_was_seen_has_changed_does_not_count(office: Office) -> None:
    before = await office.waits_for("independent-validator")
    assert office.approve(VALIDATOR, "independent-validator", before.subject_digest).exit_code == 0
    await evaluate(office, "v4", auc=0.4)
    await office.hears()
    now = await office.waits_for("independent-validator")
    assert now.subject_digest != before.subject_digest
    assert "what it was given for has changed since" in await office.refused("independent-validator")

    again = office.approve(VALIDATOR, "independent-validator", before.subject_digest)
    assert again.exit_code == 1
    assert "something has changed since" in again.output
    replayed = office.create(VALIDATOR, role="independent-validator", subjectDigest=before.subject_digest)
    assert replayed.accepted, replayed.message
    await office.hears()
    assert (await office.refused("independent-validator")).count("has changed since") == 2
    assert (await office.world.split())[0] == {"v1": 100}

    seen = office.approve(VALIDATOR, "independent-validator", now.subject_digest)
    assert seen.exit_code == 0, seen.output
    assert "auc" in seen.output
    await office.world.notice()
    await office.waits_for("risk")


async def test_an_approval_made_while_the_admission_policy_was_edited_does_not_count(office: Office) -> None:
    """Who may edit the policies lets a forger in for a moment, and puts everything back."""
    waiting = await office.waits_for("independent-validator")
    binding = f"{ADMISSION}/validatingadmissionpolicybindings/{APPROVALS}"
    try:
        office.guarded.apply(binding, binding_of(APPROVALS, actions=["Audit"]))
        await until_admitted(office, BUILDER, waiting.subject_digest)
        await office.hears()
        await office.world.restart()
        status = await office.hears()
        assert (await office.approvals_trusted())[0] == "False"
        assert not status.decisions
        listed = office.run(VALIDATOR, "approvals")
        assert "Warning: no approval counts now" in listed.output
    finally:
        office.guarded.apply(binding, binding_of(APPROVALS, actions=["Deny"]))
        wait_until_enforced(office.guarded)
    await office.world.restart()
    await office.hears()
    assert (await office.approvals_trusted())[0] == "True"
    forged = await office.decision(VALIDATOR)
    assert not forged.trusted
    assert "made before the admission policies were in place" in await office.refused("independent-validator")
    assert (await office.world.split())[0] == {"v1": 100}


async def test_the_approvals_of_a_model_are_worth_nothing_to_another_one_of_its_name(office: Office) -> None:
    """A Model is removed with what was approved of it, and one that is the same but for its uid takes its place."""
    waiting = await office.waits_for("independent-validator")
    assert office.approve(VALIDATOR, "independent-validator", waiting.subject_digest).exit_code == 0
    assert office.create(RISK, subjectDigest=waiting.subject_digest).accepted
    other_name = office.create(RISK, subjectDigest=waiting.subject_digest, model="scorer-two")
    assert other_name.accepted
    await office.hears()

    await office.world.delete(MODELS, MODEL)
    for _ in range(20):
        await office.world.step()
        await office.world.notice()
    assert await office.world.kube.get(MODELS, office.world.namespace, MODEL) is None
    await office.world.serve("v4", owner={"team": "scoring"})
    await office.hears()
    new = await office.asked("independent-validator")
    assert new.subject_digest != waiting.subject_digest
    assert "what it was given for has changed since" in await office.refused("independent-validator")
    assert "what it was given for has changed since" in await office.refused("risk")
    assert (await office.world.status()).production is None


async def test_an_editor_cannot_write_a_decision_into_the_status(office: Office) -> None:
    waiting = await office.waits_for("independent-validator")
    everything = {"apiGroups": ["modelward.dev"], "resources": ["*"], "verbs": ["*"]}
    office.guarded.grant(office.people[STRANGER], office.world.namespace, everything)
    now = datetime.now(UTC).isoformat()
    forged = {
        "name": "forged", "uid": "forged", "decision": "Approve", "role": "independent-validator", "approver": VALIDATOR,
        "version": "v4", "subjectDigest": waiting.subject_digest, "at": now, "seenAt": now, "trusted": True,
    }  # fmt: skip
    path = f"{API}/namespaces/{office.world.namespace}/models/{MODEL}/status"
    answer = office.people[STRANGER].patch(path, {"status": {"decisions": [forged]}})
    assert answer.code == 403
    assert "is written by the operator" in answer.message
    by_wildcard = office.create(STRANGER, subjectDigest=waiting.subject_digest)
    assert by_wildcard.code == 403
    assert "every role" in by_wildcard.message
    status = await office.hears()
    assert not status.decisions
    assert (await office.world.split())[0] == {"v1": 100}


async def evaluate(office: Office, version: str, **metrics: float) -> None:
    found = await office.world.kube.get(MODEL_VERSIONS, office.world.namespace, f"{MODEL}-{version}")
    assert found is not None
    await office.world.kube.create(
        MODEL_EVALUATIONS,
        {
            "metadata": {"name": f"{MODEL}-{version}-holdout", "namespace": office.world.namespace},
            "spec": {
                "model": MODEL,
                "version": version,
                "versionDigest": found["status"]["digest"],
                "name": "holdout",
                "evaluator": "admin",
                "metrics": [{"name": name, "value": value} for name, value in metrics.items()],
                "at": datetime.now(UTC).isoformat(),
            },
        },
    )


async def until_admitted(office: Office, forger: str, digest: str) -> None:
    """The builder approves in the validator's name, as soon as the server has taken the edit over."""
    for _ in range(150):
        answer = office.create(forger, role="independent-validator", approver=VALIDATOR, subjectDigest=digest)
        if answer.accepted:
            return
        await asyncio.sleep(0.2)
    raise AssertionError(answer.message)


def binding_of(name: str, actions: list[str]) -> dict[str, Any]:
    found = next(each for each in chart() if each["kind"] == BINDING and each["metadata"]["name"] == name)
    return found | {"spec": found["spec"] | {"validationActions": actions}}
