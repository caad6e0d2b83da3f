"""What docs/how-to/flux.md shows, at the door of an API server that has Flux's own definition of a Kustomization."""

import time

import pytest

from tests.api import flux
from tests.api.conftest import PATIENCE, ApiServer

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GROUP = "/apis/kustomize.toolkit.fluxcd.io/v1"


@pytest.fixture(scope="module")
def with_flux(api_server: ApiServer) -> ApiServer:
    definition = flux.kustomization_definition()
    answer = api_server.apply(f"{DEFINITIONS}/{definition['metadata']['name']}", definition)
    assert answer.accepted, answer.message
    limit = time.monotonic() + PATIENCE
    while api_server.request("GET", f"{GROUP}/kustomizations").code != 200:
        assert time.monotonic() < limit, "Kustomizations are not served"
        time.sleep(0.05)
    api_server.namespace("flux-system")
    return api_server


@pytest.mark.parametrize("name", flux.documented_kustomizations())
def test_a_kustomization_of_the_docs_is_accepted(with_flux: ApiServer, name: str) -> None:
    manifest = flux.documented_kustomizations()[name]
    path = f"{GROUP}/namespaces/flux-system/kustomizations"
    answer = with_flux.request("POST", f"{path}?dryRun=All&fieldValidation=Strict", manifest)
    assert answer.accepted, answer.message


def test_a_mistake_in_one_would_be_found(with_flux: ApiServer) -> None:
    manifest = flux.documented_kustomizations()["models-prod"]
    manifest["spec"]["healthCheckExprs"][0]["curent"] = manifest["spec"]["healthCheckExprs"][0].pop("current")
    path = f"{GROUP}/namespaces/flux-system/kustomizations"
    answer = with_flux.request("POST", f"{path}?dryRun=All&fieldValidation=Strict", manifest)
    assert not answer.accepted
    assert "healthCheckExprs[0].curent" in answer.message


def test_the_library_is_that_of_the_release_whose_definition_is_tested() -> None:
    """Both pins move together."""
    folder = flux.paths.TOOL_MODULES / "kstatus"
    pinned = (folder / "go.mod").read_text(encoding="utf-8")
    release = flux.module_file("go.mod")
    wanted = [line.strip() for line in release.splitlines() if line.strip().startswith("github.com/fluxcd/")]
    ours = [line.strip() for line in pinned.splitlines() if line.strip().startswith("github.com/fluxcd/")]
    assert ours and set(ours) <= set(wanted)
