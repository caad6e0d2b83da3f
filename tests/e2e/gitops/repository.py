"""A Git repository as a team has it: a working tree, and the bare one that Argo CD reads."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

BRANCH = "main"
_AUTHOR = {"name": "Ada", "email": "ada@example.com"}


@dataclass(frozen=True)
class Repository:
    """Every change is pushed at once.

    Args:
        tree: the working tree.
        url: where the cluster reads it.
    """

    tree: Path
    url: str

    @classmethod
    def made(cls, folder: Path, name: str, url: str) -> "Repository":
        """A new one: the bare `NAME.git` in the folder, which is served at the URL, with a working tree beside it."""
        bare, tree = folder / f"{name}.git", folder / "trees" / name
        _git(folder, "init", "--quiet", "--bare", f"--initial-branch={BRANCH}", str(bare))
        tree.parent.mkdir(exist_ok=True)
        _git(folder, "clone", "--quiet", str(bare), str(tree))
        return cls(tree, f"{url}/{name}.git")

    def commit(self, says: str, *objects: Mapping[str, Any], folder: str = ".") -> str:
        """Write each object to a file of its own, and push; the commit's digest."""
        (self.tree / folder).mkdir(parents=True, exist_ok=True)
        for manifest in objects:
            self._file(manifest, folder).write_text(yaml.safe_dump(dict(manifest), sort_keys=False))
        return self._pushed(says)

    def remove(self, says: str, *objects: Mapping[str, Any], folder: str = ".") -> str:
        """Take the objects' files away, and push; the commit's digest."""
        for manifest in objects:
            self._file(manifest, folder).unlink()
        return self._pushed(says)

    def revert(self, commit: str = "HEAD") -> str:
        """``git revert``, pushed; the new commit's digest."""
        self._git("revert", "--no-edit", commit)
        self._git("push", "--quiet")
        return self._head()

    def _pushed(self, says: str) -> str:
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", f"--message={says}")
        self._git("push", "--quiet", "origin", BRANCH)
        return self._head()

    def _head(self) -> str:
        return self._git("rev-parse", "HEAD").strip()

    def _file(self, manifest: Mapping[str, Any], folder: str) -> Path:
        return self.tree / folder / f"{manifest['kind'].lower()}-{manifest['metadata']['name']}.yaml"

    def _git(self, *words: str) -> str:
        return _git(self.tree, *words)


def _git(folder: Path, *words: str) -> str:
    """git, whatever the machine's own settings are."""
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    people = {f"GIT_{role}_{key.upper()}": value for role in ("AUTHOR", "COMMITTER") for key, value in _AUTHOR.items()}
    environment = {**os.environ, **settings, **people}
    done = subprocess.run(["git", *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, f"git {' '.join(words)}: {done.stderr}"
    return done.stdout
