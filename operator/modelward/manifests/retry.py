"""Raises `spec.production.retry` of a Model in the text of a manifest: one line changes, and comments and layout stay.

ruamel.yaml writes a document anew and keeps most of its layout; here not one character may change beside the number, because
people review the line.
"""

import difflib
import re
from io import StringIO

from modelward.manifests.documents import Document, read_text

_KEY = r"""(?P<quote>["']?){name}(?P=quote)\s*:[ \t]*"""
_VALUE = r"""("[^"\n]*"|'[^'\n]*'|[^\s,}}#]+)"""


class NotEditable(Exception):
    """The text is laid out in a way that takes more than a line; the message says where to write what."""


def raised(text: str, document: Document, retry: int) -> str:
    """The text with the number in it.

    document: the Model, as `read_text` found it in this very text.

    Raises:
        NotEditable: it would take more than a line, or change something else.
    """
    edited = _replaced(text, document, retry) if _has_retry(document) else _inserted(text, document, retry)
    if edited is None or not _is_the_only_change(text, edited, document, retry):
        place = document.place(("spec", "production"))
        raise NotEditable(f"{place} is not laid out line by line: write retry: {retry} below spec.production there")
    return edited


def as_diff(name: str, before: str, after: str) -> str:
    """A unified diff that `git apply` and `patch -p1` read, to which a line ends at a line feed and nowhere else."""
    lines = difflib.unified_diff(_lines(before), _lines(after), f"a/{name}", f"b/{name}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _lines(text: str) -> list[str]:
    return list(StringIO(text, newline="\n"))


def retry_in(document: Document) -> int:
    """What the manifest says; 0 where it says nothing."""
    found = _production(document).get("retry")
    return found if isinstance(found, int) else 0


def version_in(document: Document) -> str | None:
    """The version that the manifest asks for."""
    found = _production(document).get("version")
    return None if found is None else str(found)


def _production(document: Document) -> dict[str, object]:
    spec = document.content.get("spec")
    production = spec.get("production") if isinstance(spec, dict) else None
    return production if isinstance(production, dict) else {}


def _has_retry(document: Document) -> bool:
    return "retry" in _production(document)


def _replaced(text: str, document: Document, retry: int) -> str | None:
    lines = text.splitlines(keepends=True)
    place = document.place(("spec", "production", "retry"))
    head, tail = lines[place.line - 1][: place.column - 1], lines[place.line - 1][place.column - 1 :]
    found = re.match(_KEY.format(name="retry") + r"(?P<number>[0-9]+)", tail)
    if found is None:
        return None
    lines[place.line - 1] = head + tail[: found.start("number")] + str(retry) + tail[found.end("number") :]
    return "".join(lines)


def _inserted(text: str, document: Document, retry: int) -> str | None:
    """Beside the version: on a line below it, or behind it where the mapping is written in braces."""
    if "version" not in _production(document):
        return None
    lines = text.splitlines(keepends=True)
    place = document.place(("spec", "production", "version"))
    line = lines[place.line - 1]
    head, tail = line[: place.column - 1], line[place.column - 1 :]
    found = re.match(_KEY.format(name="version") + _VALUE, tail)
    if found is None:
        return None
    key = f"{found['quote']}retry{found['quote']}"
    if not head.strip():
        ending = line[len(line.rstrip("\r\n")) :] or "\n"
        whole = line if line.endswith(ending) else line + ending
        inserted = f"{head}{key}: {retry}{ending}"
        block = "".join((*lines[: place.line - 1], whole, inserted, *lines[place.line :]))
        if _is_the_only_change(text, block, document, retry):
            return block
    lines[place.line - 1] = head + tail[: found.end()] + f", {key}: {retry}" + tail[found.end() :]
    return "".join(lines)


def _is_the_only_change(before: str, after: str, document: Document, retry: int) -> bool:
    """Does the edited text say the same as before, but for the number?"""
    old, new = read_text(before, ""), read_text(after, "")
    if new.findings or len(old.documents) != len(new.documents):
        return False
    wanted = [each.content for each in old.documents]
    position = [each.place().line for each in old.documents].index(document.place().line)
    spec = dict(wanted[position]["spec"])
    spec["production"] = {**spec["production"], "retry": retry}
    wanted[position] = {**wanted[position], "spec": spec}
    return wanted == [each.content for each in new.documents]
