"""Names and labels of what the operator creates. Deterministic, so that a write can be repeated."""

from typing import Any

from modelward.api.model import Model
from modelward.api.types import API_VERSION

MODEL_LABEL = "modelward.dev/model"
VERSION_LABEL = "modelward.dev/version"
MANAGED_BY = {"app.kubernetes.io/managed-by": "modelward"}


def child_name(model: str, version: str) -> str:
    """Deployment, Service and kept spec of one version."""
    return f"{model}-{version}"


def version_of(model: str, child: str) -> str:
    """The version that a child's name speaks of."""
    return child.removeprefix(f"{model}-")


def labels_of(model: Model, version: str | None = None) -> dict[str, str]:
    """Labels by which a Model's children are found."""
    labels = {MODEL_LABEL: model.metadata.name, **MANAGED_BY}
    return {**labels, VERSION_LABEL: version} if version else labels


def owner_reference(model: Model) -> dict[str, Any]:
    """Children belong to the Model, so that deleting a ModelVersion never takes down what serves."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Model",
        "name": model.metadata.name,
        "uid": model.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def metadata_of(model: Model, name: str, version: str | None = None) -> dict[str, Any]:
    """Metadata of a child."""
    return {
        "name": name,
        "namespace": model.metadata.namespace,
        "labels": labels_of(model, version),
        "ownerReferences": [owner_reference(model)],
    }
