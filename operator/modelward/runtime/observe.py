"""observe: everything that one decision needs, read from the cluster into one frozen Snapshot.

The Model and its children are read live, because weights and pods are decided on them; versions, policies and
evaluations come from the cache. A status that is written from a stale cache meets a newer resourceVersion and is
refused, so staleness costs a retry and never evidence.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any, TypeVar

from pydantic import ValidationError

from modelward.api import reasons
from modelward.api.demands import IdentityMap
from modelward.api.digests import digest_of, version_digest
from modelward.api.invalid import first_error_with_value
from modelward.api.lifecycle_policy import LifecyclePolicy, LifecyclePolicySpec
from modelward.api.model import Model, Route
from modelward.api.model_approval import ModelApproval
from modelward.api.model_audit_record import ModelAuditRecordSpec, record_name
from modelward.api.model_evaluation import ModelEvaluation
from modelward.api.model_version import Baseline, ModelVersion, ModelVersionSpec
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
from modelward.api.status import ModelStatus, Stage, VersionStatus
from modelward.api.types import ApiModel
from modelward.governance.approvals import Trust
from modelward.governance.register import evaluations_asked_for
from modelward.lifecycle import evidence as evidence_of
from modelward.lifecycle import policies
from modelward.lifecycle.assess import Subject, answered_as, due, subjects, wanted_series
from modelward.lifecycle.baselines import baseline_in
from modelward.lifecycle.evidence import Evidence
from modelward.lifecycle.snapshot import DeploymentView, Policy, Problem, RouteView, Snapshot, VersionView
from modelward.metrics.prometheus import QueryNames
from modelward.metrics.reader import MetricsReader
from modelward.runtime.cache import Cache
from modelward.runtime.clock import Clock
from modelward.runtime.keys import ModelKey
from modelward.runtime.kube import KubeApi, Object
from modelward.runtime.trust import KEPT_SECONDS, TrustReader
from modelward.stats.readings import PodTarget, QueryAnswer, Reading
from modelward.traffic import gateway, service
from modelward.traffic.ailments import ailment_of
from modelward.traffic.names import MANAGED_BY, MODEL_LABEL, VERSION_LABEL, child_name, version_of
from modelward.traffic.workloads import DIGEST_ANNOTATION, KEPT_LABEL

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
        deployed = {version: child for child in deployments if (version := _version_of_child(model, child))}
        served = {version: child for child in services if (version := _version_of_child(model, child)) is not None}
        taken = await self._name_taken(model, route, served)
        if taken is not None:
            route = None
        raw_versions = self._live_versions(model)
        unreadable = _unreadable(raw_versions)
        readable = {version: found for version, found in raw_versions.items() if version not in unreadable}
        versions = _versions(model, readable, revisions, deployed, served, refused)
        versions = await self._with_ailments(model, versions, refused)
        offered, broken = self._offered()
        policy, policy_problem = await self._policy(model, offered, broken)
        view = _route_view(model, route, served.get(""))
        approvals = self._about(MODEL_APPROVALS, ModelApproval, model)
        evaluations = self._about(MODEL_EVALUATIONS, ModelEvaluation, model)
        pinned = _pinned(revisions, status, offered, policy)
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
        if found is None or _version_of_child(model, found) == "":
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
        return None if found and left_over and _version_of_child(model, found) != "" else found

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
            spec, where = other.get("spec") or {}, _name(other)
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
        claimed = own is not None and _owned(own, model) and gateway.claims_the_same(model, own)
        for other in self.cache.list(HTTP_ROUTES):
            if _owned(other, model) or (own is not None and claimed and _age(other) > _age(own)):
                continue
            if claimed and _model_of(other) and any(_name(other) == _name(peer) for peer in self._other_models(model)):
                continue  # a Model's own route; the Models themselves were compared
            taken = gateway.overlapping(model, route, other)
            if taken:
                return Problem(
                    reasons.ROUTE_CONFLICT,
                    f"spec.serving.route: {taken} is already claimed by HTTPRoute {_name(other)}:"
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
                logger.warning("%s %s: %s", resource.kind, _name(raw), first_error_with_value(error, "spec"))
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
                logger.error("ModelAuditRecord %s: %s", _name(raw), first_error_with_value(error, "spec"))
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
                self.metrics.read(version, _targets(pods, version), serving.metrics, series, at)
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


def _versions(
    model: Model,
    live: Mapping[str, Object],
    revisions: Iterable[Object],
    deployments: Mapping[str, Object],
    services: Mapping[str, Object],
    refused: Mapping[str, str],
) -> dict[str, VersionView]:
    """All versions that are known: the live ones, and those of which only the kept copy is left."""
    kept = {
        version_of(model.metadata.name, revision["metadata"]["name"]): view
        for revision in revisions
        if (view := _kept_view(model, revision)) is not None
    }
    views: dict[str, VersionView] = {}
    for version in sorted({*live, *kept}):
        raw, copy = live.get(version), kept.get(version)
        view = _live_view(version, raw, copy) if raw else kept[version]
        deployment = deployments.get(version)
        views[version] = replace(
            view,
            deployment=_deployment_view(deployment, view) if deployment else None,
            service_exists=version in services,
            problem=refused.get(version) or (_deployment_problem(deployment) if deployment else None),
            changed=view.changed or _deployed_otherwise(deployment, view),
        )
    return views


def _unreadable(live: Mapping[str, Object]) -> dict[str, str]:
    """What is wrong with versions that the API server let through; not every rule can be checked there."""
    wrong: dict[str, str] = {}
    for version, raw in live.items():
        try:
            ModelVersion.model_validate(raw)
        except ValidationError as error:
            wrong[version] = first_error_with_value(error, "spec")
    return wrong


def _live_view(version: str, raw: Object, copy: VersionView | None) -> VersionView:
    parsed = ModelVersion.model_validate(raw)
    status = VersionStatus.model_validate(raw.get("status") or {})
    digest = copy.digest if copy and _is_copy(copy, parsed.spec) else version_digest(parsed.spec)
    return VersionView(
        version=version,
        # What was deployed under this name goes on as it was; content that was made anew is neither scaled to nor started.
        spec=copy.spec if copy is not None and copy.digest != digest else parsed.spec,
        digest=digest,
        live=True,
        generation=parsed.metadata.generation,
        changed=copy is not None and copy.digest != digest,
        baseline=parsed.spec.baseline,
        status=status,
        evidence=_evidence_of(status.evidence, raw),
        monitoring=_evidence_of(status.monitoring, raw),
    )


def _is_copy(copy: VersionView, spec: ModelVersionSpec) -> bool:
    """Was this content deployed? Then its digest is what it was then, whatever this release's defaults make of it."""
    return copy.spec.model_dump(exclude={"deprecation"}) == spec.model_dump(exclude={"deprecation"})


