"""Why pods do not become ready is said in the Model: whoever reads its status need not look for them."""

from modelward.api.resources import DEPLOYMENTS, MODEL_VERSIONS, MODELS, PODS
from tests.unit.runtime.test_children import KEY, ROUTE, Cluster, labelled, version

IMAGE = "registry.example/credit:v8"


async def serving(*, ailing: str) -> Cluster:
    """v7 serves, and the pods of one version cannot pull their image."""
    cluster = Cluster()
    await cluster.look()
    cluster.unready.add(f"credit-risk-{ailing}")
    waiting = {"reason": "ErrImagePull", "message": f"{IMAGE}: not found"}
    cluster.put(
        PODS,
        f"credit-risk-{ailing}-x",
        spec={"containers": [{"name": "server", "image": IMAGE}]},
        status={"containerStatuses": [{"name": "server", "state": {"waiting": waiting}}]},
        metadata=labelled(**{"modelward.dev/version": ailing}),
    )
    await cluster.look()
    return cluster


async def asking_for_v8() -> Cluster:
    cluster = await serving(ailing="v8")
    cluster.put(MODEL_VERSIONS, "credit-risk-v8", spec=version("v8"))
    cluster.put(MODELS, "credit-risk", spec={"production": {"version": "v8"}, "serving": {"route": ROUTE}})
    await cluster.look()
    return cluster


async def test_an_image_that_cannot_be_pulled_is_named_while_the_candidate_is_waited_for() -> None:
    cluster = await asking_for_v8()
    status, reason, message = cluster.conditions()["Progressing"]
    assert (status, reason) == ("True", "PodsNotReady")
    assert message.startswith(
        f"v8: 0 of 1 pods are ready: pod credit-risk-v8-x cannot pull {IMAGE}: {IMAGE}: not found. v8 fails unless all are by "
    )


async def test_the_pod_is_named_in_the_latch_when_the_deployment_has_given_up_as_well() -> None:
    cluster = await asking_for_v8()
    deployment = cluster.get(DEPLOYMENTS, "credit-risk-v8")
    given_up = [{"type": "Progressing", "status": "False", "message": "ReplicaSet has timed out progressing."}]
    await cluster.clock.advance(601)
    cluster.put(
        DEPLOYMENTS, "credit-risk-v8", status={"availableReplicas": 0, "conditions": given_up}, spec=deployment["spec"]
    )
    await cluster.reconciler.reconcile(KEY)
    [latched] = cluster.get(MODELS, "credit-risk")["status"]["failed"]
    assert latched["reason"] == "ProgressDeadlineExceeded"
    assert f"were ready within 10m: pod credit-risk-v8-x cannot pull {IMAGE}" in latched["message"]


async def test_what_serves_and_has_lost_its_pods_says_why_too() -> None:
    cluster = await serving(ailing="v7")
    status, reason, message = cluster.conditions()["Serving"]
    assert (status, reason) == ("False", "BackendsUnavailable")
    assert message == f"v7 has no ready pod: pod credit-risk-v7-x cannot pull {IMAGE}: {IMAGE}: not found."
