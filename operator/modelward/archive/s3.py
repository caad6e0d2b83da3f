"""S3-compatible object storage with object lock: one locked object for each record, `<prefix><namespace>/<model>/records/<seq>.json`.

A lock protects a *version* of an object: whoever has the same credentials can still put a newer version on top, or a marker
that says "deleted". So every write is conditional on absence, and what counts in every reading is the oldest version of
an object, which nothing can take away before its lock ends.
"""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, cast
from xml.etree import ElementTree

import aiohttp
from yarl import URL

from modelward.archive.credentials import Certificates, text_of
from modelward.archive.exporter import (
    Chain,
    ChainBroken,
    Document,
    StorageUnavailable,
    continuation,
    head_of,
    stored_form,
)
from modelward.archive.signature import Keys, escaped_path, query_string, signed_headers
from modelward.governance.chain import Head

LARGEST_ANSWER = 8 * 1024 * 1024
LISTED_AT_ONCE = 1000
_READ_AT_ONCE = 8
_CHUNK = 64 * 1024


@dataclass(frozen=True)
class Place:
    """Where the objects go, and how they are locked."""

    endpoint: str
    bucket: str
    region: str
    access_key_id_file: Path
    secret_access_key_file: Path
    lock_mode: Literal["COMPLIANCE", "GOVERNANCE"]
    lock_for: timedelta
    session_token_file: Path | None = None
    prefix: str = ""
    certificates: Certificates = field(default_factory=Certificates)
    seconds: float = 10.0

    def keys(self) -> Keys:
        token = text_of(self.session_token_file) if self.session_token_file else None
        return Keys(text_of(self.access_key_id_file), text_of(self.secret_access_key_file), token)


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def problem(self) -> str:
        """What the server said of an error: its code and message, which hold no secret."""
        with suppress(ElementTree.ParseError):
            said = ElementTree.fromstring(self.body)
            return f"{self.status} {_text(said, 'Code')}: {_text(said, 'Message')}"[:300]
        return str(self.status)


@dataclass(frozen=True)
class _Stored:
    """The version of an object that counts."""

    key: str
    version: str


