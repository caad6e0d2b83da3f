"""Bad input, thrown at a Model that serves: it is named to the user, and the users of the model never notice."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from examples.tumor_screening.environment import Environment
from examples.tumor_screening.load import LoadGenerator
from tests.e2e import policies
from tests.e2e.kubectl import Kubectl, Refused
from tests.e2e.policies import ERRORS
from tests.e2e.scene import MODEL, FollowedModel, Scene, assert_unharmed, gate, latch, serving

pytestmark = pytest.mark.xdist_group("bad input")

STAGES = policies.shadow(ERRORS, at_least="2s") | policies.canary(ERRORS)
IMPOSSIBLE_WITHIN = "6s"


@dataclass(frozen=True)
class Serving:
    """A Model in production, with clients that ask it throughout."""

    scene: Scene
    model: FollowedModel
    clients: LoadGenerator


@pytest.fixture(scope="module")
async def production(environment: Environment, kubectl: Kubectl) -> AsyncIterator[Serving]:
    scene = Scene(environment, kubectl, "e2e-bad-input")
    await scene.open()
    model = await scene.establish("v1", STAGES)
    async with scene.clients(rate=10) as clients:
        yield Serving(scene, model, clients)
    await scene.close()


@pytest.fixture
async def untouched(production: Serving) -> AsyncIterator[Serving]:
    """Production, which must be as it was when the test is over."""
    splits, requests = len(production.model.splits()), len(production.clients.answers)
    yield production
    try:
        assert_unharmed(production.clients)
        assert set(production.clients.by_version) == {"v1"}
        assert len(production.clients.answers) > requests
        assert len(production.model.splits()) == splits
        assert serving(production.model.status) == "v1"
    except AssertionError:
        print(await production.scene.report())
        raise
    await production.model.ask_for("v1")
    await production.model.until_rest("v1")


@pytest.mark.parametrize(
    ("version", "changes"),
    [
        pytest.param("v5", {"image": "localhost/not-there:1"}, id="an image that does not exist"),
        pytest.param("v2", {"healthy": False}, id="a readiness probe that fails"),
    ],
)
async def test_pods_that_never_become_ready_are_given_up_and_latched(
    untouched: Serving, version: str, changes: dict[str, Any]
) -> None:
    scene, model = untouched.scene, untouched.model
    await scene.kubectl.apply(scene_version(scene, version, **changes))
    await model.ask_for(version)
    failed = await model.until_latched(version)

    assert failed["reason"] == "ProgressDeadlineExceeded"
    assert "0 of 1 pods" in failed["message"]
    assert "kubectl describe pods" in failed["message"]
    status = await model.until_condition("Ready", "False", "RolledBack")
    assert failed["message"] in status["message"]


async def test_a_metrics_port_that_answers_html_is_no_evidence_and_says_so(untouched: Serving) -> None:
    scene, model = untouched.scene, untouched.model
    command = ["/opt/server/bin/python", "-m", "http.server", "9091", "--directory", "/app"]
    page = {"name": "page", "image": scene.environment.example_image, "command": command}
    await scene.kubectl.apply(scene.version("v4", besides=[page]))
    await model.patch({"production": {"version": "v4"}, "serving": {"metrics": {"port": 9091, "path": "/"}}})
    status = await model.until(
        lambda status: gate(status, "errors", "v4").get("reason") == "InvalidResult", "a verdict"
    )

    row = gate(status, "errors", "v4")
    assert row["result"] == "Unknown"
    assert "text/html, not Prometheus text, on :9091/" in row["message"]
    assert "spec.serving.metrics" in row["message"]
    assert latch(status, "v4") is None
    await model.patch({"production": {"version": "v1"}, "serving": {"metrics": {"port": 9090, "path": "/metrics"}}})


async def test_a_version_that_does_not_exist_is_named_and_can_be_made_later(untouched: Serving) -> None:
    model = untouched.model
    await model.ask_for("v9")
    invalid = await model.until_condition("SpecValid", "False", "VersionNotFound")
    assert f"'{MODEL}-v9'" in invalid["message"]


async def test_a_second_model_on_the_same_host_and_path_is_refused_its_route(untouched: Serving) -> None:
    scene, rival = untouched.scene, "rival"
    await scene.kubectl.apply(scene.version("v2", model=rival), scene.model("v2", name=rival))
    model = await scene.follow(rival)
    invalid = await model.until_condition("SpecValid", "False", "RouteConflict")

    assert f"{scene.namespace}/{MODEL}" in invalid["message"]
    assert f"{scene.host}/v1/predict" in invalid["message"]
    routes = await scene.kubectl.items("httproutes", "-n", scene.namespace)
    assert [route["metadata"]["name"] for route in routes] == [MODEL]
    await scene.kubectl("delete", "model", rival, "-n", scene.namespace)


async def test_a_gateway_that_does_not_exist_is_named(untouched: Serving) -> None:
    scene, name = untouched.scene, "elsewhere"
    nowhere = {"parentRefs": [{"name": "absent", "namespace": "gateways"}]}
    await scene.kubectl.apply(scene.version("v2", model=name), scene.model("v2", name=name, route=nowhere))
    model = await scene.follow(name)
    applied = await model.until_condition("TrafficApplied", "False", "RouteNotAccepted", saying="absent")

    assert "Gateway 'absent' does not exist in namespace 'gateways'" in applied["message"]
    assert "spec.serving.route.parentRefs" in applied["message"]
    reached = await model.until_condition("Serving", "False", "RouteNotAccepted")
    assert "Gateway 'absent'" in reached["message"]
    await scene.kubectl("delete", "model", name, "-n", scene.namespace)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param("edited version", "immutable", id="a version that is edited"),
        pytest.param("falling weights", "weights must rise", id="weights that fall"),
        pytest.param("edges out of order", "ascending", id="edges out of order"),
    ],
)
async def test_what_can_be_seen_at_the_door_is_refused_there(untouched: Serving, change: str, told: str) -> None:
    scene = untouched.scene
    edited, crooked = scene.version("v1"), scene.version("v7")
    edited["spec"]["artifact"]["uri"] = "file:///somewhere/else"
    crooked["spec"]["baseline"]["features"][0]["edges"].reverse()
    manifests = {
        "edited version": edited,
        "falling weights": policies.policy(scene.namespace, policies.canary(weights=(50, 20))),
        "edges out of order": crooked,
    }
    with pytest.raises(Refused, match=told):
        await scene.kubectl.apply(manifests[change])


async def test_a_policy_that_is_deleted_does_not_stop_the_rollout_that_it_began(untouched: Serving) -> None:
    scene, model = untouched.scene, untouched.model
    await scene.set_policy(policies.shadow(ERRORS, at_least="10m"))
    await scene.kubectl.apply(scene.version("v6", healthy=False, deadline="10m"))
    await model.ask_for("v6")
    await model.until_stage("v6", "Shadow")
    pinned = model.status["rollout"]["policyDigest"]
    await scene.kubectl("delete", "lifecyclepolicy", scene.namespace)
    await model.until_condition("Progressing", "True", "StageRunning", saying="pods are ready")

    assert model.status["rollout"]["policyDigest"] == pinned
    assert model.status["rollout"]["policy"] == scene.namespace
    await scene.set_policy(STAGES)


def scene_version(scene: Scene, version: str, **changes: Any) -> dict[str, Any]:
    return scene.version(version, deadline=IMPOSSIBLE_WITHIN, **changes)
