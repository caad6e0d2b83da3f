"""What a version brings along: an autoscaler while it has all of its pods, and a baseline that lies beside it."""

import json

from modelward.api.digests import digest_of_model
from modelward.api.model_version import Baseline
from tests.e2e import policies
from tests.e2e.policies import DRIFT
from tests.e2e.scene import MODEL, Scene, assert_unharmed, gate

SCALED = {"min": 2, "max": 3}


async def test_a_version_is_scaled_while_it_serves_and_not_while_it_stands_by(scene: Scene) -> None:
    policy = policies.policy(scene.namespace, {})
    policy["spec"]["stages"]["production"]["standby"] = {"keep": 1, "replicas": 1}
    scaled = scene.version("v1")
    scaled["spec"]["serving"]["autoscaling"] = SCALED
    await scene.kubectl.apply(policy, scaled, scene.version("v2"), scene.model("v1"))
    model = await scene.follow()
    await model.until_rest("v1")
    await scene.until_answered()
    (autoscaler,) = await scene.kubectl.items("horizontalpodautoscalers", "-n", scene.namespace)
    assert autoscaler["spec"]["scaleTargetRef"]["name"] == autoscaler["metadata"]["name"] == f"{MODEL}-v1"
    assert (autoscaler["spec"]["minReplicas"], autoscaler["spec"]["maxReplicas"]) == (2, 3)
    pods = await scene.watch("deployment", f"{MODEL}-v1")

    async with scene.clients(rate=20) as clients:
        await model.ask_for("v2")
        await model.until_rest("v2")
        await pods.until(lambda shown: shown["spec"]["replicas"] == 1, "one pod that stands by")
        assert await scene.kubectl.items("horizontalpodautoscalers", "-n", scene.namespace) == []

        await model.ask_for("v1")
        await model.until_rest("v1")
        assert pods.now["spec"]["replicas"] == 2
        assert len(await scene.kubectl.items("horizontalpodautoscalers", "-n", scene.namespace)) == 1

    assert_unharmed(clients)


async def test_a_baseline_in_a_config_map_is_what_drift_is_judged_by(scene: Scene) -> None:
    version = scene.version("v2")
    inline = version["spec"]["baseline"]
    kept = {"name": "baseline-v2", "namespace": scene.namespace}
    digest = digest_of_model(Baseline.model_validate(inline))
    version["spec"]["baseline"] = {"configMap": kept["name"], "digest": digest}
    model = await scene.establish("v1", policies.shadow(DRIFT))
    await scene.kubectl.apply(version)

    async with scene.clients(rate=40):
        await model.ask_for("v2")
        missing = f"there is no ConfigMap {kept['name']!r}"
        await model.until_condition("SpecValid", "False", "BaselineMissing", saying=missing)

        await scene.kubectl.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": kept,
                "data": {"baseline.json": json.dumps(inline)},
            }
        )
        await model.until(lambda status: gate(status, "drift", "v2").get("result") == "Pass", "a passed gate")
        await model.until_rest("v2")
