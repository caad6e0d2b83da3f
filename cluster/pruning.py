"""Makes room in the cache: builds of images that newer ones have replaced, their layers, and environments of dead checkouts.

Tags name their content, so that every change brings a new image of the same name. A build is kept while it is one of the newest of its
name, while it is fresh (whoever built it may be about to load it), and while something in the cluster names it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster import paths

KEPT = 2
"""Builds of each name."""
FRESH_SECONDS = 3600.0
_DAY = 24 * 3600.0


@dataclass(frozen=True)
class Build:
    """An image that was built: its full name, and when, in Unix seconds."""

    reference: str
    at: float

    @property
    def name(self) -> str:
        return self.reference.rpartition(":")[0]


def superseded(builds: Sequence[Build], in_use: Collection[str], now: float) -> list[str]:
    """Those that can go, oldest first."""
    newest: dict[str, int] = {}
    gone: list[str] = []
    for build in sorted(builds, key=lambda each: -each.at):
        newest[build.name] = newest.get(build.name, 0) + 1
        if newest[build.name] > KEPT and build.reference not in in_use and now - build.at > FRESH_SECONDS:
            gone.append(build.reference)
    return gone[::-1]


def dead_environments(now: float) -> list[Path]:
    """Virtual environments whose checkout is gone, or has had a newer one for more than a day."""
    newest: dict[str, float] = {}
    found: list[tuple[Path, str, float]] = []
    for ready in paths.cache().glob("venv-*/.ready"):
        checkout, at = _checkout_of(ready.parent), ready.stat().st_mtime
        newest[checkout] = max(newest.get(checkout, 0.0), at)
        found.append((ready.parent, checkout, at))
    return [
        folder
        for folder, checkout, at in found
        if checkout
        if not Path(checkout).exists() or (at < newest[checkout] and now - newest[checkout] > _DAY)
    ]


def size_of(path: Path) -> int:
    """Bytes on disk of all in a folder, which may change meanwhile: what goes away just then is not counted."""
    return sum(_blocks(Path(folder) / file) for folder, _, files in os.walk(path) for file in files)


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def images_named(text: str) -> set[str]:
    """Every image that is named in JSON from the API server."""
    return set(re.findall(r'"image(?:ID)?":\s*"([^"]+)"', text))


def _checkout_of(environment: Path) -> str:
    """The folder that an editable installation points into; empty where that cannot be told."""
    for pointer in environment.glob("lib/python*/site-packages/_modelward.pth"):
        lines = pointer.read_text().splitlines()
        return lines[0].strip() if lines else ""
    return ""


def _blocks(file: Path) -> int:
    try:
        return file.lstat().st_blocks * 512
    except FileNotFoundError:
        return 0
