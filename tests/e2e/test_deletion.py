"""A Model that is deleted takes its route away first, and nobody else's."""

from tests.e2e.kubectl import Sight
from tests.e2e.scene import MODEL, Scene, assert_unharmed

OTHER = "other"


async def test_a_deleted_model_loses_its_route_before_its_pods_and_leaves_others_alone(scene: Scene) -> None:
    await scene.establish("v1", {})
    other_host = f"other.{scene.host}"
    await scene.kubectl.apply(
        scene.version("v1", model=OTHER), scene.model("v1", name=OTHER, route={"hostnames": [other_host]})
    )
    await (await scene.follow(OTHER)).until_rest("v1")
    await scene.until_answered(other_host)
    route = await scene.watch("httproute", MODEL)
    pods = await scene.watch("pods", "-l", f"modelward.dev/model={MODEL}")
    await route.until(lambda _: True, "the route")
    await pods.until(lambda _: True, "the pods")

    async with scene.clients(rate=20) as clients, scene.clients(rate=20, host=other_host) as others:
        await scene.kubectl("delete", "model", MODEL, "-n", scene.namespace, "--timeout=4m")
        without_route = await route.sight_of(_is_gone, "the end of the route")
        ending = await pods.sight_of(
            lambda sight: "deletionTimestamp" in sight.object["metadata"], "the end of the pods"
        )

    assert without_route.at < ending.at
    assert_unharmed(others)
    assert {answer.status for answer in clients.failures} <= {404}, "no route any more, but never a broken one"
    left = await scene.kubectl("get", "deployments,services,httproutes", "-n", scene.namespace, "-o", "name")
    assert f"/{MODEL}" not in left
    assert f"/{OTHER}" in left


def _is_gone(sight: Sight) -> bool:
    return sight.kind_of_event == "DELETED"
