"""Flux, as far as it judges objects: its libraries, and the definition of its Kustomization, both from its own Go modules."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from cluster import binaries, paths

MODULE = "github.com/fluxcd/kustomize-controller@v1.9.6"
"""The release whose go.mod has the libraries that cluster/tools/kstatus pins."""
_SUM = "h1:XB+G3A0mky0j5uVHZWv4oSlS2RvZBoNIUhstIvY0JKE="
DOCUMENT = Path(__file__).parents[2] / "docs" / "how-to" / "flux.md"

Object = dict[str, Any]


def judged(objects: Sequence[Object], expressions: Mapping[str, str] | None = None) -> list[str]:
    """How Flux judges objects, by their conditions or by health check expressions: InProgress, Current, Failed or Terminating."""
    asked = json.dumps({"objects": objects, "expressions": expressions})
    command = [str(binaries.path("kstatus"))]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    return [each["status"] for each in json.loads(done.stdout)]


def kustomization_definition() -> Object:
    """The CustomResourceDefinition of Flux's Kustomization."""
    definition: Object = yaml.safe_load(module_file("config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml"))
    return definition


def module_file(name: str) -> str:
    """A file of kustomize-controller's module."""
    download = ["go", "mod", "download", "-json", MODULE]
    folder = paths.TOOL_MODULES / "kstatus"
    done = subprocess.run(download, cwd=folder, check=True, capture_output=True, text=True, timeout=1800)
    found = json.loads(done.stdout)
    assert found["Sum"] == _SUM, f"{MODULE} is not what was pinned: {found['Sum']}"
    return (Path(found["Dir"]) / name).read_text(encoding="utf-8")


def documented_kustomizations() -> dict[str, Object]:
    """Every Kustomization of Flux that the how-to shows, by name."""
    blocks = DOCUMENT.read_text(encoding="utf-8").split("```yaml\n")[1:]
    manifests = [yaml.safe_load(block.partition("```")[0]) for block in blocks]
    return {each["metadata"]["name"]: each for each in manifests}


def documented_expressions() -> dict[str, str]:
    """The health check expressions of the how-to."""
    (check,) = documented_kustomizations()["models-prod"]["spec"]["healthCheckExprs"]
    return {name: text for name, text in check.items() if name in ("current", "failed", "inProgress")}
