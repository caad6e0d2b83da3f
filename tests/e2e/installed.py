"""The operator as somebody has it who runs the platform: a release of Helm, and pods of which one leads."""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from examples.tumor_screening.environment import DEFINITIONS_RELEASE, OPERATOR_RELEASE, REPOSITORY, Environment
from tests.e2e.kubectl import PATIENCE, Kubectl, NeverSeen

CHARTS = REPOSITORY / "charts"
Pod = dict[str, Any]
Seen = TypeVar("Seen")


def skip_beside_others() -> None:
    """For tests that change the one operator that a cluster has: they run when no others do."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        pytest.skip("needs the operator for itself: `make e2e`, or without -n")


@dataclass(frozen=True)
class Installed:
    """The releases of the two charts."""

    environment: Environment
    kubectl: Kubectl

    @property
    def namespace(self) -> str:
        return self.environment.operator_namespace

    async def helm(self, *words: str, given: str | None = None) -> str:
        """What ``helm WORDS`` prints, in the operator's namespace; meanwhile others go on.

        Raises:
            cluster.processes.Failure: with what it said when it did not succeed.
        """
        return await asyncio.to_thread(self.environment.helm, *words, "--namespace", self.namespace, given=given)

    async def upgrade(self, values: Mapping[str, Any], *options: str, chart: Path = CHARTS / OPERATOR_RELEASE) -> None:
        """The operator's chart, with values; ends when its pods are ready."""
        waiting = ("--install", "--wait", "--timeout=8m", "--values=-")
        await self.helm("upgrade", OPERATOR_RELEASE, str(chart), *waiting, *options, given=json.dumps(dict(values)))

    async def upgrade_definitions(self, charts: Path = CHARTS) -> None:
        """The chart of the definitions."""
        await self.helm("upgrade", "--install", DEFINITIONS_RELEASE, str(charts / DEFINITIONS_RELEASE))

    async def values(self) -> dict[str, Any]:
        """What the release was given, besides the chart's own values."""
        known: dict[str, Any] = json.loads(await self.helm("get", "values", OPERATOR_RELEASE, "--output=json")) or {}
        return known

    async def pods(self) -> list[Pod]:
        """The operator's pods, but not those that are ending."""
        found = await self.kubectl.items("pods", "-n", self.namespace, "-l", "app.kubernetes.io/name=modelward")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    async def leader(self) -> str:
        """The name of the pod that holds the Lease; empty when none does."""
        lease = await self.kubectl.get("lease", OPERATOR_RELEASE, "-n", self.namespace)
        return str(lease["spec"].get("holderIdentity") or "")

    async def until_ready(self, count: int, within: float = PATIENCE) -> list[Pod]:
        """The pods, as soon as that many are there and all are ready."""

        def ready(pods: list[Pod]) -> bool:
            return len(pods) == count and all(_is_ready(pod) for pod in pods)

        return await until(self.pods, ready, f"{count} ready pods of the operator", within)

    async def until_led_by_another(self, leader: str, within: float = PATIENCE) -> str:
        """The name of the new leader."""
        return await until(self.leader, lambda name: name not in ("", leader), f"another leader than {leader}", within)


@contextlib.asynccontextmanager
async def borrowed(environment: Environment, kubectl: Kubectl) -> AsyncIterator[Installed]:
    """The operator, which is afterwards of this source again, with the values that it had."""
    installed = Installed(environment, kubectl)
    before = await installed.values()
    try:
        yield installed
    finally:
        await installed.upgrade_definitions()
        await installed.upgrade(before)


async def until(
    look: Callable[[], Awaitable[Seen]], holds: Callable[[Seen], bool], what: str, within: float = PATIENCE
) -> Seen:
    """Ask again and again: a watch of several objects says nothing about all of them at one time."""
    deadline = time.monotonic() + within
    while True:
        seen = await look()
        if holds(seen):
            return seen
        if time.monotonic() > deadline:
            raise NeverSeen(f"{what}: not seen within {within:g} s; last: {seen}")
        await asyncio.sleep(0.25)


def _is_ready(pod: Pod) -> bool:
    conditions = pod["status"].get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
