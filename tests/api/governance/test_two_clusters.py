"""Promotion from one cluster into another: two API servers with the chart's admission policies, each with its own authority for
certificates and its own operator, and a pipeline that is known to both and has the rights of the example, no more."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
import yaml
from typer.testing import CliRunner, Result

from modelward.api.resources import MODEL_AUDIT_RECORDS, MODEL_VERSIONS
from modelward.archive.directory import DirectoryExporter
from modelward.archive.exporter import Chain
from modelward.cli.main import app
from modelward.runtime.kube import KubeClient, Object
from tests.api.conftest import PATIENCE
from tests.api.governance.conftest import guarding, operator_of
from tests.api.governance.people import Guarded, Person
from tests.api.governance.test_approvals_end_to_end import until_approvals_count
from tests.api.governance.test_environments import (
    DEMANDED,
    IMAGE,
    PIPELINE,
    Environments,
    held_by,
    kubeconfig,
    of_the_role,
)
from tests.api.rollouts.conftest import install_gateway_api
from tests.api.rollouts.world import MODEL, World, new_world


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """The cluster of prod; that of test is `guarded`."""
    with guarding(tmp_path_factory.mktemp("people-of-prod"), tmp_path_factory.mktemp("prod")) as world:
        yield world


@dataclass
class TwoClusters(Environments):
    """v1 serves in both, and v8 comes to test first."""

    of_test: Person  # the pipeline, as the cluster of test knows it
    records_of_test: KubeClient  # as the operator of test

    def evidence(self, version: str, *more: str, by: Person | None = None) -> Result:
        """The command, with a kubeconfig that has both clusters."""
        config = self.folder / "both.yaml"
        config.write_text(yaml.safe_dump(kubeconfig({"test": self.of_test, "prod": by or self.pipeline})), "utf-8")
        where = ["--context", "test", "-n", self.test.namespace, "--for-context", "prod", "--for", self.prod.namespace]
        arguments = ["evidence", MODEL, "--version", version, *where, "--environment", "test", *more]
        return CliRunner().invoke(app, [*arguments, "--kubeconfig", str(config)])

    async def chain_of_test(self) -> list[Object]:
        found = await self.records_of_test.list(MODEL_AUDIT_RECORDS, self.test.namespace)
        return sorted((each["spec"] for each in found), key=lambda spec: int(spec["seq"]))


@pytest_asyncio.fixture
async def clusters(guarded: Guarded, elsewhere: Guarded, tmp_path: Path) -> AsyncIterator[TwoClusters]:
    async with AsyncExitStack() as open_clients:
        worlds: list[World] = []
        operators: list[KubeClient] = []
        for cluster in (guarded, elsewhere):
            install_gateway_api(cluster.server)
            admin = KubeClient(await open_clients.enter_async_context(cluster.server.client("admin")), timeout=PATIENCE)
            own = KubeClient(await open_clients.enter_async_context(operator_of(cluster).client()), timeout=PATIENCE)
            world = await new_world(admin, own)
            await world.serve("v1")
            await world.settle()
            worlds.append(world)
            operators.append(own)
        test, prod = worlds
        await prod.set_policy(DEMANDED)
        people = [cluster.person(PIPELINE, "system:serviceaccounts") for cluster in (guarded, elsewhere)]
        guarded.grant(people[0], test.namespace, *of_the_role("promotion-reads-evidence"))
        elsewhere.grant(people[1], prod.namespace, *of_the_role("promotion-gives-evidence"))
        await until_approvals_count(elsewhere)
        found = TwoClusters(
            test, prod, elsewhere, people[1], elsewhere.person("mallory"), tmp_path, people[0], operators[0]
        )
        await found.build("v8")
        yield found


async def test_what_served_in_one_cluster_is_let_into_the_other_by_what_the_command_prints(
    clusters: TwoClusters,
) -> None:
    await clusters.serve_in_test("v8")
    assert held_by(await clusters.ask_in_prod("v8")).reason == "NoEvaluation"

    printed = clusters.evidence("v8", "--valid-for", "30d")
    assert printed.exit_code == 0, printed.output
    spec = yaml.safe_load(printed.stdout)["spec"]
    assert spec["versionDigest"] == await clusters.digest(clusters.prod, "v8")
    assert spec["environment"]["versionDigest"] == await clusters.digest(clusters.test, "v8")
    newest = (await clusters.chain_of_test())[-1]
    assert (spec["environment"]["record"], spec["environment"]["recordHash"]) == (newest["seq"], newest["hash"])
    assert spec["evaluator"] == PIPELINE

    assert "created" in clusters.hand_over(printed.stdout)
    assert (await clusters.hears()).stage == "Shadow"
    await clusters.prod.settle()
    assert await clusters.prod.split() == ({"v8": 100}, {})
    assert (await clusters.prod.condition("Ready"))[:2] == ("True", "Promoted")


async def test_records_that_have_left_the_cluster_are_read_from_its_export(
    clusters: TwoClusters, tmp_path: Path
) -> None:
    await clusters.serve_in_test("v8")
    folder = tmp_path / "audit"
    folder.mkdir()
    exporter = DirectoryExporter(folder)
    told = await clusters.chain_of_test()
    await exporter.append(Chain(clusters.test.namespace, MODEL), told[:4])
    await exporter.close()
    for seq in (1, 2, 3):
        await clusters.records_of_test.delete(MODEL_AUDIT_RECORDS, clusters.test.namespace, f"{MODEL}-{seq:08}")

    alone = clusters.evidence("v8")
    assert alone.exit_code == 1
    assert "give the export with --from" in alone.stderr
    both = clusters.evidence("v8", "--from", str(folder))
    assert both.exit_code == 0, both.output
    await clusters.ask_in_prod("v8")
    clusters.hand_over(both.stdout)
    assert (await clusters.hears()).stage == "Shadow"


async def test_a_build_with_other_labels_in_the_other_cluster_is_not_vouched_for(clusters: TwoClusters) -> None:
    """There, a label puts a proxy in front of the server."""
    await clusters.serve_in_test("v8")
    container = {"name": "server", "image": IMAGE + "8" * 64}
    template = {"metadata": {"labels": {"proxy.example.com/inject": "true"}}, "spec": {"containers": [container]}}
    await clusters.prod.delete(MODEL_VERSIONS, f"{MODEL}-v8")
    await clusters.prod.give("v8", replicas=4, template=template)
    result = clusters.evidence("v8")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "spec.serving.template.metadata.labels differs" in result.stderr
