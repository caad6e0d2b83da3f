"""A world around one Model: a real API server, and in place of everything behind it a deterministic player.

The player is the controller-manager (pods of Deployments, their readiness), the gateway (status of routes, where requests
go), the users who send requests, and the time. The operator is the real Reconciler with the real client; it can be killed
at any write, and starts again with empty memory.
"""

import asyncio
import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from modelward.api.resources import (
    CONTROLLER_REVISIONS,
    DEPLOYMENTS,
    GATEWAYS,
    HTTP_ROUTES,
    LIFECYCLE_POLICIES,
    MODEL_APPROVALS,
    MODEL_AUDIT_RECORDS,
    MODEL_EVALUATIONS,
    MODEL_VERSIONS,
    MODELS,
    NAMESPACES,
    PODS,
    SERVICES,
    Resource,
)
from modelward.api.status import ModelStatus
from modelward.governance.chain import Head, verify
from modelward.governance.reconstruction import NOT_CARRIED_OUT
from modelward.metrics.reader import MetricsReader
from modelward.runtime.cache import Cache
from modelward.runtime.keys import ModelKey
from modelward.runtime.kube import Conflict, KubeApi, Object, Unavailable
from modelward.runtime.reconcile import Reconciler
from modelward.runtime.settings import Settings
from modelward.runtime.telemetry import Telemetry
from tests.api.rollouts.users import Requests
from tests.api.rollouts.wire import Killed, Wire

MODEL = "scorer"
HOST = "scorer.example.com"
MODEL_LABEL = "modelward.dev/model"
VERSION_LABEL = "modelward.dev/version"
WORLD_LABEL = "tests.modelward.dev/world"
REST = timedelta(seconds=25)
"""A rollout has ended when nothing is written and nothing is looked at for this long; everything in it takes less."""
RESTART = 1.0  # seconds until a killed operator is there again
MOMENT = 0.25  # seconds from a write until what it announces has been noticed

NOTICED = (MODELS, MODEL_VERSIONS, MODEL_EVALUATIONS, MODEL_APPROVALS, MODEL_AUDIT_RECORDS, HTTP_ROUTES)

BREAKER: dict[str, Any] = {"name": "errors", "errorRate": {"maxIncrease": 0.05, "abortAbove": 0.2}}
STAGES: dict[str, Any] = {
    "shadow": {"minDuration": "6s", "interval": "5s", "gates": [{**BREAKER, "advisory": True}]},
    "canary": {
        "steps": [
            {"weight": 20, "minDuration": "6s"},
            {"weight": 50, "minDuration": "3s", "require": "NotFailed"},
        ],
        "interval": "5s",
        "gates": [BREAKER],
    },
    "production": {"watch": {"duration": "15s"}, "standby": {"keep": 1, "warmFor": "72h"}},
}


def stages_with(**changes: dict[str, Any]) -> dict[str, Any]:
    """STAGES with some fields of some stages changed."""
    return {name: {**stage, **changes.get(name, {})} for name, stage in STAGES.items()}


@dataclass
class WorldClock:
    """Time that moves when the world says so. It starts in the past: the API server's own times are real ones."""

    time: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2))

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("a reconcile never sleeps")


class Operator:
    """One life of the operator: what is in here is lost with it."""

    def __init__(self, wire: KubeApi, requests: Requests, clock: WorldClock) -> None:
        self.cache = Cache()
        self.reconciler = Reconciler(
            wire,
            self.cache,
            cast(MetricsReader, requests),
            clock,
            Settings(lease_namespace="default", identity="test"),
            Telemetry(clock),
        )


