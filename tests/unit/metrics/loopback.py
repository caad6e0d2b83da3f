"""A real HTTP server on the loopback address, answering as a test says."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(
    handler: Handler, tls: ssl.SSLContext | None = None, others: Sequence[str] = ()
) -> AsyncIterator[int]:
    """The port at which `handler` answers every request, at 127.0.0.1 and at other addresses of the loopback network."""
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        port = runner.addresses[0][1]
        for address in others:
            await web.TCPSite(runner, address, port, ssl_context=tls).start()
        yield port
    finally:
        await runner.cleanup()
