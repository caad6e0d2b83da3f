"""Manifests that are wrong, or odd, in one place: drawn with a seed from the good ones and their schema."""

import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from tests.manifests import GOOD, Manifest

Path = tuple[str | int, ...]
# What is put in the place of a value, by its type; some of it is as good as what was there.
_OTHERS: dict[type, tuple[Any, ...]] = {
    str: ("", "x" * 5000, "Zz", "has space", "-", "é", "2026-12-01", "1h30m", "1d", 7, True, None, [], {}, ["a"]),
    bool: ("true", 0, 1, None, "yes", []),
    int: (-1, 0, 1, 2.0, 1.5, 101, 70_000, 2_000_000_000, "3", None, True, []),
    float: (-1, 0, 1, 1.5, 20, "0.5", None, True),
    list: ([], {}, "a", None, [None], [{}], [1], ["a", "a"]),
    dict: ({}, [], "a", None, {"surprise": 1}),
}


def mutated(count: int, seed: int) -> Iterator[tuple[str, Manifest]]:
    """Manifests, each with a name that says what was changed."""
    chance = random.Random(seed)
    names = list(GOOD)
    for number in range(count):
        name = names[number % len(names)]
        manifest = deepcopy(GOOD[name])
        paths = list(_paths(manifest["spec"], ("spec",)))
        path = chance.choice(paths) if paths else ("spec",)
        change = chance.choice(_CHANGES)
        said = change(manifest, path, chance)
        yield f"{number}: {name}: {said}", manifest


def _paths(value: Any, path: Path) -> Iterator[Path]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in entries:
        yield (*path, key)
        yield from _paths(child, (*path, key))


def _parent(manifest: Manifest, path: Path) -> Any:
    node: Any = manifest
    for part in path[:-1]:
        node = node[part]
    return node


def _remove(manifest: Manifest, path: Path, chance: random.Random) -> str:
    del _parent(manifest, path)[path[-1]]
    return f"without {path}"


def _replace(manifest: Manifest, path: Path, chance: random.Random) -> str:
    parent = _parent(manifest, path)
    value = chance.choice(_OTHERS.get(type(parent[path[-1]]), (None,)))
    parent[path[-1]] = deepcopy(value)
    return f"{path} = {str(value)[:40]!r}"


def _misspell(manifest: Manifest, path: Path, chance: random.Random) -> str:
    parent = _parent(manifest, path)
    if not isinstance(parent, dict):
        return _repeat(manifest, path, chance)
    key = str(path[-1])
    at = chance.randrange(len(key))
    spelled = key[:at] + key[at + 1 :] or "x"
    parent[spelled] = parent.pop(key)
    return f"{path} spelled {spelled}"


def _repeat(manifest: Manifest, path: Path, chance: random.Random) -> str:
    parent = _parent(manifest, path)
    if not isinstance(parent, list):
        return _replace(manifest, path, chance)
    parent.append(deepcopy(parent[int(path[-1])]))
    return f"{path} twice"


def _reverse(manifest: Manifest, path: Path, chance: random.Random) -> str:
    value = _parent(manifest, path)[path[-1]]
    if not isinstance(value, list):
        return _replace(manifest, path, chance)
    value.reverse()
    return f"{path} reversed"


def _add(manifest: Manifest, path: Path, chance: random.Random) -> str:
    value = _parent(manifest, path)[path[-1]]
    if not isinstance(value, dict):
        return _replace(manifest, path, chance)
    value["surprise"] = chance.choice((1, "a", {}, None))
    return f"{path} with surprise = {value['surprise']!r}"


_CHANGES: tuple[Callable[[Manifest, Path, random.Random], str], ...] = (
    _remove,
    _replace,
    _replace,
    _replace,
    _misspell,
    _repeat,
    _reverse,
    _add,
)