class World:
    """One namespace with one Model called `scorer`, served behind a gateway."""

    def __init__(self, kube: KubeApi, operator: KubeApi, namespace: str) -> None:
        self.kube = kube
        self.namespace = namespace
        self.clock = WorldClock()
        self.requests = Requests()
        self.wire = Wire(operator)
        self.key = ModelKey(namespace, MODEL)
        self.unready: set[str] = set()  # versions whose pods never become ready
        self.lives = 0
        self._ready: dict[str, list[str]] = {}  # pods by version
        self._split: tuple[dict[str, int], dict[str, int]] = ({}, {})  # what the gateway does now
        self._stale: set[Resource] = {DEPLOYMENTS, HTTP_ROUTES}
        self.operator = self._new_operator()

    # What users do.

    async def give(self, *versions: str, **more: Any) -> None:
        """Create ModelVersions."""
        for version in versions:
            await self.kube.create(MODEL_VERSIONS, version_manifest(self.namespace, version, **more))
        await self.notice()

    async def serve(self, version: str | None, **spec: Any) -> None:
        """Create the Model, asking for a version."""
        await self.kube.create(MODELS, model_manifest(self.namespace, version, **spec))
        await self.notice()

    async def ask_for(self, version: str, **production: Any) -> None:
        """The one-line diff."""
        patch = {"spec": {"production": {"version": version, **production}}}
        await self.kube.patch(MODELS, self.namespace, MODEL, patch)

    async def set_policy(self, stages: dict[str, Any], **spec: Any) -> None:
        """Write the policy that applies to this world's Model."""
        manifest = {
            "metadata": {"name": f"policy-{self.namespace}", "labels": {WORLD_LABEL: self.namespace}},
            "spec": {"appliesTo": {"tiers": ["Low"]}, "stages": stages, **spec},
        }
        await self.kube.apply(LIFECYCLE_POLICIES, manifest)
        await self.notice()

    async def delete_policy(self) -> None:
        await self.kube.delete(LIFECYCLE_POLICIES, None, f"policy-{self.namespace}")
        await self.notice()

    async def delete(self, resource: Resource, name: str) -> None:
        await self.kube.delete(resource, self.namespace, name)
        self.look_again()
        await self.notice()

    async def delete_model(self) -> datetime:
        """Ask for its deletion; when that was. It is compared with the date that the API server gives it, so that it is then now."""
        await self.kube.delete(MODELS, self.namespace, MODEL)
        dated = datetime.fromisoformat((await self.model())["metadata"]["deletionTimestamp"])
        self._go_on_to(max(dated, self.clock.time))
        self.look_again()
        await self.notice()
        return self.clock.time

    def look_again(self) -> None:
        """Something that the gateway or the controller-manager goes by was changed."""
        self._stale |= {DEPLOYMENTS, HTTP_ROUTES}

    # The course of things.

    async def settle(self, steps: int = 400) -> None:
        """Reconcile, play, and let time pass, until nothing is left to do."""
        for _ in range(steps):
            if await self.step():
                return
        raise AssertionError(f"never came to rest: {await self.story()}")

    async def until(self, holds: Callable[[ModelStatus], object], steps: int = 400) -> ModelStatus:
        """The same, until the status is as wished."""
        for _ in range(steps):
            status = await self.status()
            if holds(status):
                return status
            assert not await self.step(), f"came to rest before that: {await self.story()}"
        raise AssertionError(f"did not come about: {await self.story()}")

    async def step(self) -> bool:
        """One look of the operator and what follows from it; True when everything rests."""
        before, lives = len(self.wire.done), self.lives
        wait = await self.look()
        if self.lives > lives:
            self.pass_time(RESTART)
        moved = await self.play()
        if moved or len(self.wire.done) > before or self.lives > lives:
            self.pass_time(MOMENT)
            return False
        if wait is None or wait > REST.total_seconds():
            return True
        self.pass_time(max(wait, MOMENT))
        return False

    async def look(self) -> float | None:
        """One reconcile; a killed operator is replaced by one that knows nothing."""
        try:
            return await self.operator.reconciler.reconcile(self.key)
        except Killed:
            await self.restart()
        except (Conflict, Unavailable):
            await self.notice()  # the watch delivers what was written in between
        return 0.0

    async def restart(self) -> None:
        """The operator ends, and another one begins with a full list."""
        self.lives += 1
        self.operator = self._new_operator()
        await self.notice()

    async def notice(self, operator: Operator | None = None) -> None:
        """Bring an operator's cache up to date."""
        cache = (operator or self.operator).cache
        for resource in NOTICED:
            cache.replace(resource, await self.kube.list(resource, self.namespace), cache.revision())
        policies = await self.kube.list(LIFECYCLE_POLICIES, None, f"{WORLD_LABEL}={self.namespace}")
        cache.replace(LIFECYCLE_POLICIES, policies, cache.revision())

    async def play(self) -> bool:
        """Let the controller-manager and the gateway do their part; True when they changed anything."""
        touched = self.wire.touched | self._stale
        self.wire.touched, self._stale = set(), set()
        moved = await self._play_deployments() if DEPLOYMENTS in touched else False
        if touched & {HTTP_ROUTES, SERVICES}:
            moved = await self._play_route() or moved
        return moved

    def pass_time(self, seconds: float) -> None:
        """Time goes on, and users with it."""
        self.requests.note(self.clock.time)
        self.clock.time += timedelta(milliseconds=round(seconds * 1000))
        self.requests.answer(self.clock.time, seconds, *self._split, self._ready)

    def catch_up(self) -> None:
        """Go forward to the time that the API server has, or a moment later: what was dated until now is then not in the future."""
        gap = datetime.now(UTC) - self.clock.time
        self._go_on_to(self.clock.time + timedelta(seconds=math.ceil(gap.total_seconds())))

    async def older_by_a_second(self) -> None:
        """Until what is made from now on is younger than the Model: the API server dates by whole seconds, and by its own clock."""
        made = datetime.fromisoformat((await self.model())["metadata"]["creationTimestamp"])
        while datetime.now(UTC) < made + timedelta(seconds=1):
            await asyncio.sleep(0.05)

    # What can be seen.

    async def model(self) -> Object:
        found = await self.kube.get(MODELS, self.namespace, MODEL)
        assert found is not None, "the Model is gone"
        return found

    async def status(self) -> ModelStatus:
        return ModelStatus.model_validate((await self.model()).get("status") or {})

    async def condition(self, kind: str) -> tuple[str, str, str]:
        """Status, reason and message of a condition."""
        found = next(entry for entry in (await self.status()).conditions if entry.type == kind)
        return found.status, found.reason, found.message

    async def split(self) -> tuple[dict[str, int], dict[str, int]]:
        """Weights and mirrors of the live route, by version."""
        return _split_of(await self.kube.get(HTTP_ROUTES, self.namespace, MODEL))

    async def deployments(self) -> dict[str, Object]:
        return {found["metadata"]["name"]: found for found in await self.kube.list(DEPLOYMENTS, self.namespace)}

    async def outcome(self) -> dict[str, Any]:
        """How a rollout ended, as far as it must not depend on the way there."""
        status = await self.status()
        services = await self.kube.list(SERVICES, self.namespace)
        revisions = await self.kube.list(CONTROLLER_REVISIONS, self.namespace)
        versions = await self.kube.list(MODEL_VERSIONS, self.namespace)
        return {
            "production": status.production.version if status.production else None,
            "in flight": (status.rollout, status.watch, status.switch),
            "standby": [entry.version for entry in status.standby],
            "retired": [entry.version for entry in status.retired],
            "latched": [(entry.version, entry.stage, entry.reason) for entry in status.failed],
            "history": [(entry.version, entry.action) for entry in reversed(status.history)],
            "conditions": {entry.type: (entry.status, entry.reason) for entry in status.conditions},
            "traffic": [[(each.version, each.percent) for each in status.traffic.weights]] if status.traffic else None,
            "route": await self.split(),
            # Generation 1: the spec, and in it the pod template, is the one that it was created with.
            "deployments": {
                name: (found["spec"]["replicas"], found["metadata"]["generation"])
                for name, found in (await self.deployments()).items()
            },
            "created": dict(self.wire.created()),
            "services": sorted(found["metadata"]["name"] for found in services),
            "revisions": sorted(found["metadata"]["name"] for found in revisions),
            "stages": {found["metadata"]["name"]: (found.get("status") or {}).get("stage") for found in versions},
            "requests without an answer": self.requests.unanswered,
            "on record": await self.on_record(),
        }

    async def on_record(self) -> list[tuple[str, str]]:
        """The steps of the audit chain that were carried out; the chain is whole, and status knows its head."""
        records = await self.kube.list(MODEL_AUDIT_RECORDS, self.namespace)
        told = (await self.status()).audit
        heads = [Head(told.seq, told.hash)] if told else []
        specs = sorted((record["spec"] for record in records), key=lambda spec: int(spec["seq"]))
        assert verify(specs, heads) == ()
        assert not specs or (told is not None and told.seq == specs[-1]["seq"]), "status names the newest record"
        undone = {
            seq for spec in specs if spec["action"] == "NotCarriedOut" for seq in spec["details"][NOT_CARRIED_OUT]
        }
        return [
            (spec.get("version", ""), spec["action"])
            for spec in specs
            if spec["seq"] not in undone and spec["action"] not in ("NotCarriedOut", "TrafficChanged")
        ]

    def miscounted(self) -> list[str]:
        """Evidence that was persisted and differs from what was served in its time."""
        faults: list[str] = []
        for name, evidence in self.wire.evidence():
            version = name.removeprefix(f"{MODEL}-")
            if evidence["countedAt"] is None:
                continue
            begun, counted = (datetime.fromisoformat(evidence[field]) for field in ("startedAt", "countedAt"))
            served = self._served_at(version, counted) - self._served_at(version, begun)
            if evidence["samples"] != served:
                faults.append(f"{version} in {evidence['stageKey']}: {evidence['samples']} counted, {served} served")
        return faults

    async def story(self) -> str:
        """What happened, for the message of a failed assertion."""
        status = await self.status()
        steps = [f"{entry.action} {entry.version}" for entry in reversed(status.history)]
        conditions = [f"{entry.type}={entry.status}/{entry.reason}: {entry.message}" for entry in status.conditions]
        return "\n".join([*steps, *conditions, *map(str, self.wire.attempts[-12:])])

    # Details.

    def _go_on_to(self, time: datetime) -> None:
        """Without users in between."""
        self.requests.note(self.clock.time)
        self.clock.time = time
        self.requests.note(self.clock.time)

    def _new_operator(self) -> Operator:
        return Operator(self.wire, self.requests, self.clock)

    def _served_at(self, version: str, at: datetime) -> float:
        return self.requests.totals[at].get(version, 0.0)

    async def _play_deployments(self) -> bool:
        moved = False
        found = await self.deployments()
        for name, deployment in found.items():
            version = deployment["metadata"]["labels"][VERSION_LABEL]
            wanted = 0 if version in self.unready else deployment["spec"]["replicas"]
            generation = deployment["metadata"]["generation"]
            status = deployment.get("status") or {}
            pods = self._ready.setdefault(version, [])
            while len(pods) < wanted:
                pods.append(await self._start_pod(deployment, f"{name}-{secrets.token_hex(3)}"))
            while len(pods) > wanted:
                await self.kube.delete(PODS, self.namespace, pods.pop())
            if status.get("availableReplicas", 0) != wanted or status.get("observedGeneration") != generation:
                counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), wanted)
                patch = {"status": {"observedGeneration": generation, **counts}}
                await self.kube.patch(DEPLOYMENTS, self.namespace, name, patch, "status")
                moved = True
        for version, pods in self._ready.items():
            if f"{MODEL}-{version}" not in found:
                for pod in pods:
                    await self.kube.delete(PODS, self.namespace, pod)
                pods.clear()
        return moved

    async def _start_pod(self, deployment: Object, name: str) -> str:
        template = deployment["spec"]["template"]
        labels = template["metadata"]["labels"]
        await self.kube.create(
            PODS,
            {
                "metadata": {"name": name, "namespace": self.namespace, "labels": labels},
                "spec": {"containers": template["spec"]["containers"]},
            },
        )
        address = ".".join(["10", *(str(1 + byte % 250) for byte in secrets.token_bytes(3))])
        now = self.clock.time.isoformat().replace("+00:00", "Z")
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": now}
        status = {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "startTime": now,
            "conditions": [ready],
        }
        await self.kube.patch(PODS, self.namespace, name, {"status": status}, "status")
        return name

    async def _play_route(self) -> bool:
        route = await self.kube.get(HTTP_ROUTES, self.namespace, MODEL)
        if route is None:
            self._split = ({}, {})
            return False
        gateway = await self.kube.get(GATEWAYS, self.namespace, "public")
        if gateway is None:
            return False
        services = {found["metadata"]["name"] for found in await self.kube.list(SERVICES, self.namespace)}
        missing = backends(route) - services
        generation = route["metadata"]["generation"]
        now = self.clock.time.isoformat().replace("+00:00", "Z")

        def condition(kind: str, reason: str, message: str) -> Object:
            return {
                "type": kind,
                "status": "False" if message else "True",
                "reason": reason,
                "message": message,
                "observedGeneration": generation,
                "lastTransitionTime": now,
            }

        told = f"Service {min(missing)} not found" if missing else ""
        conditions = [
            condition("Accepted", "Accepted", ""),
            condition("ResolvedRefs", "BackendNotFound" if missing else "ResolvedRefs", told),
        ]
        self._split = _split_of(route)
        parents = (route.get("status") or {}).get("parents") or [{}]
        if _said(parents[0].get("conditions") or []) == _said(conditions):
            return False
        parent = {
            "parentRef": route["spec"]["parentRefs"][0],
            "controllerName": "tests.modelward.dev/gateway",
            "conditions": conditions,
        }
        await self.kube.patch(HTTP_ROUTES, self.namespace, MODEL, {"status": {"parents": [parent]}}, "status")
        return True


