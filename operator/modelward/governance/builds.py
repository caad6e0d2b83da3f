"""Is a version in one environment the same build as in another, where it is only placed and sized otherwise?

The digest of a version covers all that its ModelVersion says, also how many pods it has and how large they are, which differ between a
test and a production environment. What makes the answers must be the same: artifact and images by digest, commands, configuration,
baseline, schema, lineage, and labels and annotations of the pods, by which whatever watches pods puts containers and variables into them.
What may differ is listed here, so that a field that a later release adds has to be the same until somebody decides otherwise. Values that
differ by environment belong into ConfigMaps and Secrets of the same name.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from modelward.api.digests import NOT_OF_A_VERSION, canonical_of, version_digest
from modelward.api.model_version import ModelVersionSpec

_OF_AN_ARTIFACT = frozenset({"uri", "encryption"})  # where it lies; its digest says what it is
_OF_A_POD = frozenset(
    {
        "affinity",
        "imagePullSecrets",
        "nodeSelector",
        "priorityClassName",
        "runtimeClassName",
        "schedulerName",
        "serviceAccountName",
        "tolerations",
        "topologySpreadConstraints",
    }
)
# Recommended by Kubernetes and Helm to tell objects by, no more.
_NAMING_LABELS = ("app.kubernetes.io/", "helm.sh/chart")
_OF_A_CONTAINER = frozenset({"resources", "imagePullPolicy"})
_CONTAINERS = ("containers", "initContainers")
_PINNED = "@sha256:"


def differences(one: ModelVersionSpec, other: ModelVersionSpec) -> tuple[str, ...]:
    """Why two versions are not the same build, each as a sentence without its end; empty when they are.

    Of versions that are told apart by anything, images that are named by a tag alone are a difference: a tag may be moved.
    """
    if version_digest(one) == version_digest(other):
        return ()
    fields = [f"{path} differs" for path in _differing("spec", _build(one), _build(other))]
    tagged = [f"image {image} is not pinned by its digest" for image in unpinned_images(one) + unpinned_images(other)]
    return (*fields, *dict.fromkeys(tagged))


def unpinned_images(spec: ModelVersionSpec) -> tuple[str, ...]:
    """The images that are named without a digest."""
    pods = (spec.serving.template.get("spec") or {}) if spec.serving else {}
    named = (str(container.get("image", "")) for key in _CONTAINERS for container in pods.get(key) or ())
    return tuple(dict.fromkeys(image for image in named if _PINNED not in image))


def _build(spec: ModelVersionSpec) -> dict[str, Any]:
    content = canonical_of(spec, exclude=NOT_OF_A_VERSION)
    if spec.artifact is not None:
        content["artifact"] = _without(content["artifact"], _OF_AN_ARTIFACT)
    if spec.serving is not None:
        template = content["serving"]["template"]
        pods = _without(template["spec"], _OF_A_POD)
        for key in _CONTAINERS:
            if pods.get(key):
                pods[key] = [_container(each) for each in pods[key]]
        content["serving"] = {"template": {"metadata": _metadata(template.get("metadata") or {}), "spec": pods}}
    return content


def _metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What is empty is as if it were not there."""
    labels = metadata.get("labels") or {}
    telling = {name: value for name, value in labels.items() if not name.startswith(_NAMING_LABELS)}
    return {name: value for name, value in {**metadata, "labels": telling}.items() if value}


def _container(container: Mapping[str, Any]) -> dict[str, Any]:
    kept = _without(container, _OF_A_CONTAINER)
    _, pin, digest = str(kept.get("image", "")).partition(_PINNED)
    return kept | {"image": digest} if pin else kept


def _without(content: Mapping[str, Any], fields: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in fields}


def _differing(path: str, one: Any, other: Any) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for name in sorted({*one, *other}):
            yield from _differing(f"{path}.{name}", one.get(name), other.get(name))
    elif isinstance(one, list) and isinstance(other, list) and _names(one) == _names(other) != []:
        for name, mine, theirs in zip(_names(one), one, other, strict=True):
            yield from _differing(f"{path}[{name}]", mine, theirs)
    elif one != other:
        yield path


def _names(entries: list[Any]) -> list[str]:
    """What the entries of a list are told by; none where they have no names."""
    named = all(isinstance(each, dict) and "name" in each for each in entries)
    return [str(each["name"]) for each in entries] if named else []
