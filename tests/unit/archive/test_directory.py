"""JSON lines in a directory: killed at any byte, nothing is lost and nothing doubled; changed by hand, it is said."""

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelward.archive.directory import DirectoryExporter
from modelward.archive.exporter import ChainBroken, StorageUnavailable, stored_form
from tests.archive.documents import CHAIN, chained, stored

RECORDS = chained(6)
LINES = [stored_form(record) + b"\n" for record in RECORDS]
WHOLE = b"".join(LINES)
CONFIRMED = len(b"".join(LINES[:3]))


def file_of(root: Path) -> Path:
    return root / "lending" / "credit-risk" / "records.jsonl"


def left_behind(root: Path, content: bytes) -> DirectoryExporter:
    """A directory as a killed operator left it, opened by the next one."""
    file_of(root).parent.mkdir(parents=True, exist_ok=True)
    file_of(root).write_bytes(content)
    return DirectoryExporter(root)


@settings(deadline=None, max_examples=150)
@given(cut=st.integers(CONFIRMED, len(WHOLE)), again=st.integers(0, 3))
async def test_an_operator_killed_at_any_byte_is_followed_by_one_that_loses_and_doubles_nothing(
    tmp_path_factory: pytest.TempPathFactory, cut: int, again: int
) -> None:
    root = tmp_path_factory.mktemp("archive", numbered=True)
    exporter = left_behind(root, WHOLE[:cut])
    whole = WHOLE[:cut].count(b"\n")
    assert await stored(exporter) == RECORDS[:whole]
    head = await exporter.head(CHAIN)
    assert head is not None and head.seq == whole >= 3
    await exporter.append(CHAIN, RECORDS[again:])
    assert file_of(root).read_bytes() == WHOLE
    await exporter.close()


async def test_an_operator_that_is_really_killed_leaves_what_it_confirmed(tmp_path: Path) -> None:
    program = (
        "import asyncio, pathlib, sys\n"
        "from modelward.archive.directory import DirectoryExporter\n"
        "from tests.archive.documents import CHAIN, chained\n"
        "async def write():\n"
        "    exporter = DirectoryExporter(pathlib.Path(sys.argv[1]))\n"
        "    for record in chained(5000):\n"
        "        await exporter.append(CHAIN, [record])\n"
        "        print(record['seq'], flush=True)\n"
        "asyncio.run(write())\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    for _ in range(20):
        confirmed = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    confirmed = max([confirmed, *map(int, writer.stdout.read().split())])
    writer.wait()
    exporter = DirectoryExporter(tmp_path)
    records = chained(confirmed + 5)
    assert await stored(exporter) == records[: len(await stored(exporter))]
    assert len(await stored(exporter)) >= confirmed
    await exporter.append(CHAIN, records)
    assert await stored(exporter) == records
    await exporter.close()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(LINES[0] + b"not a record\n", id="a line that is no JSON"),
        pytest.param(LINES[0] + b"[1]\n", id="a line that is no object"),
        pytest.param(LINES[0] + b"{}\n", id="an object that is no record"),
        pytest.param(LINES[0] + LINES[1].replace(b"e", b"\xff", 1), id="bytes that are no text"),
    ],
)
async def test_a_whole_line_that_is_no_record_is_reported_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    exporter = left_behind(tmp_path, content)
    with pytest.raises(ChainBroken):
        await exporter.append(CHAIN, RECORDS)
    with pytest.raises(ChainBroken):
        await exporter.head(CHAIN)
    assert file_of(tmp_path).read_bytes() == content
    await exporter.close()


async def test_a_full_disk_confirms_nothing_and_leaves_no_half_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = left_behind(tmp_path, LINES[0])
    really_write = os.write

    def until_full(descriptor: int, data: memoryview) -> int:
        if len(data) > 10:
            return really_write(descriptor, data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "write", until_full)
        with pytest.raises(StorageUnavailable, match="No space left"):
            await exporter.append(CHAIN, RECORDS)
    assert file_of(tmp_path).read_bytes() == LINES[0]
    await exporter.append(CHAIN, RECORDS)
    assert file_of(tmp_path).read_bytes() == WHOLE
    await exporter.close()


async def test_a_directory_that_is_not_mounted_is_not_made(tmp_path: Path) -> None:
    exporter = DirectoryExporter(tmp_path / "not-mounted")
    with pytest.raises(StorageUnavailable, match="there is no directory"):
        await exporter.append(CHAIN, RECORDS)
    assert not (tmp_path / "not-mounted").exists()
    await exporter.close()


async def test_file_and_folders_are_synced_before_anything_is_confirmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    really_sync = os.fsync

    def sync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        really_sync(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    exporter = DirectoryExporter(tmp_path)
    await exporter.append(CHAIN, RECORDS)
    folder = file_of(tmp_path).parent
    assert synced == [str(folder), str(folder.parent), str(tmp_path), str(file_of(tmp_path))]
    await exporter.close()


async def test_lines_are_plain_canonical_json(tmp_path: Path) -> None:
    exporter = DirectoryExporter(tmp_path)
    await exporter.append(CHAIN, RECORDS)
    await exporter.anchor(CHAIN, {"seq": 6, "signature": "s"})
    assert [json.loads(line) for line in file_of(tmp_path).read_text().splitlines()] == RECORDS
    assert file_of(tmp_path).with_name("checkpoints.jsonl").read_bytes() == b'{"seq":6,"signature":"s"}\n'
    await exporter.close()


async def test_a_disk_that_hangs_holds_nobody_else_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck, free = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def hang(_: int) -> None:
        loop.call_soon_threadsafe(stuck.set)
        free.wait(10)

    monkeypatch.setattr(os, "fsync", hang)
    exporter = DirectoryExporter(tmp_path)
    writing = asyncio.create_task(exporter.append(CHAIN, RECORDS))
    await asyncio.wait_for(stuck.wait(), 5)
    assert await asyncio.wait_for(asyncio.to_thread(lambda: "others work"), 5) == "others work"
    assert not writing.done()
    free.set()
    await writing
    await exporter.close()
