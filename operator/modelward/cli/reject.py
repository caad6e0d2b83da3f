"""`modelward reject`: a person's no, at once and without Git."""

from typing import Annotated

import typer

from modelward.api.model_approval import Decision
from modelward.cli.approvals_case import read_case
from modelward.cli.approvals_rights import Rights
from modelward.cli.approve import create, role_to_decide_in
from modelward.cli.called import called_as
from modelward.cli.cluster import Context, Kubeconfig, ModelName, Namespace, connect
from modelward.cli.completion import version_names
from modelward.cli.explain_text import console_for_output
from modelward.cli.failure import Failure
from modelward.cli.reading import read_model


def reject(
    model: ModelName,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept in the audit trail.")],
    version: Annotated[
        str, typer.Option("--version", help="A version. [default: the one in flight]", autocompletion=version_names)
    ] = "",
    role: Annotated[
        str, typer.Option("--role", help="The role to decide in. [default: the only one of the policy that you have]")
    ] = "",
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = None,
) -> None:
    """Reject a version: stop its rollout, or take it out of production, and bar it.

    It takes the right to reject, which is weaker than that to approve, and it does not ask. Nothing undoes it but a raised
    `spec.production.retry` in Git: deleting the ModelApproval does not.

    **Examples**

    `modelward reject credit-risk -n lending --reason "Declines everybody since 14:05."`

    `modelward reject credit-risk -n lending --version v7 --role risk --reason "Built from data that was withdrawn."`
    """
    if not reason.strip():
        raise typer.BadParameter("--reason is empty: say why")
    cluster = connect(context, kubeconfig, namespace)
    _, status = read_model(cluster, model)
    chosen = version or (status.rollout.version if status.rollout else "")
    if not chosen:
        serving = f" ({status.production.version} serves)" if status.production else ""
        raise Failure(
            f"no rollout of Model {cluster.namespace}/{model} is in flight{serving}: say which version with --version."
        )
    if not role:
        case = read_case(cluster, model, chosen)
        roles = [*(row.role for row in case.asked), *(demand.role for demand in case.demands())]
        role = role_to_decide_in(Rights(cluster), Decision.REJECT, "", roles, cluster.namespace, chosen)
    approver = cluster.whoami()
    spec = {
        "model": model,
        "version": chosen,
        "role": role,
        "decision": Decision.REJECT.value,
        "approver": approver,
        "reason": reason,
    }
    created = create(cluster, spec)
    console = console_for_output()
    console.print(f"Created ModelApproval {created}, in the name of {approver}.", soft_wrap=True, markup=False)
    console.print(f"{chosen} is barred when the operator has seen it: {called_as()} explain {model} -n {cluster.namespace}",
                  soft_wrap=True, markup=False)  # fmt: skip
