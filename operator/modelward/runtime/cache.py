"""What this replica knows of the cluster: plain dicts, fed by watch events, corrected by every resync.

Reads cost nothing and may be a moment old. Whoever is about to destroy something or to move traffic reads live.
"""

from collections.abc import Callable, Iterable

from modelward.api.resources import (
    DEPLOYMENTS,
    MODEL_APPROVALS,
    MODEL_AUDIT_RECORDS,
    MODEL_EVALUATIONS,
    MODEL_VERSIONS,
    MODELS,
    Resource,
)
from modelward.governance.untyped import mapping
from modelward.runtime.keys import ModelKey
from modelward.runtime.kube import Object, Objects
from modelward.traffic.names import MODEL_LABEL

_Name = tuple[str, str]

# A pod template can be large and is never decided on: what runs is compared by its digest, in a label or an annotation.
_DEPLOYMENT_SPEC = ("replicas", "paused", "selector")
_NOISY_ANNOTATIONS = ("kubectl.kubernetes.io/last-applied-configuration",)


class Cache:
    """Objects by kind, namespace and name. What it returns is shared: never change it in place."""

    def __init__(self) -> None:
        self._objects: dict[Resource, dict[_Name, Object]] = {}
        self._touched: dict[Resource, dict[_Name, int]] = {}
        self._revision = 0

    def get(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        return self._objects.get(resource, {}).get((namespace or "", name))

    def list(
        self, resource: Resource, namespace: str | None = None, where: Callable[[Object], bool] | None = None
    ) -> Objects:
        """All known objects of a kind by namespace and name, filtered."""
        return [
            obj
            for name, obj in sorted(self._objects.get(resource, {}).items())
            if (namespace is None or name[0] == namespace) and (where is None or where(obj))
        ]

    def models(self) -> tuple[ModelKey, ...]:
        return tuple(ModelKey(*name) for name in sorted(self._objects.get(MODELS, {})))

    def put(self, resource: Resource, obj: Object) -> None:
        name = _name_of(obj)
        self._objects.setdefault(resource, {})[name] = trimmed(resource, obj)
        self._touch(resource, name)

    def remove(self, resource: Resource, namespace: str | None, name: str) -> None:
        key = (namespace or "", name)
        self._objects.get(resource, {}).pop(key, None)
        self._touch(resource, key)

    def revision(self) -> int:
        """A mark to hand to `replace`: take it before the list is requested."""
        return self._revision

    def replace(self, resource: Resource, objects: Iterable[Object], since: int) -> Objects:
        """Make the cache equal to a list, and return what was dropped because the list no longer has it.

        A list takes time. What a watch event has touched since the list was requested is newer than the list, whether it
        came or went, and is left alone.
        """
        touched = self._touched.get(resource, {})
        newer = {name for name, revision in touched.items() if revision > since}
        before = self._objects.get(resource, {})
        after = {name: obj for name, obj in before.items() if name in newer}
        for obj in objects:
            name = _name_of(obj)
            if name not in newer:
                after[name] = trimmed(resource, obj)
        self._objects[resource] = after
        # Marks of deleted objects would pile up for ever; those older than this list have done their duty.
        self._touched[resource] = {name: touched[name] for name in newer}
        return [obj for name, obj in before.items() if name not in after]

    def _touch(self, resource: Resource, name: _Name) -> None:
        self._revision += 1
        self._touched.setdefault(resource, {})[name] = self._revision


def owner_key(resource: Resource, obj: Object) -> ModelKey | None:
    """The Model whose reconcile an object concerns; None when it concerns none."""
    namespace, name = _name_of(obj)
    if resource == MODELS:
        return ModelKey(namespace, name)
    if resource == MODEL_AUDIT_RECORDS:
        return None  # the operator's own writing
    if resource in (MODEL_VERSIONS, MODEL_EVALUATIONS, MODEL_APPROVALS):
        model = mapping(obj.get("spec")).get("model")
    else:
        model = mapping(obj["metadata"].get("labels")).get(MODEL_LABEL)
    return ModelKey(namespace, model) if isinstance(model, str) and model else None


def trimmed(resource: Resource, obj: Object) -> Object:
    """A copy that keeps what is decided on: memory grows with what is cached."""
    metadata = {field: value for field, value in obj["metadata"].items() if field != "managedFields"}
    if annotations := metadata.get("annotations"):
        metadata["annotations"] = {key: text for key, text in annotations.items() if key not in _NOISY_ANNOTATIONS}
    kept: Object = {"apiVersion": resource.api_version, "kind": resource.kind} | obj | {"metadata": metadata}
    if resource == DEPLOYMENTS:
        spec = mapping(obj.get("spec"))
        kept["spec"] = {field: spec[field] for field in _DEPLOYMENT_SPEC if field in spec}
    return kept


def _name_of(obj: Object) -> _Name:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
