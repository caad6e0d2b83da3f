"""People at a terminal: `modelward` as somebody whom the API server knows by a client certificate."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Manifest = dict[str, Any]

_SECONDS_TO_ANSWER = 180
_RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Said:
    """What a command printed, on both of its streams, and how it ended."""

    code: int
    text: str


@dataclass(frozen=True)
class Person:
    """One user of the cluster."""

    name: str
    kubeconfig: Path

    def modelward(self, *words: str) -> Said:
        """``modelward WORDS``, with this person's credentials."""
        return modelward(*words, kubeconfig=self.kubeconfig)


def modelward(*words: str, kubeconfig: Path | None = None, folder: Path | None = None) -> Said:
    """``modelward WORDS`` in a folder; without a kubeconfig, no cluster can be reached."""
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig or os.devnull), "COLUMNS": "160", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "modelward.cli.main", *words],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_SECONDS_TO_ANSWER,
        check=False,
    )
    return Said(done.returncode, done.stdout)


def bound(role: str, namespace: str, *people: str) -> Manifest:
    """A RoleBinding that gives people a ClusterRole in one namespace."""
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": role, "namespace": namespace},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": _RBAC, "kind": "User", "name": name} for name in people],
    }


def readers(name: str, *people: str) -> Manifest:
    """A ClusterRoleBinding that lets people see what the whole cluster is governed by: policies, and the labels they select by."""
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": _RBAC, "kind": "User", "name": person} for person in people],
    }
