"""A merge plan as a comment on a pull request."""

from collections.abc import Sequence

from modelward.api.types import format_duration
from modelward.manifests.merge_plan import Approver, Change, ModelPlan, PlannedStage


def as_markdown(plans: Sequence[ModelPlan]) -> str:
    """GitHub-flavoured Markdown: a heading and a table for each Model that changes, one line for the others."""
    lines = ["## What this merge would do", ""]
    for plan in plans:
        lines += _model(plan)
    still = [f"`{plan.namespace}/{plan.model}`" for plan in plans if plan.change is Change.NONE]
    lines += [f"Nothing changes for {', '.join(still)}."] if still else []
    return "\n".join(lines or ["There are no Models here."]).rstrip() + "\n"


def headline(plan: ModelPlan) -> str:
    """What happens to a Model, in one sentence."""
    change = f"{plan.before} -> {plan.version}" if plan.before else f"{plan.version}"
    return {
        Change.NONE: "nothing changes",
        Change.ROLLOUT: f"{change} would be rolled out under policy {plan.policy}, in {format_duration(plan.least)} at the least",
        Change.FIRST: f"{plan.version} would be the first version, under policy {plan.policy}, and take all requests after Validation",
        Change.REVERT: f"{change}: back to a version in standby, at once",
        Change.LATCHED: f"nothing would happen: {plan.version} is latched",
        Change.BLOCKED: f"{plan.version} could not be acted upon",
        Change.INVENTORY: f"{change} would be on record",
        Change.SUSPENDED: "nothing would happen: automation is suspended",
    }[plan.change]


def approval(approver: Approver) -> str:
    """A demand in words."""
    count = f"{approver.count} x " if approver.count > 1 else ""
    independent = ", independent of the team" if approver.independent else ""
    people = ", ".join(approver.people) or "nobody that the policy's identityMap names"
    return f"{count}{approver.role}{independent} ({people})"


def users(stage: PlannedStage) -> str:
    """Who meets the candidate."""
    return f"{stage.users} %" if stage.users else f"none; {stage.mirrored} % mirrored" if stage.mirrored else "none"


def _model(plan: ModelPlan) -> list[str]:
    if plan.change is Change.NONE:
        return []
    lines = [f"### `{plan.namespace}/{plan.model}`", "", f"{headline(plan)}.", ""]
    lines += [f"* **Stands in the way:** {_plain(obstacle)}" for obstacle in plan.obstacles]
    lines += [f"* {_plain(note)}" for note in plan.notes]
    lines += [""] if plan.obstacles or plan.notes else []
    if plan.stages:
        lines += [
            "| Stage | From | Least time | Users who see it | Gates | Approvals to go on |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        lines += [_row(stage) for stage in plan.stages]
        lines.append("")
    return lines


def _row(stage: PlannedStage) -> str:
    cells = (
        stage.name,
        f"+{format_duration(stage.starts_after)}",
        format_duration(stage.least) if stage.least else "",
        users(stage),
        "<br>".join(stage.gates),
        "<br>".join(map(approval, stage.approvals)),
    )
    return "| " + " | ".join(_plain(cell) for cell in cells) + " |"


def _plain(text: str) -> str:
    """Text of users that stays within its cell and mentions nobody."""
    return text.replace("|", "\\|").replace("\n", " ").replace("@", "@\u200b")
