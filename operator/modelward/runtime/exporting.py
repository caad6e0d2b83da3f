"""The way of audit records out of the cluster: into durable storage, sealed there by a signed checkpoint, and only then away.

Beside the workers and never in their way: a storage that is down, slow or wrong costs a growing backlog, which the metrics
show, and nothing else. It runs on the leader only, but would do no harm elsewhere: a storage takes a record once, whoever
brings it.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import cast

from prometheus_client import CollectorRegistry, Counter, Gauge

from modelward.api import reasons
from modelward.api.resources import MODEL_AUDIT_RECORDS, MODELS
from modelward.archive.configuration import Archive
from modelward.archive.exporter import Chain, ChainBroken, Document, StorageUnavailable
from modelward.governance.chain import Fault, FaultKind, Head, verify
from modelward.governance.checkpoints import Checkpoint, KeyUnusable, sign
from modelward.runtime.cache import Cache
from modelward.runtime.clock import Clock
from modelward.runtime.kube import ApiError, KubeApi, Object, Objects

logger = logging.getLogger(__name__)

LOOK_SECONDS = 3.0
LONGEST_PAUSE = 60.0
# A broken chain stays broken until somebody repairs it; nothing is gained by asking the cluster all the time.
BROKEN_PAUSE = timedelta(seconds=60)
EXPORTED_AT_ONCE = 100
PRUNED_AT_ONCE = 100


@dataclass(frozen=True)
class _Record:
    """A ModelAuditRecord as it is in the cluster."""

    seq: int
    time: datetime
    obj: Object

    @property
    def document(self) -> Document:
        return cast(Document, self.obj["spec"])


@dataclass(frozen=True)
class _Broken:
    sentence: str
    look_again: datetime


class ExportMetrics:
    """What tells a platform whether the audit trail leaves the cluster."""

    def __init__(self, registry: CollectorRegistry, clock: Clock) -> None:
        self._clock = clock
        self._oldest: datetime | None = None
        self.backlog = Gauge(
            "modelward_audit_backlog_records",
            "Audit records in the cluster that durable storage has not confirmed.",
            registry=registry,
        )
        age = Gauge(
            "modelward_audit_oldest_unexported_age_seconds",
            "Age of the oldest audit record that durable storage has not confirmed; 0 when there is none.",
            registry=registry,
        )
        cast(Callable[[Callable[[], float]], None], age.set_function)(self._age)
        self.last_success = Gauge(
            "modelward_audit_export_last_success_timestamp_seconds",
            "When every chain that could be exported last was, in seconds since 1970.",
            registry=registry,
        )
        self.failures = Counter(
            "modelward_audit_export_failures", "Looks that durable storage cut short.", registry=registry
        )
        self.broken = Gauge(
            "modelward_audit_broken_chains",
            "Models whose chain of audit records does not link, and is not exported past the break.",
            registry=registry,
        )
        self.signed = Gauge(
            "modelward_audit_checkpoints_signed",
            "1 when checkpoints are signed; 0 when there is no signing key, or it cannot be used.",
            registry=registry,
        )
        self.exported = Counter(
            "modelward_audit_exported_records", "Audit records that durable storage confirmed.", registry=registry
        )
        self.pruned = Counter(
            "modelward_audit_pruned_records", "Audit records taken from the cluster after that.", registry=registry
        )

    def waiting(self, count: int, oldest: datetime | None) -> None:
        self.backlog.set(count)
        self._oldest = oldest

    def _age(self) -> float:
        return (self._clock.now() - self._oldest).total_seconds() if self._oldest else 0.0


class AuditExport:
    def __init__(self, kube: KubeApi, cache: Cache, archive: Archive, clock: Clock, metrics: ExportMetrics) -> None:
        self._kube = kube
        self._cache = cache
        self._storage = archive.exporter
        self._keep = archive.keep_in_cluster
        self._key_file = archive.signing_key_file
        self._clock = clock
        self._metrics = metrics
        # What the storage has confirmed to this process; asked for again whenever something depends on it.
        self._heads: dict[Chain, Head] = {}
        self._anchored: dict[Chain, Head] = {}
        self._broken: dict[Chain, _Broken] = {}
        self._failed: set[Chain] = set()
        self._key_problem = ""

    async def run(self) -> None:
        """Look at all chains, again and again, until cancelled; less often while the storage does not answer."""
        if self._key_file is None:
            logger.warning("audit records are exported without signed checkpoints: no signing key is named")
        try:
            await self._look_for_ever()
        finally:
            # Whoever leads now tells what waits; the age of a backlog of old would grow here for ever.
            self._metrics.waiting(0, None)
            self._metrics.broken.set(0)

    async def look(self) -> None:
        """Export what is new in every chain, and prune what is old. A broken chain holds no other one up.

        Raises:
            StorageUnavailable: when the storage does not confirm; what it has confirmed until then stays confirmed.
        """
        chains = _in_order(self._cache.list(MODEL_AUDIT_RECORDS))
        try:
            await self._look_at_all(chains)
        finally:
            self._tell(chains)
        if not self._broken:
            self._metrics.last_success.set(self._clock.now().timestamp())

    # Details: one look after the other.

    async def _look_for_ever(self) -> None:
        pause = LOOK_SECONDS
        while True:
            try:
                await self.look()
            except StorageUnavailable as error:
                self._metrics.failures.inc()
                logger.warning("audit records wait, and are exported later: %s", error)
                pause = min(2 * pause, LONGEST_PAUSE)
            except ApiError as error:
                logger.warning("the export of audit records goes on later: %s", error.message)
            except Exception:
                logger.exception("the export of audit records failed, and goes on later")
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                pause = LOOK_SECONDS
            await self._clock.sleep(pause)

    async def _look_at_all(self, chains: Mapping[Chain, Sequence[_Record]]) -> None:
        for memory in (self._heads, self._anchored, self._broken):
            for gone in memory.keys() - chains.keys():
                del memory[gone]
        # What failed last comes last, so that one record that a storage does not take starves nobody else.
        for chain in sorted(chains, key=lambda chain: (chain in self._failed, chain)):
            broken = self._broken.get(chain)
            if broken is not None and self._clock.now() < broken.look_again:
                continue
            self._failed.add(chain)
            await self._look_at(chain, chains[chain])
            self._failed.discard(chain)

    # Details: one chain.

    async def _look_at(self, chain: Chain, records: Sequence[_Record]) -> None:
        try:
            try:
                await self._export(chain, records)
            except ChainBroken:
                # The cache may be a moment old, or have heard of a record before the one in front of it.
                records = _in_order(await self._kube.list(MODEL_AUDIT_RECORDS, chain.namespace)).get(chain, ())
                await self._export(chain, records)
            if await self._anchor(chain):
                await self._prune(chain, records)
        except ChainBroken as error:
            await self._say_broken(chain, records, str(error))
        else:
            if self._broken.pop(chain, None):
                logger.info("%s: the chain of audit records is whole again and is exported", chain)

    async def _export(self, chain: Chain, records: Sequence[_Record]) -> None:
        """Append what the storage does not have, up to the first record that does not link.

        Raises:
            ChainBroken: when there is such a record.
        """
        if not records:
            return
        newest = records[-1]
        confirmed = self._heads.get(chain)
        if confirmed == Head(newest.seq, newest.document["hash"]):
            return
        head = await self._storage.head(chain)
        self._must_agree(chain, records, head)
        new = [record.document for record in records if head is None or record.seq > head.seq]
        for start in range(0, len(new), EXPORTED_AT_ONCE):
            batch = new[start : start + EXPORTED_AT_ONCE]
            faults = verify(batch, after=head)
            whole = batch[: _whole(batch, faults)]
            if whole:
                await self._storage.append(chain, whole)
                head = Head(whole[-1]["seq"], whole[-1]["hash"])
                self._heads[chain] = head
                self._metrics.exported.inc(len(whole))
            if faults:
                raise ChainBroken(f"{chain}: {faults[0].sentence}")
        if head is not None:
            self._heads[chain] = head

    def _must_agree(self, chain: Chain, records: Sequence[_Record], head: Head | None) -> None:
        """The newest stored record is the one of the cluster; the cluster is not behind the storage."""
        if head is None:
            return
        if records[-1].seq < head.seq:
            raise ChainBroken(
                f"{chain}: the storage has record {head.seq}, but the cluster ends with record {records[-1].seq}: records were "
                "deleted, or the cluster was restored from a backup"
            )
        for record in records:
            if record.seq == head.seq and record.document["hash"] != head.hash:
                raise ChainBroken(
                    f"{chain}: record {head.seq} is {record.document['hash']} in the cluster and {head.hash} in the storage: "
                    "one of the two was written anew"
                )

    async def _anchor(self, chain: Chain) -> bool:
        """Seal what is stored by a checkpoint; false when that was asked for and is not done."""
        head = self._heads.get(chain)
        if self._key_file is None or head is None or self._anchored.get(chain) == head:
            return True
        try:
            key = self._key_file.read_bytes()
            checkpoint = Checkpoint(chain.namespace, chain.model, head.seq, head.hash, self._clock.now())
            signed = sign(checkpoint, key)
        except (OSError, KeyUnusable) as error:
            self._say_key_problem(f"{self._key_file}: {error.strerror if isinstance(error, OSError) else error}")
            return False
        self._say_key_problem("")
        await self._storage.anchor(chain, signed)
        self._anchored[chain] = head
        return True

    async def _prune(self, chain: Chain, records: Sequence[_Record]) -> None:
        """Take old records from the cluster: those that the storage gives back as they are, and never the newest.

        Raises:
            ChainBroken: when the storage gives another record back.
        """
        confirmed = self._heads.get(chain)
        if not self._keep or not records or confirmed is None:
            return
        last, before = min(confirmed.seq, records[-1].seq), self._clock.now() - self._keep
        old = list(takewhile(lambda record: record.seq < last and record.time <= before, records))[:PRUNED_AT_ONCE]
        if not old or not await self._is_there(records[-1]):
            return
        head = await self._storage.head(chain)
        if head is None or head.seq < last:
            raise ChainBroken(f"{chain}: the storage confirmed record {last} before, and has lost it")
        stored = {one["seq"]: one async for one in self._storage.read(chain, old[0].seq, old[-1].seq)}
        for record in old:
            if stored.get(record.seq) != record.document:
                raise ChainBroken(
                    f"{chain}: record {record.seq} is not in the storage as it is in the cluster: one of the two was changed; "
                    "it is not pruned"
                )
            metadata = record.obj["metadata"]
            await self._kube.delete(MODEL_AUDIT_RECORDS, chain.namespace, metadata["name"], uid=metadata["uid"])
            self._metrics.pruned.inc()

    async def _is_there(self, newest: _Record) -> bool:
        """Asked live: without the head of its chain in the cluster, a number could be given twice."""
        metadata = newest.obj["metadata"]
        live = await self._kube.get(MODEL_AUDIT_RECORDS, metadata["namespace"], metadata["name"])
        return live is not None and live["metadata"]["uid"] == metadata["uid"]

    # Details: telling.

    async def _say_broken(self, chain: Chain, records: Sequence[_Record], sentence: str) -> None:
        before = self._broken.get(chain)
        self._broken[chain] = _Broken(sentence, self._clock.now() + BROKEN_PAUSE)
        if before is not None and before.sentence == sentence:
            return
        logger.error("the export of audit records stopped: %s", sentence, extra={"model": str(chain)})
        regarding = self._cache.get(MODELS, chain.namespace, chain.model) or (records[-1].obj if records else None)
        if regarding is not None:
            await self._kube.emit_event(
                regarding, reasons.AUDIT_EXPORT_STOPPED, sentence, type="Warning", action="Export"
            )

    def _say_key_problem(self, problem: str) -> None:
        self._metrics.signed.set(0 if problem else 1)
        if problem and problem != self._key_problem:
            logger.error("checkpoints of audit records are not signed, and nothing is pruned: %s", problem)
        self._key_problem = problem

    def _tell(self, chains: Mapping[Chain, Sequence[_Record]]) -> None:
        waiting = [
            record
            for chain, records in chains.items()
            for record in records
            if chain not in self._heads or record.seq > self._heads[chain].seq
        ]
        self._metrics.broken.set(len(self._broken))
        self._metrics.waiting(len(waiting), min((record.time for record in waiting), default=None))


def _in_order(objects: Objects) -> dict[Chain, Sequence[_Record]]:
    """The records of each Model, by number. The API server has seen to their fields."""
    found: defaultdict[Chain, list[_Record]] = defaultdict(list)
    for obj in objects:
        spec = obj["spec"]
        chain = Chain(obj["metadata"]["namespace"], spec["model"]["name"])
        found[chain].append(_Record(spec["seq"], datetime.fromisoformat(spec["time"]), obj))
    return {chain: sorted(records, key=lambda record: record.seq) for chain, records in found.items()}


def _whole(batch: Sequence[Document], faults: Sequence[Fault]) -> int:
    """How many records from the beginning are beyond doubt."""
    # Where two records do not fit together, either may be the one that was written anew.
    doubtful = [fault.seq - 1 if fault.kind is FaultKind.FORKED else fault.seq for fault in faults]
    return sum(1 for document in batch if not doubtful or document["seq"] < min(doubtful))
