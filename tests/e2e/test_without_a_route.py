"""Without Gateway API: a Service whose selector is switched, all or nothing."""

import pytest

from tests.e2e import policies
from tests.e2e.policies import ERRORS
from tests.e2e.scene import MODEL, Scene, assert_unharmed, serving


async def test_without_a_route_a_service_is_switched_and_shares_are_refused(scene: Scene) -> None:
    if not scene.environment.is_local:
        pytest.skip("Services can be reached from outside of the local cluster only")
    model = await scene.establish("v1", {}, "v2", "v4", route={})
    service = await scene.kubectl.get("service", MODEL, "-n", scene.namespace)
    url = f"http://{service['spec']['clusterIP']}:8080/v1/predict"
    await scene.until_answered(url=url)

    async with scene.clients(rate=20, url=url) as clients:
        await model.ask_for("v2")
        await model.until_rest("v2")
        async with scene.clients(rate=20, url=url) as newcomers:
            switched = await scene.kubectl.get("service", MODEL, "-n", scene.namespace)

            # A Service can neither mirror nor split.
            await scene.set_policy(policies.shadow(ERRORS) | policies.canary(ERRORS))
            await model.ask_for("v4")
            invalid = await model.until_condition("SpecValid", "False", "RouteRequired")

    assert switched["metadata"]["uid"] == service["metadata"]["uid"]
    assert switched["spec"]["selector"]["modelward.dev/version"] == "v2"
    assert set(newcomers.by_version) == {"v2"}
    assert_unharmed(clients)
    assert_unharmed(newcomers)
    assert "spec.serving.route" in invalid["message"]
    assert serving(model.status) == "v2"
    assert not await scene.kubectl.items("pods", "-n", scene.namespace, "-l", "modelward.dev/version=v4")
