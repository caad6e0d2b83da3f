"""One repository, a folder for each environment, an Application for each folder: a version is promoted three times, by three commits."""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise

import pytest
import yaml

from examples.tumor_screening.environment import REPOSITORY
from examples.tumor_screening.people import bound
from tests.e2e import policies
from tests.e2e.gitops.application import Application
from tests.e2e.gitops.desk import Desk
from tests.e2e.scene import MODEL, FollowedModel, Manifest, Scene, serving

pytestmark = pytest.mark.xdist_group("argo cd, reverts")

PIPELINE = "pipeline@example.com"
ORDER = ("dev", "test", "prod")
WATCH = "12s"
RIGHTS = REPOSITORY / "examples" / "environments" / "pipeline" / "rights.yaml"


@dataclass
class Environment:
    """A folder, a namespace, and what brings one to the other."""

    name: str
    scene: Scene
    application: Application
    model: FollowedModel


@pytest.fixture
async def scenes(scene: Scene) -> AsyncIterator[dict[str, Scene]]:
    """A namespace for each environment; the last is the test's own."""
    others = {name: Scene(scene.environment, scene.kubectl, f"{scene.namespace}-{name}") for name in ORDER[:-1]}
    for other in others.values():
        await other.open()
    yield {**others, ORDER[-1]: scene}
    for other in others.values():
        await other.close()
    await scene.kubectl("delete", "clusterrole", *(role["metadata"]["name"] for role in _roles()), "--ignore-not-found")


async def test_a_version_is_promoted_from_environment_to_environment(scenes: dict[str, Scene], desk: Desk) -> None:
    """Each time by a commit; test and prod wait for what the environment before has shown of the same build."""
    environments = [environment async for environment in _established(scenes, desk)]
    await _let_the_pipeline_vouch(scenes)
    for before, environment in zip((None, *environments), environments, strict=False):
        _commit(desk, environment.name, environment.scene, "v2", f"Promote v2 in {environment.name}")
        await asyncio.gather(*(each.application.refresh() for each in environments))
        if before is not None:
            gate = f"there is no evaluation environment-{before.name} of v2"
            await environment.model.until_condition("Progressing", "True", "StageRunning", saying=gate)
            await environment.application.until_health("Progressing")
            assert serving(environment.model.status) == "v1"
            await before.model.until_rest("v2")  # its watch is over
            await _vouch(before, environment)
        await environment.application.until_health("Healthy", "v2 serves all traffic")

    served = {each.model.status["production"]["digest"] for each in environments}
    assert len(served) == 1, "the same build in every environment"
    for each in environments:
        assert each.application.disagreements() == []
        # Three commits to the repository, of which each application had two to sync: the first, and its own promotion.
        assert len(each.application.syncs()) == 2


async def _established(scenes: dict[str, Scene], desk: Desk) -> AsyncIterator[Environment]:
    """v1 serves in each, v2 is there and nobody asks for it, and the policies of the later ones ask for the earlier ones."""
    for name, scene in scenes.items():
        await scene.set_policy({}, watch=WATCH)
        _commit(desk, name, scene, "v1", f"Register the model in {name}")
    for name, scene in scenes.items():
        path = {"name": scene.namespace, "path": name, "namespace": scene.namespace}
        application = await desk.apply_application(**path)
        await application.until_health("Healthy", "v1 serves all traffic")
        yield Environment(name, scene, application, await scene.follow())
    for before, name in pairwise(ORDER):
        await scenes[name].set_policy({"validation": {"gates": [_shown_in(before)]}}, watch=WATCH)


def _commit(desk: Desk, folder: str, scene: Scene, version: str, says: str) -> str:
    versions = [scene.version(name) for name in ("v1", "v2")]
    return desk.repository.commit(says, *versions, scene.model(version), folder=folder)


def _shown_in(environment: str) -> policies.Gate:
    read = {"name": f"environment-{environment}", "metric": "watchPassed", "min": 1, "evaluators": [PIPELINE]}
    return {"name": f"watched-in-{environment}", "evaluation": read}


async def _let_the_pipeline_vouch(scenes: dict[str, Scene]) -> None:
    """The rights of examples/environments, in these namespaces."""
    roles = _roles()
    names = [role["metadata"]["name"] for role in roles]
    bindings = [bound(name, scene.namespace, PIPELINE) for scene in scenes.values() for name in names]
    await scenes[ORDER[-1]].kubectl.apply(*roles, *bindings)


def _roles() -> list[Manifest]:
    return [each for each in yaml.safe_load_all(RIGHTS.read_text("utf-8")) if each["kind"] == "ClusterRole"]


async def _vouch(before: Environment, after: Environment) -> None:
    """What the pipeline does when a version has served in one environment and is committed in the next."""
    kubeconfig = after.scene.environment.person(PIPELINE)
    places = ("-n", before.scene.namespace, "--for", after.scene.namespace)
    asked = ("--environment", before.name, "--at-least", "watchPassed=1", "--kubeconfig", str(kubeconfig))
    words = ("-m", "modelward.cli.main", "evidence", MODEL, "--version", "v2", *places, *asked)
    # What it prints, without what it says about it.
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    printed, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    await after.scene.kubectl("create", f"--kubeconfig={kubeconfig}", "--filename=-", given=printed.decode())
