"""The command line: `modelward`, and `kubectl modelward` by way of kubectl's plugins."""

from importlib.metadata import version as installed_version

import typer

from modelward.cli.approvals import approvals
from modelward.cli.approve import approve
from modelward.cli.audit import audit
from modelward.cli.audit_storage import copy, schema
from modelward.cli.baseline import baseline
from modelward.cli.discover import discover_workloads
from modelward.cli.explain import explain
from modelward.cli.failure import Commands
from modelward.cli.gate import gate
from modelward.cli.impact import impact
from modelward.cli.lint import lint
from modelward.cli.plan import plan
from modelward.cli.policy import policy
from modelward.cli.reject import reject
from modelward.cli.report import report
from modelward.cli.request import request
from modelward.cli.simulate import simulate

app = typer.Typer(
    name="modelward",
    cls=Commands,
    help="Shadow, canary, promotion and rollback of machine-learning models, on evidence.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
)
app.command()(baseline)
app.command()(explain)
app.command()(approvals)
app.command()(request)
app.command()(approve)
app.command()(reject)
app.command()(impact)
app.command(name="discover")(discover_workloads)
app.command()(report)
app.command()(lint)
app.command()(plan)
app.command()(gate)
app.command()(simulate)
app.add_typer(policy, name="policy")
audit.command()(copy)
audit.command()(schema)
app.add_typer(audit, name="audit")


@app.command()
def version() -> None:
    """Print the version of this program."""
    typer.echo(installed_version("modelward"))


if __name__ == "__main__":
    app()
