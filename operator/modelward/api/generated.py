"""Files that are written from code: written anew, or compared with what is there."""

import difflib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path


def write_or_compare(wanted: Mapping[Path, str], check: bool, superfluous: Iterable[Path] = ()) -> int:
    """Write files and delete the superfluous ones; with `check`, print how they differ instead. The exit code."""
    if check:
        differences = [line for path, text in wanted.items() for line in _difference(path, text)]
        differences += [f"{_shown(path)} is not generated\n" for path in sorted(superfluous)]
        sys.stdout.writelines(differences)
        return 1 if differences else 0
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for path in superfluous:
        path.unlink()
    return 0


def _difference(path: Path, text: str) -> list[str]:
    found = path.read_text(encoding="utf-8") if path.exists() else ""
    return list(difflib.unified_diff(found.splitlines(True), text.splitlines(True), _shown(path), "generated"))


def _shown(path: Path) -> str:
    """As whoever started the program would name it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
