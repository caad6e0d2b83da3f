"""Promotion across environments, on a real API server with the chart's admission policies: a version that served in one namespace is
let into the next by evidence that only the pipeline can give, and that nobody else can forge."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest_asyncio
import yaml
from typer.testing import CliRunner, Result

from modelward.api.digests import version_digest
from modelward.api.model_version import ModelVersion
from modelward.api.resources import MODEL_AUDIT_RECORDS, MODEL_VERSIONS
from modelward.api.status import GateStatus, ModelStatus
from modelward.cli.main import app
from modelward.runtime.kube import KubeClient, Object
from tests.api.conftest import PATIENCE, Answer
from tests.api.governance.people import API, Guarded, Person
from tests.api.governance.test_approvals_end_to_end import until_approvals_count
from tests.api.rollouts.conftest import install_gateway_api
from tests.api.rollouts.world import MODEL, STAGES, World, new_world, version_manifest

PIPELINE = "system:serviceaccount:promotion:pipeline"
RIGHTS = Path(__file__).parents[3] / "examples" / "environments" / "pipeline" / "rights.yaml"
IMAGE = "registry.example.com/scorer@sha256:"


def shown_in_test(metric: str, **bounds: float) -> dict[str, Any]:
    return {
        "name": metric.lower(),
        "evaluation": {"name": "environment-test", "metric": metric, "evaluators": [PIPELINE], **bounds},
    }


DEMANDED = {
    **STAGES,
    "validation": {"gates": [shown_in_test("watchPassed", min=1), shown_in_test("daysInProduction", min=0.01), shown_in_test("rollbacks", max=0)]},
}  # fmt: skip


@dataclass
class Environments:
    """v1 serves in both; v8 and the bad v9 come to test first. Pods are more in prod."""

    test: World
    prod: World
    guarded: Guarded
    pipeline: Person
    developer: Person
    folder: Path

    async def build(self, version: str) -> None:
        """One build of a version, committed to both."""
        for world, replicas in ((self.test, 2), (self.prod, 4)):
            container = {"name": "server", "image": f"{IMAGE}{version.removeprefix('v') * 64}"}
            template = {"spec": {"containers": [container]}}
            manifest = version_manifest(world.namespace, version, replicas=replicas, template=template)
            await world.kube.create(MODEL_VERSIONS, manifest)
            await world.notice()

    async def serve_in_test(self, version: str) -> None:
        await self.test.ask_for(version)
        await self.test.settle()

    async def ask_in_prod(self, version: str) -> ModelStatus:
        """The commit that promotes in prod, and what comes of it at once."""
        await self.prod.ask_for(version)
        return await self.hears()

    async def hears(self) -> ModelStatus:
        """The operator of prod notices what people did, and looks. The evidence is of now, so that it has to be now there."""
        self.prod.catch_up()
        await self.prod.notice()
        for _ in range(3):
            await self.prod.step()
            await self.prod.notice()
        return await self.prod.status()

    def evidence(self, version: str, *more: str, by: Person | None = None) -> Result:
        """The command, as somebody runs it."""
        arguments = ["evidence", MODEL, "--version", version, "-n", self.test.namespace, "--for", self.prod.namespace]
        config = str(kubeconfig_of(by or self.pipeline, self.folder))
        return CliRunner().invoke(app, [*arguments, "--environment", "test", "--kubeconfig", config, *more])

    def create(self, manifest: Object, by: Person) -> Answer:
        return by.create(f"{API}/namespaces/{self.prod.namespace}/modelevaluations", manifest)

    def hand_over(self, printed: str, by: Person | None = None) -> str:
        """`| kubectl create -f -`"""
        path = self.folder / "evidence.yaml"
        path.write_text(printed, encoding="utf-8")
        done = (by or self.pipeline).kubectl("create", "-f", str(path))
        return done.stdout + done.stderr

    async def digest(self, world: World, version: str) -> str:
        found = await world.kube.get(MODEL_VERSIONS, world.namespace, f"{MODEL}-{version}")
        return version_digest(ModelVersion.model_validate(found).spec)


def kubeconfig_of(person: Person, folder: Path) -> Path:
    """With one context, called as the cluster: own."""
    path = folder / f"{person.key.stem}.yaml"  # a colon separates kubeconfig files
    path.write_text(yaml.safe_dump(kubeconfig({"own": person})), encoding="utf-8")
    return path


def kubeconfig(contexts: dict[str, Person]) -> Object:
    """A context for each person, in the cluster that knows them; the first is the current one."""

    def cluster(person: Person) -> Object:
        return {"server": person.url, "certificate-authority": str(person.server_certificate)}

    def user(person: Person) -> Object:
        return {"client-certificate": str(person.certificate), "client-key": str(person.key)}

    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": next(iter(contexts)),
        "clusters": [{"name": name, "cluster": cluster(person)} for name, person in contexts.items()],
        "users": [{"name": name, "user": user(person)} for name, person in contexts.items()],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in contexts],
    }


def held_by(status: ModelStatus) -> GateStatus:
    """The gate that holds a version in Validation for want of evidence."""
    assert status.stage == "Validation"
    gate = next(gate for gate in status.gates if gate.name == "watchpassed")
    assert gate.result == "Unknown"
    return gate


@pytest_asyncio.fixture(scope="session")
async def cluster_admin(guarded: Guarded) -> AsyncIterator[KubeClient]:
    install_gateway_api(guarded.server)
    async with guarded.server.client("admin") as api:
        yield KubeClient(api, timeout=PATIENCE)


@pytest_asyncio.fixture(scope="session")
async def both_operators(operator: Person) -> AsyncIterator[KubeClient]:
    async with operator.client() as api:
        yield KubeClient(api, timeout=PATIENCE)


@pytest_asyncio.fixture
async def environments(
    guarded: Guarded, cluster_admin: KubeClient, both_operators: KubeClient, tmp_path: Path
) -> Environments:
    """The pipeline's rights are those of the example; the developer has `edit` in both namespaces."""
    test, prod = [await new_world(cluster_admin, both_operators) for _ in range(2)]
    for world in (test, prod):
        await world.serve("v1")
        await world.settle()
    await prod.set_policy(DEMANDED)
    pipeline, developer = guarded.person(PIPELINE, "system:serviceaccounts"), guarded.person("mallory")
    for name, world in (("promotion-reads-evidence", test), ("promotion-gives-evidence", prod)):
        guarded.grant(pipeline, world.namespace, *of_the_role(name))
        guarded.bind(developer, world.namespace, "modelward-edit")
        guarded.bind(developer, world.namespace, "modelward-view")
    await until_approvals_count(guarded)
    found = Environments(test, prod, guarded, pipeline, developer, tmp_path)
    await found.build("v8")
    await found.build("v9")
    test.requests.error_rates["v9"] = 0.5
    return found