class S3Exporter:
    def __init__(self, place: Place, now: Callable[[], datetime]) -> None:
        self._place = place
        self._now = now
        self._session: aiohttp.ClientSession | None = None
        # Where the next listing of a chain may begin: a hint only, since records are never taken away.
        self._newest: dict[Chain, int] = {}

    async def append(self, chain: Chain, documents: Sequence[Document]) -> None:
        head = await self.head(chain)
        known = [head_of(document).seq for document in documents if head and head_of(document).seq <= head.seq]
        stored = {}
        if known:
            stored = {head_of(one).seq: head_of(one).hash async for one in self.read(chain, known[0], known[-1])}
        for document in continuation(chain, documents, head, stored):
            await self._put_once(self._record(chain, head_of(document).seq), document)

    async def head(self, chain: Chain) -> Head | None:
        since = self._newest.get(chain, 1)
        # From the newest known on, so that a long chain is not listed from its beginning every time.
        listed = [stored async for stored in self._stored(self._records(chain), self._before(chain, since))]
        if not listed:
            return None
        head = head_of(await self._get(listed[-1]))
        self._newest[chain] = head.seq
        return head

    async def read(self, chain: Chain, first: int = 1, last: int | None = None) -> AsyncIterator[Document]:
        until = None if last is None else self._record(chain, last)
        async for document in self._documents(self._records(chain), self._before(chain, first), until):
            yield document

    async def anchor(self, chain: Chain, checkpoint: Document) -> None:
        await self._put_once(f"{self._checkpoints(chain)}{checkpoint['seq']:08d}.json", checkpoint, compare=False)

    async def checkpoints(self, chain: Chain) -> AsyncIterator[Document]:
        async for document in self._documents(self._checkpoints(chain)):
            yield document

    async def chains(self) -> Sequence[Chain]:
        namespaces = await self._folders(self._place.prefix)
        models = [model for namespace in namespaces for model in await self._folders(namespace)]
        return sorted(Chain(*model.split("/")[-3:-1]) for model in models)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    # Details: objects.

    async def _put_once(self, key: str, document: Document, *, compare: bool = True) -> None:
        """Written by us and locked, or there already."""
        body = stored_form(document)
        headers = {
            "Content-Type": "application/json",
            "If-None-Match": "*",
            "X-Amz-Checksum-Sha256": base64.b64encode(hashlib.sha256(body).digest()).decode(),
            "X-Amz-Object-Lock-Mode": self._place.lock_mode,
            "X-Amz-Object-Lock-Retain-Until-Date": _timestamp(self._now() + self._place.lock_for),
        }
        answer = await self._ask("PUT", key, headers=headers, body=body)
        if answer.status not in (200, 412):
            raise self._refused(f"does not take {key}", answer)
        stored = await self._oldest(key)
        if compare and await self._get(stored) != document:
            raise ChainBroken(
                f"{key} in bucket {self._place.bucket} holds another record: somebody else wrote it first"
            )
        if "x-amz-object-lock-retain-until-date" not in (await self._fetch("HEAD", stored)).headers:
            raise StorageUnavailable(
                f"bucket {self._place.bucket} has {key} without a lock, so it counts as not stored: make the bucket with object "
                "lock, and allow s3:PutObjectRetention and s3:GetObjectRetention"
            )

    async def _oldest(self, key: str) -> _Stored:
        async for stored in self._stored(key):
            if stored.key == key:
                return stored
        raise StorageUnavailable(f"bucket {self._place.bucket} does not list {key}, which it has just confirmed")

    async def _documents(self, folder: str, after: str = "", until: str | None = None) -> AsyncIterator[Document]:
        batch: list[_Stored] = []
        async for stored in self._stored(folder, after):
            if until is not None and stored.key > until:
                break
            batch.append(stored)
            if len(batch) == _READ_AT_ONCE:
                for document in await asyncio.gather(*map(self._get, batch)):
                    yield document
                batch = []
        for document in await asyncio.gather(*map(self._get, batch)):
            yield document

    async def _get(self, stored: _Stored) -> Document:
        answer = await self._fetch("GET", stored)
        try:
            document = json.loads(answer.body)
        except ValueError as error:
            raise ChainBroken(f"{stored.key} in bucket {self._place.bucket} is no JSON: {error}") from error
        if not isinstance(document, dict):
            raise ChainBroken(f"{stored.key} in bucket {self._place.bucket} is no JSON object")
        return cast(Document, document)

    async def _fetch(self, method: str, stored: _Stored) -> _Answer:
        answer = await self._ask(method, stored.key, {"versionId": stored.version})
        if answer.status != 200:
            raise self._refused(f"does not give {stored.key}", answer)
        return answer

    async def _stored(self, prefix: str, after: str = "") -> AsyncIterator[_Stored]:
        """The oldest version of every object whose key begins so, by key; markers of deletion count for nothing."""
        parameters = {"prefix": prefix, "max-keys": str(LISTED_AT_ONCE)} | ({"key-marker": after} if after else {})
        waiting: _Stored | None = None
        async for page in self._pages(parameters):
            # Newest first within a key: the last one of a key is its oldest, and may be on the next page.
            for entry in _children(page, "Version"):
                stored = _Stored(_text(entry, "Key"), _text(entry, "VersionId"))
                if stored.key <= after:  # some servers begin with the marker, not after it
                    continue
                if waiting is not None and waiting.key != stored.key:
                    yield waiting
                waiting = stored
        if waiting is not None:
            yield waiting

    async def _folders(self, within: str) -> list[str]:
        parameters = {"prefix": within, "delimiter": "/"}
        return [
            _text(entry, "Prefix")
            async for page in self._pages(parameters)
            for entry in _children(page, "CommonPrefixes")
        ]

    async def _pages(self, parameters: Mapping[str, str]) -> AsyncIterator[ElementTree.Element]:
        asked = {"versions": "", **parameters}
        while True:
            answer = await self._ask("GET", None, asked)
            if answer.status != 200:
                raise self._refused("cannot be listed", answer)
            try:
                page = ElementTree.fromstring(answer.body)
            except ElementTree.ParseError as error:
                raise StorageUnavailable(f"bucket {self._place.bucket} answered with a broken list") from error
            yield page
            if _text(page, "IsTruncated") != "true":
                return
            asked |= {
                "key-marker": _text(page, "NextKeyMarker"),
                "version-id-marker": _text(page, "NextVersionIdMarker"),
            }

    # Details: requests.

    async def _ask(
        self,
        method: str,
        key: str | None,
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> _Answer:
        place = self._place
        url = place.endpoint.rstrip("/") + escaped_path(f"/{place.bucket}/{key}" if key else f"/{place.bucket}")
        if parameters:
            url += f"?{query_string(parameters)}"
        signed = signed_headers(method, url, headers or {}, body, place.keys(), place.region, self._now())
        if self._session is None:
            self._session = aiohttp.ClientSession(auto_decompress=False)
        try:
            async with self._session.request(
                method,
                URL(url, encoded=True),
                headers={**signed, "Accept-Encoding": "identity"},
                data=body,
                ssl=place.certificates.context() if url.startswith("https:") else True,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=place.seconds),
            ) as response:
                headers_in_lower_case = {name.lower(): value for name, value in response.headers.items()}
                return _Answer(response.status, headers_in_lower_case, await _bounded(response))
        except TimeoutError as error:
            raise StorageUnavailable(f"{place.endpoint} did not answer within {place.seconds:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise StorageUnavailable(f"{place.endpoint} gave no usable answer: {str(error)[:200]}") from error

    def _records(self, chain: Chain) -> str:
        return f"{self._place.prefix}{chain.namespace}/{chain.model}/records/"

    def _record(self, chain: Chain, seq: int) -> str:
        return f"{self._records(chain)}{seq:08d}.json"

    def _before(self, chain: Chain, seq: int) -> str:
        """After which key a listing begins that is to begin with a record."""
        return self._record(chain, seq - 1) if seq > 1 else ""

    def _checkpoints(self, chain: Chain) -> str:
        return f"{self._place.prefix}{chain.namespace}/{chain.model}/checkpoints/"

    def _refused(self, does_what: str, answer: _Answer) -> StorageUnavailable:
        return StorageUnavailable(f"bucket {self._place.bucket} {does_what}: {answer.problem()}")


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise StorageUnavailable(f"an answer is longer than {LARGEST_ANSWER // 2**20} MiB")
    return bytes(body)


def _timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _children(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    """By local name: servers differ in whether they name the namespace of S3."""
    return [child for child in element if child.tag.rpartition("}")[2] == name]


def _text(element: ElementTree.Element, name: str) -> str:
    return next((child.text or "" for child in _children(element, name)), "")
