"""Who decides: a policy for every Model, people who may approve, and a map that tells them from the builders."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Any

from pydantic import ValidationError

from modelward.api.lifecycle_policy import LifecyclePolicy, LifecyclePolicySpec
from modelward.api.model import Model
from modelward.api.model_version import ModelVersion
from modelward.api.types import GROUP
from modelward.diagnosis.facts import Access, Installation, Object
from modelward.diagnosis.findings import Said, names, ok, problem, warning
from modelward.governance.identities import builders_of, person_of, unknown
from modelward.lifecycle.policies import applicable
from modelward.traffic.names import child_name

Subject = tuple[str, str]  # kind and name


@dataclass(frozen=True)
class Governed:
    """A Model and the policy that applies to it."""

    model: Model
    policy: LifecyclePolicy | None

    @property
    def where(self) -> str:
        return f"{self.model.metadata.namespace}/{self.model.metadata.name}"


def policies(found: Installation) -> Iterator[Said]:
    known, unreadable = _policies(found)
    for name in unreadable:
        yield problem(
            f"LifecyclePolicy {name} cannot be read by this release, and applies to no Model",
            f"kubectl get lifecyclepolicy {name} -o yaml",
        )
    without = [each for each in governed(found) if each.policy is None]
    tiers = sorted({str(each.model.spec.risk_tier) for each in without})
    if without:
        yield problem(
            f"no LifecyclePolicy applies to {names([each.where for each in without])} (tier {names(tiers)}; there are:"
            f" {names([policy.metadata.name for policy in known]) or 'none'}): their rollouts do not begin",
            "install the policies of the chart (policies.install), or one whose spec.appliesTo names tier and namespace",
        )
    elif not known and not unreadable:
        yield warning("there is no LifecyclePolicy: no Model could be rolled out", _install_policies(found))
    elif not unreadable:
        yield ok(f"{names([policy.metadata.name for policy in known])}; one applies to each Model")


def approvers(found: Installation) -> Iterator[Said]:
    """Whoever has the right by a wildcard is refused by the admission policies: a role has to be given deliberately."""
    access, asked = found.access.value, _asked(found)
    release = found.operators.value[0].name if found.operators.value else "modelward"
    said = [each for place, policy in asked.items() if (each := _lacking(access, *place, policy, release))]
    well = (
        f"somebody may in each of {len(asked)} roles and namespaces"
        if asked
        else "no policy of a Model asks for approvals"
    )
    yield from said or [ok(well)]


def _lacking(access: Access, namespace: str, role: str, policy: str, release: str) -> Said | None:
    """Why nobody can approve, where nobody can: the role alone does not let anybody create a ModelApproval."""
    holding = holders(access, role, namespace)
    command = f"kubectl create rolebinding {role}-approvers -n {namespace} --clusterrole={release}-approver-{role}"
    if not holding:
        return problem(
            f"nobody may approve in the role {role!r} in namespace {namespace}, as policy {policy} asks: rollouts there wait for ever",
            f"{command} --user=NAME",
        )
    if holding & _bound(access, namespace, _creates_approvals):
        return None
    kind, name = min(holding)
    return problem(
        f"{names([who for _, who in sorted(holding)])} may approve in the role {role!r} in namespace {namespace}, and may not create"
        " ModelApprovals there",
        f"{command} --{kind.lower()}={quote(name)}",
    )


def identities(found: Installation) -> Iterator[Said]:
    said = [*_empty_maps(found), *_unknown_builders(found), *_unknown_approvers(found)]
    yield from said or [ok("everybody who builds or approves is known, as far as names can be read")]


def governed(found: Installation) -> Iterator[Governed]:
    """Every Model that can be read, with its policy."""
    known, _ = _policies(found)
    for raw in found.models.value:
        try:
            model = Model.model_validate(raw)
        except ValidationError:
            continue  # its condition SpecValid says why
        namespace = found.namespaces.value.get(str(model.metadata.namespace)) or {}
        labels = (namespace.get("metadata") or {}).get("labels") or {}
        yield Governed(model, applicable(known, model.spec, labels))


def versions_asked(found: Installation) -> tuple[tuple[str, str], ...]:
    """Namespace and name of each ModelVersion that is requested under a policy that asks for approvals."""
    return tuple(
        (str(each.model.metadata.namespace), child_name(each.model.metadata.name, each.model.spec.production.version))
        for each in governed(found)
        if each.policy is not None and each.model.spec.production.version and roles_of(each.policy.spec)
    )


def _policies(found: Installation) -> tuple[list[LifecyclePolicy], list[str]]:
    read, unreadable = [], []
    for raw in found.policies.value:
        try:
            read.append(LifecyclePolicy.model_validate(raw))
        except ValidationError:
            unreadable.append(str(raw["metadata"]["name"]))
    return read, unreadable


def roles_of(policy: LifecyclePolicySpec) -> tuple[str, ...]:
    """The roles in which a rollout under the policy needs people."""
    stages = policy.stages
    demanded = [
        *stages.validation.approvals,
        *(stages.shadow.approvals if stages.shadow else ()),
        *(stages.canary.approvals if stages.canary else ()),
    ]
    return tuple(dict.fromkeys(each.role for each in demanded))


def _asked(found: Installation) -> Mapping[tuple[str, str], str]:
    """Namespace and role, where a Model's policy asks for it, and the policy's name."""
    return {
        (str(each.model.metadata.namespace), role): each.policy.metadata.name
        for each in governed(found)
        if each.policy is not None
        for role in roles_of(each.policy.spec)
    }


def _empty_maps(found: Installation) -> Iterator[Said]:
    """A policy that asks for approvals and knows nobody counts none."""
    blind = {
        each.policy.metadata.name
        for each in governed(found)
        if each.policy is not None and roles_of(each.policy.spec) and _knows_nobody(each.policy.spec)
    }
    if blind:
        yield problem(
            f"policy {names(sorted(blind))} asks for approvals, and its identityMap knows nobody: none counts, since nobody can be told"
            " from the builders",
            "list the people in policies.spec.identityMap of the chart, or in spec.identityMap of the policy",
        )


def _knows_nobody(spec: LifecyclePolicySpec) -> bool:
    return not spec.identity_map.people and not spec.identity_map.match_by_name


def _unknown_builders(found: Installation) -> Iterator[Said]:
    by_model = {each.where: each.policy for each in governed(found)}
    for raw in found.versions.value:
        try:
            version = ModelVersion.model_validate(raw)
        except ValidationError:
            continue  # the Model's condition SpecValid says why
        policy = by_model.get(f"{version.metadata.namespace}/{version.spec.model}")
        if policy is None or not roles_of(policy.spec) or _knows_nobody(policy.spec):
            continue
        name = f"ModelVersion {version.metadata.namespace}/{version.metadata.name}"
        builders = builders_of(version.spec)
        strangers = unknown(builders, policy.spec.identity_map)
        if not builders:
            yield problem(
                f"{name} names no builder, so that no approval of it counts",
                "a new version with spec.builtBy: a ModelVersion is immutable",
            )
        elif strangers:
            yield problem(
                f"{name} was built by {names(list(strangers))}, whom the identityMap of policy {policy.metadata.name} does not know: no"
                " approval of it counts",
                f"kubectl edit lifecyclepolicy {policy.metadata.name}   # spec.identityMap.people[].identities",
            )


def _unknown_approvers(found: Installation) -> Iterator[Said]:
    maps = {each.policy.metadata.name: each.policy.spec for each in governed(found) if each.policy is not None}
    strangers: dict[tuple[str, str], list[str]] = {}
    for (namespace, role), policy in _asked(found).items():
        if _knows_nobody(maps[policy]):
            continue
        for kind, name in sorted(holders(found.access.value, role, namespace)):
            if kind == "User" and person_of(name, maps[policy].identity_map) is None:
                strangers.setdefault((policy, role), []).append(name)
    for (policy, role), who in strangers.items():
        yield warning(
            f"{names(who)} may approve in the role {role!r}, and the identityMap of policy {policy} does not know that user name: the"
            " approval would not count",
            f"kubectl edit lifecyclepolicy {policy}   # spec.identityMap.people[].usernames",
        )


def holders(access: Access, role: str, namespace: str) -> set[Subject]:
    """Users and groups to whom a role was given deliberately in a namespace: not by a wildcard, and no machine."""
    given = _bound(access, namespace, lambda rule: _approves(rule, role))
    return given - _bound(access, namespace, lambda rule: _approves(rule, None))


def _bound(access: Access, namespace: str, fits: Callable[[Mapping[str, Any]], bool]) -> set[Subject]:
    """Who has a rule that fits in a namespace, by a binding there or in the whole cluster."""
    rules = {
        (each["kind"], _namespace(each), each["metadata"]["name"]): each.get("rules") or () for each in access.roles
    }
    found: set[Subject] = set()
    for binding in access.bindings:
        where, reference = _namespace(binding), binding["roleRef"]
        held = rules.get((reference["kind"], where if reference["kind"] == "Role" else "", reference["name"]), ())
        if where in ("", namespace) and any(fits(rule) for rule in held):
            found |= _people(binding)
    return found


def _creates_approvals(rule: Mapping[str, Any]) -> bool:
    return (
        _among(rule, "verbs", "create")
        and _among(rule, "apiGroups", GROUP)
        and _among(rule, "resources", "modelapprovals")
        and not rule.get("resourceNames")  # what is to be created has no name yet
    )


def _approves(rule: Mapping[str, Any], role: str | None) -> bool:
    """Does a rule give the verb in this role by name; or, for None, in every role?"""
    if (
        not _among(rule, "verbs", "approve")
        or not _among(rule, "apiGroups", GROUP)
        or not _among(rule, "resources", "approvalroles")
    ):
        return False
    named = rule.get("resourceNames") or ()
    return not named if role is None else role in named


def _among(rule: Mapping[str, Any], field: str, word: str) -> bool:
    listed: Sequence[str] = rule.get(field) or ()
    return word in listed or "*" in listed


def _people(binding: Object) -> set[Subject]:
    subjects: Iterable[Mapping[str, Any]] = binding.get("subjects") or ()
    return {
        (each["kind"], each["name"])
        for each in subjects
        if each["kind"] in ("User", "Group") and not (each["kind"] == "User" and each["name"].startswith("system:"))
    }


def _namespace(obj: Object) -> str:
    return str(obj["metadata"].get("namespace") or "")


def _install_policies(found: Installation) -> str:
    return found.operator.set_value("policies.install=true")