def of_the_role(name: str) -> list[Object]:
    rules: list[Object] = next(
        each["rules"]
        for each in yaml.safe_load_all(RIGHTS.read_text("utf-8"))
        if each["kind"] == "ClusterRole" and each["metadata"]["name"] == name
    )
    return rules


async def test_a_build_that_served_in_test_is_let_into_prod_by_the_pipelines_evidence(
    environments: Environments,
) -> None:
    await environments.serve_in_test("v8")
    held = held_by(await environments.ask_in_prod("v8"))
    assert (held.reason, held.message) == (
        "NoEvaluation",
        "there is no evaluation environment-test of v8 with the digest that is deployed",
    )
    assert await environments.prod.split() == ({"v1": 100}, {})

    printed = environments.evidence("v8")
    assert printed.exit_code == 0, printed.output
    spec = yaml.safe_load(printed.stdout)["spec"]
    assert spec["versionDigest"] == await environments.digest(environments.prod, "v8")
    assert spec["environment"]["versionDigest"] == await environments.digest(environments.test, "v8")
    assert spec["versionDigest"] != spec["environment"]["versionDigest"]
    assert spec["evaluator"] == PIPELINE

    assert "created" in environments.hand_over(printed.stdout)
    assert (await environments.hears()).stage == "Shadow"
    await environments.prod.settle()
    assert await environments.prod.split() == ({"v8": 100}, {})
    assert (await environments.prod.condition("Ready"))[:2] == ("True", "Promoted")


async def test_the_chain_of_prod_names_the_record_of_test_that_the_promotion_rests_on(
    environments: Environments,
) -> None:
    await environments.serve_in_test("v8")
    environments.hand_over(environments.evidence("v8").stdout)
    await environments.ask_in_prod("v8")
    await environments.prod.settle()
    test, prod = [
        sorted(
            (each["spec"] for each in await world.kube.list(MODEL_AUDIT_RECORDS, world.namespace)),
            key=lambda spec: int(spec["seq"]),
        )
        for world in (environments.test, environments.prod)
    ]
    promoted = next(each for each in prod if each["action"] == "Promoted" and each["version"] == "v8")
    (rests_on,) = promoted["details"]["evaluations"]
    assert rests_on["evaluator"] == PIPELINE
    named = rests_on["environment"]
    assert (named["record"], named["recordHash"]) == (test[-1]["seq"], test[-1]["hash"])


