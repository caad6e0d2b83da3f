"""People of the local cluster: each is known to the API server by a client certificate, as at a cluster without single sign-on."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from cluster import certificates, configuration, namespaces, paths
from cluster.processes import Failure

# system: names are the cluster's own, and system:masters is above every authorizer.
_RESERVED = "system:"


def kubeconfig(name: str, groups: Sequence[str] = ()) -> Path:
    """A kubeconfig for one person, for as long as this cluster lives. The same person in the same groups has the same file.

    Raises:
        Failure: the cluster is down, or the name is one of the cluster's own.
    """
    _require_ordinary("NAME", name)
    for group in groups:
        _require_ordinary("--group", group)
    namespaces.require_first_process()
    request = certificates.Request(_file_of(name, groups), name, tuple(groups))
    wanted = paths.people() / f"{request.file}.kubeconfig"
    if not wanted.exists():
        certificates.write_one_more(paths.certificates(), request)
        wanted.parent.mkdir(mode=0o700, exist_ok=True)
        configuration.write_private(wanted, configuration.kubeconfig(request))
    return wanted


def _require_ordinary(field: str, name: str) -> None:
    if not name or len(name) > 64:
        raise Failure(f"{field} {name!r}: 1 to 64 characters fit into a certificate")
    if name.startswith(_RESERVED):
        raise Failure(f"{field} {name}: names that begin with {_RESERVED} are the cluster's own; choose another")


def _file_of(name: str, groups: Sequence[str]) -> str:
    """Names are free text, file names are not; the digest keeps apart what looks alike as a file name."""
    digest = hashlib.sha256(json.dumps([name, list(groups)]).encode()).hexdigest()[:8]
    return f"person-{re.sub('[^A-Za-z0-9]+', '-', name)}-{digest}"
