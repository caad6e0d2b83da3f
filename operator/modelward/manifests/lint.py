"""All that can be said of manifests before they are merged, in the words that the API server and the operator would use.

Each Model is looked at as the operator would look at it on the day when it is first applied: a Snapshot is made of the
files, and the operator's own checks are asked.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from modelward.api import reasons
from modelward.api.digests import version_digest
from modelward.api.lifecycle_policy import LifecyclePolicy, unsupported
from modelward.api.model import Model
from modelward.api.model_version import Baseline, ModelVersion
from modelward.api.status import ModelStatus, VersionReference
from modelward.governance import requirements
from modelward.governance.trials import EVALUATION_PREFIX
from modelward.lifecycle import challengers
from modelward.lifecycle.baselines import baseline_in
from modelward.lifecycle.policies import in_force
from modelward.lifecycle.snapshot import Policy, Problem, Snapshot, VersionView
from modelward.lifecycle.validity import CHECKS
from modelward.manifests.documents import Document, Read, ValuePath
from modelward.manifests.finding import Finding, Rule, Severity
from modelward.manifests.portfolio import Declared, Key, Portfolio, gathered
from modelward.traffic import gateway
from modelward.traffic.names import child_name


@dataclass(frozen=True)
class Looked:
    """What was looked at, and what was found."""

    documents: int  # of modelward's kinds
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity is Severity.ERROR)


def lint(read: Read, policies: Sequence[LifecyclePolicy], namespace: str, now: datetime) -> Looked:
    """Judge what was read.

    policies: those of elsewhere that apply beside the ones in the files.
    namespace: the one of objects that name none.
    """
    portfolio, findings = gathered(read.documents, namespace)
    declared = {each.value.metadata.name for each in portfolio.policies}
    offered = [each.value for each in portfolio.policies]
    offered += [each for each in policies if each.metadata.name not in declared]
    found = [*read.findings, *findings, *_same_twice(portfolio), *_of_evaluations(portfolio)]
    found += [finding for each in portfolio.policies for finding in _not_implemented(each)]
    found += [finding for each in portfolio.policies for finding in _believes_anybody(each)]
    for key in portfolio.models:
        found += _of_model(portfolio, key, offered, now)
    if portfolio.models and not offered:
        found.append(_nothing_to_hold_against(portfolio))
    documents = sum(each.api_version.startswith("modelward.dev/") for each in read.documents)
    return Looked(documents, tuple(sorted(dict.fromkeys(found))))


def snapshot_of(portfolio: Portfolio, key: Key, policies: Sequence[LifecyclePolicy], now: datetime) -> Snapshot:
    """A Model as the operator would see it once the files are applied to an empty cluster."""
    namespace, name = key
    model = portfolio.models[key].value
    chosen = in_force(policies, model, portfolio.labels_of(namespace))
    prefix = f"{name}-"
    return Snapshot(
        now=now,
        model=model,
        status=ModelStatus(),
        versions={
            version: _view(portfolio, namespace, declared.value)
            for version, declared in portfolio.versions_of(key).items()
        },
        unreadable={
            refused.removeprefix(prefix): why
            for (kind, space, refused), why in portfolio.refused.items()
            if kind == "ModelVersion" and space == namespace and refused.startswith(prefix)
        },
        policy=chosen if isinstance(chosen, Policy) else None,
        policy_problem=chosen if isinstance(chosen, Problem) else None,
    )


def _of_model(portfolio: Portfolio, key: Key, policies: Sequence[LifecyclePolicy], now: datetime) -> Iterator[Finding]:
    declared = portfolio.models[key]
    s = snapshot_of(portfolio, key, policies, now)
    for check in CHECKS:
        problem = check(s)
        if problem is None or problem.reason == reasons.VERSION_INVALID:
            continue  # what is wrong with a version was said where it is declared
        if problem.reason == reasons.POLICY_MISSING and not policies:
            continue
        if problem.reason == reasons.VERSION_NOT_FOUND and s.requested in s.unreadable:
            continue
        yield _placed(portfolio, key, declared, s, problem)
    yield from _challengers(declared.document, s, bool(policies))
    yield from _register(portfolio, key, s)
    yield from _gates_not_implemented(declared)


def _placed(portfolio: Portfolio, key: Key, declared: Declared[Model], s: Snapshot, problem: Problem) -> Finding:
    """A problem of SpecValid, at the line that causes it."""
    version = portfolio.versions_of(key).get(s.requested or "")
    if problem.reason == reasons.BASELINE_MISSING and version is not None:
        severity = Severity.WARNING if _is_elsewhere(portfolio, key, version.value) else Severity.ERROR
        path = ("spec", "baseline")
        message = f"{problem.message}; it is not among these files" if severity is Severity.WARNING else problem.message
        return Finding(version.document.place(path), "spec.baseline", message, Rule.REFERENCE, severity)
    field, rule = _FIELDS.get(problem.reason, ("spec", Rule.POLICY))
    named = re.search(r"spec\.gates\[([^\]]+)\]", problem.message)
    if named:
        field = named[0]
    return Finding(declared.document.place(_located(declared.document, field)), field, problem.message, rule)


_FIELDS = {
    reasons.VERSION_NOT_FOUND: ("spec.production.version", Rule.REFERENCE),
    reasons.VERSION_NOT_SERVABLE: ("spec.production.version", Rule.REFERENCE),
    reasons.POLICY_MISSING: ("spec.riskTier", Rule.POLICY),
    reasons.TIER_BELOW_FLOOR: ("spec.riskTier", Rule.POLICY),
    reasons.ROUTE_REQUIRED: ("spec.serving", Rule.POLICY),
}


def _is_elsewhere(portfolio: Portfolio, key: Key, version: ModelVersion) -> bool:
    """Is the baseline in a ConfigMap that the files do not have? Something else may make it."""
    baseline = version.spec.baseline
    return (
        baseline is not None
        and baseline.config_map is not None
        and (key[0], baseline.config_map) not in portfolio.config_maps
    )


def _view(portfolio: Portfolio, namespace: str, version: ModelVersion) -> VersionView:
    spec = version.spec
    view = VersionView(spec.version, spec, version_digest(spec), live=True, baseline=spec.baseline)
    if spec.baseline is None or spec.baseline.config_map is None:
        return view
    found = baseline_in(spec.baseline, portfolio.config_maps.get((namespace, spec.baseline.config_map)))
    if isinstance(found, Baseline):
        return VersionView(spec.version, spec, view.digest, live=True, baseline=found)
    where = f"ModelVersion {version.metadata.name}: spec.baseline.configMap"
    return VersionView(spec.version, spec, view.digest, live=True, baseline_problem=f"{where}: {found}")


def _challengers(document: Document, s: Snapshot, policies_known: bool) -> Iterator[Finding]:
    """Why a challenger would not be shadowed once the requested version serves."""
    serving = s.versions.get(s.requested or "")
    reference = VersionReference(version=serving.version, digest=serving.digest, since=s.now) if serving else None
    status = s.status.model_copy(update={"production": reference})
    for index, name in enumerate(s.model.spec.challengers):
        why = challengers.why_not(s, status, name, None)
        known = name in s.versions
        cannot_be_told = known and (reference is None or (s.policy is None and not policies_known))
        if why is None or name == s.requested or name in s.unreadable or cannot_be_told:
            continue
        remedy = "correct it, or take it out of spec.challengers" if known else "create it, or name one that exists"
        field = f"spec.challengers[{index}]"
        place = document.place(("spec", "challengers", index))
        yield Finding(place, field, f"{name} would not be shadowed: {why}: {remedy}", Rule.REFERENCE)


def _register(portfolio: Portfolio, key: Key, s: Snapshot) -> Iterator[Finding]:
    """What the policy asks for before a version reaches production, and what is not there."""
    if s.policy is None or s.requested is None:
        return
    declared = portfolio.versions_of(key).get(s.requested)
    of_model = requirements.missing(s.model, None, s.policy.spec)
    for missing in requirements.missing(s.model, declared.value.spec if declared else None, s.policy.spec):
        document = portfolio.models[key].document if missing in of_model or declared is None else declared.document
        yield Finding(document.place(_located(document, missing.field)), missing.field, missing.sentence, Rule.REGISTER)


def _same_twice(portfolio: Portfolio) -> Iterator[Finding]:
    """Two Models must not claim one register number, nor one host and path."""
    before: list[Declared[Model]] = []
    for declared in portfolio.models.values():
        for other in before:
            yield from _clash(declared, other)
        before.append(declared)
        yield from _claimed_by_routes(portfolio, declared)


def _clash(declared: Declared[Model], other: Declared[Model]) -> Iterator[Finding]:
    model, document = declared.value, declared.document
    theirs = f"{_name(other.value)} ({other.document.place()})"
    if model.spec.model_id and model.spec.model_id == other.value.spec.model_id:
        yield Finding(
            document.place(("spec", "modelID")),
            "spec.modelID",
            f"spec.modelID {model.spec.model_id!r} belongs to Model {theirs}: give this one its own",
            Rule.DUPLICATE,
        )
    route = model.spec.serving.route if model.spec.serving else None
    metadata = {"namespace": other.value.metadata.namespace, "name": other.value.metadata.name}
    claim = {"metadata": metadata, "spec": other.document.content["spec"]}
    if route and (taken := gateway.claimed_by(model, route, claim)):
        yield _route_taken(document, taken, f"Model {theirs}")


def _claimed_by_routes(portfolio: Portfolio, declared: Declared[Model]) -> Iterator[Finding]:
    route = declared.value.spec.serving.route if declared.value.spec.serving else None
    for other in portfolio.routes if route else ():
        if route and (taken := _overlapping(declared.value, other)):
            yield _route_taken(declared.document, taken, f"HTTPRoute {other.name} ({other.place()})")


def _overlapping(model: Model, route: Document) -> str | None:
    """A route that somebody wrote by hand may be of any shape; the API server judges it."""
    assert model.spec.serving is not None and model.spec.serving.route is not None
    try:
        return gateway.overlapping(model, model.spec.serving.route, route.content)
    except (AttributeError, TypeError):
        return None


def _route_taken(document: Document, taken: str, by: str) -> Finding:
    return Finding(
        document.place(("spec", "serving", "route")),
        "spec.serving.route",
        f"{taken} is already claimed by {by}: choose another hostname or pathPrefix",
        Rule.DUPLICATE,
    )


def _of_evaluations(portfolio: Portfolio) -> Iterator[Finding]:
    """An evaluation of other content than the version has counts for nothing."""
    for declared in portfolio.evaluations:
        spec, namespace = declared.value.spec, declared.value.metadata.namespace
        version = portfolio.versions.get((namespace, child_name(spec.model, spec.version)))
        if version is None:
            continue
        digest = version_digest(version.value.spec)
        if spec.version_digest != digest:
            yield Finding(
                declared.document.place(("spec", "versionDigest")),
                "spec.versionDigest",
                f"this is an evaluation of other content than ModelVersion {version.value.metadata.name} has, whose digest is {digest}:"
                " evaluate the version as it is",
                Rule.REFERENCE,
            )


def _not_implemented(declared: Declared[LifecyclePolicy]) -> Iterator[Finding]:
    for field in unsupported(declared.value.spec):
        yield _held(declared.document, field)


def _believes_anybody(declared: Declared[LifecyclePolicy]) -> Iterator[Finding]:
    """What an earlier environment has shown is hearsay, unless it is said whose word counts."""
    for index, gate in enumerate(declared.value.spec.stages.validation.gates):
        asked = gate.evaluation
        if asked is None or asked.evaluators or gate.advisory or not asked.name.startswith(EVALUATION_PREFIX):
            continue
        yield Finding(
            declared.document.place(("spec", "stages", "validation", "gates", index, "evaluation")),
            f"spec.stages.validation.gates[{gate.name}].evaluation",
            f"whoever may create a ModelEvaluation can say what {asked.name.removeprefix(EVALUATION_PREFIX)} has shown:"
            " name the account of your pipeline in evaluators",
            Rule.POLICY,
            Severity.WARNING,
        )


def _gates_not_implemented(declared: Declared[Model]) -> Iterator[Finding]:
    gates = declared.value.spec.gates
    for gate in gates:
        if gate.job is not None:
            yield _held(declared.document, f"spec.gates[{gate.name}].job")


def _held(document: Document, field: str) -> Finding:
    message = "this release cannot evaluate it, and a rollout with it is held: leave it out"
    return Finding(document.place(_located(document, field)), field, message, Rule.POLICY)


def _nothing_to_hold_against(portfolio: Portfolio) -> Finding:
    first = next(iter(portfolio.models.values())).document
    return Finding(
        first.place(),
        "",
        "there is no LifecyclePolicy among these files, so that no Model was held against one: add --policies FILE, or --shipped",
        Rule.NOT_JUDGED,
        Severity.WARNING,
    )


def _located(document: Document, field: str) -> ValuePath:
    """The path of a field whose lists are told by name, as far as the document has it."""
    path: list[str | int] = []
    content: Any = document.content
    for part in re.findall(r"[^.\[\]]+", field):
        step = _step(content, part)
        if step is None:
            break
        path.append(step)
        content = content[step]
    return tuple(path)


def _step(content: Any, part: str) -> str | int | None:
    if isinstance(content, dict):
        return part if part in content else None
    entries: Iterable[Any] = content if isinstance(content, list) else ()
    return next((at for at, each in enumerate(entries) if isinstance(each, dict) and each.get("name") == part), None)


def _name(model: Model) -> str:
    return f"{model.metadata.namespace}/{model.metadata.name}"
