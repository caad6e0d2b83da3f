"""Webhooks, told over TLS on loopback: the sample receiver takes what the operator signs, in order and once, whatever happens between."""

import asyncio
import hmac
import importlib.util
import json
import socket
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from prometheus_client import CollectorRegistry

from cluster import certificates
from modelward.api.resources import CONFIG_MAPS, MODEL_AUDIT_RECORDS, MODELS
from modelward.api.status import format_time
from modelward.runtime.cache import Cache
from modelward.runtime.kube import Object
from modelward.runtime.notices import Topic, signature
from modelward.runtime.notifying import KEPT, Notifier, NotifyMetrics
from modelward.runtime.settings import load
from modelward.runtime.webhooks import NotificationsInvalid, Webhook, load_webhooks
from tests.unit.runtime.fakes import FakeKube

RECEIVER = Path(__file__).parents[3] / "examples" / "webhook_receiver" / "receiver.py"
KEY = b"0123456789abcdef0123456789abcdef"
LIMIT_SECONDS = 20


class HurriedClock:
    """The real time, in which nobody sleeps for long."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))


@dataclass
class Trust:
    """A certificate for loopback, its authority, and the key that signs."""

    authority: Path
    certificate: Path
    private_key: Path
    key: Path


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    folder = tmp_path_factory.mktemp("receiver")
    authority, own = certificates.Authority(), certificates.new_key()
    issued = authority.issue(certificates.Request("receiver", "receiver", addresses=("127.0.0.1",)), own.public_key())
    files = Trust(folder / "ca.crt", folder / "tls.crt", folder / "tls.key", folder / "key")
    files.authority.write_bytes(authority.own_certificate().public_bytes(Encoding.PEM))
    files.certificate.write_bytes(issued.public_bytes(Encoding.PEM))
    files.private_key.write_bytes(own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    files.key.write_bytes(KEY + b"\n")
    return files


@dataclass
class Heard:
    """The sample receiver as a process of its own."""

    port: int
    process: asyncio.subprocess.Process

    async def event(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return json.loads(await asyncio.wait_for(self.process.stdout.readline(), LIMIT_SECONDS))


@asynccontextmanager
async def receiver(trust: Trust, port: int = 0) -> AsyncIterator[Heard]:
    flags = ["--key-file", trust.key, "--certificate", trust.certificate, "--private-key", trust.private_key]
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(RECEIVER), "--port", str(port), *map(str, flags), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), LIMIT_SECONDS)
        yield Heard(int(line.split()[-1]), process)
    finally:
        process.kill()
        await process.wait()


@dataclass
class Scene:
    """A cluster with one Model, whose audit trail grows; a leader that tells webhooks of it."""

    trust: Trust
    kube: FakeKube = field(default_factory=FakeKube)
    cache: Cache = field(default_factory=Cache)
    clock: HurriedClock = field(default_factory=HurriedClock)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    seq: int = 0
    pending: list[Object] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.metrics = NotifyMetrics(self.registry)
        self._model(0)

    def webhook(self, name: str, port: int, **changes: Any) -> Webhook:
        spec = {"name": name, "url": f"https://127.0.0.1:{port}/hook", "keyFile": self.trust.key}
        return Webhook.model_validate({**spec, "caFile": self.trust.authority, **changes})

    @asynccontextmanager
    async def leading(self, *webhooks: Webhook) -> AsyncIterator[None]:
        notifier = Notifier(
            self.kube, self.cache, webhooks, self.clock, self.metrics, namespace="modelward", name="notifications"
        )
        task = asyncio.create_task(notifier.run())
        try:
            await self.kept(webhooks[0].name)
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def record(self, action: str, *, done: bool = True, **spec: Any) -> str:
        """One more link of the chain; its id."""
        self.seq += 1
        identity = f"sha256:{self.seq:016x}{0:048x}"
        fields = {
            "seq": self.seq, "hash": identity, "time": format_time(self.clock.now()), "actor": "modelward", "action": action,
            "model": {"namespace": "lending", "name": "credit-risk", "uid": "u1"}, "version": "v8", "message": f"{action}.",
        }  # fmt: skip
        metadata = {"name": f"credit-risk-{self.seq:08d}", "namespace": "lending"}
        self.cache.put(MODEL_AUDIT_RECORDS, {"metadata": metadata, "spec": fields | spec})
        if done:
            self._model(self.seq)
        return identity

    def ask(self, role: str, *, due: bool = True, digest: str = "sha256:aa") -> None:
        since = format_time(self.clock.now())
        row = {"role": role, "version": "v8", "subjectDigest": digest, "before": "50 % of requests", "missing": 1}
        self.pending.append({**row, "due": due, "since": since})
        self._model(self.seq)

    def answered(self) -> None:
        self.pending.clear()
        self._model(self.seq)

    async def kept(self, name: str, *identities: str) -> None:
        """Until it is kept that these were sent."""
        limit = time.monotonic() + LIMIT_SECONDS
        while True:
            found = self.kube.objects.get((CONFIG_MAPS, "modelward", "notifications"))
            sent = "".join(json.loads(found["data"][name])["sent"]) if found and name in found["data"] else None
            if sent is not None and all(identity[7:23] in sent for identity in identities):
                return
            assert time.monotonic() < limit
            await asyncio.sleep(0.005)

    def count(self, metric: str, webhook: str) -> float:
        return self.registry.get_sample_value(f"modelward_notifications_{metric}", {"webhook": webhook}) or 0.0

    async def counted(self, metric: str, webhook: str, least: float) -> None:
        limit = time.monotonic() + LIMIT_SECONDS
        while self.count(metric, webhook) < least:
            assert time.monotonic() < limit, f"{metric} of {webhook}: {self.count(metric, webhook)}"
            await asyncio.sleep(0.005)

    def _model(self, head: int) -> None:
        status = {"audit": {"seq": head, "hash": ""}, "pendingApprovals": list(self.pending)}
        metadata = {"name": "credit-risk", "namespace": "lending", "uid": "u1"}
        self.cache.put(MODELS, {"metadata": metadata, "spec": {"modelID": "MDL-0042"}, "status": status})


@pytest.fixture
def scene(trust: Trust) -> Scene:
    return Scene(trust)


async def test_a_receiver_hears_of_requests_decisions_promotions_and_rollbacks(scene: Scene) -> None:
    approval = {"name": "a", "role": "risk", "decision": "Approve", "approver": "rita", "subjectDigest": "sha256:aa"}
    async with receiver(scene.trust) as heard, scene.leading(scene.webhook("tickets", heard.port)):
        scene.ask("risk")
        asked = await heard.event()
        decided = scene.record("DecisionRecorded", actor="rita", approvals=[approval])
        scene.record("StageEntered")
        promoted = scene.record("Promoted", weights=[{"version": "v8", "percent": 100}])
        back = scene.record("RolledBack")
        events = [await heard.event() for _ in range(3)]
    assert {field: asked[field] for field in ("specversion", "type", "source", "subject")} == {
        "specversion": "1.0",
        "type": "dev.modelward.approval.requested",
        "source": "/namespaces/lending/models/credit-risk",
        "subject": "v8",
    }
    assert asked["data"]["decide"] == "modelward approve credit-risk -n lending --version v8 --role risk"
    assert asked["data"]["modelID"] == "MDL-0042"
    assert [(event["type"].removeprefix("dev.modelward."), event["id"]) for event in events] == [
        ("approval.decided", decided),
        ("rollout.promoted", promoted),
        ("rollout.rolled-back", back),
    ]
    assert events[0]["data"]["approvals"] == [approval]
    assert events[0]["data"]["actor"] == "rita"
    assert events[1]["data"]["record"] == {"seq": 3, "hash": promoted}


async def test_each_receiver_gets_the_events_that_it_asks_for(scene: Scene) -> None:
    wanted = [Topic.ROLLOUT_ROLLED_BACK]
    async with receiver(scene.trust) as heard, scene.leading(scene.webhook("tickets", heard.port, events=wanted)):
        scene.ask("risk")
        scene.record("Promoted")
        back = scene.record("Rejected")
        assert (await heard.event())["id"] == back


async def test_a_receiver_that_was_down_gets_everything_in_order(scene: Scene) -> None:
    port = free_port()
    async with scene.leading(scene.webhook("tickets", port)):
        sent = [scene.record("Promoted"), scene.record("RolledBack"), scene.record("Promoted")]
        await scene.counted("failures_total", "tickets", 3)
        async with receiver(scene.trust, port) as heard:
            sent.append(scene.record("RolledBack"))
            assert [(await heard.event())["id"] for _ in sent] == sent


async def test_the_next_leader_goes_on_where_the_last_one_ended(scene: Scene) -> None:
    async with receiver(scene.trust) as heard:
        webhook = scene.webhook("tickets", heard.port)
        async with scene.leading(webhook):
            scene.ask("risk")
            request = (await heard.event())["id"]
            first = scene.record("Promoted")
            assert (await heard.event())["id"] == first
            await scene.kept("tickets", request, first)
        meanwhile = scene.record("RolledBack")
        async with scene.leading(webhook):
            assert (await heard.event())["id"] == meanwhile
            last = scene.record("Promoted")
            assert (await heard.event())["id"] == last
            await scene.counted("sent_total", "tickets", 4)
        assert scene.count("sent_total", "tickets") == 4, "nothing was sent twice"


async def test_what_happened_before_there_was_a_webhook_is_not_told(scene: Scene) -> None:
    scene.record("Promoted")
    async with receiver(scene.trust) as heard, scene.leading(scene.webhook("tickets", heard.port)):
        scene.clock.ahead += timedelta(seconds=1)
        now = scene.record("RolledBack")
        assert (await heard.event())["id"] == now


async def test_a_request_is_told_once_for_each_role_and_digest_when_it_is_due(scene: Scene) -> None:
    async with receiver(scene.trust) as heard, scene.leading(scene.webhook("tickets", heard.port)):
        scene.ask("risk", due=False)
        scene.ask("validator")
        assert (await heard.event())["data"]["role"] == "validator"
        scene.answered()
        scene.ask("risk")
        assert (await heard.event())["data"]["role"] == "risk"
        scene.answered()
        scene.ask("risk", digest="sha256:bb")
        assert (await heard.event())["data"]["subjectDigest"] == "sha256:bb"


async def test_a_step_is_told_when_it_was_carried_out_and_never_when_it_was_not(scene: Scene) -> None:
    async with receiver(scene.trust) as heard, scene.leading(scene.webhook("tickets", heard.port)):
        announced = scene.record("Promoted", done=False)
        seen = scene.record("NotCarriedOut", done=False, details={"notCarriedOut": [1]})
        back = scene.record("RolledBack")
        assert (await heard.event())["id"] == back
        assert {announced, seen}.isdisjoint({back})


async def test_a_step_that_takes_long_to_be_carried_out_is_told_then(scene: Scene) -> None:
    """The status of one Model cannot be written for an hour, and others go on."""
    told: list[str] = []

    async def take(request: web.Request) -> web.Response:
        told.append((await request.json())["id"])
        return web.Response(status=204)

    async with answering(scene.trust, take) as port, scene.leading(scene.webhook("tickets", port)):
        scene.clock.ahead += timedelta(minutes=11)
        slow = scene.record("Promoted", done=False)
        scene.clock.ahead += timedelta(hours=1)
        quick = scene.record("RolledBack", done=False, model={"namespace": "lending", "name": "churn", "uid": "u2"})
        await scene.kept("tickets", quick)
        scene.record("StageEntered")
        await scene.kept("tickets", slow)
    assert told == [quick, slow]


async def test_a_slow_receiver_slows_no_other_one(scene: Scene) -> None:
    released = asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        await released.wait()
        return web.Response(status=204)

    async with (
        answering(scene.trust, slow) as port,
        receiver(scene.trust) as heard,
        scene.leading(scene.webhook("quick", heard.port), scene.webhook("slow", port)),
    ):
        sent = [scene.record("Promoted") for _ in range(20)]
        assert [(await heard.event())["id"] for _ in sent] == sent
        assert scene.count("sent_total", "slow") == 0
        released.set()
        await scene.counted("sent_total", "slow", 20)


@pytest.mark.parametrize("status", [302, 401, 404, 429, 500, 503])
async def test_an_event_that_is_not_taken_is_sent_again(scene: Scene, status: int) -> None:
    bodies: list[bytes] = []

    async def unwilling(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        return web.Response(status=status if len(bodies) < 3 else 204, headers={"Location": "https://127.0.0.1:1/"})

    async with answering(scene.trust, unwilling) as port, scene.leading(scene.webhook("tickets", port)):
        scene.record("Promoted")
        await scene.counted("sent_total", "tickets", 1)
    assert len(bodies) == 3
    assert len(set(bodies)) == 1, "the same event, with the same id"
    assert scene.count("failures_total", "tickets") == 2


async def test_an_event_that_the_receiver_refuses_holds_nothing_up(scene: Scene) -> None:
    seen: list[str] = []

    async def choosy(request: web.Request) -> web.Response:
        event = await request.json()
        seen.append(event["id"])
        return web.Response(status=422 if event["type"].endswith("promoted") else 204)

    async with answering(scene.trust, choosy) as port, scene.leading(scene.webhook("tickets", port)):
        sent = [scene.record("Promoted"), scene.record("RolledBack")]
        await scene.counted("sent_total", "tickets", 1)
    assert (seen, scene.count("dropped_total", "tickets")) == (sent, 1)


async def test_an_event_that_nobody_took_for_days_is_given_up(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    async with scene.leading(scene.webhook("tickets", free_port())):
        scene.record("Promoted")
        await scene.counted("failures_total", "tickets", 1)
        scene.clock.ahead += KEPT + timedelta(seconds=1)
        await scene.counted("dropped_total", "tickets", 1)
    assert "is given up: it was not taken for 3 days" in caplog.text


async def test_a_certificate_that_is_not_trusted_gets_no_event(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    async with receiver(scene.trust) as heard, scene.leading(scene.webhook("tickets", heard.port, caFile=None)):
        scene.record("Promoted")
        await scene.counted("failures_total", "tickets", 2)
        assert scene.count("sent_total", "tickets") == 0
    assert caplog.text.count("has a certificate that is not trusted") == 1, "said once"


async def test_a_key_that_is_missing_or_too_short_sends_nothing_until_it_is_there(scene: Scene, tmp_path: Path) -> None:
    key = tmp_path / "key"
    async with receiver(scene.trust) as heard, scene.leading(scene.webhook("tickets", heard.port, keyFile=key)):
        sent = scene.record("Promoted")
        await scene.counted("failures_total", "tickets", 1)
        key.write_bytes(b"short")
        await scene.counted("failures_total", "tickets", 3)
        key.write_bytes(KEY)
        assert (await heard.event())["id"] == sent


async def test_an_api_server_that_is_down_loses_nothing(scene: Scene) -> None:
    async with receiver(scene.trust) as heard, scene.leading(scene.webhook("tickets", heard.port)):
        scene.kube.down = True
        sent = scene.record("Promoted")
        assert (await heard.event())["id"] == sent
        scene.kube.down = False
        await scene.kept("tickets", sent)


def signed(now: int) -> dict[str, tuple[str, int]]:
    """Headers, and what the receiver answers to them at that time."""
    body, old = b'{"id":"1"}', now - 360
    return {
        "the right signature": (signature(body, KEY, now), 204),
        "another key": (signature(body, b"another key, as long as it gets", now), 401),
        "another body": (signature(b'{"id":"2"}', KEY, now), 401),
        "six minutes ago": (signature(body, KEY, old), 401),
        "six minutes ahead": (signature(body, KEY, now + 360), 401),
        "an old signature with a new time": (signature(body, KEY, old).replace(f"t={old}", f"t={now}"), 401),
        "no signature": ("", 401),
        "nonsense": ("t=,v1=é", 401),
        "a time that is no number": ("t=²,v1=00", 401),
    }


async def test_the_sample_receiver_takes_what_is_signed_with_its_key_now(trust: Trust) -> None:
    context = ssl.create_default_context(cafile=str(trust.authority))

    def post(header: str) -> int:
        headers = {"modelward-signature": header.encode().decode("latin-1")}
        request = urllib.request.Request(f"https://127.0.0.1:{heard.port}/", data=b'{"id":"1"}', headers=headers)
        try:
            with urllib.request.urlopen(request, context=context, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as refusal:
            return refusal.code

    async with receiver(trust) as heard:
        headers = signed(int(time.time()))
        answers = {name: await asyncio.to_thread(post, header) for name, (header, _) in headers.items()}
    assert answers == {name: status for name, (_, status) in headers.items()}


def test_the_signature_is_the_one_that_the_documentation_describes() -> None:
    spec = importlib.util.spec_from_file_location("receiver", RECEIVER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert signature(b"{}", b"k" * 16, 1700000000) == (
        "t=1700000000,v1=" + hmac.new(b"k" * 16, b"1700000000.{}", "sha256").hexdigest()
    )
    assert module.is_genuine(signature(b"{}", b"k" * 16, 1700000000), b"{}", b"k" * 16, 1700000299.0)
    assert not module.is_genuine(signature(b"{}", b"k" * 16, 1700000000), b"{}", b"k" * 16, 1700000301.0)


BAD_FILES = {
    "plain HTTP": "webhooks: [{name: a, url: 'http://tickets.example.com/', keyFile: /k}]",
    "a password in the URL": "webhooks: [{name: a, url: 'https://me:secret@tickets.example.com/', keyFile: /k}]",
    "an unknown event": "webhooks: [{name: a, url: 'https://tickets.example.com/', keyFile: /k, events: [everything]}]",
    "an unknown field": "webhooks: [{name: a, url: 'https://tickets.example.com/', keyFile: /k, retries: 3}]",
    "the same name twice": "webhooks: [{name: a, url: 'https://x.example.com/', keyFile: /k}, {name: a, url: 'https://y.example.com/', keyFile: /k}]",
    "none at all": "webhooks: []",
    "no YAML": "webhooks: [",
}  # fmt: skip


@pytest.mark.parametrize("text", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_file_of_webhooks_that_cannot_be_meant_stops_the_operator(tmp_path: Path, text: str) -> None:
    path = tmp_path / "notifications.yaml"
    path.write_text(text)
    with pytest.raises(NotificationsInvalid, match=r"notifications\.yaml"):
        load_webhooks(path)


def test_a_file_of_webhooks_that_is_not_there_is_said_at_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load(["--notifications", "/nowhere/notifications.yaml"])
    assert "--notifications: there is no file /nowhere/notifications.yaml" in capsys.readouterr().err


@asynccontextmanager
async def answering(trust: Trust, handler: Any) -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_post("/hook", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trust.certificate, trust.private_key)
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
    try:
        yield port
    finally:
        await runner.cleanup()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
