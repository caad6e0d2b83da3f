"""The wire between an operator and the API server, at which a test watches every write, cuts it, or kills the operator."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from modelward.api.resources import DEPLOYMENTS, MODEL_VERSIONS, Resource
from modelward.runtime.kube import ApiError, KubeApi, Object, Objects, Unavailable

Answer = TypeVar("Answer")


class Killed(Exception):
    """The operator's process ended here."""


class Cut(StrEnum):
    """What happens at the chosen write."""

    KILLED_AFTER = "killed after"
    KILLED_BEFORE = "killed before"
    ANSWER_LOST = "written, but the answer is lost"


@dataclass(frozen=True)
class Write:
    verb: str
    resource: Resource
    name: str
    body: Object | None = None

    def __str__(self) -> str:
        return f"{self.verb} {self.resource.kind} {self.name}"


class Wire:
    """`KubeApi` that passes everything on. It outlives the operators that use it, so it knows what all of them wrote."""

    def __init__(self, kube: KubeApi) -> None:
        self._kube = kube
        self._cuts: frozenset[int] = frozenset()
        self._cut = Cut.KILLED_AFTER
        self._armed_from = 0
        self.attempts: list[Write] = []
        self.done: list[Write] = []
        self.refusals: list[ApiError] = []
        self.touched: set[Resource] = set()
        self.cut: list[Write] = []

    def arm(self, cuts: Iterable[int], cut: Cut) -> None:
        """Cut at the first, second, ... write from now on, whichever are named."""
        self._cuts, self._cut, self._armed_from = frozenset(cuts), cut, len(self.attempts)

    def created(self) -> Counter[str]:
        """How many times each Deployment was created."""
        return Counter(
            write.name for write in self.done if write.verb in ("create", "apply") and write.resource == DEPLOYMENTS
        )

    def evidence(self) -> list[tuple[str, Object]]:
        """Every evidence that was persisted, with the ModelVersion that it is of, in order."""
        return [
            (write.name, write.body["status"]["evidence"])
            for write in self.done
            if write.resource == MODEL_VERSIONS and write.body and write.body["status"].get("evidence")
        ]

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        return await self._kube.get(resource, namespace, name)

    async def list(
        self, resource: Resource, namespace: str | None = None, label_selector: str | None = None
    ) -> Objects:
        return await self._kube.list(resource, namespace, label_selector)

    async def serves(self, resource: Resource) -> bool:
        return await self._kube.serves(resource)

    async def apply(self, resource: Resource, obj: Object, *, force: bool = True) -> Object:
        write = Write("apply", resource, obj["metadata"]["name"], obj)
        return await self._pass(write, lambda: self._kube.apply(resource, obj, force=force))

    async def create(self, resource: Resource, obj: Object) -> Object:
        if resource.kind == "SelfSubjectReview":  # a question, written as a creation
            return await self._kube.create(resource, obj)
        write = Write("create", resource, obj["metadata"]["name"], obj)
        return await self._pass(write, lambda: self._kube.create(resource, obj))

    async def replace(self, resource: Resource, obj: Object) -> Object:
        write = Write("replace", resource, obj["metadata"]["name"], obj)
        return await self._pass(write, lambda: self._kube.replace(resource, obj))

    async def update_status(self, resource: Resource, obj: Object) -> Object:
        write = Write("status of", resource, obj["metadata"]["name"], obj)
        return await self._pass(write, lambda: self._kube.update_status(resource, obj))

    async def patch(
        self, resource: Resource, namespace: str | None, name: str, merge_patch: Object, subresource: str | None = None
    ) -> Object:
        write = Write("patch", resource, name, merge_patch)
        return await self._pass(write, lambda: self._kube.patch(resource, namespace, name, merge_patch, subresource))

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        propagation: str = "Background",
    ) -> None:
        write = Write("delete", resource, name)
        await self._pass(write, lambda: self._kube.delete(resource, namespace, name, uid=uid, propagation=propagation))

    async def emit_event(
        self,
        regarding: Object,
        reason: str,
        message: str,
        type: str = "Normal",  # noqa: A002 - the API's own word
        action: str = "Reconcile",
    ) -> None:
        write = Write(f"event {reason} on", Resource("", "", "", regarding["kind"]), regarding["metadata"]["name"])
        await self._pass(write, lambda: self._kube.emit_event(regarding, reason, message, type, action))

    async def _pass(self, write: Write, send: Callable[[], Awaitable[Answer]]) -> Answer:
        self.attempts.append(write)
        chosen = len(self.attempts) - self._armed_from in self._cuts
        if chosen:
            self.cut.append(write)
            if self._cut is Cut.KILLED_BEFORE:
                raise Killed(f"before: {write}")
        try:
            answer = await send()
        except ApiError as refusal:
            self.refusals.append(refusal)
            raise
        self.done.append(write)
        self.touched.add(write.resource)
        if chosen and self._cut is Cut.KILLED_AFTER:
            raise Killed(f"after: {write}")
        if chosen:
            raise Unavailable(f"{write}: no answer within 10 s", reason="TimeoutError")
        return answer
