"""Copies of policies and versions lie in the namespace: whoever may write there can put others in their place, and gains nothing."""

from copy import deepcopy
from typing import Any

from modelward.api.resources import CONTROLLER_REVISIONS, LIFECYCLE_POLICIES, MODEL_VERSIONS, MODELS
from tests.unit.runtime.test_children import KEY, ROUTE, WATCHED, Cluster, labelled, version

ASKING: dict[str, Any] = {
    "appliesTo": {"tiers": ["Low"]},
    "identityMap": {"people": [{"name": "ada", "usernames": ["ada"]}]},
    "stages": {
        "validation": {"approvals": [{"role": "risk"}]},
        "firstVersion": {"require": "Watch"},
        "production": WATCHED,
    },
}


async def waiting() -> Cluster:
    """v7 serves, and v8 waits for the approval of risk."""
    cluster = Cluster()
    await cluster.look()
    cluster.put(LIFECYCLE_POLICIES, "low", spec=ASKING)
    cluster.put(MODEL_VERSIONS, "credit-risk-v8", spec={**version("v8"), "builtBy": ["ada"]})
    cluster.put(MODELS, "credit-risk", spec={"production": {"version": "v8"}, "serving": {"route": ROUTE}})
    await cluster.look()
    assert cluster.conditions()["Progressing"][1] == "AwaitingApproval"
    return cluster


async def test_a_pinned_policy_that_was_put_in_the_place_of_another_is_not_followed() -> None:
    cluster = await waiting()
    digest = cluster.get(MODELS, "credit-risk")["status"]["rollout"]["policyDigest"]
    [pinned] = [
        obj
        for (resource, _, _), obj in cluster.kube.objects.items()
        if resource == CONTROLLER_REVISIONS and obj["data"]["digest"] == digest
    ]
    lax = deepcopy(pinned["data"])
    lax["spec"]["stages"]["validation"]["approvals"] = []
    cluster.put(CONTROLLER_REVISIONS, pinned["metadata"]["name"], data=lax)
    cluster.put(
        CONTROLLER_REVISIONS, "credit-risk-policy-zzz", data=lax, metadata=labelled(**{"modelward.dev/kept": "Policy"})
    )
    await cluster.look()
    status = cluster.get(MODELS, "credit-risk")["status"]
    assert status["production"]["version"] == "v7"
    assert cluster.conditions()["Progressing"][1] == "AwaitingApproval", "it starts anew, under the policy as it is"


async def test_who_is_who_is_never_read_from_a_copy() -> None:
    """identityMap is no part of the digest that a policy is pinned by."""
    cluster = await waiting()
    for (resource, _, name), obj in list(cluster.kube.objects.items()):
        if resource == CONTROLLER_REVISIONS and "-policy-" in name:
            data = deepcopy(obj["data"])
            data["spec"]["identityMap"] = {"matchByName": True}
            cluster.put(resource, name, data=data)
    cluster.put(LIFECYCLE_POLICIES, "other", spec={**ASKING, "appliesTo": {"tiers": ["Low"], "priority": 9}})
    pinned = await _pinned(cluster)
    assert pinned
    for policy in pinned:
        assert not policy.spec.identity_map.match_by_name
        assert [person.name for person in policy.spec.identity_map.people] == ["ada"]


async def test_other_content_does_not_pass_for_what_was_judged_by_a_copy_that_claims_its_digest() -> None:
    cluster = await waiting()
    judged = cluster.get(MODEL_VERSIONS, "credit-risk-v8")["status"]["digest"]
    other = {**version("v8", replicas=7), "builtBy": ["ada"]}
    cluster.put(MODEL_VERSIONS, "credit-risk-v8", spec=other)
    cluster.put(
        CONTROLLER_REVISIONS,
        "credit-risk-v8",
        data={"digest": judged, "spec": other},
        metadata=labelled(**{"modelward.dev/kept": "Version"}),
    )
    await cluster.look()
    assert cluster.get(MODEL_VERSIONS, "credit-risk-v8")["status"]["digest"] != judged
    assert cluster.get(MODELS, "credit-risk")["status"]["rollout"]["digest"] != judged


async def _pinned(cluster: Cluster) -> list[Any]:
    observed = await cluster.reconciler._observer.observe(KEY, {})
    assert observed is not None
    return list(observed.snapshot.pinned.values())


async def test_a_copy_that_somebody_deletes_is_made_again_while_its_pods_run() -> None:
    """Without it, a ModelVersion that is deleted and made anew would be what a missing Deployment is made from."""
    cluster = Cluster()
    await cluster.look()
    before = deepcopy(cluster.get(CONTROLLER_REVISIONS, "credit-risk-v7")["data"])
    del cluster.kube.objects[CONTROLLER_REVISIONS, KEY.namespace, "credit-risk-v7"]
    await cluster.look(1)
    assert cluster.get(CONTROLLER_REVISIONS, "credit-risk-v7")["data"] == before
