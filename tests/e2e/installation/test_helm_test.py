"""`helm test`, in a namespace that takes restricted pods only."""

import pytest

from cluster.processes import Failure
from examples.tumor_screening.environment import OPERATOR_RELEASE
from tests.e2e.installed import Installed
from tests.e2e.kubectl import Refused

TEST = ("test", OPERATOR_RELEASE, "--timeout=8m", "--logs")
NOT_RESTRICTED = {"allowPrivilegeEscalation": True}


async def test_an_operator_that_leads_passes(installed: Installed) -> None:
    said = await installed.helm(*TEST)
    assert "the operator is ready, and leads" in said
    assert "Succeeded" in said


async def test_its_namespace_takes_no_pod_that_is_not_restricted(installed: Installed) -> None:
    (pod,) = await installed.pods()
    container = pod["spec"]["containers"][0] | {"securityContext": NOT_RESTRICTED}
    metadata = {"name": "tried", "namespace": installed.namespace}
    tried = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod["spec"] | {"containers": [container]}}
    with pytest.raises(Refused, match=r'violates PodSecurity "restricted'):
        await installed.kubectl.apply(tried)


async def test_an_operator_that_does_not_run_fails_with_what_is_wrong(installed: Installed) -> None:
    scale = ("scale", "deployment", OPERATOR_RELEASE, "-n", installed.namespace)
    await installed.kubectl(*scale, "--replicas=0")
    await installed.until_ready(0)
    try:
        with pytest.raises(Failure, match="failed"):
            await installed.helm(*TEST)
        said = await installed.kubectl("logs", f"{OPERATOR_RELEASE}-test", "-n", installed.namespace)
    finally:
        await installed.kubectl(*scale, "--replicas=1")
        await installed.until_ready(1)
    assert "the operator does not answer, or is not ready: " in said