async def test_a_developer_cannot_forge_what_test_has_shown(environments: Environments) -> None:
    """With `edit` in both namespaces: not in the pipeline's name, and not in one's own."""
    assert held_by(await environments.ask_in_prod("v8")).reason == "NoEvaluation"
    digest = await environments.digest(environments.prod, "v8")
    forged = {
        "apiVersion": "modelward.dev/v1alpha1",
        "kind": "ModelEvaluation",
        "metadata": {"generateName": "forged-"},
        "spec": {
            "model": MODEL,
            "version": "v8",
            "versionDigest": digest,
            "name": "environment-test",
            "evaluator": PIPELINE,
            "metrics": [{"name": name, "value": 1} for name in ("watchPassed", "daysInProduction")]
            + [{"name": "rollbacks", "value": 0}],
            "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
    }
    refused = environments.create(forged, environments.developer)
    assert not refused.accepted
    assert f"spec.evaluator is '{PIPELINE}' and you are 'mallory'" in refused.message
    own = {**forged, "spec": {**forged["spec"], "evaluator": "mallory"}}  # type: ignore[dict-item]
    assert environments.create(own, environments.developer).accepted
    assert f"is by mallory, which is none of {PIPELINE}" in held_by(await environments.hears()).message
    assert await environments.prod.split() == ({"v1": 100}, {})


async def test_a_developer_cannot_make_the_status_of_test_say_what_it_does_not(environments: Environments) -> None:
    path = f"{API}/namespaces/{environments.test.namespace}/models/{MODEL}/status"
    status = {"production": {"version": "v8", "digest": "sha256:" + "0" * 64, "since": "2026-01-01T00:00:00.000Z"}}
    environments.guarded.grant(
        environments.developer,
        environments.test.namespace,
        {"apiGroups": ["modelward.dev"], "resources": ["models/status"], "verbs": ["patch", "update"]},
    )
    refused = environments.developer.patch(path, {"status": status})
    assert not refused.accepted
    assert "is written by the operator" in refused.message
    assert environments.evidence("v8").exit_code == 1


async def test_what_failed_in_test_stays_out_of_prod(environments: Environments) -> None:
    await environments.serve_in_test("v9")
    assert (await environments.test.condition("Ready"))[:2] == ("False", "RolledBack")
    result = environments.evidence("v9")
    assert result.exit_code == 1
    assert "test shows nothing for it: v9 failed there in Canary and is latched" in result.stderr
    assert result.stdout == ""
    assert held_by(await environments.ask_in_prod("v9")).reason == "NoEvaluation"
    assert await environments.prod.split() == ({"v1": 100}, {})


async def test_evidence_too_little_is_not_handed_over_so_that_the_version_is_not_barred(
    environments: Environments,
) -> None:
    await environments.serve_in_test("v8")
    early = environments.evidence("v8", "--at-least", "daysInProduction=30")
    assert early.exit_code == 4
    assert "daysInProduction is 0.0" in early.stderr
    assert early.stdout == ""
    assert environments.evidence("v8", "--at-least", "daysInProduction=0.01").exit_code == 0


async def test_another_build_under_the_name_of_the_version_is_not_let_in(environments: Environments) -> None:
    await environments.serve_in_test("v8")
    template = {"spec": {"containers": [{"name": "server", "image": IMAGE + "6" * 64}]}}
    await environments.prod.delete(MODEL_VERSIONS, f"{MODEL}-v8")
    await environments.prod.give("v8", replicas=4, template=template)
    result = environments.evidence("v8")
    assert result.exit_code == 1
    assert "spec.serving.template.spec.containers[server].image differs" in result.stderr


async def test_the_pipeline_may_read_test_and_vouch_in_prod_and_nothing_else(environments: Environments) -> None:
    test, prod = (f"{API}/namespaces/{world.namespace}" for world in (environments.test, environments.prod))
    pipeline = environments.pipeline
    assert pipeline.patch(f"{prod}/models/{MODEL}", {"spec": {"production": {"version": "v8"}}}).code == 403
    assert pipeline.patch(f"{test}/models/{MODEL}", {"spec": {"suspend": True}}).code == 403
    assert pipeline.request("DELETE", f"{prod}/modelversions/{MODEL}-v8").code == 403
    assert pipeline.request("GET", f"{prod}/models/{MODEL}").code == 403
