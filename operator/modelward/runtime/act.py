"""act: bring about what a Plan asks for, writing only what differs.

The order makes every crash harmless: what is about to happen goes on record first, then what a status refers to is kept, evidence and status come next (guarded by
resourceVersion, so that two operators cannot both go on), then what traffic needs, then traffic, then what it no longer
needs. A mirror or weight is dropped from the route before its Service may go, and added after the Service is there.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelward.api import reasons
from modelward.api.model import Model
from modelward.api.model_audit_record import ModelAuditRecordSpec
from modelward.api.resources import (
    CONTROLLER_REVISIONS,
    DEPLOYMENTS,
    HORIZONTAL_POD_AUTOSCALERS,
    HTTP_ROUTES,
    MODEL_AUDIT_RECORDS,
    MODEL_VERSIONS,
    MODELS,
    SERVICES,
    Resource,
)
from modelward.api.status import ModelStatus, VersionStatus
from modelward.api.types import ApiModel
from modelward.governance.chain import document_of, record_name
from modelward.lifecycle.plan import Plan
from modelward.lifecycle.snapshot import Policy, VersionView
from modelward.runtime.cache import Cache
from modelward.runtime.kube import AlreadyExists, Conflict, Forbidden, Invalid, KubeApi, Object
from modelward.runtime.observe import Observed
from modelward.traffic import gateway, service, workloads
from modelward.traffic.names import MANAGED_BY, MODEL_LABEL, child_name

logger = logging.getLogger(__name__)

FINALIZER = "modelward.dev/drain"


@dataclass(frozen=True)
class Actor:
    """Writes to the cluster for one Model at a time."""

    kube: KubeApi
    cache: Cache

    async def act(self, observed: Observed, plan: Plan) -> dict[str, str]:
        """Carry out a plan.

        Returns:
            By version, why the API server refuses its Deployment; such a version never becomes ready.

        Raises:
            Conflict: somebody wrote in between; observe and decide again.
            NamespaceEnding: the namespace is being deleted, so that nothing of the plan can go on record.
        """
        if plan.drain == "Release":
            await self._set_finalizer(observed.raw_model, wanted=False)
            return {}
        await self._write_records(observed, plan)
        await self._keep_policies(observed, plan)
        await self._write_versions(observed, plan)
        model = await self._write_model(observed, plan)
        for told in plan.announcements:
            kind = "Warning" if told.warning else "Normal"
            await self.kube.emit_event(model, told.reason, told.message, type=kind)
        if plan.drain == "Remove":
            await self._remove_route(observed)
            return {}
        if plan.drain == "Hold" and plan.traffic and plan.traffic.weights:
            await self._set_finalizer(model, wanted=True)
        dropped = _only_drops(observed, plan)
        if dropped:
            await self._write_traffic(observed, plan)
        refused = await self._write_pods(observed, plan)
        if not dropped:
            await self._write_traffic(observed, plan)
        await self._remove_surplus(observed, plan)
        return refused

    async def let_go(self, observed: Observed) -> None:
        """Do not hold up a namespace that is being deleted: its pods are ended meanwhile, whatever the gateway does."""
        if observed.raw_model["metadata"].get("deletionTimestamp"):
            await self._remove_route(observed)
            await self._set_finalizer(observed.raw_model, wanted=False)

    async def write_unreadable(self, raw: Object, status: ModelStatus) -> None:
        """Say in status that the spec cannot be read; nothing else is touched."""
        await self._write_status(MODELS, raw, status)

    async def _write_records(self, observed: Observed, plan: Plan) -> None:
        """The audit chain comes first: what is not on record is not done. Of two operators, one gets the name of a record."""
        model = observed.snapshot.model
        for record in plan.records:
            obj = _audit_record(model, record)
            try:
                self.cache.put(MODEL_AUDIT_RECORDS, await self.kube.create(MODEL_AUDIT_RECORDS, obj))
            except AlreadyExists as error:
                name, namespace = obj["metadata"]["name"], model.metadata.namespace
                found = await self.kube.get(MODEL_AUDIT_RECORDS, namespace, name)
                if found is not None:
                    self.cache.put(MODEL_AUDIT_RECORDS, found)
                raise Conflict(f"audit record {name} was written by somebody else meanwhile") from error

    async def _keep_policies(self, observed: Observed, plan: Plan) -> None:
        """Copies of the policies that status names must exist before status names them."""
        s = observed.snapshot
        known: dict[str, Policy] = {**({s.policy.digest: s.policy} if s.policy else {}), **s.pinned}
        for digest in plan.pins:
            if digest in known and workloads.kept_policy_name(s.model.metadata.name, digest) not in observed.revisions:
                await self._create(CONTROLLER_REVISIONS, workloads.build_kept_policy(s.model, known[digest]))

    async def _write_versions(self, observed: Observed, plan: Plan) -> None:
        for version, status in plan.versions.items():
            raw = observed.raw_versions.get(version)
            if raw is None:
                continue
            try:
                written = await self._write_status(MODEL_VERSIONS, raw, status)
            except Invalid as error:  # what one version cannot keep must not hold a rollback of the Model
                logger.error("ModelVersion %s: its status is refused: %s", raw["metadata"]["name"], error.message)
            except Conflict:
                # The event of the change may be lost to the cache: it can have come before the answer to an earlier write.
                for found in await self.kube.list(MODEL_VERSIONS, raw["metadata"]["namespace"]):
                    self.cache.put(MODEL_VERSIONS, found)
                raise
            else:
                if written is not raw:  # which was read when the look began, and may be older than what the cache has
                    self.cache.put(MODEL_VERSIONS, written)

    async def _write_model(self, observed: Observed, plan: Plan) -> Object:
        return await self._write_status(MODELS, observed.raw_model, plan.status)

    async def _write_status(self, resource: Resource, raw: Object, status: ModelStatus | VersionStatus) -> Object:
        wanted = _dump(status)
        parsed = type(status).model_validate(raw.get("status") or {})
        if raw.get("status") and _dump(parsed) == wanted:
            return raw
        metadata = raw["metadata"]
        identity = {key: metadata[key] for key in ("name", "namespace", "resourceVersion", "uid")}
        return await self.kube.update_status(
            resource,
            {
                "apiVersion": resource.api_version,
                "kind": resource.kind,
                "metadata": identity,
                "spec": raw["spec"],
                "status": wanted,
            },
        )

    async def _set_finalizer(self, model: Object, *, wanted: bool) -> None:
        """Hold a Model that has traffic until the traffic has ended, and no longer.

        Finalizers are one list: the resourceVersion keeps what somebody else has added to it meanwhile.
        """
        metadata = model["metadata"]
        present = list(metadata.get("finalizers") or [])
        if (FINALIZER in present) == wanted:
            return
        changed = [*present, FINALIZER] if wanted else [name for name in present if name != FINALIZER]
        await self.kube.patch(
            MODELS,
            metadata["namespace"],
            metadata["name"],
            {
                "metadata": {
                    "uid": metadata["uid"],
                    "resourceVersion": metadata["resourceVersion"],
                    "finalizers": changed,
                }
            },
        )

    async def release_unreadable(self, raw: Object) -> None:
        """Let a deleted Model go whose spec cannot be read: nobody could say how its traffic should end."""
        await self._set_finalizer(raw, wanted=False)

    async def _remove_route(self, observed: Observed) -> None:
        metadata = observed.raw_model["metadata"]
        if observed.route is not None:
            await self.kube.delete(HTTP_ROUTES, metadata["namespace"], metadata["name"])
        if "" in observed.services:
            await self.kube.delete(SERVICES, metadata["namespace"], metadata["name"])

    async def _write_pods(self, observed: Observed, plan: Plan) -> dict[str, str]:
        """Deployments, autoscalers and Services of the versions that should run."""
        s = observed.snapshot
        refused: dict[str, str] = {}
        for version, replicas in plan.children.pods.items():
            view = s.versions.get(version)
            if view is None or view.spec.serving is None:
                continue
            try:
                if version not in observed.services:
                    await self.kube.create(SERVICES, service.build_for_version(s.model, version))
                await self._write_deployment(observed, view, replicas)
            except (Invalid, Forbidden, AlreadyExists) as error:
                refused[version] = error.message[:512]
        return refused

    async def _write_deployment(self, observed: Observed, view: VersionView, replicas: int) -> None:
        model = observed.snapshot.model
        existing = observed.deployments.get(view.version)
        name, namespace = child_name(model.metadata.name, view.version), model.metadata.namespace
        autoscaler = workloads.build_autoscaler(model, view) if replicas >= view.replicas else None
        if name not in observed.revisions and not view.changed:  # also one that somebody has deleted
            await self._create(CONTROLLER_REVISIONS, workloads.build_kept_version(model, view))
        # The autoscaler first: that it is as it should be follows from the number of pods, also after a crash in between.
        if existing is None:
            if autoscaler:
                await self.kube.apply(HORIZONTAL_POD_AUTOSCALERS, autoscaler)
            # One of that name that is there already is somebody else's: those of the Model are in `observed`.
            await self.kube.create(DEPLOYMENTS, workloads.build_deployment(model, view, replicas))
            return
        current = int((existing.get("spec") or {}).get("replicas", 1))
        if current == replicas or (autoscaler is not None and current >= replicas):
            return
        if autoscaler:
            await self.kube.apply(HORIZONTAL_POD_AUTOSCALERS, autoscaler)
        elif view.spec.serving and view.spec.serving.autoscaling:
            await self.kube.delete(HORIZONTAL_POD_AUTOSCALERS, namespace, name)
        await self.kube.patch(DEPLOYMENTS, namespace, name, {"spec": {"replicas": replicas}})

    async def _write_traffic(self, observed: Observed, plan: Plan) -> None:
        s, traffic = observed.snapshot, plan.traffic
        if traffic is None or not traffic.weights or observed.name_taken:
            return
        if s.routed:
            wanted = gateway.build(s.model, traffic, _ports(observed))
            if observed.route is not None and s.conflict is not None and s.conflict.reason == reasons.ROUTE_CONFLICT:
                wanted = gateway.reclaim(wanted, observed.route)
            live = gateway.comparable((observed.route or {}).get("spec") or {})
            if not _contains(live, gateway.comparable(wanted["spec"])):
                await self.kube.apply(HTTP_ROUTES, wanted)
            if (
                "" in observed.services and plan.status.production
            ):  # from a time without a route: its clients stay served
                await self._switch_service(observed, plan.status.production.version)
        else:
            await self._switch_service(observed, next(iter(traffic.weights)))
            if observed.route is not None:  # from a time with a route: nothing would move its weights any more
                await self.kube.delete(HTTP_ROUTES, s.model.metadata.namespace, s.model.metadata.name)

    async def _switch_service(self, observed: Observed, version: str) -> None:
        switched = service.build(observed.snapshot.model, version)
        existing = observed.services.get("")
        if existing is None or not _contains(existing.get("spec"), switched["spec"]):
            await self.kube.apply(SERVICES, switched)

    async def _remove_surplus(self, observed: Observed, plan: Plan) -> None:
        """Pods and Services that nothing wants and no request can reach any more, and copies of what is over."""
        model = observed.snapshot.model
        namespace = model.metadata.namespace
        staying = set(plan.children.pods) | plan.children.kept
        for version, deployment in observed.deployments.items():
            if version not in staying:
                name, uid = deployment["metadata"]["name"], deployment["metadata"]["uid"]
                view = observed.snapshot.versions.get(version)
                if view and view.spec.serving and view.spec.serving.autoscaling:
                    await self.kube.delete(HORIZONTAL_POD_AUTOSCALERS, namespace, name)
                await self.kube.delete(DEPLOYMENTS, namespace, name, uid=uid)
        for version, backend in observed.services.items():
            if version and version not in staying:
                await self.kube.delete(SERVICES, namespace, backend["metadata"]["name"], uid=backend["metadata"]["uid"])
        copies = {child_name(model.metadata.name, version): version for version in observed.snapshot.versions}
        wanted = staying | set(observed.deployments) | _named(plan.status)
        for name in sorted(observed.revisions & set(copies)):
            if copies[name] not in wanted:  # retired: it would be judged anew, and every look reads all copies
                await self.kube.delete(CONTROLLER_REVISIONS, namespace, name)
        if not observed.snapshot.status.rollout:
            pinned = {workloads.kept_policy_name(model.metadata.name, digest) for digest in plan.pins}
            kept = f"{model.metadata.name}-policy-"
            for name in sorted(observed.revisions):
                if name.startswith(kept) and name not in pinned and name not in copies:
                    await self.kube.delete(CONTROLLER_REVISIONS, namespace, name)

    async def _create(self, resource: Resource, obj: Object) -> None:
        """Create what is written once; one that is there already was created before a crash."""
        try:
            await self.kube.create(resource, obj)
        except AlreadyExists:
            logger.debug("%s %s is there already", resource, obj["metadata"]["name"])


def _audit_record(model: Model, record: ModelAuditRecordSpec) -> Object:
    """The object of a record; owned by nothing, so that deleting the Model keeps it."""
    return {
        "apiVersion": MODEL_AUDIT_RECORDS.api_version,
        "kind": MODEL_AUDIT_RECORDS.kind,
        "metadata": {
            "name": record_name(model.metadata.name, record.seq),
            "namespace": model.metadata.namespace,
            "labels": {**MANAGED_BY, MODEL_LABEL: model.metadata.name},
        },
        "spec": document_of(record),
    }


def _named(status: ModelStatus) -> set[str]:
    """The versions that a status speaks of as running, or as able to run again at once."""
    roles = (status.production, status.rollout, status.watch, *status.standby, *status.challengers)
    return {role.version for role in roles if role is not None} | ({status.switch.to} if status.switch else set())


def _ports(observed: Observed) -> dict[str, int]:
    """The ports of the Services as they are: pods that run do not listen on another because the Model's spec names one."""
    return {
        version: int(found["spec"]["ports"][0]["port"])
        for version, found in observed.services.items()
        if (found.get("spec") or {}).get("ports")
    }


def _only_drops(observed: Observed, plan: Plan) -> bool:
    """Does the live route name a backend whose Service is missing, which the plan no longer names?

    A mirror to a missing Service fails every user's request, so it is dropped before the Service is made again.
    """
    view, traffic = observed.snapshot.route, plan.traffic
    if view is None or traffic is None:
        return False
    named = {*view.weights, *view.mirrors}
    wanted = {*traffic.weights, *traffic.mirrors}
    return any(version not in observed.services for version in named - wanted) and wanted <= named


def _contains(actual: Any, wanted: Any) -> bool:
    """Does a live object have everything that is wanted, defaults of the server aside? Lists are compared whole."""
    if isinstance(wanted, Mapping):
        return isinstance(actual, Mapping) and all(_contains(actual.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        same_length = isinstance(actual, list) and len(actual) == len(wanted)
        return same_length and all(_contains(have, want) for have, want in zip(actual, wanted, strict=True))
    return bool(actual == wanted)


def _dump(status: ApiModel) -> dict[str, Any]:
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)
