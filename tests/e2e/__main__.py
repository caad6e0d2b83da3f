"""Every end-to-end test, on one cluster, and then the question whether the operator has a right that none of them needed.

``python -m tests.e2e``, which ``make e2e`` runs. A cluster that it starts it takes down again.

1. What many tests do side by side: everything in tests/e2e but the folders below.
2. A Git repository and Argo CD, whose controller wants much of a small machine: tests/e2e/gitops.
3. What needs the operator for itself: tests/e2e/installation.
4. Rights: what the API server's audit log says of all that, beside what the chart gives.
5. Upgrades from the release before, whose rights are others: tests/e2e/upgrade. Nothing may have been refused in them either.
6. The removal of all of it, in which an operator meets the end of its rights: tests/e2e/removal.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from cluster import paths
from cluster.processes import Failure
from examples.tumor_screening.environment import OPERATOR_RELEASE, Environment, prepare, take_down_cluster, turn
from tests.e2e import rights
from tests.e2e.rights import Operator, Right

FOLDER = Path(__file__).resolve().parent
GITOPS, INSTALLATION = FOLDER / "gitops", FOLDER / "installation"
UPGRADE, REMOVAL = FOLDER / "upgrade", FOLDER / "removal"

# Rights that no end-to-end test uses: why, and which test does.
USED_ELSEWHERE: Mapping[Right, str] = {}


def main(arguments: Sequence[str]) -> int:
    """Run the phases; arguments are handed to pytest. The exit code is 0 when all of them passed."""
    with turn():
        environment = prepare(_say)
    # From here on it is this source's chart and operator; what an older one asked is older.
    started = datetime.now(UTC)
    try:
        passed = [
            _tests("side by side", FOLDER, *_ALONE, *_workers(4), *arguments),
            _tests("GitOps", GITOPS, *_workers(2), *arguments),
            _tests("the operator for itself", INSTALLATION, *arguments),
            _rights_are_used(environment, started),
            _tests("upgrades", UPGRADE, *arguments),
            _nothing_was_refused(environment, started),
            _tests("removal", REMOVAL, *arguments),
        ]
    finally:
        if environment.started_here:
            with turn():
                take_down_cluster()
    return 0 if all(passed) else 1


_ALONE = tuple(f"--ignore={folder}" for folder in (GITOPS, INSTALLATION, UPGRADE, REMOVAL))


def _workers(count: int) -> tuple[str, ...]:
    return "-n", str(count), "--dist", "loadgroup"


def _tests(name: str, folder: Path, *options: str) -> bool:
    began = time.monotonic()
    _say(f"== {name}")
    command = [sys.executable, "-m", "pytest", "-q", "--durations=8", str(folder), *options]
    passed = subprocess.run(command, check=False).returncode == 0
    _say(f"== {name}: {'passed' if passed else 'FAILED'} after {time.monotonic() - began:.0f} s")
    return passed


def _rights_are_used(environment: Environment, started: datetime) -> bool:
    """Whether the operator has exactly the rights that it used; says which it has too many, and what gives it more."""
    if not environment.is_local:
        _say("== rights: not looked at, because the audit log of this cluster is not here")
        return True
    bindings = environment.get("clusterrolebindings")["items"] + environment.get("rolebindings", "-A")["items"]
    operator = Operator(_installed(environment), bindings, environment.operator_namespace, OPERATOR_RELEASE)
    try:
        made = _requests(environment, started)
    except rights.LogIncomplete as incomplete:
        _say(f"== rights: {incomplete}")
        return False
    found = rights.findings(operator, made, USED_ELSEWHERE)
    used = len(operator.given) - len(rights.unused(operator.given, made))
    _say("\n".join([f"== rights: {len(operator.given)} given, {used} used", *(f"   {one}" for one in found)]))
    return not found


def _nothing_was_refused(environment: Environment, started: datetime) -> bool:
    if not environment.is_local:
        return True
    found = rights.refused(_requests(environment, started))
    _say("\n".join([f"== refused requests of the operator: {len(found)}", *(f"   {request}" for request in found)]))
    return not found


def _requests(environment: Environment, started: datetime) -> frozenset[rights.Request]:
    user = rights.account(environment.operator_namespace, OPERATOR_RELEASE)
    return rights.requests(rights.events(paths.audit_log(), started, user))


def _installed(environment: Environment) -> list[dict[str, Any]]:
    """The objects of the operator's release, as the chart made them."""
    text = environment.helm("get", "manifest", OPERATOR_RELEASE, "--namespace", environment.operator_namespace)
    return [dict(manifest) for manifest in yaml.safe_load_all(text) if manifest]


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Failure as failure:
        sys.exit(f"e2e: {failure}")
