"""observe: everything that one decision needs, read from the cluster into one frozen Snapshot.

The Model and its children are read live, because weights and pods are decided on them; versions, policies and
evaluations come from the cache. A status that is written from a stale cache meets a newer resourceVersion and is
refused, so staleness costs a retry and never evidence.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import TypeVar

from pydantic import ValidationError

from modelward.api import reasons
from modelward.api.invalid import first_error_with_value
from modelward.api.lifecycle_policy import LifecyclePolicy
from modelward.api.model import Model, Route
from modelward.api.model_approval import ModelApproval
from modelward.api.model_audit_record import ModelAuditRecordSpec, record_name
from modelward.api.model_evaluation import ModelEvaluation
from modelward.api.model_version import Baseline
from modelward.api.resources import (
    CONFIG_MAPS,
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
from modelward.api.status import ModelStatus, Stage
from modelward.api.types import ApiModel
from modelward.governance.approvals import Trust
from modelward.governance.register import evaluations_asked_for
from modelward.lifecycle import policies
from modelward.lifecycle.assess import Subject, answered_as, due, subjects, wanted_series
from modelward.lifecycle.baselines import baseline_in
from modelward.lifecycle.snapshot import Policy, Problem, RouteView, Snapshot, VersionView
from modelward.metrics.prometheus import QueryNames
from modelward.metrics.reader import MetricsReader
from modelward.runtime.cache import Cache
from modelward.runtime.clock import Clock
from modelward.runtime.keys import ModelKey
from modelward.runtime.kube import KubeApi, Object
from modelward.runtime.trust import KEPT_SECONDS, TrustReader
from modelward.runtime.views import (
    full_name,
    is_owned,
    pinned_policies,
    route_view,
    targets_of,
    unreadable_in,
    version_of_child,
    version_views,
)
from modelward.stats.readings import QueryAnswer, Reading
from modelward.traffic import gateway
from modelward.traffic.ailments import ailment_of
from modelward.traffic.names import MODEL_LABEL, child_name

logger = logging.getLogger(__name__)

QUERIES_AT_ONCE = 8

Kind = TypeVar("Kind", bound=ApiModel)


class SpecUnreadable(Exception):
    """The Model's spec does not fit the schema of this release; the message names field and value."""

    def __init__(self, message: str, raw: Object) -> None:
        super().__init__(message)
        self.raw = raw


@dataclass(frozen=True)
class Observed:
    """A Snapshot, and the raw objects that `act` compares with and guards its writes by."""

    snapshot: Snapshot
    raw_model: Object
    raw_versions: Mapping[str, Object] = field(default_factory=dict)
    deployments: Mapping[str, Object] = field(default_factory=dict)  # by version
    services: Mapping[str, Object] = field(default_factory=dict)  # by version; "" is the switched Service
    route: Object | None = None
    revisions: frozenset[str] = frozenset()
    name_taken: bool = False  # somebody else's route or Service has the name that this Model's would have


