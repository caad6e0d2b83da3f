"""YAML files as documents that remember where each of their values stands.

PyYAML's nodes carry those places; ruamel.yaml keeps them too, but is several times slower, and its round trip is not
needed. Values are made as kubectl makes them: what looks like a day stays text, and a key that is there twice is an error.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os.path import normpath
from pathlib import Path, PurePath
from typing import Any

import yaml

from modelward.manifests.finding import Finding, Place, Rule, Severity

LARGEST_FILE = 4 * 1024 * 1024
MOST_FILES = 10_000
MOST_VALUES = 200_000
DEEPEST = 100
_SUFFIXES = (".yaml", ".yml", ".json")

ValuePath = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """One document of a file."""

    content: dict[str, Any]
    places: Mapping[ValuePath, Place] = field(repr=False)

    @property
    def kind(self) -> str:
        return str(self.content.get("kind") or "")

    @property
    def api_version(self) -> str:
        return str(self.content.get("apiVersion") or "")

    @property
    def name(self) -> str:
        metadata = self.content.get("metadata")
        return str(metadata.get("name") or "") if isinstance(metadata, dict) else ""

    def place(self, path: Sequence[str | int] = ()) -> Place:
        """Where a value stands; of one that is missing, where the nearest value around it does."""
        wanted = tuple(path)
        while wanted and wanted not in self.places:
            wanted = wanted[:-1]
        return self.places[wanted]


@dataclass(frozen=True)
class Read:
    """What was found in files: documents, and what could not be read."""

    documents: tuple[Document, ...]
    findings: tuple[Finding, ...]

    def __add__(self, other: "Read") -> "Read":
        return Read((*self.documents, *other.documents), (*self.findings, *other.findings))


class TooMuch(Exception):
    """The input is larger than what is read; the message names the limit."""


class _Refused(Exception):
    def __init__(self, mark: yaml.Mark, message: str) -> None:
        super().__init__(message)
        self.mark = mark
        self.message = message


class _Loader(yaml.CSafeLoader):
    """Leaves days as text, as kubectl does."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def files_in(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The files that are named, and those below the folders that are named, apart from hidden ones.

    Raises:
        TooMuch: there are more than MOST_FILES.
    """
    found: list[Path] = []
    for path in paths:
        found += [path] if not path.is_dir() else _below(path)
        if len(found) > MOST_FILES:
            raise TooMuch(
                f"there are more than {MOST_FILES} files below {path}: name the folder that has the manifests"
            )
    return tuple(dict.fromkeys(found))


def read_files(paths: Sequence[Path]) -> Read:
    """All documents of files; a file that cannot be read is a finding, and so is a template, which is left out."""
    read = Read((), ())
    for path in paths:
        read += read_file(path)
    return _without_patches(read)


def read_file(path: Path) -> Read:
    """The documents of one file."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            limit = f"the file is larger than {LARGEST_FILE // 1024 // 1024} MiB: split it"
            return Read((), (Finding(Place(str(path)), "", limit, Rule.YAML),))
        text = path.read_text("utf-8")
    except OSError as error:
        return Read((), (Finding(Place(str(path)), "", f"cannot be read: {error.strerror}", Rule.YAML),))
    except UnicodeDecodeError:
        return Read((), (Finding(Place(str(path)), "", "is not UTF-8: save it as UTF-8", Rule.YAML),))
    return read_text(text, str(path))


def read_text(text: str, name: str) -> Read:
    """The documents of a text, and what is wrong with it as YAML."""
    try:
        nodes = list(yaml.compose_all(text, Loader=_Loader))
        found = [_document(node, name) for node in nodes if node is not None]
    except _Refused as refused:
        return Read((), (_unreadable(text, name, refused.mark, refused.message),))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = getattr(error, "problem", None) or str(error) or "it is nested too deeply"
        return Read(
            (), (_unreadable(text, name, getattr(error, "problem_mark", None), f"is not YAML: {problem}: correct it"),)
        )
    return Read(tuple(document for document in found if document is not None), ())


def _below(folder: Path) -> list[Path]:
    found: list[Path] = []
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.suffix in _SUFFIXES and path.is_file():
            found.append(path)
            if len(found) > MOST_FILES:
                break
    return found


def _unreadable(text: str, name: str, mark: yaml.Mark | None, message: str) -> Finding:
    place = _place(name, mark) if mark else Place(name)
    if "{{" not in text:
        return Finding(place, "", message, Rule.YAML)
    template = "is a template, not plain YAML, and was left out: check what it renders, as in `helm template . | modelward lint -`"
    return Finding(place, "", template, Rule.NOT_JUDGED, Severity.WARNING)


def _document(node: yaml.Node, name: str) -> Document | None:
    places: dict[ValuePath, Place] = {(): _place(name, node.start_mark)}
    content = _Values(name, places).value(node, (), 0)
    return Document(content, places) if isinstance(content, dict) else None


class _Values:
    """Makes the values of a document and notes their places. Aliases are counted as often as they are written out."""

    def __init__(self, name: str, places: dict[ValuePath, Place]) -> None:
        self._name = name
        self._places = places
        self._constructor = yaml.constructor.SafeConstructor()
        self._count = 0
        self._flattened: set[int] = set()

    def value(self, node: yaml.Node, path: ValuePath, depth: int) -> Any:
        self._count += 1
        if self._count > MOST_VALUES or depth > DEEPEST:
            raise _Refused(node.start_mark, "has too many values, or nests them too deeply: write it flatter")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return self._sequence(node, path, depth)
        try:
            return self._constructor.construct_object(node)
        except yaml.YAMLError as error:
            raise _Refused(node.start_mark, f"has a value that no manifest can have: {error}") from error

    def _mapping(self, node: yaml.MappingNode, path: ValuePath, depth: int) -> dict[str, Any]:
        if id(node) not in self._flattened:
            self._refuse_a_key_twice(node)
            self._constructor.flatten_mapping(node)
            self._flattened.add(id(node))
        result: dict[str, Any] = {}
        for key, child in node.value:
            name = self._key(key)
            # A key that was merged in (<<) comes first, and the mapping's own wins.
            self._places[(*path, name)] = _place(self._name, key.start_mark)
            result[name] = self.value(child, (*path, name), depth + 1)
        return result

    def _sequence(self, node: yaml.SequenceNode, path: ValuePath, depth: int) -> list[Any]:
        result = []
        for index, child in enumerate(node.value):
            self._places[(*path, index)] = _place(self._name, child.start_mark)
            result.append(self.value(child, (*path, index), depth + 1))
        return result

    def _refuse_a_key_twice(self, node: yaml.MappingNode) -> None:
        seen: set[str] = set()
        for key, _ in node.value:
            name = self._key(key)
            if name in seen and name != "<<":
                raise _Refused(key.start_mark, f"has the key {name} twice: keep one of them")
            seen.add(name)

    def _key(self, key: yaml.Node) -> str:
        if not isinstance(key, yaml.ScalarNode):
            raise _Refused(key.start_mark, "has a key that is no text: write it as text")
        return str(key.value)


def _place(name: str, mark: yaml.Mark) -> Place:
    return Place(name, mark.line + 1, mark.column + 1)


def _without_patches(read: Read) -> Read:
    """Without the files that a kustomization names as patches: they are parts of objects."""
    patches = {path: where for document in read.documents for path, where in _patches(document)}
    skipped = {file for document in read.documents if normpath(file := document.place().file) in patches}
    left_out = tuple(
        Finding(
            Place(file),
            "",
            f"is a patch of {patches[normpath(file)]} and was left out: check what it makes, as in `kustomize build . | modelward lint -`",
            Rule.NOT_JUDGED,
            Severity.WARNING,
        )
        for file in sorted(skipped)
    )
    kept = tuple(document for document in read.documents if document.place().file not in skipped)
    return Read(kept, (*read.findings, *left_out))


def _patches(document: Document) -> Iterator[tuple[str, str]]:
    file = PurePath(document.place().file)
    if file.name not in ("kustomization.yaml", "kustomization.yml", "Kustomization"):
        return
    patches = document.content.get("patches")
    strategic = document.content.get("patchesStrategicMerge")
    named = [patch.get("path") for patch in patches if isinstance(patch, dict)] if isinstance(patches, list) else []
    named += strategic if isinstance(strategic, list) else []
    for path in named:
        if isinstance(path, str) and "\n" not in path:
            yield normpath(file.parent / path), str(file)
