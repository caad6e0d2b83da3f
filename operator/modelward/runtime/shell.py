"""kopf, as far as it is used: the watches. It hands every event to the intake and writes nothing to any object."""

import asyncio
import dataclasses
import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any, cast

import kopf

from modelward.api.resources import Resource
from modelward.runtime.intake import Watched
from modelward.runtime.kube import Object

OnEvent = Callable[[Resource, str | None, Object], None]


async def watch(
    watched: tuple[Watched, ...],
    on_event: OnEvent,
    *,
    stop: asyncio.Event,
    started: Callable[[], None],
    namespaces: tuple[str, ...] = (),
) -> None:
    """Watch until `stop` is set. Call it last: when it ends, kopf cancels every task that was created after its start.

    `started` is called once kopf has installed its signal handlers, so that the caller can put its own in their place.
    """
    before = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=registry(watched, on_event),
        settings=settings(watched),
        standalone=True,
        clusterwide=not namespaces,
        namespaces=namespaces,
        # Peering is off; kopf's own default asks for the name of a user that a container does not have.
        identity=cast(Any, "modelward"),
        stop_flag=stop,
    )
    started()
    await kopf.run_tasks(tasks, ignored=before)


def registry(watched: tuple[Watched, ...], on_event: OnEvent) -> kopf.OperatorRegistry:
    """Event handlers only: change handlers, timers, daemons and indexes would annotate objects or set finalizers."""
    handlers = kopf.OperatorRegistry()
    kopf.on.login(registry=handlers)(_login)
    for entry in watched:
        resource = entry.resource
        kopf.on.event(resource.group, resource.version, resource.plural, registry=handlers, id=str(resource))(
            _handler(resource, on_event)
        )
    return handlers


def settings(watched: tuple[Watched, ...]) -> kopf.OperatorSettings:
    chosen = kopf.OperatorSettings()
    chosen.scanning.disabled = True
    chosen.posting.enabled = False
    chosen.peering.standalone = True
    chosen.watching.server_timeout = 300
    chosen.watching.client_timeout = 310
    chosen.networking.request_timeout = 30
    chosen.networking.error_backoffs = _Patience()
    for entry in watched:
        if entry.label_selector:
            resource = entry.resource
            chosen.watching.label_selectors[resource.group, resource.version, resource.plural] = entry.label_selector
    return chosen


class _Patience:
    """Pauses between attempts, without end: kopf would otherwise end the process after a minute without an API server.

    A class without a length, because kopf begins anew with every request.
    """

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((1, 1, 2, 3, 5, 8, 13), itertools.repeat(20))


def _handler(resource: Resource, on_event: OnEvent) -> Callable[..., Any]:
    async def handle(event: kopf.RawEvent, **_: Any) -> None:
        on_event(resource, event["type"], dict(event["object"]))

    return handle


async def _login(**arguments: Any) -> kopf.ConnectionInfo | None:
    """The credentials that `KubeClient.connect` finds, in the same order."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
    if not os.environ.get("KUBECONFIG") and host and port:
        account = kopf.login_with_service_account(**arguments)
        # The address that the kubelet gives works without cluster DNS.
        bracketed = f"[{host}]" if ":" in host else host
        return account and dataclasses.replace(account, server=f"https://{bracketed}:{port}")
    return kopf.login_with_kubeconfig(**arguments)
