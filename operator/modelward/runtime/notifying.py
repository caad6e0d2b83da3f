"""Tells other systems of approvals and rollouts: each event at least once and in order, to each receiver by a task of its own.

The cluster is the queue: events are made of audit records and of what waits in the status of Models, and a receiver that is down
finds them there when it is back. What was sent is kept in a ConfigMap, so that the next leader goes on where this one ended; an
operator that is killed in between sends some events twice, with the same ids.

`aiohttp`, which kopf brings, sends; libraries for CloudEvents and for webhooks bring a server framework or a database with them, for a
JSON object and an HMAC.
"""

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import aiohttp
from prometheus_client import CollectorRegistry, Counter, Gauge

from modelward.api.resources import CONFIG_MAPS, MODEL_AUDIT_RECORDS, MODELS
from modelward.api.status import format_time
from modelward.runtime.cache import Cache
from modelward.runtime.clock import Clock
from modelward.runtime.kube import ApiError, KubeApi
from modelward.runtime.notices import Notice, of_records, of_requests
from modelward.runtime.webhooks import NotDelivered, Webhook, post

logger = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 300.0
AT_ONCE = 100
LATE = timedelta(minutes=10)
"""How much later than others of its time a record may be seen: reconciles of Models take different times."""
KEPT = timedelta(days=3)
"""An event that was not taken for so long is given up: it would hold up, or be lost among, those that still matter."""


class NotifyMetrics:
    """What tells a platform whether its other systems hear."""

    def __init__(self, registry: CollectorRegistry) -> None:
        name = ["webhook"]
        self.sent = Counter(
            "modelward_notifications_sent", "Events that a receiver has taken.", name, registry=registry
        )
        self.failures = Counter(
            "modelward_notifications_failures", "Requests to a receiver that failed.", name, registry=registry
        )
        self.dropped = Counter(
            "modelward_notifications_dropped",
            "Events that were given up: refused by the receiver, or not taken for three days.",
            name,
            registry=registry,
        )
        self.waiting = Gauge(
            "modelward_notifications_waiting", "Events that wait for a receiver, at most 100.", name, registry=registry
        )


@dataclass
class _Memory:
    """How far one receiver was told."""

    until: datetime  # of everything recorded before, less LATE, it was told
    sent: dict[str, datetime] = field(default_factory=dict)  # what is younger than that, and requests that wait, by id
    undone: datetime | None = None  # when the oldest step was recorded that may be carried out yet

    @classmethod
    def of(cls, text: str) -> "_Memory":
        kept = json.loads(text)
        sent = {identity: datetime.fromisoformat(time) for identity, time in kept["sent"].items()}
        return cls(datetime.fromisoformat(kept["until"]), sent)

    def text(self) -> str:
        sent = {identity: format_time(time) for identity, time in self.sent.items()}
        return json.dumps({"until": format_time(self.until), "sent": sent}, separators=(",", ":"))

    def needs(self, notice: Notice) -> bool:
        return _short(notice.id) not in self.sent and (notice.is_request or notice.time > self.until - LATE)

    def note(self, notice: Notice) -> None:
        self.sent[_short(notice.id)] = notice.time
        if not notice.is_request:
            self.until = max(self.until, min(notice.time, self.undone or notice.time))

    def forget(self, requests: Iterable[Notice]) -> None:
        """What is not needed to know any more."""
        waiting = {_short(notice.id) for notice in requests}
        self.sent = {
            identity: time for identity, time in self.sent.items() if identity in waiting or time > self.until - LATE
        }


def _short(identity: str) -> str:
    """Enough to tell events of the same time apart: a ConfigMap takes a mebibyte."""
    return identity.removeprefix("sha256:")[:16]


