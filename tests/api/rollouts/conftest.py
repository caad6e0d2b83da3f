"""The Gateway API beside the operator's own kinds, and a client for the tests of whole rollouts."""

import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import yaml

from cluster import binaries
from modelward.runtime.kube import KubeClient
from tests.api.conftest import PATIENCE, ApiServer

_KINDS = ("gateways.gateway.networking.k8s.io", "httproutes.gateway.networking.k8s.io")


@pytest.fixture(scope="session")
def gateway_api(api_server: ApiServer) -> ApiServer:
    """The API server with the HTTPRoute and Gateway kinds of the gateway that the local cluster runs."""
    install_gateway_api(api_server)
    return api_server


def install_gateway_api(server: ApiServer) -> None:
    """Install the two kinds, and wait until they are served."""
    manifest = binaries.gateway_chart() / "charts" / "crds" / "crds" / "gatewayapi-crds.yaml"
    definitions = yaml.load_all(manifest.read_text(encoding="utf-8"), yaml.CSafeLoader)
    for definition in definitions:
        if definition and definition["metadata"]["name"] in _KINDS:
            base = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
            answer = server.apply(f"{base}/{definition['metadata']['name']}", definition)
            assert answer.accepted, answer.message
    for kind in _KINDS:
        path = f"/apis/gateway.networking.k8s.io/v1/{kind.partition('.')[0]}"
        limit = time.monotonic() + PATIENCE
        while server.request("GET", path).code != 200:
            assert time.monotonic() < limit, f"{path} is not served"
            time.sleep(0.05)


@pytest_asyncio.fixture(scope="session")
async def kube(gateway_api: ApiServer) -> AsyncIterator[KubeClient]:
    """A client with all rights."""
    async with gateway_api.client("admin") as api:
        yield KubeClient(api, timeout=PATIENCE)
