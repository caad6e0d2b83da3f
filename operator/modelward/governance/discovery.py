"""Inference servers that nobody has registered: what looks like one, why, and which Model might stand for it.

The signs are data: labels, images, commands, variables, ports and metric names by which known servers give themselves away. The
shipped ones are in signs.yaml beside this module; a platform adds its own. One certain sign is enough, or two hints of different
sorts; the evidence is told, so that a person can see at once when it is wrong.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from typing import Annotated, Any, NamedTuple, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from modelward.api.invalid import first_error_with_value
from modelward.api.types import RegularExpression
from modelward.governance.untyped import mapping, mappings

OPT_IN_LABEL = "modelward.dev/discovery"
OPT_IN_VALUE = "enabled"
MODEL_LABEL = "modelward.dev/model"
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"  # all of the object once more
_LONGEST_TEXT = 4096
_MOST_EVIDENCE = 5
_OVER = ("Succeeded", "Failed")


Pattern = Annotated[RegularExpression, Field(min_length=1)]


class Sign(BaseModel):
    """One thing by which a server gives itself away."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    server: Annotated[str, Field(min_length=1, max_length=64)]
    label: Pattern | None = None
    annotation: Pattern | None = None
    image: Pattern | None = None
    command: Pattern | None = None
    environment: Pattern | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    hint: bool = False

    @model_validator(mode="after")
    def _one_sort(self) -> Self:
        given = [name for name in (*_SORTS, "port") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"a sign has exactly one of {', '.join(_SORTS)} and port, not {', '.join(given) or 'none'}"
            )
        return self

    @cached_property
    def sort(self) -> str:
        """Which of a workload's properties it looks at."""
        return next(name for name in (*_SORTS, "port") if getattr(self, name) is not None)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(str(getattr(self, self.sort)))

    def seen_in(self, workload: "Workload") -> str | None:
        """What gives it away, as part of a sentence."""
        if self.port is not None:
            return f"port {self.port}" if self.port in workload.ports else None
        texts: Sequence[str] = getattr(workload, f"{self.sort}s")
        found = next(((text, match) for text in texts if (match := self._pattern.search(text[:_LONGEST_TEXT]))), None)
        return None if found is None else f"{self.sort} {_telling(self.sort, *found)[:128]}"


def _telling(sort: str, text: str, match: re.Match[str]) -> str:
    """As much as gives the server away: an argument or the value of an annotation may be a secret, and events are read by many."""
    if sort == "command":
        return match[0]
    return text.partition("=")[0] if sort == "annotation" else text


_SORTS = ("label", "annotation", "image", "command", "environment")
Signs = tuple[Sign, ...]


class SignsInvalid(Exception):
    """A file of signs cannot be used; the message names the file, the entry and the field."""


class WorkloadName(NamedTuple):
    """A workload, across namespaces and kinds."""

    namespace: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True)
class Workload:
    """Something that runs containers, as far as signs look at it."""

    name: WorkloadName
    api_version: str
    uid: str
    model: str  # what it says of itself in the operator's label
    controller: tuple[str, str] | None  # kind and name of what it was made by
    labels: tuple[str, ...]
    annotations: tuple[str, ...]
    images: tuple[str, ...]
    commands: tuple[str, ...]
    environments: tuple[str, ...]
    ports: frozenset[int]

    def as_object(self) -> dict[str, Any]:
        """As much of the object as an event about it needs."""
        metadata = {"namespace": self.name.namespace, "name": self.name.name, "uid": self.uid}
        return {"apiVersion": self.api_version, "kind": self.name.kind, "metadata": metadata}


@dataclass(frozen=True)
class Register:
    """What the Models know of."""

    models: frozenset[tuple[str, str]]  # namespace and name
    workloads: frozenset[WorkloadName]

    def has(self, workload: Workload) -> bool:
        """Does a Model stand for it: by the operator's label, by name, or by the name of what made it?"""
        namespace, kind, name = workload.name
        if (namespace, workload.model) in self.models:
            return True
        made_by = [WorkloadName(namespace, *workload.controller)] if workload.controller else []
        return any(each in self.workloads for each in (WorkloadName(namespace, kind, name), *made_by))


@dataclass(frozen=True)
class Unregistered:
    """A workload that looks like an inference server, and no Model stands for it."""

    namespace: str
    kind: str
    name: str
    server: str
    evidence: tuple[str, ...]
    images: tuple[str, ...]
    made_by: str
    workload: Workload

    @property
    def sentence(self) -> str:
        """For the event, and for people."""
        return (
            f"{self.kind} {self.namespace}/{self.name} looks like an inference server ({self.server}: {', '.join(self.evidence)}), and"
            " no Model stands for it: register one, and name this workload in its spec.workloads."
        )


def discover(workloads: Iterable[Workload], register: Register, signs: Signs) -> tuple[Unregistered, ...]:
    """Those that look like an inference server and are not registered, by namespace, kind and name."""
    found = [_examined(workload, signs) for workload in workloads if not register.has(workload)]
    return tuple(sorted((each for each in found if each), key=lambda each: (each.namespace, each.kind, each.name)))


def register_of(models: Iterable[Mapping[str, Any]]) -> Register:
    """What Models, as the API gives them, stand for. Reads nothing else of them, so that a bad field elsewhere does no harm."""
    names: set[tuple[str, str]] = set()
    workloads: set[WorkloadName] = set()
    for model in models:
        metadata = mapping(model.get("metadata"))
        namespace = str(metadata.get("namespace", ""))
        names.add((namespace, str(metadata.get("name", ""))))
        for each in mappings(mapping(model.get("spec")).get("workloads")):
            workloads.add(WorkloadName(namespace, str(each.get("kind", "")), str(each.get("name", ""))))
    return Register(frozenset(names), frozenset(workloads))


