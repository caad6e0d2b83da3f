"""The other systems that are told, as the platform configures them, and one signed request to one of them.

No field of a Model takes part in this: where requests go is the platform's to say.
"""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

import aiohttp
import yaml
from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator

from modelward.api.types import ApiModel, unique_names
from modelward.runtime.notices import CONTENT_TYPE, SIGNATURE, Notice, Topic, signature

SECONDS = 10.0
SHORTEST_KEY = 16
LARGEST_KEY = 4096
REFUSALS = frozenset({400, 413, 422})
"""By these a receiver says that it will never take this event; any other answer but success may be another one next time."""


class NotificationsInvalid(Exception):
    """The file cannot be used; the message says where and why."""


class NotDelivered(Exception):
    """The event has to be sent again; the message says why, without a word of what was sent or answered."""


class Webhook(ApiModel):
    """One receiver."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
    url: Annotated[str, Field(pattern=r"^https://[^\s/?#@]+(/[^\s#]*)?$", max_length=2048)]
    key_file: Path
    ca_file: Path | None = None
    events: Annotated[frozenset[Topic], Field(min_length=1)] = frozenset(Topic)


class _Document(ApiModel):
    model_config = ConfigDict(extra="forbid")

    webhooks: Annotated[tuple[Webhook, ...], Field(max_length=16), AfterValidator(unique_names)] = ()

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.webhooks:
            raise ValueError("webhooks is empty: name one, or leave the file away")
        return self


def load_webhooks(path: Path) -> tuple[Webhook, ...]:
    """The receivers that a file names.

    Raises:
        NotificationsInvalid: unreadable, not YAML, or a wrong field.
    """
    try:
        return _Document.model_validate(yaml.safe_load(path.read_text("utf-8")) or {}).webhooks
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        raise NotificationsInvalid(f"{path}: {error}") from error


async def post(session: aiohttp.ClientSession, webhook: Webhook, notice: Notice, at: int) -> bool:
    """Send an event once; true when it was taken, false when the receiver says that it never will be.

    Key and certificates are read anew: Secrets rotate.

    Raises:
        NotDelivered: anything else.
    """
    headers = {"Content-Type": CONTENT_TYPE, SIGNATURE: signature(notice.body, _key(webhook.key_file), at)}
    status = await _status(session, webhook, notice.body, headers)
    if 200 <= status < 300:
        return True
    if status in REFUSALS:
        return False
    raise NotDelivered(f"answered {status}" + (", a redirect, which is not followed" if 300 <= status < 400 else ""))


async def _status(session: aiohttp.ClientSession, webhook: Webhook, body: bytes, headers: Mapping[str, str]) -> int:
    try:
        async with session.post(
            webhook.url,
            data=body,
            headers=headers,
            ssl=ssl.create_default_context(cafile=webhook.ca_file),
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=SECONDS),
        ) as response:
            return response.status
    except TimeoutError as error:
        raise NotDelivered(f"did not answer within {SECONDS:g} s") from error
    except aiohttp.ClientConnectorCertificateError as error:
        raise NotDelivered("has a certificate that is not trusted") from error
    except (aiohttp.ClientError, OSError) as error:
        raise NotDelivered(f"could not be reached ({type(error).__name__})") from error


def _key(path: Path) -> bytes:
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise NotDelivered(f"the key {path} cannot be read: {error.strerror}") from error
    if not SHORTEST_KEY <= len(key) <= LARGEST_KEY:
        raise NotDelivered(f"the key {path} has {len(key)} bytes: it takes {SHORTEST_KEY} to {LARGEST_KEY}")
    return key
