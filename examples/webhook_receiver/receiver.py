"""A receiver of modelward's webhooks: checks who sent an event and when, and prints each one once. The standard library is enough.

    python receiver.py --key-file key --port 8443 --certificate tls.crt --private-key tls.key

Replace `take` by what opens a ticket or writes to a chat. Without a certificate it speaks plain HTTP, for behind a proxy that ends
TLS: modelward itself sends to https only.
"""

import argparse
import hashlib
import hmac
import json
import ssl
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar

TOLERANCE_SECONDS = 300
LARGEST_BODY = 4 * 1024 * 1024
REMEMBERED = 10_000


def is_genuine(header: str, body: bytes, key: bytes, now: float) -> bool:
    """Was this body signed with our key, less than five minutes ago?

    The header is ``t=<unix seconds>,v1=<hex>``, where v1 is the HMAC-SHA256 of "<t>.<body>". The time is signed too: whoever has seen a
    request cannot send it again later.
    """
    fields = dict(part.split("=", 1) for part in header.split(",") if "=" in part)
    sent_at, given = fields.get("t", ""), fields.get("v1", "")
    if not (sent_at.isascii() and sent_at.isdigit()) or abs(now - int(sent_at[:12])) > TOLERANCE_SECONDS:
        return False
    expected = hmac.new(key, sent_at.encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), given.encode())  # takes the same time wherever they differ


def take(event: dict[str, Any]) -> None:
    """What is done with an event that is genuine and new."""
    print(json.dumps(event), flush=True)


class Receiver(BaseHTTPRequestHandler):
    """Answers 204: taken. 400 and 413: never will be. Anything else, such as 401 for a wrong key, is sent again."""

    timeout = 30  # seconds for a request to come in
    key_file: Path
    seen: ClassVar[dict[str, None]] = {}
    lock = Lock()

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        if not 0 <= length <= LARGEST_BODY:
            self._answer(413)
            return
        body = self.rfile.read(length)
        key = self.key_file.read_bytes().strip()  # read anew: keys are replaced
        if not is_genuine(self.headers.get("modelward-signature", ""), body, key, time.time()):
            self._answer(401)
            return
        try:
            event = json.loads(body)
            identity = event["id"]
        except (ValueError, KeyError, TypeError):
            self._answer(400)
            return
        with self.lock:
            if identity not in self.seen:  # every event comes at least once, now and then twice
                take(event)
                self.seen[identity] = None
                while len(self.seen) > REMEMBERED:
                    del self.seen[next(iter(self.seen))]
        self._answer(204)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Standard output is for events."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Receive modelward's webhooks and print each event once.")
    parser.add_argument("--key-file", type=Path, required=True, help="the key that signs, as in the Secret")
    parser.add_argument("--port", type=int, default=8443, help="0 for any (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="(%(default)s)")
    parser.add_argument("--certificate", type=Path, help="of this server, in PEM")
    parser.add_argument("--private-key", type=Path, help="of the certificate")
    given = parser.parse_args()
    Receiver.key_file = given.key_file
    server = ThreadingHTTPServer((given.host, given.port), Receiver)
    if given.certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(given.certificate, given.private_key)
        # Not at the door: a client that is slow to shake hands would hold up the others.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(f"listening on port {server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
