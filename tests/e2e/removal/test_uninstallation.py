"""Taking the charts away takes nothing from users, and nothing that people wrote."""

import asyncio

from examples.tumor_screening.environment import DEFINITIONS_RELEASE, OPERATOR_RELEASE
from tests.e2e import policies
from tests.e2e.installed import Installed
from tests.e2e.policies import ERRORS
from tests.e2e.scene import Scene, assert_unharmed, serving

A_WHILE = 3.0


async def test_what_serves_goes_on_serving_without_operator_and_definitions_chart_and_is_taken_up_again(
    scene: Scene, installed: Installed
) -> None:
    model = await scene.establish("v1", policies.shadow(ERRORS) | policies.canary(ERRORS), "v2")
    objects = ("models,modelversions,modelauditrecords,deployments,services,httproutes", "-n", scene.namespace)
    before = {item["metadata"]["uid"] for item in await scene.kubectl.items(*objects)}
    values = await installed.values()

    async with scene.clients(rate=30) as clients:
        try:
            for release in (OPERATOR_RELEASE, DEFINITIONS_RELEASE):
                await installed.helm("uninstall", release, "--wait")
            await asyncio.sleep(A_WHILE)
            left = {item["metadata"]["uid"] for item in await scene.kubectl.items(*objects)}
            definitions = await asyncio.to_thread(scene.environment.definitions)
        finally:
            await installed.upgrade_definitions()
            await installed.upgrade(values)
        await model.ask_for("v2")
        await model.until_rest("v2")

    assert left == before
    assert len(definitions) == 6
    assert not any("deletionTimestamp" in definition["metadata"] for definition in definitions)
    assert_unharmed(clients)
    assert serving(model.status) == "v2"
