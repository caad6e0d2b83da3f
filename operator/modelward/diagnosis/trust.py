"""What the API server lets happen: the operator's rights, and the admission policies that make an approval a person's word."""

from collections.abc import Iterator

from modelward.diagnosis.facts import Installation
from modelward.diagnosis.findings import Said, names, ok, problem
from modelward.governance.admission import NAMES, problem_of


def rights(found: Installation) -> Iterator[Said]:
    own, asked = found.operator, found.rights.value
    lacking: dict[str, list[str]] = {}
    for right in sorted(right for right, has in asked.items() if not has):
        lacking.setdefault(right.namespace, []).append(str(right))
    for namespace, what in lacking.items():
        where = f" in namespace {namespace}" if namespace else ""
        yield problem(f"{own.username} may not {names(what)}{where}: the chart gives it that right", own.apply_again)
    if not lacking:
        yield ok(f"all {len(asked)} rights of the chart")


def admission(found: Installation) -> Iterator[Said]:
    """The operator asks the same of the same objects, and counts no approval while the answer is a problem."""
    own, live = found.operator, found.admission.value
    wrong = problem_of(live, own.username)
    if wrong is not None:
        remedy = own.set_value("admission.enabled=true") if own.helm_release else own.apply_again
        yield problem(f"no approval counts: {wrong}", remedy)
    else:
        yield ok(f"{len(NAMES)} policies and their bindings, unedited, for {own.username}")
