"""A Model may get a route, or lose it, while it serves: nothing is left behind that names a version whose pods go."""

from modelward.api.resources import HTTP_ROUTES, MODELS, SERVICES
from modelward.runtime.kube import KubeClient
from tests.api.rollouts.world import MODEL, STAGES, World, model_manifest, new_world, serving_world


async def _selected(world: World) -> str | None:
    found = await world.kube.get(SERVICES, world.namespace, MODEL)
    return found["spec"]["selector"]["modelward.dev/version"] if found else None


async def test_a_model_that_loses_its_route_is_served_by_its_service_and_the_route_goes(kube: KubeClient) -> None:
    world = await serving_world(kube)
    await world.kube.patch(MODELS, world.namespace, MODEL, {"spec": {"serving": {"route": None}}})
    world.look_again()
    await world.settle()
    assert await _selected(world) == "v1"
    assert await world.kube.get(HTTP_ROUTES, world.namespace, MODEL) is None


async def test_a_model_that_gets_a_route_keeps_serving_the_clients_of_its_service(kube: KubeClient) -> None:
    world = await new_world(kube)
    await world.set_policy({"production": STAGES["production"]})
    await world.serve("v1", serving={"port": 8080}, monitoring={"dashboardURL": "https://grafana.example.com/scorer"})
    await world.settle()
    route = model_manifest(world.namespace, "v1")["spec"]["serving"]["route"]
    await world.kube.patch(MODELS, world.namespace, MODEL, {"spec": {"serving": {"route": route}}})
    world.look_again()
    await world.settle()
    assert await world.split() == ({"v1": 100}, {})
    await world.ask_for("v2")
    await world.settle()
    assert await world.split() == ({"v2": 100}, {})
    assert await _selected(world) == "v2"
