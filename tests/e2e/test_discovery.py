"""An inference server that nobody has registered, in a namespace that opts in, and in one that does not."""

from examples.tumor_screening.environment import Environment
from tests.e2e.kubectl import Kubectl
from tests.e2e.scene import Scene

OPTED_IN = {"modelward.dev/discovery": "enabled"}
SERVERS = ("Deployment", "StatefulSet", "DaemonSet")


def server(kind: str, namespace: str, image: str) -> dict:
    """A workload that says MLServer of itself, and starts no pod."""
    labels = {"app": kind.lower()}
    container = {"name": "server", "image": image, "env": [{"name": "MLSERVER_HTTP_PORT", "value": "8080"}]}
    template = {
        "metadata": {"labels": labels},
        "spec": {"nodeSelector": {"there-is": "none"}, "containers": [container]},
    }
    spec = {"selector": {"matchLabels": labels}, "template": template}
    if kind != "DaemonSet":
        spec["replicas"] = 0
    if kind == "StatefulSet":
        spec["serviceName"] = "server"
    metadata = {"name": f"forgotten-{kind.lower()}", "namespace": namespace}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec}


async def test_a_server_that_nobody_registered_is_told_of_where_the_namespace_asks_for_it(
    scene: Scene, kubectl: Kubectl, environment: Environment
) -> None:
    events = await scene.watch("events.v1.events.k8s.io")
    await kubectl.apply(*(server(kind, scene.namespace, environment.example_image) for kind in SERVERS))
    await kubectl("label", "namespace", scene.namespace, *(f"{name}={value}" for name, value in OPTED_IN.items()))

    for kind in SERVERS:
        seen = await events.sight_of(
            lambda sight, kind=kind: (
                sight.object["reason"] == "UnregisteredWorkload" and sight.object["regarding"]["kind"] == kind
            ),
            f"an event about the {kind}",
        )
        assert seen.object["type"] == "Warning"
        assert "MLServer" in seen.object["note"]
    described = await kubectl("describe", "statefulset", "forgotten-statefulset", "-n", scene.namespace)
    assert "UnregisteredWorkload" in described
