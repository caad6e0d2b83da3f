"""Looks now and then for inference servers that nobody has registered, in the namespaces that opt in, and tells of them.

It lists, and writes nothing but events: one for each workload, by each leader. What it finds is a metric, too; `modelward discover`
and `modelward report` look for themselves, with the rights of whoever asks.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge

from modelward.api import reasons
from modelward.api.resources import DAEMON_SETS, DEPLOYMENTS, MODELS, NAMESPACES, PODS, STATEFUL_SETS
from modelward.governance.discovery import (
    OPT_IN_LABEL,
    OPT_IN_VALUE,
    Signs,
    SignsInvalid,
    Unregistered,
    discover,
    parse_signs,
    register_of,
    shipped_signs,
    workloads_of,
)
from modelward.runtime.cache import Cache
from modelward.runtime.clock import Clock
from modelward.runtime.kube import ApiError, KubeApi, Object

logger = logging.getLogger(__name__)

# What is left over is told of at the next look: a namespace full of pods must not flood the API server.
EVENTS_AT_ONCE = 100
LISTED = (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS, PODS)
_LARGEST_FILE = 256 * 1024


class Discovery:
    """Runs on the leader."""

    def __init__(
        self,
        kube: KubeApi,
        cache: Cache,
        signs: Signs,
        clock: Clock,
        registry: CollectorRegistry,
        *,
        namespaces: Sequence[str] = (),
        pause_seconds: float = 600.0,
    ) -> None:
        self._kube = kube
        self._cache = cache
        self._signs = signs
        self._clock = clock
        self._namespaces = namespaces
        self._pause_seconds = pause_seconds
        self._told: set[str] = set()
        self._problem = ""
        self._found = unregistered_gauge(registry)

    async def run(self) -> None:
        """Look again and again until cancelled."""
        try:
            while True:
                try:
                    await self.look()
                    self._say_problem("")
                except ApiError as error:
                    self._say_problem(error.message)
                except Exception:
                    logger.exception("the look for unregistered workloads failed, and is repeated later")
                await self._clock.sleep(self._pause_seconds)
        finally:
            # Another replica counts now, and its series must be the only ones.
            self._found.clear()
            self._told.clear()

    async def look(self) -> Mapping[str, tuple[Unregistered, ...]]:
        """What is found, by namespace that opts in; told as metric and events.

        Raises:
            ApiError: when a list fails.
        """
        opted_in = await self._kube.list(NAMESPACES, None, f"{OPT_IN_LABEL}={OPT_IN_VALUE}")
        names = sorted(each["metadata"]["name"] for each in opted_in)
        found = {name: await self._look_at(name) for name in names if not self._namespaces or name in self._namespaces}
        self._found.clear()
        for namespace, unregistered in found.items():
            self._found.labels(namespace).set(len(unregistered))
        await self._tell([each for unregistered in found.values() for each in unregistered])
        return found

    async def _look_at(self, namespace: str) -> tuple[Unregistered, ...]:
        objects: list[Object] = []
        for resource in LISTED:
            objects += await self._kube.list(resource, namespace)
        return discover(workloads_of(objects), register_of(self._cache.list(MODELS, namespace)), self._signs)

    async def _tell(self, found: Sequence[Unregistered]) -> None:
        """An event for each workload that was not told of yet; one that was registered in between is told of anew."""
        self._told &= {each.workload.uid for each in found}
        new = [each for each in found if each.workload.uid not in self._told]
        for each in new[:EVENTS_AT_ONCE]:
            logger.info("%s", each.sentence)
            await self._kube.emit_event(
                each.workload.as_object(),
                reasons.UNREGISTERED_WORKLOAD,
                each.sentence,
                type="Warning",
                action="Discover",
            )
            self._told.add(each.workload.uid)

    def _say_problem(self, problem: str) -> None:
        if problem and problem != self._problem:
            logger.warning("unregistered workloads are not looked for, and are tried again later: %s", problem)
        self._problem = problem


def unregistered_gauge(registry: CollectorRegistry) -> Gauge:
    return Gauge(
        "modelward_unregistered_workloads",
        "Workloads that look like an inference server and that no Model stands for, in the namespaces that opt in.",
        ["namespace"],
        registry=registry,
    )


def all_signs(directory: Path | None) -> Signs:
    """The shipped signs and those of the platform, in the *.yaml files of the directory.

    Raises:
        SignsInvalid: unreadable, not YAML, or a wrong field.
    """
    if directory is None:
        return shipped_signs()
    try:
        # A mounted ConfigMap keeps its versions in entries whose names begin with two dots.
        paths = sorted(path for path in directory.iterdir() if path.suffix in (".yaml", ".yml") and path.name[0] != ".")
        if any(path.stat().st_size > _LARGEST_FILE for path in paths):
            raise SignsInvalid(f"{directory}: a file of signs is at most {_LARGEST_FILE // 1024} KiB long")
        own = [sign for path in paths for sign in parse_signs(str(path), path.read_text("utf-8"))]
    except (OSError, UnicodeDecodeError) as error:
        raise SignsInvalid(f"{directory}: {error}") from error
    return (*shipped_signs(), *own)
