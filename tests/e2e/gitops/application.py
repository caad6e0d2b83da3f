"""An Application of Argo CD, with everything that its status has shown."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.e2e.kubectl import PATIENCE, Kubectl, Sight, Watched

NAMESPACE = "argocd"
REFRESH = "argocd.argoproj.io/refresh"
WAVE = "argocd.argoproj.io/sync-wave"


@dataclass
class Application:
    """What Argo CD says of one folder of a repository."""

    kubectl: Kubectl
    name: str
    watched: Watched

    @property
    def status(self) -> Mapping[str, Any]:
        return _status(self.watched.now)

    async def refresh(self) -> float:
        """Have the repository looked at now, as the webhook of a Git host does; when that was asked for."""
        at = time.time()
        words = (f"{REFRESH}=normal", "--overwrite")
        await self.kubectl("annotate", "application", self.name, "-n", NAMESPACE, *words)
        return at

    async def until_synced(self, revision: str, within: float = PATIENCE) -> Sight:
        """The first sight of a finished sync of a commit."""

        def synced(sight: Sight) -> bool:
            operation = _status(sight.object).get("operationState") or {}
            done = operation.get("phase") == "Succeeded" and operation["syncResult"]["revision"] == revision
            return done and _sync(sight) == ("Synced", revision)

        return await self.watched.sight_of(synced, f"a sync of {revision[:7]}", within)

    async def until_refused(self, revision: str, within: float = PATIENCE) -> Sight:
        """The first sight of a sync of a commit that has failed, or waits to be tried again."""

        def refused(sight: Sight) -> bool:
            operation = _status(sight.object).get("operationState") or {}
            tried = (operation.get("syncResult") or {}).get("revision")
            return tried == revision and (operation["phase"] == "Failed" or operation.get("retryCount", 0) > 0)

        return await self.watched.sight_of(refused, f"a refusal of {revision[:7]}", within)

    def operation(self) -> tuple[str, str]:
        """The phase of the newest sync, and its commit."""
        state = self.status["operationState"]
        return state["phase"], state["syncResult"]["revision"]

    async def end_the_sync(self) -> float:
        """What ``argocd app terminate-op`` does; when."""
        at = time.time()
        ending = {"status": {"operationState": {"phase": "Terminating"}}}
        await self.kubectl.patch("application", NAMESPACE, self.name, ending)
        return at

    async def until_health(self, status: str, saying: str = "", within: float = PATIENCE) -> str:
        """The Model's message, as soon as the application has a health for which that is the reason.

        The message is of the moment when the health changed: Argo CD does not look again at a status that makes no other health.
        """

        def holds(shown: dict[str, Any]) -> bool:
            model = _model_health(shown)
            return _health(shown) == status == model.get("status") and saying in model.get("message", "")

        shown = await self.watched.until(holds, f"an application that is {status} {saying}".strip(), within)
        return str(_model_health(shown).get("message", ""))

    def healths(self, since: float = 0, until: float = math.inf) -> list[str]:
        """Every health that was shown between two times, without repetitions."""
        shown = [_health(sight.object) for sight in self.watched.sights if since <= sight.at < until]
        return [health for at, health in enumerate(shown) if health and (at == 0 or shown[at - 1] != health)]

    def syncs(self) -> list[str]:
        """The commits that were synced, oldest first."""
        return [entry["revision"] for entry in self.status.get("history") or []]

    def managed(self) -> set[tuple[str, str]]:
        """Kind and name of everything that Argo CD ever took for its own."""
        return {
            (resource["kind"], resource["name"])
            for shown in self.watched.objects
            for resource in _status(shown).get("resources") or []
        }

    def disagreements(self) -> list[str]:
        """What was OutOfSync with a commit after that had been synced: self-heal would act on it."""
        synced: set[str] = set()
        found = []
        for sight in self.watched.sights:
            state, revision = _sync(sight)
            if state == "Synced":
                synced.add(revision)
            elif revision in synced:
                resources = _status(sight.object).get("resources") or []
                found += [f"{each['kind']}/{each['name']}" for each in resources if each.get("status") == "OutOfSync"]
        return found


def _status(shown: Mapping[str, Any]) -> Mapping[str, Any]:
    return shown.get("status") or {}


def _health(shown: Mapping[str, Any]) -> str:
    return str((_status(shown).get("health") or {}).get("status", ""))


def _sync(sight: Sight) -> tuple[str, str]:
    sync = _status(sight.object).get("sync") or {}
    return str(sync.get("status", "")), str(sync.get("revision", ""))


def _model_health(shown: Mapping[str, Any]) -> Mapping[str, Any]:
    resources = _status(shown).get("resources") or []
    return next((each.get("health") or {} for each in resources if each["kind"] == "Model"), {})
