"""The operator's own pod: what it answers, and how little it may do."""

import pytest

from examples.tumor_screening.environment import OPERATOR_RELEASE, Environment
from tests.e2e.kubectl import Kubectl, Refused

# Not while another test takes the operator away.
pytestmark = pytest.mark.xdist_group("with the operator to itself")


async def test_the_operator_answers_its_probes_and_tells_of_itself(kubectl: Kubectl, environment: Environment) -> None:
    pod = await _operator_pod(kubectl, environment)
    proxy = f"/api/v1/namespaces/{environment.operator_namespace}/pods/{pod['metadata']['name']}:8080/proxy"

    for probe in ("healthz", "readyz"):
        lines = (await kubectl("get", "--raw", f"{proxy}/{probe}")).splitlines()
        assert lines
        assert all(line.endswith(": ok") for line in lines), lines
    metrics = await kubectl("get", "--raw", f"{proxy}/metrics")
    assert "modelward_operator_is_leader 1.0" in metrics
    assert "# TYPE modelward_operator_reconcile_seconds histogram" in metrics


async def test_the_operator_runs_without_root_and_cannot_write_to_its_root(
    kubectl: Kubectl, environment: Environment
) -> None:
    pod = await _operator_pod(kubectl, environment)
    inside = ("exec", pod["metadata"]["name"], "-n", environment.operator_namespace, "--")

    assert (await kubectl(*inside, "id", "-u")).strip() == "65532"
    for folder in ("/", "/opt", "/etc"):
        try:
            await kubectl(*inside, "touch", f"{folder}/written")
        except Refused as refusal:
            assert "Read-only file system" in str(refusal)
        else:
            raise AssertionError(f"{folder} can be written to")
    context = pod["spec"]["containers"][0]["securityContext"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["allowPrivilegeEscalation"] is False


async def test_a_lease_that_somebody_deletes_is_made_anew_by_whoever_leads(
    kubectl: Kubectl, environment: Environment
) -> None:
    lease = ("lease", OPERATOR_RELEASE, "-n", environment.operator_namespace)
    before = await kubectl.get(*lease)
    async with kubectl.watching(*lease) as watched:
        await watched.until(lambda _: True, "the Lease")
        await kubectl("delete", *lease)
        again = await watched.sight_of(
            lambda sight: (
                sight.object["metadata"]["uid"] != before["metadata"]["uid"] and sight.object["spec"]["holderIdentity"]
            ),
            "a new Lease",
        )
    pod = await _operator_pod(kubectl, environment)
    assert again.object["spec"]["holderIdentity"] == pod["metadata"]["name"]
    (status,) = pod["status"]["containerStatuses"]
    assert status["restartCount"] == 0


async def _operator_pod(kubectl: Kubectl, environment: Environment):
    pods = await kubectl.items("pods", "-n", environment.operator_namespace, "-l", "app.kubernetes.io/name=modelward")
    return next(pod for pod in pods if "deletionTimestamp" not in pod["metadata"])
