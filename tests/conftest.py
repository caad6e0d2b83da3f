"""For all layers: what tests call is built before the first of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from cluster import binaries

PROGRAMS: Mapping[str, Sequence[str]] = {
    "unit/charts": ("helm", "kubectl"),
    "unit/deploy": ("krew", "validate-krew-manifest"),
    "unit/examples": ("kubectl",),
    "api": ("kubectl", "helm", "etcd", "kube-apiserver", "kstatus"),
    "sources": ("prometheus", "promtool"),
    "archive": ("helm", "versitygw"),
    "health": ("argocd",),
}
_TESTS = Path(__file__).parent


@pytest.fixture(scope="session", autouse=True)
def _programs(request: pytest.FixtureRequest) -> None:
    """Those of the folders that are run. A first build takes minutes of every processor, and tests have limits of time."""
    folders = {item.path.relative_to(_TESTS) for item in request.session.items}
    for folder, names in PROGRAMS.items():
        if any(path.is_relative_to(folder) for path in folders):
            for name in names:
                binaries.path(name)
