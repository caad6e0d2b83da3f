"""The reference of what the operator says of a Model: its conditions, and every reason, from the texts in api/reasons.py."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelward.api import reasons

_PAGE = """\
# Conditions and reasons

What the operator says of a Model and of a ModelVersion. Each condition has a status, a reason of one word for machines, and a sentence with
the figures for people; events, gates and latches carry reasons too. Where to look first: [troubleshooting](../troubleshooting.md).

## Conditions

`kubectl wait model/MODEL --for=condition=TYPE` waits for True. *All is well* is the status that nobody need look at.

| Condition | Asks | All is well |
| --- | --- | --- |
"""
_REASONS = """
## Reasons

A reason is listed where it is met first. `Progressing` and `Reconciling` also carry those of events, of what has just happened.
"""

CONDITIONS: dict[str, tuple[str, str]] = {
    "Ready": ("Is everything as Git says?", "True"),
    "Serving": ("Do users get answers?", "True"),
    "Progressing": ("Is a rollout under way? Its message names what is awaited.", "either"),
    "GatesPassed": (
        "Do the gates of the stage pass, all of them together?",
        "True, or Unknown where nothing is judged",
    ),
    "TrafficApplied": ("Do requests go where they should?", "True"),
    "Performing": ("Does what serves still do what it was promoted for?", "True"),
    "DriftDetected": ("Are inputs or answers unlike their reference?", "False"),
    "RollbackTargetReady": ("Would a rollback be one write to the route?", "True"),
    "ChallengersShadowed": ("Do all of `spec.challengers` get copies of requests? Only where there are any.", "True"),
    "SpecValid": ("Can the spec be acted upon?", "True"),
    "Reconciling": ("For tools (kstatus): is something under way?", "False"),
    "Stalled": ("For tools (kstatus): will nothing happen before somebody acts?", "False"),
    "Owned": ("Does a team answer for the Model?", "True"),
    "MonitoringReady": ("Is somebody told when it goes wrong? False keeps versions from production.", "True"),
    "ReviewCurrent": ("Has somebody looked at the Model as a whole in time?", "True"),
    "EvaluationCurrent": ("Are the evaluations of what serves valid, and young enough?", "True"),
    "Ungoverned": ("Is something served that nobody approved?", "False"),
    "Zombie": ("Does something serve that nobody cares for?", "False"),
    "Deprecated": ("Should users of the Model move on?", "False"),
    "ApprovalsTrusted": ("Is a ModelApproval the word of the person whom it names?", "True"),
    "Rejected": ("Of a ModelVersion: is it latched, so that it does not start again by itself?", "False"),
}
"""Every condition by its type, in the order of status: its question, and the status that nobody need look at."""


@dataclass(frozen=True)
class Reason:
    """One reason as the code explains it."""

    value: str
    group: str
    meaning: str
    remedy: str


def conditions_page() -> str:
    """The page of reference/conditions.md."""
    rows = [f"| `{kind}` | {question} | {well} |\n" for kind, (question, well) in CONDITIONS.items()]
    return _PAGE + "".join(rows) + _REASONS + _rendered(explained_reasons())


def explained_reasons() -> tuple[Reason, ...]:
    """The constants of api/reasons.py with their texts, in their order.

    Raises:
        ValueError: a constant has no text of two paragraphs below it.
    """
    path = Path(reasons.__file__)
    source = path.read_text("utf-8")
    headings = {number: line for number, line in enumerate(source.splitlines(), 1) if line.startswith("# ")}
    found: list[Reason] = []
    body = ast.parse(source).body
    for statement, following in zip(body, [*body[1:], None], strict=True):
        if not isinstance(statement, ast.Assign):
            continue
        value = ast.literal_eval(statement.value)
        text = ast.literal_eval(following.value) if isinstance(following, ast.Expr) else ""
        meaning, _, remedy = (" ".join(part.split()) for part in text.partition("\n\n"))
        if not meaning or not remedy:
            raise ValueError(
                f"{path.name}: {value} needs a text below it: what it means, an empty line, and what to do about it"
            )
        group = headings[max(number for number in headings if number < statement.lineno)]
        found.append(Reason(value, group.removeprefix("# "), meaning, remedy))
    return tuple(found)


def _rendered(explained: Sequence[Reason]) -> str:
    lines: list[str] = []
    group = ""
    for reason in explained:
        if reason.group != group:
            group = reason.group
            lines += ["", f"### {group}", "", "| Reason | What it means | What to do |", "| --- | --- | --- |"]
        lines.append(f"| `{reason.value}` | {_cell(reason.meaning)} | {_cell(reason.remedy)} |")
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    """Links in the texts are those of a page in docs/."""
    return text.replace("|", "\\|").replace("](how-to/", "](../how-to/")
