"""What helm makes of the chart, from values."""

import json
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from cluster import binaries

CHART = Path(__file__).parents[3] / "charts" / "modelward"


def rendered(**values: Any) -> list[dict[str, Any]]:
    """Every object; values by their path, with two underscores for a dot: `rbac__create=False`."""
    return [dict(manifest) for manifest in yaml.safe_load_all(_template(_flags(values)))]


def objects(kind: str, **values: Any) -> list[dict[str, Any]]:
    return [manifest for manifest in rendered(**values) if manifest["kind"] == kind]


def only(kind: str, **values: Any) -> dict[str, Any]:
    (found,) = objects(kind, **values)
    return found


def refusal(**values: Any) -> str:
    """What helm says to values that the chart does not take."""
    try:
        _template(_flags(values))
    except subprocess.CalledProcessError as error:
        return str(error.stderr)
    raise AssertionError(f"helm took {values}")


def _flags(values: dict[str, Any]) -> tuple[str, ...]:
    return tuple(f"--set-json={name.replace('__', '.')}={json.dumps(value)}" for name, value in values.items())


@cache
def _template(flags: Sequence[str]) -> str:
    helm = [str(binaries.path("helm")), "template", "modelward", str(CHART), "--namespace", "modelward"]
    render = [*helm, "--kube-version", binaries.KUBERNETES_VERSION, *flags]
    return subprocess.run(render, check=True, capture_output=True, text=True, timeout=60).stdout
