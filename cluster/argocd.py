"""Argo CD on the local cluster, for whoever asks for it: `up` does not bring it.

It is built from its Go module as every other program is, and put into one image with the git and the Redis that it calls.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
import string
from pathlib import Path

from cluster import binaries, images, locks, network, packages, paths, progress, workloads
from cluster.processes import Failure, run, wait_until

NAMESPACE = "argocd"
PROGRAM = "argocd"
_MODULE = "github.com/argoproj/argo-cd/v3"
_RECIPE = paths.TOOL_MODULES / "argocd" / "Dockerfile"
_DEFINITIONS = ("application-crd.yaml", "appproject-crd.yaml")
_KINDS = ("applications.argoproj.io", "appprojects.argoproj.io")
_PARTS = ("deployment/argocd-redis", "deployment/argocd-repo-server", "statefulset/argocd-application-controller")
_SECONDS_TO_START = 480


def build() -> None:
    """The program, its image and the definitions of its kinds: all that outlives a cluster."""
    packages.install_missing(packages.GIT)
    _build_image()
    _definitions()


def install() -> None:
    """Ends when every part of it is ready; one that is there already is left as it is."""
    network.require_routes()
    build()
    with locks.held("argocd"):
        if is_installed():
            return
        images.load([_image()])
        with progress.step("installing Argo CD"):
            _apply_definitions()
            manifest = string.Template((paths.MANIFESTS / "argocd.yaml").read_text())
            given = manifest.substitute(ARGOCD_IMAGE=_image(), SERVER_KEY=secrets.token_urlsafe(32))
            _apply("--filename=-", given=given)
            for part in _PARTS:
                workloads.kubectl("rollout", "status", part, "-n", NAMESPACE, f"--timeout={_SECONDS_TO_START}s")


def is_installed() -> bool:
    """Whether it is there, of this very image, and ready."""
    query = "{range .items[*]}{.spec.template.spec.containers[0].image} {.status.readyReplicas}{end}"
    try:
        found = workloads.kubectl("get", *_PARTS, "-n", NAMESPACE, f"--output=jsonpath={query}")
    except Failure:
        return False
    return found == f"{_image()} 1" * len(_PARTS)


def remove() -> None:
    """Takes it off the cluster with its Applications, and leaves what those have brought there."""
    with locks.held("argocd"):
        if not _exists("crd", "applications.argoproj.io"):
            return
        # Without its controller nobody would carry a finalizer out.
        workloads.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")
        for name in workloads.kubectl("get", "applications.argoproj.io", "-n", NAMESPACE, "--output=name").split():
            nothing = '--patch={"metadata":{"finalizers":null}}'
            workloads.kubectl("patch", name, "-n", NAMESPACE, "--type=merge", nothing)
        workloads.kubectl("delete", "crd", *_KINDS)
        workloads.kubectl("delete", "clusterrolebinding", "argocd-application-controller", "--ignore-not-found")
        workloads.kubectl("wait", "--for=delete", f"namespace/{NAMESPACE}", "--timeout=300s")


def _build_image() -> None:
    program = binaries.path(PROGRAM)
    with locks.held("argocd"):
        context = paths.scratch("argocd")
        (context / PROGRAM).hardlink_to(program)
        shutil.copy2(_RECIPE, context / "Dockerfile")
        images.build(_image(), context / "Dockerfile", context)
        shutil.rmtree(context)


def _image() -> str:
    """Its tag is of the program and of the recipe, so that a name never stands for two contents."""
    program = binaries.path(PROGRAM).name.rpartition("-")[2]
    recipe = hashlib.sha256(_RECIPE.read_bytes()).hexdigest()[:8]
    return images.full_name(f"argocd:{program}-{recipe}")


def _definitions() -> Path:
    """The definitions of its kinds, copied from its Go module so that the module cache may be emptied."""
    program = binaries.path(PROGRAM).name
    target = paths.charts() / f"{program}-definitions"
    if target.exists():
        return target
    folder = _RECIPE.parent
    run(["go", "mod", "download", _MODULE], folder=folder)
    source = Path(run(["go", "list", "-m", "-f", "{{.Dir}}", _MODULE], folder=folder).strip())
    with locks.held("argocd"):
        fresh = paths.scratch("argocd-definitions") / "definitions"
        fresh.mkdir()
        for name in _DEFINITIONS:
            shutil.copyfile(source / "manifests" / "crds" / name, fresh / name)
        paths.charts().mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        fresh.replace(target)
    return target


def _apply_definitions() -> None:
    _apply(f"--filename={_definitions()}")
    wait_until(_knows_its_kinds, "the definitions of Argo CD", seconds=120)


def _knows_its_kinds() -> bool:
    """Not by `kubectl wait`, which fails on a definition whose conditions are not written yet."""
    return all(_answers(kind) for kind in _KINDS)


def _answers(kind: str) -> bool:
    try:
        workloads.kubectl("get", kind, "--all-namespaces")
    except Failure:
        return False
    return True


def _apply(*words: str, given: str | None = None) -> None:
    """Server-side: the definition of an Application is too large for an annotation."""
    workloads.kubectl("apply", "--server-side", "--force-conflicts", *words, given=given)


def _exists(*words: str) -> bool:
    return bool(workloads.kubectl("get", *words, "--ignore-not-found", "--output=name").strip())
