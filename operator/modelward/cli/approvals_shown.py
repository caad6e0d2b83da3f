"""What is being decided, in full, before the question: what changes, how it was evaluated and measured, from what and by whom it was made."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from modelward.api.digests import digest_of_model
from modelward.api.model_evaluation import EvaluationMetric, ModelEvaluation
from modelward.api.model_version import ModelVersionSpec
from modelward.api.status import DecisionStatus, PendingApproval
from modelward.cli.approvals_case import Case
from modelward.cli.explain_text import bare_table, clock, interval
from modelward.cli.terminal import clean
from modelward.governance.identities import builders_of
from modelward.lifecycle.decisions import sentence
from modelward.lifecycle.gates.wording import number

LONGEST_VALUE = 120


def show(console: Console, case: Case, row: PendingApproval | None) -> None:
    """Everything that a decision about the version goes by."""
    _head(console, case, row)
    _changes(console, case)
    _evaluations(console, case)
    _gates(console, case)
    _origin(console, case.candidate.spec)
    _decisions(console, case)


def changed_fields(candidate: ModelVersionSpec, incumbent: ModelVersionSpec) -> list[tuple[str, str, str]]:
    """Path, value in the incumbent and value in the candidate of every field of the spec that differs, absent ones as -."""
    ours, theirs = dict(_fields(_content(candidate))), dict(_fields(_content(incumbent)))
    return [
        (path, theirs.get(path, "-"), ours.get(path, "-"))
        for path in sorted({*ours, *theirs})
        if ours.get(path) != theirs.get(path)
    ]


def label(console: Console, name: str, text: str) -> None:
    """One line of a head."""
    console.print(Text.assemble((f"{name + ':':<14}", "bold"), clean(text)), soft_wrap=True)


def _head(console: Console, case: Case, row: PendingApproval | None) -> None:
    incumbent = case.status.production.version if case.status.production else ""
    label(console, "Model", case.where + (f" ({case.model.spec.model_id})" if case.model.spec.model_id else ""))
    label(console, "Version", f"{case.version}, {case.candidate.digest}")
    label(console, "In place of", incumbent or "nothing: no version serves yet")
    tier = case.model.spec.risk_tier
    owner = case.model.spec.owner
    label(console, "Risk tier", f"{tier}" + (f", owned by {owner.team}" if owner and owner.team else ""))
    rollout = case.status.rollout
    if rollout is not None:
        label(console, "Policy", f"{rollout.policy}, {rollout.policy_digest}")
    if case.policy_problem:
        console.print(Text(f"Note: {clean(case.policy_problem)}.", style="yellow"), soft_wrap=True)
    if row is not None:
        due = "the rollout waits for it" if row.due else "the rollout does not wait for it yet"
        label(console, "Asked for", f"approval as {row.role} before {row.before}, {row.missing} missing; {due}")


def _changes(console: Console, case: Case) -> None:
    incumbent = case.incumbent
    if incumbent is None:
        serving = case.status.production
        told = f"The ModelVersion of {serving.version} is gone: its spec cannot be compared." if serving else ""
        _title(console, "What the version is")
        if told:
            console.print(Text(clean(told), style="yellow"), soft_wrap=True)
        for path, value in _fields(_content(case.candidate.spec)):
            console.print(clean(f"  {path}: {value}"), soft_wrap=True, markup=False)
        return
    _title(console, f"What changes against {incumbent.version}")
    changes = changed_fields(case.candidate.spec, incumbent.spec)
    if not changes:
        console.print("  Nothing of the spec.")
    for path, before, after in changes:
        console.print(clean(f"  {path}: {before} -> {after}"), soft_wrap=True, markup=False)


def _content(spec: ModelVersionSpec) -> dict[str, Any]:
    """The spec without its names; of the baseline, which is long, its digest."""
    left_out = {"model", "version", "deprecation", "baseline"}
    content = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude=left_out)
    return content | ({"baseline": digest_of_model(spec.baseline)} if spec.baseline else {})


def _fields(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Leaves by path; entries of a list by their name, where they have one; lists of plain values as one."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _fields(inner, f"{path}.{name}" if path else str(name))
    elif (
        isinstance(value, Sequence) and not isinstance(value, str) and any(isinstance(each, Mapping) for each in value)
    ):
        for index, inner in enumerate(value):
            name = inner.get("name", index) if isinstance(inner, Mapping) else index
            yield from _fields(inner, f"{path}[{name}]")
    else:
        yield path, _short(value)


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}... ({len(text)} characters)"


def _evaluations(console: Console, case: Case) -> None:
    ours = case.evaluations_of(case.candidate)
    theirs = case.evaluations_of(case.incumbent) if case.incumbent else {}
    _title(console, "Evaluations, the newest of each name")
    if not ours:
        console.print(f"  There is none of {case.version}.", markup=False)
        return
    serving = case.incumbent.version.upper() if case.incumbent else "-"
    table = bare_table(
        "EVALUATION", "METRIC", case.version.upper(), "INTERVAL", serving, "CHANGE", "DATA SET", "AT", "BY"
    )
    for name, evaluation in sorted(ours.items()):
        for metric in evaluation.spec.metrics:
            _metric_row(table, evaluation, metric, theirs.get(name))
    console.print(table)


def _metric_row(table: Table, ours: ModelEvaluation, metric: EvaluationMetric, theirs: ModelEvaluation | None) -> None:
    usual = next((each.value for each in theirs.spec.metrics if each.name == metric.name), None) if theirs else None
    same = theirs is not None and ours.spec.dataset is not None and ours.spec.dataset == theirs.spec.dataset
    compared = "" if theirs is None else "the same" if same else "ANOTHER"
    table.add_row(
        *(Text(clean(text)) for text in (ours.spec.name, metric.name)),
        number(metric.value),
        interval(metric.low, metric.high),
        "" if usual is None else number(usual),
        "" if usual is None or not same else f"{metric.value - usual:+.4g}",
        Text(compared, style="yellow" if compared == "ANOTHER" else ""),
        clock(ours.spec.at),
        Text(clean(ours.spec.evaluator)),
    )


def _gates(console: Console, case: Case) -> None:
    rows = [row for row in case.status.gates if row.version == case.version]
    _title(console, "Gates")
    if not rows:
        console.print("  Nothing was judged yet.")
        return
    table = bare_table("GATE", "STAGE", "RESULT", "FIGURE", "INTERVAL", "BOUND", "SAMPLES")
    for row in rows:
        table.add_row(
            Text(clean(row.name)),
            row.stage.value,
            row.result + (" (advisory)" if row.advisory else "") + ("" if row.applies else " (does not apply)"),
            "" if row.figure is None else number(row.figure),
            interval(row.low, row.high),
            "" if row.bound is None else number(row.bound),
            f"{row.samples:,}",
        )
    console.print(table)
    for row in rows:
        console.print(Text.assemble((f"{clean(row.name)}: ", "bold"), clean(row.message)), soft_wrap=True)


def _origin(console: Console, spec: ModelVersionSpec) -> None:
    _title(console, "Where it comes from")
    lineage, artifact = spec.lineage, spec.artifact
    label(console, "  Artifact", f"{artifact.uri}, {artifact.digest}" if artifact else "not named")
    card = spec.model_card
    label(console, "  Model card", (card.uri + (f", {card.digest}" if card.digest else "")) if card else "none")
    code = lineage.code if lineage else None
    label(console, "  Code", f"{code.repo} at {code.commit}" if code else "not named")
    run = lineage.run if lineage else None
    label(console, "  Run", (run.uri or run.id or "not named") if run else "not named")
    for dataset in lineage.datasets if lineage else ():
        named = " ".join(filter(None, (dataset.name, dataset.version, dataset.digest)))
        label(console, "  Data set", f"{named}: {dataset.classification or 'NOT CLASSIFIED'}")
    if not (lineage and lineage.datasets):
        label(console, "  Data sets", "none named")
    label(console, "  Licence", spec.license or "not named")
    if spec.base_model:
        label(console, "  Base model", f"{spec.base_model.name} {spec.base_model.digest or ''}".strip())
    label(console, "  Built by", ", ".join(builders_of(spec)) or "NOBODY NAMED: no approval will count")
    label(console, "  Validators", ", ".join(spec.validators) or "none named")


def _decisions(console: Console, case: Case) -> None:
    about = [decision for decision in case.status.decisions if _concerns(decision, case)]
    _title(console, "Who has decided")
    if not about:
        console.print("  Nobody yet.")
    for decision in about:
        console.print(clean(f"  {clock(decision.at)}: {sentence(decision)}"), soft_wrap=True, markup=False)
    for row in case.asked:
        for refused in row.refused:
            console.print(Text(clean(f"  Not counted as {row.role}: {refused}"), style="yellow"), soft_wrap=True)


def _concerns(decision: DecisionStatus, case: Case) -> bool:
    return decision.version == case.version or decision.standing is not None


def _title(console: Console, title: str) -> None:
    console.print()
    console.print(Text(clean(title), style="bold"), soft_wrap=True)
