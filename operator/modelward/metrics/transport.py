"""One bounded HTTP request: size, time and redirects limited, every failure one exception with one sentence."""

import base64
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp

_CHUNK = 64 * 1024


class RequestFailed(Exception):
    """No usable answer; the message completes 'X ...', such as 'refused the connection'."""


@dataclass(frozen=True)
class Limits:
    """How much time and how many bytes one answer may take."""

    seconds: float = 5.0
    bytes: int = 8 * 1024 * 1024


POD_LIMITS = Limits()
PROMETHEUS_LIMITS = Limits(seconds=10.0, bytes=32 * 1024 * 1024)


class CredentialsUnreadable(Exception):
    """A file of credentials cannot be used; the message names the file."""


@dataclass(frozen=True)
class Credentials:
    """How this client proves who it is, and whom it trusts. All in files, which are read anew, because what is in them rotates."""

    headers: Mapping[str, str] = field(default_factory=dict)
    headers_from_files: Mapping[str, Path] = field(default_factory=dict)
    bearer_token_file: Path | None = None
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    server_name: str | None = None  # the name in the server's certificate, where it is not the host of the URL
    _tls: dict[tuple[int, ...], ssl.SSLContext] = field(default_factory=dict, repr=False, compare=False)

    def all_headers(self) -> dict[str, str]:
        """The headers of one request.

        Raises:
            CredentialsUnreadable: a file that cannot be read.
        """
        headers = dict(self.headers)
        headers |= {name: _text(path) for name, path in self.headers_from_files.items()}
        if self.bearer_token_file is not None:
            headers["Authorization"] = f"Bearer {_text(self.bearer_token_file)}"
        if self.username is not None and self.password_file is not None:
            secret = f"{self.username}:{_text(self.password_file)}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(secret).decode()}"
        return headers

    def tls(self) -> ssl.SSLContext:
        """The system's authorities or only the platform's own, and the client's certificate; loaded again when a file changes.

        Raises:
            CredentialsUnreadable: a file that is missing or that is no certificate or key.
        """
        files = [file for file in (self.ca_file, self.cert_file, self.key_file) if file is not None]
        try:
            state = tuple(file.stat().st_mtime_ns for file in files)
            if state not in self._tls:
                context = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
                if self.cert_file is not None:
                    context.load_cert_chain(self.cert_file, self.key_file)
                self._tls.clear()
                self._tls[state] = context
        except OSError as error:  # ssl.SSLError is one
            named = ", ".join(str(file) for file in files)
            raise CredentialsUnreadable(f"the certificates in {named} cannot be used: {error}") from error
        return self._tls[state]


def _text(path: Path) -> str:
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialsUnreadable(f"the credentials in {path} cannot be read: {error}") from error
    if any(not character.isprintable() for character in text):
        raise CredentialsUnreadable(f"the credentials in {path} are not one line of text")
    return text


NO_CREDENTIALS = Credentials()


@dataclass(frozen=True)
class Answer:
    status: int
    content_type: str
    body: bytes
    clock_ahead: float = 0.0  # seconds that the server's clock is ahead of this one, by the Date of its answer


async def request(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    limits: Limits,
    *,
    headers: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    credentials: Credentials = NO_CREDENTIALS,
) -> Answer:
    """Send one request and read the whole answer.

    Raises:
        RequestFailed: no connection, too slow, too large, broken, or a redirect.
        CredentialsUnreadable: a file of credentials that cannot be used.
    """
    secure = url.startswith("https:")
    try:
        async with session.request(
            method,
            url,
            headers={**(headers or {}), **credentials.all_headers()},
            data=form,
            ssl=credentials.tls() if secure else True,
            server_hostname=credentials.server_name if secure else None,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=limits.seconds),
        ) as response:
            if 300 <= response.status < 400:
                raise RequestFailed(f"answered with a redirect ({response.status}), which is not followed")
            body = await _read(response, limits.bytes)
            ahead = _clock_ahead(response.headers.get("Date"))
            return Answer(response.status, response.headers.get("Content-Type", ""), body, ahead)
    except TimeoutError as error:
        raise RequestFailed(f"did not answer within {limits.seconds:g} s") from error
    except aiohttp.ClientConnectorCertificateError as error:
        raise RequestFailed(f"has a certificate that is not trusted ({str(error.certificate_error)[:160]})") from error
    except aiohttp.ClientConnectorSSLError as error:
        raise RequestFailed(f"could not agree on TLS ({str(error.os_error)[:120]})") from error
    except aiohttp.ClientConnectorError as error:
        raise RequestFailed(f"could not be reached ({error.os_error.strerror or error.os_error})") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise RequestFailed(f"gave no usable answer ({str(error)[:120] or type(error).__name__})") from error


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > limit:
            raise RequestFailed(f"answered with more than {limit // 1024} KiB")
    return bytes(body)


def _clock_ahead(date: str | None) -> float:
    """Of an answer that is no older than its time limit, so precise enough to see minutes; 0 when the server does not say."""
    if date is None:
        return 0.0
    try:
        return parsedate_to_datetime(date).timestamp() - time.time()
    except ValueError:
        return 0.0
