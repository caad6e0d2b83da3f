"""`modelward explain`: the evidence behind the latest decision on a version, in the terminal, as data, or as a page."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console

from modelward.api.invalid import first_error
from modelward.api.model_version import Baseline, ModelVersion
from modelward.api.resources import CONFIG_MAPS, MODEL_VERSIONS
from modelward.api.status import VersionStatus
from modelward.api.types import Record
from modelward.cli.cluster import Cluster, Context, Kubeconfig, ModelName, Namespace, connect
from modelward.cli.completion import version_names
from modelward.cli.explain_html import report
from modelward.cli.explain_text import console_for_output, print_explanation
from modelward.cli.failure import Failure
from modelward.cli.output import As, Output, print_data, write
from modelward.cli.reading import read_model
from modelward.lifecycle.baselines import baseline_in
from modelward.lifecycle.evidence import Evidence
from modelward.lifecycle.explanation import Explanation, explain_monitoring, explained_version
from modelward.lifecycle.explanation import explain as explain_decision
from modelward.traffic.names import child_name


def explain(
    model: ModelName,
    version: Annotated[
        str,
        typer.Option(
            "--version",
            help="A version. [default: the one being judged, else the last that was]",
            autocompletion=version_names,
        ),
    ] = "",
    monitoring: Annotated[
        bool, typer.Option("--monitoring", help="Explain the monitoring of what serves instead of a rollout.")
    ] = False,
    html: Annotated[
        Path | None, typer.Option("--html", help="Also write a report of one file, which needs no network.")
    ] = None,
    wide: Annotated[
        bool, typer.Option("--wide", help="Also print KS, Wasserstein-1 and p-values of each feature at one look.")
    ] = False,
    output: As = Output.TABLE,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = None,
) -> None:
    """Show why a version was let go on, was held, or failed.

    Prints the evidence of the latest decision: the verdict of every gate with its figure, interval and bound; how both versions
    run; every feature that a drift or data quality gate looks at; and the five features that differ most as bars. It needs the right to get
    Models, ModelVersions and, for a baseline that is kept in one, ConfigMaps.

    **Examples**

    `modelward explain credit-risk -n lending`

    `modelward explain credit-risk -n lending --version v7 --html v7.html`

    `modelward explain credit-risk -n lending -o json | jq '.gates[] | select(.result != "Pass")'`
    """
    explained = _explanation(connect(context, kubeconfig, namespace), model, version, monitoring)
    if html is not None:
        write(html, report(explained), "--html")
    if output is Output.TABLE:
        print_explanation(console_for_output(), explained, wide)
    else:
        print_data(explained, output)


def _explanation(cluster: Cluster, name: str, version: str, monitoring: bool) -> Explanation:
    model, status = read_model(cluster, name)
    where = f"{cluster.namespace}/{name}"
    if monitoring:
        if status.monitoring is None:
            raise Failure(
                f"nothing monitors Model {where}: its policy has no stages.production.monitoring, or nothing serves yet."
            )
        kept, baseline = _kept(cluster, name, status.monitoring.version)
        evidence = None if kept is None else _evidence(kept.monitoring)
        return explain_monitoring(model, status.monitoring, evidence, baseline)
    chosen = version or explained_version(status)
    if chosen is None:
        raise Failure(f"nothing was decided on Model {where} yet: name a version in spec.production.version.")
    kept, baseline = _kept(cluster, name, chosen)
    if kept is None and version and not any(row.version == version for row in status.gates):
        raise Failure(
            f"there is no ModelVersion {cluster.namespace}/{child_name(name, version)}, and the Model says nothing of it:"
            " `kubectl get modelversions` lists them."
        )
    return explain_decision(model, status, chosen, None if kept is None else _evidence(kept.evidence), baseline)


def _kept(cluster: Cluster, model: str, version: str) -> tuple[VersionStatus | None, Baseline | None]:
    """What is kept of a version, and its baseline; None where there is none, or none that can be read."""
    raw = cluster.get(MODEL_VERSIONS, child_name(model, version))
    if raw is None:
        return None, None
    try:
        spec = ModelVersion.model_validate(raw).spec
        status = VersionStatus.model_validate(raw.get("status") or {})
    except ValidationError as error:
        raise Failure(
            f"ModelVersion {cluster.namespace}/{child_name(model, version)} cannot be read by this release,"
            f" {first_error(error, 'spec')}: use the operator's."
        ) from error
    declared = spec.baseline
    if declared is None or declared.config_map is None:
        return status, declared
    found = baseline_in(declared, cluster.get(CONFIG_MAPS, declared.config_map))
    if isinstance(found, str):
        Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(f"Warning: {found}.")
        return status, None
    return status, found


def _evidence(record: Record | None) -> Evidence | None:
    """Evidence as it was kept; what another release wrote may be none."""
    try:
        return Evidence.from_dict(record) if record else None
    except (KeyError, TypeError, ValueError):
        return None