def _kept_view(model: Model, revision: Object) -> VersionView | None:
    """The copy of a version that was made when it was first deployed; None for another kind of copy, or a broken one."""
    if (revision["metadata"].get("labels") or {}).get(KEPT_LABEL) != "Version":
        return None
    version = version_of(model.metadata.name, revision["metadata"]["name"])
    try:
        spec = _content(revision["data"], ModelVersionSpec, version_digest, {"deprecation"})
        if (spec.model, spec.version) != (model.metadata.name, version):
            raise ValueError(f"it is a copy of {spec.version} of {spec.model}")
        return VersionView(version, spec, str(revision["data"]["digest"]), live=False, baseline=spec.baseline)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        logger.warning("the kept copy of a version, %s, cannot be read: %s", _name(revision), error)
        return None


def _evidence_of(kept: Mapping[str, Any] | None, raw: Object) -> Evidence | None:
    if not kept:
        return None
    try:
        return evidence_of.Evidence.from_dict(kept)
    except (KeyError, TypeError, ValueError) as error:
        logger.warning("ModelVersion %s: its evidence cannot be read and is gathered anew: %s", _name(raw), error)
        return None


def _edited(deployment: Object, view: VersionView) -> str:
    """How the containers that run are not those of the version, as the end of a sentence; "" when they are."""
    running = _images(((deployment.get("spec") or {}).get("template") or {}).get("spec") or {})
    wanted = _images((view.spec.serving.template.get("spec") or {}) if view.spec.serving else {})
    for name in sorted({*running, *wanted}):
        if running.get(name) != wanted.get(name):
            return f"container {name} runs {running.get(name, 'nothing')} in place of {wanted.get(name, 'nothing')}"
    return ""


def _images(pod: Mapping[str, Any]) -> dict[str, str]:
    return {str(each.get("name")): str(each.get("image")) for each in pod.get("containers") or []}


def _deployment_view(deployment: Object, view: VersionView) -> DeploymentView:
    status = deployment.get("status") or {}
    return DeploymentView(
        desired=int((deployment.get("spec") or {}).get("replicas", 1)),
        available=int(status.get("availableReplicas") or 0),
        created_at=datetime.fromisoformat(deployment["metadata"]["creationTimestamp"]),
        edited=_edited(deployment, view),
    )


def _deployment_problem(deployment: Object) -> str | None:
    conditions = (deployment.get("status") or {}).get("conditions") or []
    failing = next(
        (
            condition
            for condition in conditions
            if (condition["type"], condition["status"]) in {("ReplicaFailure", "True"), ("Progressing", "False")}
        ),
        None,
    )
    return str(failing.get("message", failing.get("reason", "")))[:512] if failing else None


def _deployed_otherwise(deployment: Object | None, view: VersionView) -> bool:
    """Do the pods that run under this name have another content than the version?"""
    if deployment is None or not view.live:
        return False
    deployed = (deployment["metadata"].get("annotations") or {}).get(DIGEST_ANNOTATION)
    return deployed is not None and deployed != view.digest