@dataclass(frozen=True)
class Observer:
    """Reads the cluster for one Model at a time."""

    kube: KubeApi
    cache: Cache
    metrics: MetricsReader
    trust: TrustReader
    clock: Clock

    async def observe(self, key: ModelKey, refused: Mapping[str, str]) -> Observed | None:
        """Gather what bears on a Model; None when it is gone.

        refused: by version, why the API server would not take its Deployment the last time.

        Raises:
            SpecUnreadable: the spec does not fit the schema.
        """
        raw = await self.kube.get(MODELS, key.namespace, key.name)
        if raw is None:
            return None
        try:
            model = Model.model_validate(raw)
        except ValidationError as error:
            raise SpecUnreadable(first_error_with_value(error, "spec"), raw) from error
        status = ModelStatus.model_validate(raw.get("status") or {})
        selector = f"{MODEL_LABEL}={key.name}"
        deployments, services, revisions, route = await asyncio.gather(
            self.kube.list(DEPLOYMENTS, key.namespace, selector),
            self.kube.list(SERVICES, key.namespace, selector),
            self.kube.list(CONTROLLER_REVISIONS, key.namespace, selector),
            self._route(model),
        )
        deployed = {version: child for child in deployments if (version := version_of_child(model, child))}
        served = {version: child for child in services if (version := version_of_child(model, child)) is not None}
        taken = await self._name_taken(model, route, served)
        if taken is not None:
            route = None
        raw_versions = self._live_versions(model)
        unreadable = unreadable_in(raw_versions)
        readable = {version: found for version, found in raw_versions.items() if version not in unreadable}
        versions = version_views(model, readable, revisions, deployed, served, refused)
        versions = await self._with_ailments(model, versions, refused)
        offered, broken = self._offered()
        policy, policy_problem = await self._policy(model, offered, broken)
        view = route_view(model, route, served.get(""))
        approvals = self._about(MODEL_APPROVALS, ModelApproval, model)
        evaluations = self._about(MODEL_EVALUATIONS, ModelEvaluation, model)
        pinned = pinned_policies(revisions, status, offered, policy)
        judged = {
            *_judged(status),
            *model.spec.challengers,
            *([version] if (version := model.spec.production.version) else []),
        }
        snapshot = Snapshot(
            now=self.clock.now(),
            model=model,
            status=status,
            versions=await self._with_baselines(model, versions, judged),
            unreadable=unreadable,
            policy=policy,
            policy_problem=policy_problem,
            pinned=pinned,
            route=view,
            gateway_problem=await self._gateway_problem(model, view),
            conflict=taken or self._conflict(model),
            evaluations=evaluations,
            approvals=approvals,
            trust=await self._trust(status, approvals, evaluations if _say_whose([policy, *pinned.values()]) else ()),
            chain=self._chain(model, status),
            missing_dependencies=self._missing_dependencies(model),
        )
        looked = await self._with_readings(snapshot)
        names = frozenset(revision["metadata"]["name"] for revision in revisions)
        return Observed(looked, raw, raw_versions, deployed, served, route, names, name_taken=taken is not None)

    async def _name_taken(self, model: Model, route: Object | None, served: Mapping[str, Object]) -> Problem | None:
        """Is there a route, or a Service, of the Model's name that the operator did not make? It must not be written over."""
        serving, where = model.spec.serving, f"{model.metadata.namespace}/{model.metadata.name}"
        if serving is None:
            return None
        kind, found = "HTTPRoute", route
        if serving.route is None:
            kind = "Service"
            found = served.get("") or await self.kube.get(SERVICES, model.metadata.namespace, model.metadata.name)
        if found is None or version_of_child(model, found) == "":
            return None
        return Problem(
            reasons.ROUTE_CONFLICT,
            f"{kind} {where} is there already and is not this Model's, so that it is left as it is:"
            f" delete it, or give the Model another name",
        )

    async def _route(self, model: Model) -> Object | None:
        """The route of the Model's name; for a Model without one, only what is left of a route that it had."""
        serving = model.spec.serving
        if serving is None:
            return None
        found = await self.kube.get(HTTP_ROUTES, model.metadata.namespace, model.metadata.name)
        left_over = serving.route is None
        return None if found and left_over and version_of_child(model, found) != "" else found

    def _live_versions(self, model: Model) -> dict[str, Object]:
        name = model.metadata.name
        found = self.cache.list(
            MODEL_VERSIONS,
            model.metadata.namespace,
            lambda version: (version.get("spec") or {}).get("model") == name
            and not version["metadata"].get("deletionTimestamp"),
        )
        return {version["spec"]["version"]: version for version in found}

    async def _with_baselines(
        self, model: Model, versions: Mapping[str, VersionView], judged: Iterable[str]
    ) -> dict[str, VersionView]:
        """Fetch baselines that are kept in a ConfigMap, of the versions that may be judged by them; a wrong digest is a
        problem, not a baseline."""
        filled = dict(versions)
        for version in judged:
            view = versions.get(version)
            declared = view.spec.baseline if view else None
            if view is None or declared is None or declared.config_map is None:
                continue
            found = await self.kube.get(CONFIG_MAPS, model.metadata.namespace, declared.config_map)
            baseline = baseline_in(declared, found)
            if isinstance(baseline, Baseline):
                filled[version] = replace(view, baseline=baseline)
            else:
                where = f"ModelVersion {child_name(model.metadata.name, version)}: spec.baseline.configMap"
                filled[version] = replace(view, baseline_problem=f"{where}: {baseline}")
        return filled

    def _offered(self) -> tuple[list[LifecyclePolicy], str]:
        """All policies that can be read, and what is wrong with the others, as the end of a sentence."""
        offered: list[LifecyclePolicy] = []
        broken = ""
        for raw in self.cache.list(LIFECYCLE_POLICIES):
            try:
                offered.append(LifecyclePolicy.model_validate(raw))
            except ValidationError as error:
                broken += (
                    f"; policy {raw['metadata']['name']!r} cannot be read: {first_error_with_value(error, 'spec')}"
                )
        return offered, broken

    async def _policy(
        self, model: Model, offered: Sequence[LifecyclePolicy], broken: str
    ) -> tuple[Policy | None, Problem | None]:
        labels: Mapping[str, str] = {}
        if any(policy.spec.applies_to.namespace_selector.match_labels for policy in offered):
            namespace = await self.kube.get(NAMESPACES, None, model.metadata.namespace)
            labels = (namespace or {}).get("metadata", {}).get("labels") or {}
        found = policies.in_force(offered, model, labels, self.metrics.closed_sources, broken)
        return (None, found) if isinstance(found, Problem) else (found, None)

    async def _gateway_problem(self, model: Model, view: RouteView | None) -> str | None:
        """Which Gateway of the route is missing; asked only while the route is not in force."""
        serving = model.spec.serving
        if serving is None or serving.route is None or view is None or view.in_force:
            return None
        for reference in serving.route.parent_refs:
            namespace = reference.namespace or model.metadata.namespace
            if await self.kube.get(GATEWAYS, namespace, reference.name) is None:
                return (
                    f"Gateway {reference.name!r} does not exist in namespace {namespace!r}:"
                    " create it, or correct spec.serving.route.parentRefs."
                )
        return None

    def _conflict(self, model: Model) -> Problem | None:
        """Another, older Model or route that has the modelID, or the host and path, already."""
        serving = model.spec.serving
        for other in self._other_models(model):
            older = _age(other) < (model.metadata.creation_timestamp, model.metadata.uid)
            spec, where = other.get("spec") or {}, full_name(other)
            if older and model.spec.model_id and spec.get("modelID") == model.spec.model_id:
                return Problem(
                    reasons.DUPLICATE_MODEL_ID,
                    f"spec.modelID {model.spec.model_id!r} belongs to the older Model {where}: give this one its own",
                )
            if older and serving and serving.route and (taken := gateway.claimed_by(model, serving.route, other)):
                return Problem(
                    reasons.ROUTE_CONFLICT,
                    f"spec.serving.route: {taken} is already claimed by the older Model {where}:"
                    " choose another hostname or pathPrefix",
                )
        if serving and serving.route:
            return self._taken_by_route(model, serving.route)
        return None

    def _taken_by_route(self, model: Model, route: Route) -> Problem | None:
        """A route that is in force with this very claim keeps it; a claim that is new yields to every route there is."""
        own = self.cache.get(HTTP_ROUTES, model.metadata.namespace, model.metadata.name)
        claimed = own is not None and is_owned(own, model) and gateway.claims_the_same(model, own)
        for other in self.cache.list(HTTP_ROUTES):
            if is_owned(other, model) or (own is not None and claimed and _age(other) > _age(own)):
                continue
            if (
                claimed
                and _model_of(other)
                and any(full_name(other) == full_name(peer) for peer in self._other_models(model))
            ):
                continue  # a Model's own route; the Models themselves were compared
            taken = gateway.overlapping(model, route, other)
            if taken:
                return Problem(
                    reasons.ROUTE_CONFLICT,
                    f"spec.serving.route: {taken} is already claimed by HTTPRoute {full_name(other)}:"
                    " choose another hostname or pathPrefix",
                )
        return None

    def _other_models(self, model: Model) -> list[Object]:
        return self.cache.list(MODELS, where=lambda other: other["metadata"].get("uid") != model.metadata.uid)

    def _about(self, resource: Resource, kind: type[Kind], model: Model) -> tuple[Kind, ...]:
        """The objects of a kind whose spec names the Model, as far as they can be read."""
        found: list[Kind] = []
        for raw in self.cache.list(
            resource,
            model.metadata.namespace,
            lambda each: (each.get("spec") or {}).get("model") == model.metadata.name,
        ):
            try:
                found.append(kind.model_validate(raw))
            except ValidationError as error:
                logger.warning("%s %s: %s", resource.kind, full_name(raw), first_error_with_value(error, "spec"))
        return tuple(found)

    async def _trust(
        self, status: ModelStatus, approvals: Iterable[ModelApproval], evaluations: Iterable[ModelEvaluation]
    ) -> Trust:
        """Are approvals guarded, and evaluations of which it matters whose they are? Looked at afresh, and after they were read, when one
        of them is new.

        An approval is new when it is not on record yet. Evaluations are not recorded: those are new that may be younger than what was
        found last, with a minute for clocks that differ.
        """
        younger = self.clock.now() - timedelta(seconds=KEPT_SECONDS + 60)
        fresh = (
            each.metadata.creation_timestamp and datetime.fromisoformat(each.metadata.creation_timestamp) > younger
            for each in evaluations
        )
        recorded, over = {decision.uid for decision in status.decisions}, status.decisions_since
        new = any(
            approval.metadata.uid not in recorded
            and not (over and datetime.fromisoformat(approval.metadata.creation_timestamp) <= over)
            for approval in approvals
        )
        return await (self.trust.afresh() if new or any(fresh) else self.trust.current())

    def _chain(self, model: Model, status: ModelStatus) -> tuple[ModelAuditRecordSpec, ...]:
        """The records of the Model's name that its status does not know yet; without a memory, all of them."""
        found: list[ModelAuditRecordSpec] = []
        for raw in self._records_after(model, status.audit.seq) if status.audit else self._all_records(model):
            try:
                found.append(ModelAuditRecordSpec.model_validate(raw["spec"]))
            except ValidationError as error:
                logger.error("ModelAuditRecord %s: %s", full_name(raw), first_error_with_value(error, "spec"))
        return tuple(sorted(found, key=lambda record: record.seq))

    def _records_after(self, model: Model, seq: int) -> Iterable[Object]:
        """By name, one after the other: a cluster may hold many thousands of records, and every look asks for the last few."""
        metadata = model.metadata
        for number in count(seq + 1):
            record = self.cache.get(MODEL_AUDIT_RECORDS, metadata.namespace, record_name(metadata.name, number))
            if record is None:
                return
            yield record

    def _all_records(self, model: Model) -> Iterable[Object]:
        name, namespace = model.metadata.name, model.metadata.namespace
        return self.cache.list(MODEL_AUDIT_RECORDS, namespace, lambda each: _model_of(each) == name)

    def _missing_dependencies(self, model: Model) -> tuple[str, ...]:
        """The Models that this one says it depends on, and that are not there."""
        named = [
            (dependency.namespace or model.metadata.namespace, dependency.model)
            for dependency in model.spec.depends_on
            if dependency.model is not None
        ]
        return tuple(f"{space}/{name}" for space, name in named if self.cache.get(MODELS, space, name) is None)

    async def _with_ailments(
        self, model: Model, versions: dict[str, VersionView], refused: Collection[str]
    ) -> dict[str, VersionView]:
        """With what the pods themselves tell of versions that lack some: a Deployment says no more than that it waits."""
        lacking = [
            version
            for version, view in versions.items()
            if view.deployment and view.deployment.available < view.deployment.desired and version not in refused
        ]
        if not lacking:
            return versions
        pods = await self.kube.list(PODS, model.metadata.namespace, f"{MODEL_LABEL}={model.metadata.name}")
        told = {version: ailment_of(pods, version, self.clock.now()) for version in lacking}
        return {version: replace(view, problem=told.get(version) or view.problem) for version, view in versions.items()}

    async def _with_readings(self, s: Snapshot) -> Snapshot:
        """Look at the pods of every version whose look is due, and of what they are compared with."""
        judged = subjects(s)
        looked_at = [subject for subject in judged if due(s, subject)]
        validated = [subject for subject in judged if subject.stage is Stage.VALIDATION]
        answers = await self._answers(s, (*looked_at, *validated))
        serving = s.model.spec.serving
        if not looked_at or serving is None:
            return replace(s, answers=answers)
        wanted = wanted_series(looked_at)
        at = s.now.timestamp()
        pods = await self.kube.list(PODS, s.model.metadata.namespace, f"{MODEL_LABEL}={s.model.metadata.name}")
        readings = await asyncio.gather(
            *(
                self.metrics.read(version, targets_of(pods, version), serving.metrics, series, at)
                for version, series in wanted.items()
            )
        )
        by_version: dict[str, Reading] = {reading.version: reading for reading in readings}
        return replace(s, readings=by_version, answers=answers)

    async def _answers(self, s: Snapshot, judged: Iterable[Subject]) -> dict[str, QueryAnswer]:
        answers: dict[str, QueryAnswer] = {}
        limit = asyncio.Semaphore(QUERIES_AT_ONCE)

        async def ask(subject: Subject) -> None:
            names = QueryNames(
                model=s.model.metadata.name,
                namespace=s.model.metadata.namespace,
                candidate=subject.version,
                incumbent=subject.incumbent,
            )
            for gate in subject.gates:
                if gate.query:
                    async with limit:
                        answers[answered_as(subject, gate)] = await self.metrics.query(
                            gate.query, names, s.now.timestamp()
                        )

        await asyncio.gather(*(ask(subject) for subject in judged if not subject.challenger))
        return answers


def _say_whose(in_force: Iterable[Policy | None]) -> bool:
    """Does a gate count the evaluations of some people only? While none does, nobody has to ask how evaluations came about."""
    asked = (gates for policy in in_force if policy for gates in evaluations_asked_for(policy.spec).values())
    return any(gate.evaluators for gates in asked for gate in gates)


def _judged(status: ModelStatus) -> set[str]:
    """The versions that status says are being judged."""
    monitored = status.production if status.production and status.production.monitored_under else None
    running = (status.rollout, status.watch, monitored, *status.challengers)
    return {subject.version for subject in running if subject is not None}


def _model_of(obj: Object) -> str | None:
    return (obj["metadata"].get("labels") or {}).get(MODEL_LABEL)


def _age(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("creationTimestamp", ""), obj["metadata"].get("uid", "")
