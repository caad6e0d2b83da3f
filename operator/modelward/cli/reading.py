"""Objects of a cluster as this release reads them: what another release wrote is told of, and hides nothing else."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from pydantic import ValidationError
from rich.console import Console

from modelward.api.invalid import first_error
from modelward.api.lifecycle_policy import LifecyclePolicy
from modelward.api.model import Model
from modelward.api.model_evaluation import ModelEvaluation
from modelward.api.model_version import ModelVersion, ModelVersionSpec
from modelward.api.resources import MODEL_VERSIONS, MODELS
from modelward.api.status import ModelStatus
from modelward.cli.cluster import Cluster, Object
from modelward.cli.failure import Failure
from modelward.cli.terminal import clean
from modelward.traffic.names import child_name

Kind = TypeVar("Kind", Model, ModelStatus, ModelVersion, ModelEvaluation, LifecyclePolicy)


class Unreadable(Failure):
    """An object that another release wrote."""


def parsed(kind: type[Kind], found: Object, named: str = "") -> Kind:
    """An object as this release reads it.

    Raises:
        Unreadable: another release wrote it.
    """
    try:
        return kind.model_validate(found)
    except ValidationError as error:
        name = named or (found.get("metadata") or {}).get("name", "")
        raise Unreadable(
            f"{kind.__name__} {name} cannot be read by this release, {first_error(error, 'all of it')}: use the operator's."
        ) from error


def model_in(raw: Object) -> tuple[Model, ModelStatus]:
    """A Model and its status.

    Raises:
        Unreadable: another release wrote it.
    """
    return parsed(Model, raw), parsed(ModelStatus, raw.get("status") or {}, named=str(raw["metadata"]["name"]))


def models_in(found: Iterable[Object]) -> Iterator[tuple[Model, ModelStatus]]:
    """Of many those that can be read; of the others, a note on standard error."""
    for raw in found:
        try:
            yield model_in(raw)
        except Unreadable as error:
            tell_unread(raw, error)


def tell_unread(raw: Object, error: Unreadable) -> None:
    """Say on standard error which object is left out, and why."""
    said = f"{raw['metadata'].get('namespace', '')}: {error.message} It is left out."
    Console(stderr=True, soft_wrap=True).print(clean(said), markup=False, highlight=False)


def read_model(cluster: Cluster, name: str) -> tuple[Model, ModelStatus]:
    """A Model and its status.

    Raises:
        Failure: there is none, or another release wrote it.
    """
    raw = cluster.get(MODELS, name)
    if raw is None:
        raise no_model(cluster, name)
    return model_in(raw)


def read_version(cluster: Cluster, model: str, version: str) -> ModelVersionSpec | None:
    """What a version of a Model says; None where it is not there.

    Raises:
        Unreadable: another release wrote it.
    """
    found = cluster.get(MODEL_VERSIONS, child_name(model, version))
    return parsed(ModelVersion, found).spec if found else None


def no_model(cluster: Cluster, name: str) -> Failure:
    """What is said of a Model that is not there, by every command that names one."""
    return Failure(
        f"there is no Model {cluster.namespace}/{name}: `kubectl get models -A` lists them; --namespace chooses another place."
    )
