"""The kustomize bases, for those who install without Helm: what the chart renders to, and nothing of its own.

``python -m deploy.generate`` writes them; with ``--check`` it writes nothing, says what differs, and exits with 1 if anything does.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from cluster import binaries
from modelward.api.generated import write_or_compare

FOLDER = Path(__file__).resolve().parent / "kustomize"
CHART = FOLDER.parents[1] / "charts" / "modelward"
NAMESPACE = "modelward-system"
_NOTE = "# Written by `python -m deploy.generate` from charts/modelward; edit that instead.\n"

_MONITORING = (
    "monitoring.serviceMonitor.enabled=true",
    "monitoring.prometheusRule.enabled=true",
    "monitoring.dashboards.enabled=true",
)
_HIGH_AVAILABILITY = ("replicas=2",)
_NETWORK_POLICY = ("networkPolicy.enabled=true",)

Manifest = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or compare them; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.generate", description="Write the kustomize bases.")
    parser.add_argument("--check", action="store_true", help="write nothing; print differences and exit with 1 if any")
    wanted = files()
    superfluous = {path for path in FOLDER.rglob("*") if path.is_file()} - wanted.keys()
    return write_or_compare(wanted, parser.parse_args(arguments).check, superfluous)


@cache
def files() -> Mapping[Path, str]:
    """Every file by its path."""
    base = rendered()
    components = {"monitoring": _MONITORING, "network-policy": _NETWORK_POLICY, "high-availability": _HIGH_AVAILABILITY}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": _RESTRICTED}}
    return {
        FOLDER / "base" / "kustomization.yaml": _BASE_NOTE + _kustomization(("operator.yaml",)),
        FOLDER / "base" / "operator.yaml": _text([namespace, *base]),
        **{path: text for name, values in components.items() for path, text in _component(name, base, values).items()},
    }


def rendered(*values: str) -> list[Manifest]:
    """What helm makes of the chart, without what only Helm reads."""
    helm = [str(binaries.path("helm")), "template", "modelward", str(CHART), "--namespace", NAMESPACE]
    render = [*helm, "--skip-tests", "--kube-version", binaries.KUBERNETES_VERSION]
    render += [f"--set={value}" for value in values]
    text = subprocess.run(render, check=True, capture_output=True, text=True, timeout=60).stdout
    return [_without_helm(manifest) for manifest in yaml.safe_load_all(text) if manifest]


_RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}

_BASE_NOTE = f"""\
# The namespace is part of what the admission policies say, so that kustomize must not change it: the chart can
# (`helm install --namespace`). The definitions come first, because there are policies here:
#
#   kubectl apply --server-side -f crds
#   kubectl apply --server-side -k deploy/kustomize/base
#
# Values are changed by patches of an overlay; the ConfigMap `modelward` in `{NAMESPACE}` has the configuration, which is read at the
# start: `kubectl rollout restart` after a change.
"""


def _component(name: str, base: Sequence[Manifest], values: Sequence[str]) -> Mapping[Path, str]:
    """What the values add to the base, and what they change in it."""
    folder = FOLDER / "components" / name
    changed = rendered(*values)
    known = {_identity(manifest): manifest for manifest in base}
    added = [manifest for manifest in changed if _identity(manifest) not in known]
    patches = [
        {key: manifest[key] for key in ("apiVersion", "kind")}
        | {"metadata": {key: manifest["metadata"][key] for key in ("name", "namespace")}}
        | _changes(known[_identity(manifest)], manifest)
        for manifest in changed
        if known.get(_identity(manifest), manifest) != manifest
    ]
    written = {folder / "added.yaml": _text(added)}
    if patches:
        written[folder / "patch.yaml"] = _text(patches)
    names = ["patch.yaml"] if patches else []
    return written | {folder / "kustomization.yaml": _kustomization(("added.yaml",), names, kind="Component")}


def _changes(before: Manifest, after: Manifest) -> Manifest:
    """The fields that are new or other; none is ever taken away."""
    return {
        key: _changes(before[key], value) if isinstance(value, dict) and key in before else value
        for key, value in after.items()
        if before.get(key) != value
    }


def _identity(manifest: Manifest) -> tuple[str, str, str]:
    return manifest["apiVersion"], manifest["kind"], manifest["metadata"]["name"]


def _kustomization(resources: Sequence[str], patches: Sequence[str] = (), *, kind: str = "Kustomization") -> str:
    version = "v1alpha1" if kind == "Component" else "v1beta1"
    content: Manifest = {"apiVersion": f"kustomize.config.k8s.io/{version}", "kind": kind, "resources": list(resources)}
    if patches:
        content["patches"] = [{"path": name} for name in patches]
    return _NOTE + yaml.safe_dump(content, sort_keys=False)


def _without_helm(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_helm(one) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _without_helm(one) for key, one in value.items() if not str(key).startswith("helm.sh/")}
    if kept.get("app.kubernetes.io/managed-by") == "Helm":
        kept["app.kubernetes.io/managed-by"] = "kustomize"
    return kept


def _text(manifests: Sequence[Manifest]) -> str:
    return _NOTE + yaml.safe_dump_all(manifests, sort_keys=False, allow_unicode=True, width=140)


if __name__ == "__main__":
    sys.exit(main())
