"""The one door to metrics: picks the source that a Model names, and answers with a Reading whatever happens."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp

from modelward.api.gates import QueryGate
from modelward.api.model import MetricsEndpoint
from modelward.metrics.pods import PodsSource
from modelward.metrics.presets import Preset, UnknownPreset, preset, presets, with_own
from modelward.metrics.prometheus import PrometheusSource, QueryNames
from modelward.metrics.sources import SourcesInvalid, load_sources
from modelward.metrics.transport import CredentialsUnreadable
from modelward.stats.readings import PodTarget, QueryAnswer, Reading

CLOCK_TOLERANCE = 120.0
"""Seconds that the clocks of a node and of this operator may differ by."""


class MetricsReader:
    """Reads versions and queries; nothing that a cluster or a user can do makes it raise."""

    def __init__(
        self,
        pods: PodsSource,
        prometheus: Mapping[str, PrometheusSource],
        known_presets: Mapping[str, Preset] | None = None,
    ) -> None:
        self._pods = pods
        self._prometheus = prometheus
        self._presets = presets() if known_presets is None else known_presets

    @property
    def closed_sources(self) -> frozenset[str]:
        """The Prometheus servers that take queries from LifecyclePolicies only."""
        return frozenset(name for name, source in self._prometheus.items() if not source.queries_of_models)

    async def read(
        self,
        version: str,
        targets: Sequence[PodTarget],
        endpoint: MetricsEndpoint,
        wanted: Sequence[str],
        now: float,
    ) -> Reading:
        """One look at the pods of a version; `wanted` are prefixes of canonical series."""
        if not targets:
            return Reading(version=version, at=now, problem=f"version {version} has no ready pod to read metrics from")
        early = max(targets, key=lambda target: target.started_at)
        if early.started_at > now + CLOCK_TOLERANCE:
            # By its start a pod is told from one that counted before the stage began.
            problem = (
                f"pod {early.name} started {early.started_at - now:.0f} s after now: set the clock of its node right"
            )
            return Reading(version=version, at=now, problem=problem, reason="InvalidResult")
        try:
            rules = preset(endpoint.preset, self._presets)
        except UnknownPreset as error:
            return Reading(version=version, at=now, problem=str(error), reason="InvalidResult")
        if endpoint.source == "Pods":
            return await self._pods.read(version, targets, endpoint, rules, wanted, now)
        name = endpoint.source if isinstance(endpoint.source, str) else endpoint.source.prometheus
        source = self._prometheus.get(name)
        if source is None:
            return Reading(version=version, at=now, problem=self._unknown(name), reason="InvalidResult")
        return await source.read(version, targets, rules, wanted, now)

    async def query(self, gate: QueryGate, names: QueryNames, now: float) -> QueryAnswer:
        """The one number of a `query` gate."""
        source = self._prometheus.get(gate.source)
        if source is None:
            return QueryAnswer(value=None, problem=self._unknown(gate.source), reason="InvalidResult")
        return await source.query(gate, names, now)

    def _unknown(self, name: str) -> str:
        configured = ", ".join(sorted(self._prometheus)) or "none"
        return f"there is no metric source {name!r}: the platform configured {configured}"


@asynccontextmanager
async def open_reader(sources_file: Path | None, presets_directory: Path | None = None) -> AsyncIterator[MetricsReader]:
    """A reader with its connections, closed at the end.

    Raises:
        SourcesInvalid: the file, or a file of certificates that it names, cannot be used.
        PresetsInvalid: a file of the directory is no preset.
    """
    sources, known = load_sources(sources_file), with_own(presets_directory)
    async with AsyncExitStack() as stack:
        prometheus: dict[str, PrometheusSource] = {}
        for name, connection in sources.prometheus.items():
            try:
                connection.credentials.tls()
            except CredentialsUnreadable as error:
                raise SourcesInvalid(f"{name}: {error}") from error
            session = await stack.enter_async_context(aiohttp.ClientSession())
            prometheus[name] = PrometheusSource(connection, session)
        # Pods come and go with their addresses: a kept connection would often be to one that is gone.
        pods = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)))
        yield MetricsReader(PodsSource(pods, access=sources.pods), prometheus, known)
