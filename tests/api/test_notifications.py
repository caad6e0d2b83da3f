"""Webhooks with the rights that the chart gives, on a real API server: what was sent is kept, and the next leader reads it."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from modelward.runtime.cache import Cache
from modelward.runtime.clock import SystemClock
from modelward.runtime.kube import KubeClient
from modelward.runtime.notices import Topic
from modelward.runtime.notifying import Notifier, NotifyMetrics
from modelward.runtime.webhooks import Webhook, load_webhooks
from tests.api.conftest import PATIENCE, ApiServer
from tests.api.governance.people import RBAC, Manifest, chart

NAME = "modelward-notifications"


@pytest.fixture
def namespace(api_server: ApiServer) -> str:
    """The operator's own namespace, with the Role that the chart makes for webhooks."""
    namespace = api_server.namespace(f"operator-{secrets.token_hex(4)}")
    role = _of_the_chart("Role")
    assert api_server.apply(f"{RBAC}/namespaces/{namespace}/roles/{NAME}", _moved(role, namespace)).accepted
    binding = _moved(_of_the_chart("RoleBinding"), namespace)
    binding["subjects"] = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "operator"}]
    assert api_server.apply(f"{RBAC}/namespaces/{namespace}/rolebindings/{NAME}", binding).accepted
    return namespace


def _of_the_chart(kind: str) -> Manifest:
    webhook = {"name": "tickets", "url": "https://tickets.example.com/", "secretName": "tickets"}
    settings = [f"notifications.webhooks[0].{field}={value}" for field, value in webhook.items()]
    return next(each for each in chart(*settings) if (each["kind"], each["metadata"]["name"]) == (kind, NAME))


def _moved(manifest: Manifest, namespace: str) -> Manifest:
    return manifest | {"metadata": {"name": manifest["metadata"]["name"], "namespace": namespace}}


@asynccontextmanager
async def leading(api_server: ApiServer, namespace: str, webhook: Webhook) -> AsyncIterator[None]:
    async with api_server.client("operator") as api:
        metrics = NotifyMetrics(CollectorRegistry())
        notifier = Notifier(KubeClient(api), Cache(), [webhook], SystemClock(), metrics, namespace=namespace, name=NAME)
        task = asyncio.create_task(notifier.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def kept(api_server: ApiServer, namespace: str, name: str) -> str:
    limit = time.monotonic() + PATIENCE
    while True:
        answer = api_server.request("GET", f"/api/v1/namespaces/{namespace}/configmaps/{NAME}")
        if answer.accepted and name in answer.body["data"]:
            return str(answer.body["data"][name])
        assert time.monotonic() < limit, answer.message
        await asyncio.sleep(0.1)


async def test_a_leader_keeps_what_was_sent_and_the_next_one_goes_on_from_there(
    api_server: ApiServer, namespace: str, tmp_path: Path
) -> None:
    spec = {"url": "https://tickets.example.com/", "keyFile": tmp_path / "key"}
    async with leading(api_server, namespace, Webhook.model_validate({"name": "tickets", **spec})):
        first = await kept(api_server, namespace, "tickets")
    assert json.loads(first)["sent"] == {}
    async with leading(api_server, namespace, Webhook.model_validate({"name": "tickets", **spec})):
        assert await kept(api_server, namespace, "tickets") == first
    async with leading(api_server, namespace, Webhook.model_validate({"name": "chat", **spec})):
        await kept(api_server, namespace, "chat")


def test_what_the_chart_writes_is_what_the_operator_reads(tmp_path: Path) -> None:
    webhooks = {
        "name": "tickets",
        "url": "https://tickets.example.com/",
        "secretName": "s",
        "events": "{approval.decided}",
    }
    settings = [f"notifications.webhooks[0].{field}={value}" for field, value in webhooks.items()]
    written = next(each for each in chart(*settings) if each["kind"] == "ConfigMap" and "config.yaml" in each["data"])
    path = tmp_path / "notifications.yaml"
    path.write_text(written["data"]["notifications.yaml"])
    (webhook,) = load_webhooks(path)
    assert (webhook.name, webhook.events) == ("tickets", {Topic.APPROVAL_DECIDED})
    assert str(webhook.key_file) == "/etc/modelward-webhooks/tickets/key"
