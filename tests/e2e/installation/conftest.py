"""Tests of the installation itself: one at a time, and each leaves the operator as it found it."""

from collections.abc import AsyncIterator

import pytest

from examples.tumor_screening.environment import Environment
from tests.e2e.installed import Installed, borrowed, skip_beside_others
from tests.e2e.kubectl import Kubectl


@pytest.fixture(autouse=True, scope="session")
def _alone() -> None:
    skip_beside_others()


@pytest.fixture(scope="module")
async def installed(_alone: None, environment: Environment, kubectl: Kubectl) -> AsyncIterator[Installed]:
    """The operator; a module may install it with other values."""
    async with borrowed(environment, kubectl) as here:
        yield here
