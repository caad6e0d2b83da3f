"""What of a build context an image can depend on, as one key."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from cluster.binaries import digest


def key(context: Path, recipe: Path, *others: str) -> str:
    """Changes with any file that the build could copy, its mode, the recipe, and whatever else is named."""
    ignored = ignore_rules(context)
    parts = [recipe.read_bytes(), *(other.encode() for other in others)]
    for path in _files(context, ignored):
        parts.append(str(path.relative_to(context)).encode())
        parts.append(b"x" if os.access(path, os.X_OK) else b"-")
        parts.append(str(path.readlink()).encode() if path.is_symlink() else path.read_bytes())
    return digest(*parts)


class IgnoreRules:
    """The patterns of a .dockerignore file, of which the last that matches decides."""

    def __init__(self, lines: list[str]) -> None:
        stripped = [line.strip() for line in lines]
        self._rules = [
            (line.startswith("!"), _expression(line.lstrip("!").strip("/")))
            for line in stripped
            if line and not line.startswith("#")
        ]

    @property
    def has_exceptions(self) -> bool:
        return any(kept for kept, _ in self._rules)

    def match(self, path: str) -> bool:
        ignored = False
        for kept, expression in self._rules:
            if expression.fullmatch(path):
                ignored = not kept
        return ignored


def ignore_rules(context: Path) -> IgnoreRules:
    file = context / ".dockerignore"
    return IgnoreRules(file.read_text().splitlines() if file.exists() else [])


def _files(context: Path, ignored: IgnoreRules) -> Iterator[Path]:
    for folder, folders, files in os.walk(context):
        here = Path(folder)
        relative = here.relative_to(context)
        # A folder that is ignored may still hold an exception, so it can only be left out when there are none.
        folders[:] = sorted(
            name for name in folders if ignored.has_exceptions or not ignored.match(str(relative / name))
        )
        links = [name for name in folders if (here / name).is_symlink()]
        for name in sorted([*files, *links]):
            if not ignored.match(str(relative / name)):
                yield here / name


def _expression(pattern: str) -> re.Pattern[str]:
    """A pattern names a file or folder, and with it everything below."""
    translated = ""
    for piece in re.split(r"(\*\*/|\*\*|\*|\?)", pattern):
        translated += {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(piece, re.escape(piece))
    return re.compile(f"{translated}(?:/.*)?")
