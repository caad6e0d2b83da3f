"""What every test plays in: a namespace with a policy, a host name, a Model of the example's server, and its clients."""

import asyncio
import contextlib
import math
import shutil
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from examples.tumor_screening.environment import Environment
from examples.tumor_screening.load import LoadGenerator, read_rows
from examples.tumor_screening.render import version_manifest
from examples.tumor_screening.train import VERSIONS
from tests.e2e import policies
from tests.e2e.kubectl import PATIENCE, Kubectl, NeverSeen, Refused, Watched

MODEL = "screening"
MADE_BY = {"made-by": "modelward-e2e"}
CLIENTS_WAIT = 60.0
"""Seconds. An answer that a busy machine gives late is no failure; one that never comes is."""

Manifest = dict[str, Any]
Status = Mapping[str, Any]


@dataclass
class FollowedModel:
    """A Model, with everything that `kubectl get --watch` has shown of it."""

    kubectl: Kubectl
    namespace: str
    name: str
    watched: Watched

    @property
    def status(self) -> Status:
        status: Status = self.watched.now.get("status") or {}
        return status

    async def patch(self, spec: Mapping[str, Any]) -> None:
        """Change the spec, as a commit would."""
        await self.kubectl.patch("model", self.namespace, self.name, {"spec": spec})

    async def ask_for(self, version: str, **production: Any) -> None:
        """The one-line change: which version should be in production."""
        await self.patch({"production": {"version": version, **production}})

    async def until(self, holds: Callable[[Status], Any], what: str, within: float = PATIENCE) -> Status:
        """The status as soon as something holds of it."""
        shown = await self.watched.until(lambda shown: holds(shown.get("status") or {}), what, within)
        status: Status = shown["status"]
        return status

    async def until_condition(
        self, kind: str, status: str, reason: str, within: float = PATIENCE, saying: str = ""
    ) -> Mapping[str, Any]:
        """The condition as soon as it has a status and a reason."""

        def found(shown: Status) -> Mapping[str, Any] | None:
            known = condition(shown, kind)
            right = known.get("status") == status and known.get("reason") == reason
            return known if right and saying in known.get("message", "") else None

        return condition(await self.until(found, f"{kind}={status} ({reason}) {saying}".strip(), within), kind)

    async def until_stage(
        self, version: str, stage: str, weight: int | None = None, within: float = PATIENCE
    ) -> Status:
        """The status as soon as a candidate is in a stage, and gets a share of requests."""

        def there(status: Status) -> bool:
            rollout = status.get("rollout") or {}
            placed = (rollout.get("version"), rollout.get("stage")) == (version, stage)
            return placed and (weight is None or share(status, version) == weight)

        where = stage if weight is None else f"{stage} at {weight} %"
        return await self.until(there, f"{version} in {where}", within)

    async def until_rest(self, version: str, within: float = PATIENCE) -> Status:
        """The status as soon as a version serves, nothing is rolled out, and its watch is over."""

        def rests(status: Status) -> bool:
            moving = any(status.get(part) for part in ("rollout", "watch", "switch"))
            return serving(status) == version and not moving

        return await self.until(rests, f"{version} in production, at rest", within)

    async def until_latched(self, version: str, within: float = PATIENCE) -> Mapping[str, Any]:
        """The latch of a version that failed."""
        status = await self.until(lambda status: latch(status, version), f"{version} latched", within)
        found = latch(status, version)
        assert found is not None
        return found

    async def description(self) -> str:
        """What ``kubectl describe model`` says."""
        return await self.kubectl("describe", "model", self.name, "-n", self.namespace)

    async def row(self) -> dict[str, str]:
        """The Model's row of ``kubectl get models``."""
        rows = await self.kubectl.table("models", "-n", self.namespace)
        return next(row for row in rows if row["NAME"] == self.name)

    def splits(self) -> list[tuple[float, dict[str, int]]]:
        """Every split of users' requests that was shown, and when it was first."""
        found: list[tuple[float, dict[str, int]]] = []
        for sight in self.watched.sights:
            traffic = (sight.object.get("status") or {}).get("traffic")
            weights = {entry["version"]: entry["percent"] for entry in (traffic or {}).get("weights") or []}
            if weights and (not found or found[-1][1] != weights):
                found.append((sight.at, weights))
        return found

    def actions(self, version: str) -> list[str]:
        """What happened to a version, oldest first, as the history has it."""
        history = self.status.get("history") or []
        return [entry["action"] for entry in reversed(history) if entry["version"] == version]


def serving(status: Status) -> str | None:
    """The version that serves users."""
    version: str | None = (status.get("production") or {}).get("version")
    return version


