"""Blast radius: what is reached from a data set, a base model, an image, an artifact or a Model, and who has to be told.

Versions are reached through what they were made from: data sets and context sources, base models, the environment of the
training, the images that serve, and the artifact of another version that they were tuned from. A version reaches its Model, a
Model its consumers and every Model whose `dependsOn` names it. What is reached by something that serves users now is told
apart from what is reached by versions of the past.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import ValidationError

from modelward.api.invalid import first_error
from modelward.api.model import Consumer, Model, ModelSpec
from modelward.api.model_version import ModelVersion, ModelVersionSpec
from modelward.api.status import ModelStatus, Stage

LONGEST_PATH = 64
"""Steps from the subject to the farthest Model; what lies beyond is left out, and the answer says so."""
_NEAR = 5
_SHORTEST_PREFIX = 6


class SubjectKind(StrEnum):
    """What can be asked about."""

    DATASET = "dataset"
    MODEL = "model"
    IMAGE = "image"
    BASE_MODEL = "base model"
    ARTIFACT = "artifact"


@dataclass(frozen=True)
class Subject:
    """What is asked about: a name, a digest, a reference."""

    kind: SubjectKind
    text: str


class ModelName(NamedTuple):
    """A Model, across namespaces."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class ReachedVersion:
    """A version that is reached, and what it is doing now."""

    version: str
    stage: str
    percent: int  # of users' requests, now
    serving: bool
    because: str  # the step that reaches it
    path: tuple[str, ...]


@dataclass(frozen=True)
class ReachedConsumer:
    """Somebody who relies on a Model that is reached."""

    name: str
    team: str
    contact: str


@dataclass(frozen=True)
class ReachedModel:
    """A Model that is reached: who has to be told, and whether users are affected now."""

    namespace: str
    name: str
    type: str
    tier: str
    owner: str
    contact: str
    serving: str  # the version in production
    stage: str  # of what serves, or of its candidate
    affected_now: bool  # something that is reached gives answers to users
    via: ModelName | None  # the Model that it is reached through, if it is through one
    because: str
    path: tuple[str, ...]
    versions: tuple[ReachedVersion, ...]
    consumers: tuple[ReachedConsumer, ...]


@dataclass(frozen=True)
class Impact:
    """Everything that is reached, those that affect users now first."""

    subject: Subject
    models: tuple[ReachedModel, ...]
    near: tuple[str, ...]  # what is known and like the subject, when nothing is reached
    known: int  # how many subjects of the kind are known
    unread: tuple[str, ...]  # what could not be looked at, as sentences
    truncated: bool

    @property
    def found(self) -> bool:
        return bool(self.models)


@dataclass(frozen=True)
class _Version:
    """One version as the graph knows it."""

    spec: ModelVersionSpec
    stage: str

    @property
    def model(self) -> str:
        return self.spec.model


@dataclass(frozen=True)
class _Registered:
    """One Model as the graph knows it."""

    spec: ModelSpec
    status: ModelStatus
    versions: Mapping[str, _Version]


@dataclass(frozen=True)
class Graph:
    """Models, their versions, and what leads from one to another. Make one with `graph_of`."""

    models: Mapping[ModelName, _Registered]
    dependents: Mapping[ModelName, tuple[ModelName, ...]]
    tuned_from: Mapping[str, tuple[tuple[ModelName, str], ...]]  # by digest of the base model
    unread: tuple[str, ...] = ()

    def impact(self, subject: Subject) -> Impact:
        """What is reached from a subject, through any number of steps."""
        search = _Search(self)
        text = subject.text.strip()
        known: set[str] = set()
        for name, registered in self.models.items():
            for version in (None, *registered.versions.values()):
                for candidate in _subjects(subject.kind, name, registered, version):
                    known |= candidate.names
                    if candidate.is_meant_by(text):
                        search.begin(name, version.spec.version if version else None, candidate.relation)
        reached, truncated = search.run()
        near = () if reached else _near(text, known)
        return Impact(replace(subject, text=text), reached, near, len(known), self.unread, truncated)


