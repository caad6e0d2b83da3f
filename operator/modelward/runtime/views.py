"""What objects of the cluster say about a Model's versions, policies, route and pods, as the values that a decision is made from."""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from modelward.api.demands import IdentityMap
from modelward.api.digests import digest_of, version_digest
from modelward.api.invalid import first_error_with_value
from modelward.api.lifecycle_policy import LifecyclePolicy, LifecyclePolicySpec
from modelward.api.model import Model
from modelward.api.model_version import ModelVersion, ModelVersionSpec
from modelward.api.status import ModelStatus, VersionStatus
from modelward.api.types import ApiModel
from modelward.lifecycle import evidence as evidence_of
from modelward.lifecycle import policies
from modelward.lifecycle.evidence import Evidence
from modelward.lifecycle.snapshot import DeploymentView, Policy, RouteView, VersionView
from modelward.runtime.kube import Object
from modelward.stats.readings import PodTarget
from modelward.traffic import gateway, service
from modelward.traffic.names import MANAGED_BY, MODEL_LABEL, VERSION_LABEL, child_name, version_of
from modelward.traffic.workloads import DIGEST_ANNOTATION, KEPT_LABEL

logger = logging.getLogger(__name__)

Kind = TypeVar("Kind", bound=ApiModel)


def version_views(
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


def unreadable_in(live: Mapping[str, Object]) -> dict[str, str]:
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
        logger.warning("the kept copy of a version, %s, cannot be read: %s", full_name(revision), error)
        return None


def _evidence_of(kept: Mapping[str, Any] | None, raw: Object) -> Evidence | None:
    if not kept:
        return None
    try:
        return evidence_of.Evidence.from_dict(kept)
    except (KeyError, TypeError, ValueError) as error:
        logger.warning("ModelVersion %s: its evidence cannot be read and is gathered anew: %s", full_name(raw), error)
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


def pinned_policies(
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
            logger.warning("the kept policy %s cannot be read: %s", full_name(revision), error)
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


def route_view(model: Model, route: Object | None, switched: Object | None) -> RouteView | None:
    """How requests are split now, by the route of the Model, or by the Service that is switched."""
    serving = model.spec.serving
    if serving is not None and serving.route is not None:
        return gateway.read(model, route) if route else None
    return service.read(model, switched) if switched else None


def targets_of(pods: Iterable[Object], version: str) -> list[PodTarget]:
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


def version_of_child(model: Model, child: Object) -> str | None:
    """Which version a Deployment or Service was made for, "" for the whole Model; None when the operator did not make it.

    A label alone proves nothing: people put the Model's name on things of their own, which are not the operator's to delete.
    """
    metadata, name = child["metadata"], model.metadata.name
    labels: Mapping[str, str] = metadata.get("labels") or {}
    made = all(labels.get(key) == value for key, value in {**MANAGED_BY, MODEL_LABEL: name}.items())
    if not made or (_controlled(child) and not is_owned(child, model)):
        return None
    if metadata["name"] == name:
        return ""
    version = labels.get(VERSION_LABEL, "")
    return version if version and metadata["name"] == child_name(name, version) else None


def _controlled(obj: Object) -> bool:
    return any(owner.get("controller") for owner in obj["metadata"].get("ownerReferences") or [])


def is_owned(obj: Object, model: Model) -> bool:
    """Was it made for this very Model, and not for another one that had its name?"""
    return any(owner.get("uid") == model.metadata.uid for owner in obj["metadata"].get("ownerReferences") or [])


def full_name(obj: Object) -> str:
    """Namespace and name, for messages."""
    return f"{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"