def in_force(stage: str) -> Callable[[ModelStatus], object]:
    """Has the gateway taken over what the stage gives to the candidate?"""
    return lambda status: status.stage == stage and status.rollout and status.rollout.traffic_since


def mirrored(version: str) -> Callable[[ModelStatus], bool]:
    """Does a version get copies of requests?"""
    return lambda status: status.traffic is not None and any(each.version == version for each in status.traffic.mirrors)


async def new_world(kube: KubeApi, operator: KubeApi | None = None, *, gateway: bool = True) -> World:
    """A namespace with a gateway, a policy, and the versions v1, v2 and v3; no Model yet."""
    namespace = f"world-{secrets.token_hex(4)}"
    await kube.create(NAMESPACES, {"metadata": {"name": namespace}})
    world = World(kube, operator or kube, namespace)
    if gateway:
        listener = {"name": "http", "port": 80, "protocol": "HTTP"}
        await kube.create(
            GATEWAYS,
            {
                "metadata": {"name": "public", "namespace": namespace},
                "spec": {"gatewayClassName": "tests", "listeners": [listener]},
            },
        )
    await world.set_policy(STAGES)
    await world.give("v1", "v2", "v3")
    world.requests.error_rates["v3"] = 0.5
    return world


async def serving_world(kube: KubeApi, operator: KubeApi | None = None) -> World:
    """The same with v1 in production."""
    world = await new_world(kube, operator)
    await world.serve("v1")
    await world.settle()
    assert await world.split() == ({"v1": 100}, {}), await world.story()
    return world


