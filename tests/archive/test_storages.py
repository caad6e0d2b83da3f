"""What every storage of the audit promises, asked of each: a directory, a real S3-compatible server, a real PostgreSQL."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from modelward.archive.configuration import ArchiveInvalid, open_archive
from modelward.archive.exporter import Chain, ChainBroken, Exporter, StorageUnavailable
from modelward.governance.chain import Head
from tests.archive.documents import CHAIN, chained, stored
from tests.archive.servers import REGION
from tests.ports import free_port

Open = Callable[[], Exporter]


def now() -> datetime:
    return datetime.now(UTC)


def secret(directory: Path, name: str, text: str) -> str:
    path = directory / name
    path.write_text(text + "\n")
    return str(path)


async def s3_settings(storage, directory: Path, bucket: str, **more: object) -> dict[str, object]:
    return {
        "endpoint": storage.endpoint,
        "region": REGION,
        "bucket": bucket,
        "prefix": "audit/",
        "accessKeyIDFile": secret(directory, "id", storage.operator.access_key_id),
        "secretAccessKeyFile": secret(directory, "key", storage.operator.secret_access_key),
        "caFile": str(storage.ca_file),
        "lock": {"mode": "COMPLIANCE", "days": 1},
        **more,
    }


async def postgres_settings(server, directory: Path, database: str, **more: object) -> dict[str, object]:
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "database": database,
        "user": "operator",
        "passwordFile": secret(directory, "password", server.operator_password),
        "caFile": str(server.ca_file),
        **more,
    }


def opened(directory: Path, kind: str, settings: dict[str, object]) -> Exporter:
    file = directory / "audit.yaml"
    file.write_text(yaml.safe_dump({kind: settings}))
    return open_archive(file, now).exporter


async def settings_of(kind: str, request: pytest.FixtureRequest, directory: Path) -> dict[str, object]:
    name = f"audit{secrets.token_hex(4)}"
    if kind == "s3":
        storage = request.getfixturevalue("object_storage")
        storage.bucket(name)
        return await s3_settings(storage, directory, name)
    if kind == "postgres":
        server = request.getfixturevalue("postgres")
        await server.database(name)
        return await postgres_settings(server, directory, name)
    (directory / name).mkdir()
    return {"path": str(directory / name)}


@pytest.fixture(params=["directory", "s3", "postgres"])
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Open]:
    """Opens the same empty storage again and again, as operators that come and go do."""
    settings = await settings_of(request.param, request, tmp_path)
    exporters: list[Exporter] = []

    def again() -> Exporter:
        exporters.append(opened(tmp_path, request.param, settings))
        return exporters[-1]

    yield again
    for exporter in exporters:
        await exporter.close()


async def test_an_empty_storage_has_no_head_and_no_chains(storage: Open) -> None:
    exporter = storage()
    assert await exporter.head(CHAIN) is None
    assert await stored(exporter) == []
    assert await exporter.chains() == []


async def test_what_was_appended_is_read_back_by_another_operator(storage: Open) -> None:
    records, other = chained(12), Chain("lending", "credit-risk.v2")
    exporter = storage()
    await exporter.append(CHAIN, records[:5])
    await exporter.append(CHAIN, records[5:])
    await exporter.append(other, chained(1, story="another Model"))
    later = storage()
    assert await later.head(CHAIN) == Head(12, records[-1]["hash"])
    assert await stored(later) == records
    assert [record["seq"] async for record in later.read(CHAIN, 4, 6)] == [4, 5, 6]
    assert await later.chains() == [CHAIN, other]


async def test_a_repeated_append_doubles_nothing(storage: Open) -> None:
    records = chained(6)
    await storage().append(CHAIN, records[:4])
    again = storage()
    await again.append(CHAIN, records[:4])
    await again.append(CHAIN, records[2:])
    await again.append(CHAIN, [])
    assert await stored(again) == records


async def test_two_operators_that_append_at_once_make_one_chain(storage: Open) -> None:
    records = chained(10)

    async def append() -> None:
        exporter = storage()
        while True:
            try:
                return await exporter.append(CHAIN, records)
            except StorageUnavailable:  # the other one was faster
                continue

    async with asyncio.timeout(180):
        await asyncio.gather(append(), append())
    assert await stored(storage()) == records


async def test_of_two_operators_with_different_histories_one_is_refused(storage: Open) -> None:
    async def append(story: str) -> str:
        exporter = storage()
        while True:
            try:
                await exporter.append(CHAIN, chained(3, story=story))
            except StorageUnavailable:  # the other one was faster
                continue
            except ChainBroken:
                return "refused"
            return story

    async with asyncio.timeout(180):
        ended = await asyncio.gather(append("one"), append("another"))
    (story,) = set(ended) - {"refused"}
    assert sorted(ended) == sorted([story, "refused"])
    assert await stored(storage()) == chained(3, story=story)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        pytest.param(chained(4, story="as somebody would like it"), "one of the two was changed", id="another history"),
        pytest.param(chained(2, after=(6, chained(6)[-1]["hash"])), "ends with record 4", id="a gap"),
        pytest.param(chained(1, after=(4, "sha256:0")), "as its predecessor", id="a record that follows another one"),
        pytest.param(chained(6)[:4] + chained(6)[5:], "record 6 is next", id="a record left out of a batch"),
        pytest.param([{"seq": 5, "prevHash": chained(4)[-1]["hash"]}], "no seq and hash", id="a record without a hash"),
    ],
)
async def test_what_does_not_continue_the_chain_is_refused_and_changes_nothing(storage: Open, wrong, sentence) -> None:
    records = chained(4)
    exporter = storage()
    await exporter.append(CHAIN, records)
    with pytest.raises(ChainBroken, match=sentence):
        await exporter.append(CHAIN, wrong)
    assert await stored(exporter) == records
    await exporter.append(CHAIN, chained(5))
    assert await stored(storage()) == chained(5)


async def test_an_empty_storage_takes_no_chain_whose_beginning_is_missing(storage: Open) -> None:
    with pytest.raises(ChainBroken, match="the storage is empty and record 3 is next"):
        await storage().append(CHAIN, chained(5)[2:])


async def test_of_two_checkpoints_of_a_number_the_first_is_kept(storage: Open) -> None:
    exporter = storage()
    first, second, third = ({"seq": seq, "signature": text} for seq, text in ((3, "a"), (3, "b"), (9, "c")))
    for checkpoint in (first, second, third):
        await exporter.anchor(CHAIN, checkpoint)
    for checkpoint in (third, second):
        await storage().anchor(CHAIN, checkpoint)
    assert [checkpoint async for checkpoint in storage().checkpoints(CHAIN)] == [first, third]


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "a\0", "Über", "a" * 300, "-a", "a\n"])
def test_names_that_would_leave_the_place_of_a_chain_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not the name"):
        Chain("lending", name)
    with pytest.raises(ValueError, match="is not the name"):
        Chain(name, "credit-risk")


@pytest.mark.parametrize("kind", ["s3", "postgres"])
async def test_a_server_that_is_down_is_said_and_used_again_when_it_is_back(kind, request, tmp_path: Path) -> None:
    settings = await settings_of(kind, request, tmp_path)
    exporter = opened(tmp_path, kind, settings)
    await exporter.append(CHAIN, chained(2))
    elsewhere = {"endpoint": f"https://127.0.0.1:{free_port()}"} if kind == "s3" else {"port": free_port()}
    down = opened(tmp_path, kind, settings | elsewhere)
    with pytest.raises(StorageUnavailable):
        await down.append(CHAIN, chained(3))
    await exporter.append(CHAIN, chained(3))
    assert await stored(exporter) == chained(3)
    await exporter.close()
    await down.close()


@pytest.mark.parametrize("kind", ["s3", "postgres"])
async def test_wrong_credentials_are_refused_without_being_shown(kind, request, tmp_path: Path) -> None:
    settings = await settings_of(kind, request, tmp_path)
    wrong = secret(tmp_path, "wrong", "not-the-secret")
    field = "secretAccessKeyFile" if kind == "s3" else "passwordFile"
    exporter = opened(tmp_path, kind, settings | {field: wrong})
    with pytest.raises(StorageUnavailable) as refusal:
        await exporter.append(CHAIN, chained(1))
    assert "not-the-secret" not in str(refusal.value)
    # Read anew at every use, since secrets rotate.
    Path(wrong).write_text(Path(str(settings[field])).read_text())
    await exporter.append(CHAIN, chained(1))
    await exporter.close()


@pytest.mark.parametrize("kind", ["s3", "postgres"])
async def test_a_server_of_an_unknown_authority_gets_nothing(kind, request, tmp_path: Path) -> None:
    settings = await settings_of(kind, request, tmp_path)
    exporter = opened(tmp_path, kind, {key: value for key, value in settings.items() if key != "caFile"})
    with pytest.raises(StorageUnavailable, match=r"(?i)certificate"):
        await exporter.append(CHAIN, chained(1))
    await exporter.close()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("{}", "exactly one of directory, s3 and postgres", id="no storage"),
        pytest.param("{directory: {path: /a}, postgres: {host: h, database: d, user: u, passwordFile: /p}}", "exactly one", id="two"),
        pytest.param("{directory: {path: /a, sync: false}}", "sync", id="a field that does not exist"),
        pytest.param("{s3: {endpoint: 'https://s3', bucket: audit, accessKeyIDFile: /a, secretAccessKeyFile: /b}}", "lock", id="no lock"),
        pytest.param("[", "audit.yaml", id="no YAML"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_meant_is_refused_with_a_reason(text: str, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "audit.yaml"
    file.write_text(text)
    with pytest.raises(ArchiveInvalid, match=sentence):
        open_archive(file, now)
