"""Audit records on their way out of a real API server: exported, sealed, pruned; and what stops that."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry

from modelward.api import reasons
from modelward.api.model_audit_record import AuditedModel, ModelAuditRecordSpec, record_name
from modelward.api.resources import EVENTS, MODEL_AUDIT_RECORDS
from modelward.archive.configuration import open_archive
from modelward.archive.exporter import StorageUnavailable
from modelward.governance import checkpoints
from modelward.governance.chain import Entry, Head, document_of, head_of, seal, verify
from modelward.runtime.cache import Cache
from modelward.runtime.exporting import BROKEN_PAUSE, AuditExport, ExportMetrics
from modelward.runtime.kube import KubeClient, Object
from tests.api.conftest import PATIENCE, ApiServer
from tests.api.test_operator_process import running

LATER = timedelta(days=40)


@dataclass
class Today:
    """A clock that is set by hand; nothing here waits."""

    ahead: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def monotonic(self) -> float:
        raise AssertionError("an export goes by the date")

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("one round of an export never sleeps")


class Leader:
    """One operator, as far as it exports: its own cache, memory and metrics."""

    def __init__(self, kube: KubeClient, file: Path, clock: Today) -> None:
        self._kube = kube
        self._cache = Cache()
        self._registry = CollectorRegistry()
        self.storage = (archive := open_archive(file, clock.now)).exporter
        self.export = AuditExport(kube, self._cache, archive, clock, ExportMetrics(self._registry, clock))

    async def look(self, namespace: str) -> None:
        listed = await self._kube.list(MODEL_AUDIT_RECORDS, namespace)
        self._cache.replace(MODEL_AUDIT_RECORDS, listed, self._cache.revision())
        await self.export.look()

    def metric(self, name: str) -> float:
        value = self._registry.get_sample_value(name)
        assert value is not None, name
        return value


@dataclass
class Scene:
    kube: KubeClient
    namespace: str
    directory: Path
    clock: Today = field(default_factory=Today)
    heads: dict[str, Head] = field(default_factory=dict)
    leaders: list[Leader] = field(default_factory=list)

    @property
    def store(self) -> Path:
        return self.directory / "store"

    def leader(self, **more: object) -> Leader:
        file = self.directory / "audit.yaml"
        key_file = str(self.directory / "key.pem")
        settings = {"directory": {"path": str(self.store)}, "signing": {"keyFile": key_file}, **more}
        file.write_text(yaml.safe_dump({name: value for name, value in settings.items() if value is not None}))
        self.leaders.append(Leader(self.kube, file, self.clock))
        return self.leaders[-1]

    async def write(self, count: int, model: str = "credit-risk") -> None:
        """As the operator does before every step."""
        for _ in range(count):
            spec = self.sealed(model)
            await self.create(spec.model.name, document_of(spec))
            self.heads[model] = head_of(spec)

    def sealed(self, model: str = "credit-risk", message: str = "a step, weight 0.1") -> ModelAuditRecordSpec:
        about = AuditedModel(namespace=self.namespace, name=model, uid="u")
        details = {"policy": {"margin": 0.1, "largest": 1e17, "text": "é ✓"}}
        entry = Entry(actor="modelward", action="Promoted", model=about, message=message, details=details)
        return seal(self.heads.get(model), entry, datetime.now(UTC))

    async def create(self, model: str, document: dict[str, Any]) -> Object:
        name = record_name(model, document["seq"])
        metadata = {"namespace": self.namespace, "name": name, "labels": {"modelward.dev/model": model}}
        return await self.kube.create(MODEL_AUDIT_RECORDS, {"metadata": metadata, "spec": document})

    async def in_cluster(self, model: str = "credit-risk") -> list[int]:
        found = await self.kube.list(MODEL_AUDIT_RECORDS, self.namespace, f"modelward.dev/model={model}")
        return sorted(one["spec"]["seq"] for one in found)

    def stored(self, model: str = "credit-risk", file: str = "records.jsonl") -> list[dict[str, Any]]:
        path = self.store / self.namespace / model / file
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    async def falsify(self, seq: int, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        """Records cannot be changed, so somebody with all rights takes one away and puts another in its place."""
        name = record_name("credit-risk", seq)
        true = await self.kube.get(MODEL_AUDIT_RECORDS, self.namespace, name)
        assert true is not None
        await self.kube.delete(MODEL_AUDIT_RECORDS, self.namespace, name)
        await self.create("credit-risk", change(dict(true["spec"])))
        return dict(true["spec"])


@pytest.fixture
async def scene(api_server: ApiServer, tmp_path: Path) -> AsyncIterator[Scene]:
    key = Ed25519PrivateKey.generate()
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (tmp_path / "key.pem").write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
    (tmp_path / "store").mkdir()
    async with api_server.client() as api:
        scene = Scene(KubeClient(api, timeout=PATIENCE), api_server.namespace(), tmp_path)
        yield scene
        for leader in scene.leaders:
            await leader.storage.close()


async def test_what_is_exported_is_a_whole_chain_under_a_signed_checkpoint(scene: Scene) -> None:
    leader = scene.leader()
    await scene.write(3)
    await leader.look(scene.namespace)
    await scene.write(2)
    await leader.look(scene.namespace)
    await leader.look(scene.namespace)
    public_key = checkpoints.public_key_of((scene.directory / "key.pem").read_bytes())
    sealed = [checkpoints.verify(one, public_key) for one in scene.stored(file="checkpoints.jsonl")]
    assert [one.seq for one in sealed] == [3, 5]
    assert verify(scene.stored(), heads=[one.head for one in sealed]) == ()
    assert await scene.in_cluster() == [1, 2, 3, 4, 5]
    assert leader.metric("modelward_audit_backlog_records") == 0
    assert leader.metric("modelward_audit_checkpoints_signed") == 1
    assert leader.metric("modelward_audit_exported_records_total") == 5


async def test_a_storage_that_is_down_loses_nothing_and_prunes_nothing(scene: Scene) -> None:
    leader = scene.leader()
    await scene.write(2)
    await leader.look(scene.namespace)
    scene.clock.ahead = LATER
    shutil.move(scene.store, scene.directory / "away")
    await scene.write(3)
    for _ in range(2):
        with pytest.raises(StorageUnavailable):
            await leader.look(scene.namespace)
    assert await scene.in_cluster() == [1, 2, 3, 4, 5]
    assert leader.metric("modelward_audit_backlog_records") == 3
    assert leader.metric("modelward_audit_oldest_unexported_age_seconds") > LATER.total_seconds() - 60
    shutil.move(scene.directory / "away", scene.store)
    await leader.look(scene.namespace)
    assert verify(scene.stored()) == () and len(scene.stored()) == 5
    assert leader.metric("modelward_audit_backlog_records") == 0
    assert leader.metric("modelward_audit_oldest_unexported_age_seconds") == 0


async def test_old_records_are_pruned_once_they_are_stored_but_never_the_head(scene: Scene) -> None:
    await scene.write(4)
    await scene.write(1, "fraud")
    leader = scene.leader()
    await leader.look(scene.namespace)
    assert await scene.in_cluster() == [1, 2, 3, 4]
    scene.clock.ahead = LATER
    await leader.look(scene.namespace)
    assert (await scene.in_cluster(), await scene.in_cluster("fraud")) == ([4], [1])
    await leader.look(scene.namespace)
    assert await scene.in_cluster() == [4]
    await scene.write(2)
    later = scene.leader()  # one that knows nothing of before
    await later.look(scene.namespace)
    assert await scene.in_cluster() == [6]
    assert verify(scene.stored()) == () and len(scene.stored()) == 6


async def test_records_are_kept_for_as_long_as_is_asked_for(scene: Scene) -> None:
    await scene.write(3)
    scene.clock.ahead = LATER
    await scene.leader(keepInCluster="0s").look(scene.namespace)
    assert await scene.in_cluster() == [1, 2, 3]
    await scene.leader(keepInCluster="2400h").look(scene.namespace)
    assert await scene.in_cluster() == [1, 2, 3]


async def test_a_falsified_record_stops_its_chain_before_it_and_no_other_chain(scene: Scene) -> None:
    await scene.write(5)
    await scene.write(2, "fraud")
    true = await scene.falsify(4, lambda spec: spec | {"message": "nothing of importance"})
    leader = scene.leader()
    await leader.look(scene.namespace)
    scene.clock.ahead = BROKEN_PAUSE * 2
    await leader.look(scene.namespace)
    assert [one["seq"] for one in scene.stored()] == [1, 2, 3]
    assert [one["seq"] for one in scene.stored("fraud")] == [1, 2]
    assert leader.metric("modelward_audit_broken_chains") == 1
    assert leader.metric("modelward_audit_backlog_records") == 2
    told = [
        one for one in await scene.kube.list(EVENTS, scene.namespace) if one["reason"] == reasons.AUDIT_EXPORT_STOPPED
    ]
    assert len(told) == 1 and "record 4 has the hash" in told[0]["note"] and told[0]["type"] == "Warning"
    await scene.falsify(4, lambda _: true)
    scene.clock.ahead = BROKEN_PAUSE * 4
    await leader.look(scene.namespace)
    assert verify(scene.stored()) == () and len(scene.stored()) == 5
    assert leader.metric("modelward_audit_broken_chains") == 0


async def test_a_record_written_anew_with_a_fitting_hash_is_found_by_the_next_one(scene: Scene) -> None:
    await scene.write(2)
    second = scene.heads["credit-risk"]
    await scene.write(1)
    scene.heads["credit-risk"] = second
    forged = scene.sealed(message="as somebody would like it")
    await scene.falsify(3, lambda _: document_of(forged))
    scene.heads["credit-risk"] = Head(3, "sha256:" + "1" * 64)
    await scene.write(1)
    leader = scene.leader()
    await leader.look(scene.namespace)
    assert [one["seq"] for one in scene.stored()] == [1, 2]
    assert leader.metric("modelward_audit_broken_chains") == 1


async def test_a_missing_record_stops_the_chain(scene: Scene) -> None:
    await scene.write(5)
    await scene.kube.delete(MODEL_AUDIT_RECORDS, scene.namespace, record_name("credit-risk", 3))
    leader = scene.leader()
    await leader.look(scene.namespace)
    assert [one["seq"] for one in scene.stored()] == [1, 2]
    assert leader.metric("modelward_audit_broken_chains") == 1


async def test_a_record_that_the_storage_holds_otherwise_is_not_pruned(scene: Scene) -> None:
    await scene.write(4)
    leader = scene.leader()
    await leader.look(scene.namespace)
    file = scene.store / scene.namespace / "credit-risk" / "records.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([lines[0], lines[1].replace("a step", "no step"), *lines[2:]]))
    scene.clock.ahead = LATER
    await leader.look(scene.namespace)
    assert await scene.in_cluster() == [2, 3, 4]
    assert leader.metric("modelward_audit_broken_chains") == 1


async def test_a_cluster_that_is_behind_its_storage_exports_and_prunes_nothing(scene: Scene) -> None:
    await scene.write(4)
    leader = scene.leader()
    await leader.look(scene.namespace)
    before = scene.stored()
    await scene.kube.delete(MODEL_AUDIT_RECORDS, scene.namespace, record_name("credit-risk", 4))
    scene.clock.ahead = LATER
    await scene.leader().look(scene.namespace)
    assert (await scene.in_cluster(), scene.stored()) == ([1, 2, 3], before)


async def test_without_a_key_records_are_exported_and_checkpoints_are_not_signed(scene: Scene) -> None:
    await scene.write(2)
    leader = scene.leader(signing=None)
    await leader.look(scene.namespace)
    assert len(scene.stored()) == 2 and scene.stored(file="checkpoints.jsonl") == []
    assert leader.metric("modelward_audit_checkpoints_signed") == 0


async def test_a_key_that_cannot_be_used_stops_pruning_and_not_the_export(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    await scene.write(3)
    key_file = scene.directory / "key.pem"
    key = key_file.read_bytes()
    key_file.write_text("no key at all")
    scene.clock.ahead = LATER
    leader = scene.leader()
    await leader.look(scene.namespace)
    assert (len(scene.stored()), await scene.in_cluster()) == (3, [1, 2, 3])
    assert "an Ed25519 private key is needed" in caplog.text and "no key at all" not in caplog.text
    key_file.write_bytes(key)
    await leader.look(scene.namespace)
    assert await scene.in_cluster() == [3]
    assert [one["seq"] for one in scene.stored(file="checkpoints.jsonl")] == [3]


async def test_two_operators_that_both_think_they_lead_make_one_chain(scene: Scene) -> None:
    leaders = [scene.leader(), scene.leader()]
    for _ in range(4):
        await scene.write(3)
        await asyncio.gather(*(leader.look(scene.namespace) for leader in leaders))
    assert verify(scene.stored()) == () and len(scene.stored()) == 12


async def test_a_backlog_longer_than_a_batch_is_exported_at_one_look(scene: Scene, monkeypatch) -> None:
    monkeypatch.setattr("modelward.runtime.exporting.EXPORTED_AT_ONCE", 4)
    await scene.write(11)
    await scene.leader().look(scene.namespace)
    assert verify(scene.stored()) == () and len(scene.stored()) == 11


async def test_of_two_operators_the_one_that_leads_exports_and_the_other_goes_on_after_it(
    scene: Scene, api_server: ApiServer, tmp_path: Path
) -> None:
    scene.leader()  # for its file
    await scene.write(2)
    more = ("--namespace", scene.namespace, "--audit-export", str(tmp_path / "audit.yaml"))
    exported = "modelward_audit_exported_records_total"
    async with asyncio.timeout(PATIENCE), running(api_server, scene.namespace, tmp_path / "log", *more) as first:
        await first.until("/metrics", lambda _, text: f"{exported} 2.0" in text)
        async with running(api_server, scene.namespace, tmp_path / "log2", *more) as second:
            await second.until("/readyz", lambda status, _: status == 200)
            await scene.write(1)
            await first.until("/metrics", lambda _, text: f"{exported} 3.0" in text)
            await first.until("/metrics", lambda _, text: "modelward_audit_backlog_records 0.0" in text)
            assert f"{exported} 0.0" in (await second.page("/metrics"))[1]
            first.process.terminate()
            assert await first.process.wait() == 0, first.log.read_text()
            await scene.write(1)
            await second.until("/metrics", lambda _, text: f"{exported} 1.0" in text)
            second.process.terminate()
            assert await second.process.wait() == 0, second.log.read_text()
    assert verify(scene.stored()) == () and len(scene.stored()) == 4
    assert "Traceback" not in first.log.read_text() + second.log.read_text()
