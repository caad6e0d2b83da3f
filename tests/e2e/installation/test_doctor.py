"""`modelward doctor` on the whole cluster: nothing is wrong with what works, and what only a cluster can break is told."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from examples.tumor_screening.environment import OPERATOR_RELEASE, Environment
from examples.tumor_screening.people import modelward
from tests.e2e import policies
from tests.e2e.kubectl import Kubectl
from tests.e2e.policies import ERRORS
from tests.e2e.scene import MODEL, Manifest, Scene

NO_METRICS_HERE = 9191


@dataclass(frozen=True)
class Told:
    """What the command said."""

    exit_code: int
    findings: list[Mapping[str, str]]

    @property
    def amiss(self) -> list[Mapping[str, str]]:
        return [each for each in self.findings if each["level"] != "OK"]

    def of(self, check: str) -> list[Mapping[str, str]]:
        return [each for each in self.amiss if each["check"] == check]


@pytest.fixture
async def scene(environment: Environment, kubectl: Kubectl) -> AsyncIterator[Scene]:
    """A namespace that no run before this one had: the audit trail of that one is still where it was exported to."""
    played = Scene(environment, kubectl, f"e2e-doctor-{secrets.token_hex(4)}")
    await played.open()
    yield played
    await played.close()


async def test_nothing_is_wrong_until_a_network_policy_fences_the_pods_in(scene: Scene) -> None:
    model = await scene.establish("v1", policies.shadow(ERRORS))
    await model.until(lambda status: (status.get("monitoring") or {}).get("gates"), "a look at what serves")

    told = await doctor(scene.environment, "--strict", "-n", scene.namespace)
    assert told.amiss == [], told.amiss
    assert told.exit_code == 0

    async with standing(scene, fence("NetworkPolicy", podSelector={}, policyTypes=["Ingress"])):
        told = await doctor(scene.environment, "-n", scene.namespace)
    assert [(each["check"], each["level"]) for each in told.amiss] == [("network", "Problem")], told.amiss
    (found,) = told.amiss
    assert f"NetworkPolicy fence in namespace {scene.namespace} keeps the operator from port 9090" in found["message"]
    assert told.exit_code == 1


async def test_metrics_that_the_operator_does_not_get_are_told_in_its_words(scene: Scene) -> None:
    """Requests are answered; the metrics are looked for on a port where nothing listens."""
    model = await scene.establish("v1", policies.shadow(ERRORS), "v2", metrics={"port": NO_METRICS_HERE})
    async with scene.clients(rate=10):
        await model.ask_for("v2")
        await model.until(lambda status: unknown(status, "MetricsUnavailable"), "a gate without metrics")
        told = await doctor(scene.environment, "-n", scene.namespace)
    found = told.of("metrics")
    assert found, told.amiss
    assert any(str(NO_METRICS_HERE) in each["message"] for each in found)
    assert all(f"{scene.namespace}/{MODEL}" in each["message"] for each in found)
    assert found[0]["remedy"] == f"kubectl describe model {MODEL} -n {scene.namespace}"


async def test_a_route_that_the_gateway_does_not_take_is_told_with_the_reason(scene: Scene) -> None:
    nowhere = {"name": "public", "namespace": "gateways", "sectionName": "https"}
    await scene.set_policy(policies.shadow(ERRORS))
    await scene.kubectl.apply(scene.version("v1"), scene.model("v1", route={"parentRefs": [nowhere]}))
    model = await scene.follow()
    await model.until_condition("TrafficApplied", "False", "RouteNotAccepted")
    told = await doctor(scene.environment, "-n", scene.namespace)
    (gateway,), (route,) = told.of("gateways"), told.of("routes")
    assert "Gateway gateways/public has no listener 'https'" in gateway["message"]
    assert "it has http" in gateway["message"]
    assert route["message"].startswith(f"{scene.namespace}/{MODEL}: ")
    assert "Accepted=False" in route["message"]


async def test_an_operator_that_does_not_start_is_told_why(scene: Scene) -> None:
    """Another Deployment with the operator's label, of which the kubelet says what it says of real ones."""
    environment, kubectl = scene.environment, scene.kubectl
    await kubectl.apply(await a_copy_of_the_operator(scene, image="localhost/modelward:never-built"))
    watched = await scene.watch("pods", "-l", f"app.kubernetes.io/name={OPERATOR_RELEASE}")
    await watched.sight_of(lambda sight: waiting(sight.object) in ("ErrImagePull", "ImagePullBackOff"), "a failed pull")
    (found,) = (await doctor(environment, "--operator-namespace", scene.namespace)).of("operator")
    assert "cannot pull localhost/modelward:never-built" in found["message"]

    no_file = ["--metrics-config=/not/there.yaml"]
    await kubectl.apply(await a_copy_of_the_operator(scene, args=no_file))
    await watched.sight_of(lambda sight: waiting(sight.object) == "CrashLoopBackOff", "a crash")
    (found,) = (await doctor(environment, "--operator-namespace", scene.namespace)).of("operator")
    assert "ended with exit code 2" in found["message"], found
    assert "--metrics-config: there is no file /not/there.yaml" in found["message"], found

    volume = {"name": "signing", "secret": {"secretName": "not-there"}}
    await kubectl.apply(await a_copy_of_the_operator(scene, volumes=[volume]))
    events = await scene.watch("events.v1.events.k8s.io")
    await events.sight_of(
        lambda sight: 'secret "not-there" not found' in sight.object.get("note", ""), "a missing Secret"
    )
    (found,) = (await doctor(environment, "--operator-namespace", scene.namespace)).of("operator")
    assert 'secret "not-there" not found' in found["message"]


