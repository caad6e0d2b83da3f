"""What the database itself refuses, whoever speaks to it as the operator."""

import re
import secrets
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from modelward.archive.configuration import Postgres
from modelward.archive.exporter import Exporter, StorageUnavailable
from tests.archive import servers
from tests.archive.documents import CHAIN, chained, stored
from tests.archive.test_storages import now, postgres_settings

INSERT = "INSERT INTO modelward_audit_record (namespace, model, seq, hash, prev_hash, document) VALUES "


@pytest.fixture(scope="module")
async def database(postgres: servers.Postgres) -> str:
    """One for all tests that end with the two records that they begin with."""
    name = f"audit{secrets.token_hex(4)}"
    await postgres.database(name)
    return name


@pytest.fixture
async def own_database(postgres: servers.Postgres) -> str:
    name = f"audit{secrets.token_hex(4)}"
    await postgres.database(name)
    return name


async def opened(server: servers.Postgres, directory: Path, database: str, **more: object) -> Exporter:
    return Postgres.model_validate(await postgres_settings(server, directory, database, **more)).open(now)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE modelward_audit_record SET document = '{}'",
        "DELETE FROM modelward_audit_record",
        "TRUNCATE modelward_audit_record, modelward_audit_checkpoint",
        "UPDATE modelward_audit_checkpoint SET seq = 0",
        "DELETE FROM modelward_audit_checkpoint WHERE seq = 1",
        "ALTER TABLE modelward_audit_record DISABLE TRIGGER ALL",
        "DROP TABLE modelward_audit_record CASCADE",
        INSERT + "('lending', 'credit-risk', 2, 'sha256:x', 'sha256:y', '{}') ON CONFLICT (namespace, model, seq) DO UPDATE SET hash = 'z'",
    ],
)  # fmt: skip
async def test_the_operators_role_cannot_change_what_is_stored(
    postgres: servers.Postgres, database: str, tmp_path: Path, statement: str
) -> None:
    exporter = await opened(postgres, tmp_path, database)
    await exporter.append(CHAIN, chained(2))
    await exporter.anchor(CHAIN, {"seq": 1})
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await postgres.execute(database, statement, user="operator")
    assert await stored(exporter) == chained(2)
    await exporter.close()


@pytest.mark.parametrize("statement", ["UPDATE {} SET seq = seq + 1", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
@pytest.mark.parametrize("table", ["modelward_audit_record", "modelward_audit_checkpoint"])
async def test_even_the_owner_of_the_tables_is_refused_unless_the_trigger_is_taken_away(
    postgres: servers.Postgres, database: str, statement: str, table: str
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only ever added"):
        await postgres.execute(database, statement.format(table))


@pytest.mark.parametrize(
    "values",
    [
        pytest.param("('lending', 'credit-risk', 4, 'sha256:x', 'sha256:y', '{}')", id="after a gap"),
        pytest.param("('lending', 'credit-risk', 3, 'sha256:x', 'sha256:y', '{}')", id="another predecessor"),
        pytest.param("('lending', 'credit-risk', 2, 'sha256:x', 'sha256:y', '{}')", id="a number again"),
        pytest.param("('lending', 'credit-risk', 3, 'sha256:x', '', '{}')", id="no predecessor"),
        pytest.param("('lending', 'other', 0, 'sha256:x', '', '{}')", id="number 0"),
    ],
)
async def test_the_database_refuses_a_row_that_does_not_continue_its_chain(
    postgres: servers.Postgres, database: str, tmp_path: Path, values: str
) -> None:
    exporter = await opened(postgres, tmp_path, database)
    await exporter.append(CHAIN, chained(2))
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await postgres.execute(database, INSERT + values, user="operator")
    await exporter.close()


async def test_a_role_that_could_change_records_is_not_taken_for_durable_storage(
    postgres: servers.Postgres, own_database: str, tmp_path: Path
) -> None:
    await postgres.execute(own_database, "GRANT UPDATE ON modelward_audit_record TO operator")
    exporter = await opened(postgres, tmp_path, own_database)
    with pytest.raises(StorageUnavailable, match=r"could change audit records .modelward_audit_record: UPDATE"):
        await exporter.append(CHAIN, chained(1))
    await exporter.close()


async def test_a_database_without_the_tables_says_what_is_missing(postgres: servers.Postgres, tmp_path: Path) -> None:
    name = f"empty{secrets.token_hex(4)}"
    await postgres.execute("postgres", f"CREATE DATABASE {name}")
    exporter = await opened(postgres, tmp_path, name)
    with pytest.raises(StorageUnavailable, match=re.escape('relation "modelward_audit_record" does not exist')):
        await exporter.append(CHAIN, chained(1))
    await exporter.close()


async def test_a_connection_that_the_server_ends_is_replaced(
    postgres: servers.Postgres, own_database: str, tmp_path: Path
) -> None:
    exporter = await opened(postgres, tmp_path, own_database)
    await exporter.append(CHAIN, chained(1))
    await postgres.execute(
        "postgres", f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{own_database}'"
    )
    with suppress(StorageUnavailable):  # unless it was noticed before the connection was used
        await exporter.append(CHAIN, chained(2))
    await exporter.append(CHAIN, chained(2))
    assert await stored(exporter) == chained(2)
    await exporter.close()


async def test_two_thousand_records_are_read_in_order(
    postgres: servers.Postgres, own_database: str, tmp_path: Path
) -> None:
    exporter = await opened(postgres, tmp_path, own_database)
    await exporter.append(CHAIN, chained(2000))
    assert await stored(exporter) == chained(2000)
    await exporter.close()
