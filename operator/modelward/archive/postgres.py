"""PostgreSQL: one row for each record, which the operator's role may add and read, and nothing else.

asyncpg rather than psycopg: one wheel without libpq, and TLS from Python's own ssl, as everywhere else in the operator.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import asyncpg

from modelward.archive.credentials import Certificates, text_of
from modelward.archive.exporter import (
    Chain,
    Document,
    StorageUnavailable,
    continuation,
    head_of,
    stored_form,
)
from modelward.governance.chain import Head

_ROWS_AT_ONCE = 500
_TABLES = ("modelward_audit_record", "modelward_audit_checkpoint")
_RIGHTS_TOO_MANY = """
SELECT table_name || ': ' || right_name
FROM unnest($1::text[]) AS table_name, unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) AS right_name
WHERE has_table_privilege(table_name, right_name)
"""


def schema(role: str) -> str:
    """The statements that make the tables, for the operator's role of that name."""
    quoted = '"' + role.replace('"', '""') + '"'
    statements = resources.files("modelward.archive").joinpath("postgres.sql").read_text("utf-8")
    return statements.replace("{role}", quoted)


@dataclass(frozen=True)
class Database:
    """Which database, as whom, and how."""

    host: str
    database: str
    user: str
    password_file: Path
    port: int = 5432
    tls: bool = True
    certificates: Certificates = field(default_factory=Certificates)
    seconds: float = 10.0


class PostgresExporter:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: asyncpg.Connection | None = None
        self._one_at_a_time = asyncio.Lock()

    async def append(self, chain: Chain, documents: Sequence[Document]) -> None:
        async with self._connected() as connection, connection.transaction():
            head = await _head(connection, chain)
            numbers = [head_of(document).seq for document in documents]
            rows = await connection.fetch(
                "SELECT seq, hash FROM modelward_audit_record WHERE namespace = $1 AND model = $2 AND seq = ANY($3)",
                chain.namespace,
                chain.model,
                numbers,
            )
            new = continuation(chain, documents, head, {row["seq"]: row["hash"] for row in rows})
            await connection.executemany(
                "INSERT INTO modelward_audit_record (namespace, model, seq, hash, prev_hash, document) VALUES ($1, $2, $3, $4, $5, $6)",
                [
                    (chain.namespace, chain.model, one["seq"], one["hash"], one["prevHash"], stored_form(one).decode())
                    for one in new
                ],
            )

    async def head(self, chain: Chain) -> Head | None:
        async with self._connected() as connection:
            return await _head(connection, chain)

    async def read(self, chain: Chain, first: int = 1, last: int | None = None) -> AsyncIterator[Document]:
        async for document in self._documents("modelward_audit_record", chain, first, last):
            yield document

    async def anchor(self, chain: Chain, checkpoint: Document) -> None:
        async with self._connected() as connection:
            await connection.execute(
                "INSERT INTO modelward_audit_checkpoint (namespace, model, seq, document) VALUES ($1, $2, $3, $4)"
                " ON CONFLICT DO NOTHING",
                chain.namespace,
                chain.model,
                checkpoint["seq"],
                stored_form(checkpoint).decode(),
            )

    async def checkpoints(self, chain: Chain) -> AsyncIterator[Document]:
        async for document in self._documents("modelward_audit_checkpoint", chain, 1, None):
            yield document

    async def chains(self) -> Sequence[Chain]:
        async with self._connected() as connection:
            # The first record of a chain stands for it, and is found by the index alone.
            rows = await connection.fetch("SELECT namespace, model FROM modelward_audit_record WHERE seq = 1")
            return sorted(Chain(row["namespace"], row["model"]) for row in rows)

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    # Details.

    async def _documents(self, table: str, chain: Chain, first: int, last: int | None) -> AsyncIterator[Document]:
        statement = (
            f"SELECT seq, document FROM {table} WHERE namespace = $1 AND model = $2 AND seq >= $3"
            " AND ($4::bigint IS NULL OR seq <= $4) ORDER BY seq LIMIT $5"
        )
        while True:
            async with self._connected() as connection:
                rows = await connection.fetch(statement, chain.namespace, chain.model, first, last, _ROWS_AT_ONCE)
            for row in rows:
                yield json.loads(row["document"])
            if len(rows) < _ROWS_AT_ONCE:
                return
            first = rows[-1]["seq"] + 1

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncpg.Connection]:
        database = self._database
        where = f"PostgreSQL at {database.host}:{database.port}"
        async with self._one_at_a_time:
            try:
                async with asyncio.timeout(3 * database.seconds):
                    if self._connection is None or self._connection.is_closed():
                        self._connection = await self._connect()
                    yield self._connection
            except TimeoutError as error:
                await self.close()
                raise StorageUnavailable(f"{where} did not answer within {database.seconds:g} s") from error
            except asyncpg.IntegrityConstraintViolationError as error:
                # Another operator wrote the same numbers in between; the next look sees them, and whether they differ.
                raise StorageUnavailable(f"{where} had another writer at the same time: {error}") from error
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                await self.close()
                raise StorageUnavailable(f"{where} cannot be used: {error}") from error

    async def _connect(self) -> asyncpg.Connection:
        database = self._database
        connection = await asyncpg.connect(
            host=database.host,
            port=database.port,
            database=database.database,
            user=database.user,
            password=text_of(database.password_file),
            ssl=database.certificates.context() if database.tls else False,
            timeout=database.seconds,
            command_timeout=database.seconds,
            # A commit answers when it is on disk, whatever the default of the database.
            server_settings={"application_name": "modelward", "synchronous_commit": "on"},
        )
        try:
            await _must_be_durable(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection


async def _must_be_durable(connection: asyncpg.Connection) -> None:
    if await connection.fetchval("SHOW fsync") != "on":
        raise StorageUnavailable("the database runs with fsync = off, so that nothing in it is durable: switch it on")
    excess = await connection.fetch(_RIGHTS_TOO_MANY, list(_TABLES))
    if excess:
        listed = ", ".join(str(row[0]) for row in excess)
        raise StorageUnavailable(
            f"the operator's role could change audit records ({listed}): let another role own the tables, and grant SELECT and INSERT only"
        )


async def _head(connection: asyncpg.Connection, chain: Chain) -> Head | None:
    row: Any = await connection.fetchrow(
        "SELECT seq, hash FROM modelward_audit_record WHERE namespace = $1 AND model = $2 ORDER BY seq DESC LIMIT 1",
        chain.namespace,
        chain.model,
    )
    return None if row is None else Head(row["seq"], row["hash"])
