"""kubectl as a user types it, and a watch that remembers everything that it was shown."""

import asyncio
import codecs
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Object = Mapping[str, Any]

_WATCH_LINE_LIMIT = 16 * 1024 * 1024
PATIENCE = 300.0
"""Seconds that are waited for what takes a few: this only ends what would hang, and machines may be slow and busy."""


class Refused(Exception):
    """kubectl did not succeed; the message is what it said."""


class NeverSeen(AssertionError):
    """What was waited for did not come."""


@dataclass(frozen=True)
class Kubectl:
    """kubectl with the kubeconfig of the cluster."""

    program: Path
    kubeconfig: Path

    async def __call__(self, *words: str, given: str | None = None, within: float = PATIENCE) -> str:
        """What ``kubectl WORDS`` prints.

        Raises:
            Refused: when it fails, or takes longer than `within` seconds.
        """
        process = await asyncio.create_subprocess_exec(
            *self._command(words),
            stdin=asyncio.subprocess.PIPE if given is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            printed, complaint = await asyncio.wait_for(
                process.communicate(None if given is None else given.encode()), within
            )
        except TimeoutError:
            process.kill()
            raise Refused(f"kubectl {' '.join(words)} took longer than {within} s") from None
        if process.returncode:
            raise Refused(complaint.decode().strip())
        return printed.decode()

    async def get(self, *words: str) -> dict[str, Any]:
        """The object, or the list of objects, that ``kubectl get WORDS`` names."""
        answer: dict[str, Any] = json.loads(await self("get", *words, "--output=json"))
        return answer

    async def items(self, *words: str) -> list[dict[str, Any]]:
        """The objects of ``kubectl get WORDS``."""
        found: list[dict[str, Any]] = (await self.get(*words))["items"]
        return found

    async def table(self, *words: str) -> list[dict[str, str]]:
        """The rows of ``kubectl get WORDS`` by the titles of its columns, as people see them."""
        title, *rows = (await self("get", *words)).splitlines()
        starts = [at for at, letter in enumerate(title) if letter != " " and (at == 0 or title[at - 1] == " ")]
        ends = [*starts[1:], None]
        columns = [(title[start:end].strip(), start, end) for start, end in zip(starts, ends, strict=True)]
        return [{name: row[start:end].strip() for name, start, end in columns} for row in rows]

    async def apply(self, *objects: Object) -> None:
        """Server-side apply, as a GitOps tool does it."""
        documents = yaml.safe_dump_all([dict(item) for item in objects], sort_keys=False)
        await self("apply", "--server-side", "--force-conflicts", "--filename=-", given=documents)

    async def patch(self, kind: str, namespace: str, name: str, change: Object) -> None:
        """Merge a change into an object."""
        await self("patch", kind, name, "-n", namespace, "--type=merge", f"--patch={json.dumps(change)}")

    @contextlib.asynccontextmanager
    async def watching(self, *words: str) -> AsyncIterator["Watched"]:
        """Follow what ``kubectl get WORDS --watch`` shows."""
        process = await asyncio.create_subprocess_exec(
            *self._command(("get", *words, "--watch", "--output-watch-events", "--output=json")),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_WATCH_LINE_LIMIT,
        )
        assert process.stdout is not None
        watched = Watched(" ".join(words))
        reading = asyncio.create_task(watched.read(process.stdout))
        try:
            yield watched
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _command(self, words: Sequence[str]) -> list[str]:
        return [str(self.program), f"--kubeconfig={self.kubeconfig}", *words]


@dataclass(frozen=True)
class Sight:
    """An object as it was when the watch showed it."""

    at: float  # Unix time
    kind_of_event: str  # ADDED, MODIFIED, DELETED
    object: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.object["metadata"]["name"])


@dataclass
class Watched:
    """Everything that a watch has shown, in its order."""

    words: str
    sights: list[Sight] = field(default_factory=list)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [sight.object for sight in self.sights]

    @property
    def now(self) -> dict[str, Any]:
        """The object as it was last shown; for a watch of one object."""
        return self.sights[-1].object

    async def until(
        self, holds: Callable[[dict[str, Any]], Any], what: str, within: float = PATIENCE
    ) -> dict[str, Any]:
        """The newest object, as soon as something holds of it."""
        sight = await self.sight_of(lambda sight: holds(sight.object), what, within, since=max(len(self.sights) - 1, 0))
        return sight.object

    async def sight_of(
        self, holds: Callable[[Sight], Any], what: str, within: float = PATIENCE, *, since: int = 0
    ) -> Sight:
        """The first sight, from the number `since` on, of which something holds.

        Raises:
            NeverSeen: when it does not come.
        """
        looked_at = since
        deadline = time.monotonic() + within
        while True:
            for sight in self.sights[looked_at:]:
                if holds(sight):
                    return sight
            looked_at = max(looked_at, len(self.sights))
            try:
                await asyncio.wait_for(self._longer_than(looked_at), deadline - time.monotonic())
            except TimeoutError:
                raise NeverSeen(f"{what}: not seen within {within:g} s. {self._last_words()}") from None

    async def _longer_than(self, seen: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.sights) > seen)

    async def read(self, stream: asyncio.StreamReader) -> None:
        """Take in documents until the stream ends."""
        letters, decoder, text = codecs.getincrementaldecoder("utf-8")(), json.JSONDecoder(), ""
        while block := await stream.read(65536):
            text = (text + letters.decode(block)).lstrip()
            while text:
                try:
                    event, end = decoder.raw_decode(text)
                except json.JSONDecodeError:
                    break  # the rest of it is still to come
                text = text[end:].lstrip()
                await self._take(Sight(time.time(), event["type"], event["object"]))

    async def _take(self, sight: Sight) -> None:
        async with self._changed:
            self.sights.append(sight)
            self._changed.notify_all()

    def _last_words(self) -> str:
        """The last that was seen, in a form for a failed test's message."""
        if not self.sights:
            return f"kubectl get {self.words} showed nothing."
        status = self.now.get("status") or {}
        told = {
            condition["type"]: f"{condition.get('status')} {condition.get('reason')}: {condition.get('message', '')}"
            for condition in status.get("conditions") or []
        }
        gates = {gate["name"]: f"{gate['result']}: {gate['message']}" for gate in status.get("gates") or []}
        keys = ("stage", "weight", "production", "rollout", "traffic", "health", "sync", "operationState", "resources")
        state = {key: status[key] for key in keys if key in status}
        return json.dumps({"last seen": state, "gates": gates, "conditions": told}, indent=1)
