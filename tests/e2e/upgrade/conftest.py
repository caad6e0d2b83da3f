"""The release before this source, and the way back to this source afterwards."""

from collections.abc import AsyncIterator

import pytest

from cluster import images
from examples.tumor_screening.environment import Environment
from tests.e2e.installed import CHARTS, Installed, borrowed, skip_beside_others
from tests.e2e.kubectl import Kubectl
from tests.e2e.upgrade.release import Release, previous_release


@pytest.fixture(autouse=True, scope="session")
def _alone() -> None:
    skip_beside_others()


@pytest.fixture(scope="session")
def present(environment: Environment) -> Release:
    return Release("this source", CHARTS, environment.operator_image)


@pytest.fixture(scope="session")
def previous(
    request: pytest.FixtureRequest, environment: Environment, tmp_path_factory: pytest.TempPathFactory
) -> Release:
    """What somebody runs who has not upgraded yet. Which source that is, is said in the output."""
    if not environment.is_local:
        pytest.skip("builds an image for the local cluster")
    release = previous_release(tmp_path_factory.mktemp("previous"))
    images.load([release.image])
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(f"  upgrading from {release.name}")
    return release


@pytest.fixture
async def installed(_alone: None, environment: Environment, kubectl: Kubectl) -> AsyncIterator[Installed]:
    async with borrowed(environment, kubectl) as here:
        yield here
