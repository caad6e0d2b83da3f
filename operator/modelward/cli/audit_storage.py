"""`modelward audit copy` and `modelward audit schema`: what a storage of audit records needs from people."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from modelward.archive.configuration import ArchiveInvalid, open_archive
from modelward.archive.directory import DirectoryExporter
from modelward.archive.exporter import Chain, ChainBroken, Document, Exporter, StorageUnavailable
from modelward.cli.audit import audit
from modelward.cli.failure import Failure

_COPIED_AT_ONCE = 200
Source = Annotated[
    Path, typer.Argument(metavar="FROM", help="A directory of JSON lines, or a file that names a storage, as `--audit-export` takes.")
]  # fmt: skip
Target = Annotated[Path, typer.Argument(metavar="TO", help="The same, for where the records go.")]


@audit.command()
def copy(source: Source, target: Target) -> None:
    """Copy all audit records and checkpoints from one storage to another, as they are.

    For a move to another storage, and to bring records out of a bucket or a database for `modelward audit verify --from`. What is there
    already is not written again, so that a copy may be repeated; what differs is refused. Nothing is verified on the way.

    Exit codes: 0 all is there; 1 a storage does not answer, or the target holds something else; 2 the command line is wrong.

    **Examples**

    `mkdir audit && modelward audit copy bucket.yaml audit`

    `modelward audit copy /mnt/audit postgres.yaml`
    """
    try:
        asyncio.run(_copy_all(source, target))
    except (ArchiveInvalid, StorageUnavailable, ChainBroken) as error:
        raise Failure(str(error)) from error


@audit.command()
def schema(
    role: Annotated[str, typer.Argument(metavar="ROLE", help="The operator's role, which must exist and own nothing.")],
) -> None:
    """Print the statements that prepare a PostgreSQL database for audit records.

    They are run once, by a role that is not the operator's: who owns a table can change what is in it.

    Exit codes: 0 printed; 2 the command line is wrong.

    **Examples**

    `modelward audit schema modelward | psql --host postgres.databases audit`
    """
    from modelward.archive.postgres import schema as statements

    typer.echo(statements(role))


async def _copy_all(source_path: Path, target_path: Path) -> None:
    source, target = _opened(source_path), _opened(target_path)
    try:
        for chain in await source.chains():
            count = await _copy(chain, source, target)
            typer.echo(f"{chain}: {count} records")
    finally:
        await source.close()
        await target.close()


async def _copy(chain: Chain, source: Exporter, target: Exporter) -> int:
    count, batch = 0, list[Document]()
    async for document in source.read(chain):
        batch.append(document)
        if len(batch) == _COPIED_AT_ONCE:
            await target.append(chain, batch)
            count, batch = count + len(batch), []
    await target.append(chain, batch)
    async for checkpoint in source.checkpoints(chain):
        await target.anchor(chain, checkpoint)
    return count + len(batch)


def _opened(path: Path) -> Exporter:
    if path.is_dir():
        return DirectoryExporter(path)
    return open_archive(path, lambda: datetime.now(UTC)).exporter
