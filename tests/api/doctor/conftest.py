"""An API server of its own with a whole installation, since its admission policies guard what other tests write."""

from collections.abc import Iterator

import pytest

from tests.api.conftest import running
from tests.api.doctor.world import World, install
from tests.api.rollouts.conftest import install_gateway_api


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The installation; whoever breaks something puts it back."""
    with running(tmp_path_factory.mktemp("doctor")) as server:
        install_gateway_api(server)
        yield install(server)
