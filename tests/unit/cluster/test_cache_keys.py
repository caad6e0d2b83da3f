"""A changed pin or context is built again, and nothing else is."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from cluster import binaries, contexts, paths
from cluster.binaries import GoProgram


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GoProgram:
    monkeypatch.setattr(paths, "TOOL_MODULES", tmp_path)
    monkeypatch.setattr(binaries, "go_version", lambda: "go1.26.8\nlinux\namd64")
    for module in ("one", "other"):
        folder = tmp_path / module
        folder.mkdir()
        (folder / "go.mod").write_text("require example.com/a v1.0.0\n")
        (folder / "go.sum").write_text("example.com/a v1.0.0 h1:x\n")
    return GoProgram("a", "one", "example.com/a/cmd/a")


def test_the_same_pins_give_the_same_key(program: GoProgram) -> None:
    assert binaries.key(program) == binaries.key(dataclasses.replace(program))


def test_a_changed_pin_changes_its_own_key_and_no_other(program: GoProgram) -> None:
    other = dataclasses.replace(program, module="other")
    before, other_before = binaries.key(program), binaries.key(other)
    (program.folder / "go.mod").write_text("require example.com/a v1.0.1\n")
    assert binaries.key(program) != before
    assert binaries.key(other) == other_before


def test_a_changed_source_of_our_own_changes_its_key_and_no_other(program: GoProgram) -> None:
    other = dataclasses.replace(program, module="other")
    source = program.folder / "main.go"
    source.write_text("package main\n")
    before, other_before = binaries.key(program), binaries.key(other)
    source.write_text("package main\n\nfunc main() {}\n")
    assert binaries.key(program) != before
    assert binaries.key(other) == other_before


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"linker_flags": "-s"}, id="linker flags"),
        pytest.param({"tags": "small"}, id="build tags"),
        pytest.param({"package": "example.com/a/cmd/b"}, id="package"),
    ],
)
def test_a_changed_build_changes_the_key(program: GoProgram, change: dict[str, Any]) -> None:
    assert binaries.key(dataclasses.replace(program, **change)) != binaries.key(program)


def test_another_version_of_go_changes_the_key(program: GoProgram, monkeypatch: pytest.MonkeyPatch) -> None:
    before = binaries.key(program)
    monkeypatch.setattr(binaries, "go_version", lambda: "go1.27.0\nlinux\namd64")
    assert binaries.key(program) != before


def test_moving_a_byte_between_two_parts_changes_a_digest() -> None:
    assert binaries.digest(b"ab", b"c") != binaries.digest(b"a", b"bc")


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY source /\n")
    (tmp_path / ".dockerignore").write_text("# what no image needs\n*\n!source\n**/*.pyc\n")
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "main.py").write_text("print()\n")
    (tmp_path / "notes.md").write_text("one\n")
    return tmp_path


def _context_key(context: Path) -> str:
    return contexts.key(context, context / "Dockerfile")


@pytest.mark.parametrize("file", ["source/main.py", "source/deep/new.py", "Dockerfile"])
def test_a_file_that_may_be_copied_changes_the_key(context: Path, file: str) -> None:
    before = _context_key(context)
    (context / file).parent.mkdir(exist_ok=True)
    (context / file).write_text("changed\n")
    assert _context_key(context) != before


@pytest.mark.parametrize("file", ["notes.md", "other/deep/file", "source/main.pyc", "source/deep/x.pyc"])
def test_an_ignored_file_does_not_change_the_key(context: Path, file: str) -> None:
    before = _context_key(context)
    (context / file).parent.mkdir(exist_ok=True, parents=True)
    (context / file).write_text("changed\n")
    assert _context_key(context) == before


def test_a_file_that_becomes_executable_changes_the_key(context: Path) -> None:
    before = _context_key(context)
    (context / "source" / "main.py").chmod(0o755)
    assert _context_key(context) != before
