"""The kubelet's control groups: the only thing of the cluster that its namespaces do not take with them."""

from __future__ import annotations

from pathlib import Path

from cluster.processes import Failure, wait_until

_MOUNTED_AT = Path("/sys/fs/cgroup")
_GROUP = "kubepods"


def leftovers() -> list[Path]:
    """One for each hierarchy of version 1, or the one of version 2."""
    return [group for group in (_MOUNTED_AT / _GROUP, *_MOUNTED_AT.glob(f"*/{_GROUP}")) if group.is_dir()]


def remove() -> None:
    """The processes in them are dead already, but the kernel may take a moment to notice."""
    wait_until(_all_removed, f"the removal of the {_GROUP} control groups", seconds=60)


def _all_removed() -> bool:
    for group in leftovers():
        # Deepest first: a group can only be removed when it has no children.
        for folder in sorted((found for found in group.rglob("*") if found.is_dir()), reverse=True):
            _remove(folder)
        _remove(group)
    return not leftovers()


def _remove(folder: Path) -> None:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return
    except PermissionError as refused:
        raise Failure(f"{folder} cannot be removed: {refused}") from refused
    except OSError:  # busy: asked again
        return
