"""An API server of its own for what people may decide: with the chart's admission policies, and with real users.

The policies are cluster-wide and would refuse what the tests of other folders write as the operator, so this server is not
theirs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from cluster import certificates
from tests.api.conftest import running
from tests.api.governance.people import OPERATOR, Guarded, Person, install


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """The server, with everything of the chart that is cluster-wide but the operator's own rights; one for the session."""
    with guarding(tmp_path_factory.mktemp("people"), tmp_path_factory.mktemp("guarded")) as world:
        yield world


@contextmanager
def guarding(folder: Path, data: Path) -> Iterator[Guarded]:
    """A server that keeps what people have in one folder and everything else in another."""
    authority = certificates.Authority()
    trusted = folder / "people.crt"
    trusted.write_bytes(authority.own_certificate().public_bytes(serialization.Encoding.PEM))
    with running(data, f"--client-ca-file={trusted}") as server:
        world = Guarded(server, folder, authority)
        install(world)
        yield world


@pytest.fixture
def namespace(guarded: Guarded) -> str:
    return guarded.server.namespace()


@pytest.fixture(scope="session")
def operator(guarded: Guarded) -> Person:
    return operator_of(guarded)


def operator_of(guarded: Guarded) -> Person:
    """The operator's account, with the rights on its own kinds; its name is what the policies know it by."""
    person = guarded.person(OPERATOR, "system:serviceaccounts")
    guarded.bind_everywhere(person, "modelward")
    return person


@pytest.fixture
def namespace_controller(guarded: Guarded) -> Person:
    person = guarded.person("system:serviceaccount:kube-system:namespace-controller", "system:serviceaccounts")
    guarded.bind_everywhere(person, "system:controller:namespace-controller")
    return person
