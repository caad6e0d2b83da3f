"""The Debian packages that the cluster runs on."""

from __future__ import annotations

from collections.abc import Sequence

from cluster import locks, progress
from cluster.processes import Failure, run

REQUIRED = (
    "containerd",
    "runc",
    "containernetworking-plugins",
    "iptables",
    "iproute2",
    "conntrack",
    "socat",
    "ethtool",
    "ipset",
    "buildah",
    "debootstrap",
    "busybox-static",
)


# The database that the tests of the audit's archive write to.
DATABASE = ("postgresql",)

# What Argo CD's repositories are served with.
GIT = ("git",)


def missing(packages: Sequence[str] = REQUIRED) -> list[str]:
    return [package for package in packages if not _installed(package)]


def install_missing(packages: Sequence[str] = REQUIRED) -> None:
    if not missing(packages):
        return
    # apt-get refuses to run beside another one; whoever waited here may find everything installed.
    with locks.held("packages"):
        wanted = missing(packages)
        if not wanted:
            return
        _install(wanted)


def _install(wanted: Sequence[str]) -> None:
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    with progress.step(f"installing Debian packages: {' '.join(wanted)}"):
        run(["apt-get", "update", "-q"], extra_environment=quiet)
        run(["apt-get", "install", "-q", "-y", "--no-install-recommends", *wanted], extra_environment=quiet)


def _installed(package: str) -> bool:
    try:
        status = run(["dpkg-query", "-W", "-f", "${db:Status-Status}", package])
    except Failure:
        return False
    return status == "installed"