def _say_whose(in_force: Iterable[Policy | None]) -> bool:
    """Does a gate count the evaluations of some people only? While none does, nobody has to ask how evaluations came about."""
    asked = (gates for policy in in_force if policy for gates in evaluations_asked_for(policy.spec).values())
    return any(gate.evaluators for gates in asked for gate in gates)


def _pinned(
    revisions: Iterable[Object], status: ModelStatus, offered: Iterable[LifecyclePolicy], now: Policy | None
) -> dict[str, Policy]:
    """The kept policies, by the digest that they are pinned by; a rollout whose policy cannot be read is ended.

    Who is who is no part of the digest, so that it is not taken from a copy, which anybody may have written: it is what the
    policy of that name says now, or the one that applies now.
    """
    people = {policy.metadata.name: policy.spec.identity_map for policy in offered}
    otherwise = now.spec.identity_map if now else IdentityMap()
    rollout = status.rollout
    pinned: dict[str, Policy] = {}
    for revision in revisions:
        if (revision["metadata"].get("labels") or {}).get(KEPT_LABEL) != "Policy":
            continue
        try:
            data = revision["data"]
            digest = str(data["digest"])
            name = rollout.policy if rollout and rollout.policy_digest == digest else str(data["name"])
            spec = _content(
                data, LifecyclePolicySpec, lambda read: policies.policy_digest("", read), {"appliesTo", "identityMap"}
            )
            known = people.get(name, otherwise)
            pinned[digest] = Policy(name, digest, spec.model_copy(update={"identity_map": known}))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            logger.warning("the kept policy %s cannot be read: %s", _name(revision), error)
    return pinned


def _content(
    data: Mapping[str, Any], kind: type[Kind], digest: Callable[[Kind], str], outside: Collection[str]
) -> Kind:
    """What a copy holds, if it gives the digest that the copy claims: a copy can be written by others than the operator.

    outside: the fields that are no part of the digest.

    Raises:
        ValueError: it gives another digest.
    """
    spec = kind.model_validate(data["spec"])
    if digest(spec) == data["digest"]:
        return spec
    # Made by a release with other defaults: what it made the digest of is what it kept.
    canonical = {key: value for key, value in (data.get("canonical") or data["spec"]).items() if key not in outside}
    if digest_of(canonical) == data["digest"]:
        return kind.model_validate(canonical)
    raise ValueError(f"its content does not give the digest {data['digest']}, so that it is not what was kept")


def _route_view(model: Model, route: Object | None, switched: Object | None) -> RouteView | None:
    serving = model.spec.serving
    if serving is not None and serving.route is not None:
        return gateway.read(model, route) if route else None
    return service.read(model, switched) if switched else None


def _targets(pods: Iterable[Object], version: str) -> list[PodTarget]:
    """The ready pods of a version; one that is ending no longer answers for it."""
    return [
        PodTarget(
            name=pod["metadata"]["name"],
            namespace=pod["metadata"]["namespace"],
            address=pod["status"]["podIP"],
            started_at=datetime.fromisoformat(pod["status"]["startTime"]).timestamp(),
        )
        for pod in pods
        if pod["metadata"].get("labels", {}).get(VERSION_LABEL) == version
        and not pod["metadata"].get("deletionTimestamp")
        and pod.get("status", {}).get("podIP")
        and pod["status"].get("startTime")
        and any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions") or [])
    ]


def _judged(status: ModelStatus) -> set[str]:
    """The versions that status says are being judged."""
    monitored = status.production if status.production and status.production.monitored_under else None
    running = (status.rollout, status.watch, monitored, *status.challengers)
    return {subject.version for subject in running if subject is not None}


def _version_of_child(model: Model, child: Object) -> str | None:
    """Which version a Deployment or Service was made for, "" for the whole Model; None when the operator did not make it.

    A label alone proves nothing: people put the Model's name on things of their own, which are not the operator's to delete.
    """
    metadata, name = child["metadata"], model.metadata.name
    labels: Mapping[str, str] = metadata.get("labels") or {}
    made = all(labels.get(key) == value for key, value in {**MANAGED_BY, MODEL_LABEL: name}.items())
    if not made or (_controlled(child) and not _owned(child, model)):
        return None
    if metadata["name"] == name:
        return ""
    version = labels.get(VERSION_LABEL, "")
    return version if version and metadata["name"] == child_name(name, version) else None


def _controlled(obj: Object) -> bool:
    return any(owner.get("controller") for owner in obj["metadata"].get("ownerReferences") or [])


def _model_of(obj: Object) -> str | None:
    return (obj["metadata"].get("labels") or {}).get(MODEL_LABEL)


def _owned(obj: Object, model: Model) -> bool:
    return any(owner.get("uid") == model.metadata.uid for owner in obj["metadata"].get("ownerReferences") or [])


def _age(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("creationTimestamp", ""), obj["metadata"].get("uid", "")


def _name(obj: Object) -> str:
    return f"{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"
