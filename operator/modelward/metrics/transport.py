"""One bounded HTTP request: size, time and redirects limited, every failure one exception with one sentence."""

from collections.abc import Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Answer:
    status: int
    content_type: str
    body: bytes


async def request(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    limits: Limits,
    *,
    headers: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request and read the whole answer.

    Raises:
        RequestFailed: no connection, too slow, too large, broken, or a redirect.
    """
    try:
        async with session.request(
            method,
            url,
            headers=headers,
            data=form,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=limits.seconds),
        ) as response:
            if 300 <= response.status < 400:
                raise RequestFailed(f"answered with a redirect ({response.status}), which is not followed")
            body = await _read(response, limits.bytes)
            return Answer(response.status, response.headers.get("Content-Type", ""), body)
    except TimeoutError as error:
        raise RequestFailed(f"did not answer within {limits.seconds:g} s") from error
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
