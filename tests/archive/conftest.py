from collections.abc import Iterator

import pytest

from tests.archive import servers


@pytest.fixture(scope="session")
def object_storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.ObjectStorage]:
    with servers.object_storage(tmp_path_factory.mktemp("object-storage")) as storage:
        yield storage


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Postgres]:
    with servers.postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server