def graph_of(
    models: Iterable[Mapping[str, Any]], versions: Iterable[Mapping[str, Any]], kept: Iterable[Mapping[str, Any]] = ()
) -> Graph:
    """Build the graph from objects as the API gives them; what cannot be read is named in `unread`.

    kept: objects like ModelVersions, of versions whose ModelVersion may be gone.
    """
    unread: list[str] = []
    read: dict[ModelName, dict[str, _Version]] = defaultdict(dict)
    for raw in (*kept, *versions):  # a ModelVersion that is there counts
        try:
            version = ModelVersion.model_validate(_without_baseline(raw))
        except ValidationError as error:
            unread.append(
                f"ModelVersion {_where(raw)} cannot be read by this release: {first_error(error, 'all of it')}"
            )
            continue
        place = ModelName(version.metadata.namespace, version.spec.model)
        stage = str((raw.get("status") or {}).get("stage") or Stage.REGISTERED)
        read[place][version.spec.version] = _Version(version.spec, stage)
    registered: dict[ModelName, _Registered] = {}
    for raw in models:
        try:
            model = Model.model_validate(raw)
            status = ModelStatus.model_validate(raw.get("status") or {})
        except ValidationError as error:
            unread.append(f"Model {_where(raw)} cannot be read by this release: {first_error(error, 'all of it')}")
            continue
        name = ModelName(model.metadata.namespace, model.metadata.name)
        registered[name] = _Registered(model.spec, status, read.pop(name, {}))
        unread += _without_lineage(name, registered[name])
    for name, orphans in read.items():  # pipelines may write versions before the team writes the Model
        registered[name] = _Registered(ModelSpec(), ModelStatus(), orphans)
    return Graph(registered, _dependents(registered), _tuned(registered), tuple(sorted(unread)))


@dataclass(frozen=True)
class _Candidate:
    """One thing that a version or a Model was made from or is, under all its names."""

    names: frozenset[str]
    relation: str

    def is_meant_by(self, text: str) -> bool:
        return bool(text) and not self.names.isdisjoint({text, f"sha256:{text}"})


def _candidate(relation: str, *names: str | None) -> Iterator[_Candidate]:
    given = frozenset(name for name in names if name)
    if given:
        yield _Candidate(given, relation)


def _subjects(
    kind: SubjectKind, name: ModelName, registered: _Registered, version: _Version | None
) -> Iterator[_Candidate]:
    """What of a kind a version was made from; of the Model itself where the version is None."""
    if version is None:
        yield from _subjects_of_model(kind, name, registered.spec)
        return
    spec = version.spec
    if kind is SubjectKind.MODEL:
        yield from _candidate("is a version of it", name.name, str(name))
    elif kind is SubjectKind.DATASET and spec.lineage:
        for dataset in spec.lineage.datasets:
            numbered = f", version {dataset.version}" if dataset.version else ""
            yield from _candidate(
                f"made from data set {dataset.name}{numbered}", dataset.name, dataset.digest, dataset.uri
            )
        for source in spec.lineage.context:
            yield from _candidate(f"answers from {source.type} {source.name}", source.name, source.digest, source.uri)
    elif kind is SubjectKind.BASE_MODEL and spec.base_model:
        base = spec.base_model
        yield from _candidate(f"tuned from or calls {base.name}", base.name, base.digest)
    elif kind is SubjectKind.ARTIFACT and spec.artifact:
        yield from _candidate("has this artifact", spec.artifact.digest, spec.artifact.uri)
    elif kind is SubjectKind.IMAGE:
        yield from _images(spec)


def _subjects_of_model(kind: SubjectKind, name: ModelName, spec: ModelSpec) -> Iterator[_Candidate]:
    if kind is SubjectKind.MODEL:
        yield from _candidate("is the model", name.name, str(name), spec.model_id)
    elif kind is SubjectKind.DATASET:
        for dependency in spec.depends_on:
            yield from _candidate(f"relies on {dependency.external}, outside of the cluster", dependency.external)
    elif kind is SubjectKind.BASE_MODEL and spec.provider and spec.provider.model:
        bought = spec.provider
        yield from _candidate(f"is {bought.model} of {bought.name}", bought.model, f"{bought.name}/{bought.model}")


def _images(spec: ModelVersionSpec) -> Iterator[_Candidate]:
    environment = spec.lineage.environment if spec.lineage else None
    if environment:
        if environment.image:
            yield from _candidate("trained in this image", *_names_of_image(environment.image))
        yield from _candidate("trained with this lock file", environment.lock_digest)
    template = spec.serving.template if spec.serving else {}
    pod = template.get("spec") or {}
    for container in (*(pod.get("initContainers") or ()), *(pod.get("containers") or ())):
        image = container.get("image") if isinstance(container, Mapping) else None
        if isinstance(image, str) and image:
            yield from _candidate(
                f"served by this image (container {container.get('name', '')})", *_names_of_image(image)
            )


