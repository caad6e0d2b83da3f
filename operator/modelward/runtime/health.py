"""What the kubelet and Prometheus ask: /healthz, /readyz, /metrics."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

Page = Callable[[web.Request], Awaitable[web.StreamResponse]]
Check = Callable[[], str | None]
"""Says what is wrong in a sentence, or None."""


def health_server(
    host: str, port: int, *, live: Mapping[str, Check], ready: Mapping[str, Check], metrics: Callable[[], bytes]
) -> AbstractAsyncContextManager[int]:
    """Serve for as long as the context lasts; yields the port, which matters when it was asked for as 0."""
    application = web.Application()
    application.router.add_get("/healthz", _checks_page(live))
    application.router.add_get("/readyz", _checks_page(ready))
    application.router.add_get("/metrics", _metrics_page(metrics))
    return _serving(application, host, port)


@asynccontextmanager
async def _serving(application: web.Application, host: str, port: int) -> AsyncIterator[int]:
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _checks_page(checks: Mapping[str, Check]) -> Page:
    async def page(_: web.Request) -> web.StreamResponse:
        found = {name: check() for name, check in checks.items()}
        lines = [f"{name}: {problem or 'ok'}\n" for name, problem in found.items()]
        return web.Response(text="".join(lines), status=503 if any(found.values()) else 200)

    return page


def _metrics_page(metrics: Callable[[], bytes]) -> Page:
    async def page(_: web.Request) -> web.StreamResponse:
        return web.Response(body=metrics(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return page
