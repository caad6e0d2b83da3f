"""The trained versions, once for all tests of the example."""

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from examples.tumor_screening import train
from examples.tumor_screening.server import load, serving
from modelward.instrument import Monitor

Client = Callable[..., TestClient]


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifacts")
    train.write(folder)
    return folder


@pytest.fixture
def client(artifacts: Path) -> Client:
    """A client of one version's server; settings are its pod's environment."""

    def of(version: str, **environment: str) -> TestClient:
        monitor = Monitor.from_baseline(artifacts / version / "baseline.json", model="tumor-screening", version=version)
        application = serving(load(artifacts / version, monitor, environment))
        application.mount("/metrics", monitor.asgi_app())
        return TestClient(application)

    return of