def _names_of_image(reference: str) -> tuple[str, ...]:
    """A reference as it is written, its digest, and the image without tag and digest."""
    tagged, _, digest = reference.partition("@")
    host, slash, last = tagged.rpartition("/")
    return tuple(name for name in (reference, digest, tagged, f"{host}{slash}{last.partition(':')[0]}") if name)


@dataclass(frozen=True)
class _Step:
    """How something was reached."""

    because: str
    via: ModelName | None
    path: tuple[str, ...]


@dataclass
class _Search:
    """Breadth first, so that every path is a shortest one, and twice: first along what serves users now."""

    graph: Graph
    _begun: list[tuple[ModelName, str | None, str]] = field(default_factory=list)
    _models: dict[ModelName, _Step] = field(default_factory=dict)
    _affected: set[ModelName] = field(default_factory=set)
    _versions: dict[ModelName, dict[str, _Step]] = field(default_factory=lambda: defaultdict(dict))
    _queue: deque[ModelName] = field(default_factory=deque)
    _truncated: bool = False

    def begin(self, model: ModelName, version: str | None, relation: str) -> None:
        """A Model, or one version of it, that is reached from the subject itself."""
        self._begun.append((model, version, relation))

    def run(self) -> tuple[tuple[ReachedModel, ...], bool]:
        """All that is reached, and whether something was left out because it is too far away."""
        self._spread(affected=True)
        self._spread(affected=False)
        told = [self._told(name) for name in self._models]
        ordered = sorted(told, key=lambda each: (not each.affected_now, len(each.path), each.namespace, each.name))
        return tuple(ordered), self._truncated

    def _spread(self, *, affected: bool) -> None:
        self._queue.extend(self._models)
        for model, version, relation in self._begun:
            if _gives_answers(self.graph.models[model], version) or not affected:
                self._reach(model, version, _Step(relation, None, ()), affected)
        while self._queue:
            name = self._queue.popleft()
            step = self._models[name]
            if len(step.path) >= LONGEST_PATH:
                self._truncated = True
                continue
            self._spread_from(name, affected)

    def _spread_from(self, name: ModelName, affected: bool) -> None:
        path = self._models[name].path
        for dependent in self.graph.dependents.get(name, ()):
            self._reach(dependent, None, _Step(f"relies on {name}", name, path), affected)
        for version, step in list(self._versions[name].items()):
            artifact = self.graph.models[name].versions[version].spec.artifact
            for tuned, other in self.graph.tuned_from.get((artifact and artifact.digest) or "", ()):
                if not affected or _gives_answers(self.graph.models[tuned], other):
                    self._reach(tuned, other, _Step(f"tuned from {name} {version}", name, step.path), affected)

    def _reach(self, model: ModelName, version: str | None, step: _Step, affected: bool) -> None:
        label = f"{model} {version}" if version else str(model)
        reached = replace(step, path=(*step.path, f"{label} {step.because}"))
        news = False
        if version is not None and version not in self._versions[model]:
            self._versions[model][version] = reached
            news = True  # other versions may be tuned from this one
        if model not in self._models:
            self._models[model] = reached
            news = True
            if affected:
                self._affected.add(model)
        if news:
            self._queue.append(model)

    def _told(self, name: ModelName) -> ReachedModel:
        registered, step = self.graph.models[name], self._models[name]
        spec, owner = registered.spec, registered.spec.owner
        versions = (_told_version(registered, version, how) for version, how in sorted(self._versions[name].items()))
        return ReachedModel(
            namespace=name.namespace,
            name=name.name,
            type=spec.type,
            tier=spec.risk_tier.value,
            owner=owner.team if owner else "",
            contact=(owner.contact or "") if owner else "",
            serving=_serving(registered),
            stage=registered.status.stage or ("Served elsewhere" if spec.serving is None else "Registered"),
            affected_now=name in self._affected,
            via=step.via,
            because=step.because,
            path=step.path,
            versions=tuple(sorted(versions, key=lambda each: (not each.serving, each.version))),
            consumers=tuple(_told_consumer(each) for each in spec.consumers),
        )