def version_manifest(namespace: str, version: str, **serving: Any) -> Object:
    container = {"name": "server", "image": f"registry.example.com/scorer:{version}"}
    template = {"spec": {"containers": [container]}}
    return {
        "metadata": {"name": f"{MODEL}-{version}", "namespace": namespace},
        "spec": {
            "model": MODEL,
            "version": version,
            "serving": {"replicas": 2, "progressDeadline": "2m", "template": template, **serving},
        },
    }


def model_manifest(namespace: str, version: str | None, name: str = MODEL, **spec: Any) -> Object:
    route = {"parentRefs": [{"name": "public"}], "hostnames": [HOST], "pathPrefix": "/score"}
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "riskTier": "Low",
            "serving": {"port": 8080, "route": route},
            "production": {"version": version} if version else {},
            **spec,
        },
    }


def backends(route: Object) -> set[str]:
    """Every Service that a route names."""
    rules = route["spec"].get("rules") or []
    named = {ref["name"] for rule in rules for ref in rule.get("backendRefs") or []}
    mirrors = (entry.get("requestMirror") for rule in rules for entry in rule.get("filters") or [])
    return named | {mirror["backendRef"]["name"] for mirror in mirrors if mirror}


def _split_of(route: Object | None) -> tuple[dict[str, int], dict[str, int]]:
    if route is None:
        return {}, {}
    rule = route["spec"]["rules"][0]
    weights = {_version(ref): ref["weight"] for ref in rule["backendRefs"]}
    filters = [entry["requestMirror"] for entry in rule.get("filters") or []]
    return weights, {_version(mirror["backendRef"]): mirror["percent"] for mirror in filters}


def _version(reference: Object) -> str:
    return str(reference["name"]).removeprefix(f"{MODEL}-")


def _said(conditions: list[Object]) -> list[Any]:
    fields = ("type", "status", "reason", "message", "observedGeneration")
    return [[condition.get(field) for field in fields] for condition in conditions]
