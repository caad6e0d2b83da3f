"""Argo CD's health checks of our kinds, from resource_customizations/ to where users take them.

Argo CD reads them from its ConfigMap `argocd-cm` only. They are written for the chart, whose ConfigMap somebody merges into it, and
as a fragment of `argocd-cm` for kubectl and kustomize. ``python -m deploy.health_checks`` writes both; with ``--check`` it writes
nothing, prints how the files differ, and exits with 1 if they do.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from modelward.api.generated import write_or_compare

REPOSITORY = Path(__file__).resolve().parents[1]
GROUP = "modelward.dev"
SCRIPTS = REPOSITORY / "resource_customizations" / GROUP
CHART_COPY = REPOSITORY / "charts" / "modelward" / "health-checks"
FRAGMENT = REPOSITORY / "deploy" / "argocd"
_NOTE = "# Written by `python -m deploy.health_checks` from resource_customizations; edit that instead.\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or compare them; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.health_checks", description="Write the health checks.")
    parser.add_argument("--check", action="store_true", help="write nothing; print differences and exit with 1 if any")
    wanted = files()
    superfluous = {path for folder in (CHART_COPY, FRAGMENT) for path in folder.glob("*")} - wanted.keys()
    return write_or_compare(wanted, parser.parse_args(arguments).check, superfluous)


def files() -> Mapping[Path, str]:
    """Every file by its path."""
    data = {setting(kind): script for kind, script in scripts().items()}
    fragment = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argocd-cm", "namespace": "argocd", "labels": {"app.kubernetes.io/part-of": "argocd"}},
        "data": data,
    }
    component = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "patches": [{"path": "argocd-cm.yaml"}],
    }
    return {
        **{CHART_COPY / f"{kind}.lua": script for kind, script in scripts().items()},
        FRAGMENT / "argocd-cm.yaml": _NOTE + _text(fragment),
        FRAGMENT / "kustomization.yaml": _NOTE + _text(component),
        FRAGMENT / "values.yaml": _NOTE + _VALUES_NOTE + _text({"configs": {"cm": data}}),
    }


def scripts() -> Mapping[str, str]:
    """The health check of each kind."""
    return {path.parent.name: path.read_text("utf-8") for path in sorted(SCRIPTS.glob("*/health.lua"))}


def setting(kind: str) -> str:
    """The key of `argocd-cm` that a kind's health check is given in."""
    return f"resource.customizations.health.{GROUP}_{kind}"


_VALUES_NOTE = "# For those who install Argo CD by its chart: one more --values of `helm upgrade`.\n"


class _Readable(yaml.SafeDumper):
    """A script is a block of lines, not one line with escapes."""


def _block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Readable.add_representer(str, _block)


def _text(manifest: Mapping[str, Any]) -> str:
    return yaml.dump(dict(manifest), Dumper=_Readable, sort_keys=False, width=140)


if __name__ == "__main__":
    sys.exit(main())