def _told_version(registered: _Registered, version: str, step: _Step) -> ReachedVersion:
    return ReachedVersion(
        version=version,
        stage=_stage(registered, version),
        percent=_percent(registered, version),
        serving=_gives_answers(registered, version),
        because=step.because,
        path=step.path,
    )


def _told_consumer(consumer: Consumer) -> ReachedConsumer:
    return ReachedConsumer(consumer.name, consumer.team or "", consumer.contact or "")


def _serving(registered: _Registered) -> str:
    """The version in production; of a Model that is served elsewhere, the one that it says is."""
    if registered.status.production:
        return registered.status.production.version
    return (registered.spec.production.version or "") if registered.spec.serving is None else ""


def _percent(registered: _Registered, version: str) -> int:
    traffic = registered.status.traffic
    return sum(each.percent for each in traffic.weights if each.version == version) if traffic else 0


def _gives_answers(registered: _Registered, version: str | None) -> bool:
    """Do users get answers of this version now; of the Model at all where the version is None."""
    if version is None:
        return bool(_serving(registered))
    return version == _serving(registered) or _percent(registered, version) > 0


def _stage(registered: _Registered, version: str) -> str:
    status = registered.status
    if version == _serving(registered):
        return Stage.PRODUCTION if status.production else "Served elsewhere"
    if status.rollout and status.rollout.version == version:
        return status.rollout.stage
    if any(each.version == version for each in status.challengers):
        return "Challenger"
    if any(each.version == version for each in status.standby):
        return Stage.STANDBY
    known = registered.versions.get(version)
    return known.stage if known else ""


def _dependents(registered: Mapping[ModelName, _Registered]) -> dict[ModelName, tuple[ModelName, ...]]:
    found: dict[ModelName, list[ModelName]] = defaultdict(list)
    for name, each in registered.items():
        for dependency in each.spec.depends_on:
            if dependency.model:
                found[ModelName(dependency.namespace or name.namespace, dependency.model)].append(name)
    return {name: tuple(sorted(set(dependents))) for name, dependents in found.items()}


def _tuned(registered: Mapping[ModelName, _Registered]) -> dict[str, tuple[tuple[ModelName, str], ...]]:
    found: dict[str, list[tuple[ModelName, str]]] = defaultdict(list)
    for name, each in registered.items():
        for version in each.versions.values():
            if version.spec.base_model and version.spec.base_model.digest:
                found[version.spec.base_model.digest].append((name, version.spec.version))
    return {digest: tuple(sorted(tuned)) for digest, tuned in found.items()}


def _without_lineage(name: ModelName, registered: _Registered) -> Iterator[str]:
    """What serves and cannot be looked into: silence about it would be taken for an all-clear."""
    serving = _serving(registered)
    if not serving:
        return
    version = registered.versions.get(serving)
    if version is None:
        yield f"{name} {serving} serves, and there is no ModelVersion of it: what it was made from is in its audit records"
    elif version.spec.lineage is None and version.spec.base_model is None:
        yield f"{name} {serving} serves, and does not say what it was made from"


def _near(text: str, known: Iterable[str]) -> tuple[str, ...]:
    """Names that are like the one asked for, or a digest that begins or is contained in it."""
    listed = sorted(known)
    if not text:
        return ()
    lower = text.lower().removeprefix("sha256:")
    begun = [
        name for name in listed if len(lower) >= _SHORTEST_PREFIX and name.removeprefix("sha256:").startswith(lower)
    ]
    within = [name for name in listed if lower in name.lower() and not name.startswith("sha256:")]
    plain = {name.lower(): name for name in listed if not name.startswith("sha256:")}
    alike = [plain[name] for name in get_close_matches(text.lower(), plain, _NEAR, 0.6)]
    return tuple(dict.fromkeys([*begun, *within, *alike]))[:_NEAR]


def _without_baseline(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Distributions are most of the bytes of a version, and say nothing of where it comes from."""
    spec = raw.get("spec")
    return (
        {**raw, "spec": {key: value for key, value in spec.items() if key != "baseline"}}
        if isinstance(spec, Mapping)
        else raw
    )


def _where(raw: Mapping[str, Any]) -> str:
    metadata = raw.get("metadata") or {}
    return f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
