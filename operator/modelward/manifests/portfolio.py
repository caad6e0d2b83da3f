"""The objects of a set of files, by kind and name: what a cluster would hold once they are applied."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from modelward.api.lifecycle_policy import LifecyclePolicy
from modelward.api.model import Model
from modelward.api.model_evaluation import ModelEvaluation
from modelward.api.model_version import ModelVersion
from modelward.api.types import ApiModel
from modelward.manifests import structure
from modelward.manifests.documents import Document
from modelward.manifests.finding import Finding, Rule

NAMESPACE_NAME = "kubernetes.io/metadata.name"
"""The label that Kubernetes itself puts on every namespace."""

Key = tuple[str, str]
"""Namespace and name."""

Kind = TypeVar("Kind", bound=ApiModel)


@dataclass(frozen=True)
class Declared(Generic[Kind]):
    """An object and the document that declares it."""

    document: Document
    value: Kind


@dataclass(frozen=True)
class Portfolio:
    """What files declare. An object that the API server would refuse is in `refused` alone."""

    models: Mapping[Key, Declared[Model]]
    versions: Mapping[Key, Declared[ModelVersion]]
    policies: tuple[Declared[LifecyclePolicy], ...]
    evaluations: tuple[Declared[ModelEvaluation], ...]
    refused: Mapping[tuple[str, str, str], str]  # by kind, namespace and name: what is wrong first
    config_maps: Mapping[Key, dict[str, Any]]
    routes: tuple[Document, ...]
    namespace_labels: Mapping[str, Mapping[str, str]]

    def labels_of(self, namespace: str) -> Mapping[str, str]:
        """The labels of a namespace, as far as the files tell."""
        return {NAMESPACE_NAME: namespace, **self.namespace_labels.get(namespace, {})}

    def versions_of(self, key: Key) -> dict[str, Declared[ModelVersion]]:
        """The versions of a Model by their names."""
        namespace, model = key
        return {
            declared.value.spec.version: declared
            for (space, _), declared in self.versions.items()
            if space == namespace and declared.value.spec.model == model
        }


def gathered(documents: Sequence[Document], namespace: str) -> tuple[Portfolio, tuple[Finding, ...]]:
    """Sort documents by kind, and say what is wrong with each by itself.

    namespace: the one of objects that name none.
    """
    findings: list[Finding] = []
    refused: dict[tuple[str, str, str], str] = {}
    seen: dict[tuple[str, str, str], Document] = {}
    read: dict[type[ApiModel], dict[Key, Declared[Any]]] = {}
    for document in (each for each in documents if structure.is_of_the_group(each)):
        value, wrong = structure.judge(document)
        findings += wrong
        where = _namespace(document.content) or namespace
        identity = (document.kind, where, document.name)
        if document.name and (first := seen.setdefault(identity, document)) is not document:
            findings.append(_declared_twice(document, first))
        elif value is None:
            refused[identity] = f"{wrong[0].field}: {wrong[0].message}"
        else:
            kind = type(value)
            read.setdefault(kind, {})[where, document.name] = Declared(document, _within(value, where))
    others = [each for each in documents if not structure.is_of_the_group(each)]
    portfolio = Portfolio(
        models=read.get(Model, {}),
        versions=read.get(ModelVersion, {}),
        policies=tuple(read.get(LifecyclePolicy, {}).values()),
        evaluations=tuple(read.get(ModelEvaluation, {}).values()),
        refused=refused,
        config_maps={
            (_namespace(each.content) or namespace, each.name): each.content for each in _of_kind(others, "ConfigMap")
        },
        routes=tuple(_of_kind(others, "HTTPRoute")),
        namespace_labels={each.name: _labels(each) for each in _of_kind(others, "Namespace")},
    )
    return portfolio, tuple(findings)


def _of_kind(documents: Iterable[Document], kind: str) -> list[Document]:
    return [each for each in documents if each.kind == kind and isinstance(each.content.get("metadata"), dict)]


def _namespace(content: Mapping[str, Any]) -> str:
    metadata = content.get("metadata")
    return str(metadata.get("namespace") or "") if isinstance(metadata, dict) else ""


def _labels(document: Document) -> Mapping[str, str]:
    labels = document.content["metadata"].get("labels")
    return {str(key): str(value) for key, value in labels.items()} if isinstance(labels, dict) else {}


def _within(value: ApiModel, namespace: str) -> ApiModel:
    """The object as it would be in the cluster, in a namespace."""
    metadata = value.metadata.model_copy(update={"namespace": namespace})  # type: ignore[attr-defined]
    return value.model_copy(update={"metadata": metadata})


def _declared_twice(document: Document, first: Document) -> Finding:
    return Finding(
        document.place(("metadata", "name")),
        "metadata.name",
        f"{document.kind} {document.name} is declared at {first.place(('metadata', 'name'))} already: remove one of them; the folders"
        " of several environments are looked at one by one",
        Rule.DUPLICATE,
    )
