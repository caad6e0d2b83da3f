"""What a user sees after a decision, as values that are joined by `&`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from modelward.lifecycle.plan import Plan

Check = Callable[[Plan], str | None]  # a complaint, or None


@dataclass(frozen=True)
class Expectation:
    checks: tuple[Check, ...]

    def __and__(self, other: "Expectation") -> "Expectation":
        return Expectation((*self.checks, *other.checks))

    def hold_for(self, plan: Plan) -> None:
        complaints = [complaint for check in self.checks if (complaint := check(plan))]
        assert not complaints, "\n".join([*complaints, *_picture(plan)])


def _expect(name: str, wanted: object, found: Callable[[Plan], object]) -> Expectation:
    def check(plan: Plan) -> str | None:
        return None if found(plan) == wanted else f"{name}: wanted {wanted!r}, found {found(plan)!r}"

    return Expectation((check,))


def weights(**shares: int) -> Expectation:
    """Shares of users' requests, in the route and in status."""
    planned = _expect("weights", shares, lambda plan: dict(plan.traffic.weights) if plan.traffic else None)
    return planned & _expect("weights in status", shares, lambda plan: _reported(plan, "weights"))


def mirrors(**shares: int) -> Expectation:
    planned = _expect("mirrors", shares, lambda plan: dict(plan.traffic.mirrors) if plan.traffic else None)
    return planned & _expect("mirrors in status", shares, lambda plan: _reported(plan, "mirrors"))


def stage(version: str, wanted: str) -> Expectation:
    return _expect(f"stage of {version}", wanted, lambda plan: plan.versions[version].stage.value)


def column(**columns: object) -> Expectation:
    """Columns of `kubectl get models`: stage, weight, gates_summary."""
    return _expect("columns", columns, lambda plan: {name: getattr(plan.status, name) for name in columns})


def serves(version: str | None) -> Expectation:
    return _expect("in production", version, lambda plan: plan.status.production and plan.status.production.version)


def candidate(version: str | None) -> Expectation:
    return _expect("candidate", version, lambda plan: plan.status.rollout and plan.status.rollout.version)


def on_the_way_to(version: str | None) -> Expectation:
    return _expect("switch", version, lambda plan: plan.status.switch and plan.status.switch.to)


def in_standby(*versions: str) -> Expectation:
    return _expect("standby", versions, lambda plan: tuple(reference.version for reference in plan.status.standby))


def latched(*versions: str) -> Expectation:
    """The latch, and the condition Rejected beside the stage of those that are still registered."""
    listed = _expect("latched", versions, lambda plan: tuple(entry.version for entry in plan.status.failed))

    def rejected(plan: Plan) -> str | None:
        for version, status in plan.versions.items():
            found = next(condition.status for condition in status.conditions if condition.type == "Rejected")
            if (found == "True") != (version in versions):
                return f"Rejected of {version} is {found}"
        return None

    return listed & Expectation((rejected,))


def condition(kind: str, status: bool | None, reason: str) -> Expectation:
    """None is Unknown."""
    wanted = ("Unknown" if status is None else str(status), reason)
    return _expect(f"condition {kind}", wanted, lambda plan: _condition(plan, kind))


def says(kind: str, text: str) -> Expectation:
    """The message of a condition."""

    def check(plan: Plan) -> str | None:
        message = next(condition.message for condition in plan.status.conditions if condition.type == kind)
        return None if text in message else f"{kind} says {message!r}, not {text!r}"

    return Expectation((check,))


def announces(reason: str, text: str = "", *, warning: bool = False) -> Expectation:
    """An event, which is also the newest entry of the history."""

    def check(plan: Plan) -> str | None:
        told = [told for told in plan.announcements if told.reason == reason and text in told.message]
        if not told or told[0].warning != warning:
            return f"no event {reason} (warning: {warning}) with {text!r} among {plan.announcements}"
        newest = plan.status.history[0]
        return (
            None if newest.action == reason and newest.message == told[0].message else f"history begins with {newest}"
        )

    return Expectation((check,))


def silent() -> Expectation:
    return _expect("events", (), lambda plan: plan.announcements)


def pods(**replicas: int) -> Expectation:
    """Every version that should have a Deployment."""
    return _expect("pods", replicas, lambda plan: dict(plan.children.pods))


def keeps(*versions: str) -> Expectation:
    """Versions whose Deployment and Service must stay although nothing wants them."""
    return _expect("kept", set(versions), lambda plan: set(plan.children.kept) - set(plan.children.pods))


def finalizer(drain: str) -> Expectation:
    return _expect("drain", drain, lambda plan: plan.drain)


def looks_again_within(**duration: float) -> Expectation:
    def check(plan: Plan) -> str | None:
        since = [condition.last_transition_time for condition in plan.status.conditions]
        limit = max(since) + timedelta(**duration)
        return (
            None if plan.check_at and plan.check_at <= limit else f"looks again at {plan.check_at}, wanted by {limit}"
        )

    return Expectation((check,))


def _reported(plan: Plan, field: str) -> dict[str, int]:
    traffic = plan.status.traffic
    return {entry.version: entry.percent for entry in getattr(traffic, field)} if traffic else {}


def _condition(plan: Plan, kind: str) -> tuple[str, str]:
    found = next(condition for condition in plan.status.conditions if condition.type == kind)
    return found.status, found.reason


def _picture(plan: Plan) -> list[str]:
    told = [f"  event {told.reason}: {told.message}" for told in plan.announcements]
    return [*told, *(f"  {c.type}={c.status}/{c.reason}: {c.message}" for c in plan.status.conditions)]
