"""A team at its desk: it commits, Argo CD brings it to the cluster, and the operator acts on it."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from examples.tumor_screening.environment import REPOSITORY
from tests.e2e import policies
from tests.e2e.gitops.application import NAMESPACE, Application
from tests.e2e.gitops.repository import BRANCH, Repository
from tests.e2e.kubectl import Refused
from tests.e2e.scene import FollowedModel, Manifest, Scene

EXAMPLE = REPOSITORY / "examples" / "argocd" / "application.yaml"


@dataclass
class Desk:
    """A namespace, the repository of what is in it, and the Application that keeps the two together."""

    scene: Scene
    repository: Repository
    applications: list[str] = field(default_factory=list)
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def establish(
        self, stages: policies.Stages, *others: str, **changes: Any
    ) -> tuple[Application, FollowedModel]:
        """An application that is Healthy: its Model serves v1; the other versions are in Git, and nobody asks for them."""
        await self.scene.set_policy(stages)
        versions = [self.scene.version(name) for name in ("v1", *others)]
        first = self.repository.commit("Register the model", *versions, self.scene.model("v1"))
        application = await self.apply_application(**changes)
        await application.until_synced(first)
        model = await self.scene.follow()
        await model.until_rest("v1")
        await self.scene.until_answered()
        await application.until_health("Healthy")
        return application, model

    async def promote(self, application: Application, version: str, **spec: Any) -> tuple[str, float]:
        """Commit the line that says which version should serve; the commit, and when Argo CD was told of it."""
        commit = self.repository.commit(f"Promote {version}", self.scene.model(version, **spec))
        return commit, await application.refresh()

    def notice(self, text: str) -> Manifest:
        """Something else that a team has in Git."""
        metadata = {"name": "notice", "namespace": self.scene.namespace}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"notice": text}}

    async def apply_application(self, *, name: str = "", path: str = ".", namespace: str = "") -> Application:
        """The example's Application, for a folder of this repository."""
        manifest: Manifest = yaml.safe_load(EXAMPLE.read_text())
        name = name or self.scene.namespace
        manifest["metadata"] |= {"name": name}
        manifest["spec"]["source"] |= {"repoURL": self.repository.url, "targetRevision": BRANCH, "path": path}
        manifest["spec"]["destination"]["namespace"] = namespace or self.scene.namespace
        await self.scene.kubectl.apply(manifest)
        self.applications.append(name)
        watching = self.scene.kubectl.watching("application", name, "-n", NAMESPACE)
        watched = await self._stack.enter_async_context(watching)
        return Application(self.scene.kubectl, name, watched)

    async def leave(self) -> None:
        """Let go of the namespace, which is removed with all that is in it: self-heal would bring it back."""
        await self._stack.aclose()
        for name in self.applications:
            with contextlib.suppress(Refused):
                await self.scene.kubectl("delete", "application", name, "-n", NAMESPACE, "--wait=false")


def in_wave(number: int, manifest: Mapping[str, Any]) -> Manifest:
    """The object, to be applied after those of all earlier waves are healthy."""
    metadata = {**manifest["metadata"], "annotations": {"argocd.argoproj.io/sync-wave": str(number)}}
    return {**manifest, "metadata": metadata}