class Notifier:
    def __init__(
        self,
        kube: KubeApi,
        cache: Cache,
        webhooks: Sequence[Webhook],
        clock: Clock,
        metrics: NotifyMetrics,
        *,
        namespace: str,
        name: str,
    ) -> None:
        """namespace, name: of the ConfigMap that keeps what was sent."""
        self._kube = kube
        self._cache = cache
        self._webhooks = webhooks
        self._clock = clock
        self._metrics = metrics
        self._namespace = namespace
        self._name = name
        self._memories: dict[str, _Memory] = {}
        self._kept: Mapping[str, str] = {}

    async def run(self) -> None:
        """Tell every receiver, again and again, until cancelled."""
        await self._remember()
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session, asyncio.TaskGroup() as tasks:
            for webhook in self._webhooks:
                tasks.create_task(self._tell(session, webhook))
            tasks.create_task(self._keep())

    # Details: one receiver.

    async def _tell(self, session: aiohttp.ClientSession, webhook: Webhook) -> None:
        while True:
            try:
                for notice in self._due(webhook):
                    await self._deliver(session, webhook, notice)
            except Exception:
                logger.exception("webhook %s: telling failed, and goes on later", webhook.name)
            await self._clock.sleep(LOOK_SECONDS)

    def _due(self, webhook: Webhook) -> list[Notice]:
        """What the receiver has to be told, oldest first, and at most so many that they may be kept while it is down."""
        memory = self._memories[webhook.name]
        models = {(each["metadata"]["namespace"], each["metadata"]["name"]): each for each in self._cache.list(MODELS)}
        requests = [notice for model in models.values() for notice in of_requests(model)]
        since = format_time(memory.until - LATE)  # times are all written alike: text compares as they do
        records = self._cache.list(MODEL_AUDIT_RECORDS, where=lambda each: bool(each["spec"]["time"] > since))
        memory.forget(requests)
        steps = list(of_records(records, models))
        oldest = self._clock.now() - KEPT
        memory.undone = min((step.time for step in steps if not step.due and step.time > oldest), default=None)
        due = [
            notice
            for notice in (*requests, *steps)
            if notice.due and notice.topic in webhook.events and memory.needs(notice)
        ]
        due.sort(key=lambda notice: (notice.time, notice.order))
        self._metrics.waiting.labels(webhook.name).set(len(due[:AT_ONCE]))
        return due[:AT_ONCE]

    async def _deliver(self, session: aiohttp.ClientSession, webhook: Webhook, notice: Notice) -> None:
        """Send until it is taken, refused, or too old to matter."""
        pause, said = FIRST_PAUSE, ""
        while True:
            now = self._clock.now()
            if now - notice.time > KEPT and not notice.is_request:
                self._give_up(webhook, notice, f"it was not taken for {KEPT.days} days")
                break
            try:
                taken = await post(session, webhook, notice, int(now.timestamp()))
            except NotDelivered as error:
                self._metrics.failures.labels(webhook.name).inc()
                if str(error) != said:
                    logger.warning("webhook %s %s; it is told again and again", webhook.name, error)
                said = str(error)
                await self._clock.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            if taken:
                self._metrics.sent.labels(webhook.name).inc()
            else:
                self._give_up(webhook, notice, "the receiver refuses it")
            break
        self._memories[webhook.name].note(notice)

    def _give_up(self, webhook: Webhook, notice: Notice, why: str) -> None:
        self._metrics.dropped.labels(webhook.name).inc()
        logger.error("webhook %s: event %s (%s) is given up: %s", webhook.name, notice.id, notice.topic, why)

    # Details: what was sent, across leaders.

    async def _remember(self) -> None:
        """Read how far each receiver was told; one that is new is told what happens from now on."""
        while True:
            try:
                found = await self._kube.get(CONFIG_MAPS, self._namespace, self._name)
                break
            except ApiError as error:
                logger.warning("nobody is told yet of approvals and rollouts: %s", error.message)
                await self._clock.sleep(LOOK_SECONDS)
        self._kept = (found or {}).get("data") or {}
        self._memories = {webhook.name: self._memory_of(webhook) for webhook in self._webhooks}

    def _memory_of(self, webhook: Webhook) -> _Memory:
        text = self._kept.get(webhook.name)
        try:
            if text:
                return _Memory.of(text)
        except (ValueError, KeyError, TypeError, AttributeError):
            logger.error(
                "webhook %s: what was sent cannot be read in ConfigMap %s; it begins anew", webhook.name, self._name
            )
        return _Memory(self._clock.now() + LATE)

    async def _keep(self) -> None:
        while True:
            kept = {name: memory.text() for name, memory in self._memories.items()}
            if kept != self._kept:
                try:
                    metadata = {"name": self._name, "namespace": self._namespace}
                    await self._kube.apply(CONFIG_MAPS, {"metadata": metadata, "data": kept})
                    self._kept = kept
                except ApiError as error:
                    logger.warning("what was sent is not kept yet: %s", error.message)
            await self._clock.sleep(LOOK_SECONDS)
