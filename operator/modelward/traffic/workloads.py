"""Deployments and autoscalers of versions, and the copies that are kept of specs and policies."""

from typing import Any

from modelward.api.digests import NOT_OF_A_VERSION, canonical_of
from modelward.api.model import Model
from modelward.lifecycle.policies import NOT_PINNED
from modelward.lifecycle.snapshot import Policy, VersionView
from modelward.traffic.names import child_name, labels_of, metadata_of

DIGEST_ANNOTATION = "modelward.dev/version-digest"
KEPT_LABEL = "modelward.dev/kept"


def build_deployment(model: Model, view: VersionView, replicas: int) -> dict[str, Any]:
    """The Deployment of a version. Created once: its template is never written again, so no release of the operator
    and no promotion restarts a pod."""
    serving = view.spec.serving
    assert serving is not None, "a Deployment needs spec.serving of the ModelVersion"
    labels = labels_of(model, view.version)
    metadata = metadata_of(model, child_name(model.metadata.name, view.version), view.version)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**metadata, "annotations": {DIGEST_ANNOTATION: view.digest}},
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 1,
            "progressDeadlineSeconds": max(int(serving.progress_deadline.total_seconds()), 2),
            "selector": {"matchLabels": labels},
            "template": _template(model, view.version, serving.template, labels),
        },
    }


def build_autoscaler(model: Model, view: VersionView) -> dict[str, Any] | None:
    """The HorizontalPodAutoscaler of a version that asks for one."""
    serving = view.spec.serving
    if serving is None or serving.autoscaling is None:
        return None
    name = child_name(model.metadata.name, view.version)
    target = {"type": "Utilization", "averageUtilization": serving.autoscaling.target_cpu_percent}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata_of(model, name, view.version),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": serving.autoscaling.min,
            "maxReplicas": serving.autoscaling.max,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }


def build_kept_version(model: Model, view: VersionView) -> dict[str, Any]:
    """A copy of a version's spec, made when it is first deployed: pruning the ModelVersion takes nothing down.

    `canonical` is what its digest was made of, so that a release with other defaults can still tell it from a forged one.
    """
    spec = view.spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
    canonical = canonical_of(view.spec, NOT_OF_A_VERSION)
    data = {"digest": view.digest, "spec": spec, **({"canonical": canonical} if canonical != spec else {})}
    return _revision(model, child_name(model.metadata.name, view.version), "Version", data, view.version)


def build_kept_policy(model: Model, policy: Policy) -> dict[str, Any]:
    """A copy of the policy that a rollout is pinned to: editing or deleting the policy does not alter the rollout."""
    data = {
        "digest": policy.digest,
        "name": policy.name,
        "spec": policy.spec.model_dump(mode="json", by_alias=True, exclude_none=True),
        "canonical": canonical_of(policy.spec, NOT_PINNED),
    }
    return _revision(model, kept_policy_name(model.metadata.name, policy.digest), "Policy", data)


def kept_policy_name(model: str, digest: str) -> str:
    """Name of the copy of a policy."""
    return f"{model}-policy-{digest.removeprefix('sha256:')[:12]}"


def _revision(model: Model, name: str, kind: str, data: dict[str, Any], version: str | None = None) -> dict[str, Any]:
    metadata = metadata_of(model, name, version)
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {**metadata, "labels": {**metadata["labels"], KEPT_LABEL: kind}},
        "revision": 1,
        "data": data,
    }


def _template(model: Model, version: str, template: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    metadata = dict(template.get("metadata") or {})
    spec = dict(template.get("spec") or {})
    told = [
        {"name": "MODELWARD_MODEL", "value": model.metadata.name},
        {"name": "MODELWARD_VERSION", "value": version},
    ]
    spec["containers"] = [
        {**container, "env": [*told, *(container.get("env") or [])]} for container in spec.get("containers") or []
    ]
    return {**template, "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), **labels}}, "spec": spec}
