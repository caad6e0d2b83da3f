"""Where the local cluster keeps what it builds and what it runs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
REPOSITORY = PACKAGE.parent
TOOL_MODULES = PACKAGE / "tools"
MANIFESTS = PACKAGE / "manifests"


def cache() -> Path:
    """The folder that outlives clusters and checkouts: binaries, images and the running cluster's data."""
    configured = os.environ.get("MODELWARD_CACHE")
    return Path(configured).resolve() if configured else Path.home() / ".cache" / "modelward"


def binaries() -> Path:
    return cache() / "bin"


def tools() -> Path:
    """Stable names of the client programs, for a Makefile or a shell."""
    return cache() / "tools"


def charts() -> Path:
    return cache() / "charts"


def images() -> Path:
    return cache() / "images"


def image_storage() -> Path:
    return cache() / "buildah"


def scratch(purpose: str) -> Path:
    """A folder for unfinished work, empty: what a killed command left in it goes when the next one begins."""
    folder = cache() / "scratch" / purpose
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def claim() -> Path:
    """There when the cluster is that of a run, which holds a lock on it as long as it lives."""
    return cache() / "claim.lock"


def cluster() -> Path:
    """The data of the running cluster."""
    return cache() / "cluster"


def certificates() -> Path:
    return cluster() / "pki"


def configuration() -> Path:
    return cluster() / "config"


def logs() -> Path:
    return cluster() / "logs"


def containerd_root() -> Path:
    """Kept from one cluster to the next, because the imported images are in it."""
    return cluster() / "containerd"


def kubeconfig() -> Path:
    return cluster() / "kubeconfig"


def people() -> Path:
    """Kubeconfigs of people, who come and go with the cluster."""
    return configuration() / "people"


def audit_log() -> Path:
    """What the API server was asked, by whom: one JSON object a line."""
    return logs() / "audit.log"


def ready_marker() -> Path:
    """Written by an `up` that went through to its end."""
    return cluster() / "ready"
