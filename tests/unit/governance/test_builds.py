"""What may differ between two environments for one build, and what makes it another one."""

import copy
from typing import Any

import pytest

from modelward.api.digests import version_digest
from modelward.api.model_version import ModelVersionSpec
from modelward.governance.builds import differences, unpinned_images

IMAGE = "registry.example.com/credit@sha256:" + "1" * 64
SIDECAR = "registry.example.com/proxy@sha256:" + "2" * 64
VERSION: dict[str, Any] = {
    "model": "credit",
    "version": "v8",
    "artifact": {"uri": "s3://test-models/credit/v8", "digest": "sha256:" + "a" * 64},
    "builtBy": ["ada@example.com"],
    "serving": {
        "replicas": 1,
        "template": {
            "metadata": {"labels": {"mesh": "on", "app.kubernetes.io/instance": "credit-test"}},
            "spec": {
                "serviceAccountName": "models-test",
                "containers": [
                    {"name": "server", "image": IMAGE, "env": [{"name": "THRESHOLD", "value": "0.5"}]},
                    {"name": "proxy", "image": SIDECAR},
                ],
            },
        },
    },
    "baseline": {"features": [{"name": "income", "kind": "Numeric", "edges": [1.0], "counts": [1, 2]}]},
}
POD = "serving.template.spec"
SERVER = f"{POD}.containers.0"


def version(path: str = "", value: Any = None) -> ModelVersionSpec:
    """The version with one value changed; without one when that is None."""
    content = copy.deepcopy(VERSION)
    if path:
        *around, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        target: Any = content
        for part in around:
            target = target.setdefault(part, {}) if isinstance(target, dict) else target[part]
        if value is None:
            del target[last]
        else:
            target[last] = value
    return ModelVersionSpec.model_validate(content)


SIZED_OR_PLACED = {
    "more pods": ("serving.replicas", 4),
    "a longer deadline for pods": ("serving.progressDeadline", "30m"),
    "another bucket": ("artifact.uri", "s3://prod-models/credit/v8"),
    "encrypted with another key": ("artifact.encryption", {"method": "SSE-KMS", "key": "prod"}),
    "larger pods": (f"{SERVER}.resources", {"limits": {"memory": "8Gi"}}),
    "another registry": (f"{SERVER}.image", IMAGE.replace("registry", "mirror")),
    "another pull policy": (f"{SERVER}.imagePullPolicy", "Always"),
    "other nodes": (f"{POD}.nodeSelector", {"pool": "gpu"}),
    "another service account": (f"{POD}.serviceAccountName", "models-prod"),
    "another name of the installation": (
        "serving.template.metadata.labels",
        {"mesh": "on", "app.kubernetes.io/instance": "credit-prod", "helm.sh/chart": "credit-1.2.0"},
    ),
    "annotations that are none": ("serving.template.metadata.annotations", {}),
    "a deprecation": ("deprecation", {"since": "2026-12-01"}),
}


@pytest.mark.parametrize(("path", "value"), SIZED_OR_PLACED.values(), ids=SIZED_OR_PLACED.keys())
def test_a_build_may_be_sized_and_placed_otherwise(path: str, value: Any) -> None:
    assert differences(version(), version(path, value)) == ()


def test_pods_that_scale_by_themselves_are_the_same_build() -> None:
    scaled = copy.deepcopy(VERSION)
    scaled["serving"] = {"autoscaling": {"min": 2, "max": 6}, "template": VERSION["serving"]["template"]}
    assert differences(version(), ModelVersionSpec.model_validate(scaled)) == ()


ANOTHER_BUILD = {
    "another artifact": ("artifact.digest", "sha256:" + "b" * 64, "spec.artifact.digest"),
    "no artifact": ("artifact", None, "spec.artifact"),
    "another image": (f"{SERVER}.image", IMAGE[:-1] + "0", "spec.serving.template.spec.containers[server].image"),
    "another image beside it": (f"{POD}.containers.1.image", IMAGE, "spec.serving.template.spec.containers[proxy].image"),
    "another threshold": (
        f"{SERVER}.env",
        [{"name": "THRESHOLD", "value": "0.9"}],
        "spec.serving.template.spec.containers[server].env[THRESHOLD].value",
    ),
    "other arguments": (f"{SERVER}.args", ["--fast"], "spec.serving.template.spec.containers[server].args"),
    "a label by which a proxy is put in front": ("serving.template.metadata.labels.mesh", "off", "spec.serving.template.metadata.labels.mesh"),
    "an annotation by which variables are put in": (
        "serving.template.metadata.annotations",
        {"inject": "threshold"},
        "spec.serving.template.metadata.annotations",
    ),
    "no labels": ("serving.template.metadata", None, "spec.serving.template.metadata.labels"),
    "one container more": (f"{POD}.containers", [{"name": "server", "image": IMAGE}], "spec.serving.template.spec.containers"),
    "another baseline": ("baseline.features.0.counts", [2, 1], "spec.baseline.features[income].counts"),
    "other builders": ("builtBy", ["mallory@example.com"], "spec.builtBy"),
    "a card of its own": ("modelCard", {"uri": "https://cards.example.com"}, "spec.modelCard"),
}  # fmt: skip


@pytest.mark.parametrize(("path", "value", "field"), ANOTHER_BUILD.values(), ids=ANOTHER_BUILD.keys())
def test_another_build_is_told_by_the_field_that_differs(path: str, value: Any, field: str) -> None:
    assert differences(version(), version(path, value)) == (f"{field} differs",)


def test_a_tag_proves_nothing_where_anything_differs() -> None:
    tagged = "registry.example.com/credit:8"
    small, large = version(f"{SERVER}.image", tagged), version(f"{SERVER}.image", tagged)
    assert differences(small, large) == ()
    content = large.model_dump(by_alias=True, exclude_unset=True)
    content["serving"]["replicas"] = 4
    larger = ModelVersionSpec.model_validate(content)
    assert version_digest(small) != version_digest(larger)
    assert differences(small, larger) == (f"image {tagged} is not pinned by its digest",)
    assert unpinned_images(small) == (tagged,)


def test_a_version_that_is_served_elsewhere_is_compared_too() -> None:
    plain = ModelVersionSpec.model_validate({"model": "credit", "version": "v8", "license": "MIT"})
    other = ModelVersionSpec.model_validate({"model": "credit", "version": "v8", "license": "Apache-2.0"})
    assert differences(plain, other) == ("spec.license differs",)
    assert unpinned_images(plain) == ()
