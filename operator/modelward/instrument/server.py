"""The metrics page on a port of its own."""

import socket
import threading
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app


class MetricsServer:
    """Serves a registry from a daemon thread until `close`.

    Workers that share their counts also share the port: the kernel hands a scrape to any of them, and all give the same
    answer. Workers that do not share must not share the port either: a scrape would meet one, then the other, and every
    counter would seem to fall.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, registry: CollectorRegistry, address: str, port: int, *, shared: bool) -> None:
        kind = _SharedPortServer if shared else _Server
        self._server = kind((address, port), _QuietHandler)
        self._server.set_app(make_wsgi_app(registry))
        self.port: int = self._server.server_port
        threading.Thread(target=self._server.serve_forever, name="modelward-metrics", daemon=True).start()

    def close(self) -> None:
        """Stop answering and give the port back."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """As http.server does, but without asking DNS for this machine's name, which can take seconds in a pod."""
        if self.allow_reuse_address:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()


class _SharedPortServer(_Server):
    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """A scrape every few seconds is not worth a line."""