def workloads_of(objects: Sequence[Mapping[str, Any]]) -> tuple[Workload, ...]:
    """Deployments, StatefulSets, DaemonSets and Pods as workloads: a pod counts for what made it, and not beside that.

    Pods of a kind that was not listed (a ReplicaSet of its own, a Job, a RayCluster) are one workload of that kind.
    """
    listed = [each for each in objects if each.get("kind") != "Pod"]
    pods = [each for each in objects if each.get("kind") == "Pod"]
    found = {each.name: each for each in (_workload(obj) for obj in listed)}
    for pod in pods:
        if mapping(pod.get("status")).get("phase") in _OVER:
            continue
        workload = _workload(pod)
        if not any(name in found for name in _makers(workload, pod)):
            found[workload.name] = workload
    return tuple(found.values())


@lru_cache(maxsize=1)
def shipped_signs() -> Signs:
    """The signs that come with this package."""
    return parse_signs("signs.yaml", resources.files("modelward.governance").joinpath("signs.yaml").read_text("utf-8"))


def parse_signs(name: str, text: str) -> Signs:
    """The signs of one file.

    Raises:
        SignsInvalid: not YAML, or a wrong field.
    """
    try:
        return _SIGNS.validate_python(yaml.safe_load(text) or [])
    except yaml.YAMLError as error:
        raise SignsInvalid(f"{name}: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        raise SignsInvalid(f"{name}: {first_error_with_value(error, 'the file')}") from error


_SIGNS: TypeAdapter[Signs] = TypeAdapter(Annotated[Signs, Field(max_length=1000)])


def _examined(workload: Workload, signs: Signs) -> Unregistered | None:
    seen = [(sign, evidence) for sign in signs if (evidence := sign.seen_in(workload))]
    certain = [each for each in seen if not each[0].hint]
    hints = {sign.sort for sign, _ in seen if sign.hint}
    if not certain and len(hints) < 2:
        return None
    told = certain or seen
    return Unregistered(
        namespace=workload.name.namespace,
        kind=workload.name.kind,
        name=workload.name.name,
        server=told[0][0].server,
        evidence=tuple(dict.fromkeys(evidence for _, evidence in told))[:_MOST_EVIDENCE],
        images=workload.images,
        made_by="/".join(workload.controller) if workload.controller else "",
        workload=workload,
    )


def _workload(obj: Mapping[str, Any]) -> Workload:
    metadata = mapping(obj.get("metadata"))
    spec = mapping(obj.get("spec"))
    is_pod = obj.get("kind") == "Pod"
    template = {"metadata": metadata, "spec": spec} if is_pod else mapping(spec.get("template"))
    of_pod, pod = mapping(template.get("metadata")), mapping(template.get("spec"))
    containers = mappings(pod.get("containers"))
    labels = {**mapping(metadata.get("labels")), **mapping(of_pod.get("labels"))}
    annotations = {**mapping(metadata.get("annotations")), **mapping(of_pod.get("annotations"))}
    api_version, uid = str(obj.get("apiVersion", "v1")), str(metadata.get("uid", ""))
    name = WorkloadName(str(metadata.get("namespace", "")), str(obj.get("kind", "")), str(metadata.get("name", "")))
    owner = _controller(metadata)
    if is_pod and owner and owner.get("kind") != "Node":  # a static pod is made by no object
        api_version, uid = str(owner.get("apiVersion", "")), str(owner.get("uid", ""))
        name, owner = WorkloadName(name.namespace, str(owner.get("kind", "")), str(owner.get("name", ""))), None
    return Workload(
        name=name,
        api_version=api_version,
        uid=uid,
        model=str(labels.get(MODEL_LABEL, "")),
        controller=(str(owner.get("kind", "")), str(owner.get("name", ""))) if owner else None,
        labels=tuple(f"{key}={value}" for key, value in sorted(labels.items())),
        annotations=tuple(f"{key}={value}" for key, value in sorted(annotations.items()) if key != _APPLIED),
        images=tuple(str(each["image"]) for each in containers if each.get("image")),
        commands=tuple(" ".join(_texts(each.get("command")) + _texts(each.get("args"))) for each in containers),
        environments=tuple(str(each.get("name", "")) for every in containers for each in mappings(every.get("env"))),
        ports=frozenset(
            port
            for each in containers
            for entry in mappings(each.get("ports"))
            if isinstance(port := entry.get("containerPort"), int)
        ),
    )


def _makers(workload: Workload, pod: Mapping[str, Any]) -> Iterator[WorkloadName]:
    """What a pod may have been made by: its controller, and the Deployment behind a ReplicaSet."""
    yield workload.name
    if workload.name.kind == "ReplicaSet":
        hashed = mapping(mapping(pod.get("metadata")).get("labels")).get("pod-template-hash", "")
        yield workload.name._replace(kind="Deployment", name=workload.name.name.removesuffix(f"-{hashed}"))


def _controller(metadata: Mapping[str, Any]) -> Mapping[str, Any] | None:
    owners = mappings(metadata.get("ownerReferences"))
    return next((owner for owner in owners if owner.get("controller")), None)


def _texts(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list | tuple) else []
