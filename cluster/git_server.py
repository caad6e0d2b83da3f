"""Git repositories over HTTP, read-only, for what runs in the cluster: git's own backend behind a small server.

Whoever writes to a repository does so by its path: nobody can push through here.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from cluster import network

_SECONDS_TO_ANSWER = 120


class GitServer(ThreadingHTTPServer):
    """Serves the bare repositories of a folder, at the host's end of its link to the cluster.

    Args:
        root: the folder.
        port: 0 is any that is free.
    """

    daemon_threads = True

    def __init__(self, root: Path, port: int = 0) -> None:
        network.require_routes()  # before it listens: the address is there only while the cluster is
        super().__init__((network.HOST_ADDRESS, port), _Backend)
        self.root = root

    @property
    def url(self) -> str:
        """Of the folder: a repository's name follows after a slash."""
        return f"http://{network.HOST_ADDRESS}:{self.server_port}"


@contextmanager
def serving(root: Path) -> Iterator[GitServer]:
    """A server in a thread of its own, until the end of the block."""
    with GitServer(root) as server:
        thread = threading.Thread(target=server.serve_forever, name="git server", daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Backend(BaseHTTPRequestHandler):
    """One request: `git http-backend` is a CGI program (RFC 3875)."""

    server: GitServer

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def log_message(self, *_: object) -> None:
        """Says nothing: what went wrong is in the answer, and whoever asked tells it."""

    def _answer(self, body: bytes) -> None:
        done = subprocess.run(
            ["git", "http-backend"],
            env={**os.environ, **self._variables()},
            input=body,
            capture_output=True,
            timeout=_SECONDS_TO_ANSWER,
            check=False,
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        if not head:
            self.send_error(500, done.stderr.decode(errors="replace")[-200:])
            return
        headers = BytesParser().parsebytes(head)
        self.send_response(int(headers.get("Status", "200").split()[0]))
        for name, value in headers.items():
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _variables(self) -> dict[str, str]:
        path, _, query = self.path.partition("?")
        return {
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": unquote(path),
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_ADDR": self.client_address[0],
        }
