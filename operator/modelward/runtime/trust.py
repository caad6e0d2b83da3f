"""Whether approvals can be trusted: are the admission policies in force that this release goes by, and since when?

Approvals are made at the API server's door, where the operator is not. So it looks at the door: at the policies as they are, and
at whether they have been otherwise since it looked last.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from modelward.api.resources import Resource
from modelward.governance import admission
from modelward.governance.admission import BINDING, NAMES, POLICY, SETTLING
from modelward.governance.approvals import Trust
from modelward.runtime.clock import Clock
from modelward.runtime.kube import ApiError, KubeApi, Object

KEPT_SECONDS = 30.0

_GROUP = "admissionregistration.k8s.io"
_POLICIES = Resource(_GROUP, "v1", "validatingadmissionpolicies", POLICY, namespaced=False)
_BINDINGS = Resource(_GROUP, "v1", "validatingadmissionpolicybindings", BINDING, namespaced=False)
_SELF_SUBJECT_REVIEWS = Resource(
    "authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", namespaced=False
)

Live = Mapping[str, Object | None]


@dataclass(frozen=True)
class _Found:
    trust: Trust
    at: float


class TrustReader:
    """Reads the admission policies, and remembers them for half a minute."""

    def __init__(self, kube: KubeApi, clock: Clock) -> None:
        self._kube = kube
        self._clock = clock
        self._reading = asyncio.Lock()
        self._username: str | None = None
        self._found: _Found | None = None
        self._generations: dict[str, object] | None = None
        self._changed_at: datetime | None = None

    async def current(self) -> Trust:
        """What was found within the last half minute: good enough to tell people about."""
        async with self._reading:
            if self._found is not None and self._clock.monotonic() - self._found.at < KEPT_SECONDS:
                return self._found.trust
            return await self._read()

    async def afresh(self) -> Trust:
        """What is there now. To be asked *after* an approval was read that is not on record yet.

        What was found before the approval was made says nothing about the door that it came through.
        """
        async with self._reading:
            return await self._read()

    async def _read(self) -> Trust:
        at = self._clock.monotonic()
        try:
            live = await self._live()
            trust = self._judged(live, await self._operator())
        except ApiError as error:
            # Not remembered: the next one asks again.
            self._found = None
            return Trust(problem=f"the admission policies cannot be read: {error.message}")
        self._found = _Found(trust, at)
        return trust

    async def _live(self) -> Live:
        wanted = [(resource, name) for name in NAMES for resource in (_POLICIES, _BINDINGS)]
        objects = await asyncio.gather(*(self._kube.get(resource, None, name) for resource, name in wanted))
        return {admission.key(resource.kind, name): obj for (resource, name), obj in zip(wanted, objects, strict=True)}

    async def _operator(self) -> str:
        """The username by which the API server knows this process."""
        if self._username is None:
            answer = await self._kube.create(_SELF_SUBJECT_REVIEWS, {"metadata": {"name": ""}})
            self._username = str(answer["status"]["userInfo"]["username"])
        return self._username

    def _judged(self, live: Live, operator: str) -> Trust:
        self._notice_changes(live)
        problem = admission.problem_of(live, operator)
        if problem is not None:
            return Trust(problem=problem)
        since = admission.trusted_since(live)
        return Trust(since=max(since, self._changed_at) if self._changed_at else since)

    def _notice_changes(self, live: Live) -> None:
        """Remember that something was otherwise when this process looked last.

        Who may edit a policy can edit it back and write older times into its managedFields, but not an older generation.
        """
        generations: dict[str, object] = {
            key: obj and (obj["metadata"].get("uid"), obj["metadata"].get("generation")) for key, obj in live.items()
        }
        if self._generations is not None and generations != self._generations:
            self._changed_at = self._clock.now() + SETTLING
        self._generations = generations
