"""The rights that the chart gives to the operator are enough for everything it does, and what it lacks is not hidden."""

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
import yaml

from cluster import binaries
from modelward.api.resources import MODEL_VERSIONS, MODELS, SERVICES, Resource
from modelward.runtime.kube import Forbidden, KubeClient
from tests.api.conftest import PATIENCE, ApiServer
from tests.api.rollouts.world import MODEL, new_world, stages_with

CHART = Path(__file__).parents[3] / "charts" / "modelward"
CLUSTER_ROLES = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)
BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bound(gateway_api: ApiServer, kube: KubeClient) -> AsyncIterator[KubeClient]:
    """A client of the user `operator`, who has exactly the rights of the chart's ClusterRole."""
    helm = [str(binaries.path("helm")), "template", "modelward", str(CHART)]
    render = [*helm, "--namespace", "modelward", "--kube-version", binaries.KUBERNETES_VERSION]
    text = subprocess.run(render, check=True, capture_output=True, text=True, timeout=PATIENCE).stdout
    manifests = [manifest for manifest in yaml.safe_load_all(text) if manifest and manifest["kind"] == "ClusterRole"]
    (role,) = (manifest for manifest in manifests if manifest["metadata"]["name"] == "modelward")
    await kube.apply(CLUSTER_ROLES, role)
    name = role["metadata"]["name"]
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "operator"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    await kube.apply(BINDINGS, {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]})
    gateway_api.until_allowed("operator", MODELS.path())
    async with gateway_api.client("operator") as api:
        yield KubeClient(api, timeout=PATIENCE)
    await kube.delete(BINDINGS, None, name)  # other modules hold that the user may do nothing
    gateway_api.until_allowed("operator", MODELS.path(), allowed=False)


async def test_the_charts_rights_are_enough_for_whole_rollouts(kube: KubeClient, bound: KubeClient) -> None:
    """First version, promotion, failed rollout, autoscaling, a policy for labelled namespaces, repair and deletion."""
    world = await new_world(kube, bound)
    selector = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}}}
    await world.set_policy(stages_with(), appliesTo={"tiers": ["Low"], **selector})
    await world.give("v4", autoscaling={"min": 2, "max": 4}, replicas=None)
    await world.serve("v1")
    for version in ("v2", "v3", "v4"):
        await world.ask_for(version)
        await world.settle()
    assert (await world.condition("Ready"))[:2] == ("True", "Promoted")
    await world.delete(SERVICES, "scorer-v4")
    await world.settle()
    await world.delete_model()
    while await world.kube.get(MODELS, world.namespace, MODEL) is not None:
        await world.step()
    assert [refusal.message for refusal in world.wire.refusals if isinstance(refusal, Forbidden)] == []


async def test_the_operator_may_not_write_what_users_write(kube: KubeClient, bound: KubeClient) -> None:
    world = await new_world(kube, bound)
    for resource, name in ((MODEL_VERSIONS, "scorer-v1"), (MODELS, MODEL)):
        try:
            await bound.delete(resource, world.namespace, name)
        except Forbidden:
            continue
        raise AssertionError(f"the operator could delete {resource}")
