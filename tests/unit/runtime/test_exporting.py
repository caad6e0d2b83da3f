"""The task that exports audit records, over time: it never ends by itself, asks a silent storage less often, and begins each term anew."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from modelward.api.model_audit_record import AuditedModel
from modelward.api.resources import MODEL_AUDIT_RECORDS
from modelward.archive.configuration import Archive
from modelward.archive.exporter import Chain, Document, StorageUnavailable
from modelward.governance.chain import Entry, Head, document_of, head_of, seal
from modelward.runtime.cache import Cache
from modelward.runtime.exporting import LONGEST_PAUSE, LOOK_SECONDS, AuditExport, ExportMetrics
from tests.unit.runtime.fakes import FakeClock, FakeKube

CHAIN = Chain("lending", "credit-risk")
KEPT = timedelta(minutes=10)


class Memory:
    """A storage in memory that can be down, or broken in a way that nobody thought of."""

    def __init__(self) -> None:
        self.records: list[Document] = []
        self.problem: Exception | None = None
        self.asked = 0

    async def append(self, chain: Chain, documents: Sequence[Document]) -> None:
        self._reach()
        self.records += documents

    async def head(self, chain: Chain) -> Head | None:
        self._reach()
        return Head(self.records[-1]["seq"], self.records[-1]["hash"]) if self.records else None

    async def read(self, chain: Chain, first: int = 1, last: int | None = None) -> AsyncIterator[Document]:
        self._reach()
        for record in self.records:
            if first <= record["seq"] <= (last or record["seq"]):
                yield record

    async def anchor(self, chain: Chain, checkpoint: Document) -> None:
        self._reach()

    async def checkpoints(self, chain: Chain) -> AsyncIterator[Document]:
        for none in ():
            yield none

    async def chains(self) -> Sequence[Chain]:
        return [CHAIN]

    async def close(self) -> None: ...

    def _reach(self) -> None:
        self.asked += 1
        if self.problem is not None:
            raise self.problem


class Term:
    """An operator with records in its cache, and what it exports to."""

    def __init__(self) -> None:
        self.clock, self.kube, self.cache, self.storage = FakeClock(), FakeKube(), Cache(), Memory()
        self.registry = CollectorRegistry()
        archive = Archive(self.storage, KEPT, None)
        self.export = AuditExport(self.kube, self.cache, archive, self.clock, ExportMetrics(self.registry, self.clock))
        self._head: Head | None = None

    def write(self) -> None:
        about = AuditedModel(namespace=CHAIN.namespace, name=CHAIN.model, uid="u")
        spec = seal(self._head, Entry(actor="modelward", action="Promoted", model=about), self.clock.now())
        self._head = head_of(spec)
        metadata = {"namespace": CHAIN.namespace, "name": f"{CHAIN.model}-{spec.seq:08d}", "uid": f"u{spec.seq}"}
        obj = {"metadata": metadata, "spec": document_of(spec)}
        self.kube.hold(MODEL_AUDIT_RECORDS, obj)
        self.cache.put(MODEL_AUDIT_RECORDS, obj)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.export.run())
        await self.clock.advance(0)
        try:
            yield
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def metric(self, name: str) -> float | None:
        return self.registry.get_sample_value(name)


async def test_new_records_are_exported_at_the_next_look() -> None:
    term = Term()
    async with term.running():
        term.write()
        await term.clock.advance(LOOK_SECONDS)
        assert len(term.storage.records) == 1
        term.write()
        await term.clock.advance(LOOK_SECONDS)
        assert len(term.storage.records) == 2


async def test_a_chain_without_anything_new_is_not_asked_for() -> None:
    term = Term()
    term.write()
    async with term.running():
        await term.clock.advance(LOOK_SECONDS)
        asked = term.storage.asked
        await term.clock.advance(100 * LOOK_SECONDS)
        assert term.storage.asked == asked


@pytest.mark.parametrize(
    "problem",
    [StorageUnavailable("the bucket does not answer"), RuntimeError("what nobody thought of")],
    ids=["down", "broken"],
)
async def test_a_storage_that_fails_is_asked_less_and_less_often_and_caught_up_with_afterwards(
    problem: Exception,
) -> None:
    term = Term()
    term.storage.problem = problem
    term.write()
    async with term.running():
        await term.clock.advance(3600)
        assert 3600 / LONGEST_PAUSE <= term.storage.asked <= 3600 / LONGEST_PAUSE + 10
        assert term.metric("modelward_audit_backlog_records") == 1
        assert term.metric("modelward_audit_oldest_unexported_age_seconds") == 3600
        term.write()
        term.storage.problem = None
        await term.clock.advance(LONGEST_PAUSE)
        assert [record["seq"] for record in term.storage.records] == [1, 2]
        term.write()
        await term.clock.advance(LOOK_SECONDS)
        assert len(term.storage.records) == 3
        assert term.metric("modelward_audit_export_last_success_timestamp_seconds") == term.clock.now().timestamp()


async def test_an_api_server_that_is_down_ends_nothing() -> None:
    term = Term()
    for _ in range(3):
        term.write()
    async with term.running():
        term.kube.down = True
        await term.clock.advance(2 * KEPT.total_seconds())
        assert len(term.kube.objects) == 3
        term.kube.down = False
        await term.clock.advance(2 * LONGEST_PAUSE)
        assert len(term.kube.objects) == 1


async def test_a_new_term_asks_the_storage_what_others_brought_meanwhile() -> None:
    term = Term()
    term.write()
    async with term.running():
        pass
    term.write()
    term.storage.records.append(term.cache.list(MODEL_AUDIT_RECORDS)[1]["spec"])  # by another leader
    async with term.running():
        term.write()
        await term.clock.advance(LOOK_SECONDS)
    assert [record["seq"] for record in term.storage.records] == [1, 2, 3]


async def test_who_leads_no_more_says_nothing_of_what_waits() -> None:
    term = Term()
    term.storage.problem = StorageUnavailable("the bucket does not answer")
    term.write()
    async with term.running():
        assert term.metric("modelward_audit_backlog_records") == 1
    await term.clock.advance(3600)
    assert term.metric("modelward_audit_backlog_records") == 0
    assert term.metric("modelward_audit_oldest_unexported_age_seconds") == 0


async def test_a_head_that_is_gone_from_the_cluster_stops_pruning() -> None:
    term = Term()
    for _ in range(3):
        term.write()
    async with term.running():
        await term.kube.delete(MODEL_AUDIT_RECORDS, CHAIN.namespace, f"{CHAIN.model}-00000003")
        await term.clock.advance(2 * KEPT.total_seconds())
        assert len(term.kube.objects) == 2
