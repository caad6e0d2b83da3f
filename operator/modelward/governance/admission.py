"""What only the API server can know: who is asking. Three ValidatingAdmissionPolicies make use of it.

* An approval names the person who creates it, and that person was given the role deliberately: the right to a verb on the virtual
  resource ``approvalroles/ROLE`` (there is no such kind, RBAC takes any word). Whoever holds it by a wildcard also has it on
  a role that nobody is ever given, and is refused.
* Status and audit records are written by the operator's account, whatever rights others have.
* An evaluation names the account that creates it.

They are written once, here: ``python -m modelward.governance.admission FILE`` makes the chart's template of them (``--check``
compares), and the operator compares what is in force with them, because an approval is worth no more than its admission.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from modelward.api.generated import write_or_compare
from modelward.api.types import GROUP

Object = dict[str, Any]

POLICY = "ValidatingAdmissionPolicy"
BINDING = "ValidatingAdmissionPolicyBinding"
APPROVALS = "modelward-approvals"
STATUS = "modelward-status"
EVALUATIONS = "modelward-evaluations"
NAMES = (APPROVALS, STATUS, EVALUATIONS)
SENTINEL_ROLE = "modelward-nobody"
SETTLING = timedelta(seconds=10)
"""How long after a change API servers may still go by the old policies: they read them through a cache."""

# Who empties a namespace that is being deleted; the second where controllers have no accounts of their own.
_NAMESPACE_CONTROLLERS = ("system:serviceaccount:kube-system:namespace-controller", "system:kube-controller-manager")
_GARBAGE_COLLECTOR = "system:serviceaccount:kube-system:generic-garbage-collector"
_API_VERSION = "admissionregistration.k8s.io/v1"
_REMEDY = "apply the chart again with admission.enabled"


def policies(operator: str) -> tuple[Object, ...]:
    """The policies and their bindings; `operator` is the username of the operator's account.

    Fields that the API server would fill in are written out, so that what is stored is what is written here.
    """
    return (
        _policy(
            APPROVALS,
            [_rule(["CREATE", "UPDATE", "DELETE"], ["modelapprovals"])],
            [
                *_a_person(),
                _in_ones_own_name("approver", "decides"),
                *_with_the_role(),
                _unchanged("ModelApproval"),
                _rejection_stays(),
            ],
            variables={
                "verb": _VERB,
                "byWildcard": _check(_SENTINEL),
                "approveByWildcard": _check(_SENTINEL, "'approve'"),
            },
        ),
        _binding(APPROVALS),
        _policy(
            STATUS,
            [_rule(["CREATE", "UPDATE"], ["*/status"]), _rule(["CREATE", "UPDATE", "DELETE"], ["modelauditrecords"])],
            [_by_the_operator(operator)],
        ),
        _binding(STATUS),
        _policy(
            EVALUATIONS,
            [_rule(["CREATE", "UPDATE", "DELETE"], ["modelevaluations"])],
            [_in_ones_own_name("evaluator", "evaluates"), _unchanged("ModelEvaluation"), _evaluation_stays()],
        ),
        _binding(EVALUATIONS),
    )


def key_of(obj: Mapping[str, Any]) -> str:
    """What an object is called in sentences and in the mappings below, such as ``ValidatingAdmissionPolicy modelward-status``."""
    return key(obj["kind"], obj["metadata"]["name"])


def key(kind: str, name: str) -> str:
    return f"{kind} {name}"


def problem_of(live: Mapping[str, Object | None], operator: str) -> str | None:
    """Why approvals cannot be trusted at the moment, if they cannot; `live` is what the API server has, by `key_of`.

    A field that is empty is one that is absent: the API server fills some in. Anything else that differs is an edit, also a
    field that this release does not know: it might be a way around.
    """
    for wanted in policies(operator):
        name = key_of(wanted)
        found = live.get(name)
        if found is None:
            return f"{name} is missing: {_REMEDY}"
        if found["metadata"].get("deletionTimestamp"):
            return f"{name} is being deleted: {_REMEDY}"
        edited = _differing_fields(found.get("spec") or {}, wanted["spec"])
        if edited:
            fields = " and ".join(edited)
            return f"{name} is not as this release makes it for the operator {operator} ({fields}): {_REMEDY}"
        if _last_change(found) is None:
            return f"{name} does not tell when it was last changed: delete it, and {_REMEDY}"
    return None


def trusted_since(live: Mapping[str, Object | None]) -> datetime:
    """From when on an approval has passed the policies as they are now; asked only where `problem_of` finds nothing."""
    changes = [change for obj in live.values() if obj is not None and (change := _last_change(obj)) is not None]
    return max(changes) + SETTLING


def rendered() -> str:
    """The chart's template."""
    documents = [_with_labels(policy) for policy in policies(_OPERATOR_MARK)]
    text = "---\n".join(
        yaml.dump(each, Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True) for each in documents
    )
    for mark, template in _TEMPLATE_OF_MARK.items():
        text = text.replace(mark, template)
    return (
        "{{- if .Values.admission.enabled }}\n"
        "# Generated by `python -m modelward.governance.admission`; edit operator/modelward/governance/admission.py instead.\n"
        f"{text}{{{{- end }}}}\n"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the template, or compare it; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m modelward.governance.admission", description="Write the chart's admission policies."
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--check", action="store_true", help="write nothing; print differences and exit with 1 if any")
    options = parser.parse_args(arguments)
    return write_or_compare({options.file: rendered()}, options.check)


# The rules.

_VERB = "object.spec.decision == 'Reject' ? 'reject' : object.spec.decision == 'Override' ? 'override' : 'approve'"
_SENTINEL = f"'{SENTINEL_ROLE}'"


def _check(role: str, verb: str = "variables.verb") -> str:
    """Asks whether the user may do that. Each costs a third of what one expression may: two to an expression."""
    return (
        f"authorizer.group('{GROUP}').resource('approvalroles').namespace(request.namespace).name({role}).check({verb})"
    )


def _a_person() -> list[Object]:
    return [
        _on_create(
            "!request.userInfo.username.startsWith('system:')",
            '"a ModelApproval is the decision of a person, and \'" + request.userInfo.username'
            ' + "\' is an account of a machine or of the cluster: create it as yourself"',
        ),
        _on_create(
            "!('system:masters' in request.userInfo.groups)",
            '"\'" + request.userInfo.username + "\' is in the group system:masters, which may do everything, so that no role was'
            ' given deliberately: use an account whose rights name the role"',
        ),
    ]


def _with_the_role() -> list[Object]:
    return [
        _on_create(
            "!variables.byWildcard.allowed() && !variables.byWildcard.errored() &&\n"
            "!variables.approveByWildcard.allowed() && !variables.approveByWildcard.errored()",
            '"\'" + request.userInfo.username + "\' has the right to decide in every role, by a wildcard or by a rule without'
            " resourceNames (or the authorizer could not be asked), so that the role '\" + object.spec.role + \"' was not given"
            ' deliberately: use an account whose rights name the role"',
        ),
        _on_create(
            f"{_check('object.spec.role')}.allowed() ||\n"
            f"(variables.verb == 'reject' && {_check('object.spec.role', _SQUOTED_APPROVE)}.allowed())",
            '"\'" + request.userInfo.username + "\' may not " + variables.verb + " in the role \'" + object.spec.role'
            " + \"' in namespace '\" + request.namespace + \"': ask a person who may, or an administrator for the verb '\""
            f' + variables.verb + "\' on approvalroles.{GROUP} with resourceNames [\'" + object.spec.role + "\']"',
        ),
    ]


_SQUOTED_APPROVE = "'approve'"


def _in_ones_own_name(field: str, does: str) -> Object:
    return _on_create(
        f"object.spec.{field} == request.userInfo.username",
        f'"spec.{field} is \'" + object.spec.{field} + "\' and you are \'" + request.userInfo.username'
        f" + \"': nobody {does} in another's name; write your own\"",
    )


def _unchanged(kind: str) -> Object:
    """Finalizers and owners may go: deletion and garbage collection take them away, and they mean nothing here."""
    return _validation(
        "request.operation != 'UPDATE' || (\n"
        "  object.spec == oldObject.spec &&\n"
        "  object.metadata.?labels.orValue({}) == oldObject.metadata.?labels.orValue({}) &&\n"
        "  object.metadata.?annotations.orValue({}) == oldObject.metadata.?annotations.orValue({}) &&\n"
        "  object.metadata.?finalizers.orValue([]).all(now, now in oldObject.metadata.?finalizers.orValue([])) &&\n"
        "  object.metadata.?ownerReferences.orValue([]).all(now,\n"
        "    oldObject.metadata.?ownerReferences.orValue([]).exists(before, before.uid == now.uid))\n"
        ")",
        f'"a {kind} is not changed once it was created, not even its labels: create another one"',
    )


def _rejection_stays() -> Object:
    """An operator that is down for a moment would never hear of one that is deleted meanwhile."""
    return _kept_by(
        "approver",
        "oldObject.spec.decision != 'Reject'",
        '"a rejection is deleted by nobody but \'" + oldObject.spec.approver + "\', who made it: to let the version try again, raise'
        ' spec.production.retry of the Model"',
    )


def _evaluation_stays() -> Object:
    """A bad result that the owning team could delete would never have been."""
    return _kept_by(
        "evaluator",
        "false",
        '"an evaluation is deleted by nobody but \'" + oldObject.spec.evaluator + "\', who made it: a newer one of the same name'
        ' takes its place"',
    )


def _kept_by(author: str, unless: str, message: str) -> Object:
    return _validation(
        f"request.operation != 'DELETE' || {unless} ||\n"
        f"oldObject.spec.{author} == request.userInfo.username ||\n"
        f"request.userInfo.username in [{_quoted(*_NAMESPACE_CONTROLLERS, _GARBAGE_COLLECTOR)}]",
        message,
    )


def _by_the_operator(operator: str) -> Object:
    return _validation(
        f"request.userInfo.username == '{operator}' || (\n"
        "  request.operation == 'DELETE' && has(namespaceObject.metadata.deletionTimestamp) &&\n"
        f"  request.userInfo.username in [{_quoted(*_NAMESPACE_CONTROLLERS)}]\n"
        ")",
        "(has(request.subResource) ? request.subResource + ' of ' : '') + request.resource.resource + '.' + request.resource.group"
        f" + \" is written by the operator '{operator}' alone, and you are '\" + request.userInfo.username"
        ' + "\': change what it is made of, and leave the writing to the operator"',
    )


def _quoted(*names: str) -> str:
    return ", ".join(f"'{name}'" for name in names)


# Their form.


def _on_create(expression: str, message: str) -> Object:
    guarded = f"({expression})" if "\n" in expression or "||" in expression else expression
    return _validation(f"request.operation != 'CREATE' || {guarded}", message)


def _validation(expression: str, message: str) -> Object:
    """`message` is an expression; the API server wants plain words too, for where it cannot be evaluated."""
    plain = "who asks may not do this; docs/security.md says who may"
    return {"expression": expression, "message": plain, "messageExpression": message, "reason": "Forbidden"}


def _rule(operations: list[str], resources: list[str]) -> Object:
    """All versions: one that these expressions do not fit is refused, where one that they do not name would pass."""
    return {"apiGroups": [GROUP], "apiVersions": ["*"], "operations": operations, "resources": resources, "scope": "*"}


def _policy(
    name: str, rules: list[Object], validations: list[Object], variables: Mapping[str, str] | None = None
) -> Object:
    spec: Object = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "matchPolicy": "Equivalent",
            "namespaceSelector": {},
            "objectSelector": {},
            "resourceRules": rules,
        },
    }
    if variables:
        spec["variables"] = [{"name": each, "expression": expression} for each, expression in variables.items()]
    return _object(POLICY, name, spec | {"validations": validations})