def share(status: Status, version: str) -> int:
    """A version's weight, in percent."""
    weights = (status.get("traffic") or {}).get("weights") or []
    return next((int(entry["percent"]) for entry in weights if entry["version"] == version), 0)


def mirrored(status: Status) -> list[str]:
    """The versions that get copies of requests."""
    return [entry["version"] for entry in (status.get("traffic") or {}).get("mirrors") or []]


def condition(status: Status, kind: str) -> Mapping[str, Any]:
    """A condition; an empty one while it is not there."""
    known: list[Mapping[str, Any]] = status.get("conditions") or []
    return next((entry for entry in known if entry["type"] == kind), {})


def gate(status: Status, name: str, version: str) -> Mapping[str, Any]:
    """The newest verdict of a gate; an empty one while there is none."""
    known: list[Mapping[str, Any]] = status.get("gates") or []
    return next((row for row in known if (row["name"], row["version"]) == (name, version)), {})


def latch(status: Status, version: str) -> Mapping[str, Any] | None:
    """Why a version does not start again by itself."""
    known: list[Mapping[str, Any]] = status.get("failed") or []
    return next((entry for entry in known if entry["version"] == version), None)


@dataclass
class Scene:
    """A namespace of its own on the shared cluster. `establish` puts a first version into production."""

    environment: Environment
    kubectl: Kubectl
    namespace: str
    followed: list[FollowedModel] = field(default_factory=list)
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    @property
    def host(self) -> str:
        return f"{self.namespace}.example.com"

    async def establish(
        self,
        version: str,
        stages: policies.Stages,
        *others: str,
        patience: str = "2m",
        watch: str = "4s",
        **changes: Any,
    ) -> FollowedModel:
        """A Model that serves a version, and answers; the other versions are there to be asked for."""
        await self.set_policy(stages, patience, watch)
        await self.kubectl.apply(*(self.version(name) for name in (version, *others)), self.model(version, **changes))
        model = await self.follow()
        await model.until_rest(version)
        if "route" not in changes:
            await self.until_answered(self.host)
        return model

    async def set_policy(self, stages: policies.Stages, patience: str = "2m", watch: str = "4s") -> None:
        """The LifecyclePolicy of this namespace."""
        await self.kubectl.apply(policies.policy(self.namespace, stages, patience=patience, watch=watch))

    def model(
        self,
        version: str,
        *,
        name: str = MODEL,
        route: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
        **spec: Any,
    ) -> Manifest:
        """A Model; route={} is one without a route."""
        reached = {
            "parentRefs": [{"name": "public", "namespace": "gateways"}],
            "hostnames": [self.host],
            "pathPrefix": "/v1/predict",
        }
        serving: dict[str, Any] = {"port": 8080, "metrics": {"port": 9090, **(metrics or {})}}
        if route is None or route:
            serving["route"] = reached | dict(route or {})
        return {
            "apiVersion": "modelward.dev/v1alpha1",
            "kind": "Model",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "owner": {"team": "e2e"},
                "riskTier": "Low",
                "production": {"version": version},
                "serving": serving,
                **spec,
            },
        }

    def version(
        self,
        version: str,
        *,
        model: str = MODEL,
        workers: int = 1,
        healthy: bool = True,
        deadline: str = "5m",
        image: str | None = None,
        scraped: bool = False,
        besides: Sequence[Mapping[str, Any]] = (),
    ) -> Manifest:
        """A ModelVersion of the example, small: one pod with one worker.

        Args:
            version: one that was not trained has the manifest of v2, and pods that cannot start.
            healthy: False is a pod whose readiness probe never succeeds.
            scraped: Prometheus is to scrape its pods.
            besides: more containers.
        """
        trained = version if version in VERSIONS else "v2"
        manifest = version_manifest(trained, self.environment.artifacts, self.environment.example_image)
        manifest["metadata"] = {"name": f"{model}-{version}", "namespace": self.namespace}
        spec = manifest["spec"]
        spec |= {"model": model, "version": version}
        spec["serving"] |= {"replicas": 1, "progressDeadline": deadline}
        template = spec["serving"]["template"]
        if scraped:
            asked = {"prometheus.io/scrape": "true", "prometheus.io/port": "9090"}
            template["metadata"] = {"annotations": asked}
        container = template["spec"]["containers"][0]
        container["args"] = ["--workers", str(workers)]
        container["resources"]["requests"]["cpu"] = "10m"
        path = "/healthz" if healthy else "/not-there"
        # Looked at often, and patiently: on a busy machine an answer may take longer than the one second that is usual.
        probe = {"httpGet": {"path": path, "port": "http"}, "periodSeconds": 1, "timeoutSeconds": 10}
        container["readinessProbe"] |= probe
        if image:
            container["image"] = image
        template["spec"]["containers"] += list(besides)
        return manifest

    async def follow(self, name: str = MODEL) -> FollowedModel:
        """A Model of this namespace, watched until the end of the test."""
        watched = await self._stack.enter_async_context(self.kubectl.watching("model", name, "-n", self.namespace))
        await watched.until(lambda _: True, f"Model {name}")
        followed = FollowedModel(self.kubectl, self.namespace, name, watched)
        self.followed.append(followed)
        return followed

    async def watch(self, *words: str) -> Watched:
        """Objects of this namespace, watched until the end of the test."""
        return await self._stack.enter_async_context(self.kubectl.watching(*words, "-n", self.namespace))

    @contextlib.asynccontextmanager
    async def clients(
        self, rate: float = 30, *, host: str | None = None, url: str | None = None
    ) -> AsyncIterator[LoadGenerator]:
        """Users who ask the Model all the time."""
        generator = self._generator(url, host, rate)
        asking = asyncio.create_task(generator.run())
        try:
            yield generator
        finally:
            generator.stop()
            await asking

    async def until_answered(self, host: str | None = None, url: str | None = None) -> None:
        """Until a first request succeeds."""
        deadline = time.monotonic() + PATIENCE
        while True:
            once = self._generator(url, host or self.host, 10)
            if (await once.run(max_requests=1)).failed == 0:
                return
            if time.monotonic() > deadline:
                raise NeverSeen(f"{host or url} did not answer within {PATIENCE:g} s: {once.failures[-1]}")
            await asyncio.sleep(0.1)

    def _generator(self, url: str | None, host: str | None, rate: float) -> LoadGenerator:
        rows = read_rows(self.environment.artifacts / "holdout.csv")
        return LoadGenerator(
            url or f"{self.environment.gateway_url}/v1/predict",
            rows,
            rate=rate,
            host_header=host or (None if url else self.host),
            timeout=CLIENTS_WAIT,
        )

    async def open(self) -> None:
        """Make the namespace. What an earlier one of its name has exported would be another chain than its own."""
        if self.environment.audit_export is not None:
            shutil.rmtree(self.environment.audit_export / self.namespace, ignore_errors=True)
        metadata = {"name": self.namespace, "labels": MADE_BY}
        await self.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

    async def close(self) -> None:
        """Stop watching, and remove all of it; the operator drains the Models in its own time."""
        await self._stack.aclose()
        await self.kubectl("delete", "models", "--all", "-n", self.namespace, "--wait=false")
        await self.kubectl("delete", "namespace", self.namespace, "--wait=false")
        await self.kubectl("delete", "lifecyclepolicy", self.namespace, "--ignore-not-found")

    async def report(self) -> str:
        """What somebody would look at who asks why it went wrong."""
        parts = [
            ("describe", "models", "-n", self.namespace),
            ("get", "pods,httproutes,services,deployments", "-n", self.namespace, "-o", "wide"),
            ("logs", "-n", self.environment.operator_namespace, "deployment/modelward", "--tail=80"),
        ]
        told: list[str] = []
        for words in parts:
            try:
                told.append(f"$ kubectl {' '.join(words)}\n{await self.kubectl(*words)}")
            except Refused as refusal:
                told.append(f"$ kubectl {' '.join(words)}\n{refusal}")
        return "\n".join(told)


def seen_share(clients: LoadGenerator, version: str, since: float, until: float) -> tuple[float, float]:
    """The share of answers that were a version's, and how far chance takes it (four standard deviations)."""
    summary = clients.summary(since, until)
    found = summary.by_version.get(version, 0) / max(summary.requests, 1)
    return found, 4 * math.sqrt(0.25 / max(summary.requests, 1))


def assert_unharmed(clients: LoadGenerator) -> None:
    """No request of these clients failed; if some did, when they were sent, and what was answered meanwhile."""
    failures = clients.failures
    if not failures:
        return
    sent = sorted(failure.at - failure.seconds for failure in failures)
    meanwhile = [answer for answer in clients.answers if not answer.failed and sent[0] <= answer.at <= sent[-1]]
    raise AssertionError(
        f"{len(failures)} of {len(clients.answers)} requests failed; they were sent from {_clock(sent[0])} to"
        f" {_clock(sent[-1])}, and {len(meanwhile)} others succeeded meanwhile. The first of them: {failures[:3]}"
    )


def _clock(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).isoformat(timespec="milliseconds")
