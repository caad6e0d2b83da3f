"""`modelward doctor`: what is wrong with an installation, why, and what to type."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from modelward.cli.cluster import Context, Kubeconfig, connect
from modelward.cli.doctor_gathering import Progress, gather
from modelward.cli.explain_text import console_for_output
from modelward.cli.output import As, Output, print_data
from modelward.cli.terminal import clean
from modelward.diagnosis.checks import CHECKS, examine
from modelward.diagnosis.findings import Finding, Level, count

PROBLEMS = 1
"""Exit code; 0 when there is none."""

_WORDS = {Level.OK: "OK", Level.WARNING: "Warning", Level.PROBLEM: "Problem", Level.UNSEEN: "Not looked at"}
_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "bold red", Level.UNSEEN: "magenta"}
_WIDTH = max(map(len, _WORDS.values()))
_NAME_WIDTH = max(len(check.name) for check in CHECKS)


def doctor(
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="Look at the Models of this namespace. [default: all of them]")
    ] = "",
    operator_namespace: Annotated[
        str, typer.Option("--operator-namespace", help="Where the operator is. [default: wherever it is found]")
    ] = "",
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 for warnings, too, and for what could not be looked at.")
    ] = False,
    output: As = Output.TABLE,
    context: Context = "",
    kubeconfig: Kubeconfig = None,
) -> None:
    """Look for what is wrong with an installation, and say how to put it right.

    It looks at CRDs, the operator's pods, Lease, clock and rights, at admission policies, approvers, Gateways and routes, and at whether
    metrics arrive. It changes nothing. Each line says OK, Warning, Problem or Not looked at; what you may not read is not looked at, and the
    line names the right that is lacking. Whether metrics arrive is asked of the operator, by the status of the Models, and not tried
    from here.

    Exit codes: 0 no problem; 1 a problem, or with --strict anything but OK; 2 the command line is wrong; 3 the cluster gives no
    answer.

    **Examples**

    `modelward doctor`

    `modelward doctor -n lending --operator-namespace modelward-system`

    `modelward doctor --strict -o json | jq '.findings[] | select(.level != "OK")'`
    """
    cluster = connect(context, kubeconfig, namespace)
    with _progress() as progress:
        facts = gather(cluster, version("modelward"), namespace, operator_namespace, progress)
    findings = examine(facts)
    if output is Output.TABLE:
        _print(console_for_output(), findings)
    else:
        print_data({"findings": findings, "summary": {level: _levels(findings)[level] for level in Level}}, output)
    levels = _levels(findings)
    if levels[Level.PROBLEM] or (strict and len(findings) > levels[Level.OK]):
        raise typer.Exit(PROBLEMS)


def _print(console: Console, findings: Sequence[Finding]) -> None:
    for finding in findings:
        level = (f"{_WORDS[finding.level]:<{_WIDTH}}  ", _STYLES[finding.level])
        check = (f"{finding.check:<{_NAME_WIDTH}}  ", "bold")
        console.print(Text.assemble(level, check, _sentence(finding.message)), soft_wrap=True)
        if finding.remedy:
            remedy = Text(f"{'':<{_WIDTH + _NAME_WIDTH + 4}}")
            console.print(remedy.append(f"> {clean(finding.remedy)}", style="cyan"), soft_wrap=True)
    console.print(f"\n{_summary(findings)}", soft_wrap=True)


def _sentence(message: str) -> str:
    """With a capital, unless it begins with a name."""
    first, *_ = message.split(" ", 1)
    named = any(not letter.isalpha() for letter in first.rstrip(",:"))
    return clean(message if named else message[:1].upper() + message[1:])


def _summary(findings: Sequence[Finding]) -> str:
    levels = _levels(findings)
    told = [
        *([count(levels[Level.PROBLEM], "problem")] if levels[Level.PROBLEM] else ()),
        *([count(levels[Level.WARNING], "warning")] if levels[Level.WARNING] else ()),
        *([f"{levels[Level.UNSEEN]} not looked at"] if levels[Level.UNSEEN] else ()),
    ]
    return f"{len(CHECKS)} checks: {', '.join(told) or 'nothing is wrong'}."


def _levels(findings: Sequence[Finding]) -> Counter[Level]:
    return Counter(finding.level for finding in findings)


@contextmanager
def _progress() -> Iterator[Progress]:
    """On standard error, and only where somebody looks at it."""
    console = Console(stderr=True)
    with console.status("Looking ...") as status:
        yield lambda ended, begun: status.update(f"Looking ... {ended} of {begun}")