def _binding(name: str) -> Object:
    return _object(BINDING, name, {"policyName": name, "validationActions": ["Deny"]})


def _object(kind: str, name: str, spec: Object) -> Object:
    return {"apiVersion": _API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


# The comparison.


def _differing_fields(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    return [
        field
        for field in sorted({*found, *wanted})
        if _without_empty(found.get(field)) != _without_empty(wanted.get(field))
    ]


def _without_empty(value: Any) -> Any:
    """The value without what is empty; None when nothing is left of it."""
    if isinstance(value, dict):
        kept = {name: inner for name, each in value.items() if (inner := _without_empty(each)) is not None}
        return kept or None
    if isinstance(value, list):
        return [_without_empty(each) for each in value] or None
    return None if value == "" else value


def _last_change(obj: Mapping[str, Any]) -> datetime | None:
    """When the spec was last written; None when it cannot be said.

    The generation counts changes of the spec and cannot be written by a client: at 1 there was none since the creation. The
    times in managedFields can be, which is why the operator that runs also remembers the generation (runtime/trust.py).
    """
    metadata = obj["metadata"]
    created = metadata.get("creationTimestamp")
    if not created:
        return None
    if metadata.get("generation") == 1:
        return datetime.fromisoformat(created)
    written = [entry["time"] for entry in metadata.get("managedFields") or () if entry.get("time")]
    return max(datetime.fromisoformat(time) for time in (created, *written)) if written else None


# The template.

_OPERATOR_MARK = "OPERATOR-USERNAME"
_TEMPLATE_OF_MARK = {
    _OPERATOR_MARK: 'system:serviceaccount:{{ .Release.Namespace }}:{{ include "modelward.serviceAccount" . }}',
    "LABELS-OF-THE-CHART": '{{- include "modelward.labels" . | nindent 4 }}',
}


def _with_labels(obj: Object) -> Object:
    return obj | {"metadata": obj["metadata"] | {"labels": "LABELS-OF-THE-CHART"}}


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as such."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


if __name__ == "__main__":
    sys.exit(main())