async def doctor(environment: Environment, *words: str) -> Told:
    """What ``modelward doctor WORDS`` says to an administrator."""
    said = await asyncio.to_thread(modelward, "doctor", *words, "-o", "json", kubeconfig=environment.kubeconfig)
    return Told(said.code, json.loads(said.text)["findings"])


@contextlib.asynccontextmanager
async def standing(scene: Scene, manifest: Manifest) -> AsyncIterator[None]:
    """An object of the scene's namespace, for a while."""
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    await scene.kubectl.apply({**manifest, "metadata": {"name": name, "namespace": scene.namespace}})
    yield
    await scene.kubectl("delete", kind, name, "-n", scene.namespace)


def fence(kind: str, **spec: Any) -> Manifest:
    return {"apiVersion": "networking.k8s.io/v1", "kind": kind, "metadata": {"name": "fence"}, "spec": spec}


async def a_copy_of_the_operator(
    scene: Scene, image: str = "", args: list[str] | None = None, volumes: list[Manifest] | None = None
) -> Manifest:
    """The operator's Deployment in the scene's namespace, with another image, flags or volumes, and without its configuration."""
    live = await scene.kubectl.get("deployment", OPERATOR_RELEASE, "-n", scene.environment.operator_namespace)
    labels = live["spec"]["template"]["metadata"]["labels"]
    container = live["spec"]["template"]["spec"]["containers"][0]
    mounts = [{"name": volume["name"], "mountPath": f"/mnt/{volume['name']}"} for volume in volumes or ()]
    started = {
        "name": "operator",
        "image": image or container["image"],
        "args": args or ["--help"],
        "volumeMounts": mounts,
        # As the chart has it: whatever starts again for a moment, before it crashes anew, is not ready.
        "ports": container["ports"],
        "readinessProbe": container["readinessProbe"],
    }
    pod = {"containers": [started], "volumes": volumes or [], "terminationGracePeriodSeconds": 0}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": OPERATOR_RELEASE, "namespace": scene.namespace, "labels": live["metadata"]["labels"]},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate", "rollingUpdate": None},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def unknown(status: Mapping[str, Any], reason: str) -> bool:
    return any(row["result"] == "Unknown" and row["reason"] == reason for row in status.get("gates") or ())


def waiting(pod: Mapping[str, Any]) -> str:
    """Why a pod's container does not run."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return next((each["state"]["waiting"].get("reason", "") for each in statuses if "waiting" in each["state"]), "")
