"""A real Argo CD, with a real Git repository for every test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from cluster import argocd, git_server
from examples.tumor_screening.environment import REPOSITORY, Environment
from tests.e2e.gitops.desk import Desk
from tests.e2e.gitops.repository import Repository
from tests.e2e.scene import Scene

FRAGMENT = REPOSITORY / "deploy" / "argocd" / "argocd-cm.yaml"


@pytest.fixture(scope="session")
def repositories(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder whose repositories the cluster can read, and where."""
    if not environment.is_local:
        pytest.skip("serves Git repositories to the local cluster")
    with git_server.serving(tmp_path_factory.mktemp("repositories")) as server:
        yield server.root, server.url


@pytest.fixture(scope="session")
def argo_cd(environment: Environment) -> None:
    """Installed by the first worker that needs it, with the health checks as docs/how-to/argo-cd.md says."""
    argocd.install()
    merge = ("apply", "--server-side", "--field-manager=modelward-health-checks")
    environment.kubectl(*merge, f"--filename={FRAGMENT}")


@pytest.fixture
async def desk(scene: Scene, argo_cd: None, repositories: tuple[Path, str]) -> AsyncIterator[Desk]:
    """A team at work in the test's namespace, with a repository of its own."""
    folder, url = repositories
    team = Desk(scene, Repository.made(folder, scene.namespace, url))
    yield team
    await team.leave()
