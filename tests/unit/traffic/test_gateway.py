"""The HTTPRoute that the operator owns: every default written out, read back as it was built, and its conflicts."""

from copy import deepcopy
from typing import Any

import pytest

from modelward.lifecycle.plan import Traffic
from modelward.traffic import gateway
from tests.unit.lifecycle.builders import model

MODEL = model().s.model
SPLITS = {
    "all to one": Traffic({"v7": 100}),
    "a canary": Traffic({"v7": 90, "v8": 10}),
    "a shadow": Traffic({"v7": 100}, {"v8": 100}),
    "a canary beside two challengers": Traffic({"v7": 50, "v8": 50}, {"v9": 20, "v10": 100}),
    "names with hyphens": Traffic({"v7-rc-1": 100}, {"v7": 5}),
}


def route_of(traffic: Traffic, generation: int = 4, **conditions: str) -> dict[str, Any]:
    """A built route as the API server has it, with what the gateway says of it."""
    built = deepcopy(gateway.build(MODEL, traffic))
    built["metadata"]["generation"] = generation
    if conditions:
        built["status"] = {"parents": [parent(generation, **conditions)]}
    return built


def parent(generation: int, **conditions: str) -> dict[str, Any]:
    said = [
        {"type": kind, "status": status, "observedGeneration": generation, "reason": "Said", "message": f"about {kind}"}
        for kind, status in conditions.items()
    ]
    return {"parentRef": {"name": "public"}, "controllerName": "example.com/gateway", "conditions": said}


def test_a_route_writes_every_default_out() -> None:
    built = gateway.build(MODEL, Traffic({"v8": 10, "v7": 90}, {"v9": 25}))
    assert built == {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {
            "name": "credit-risk",
            "namespace": "lending",
            "labels": {"modelward.dev/model": "credit-risk", "app.kubernetes.io/managed-by": "modelward"},
            "ownerReferences": [
                {
                    "apiVersion": "modelward.dev/v1alpha1", "kind": "Model", "name": "credit-risk", "uid": "uid-1",
                    "controller": True, "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": {
            "parentRefs": [
                {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "public", "namespace": "gateways"}
            ],
            "hostnames": ["credit.example.com"],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/v1/predict"}}],
                    "backendRefs": [
                        {"group": "", "kind": "Service", "name": "credit-risk-v7", "port": 8080, "weight": 90},
                        {"group": "", "kind": "Service", "name": "credit-risk-v8", "port": 8080, "weight": 10},
                    ],
                    "filters": [
                        {
                            "type": "RequestMirror",
                            "requestMirror": {
                                "backendRef": {"group": "", "kind": "Service", "name": "credit-risk-v9", "port": 8080},
                                "percent": 25,
                            },
                        }
                    ],
                }
            ],
        },
    }  # fmt: skip


@pytest.mark.parametrize("traffic", SPLITS.values(), ids=SPLITS.keys())
def test_what_is_read_is_what_was_built(traffic: Traffic) -> None:
    view = gateway.read(MODEL, route_of(traffic))
    assert (view.weights, view.mirrors) == (traffic.weights, traffic.mirrors)


def test_a_route_without_mirrors_has_no_filters_and_no_backend_ever_has_any() -> None:
    (rule,) = gateway.build(MODEL, Traffic({"v7": 100}))["spec"]["rules"]
    assert "filters" not in rule
    assert all("filters" not in backend for backend in rule["backendRefs"])


def test_a_build_does_not_depend_on_the_order_of_the_shares() -> None:
    assert gateway.build(MODEL, Traffic({"a": 1, "b": 99})) == gateway.build(MODEL, Traffic({"b": 99, "a": 1}))


@pytest.mark.parametrize(
    ("route", "in_force", "accepted", "resolved"),
    [
        pytest.param(route_of(SPLITS["a canary"]), False, None, None, id="nobody has said anything"),
        pytest.param(route_of(SPLITS["a canary"], Accepted="True", ResolvedRefs="True"), True, True, True, id="in force"),
        pytest.param(route_of(SPLITS["a canary"], Accepted="False", ResolvedRefs="True"), False, False, True, id="refused"),
        pytest.param(route_of(SPLITS["a canary"], Accepted="True", ResolvedRefs="False"), False, True, False, id="a backend is missing"),
        pytest.param(route_of(SPLITS["a canary"], Accepted="True"), False, True, None, id="only half is said"),
    ],
)  # fmt: skip
def test_a_route_is_in_force_when_it_is_accepted_and_resolved(
    route: dict[str, Any], in_force: bool, accepted: bool | None, resolved: bool | None
) -> None:
    view = gateway.read(MODEL, route)
    assert (view.in_force, view.accepted, view.resolved) == (in_force, accepted, resolved)


def test_conditions_of_an_older_generation_say_nothing_of_the_newest_route() -> None:
    route = route_of(SPLITS["a canary"], Accepted="True", ResolvedRefs="True")
    route["metadata"]["generation"] = 5
    view = gateway.read(MODEL, route)
    assert (view.observed, view.in_force) == (False, False)


def test_every_gateway_of_a_route_has_to_take_it_over() -> None:
    route = route_of(SPLITS["a canary"], Accepted="True", ResolvedRefs="True")
    route["spec"]["parentRefs"].append({"name": "internal"})
    assert not gateway.read(MODEL, route).in_force
    route["status"]["parents"].append(parent(4, Accepted="True", ResolvedRefs="True"))
    assert gateway.read(MODEL, route).in_force


def test_what_was_said_of_a_listener_that_the_route_has_left_counts_no_more() -> None:
    """Envoy Gateway leaves it in the status."""
    route = route_of(SPLITS["a canary"], Accepted="True", ResolvedRefs="True")
    left = parent(3, Accepted="False", ResolvedRefs="True")
    left["parentRef"] = {**route["spec"]["parentRefs"][0], "sectionName": "misspelt"}
    route["status"]["parents"].append(left)
    view = gateway.read(MODEL, route)
    assert (view.in_force, view.accepted, view.message) == (True, True, "")


def test_what_was_said_long_ago_of_a_gateway_that_the_route_still_has_is_waited_for() -> None:
    route = route_of(SPLITS["a canary"], Accepted="True", ResolvedRefs="True")
    route["spec"]["parentRefs"].append({"name": "internal", "namespace": "gateways"})
    old = parent(3, Accepted="True", ResolvedRefs="True")
    old["parentRef"] = {"name": "internal", "namespace": "gateways"}
    route["status"]["parents"].append(old)
    assert not gateway.read(MODEL, route).in_force


def test_what_a_gateway_objects_to_is_told_in_its_own_words() -> None:
    view = gateway.read(MODEL, route_of(SPLITS["a canary"], Accepted="True", ResolvedRefs="False"))
    assert view.message == "ResolvedRefs=False (Said): about ResolvedRefs"


def other(
    path: str = "/v1/predict", hosts: tuple[str, ...] = ("credit.example.com",), parent: Any = None, **match: Any
) -> dict[str, Any]:
    parents = [{"name": "public", "namespace": "gateways"} if parent is None else parent]
    matches = [{"path": {"type": match.pop("type", "PathPrefix"), "value": path}, **match}]
    spec = {"parentRefs": parents, "hostnames": list(hosts), "rules": [{"matches": matches}]}
    return {"metadata": {"name": "other", "namespace": "shop"}, "spec": spec}


@pytest.mark.parametrize(
    ("route", "taken"),
    [
        pytest.param(other(), "credit.example.com/v1/predict", id="the same host and path"),
        pytest.param(
            other(path="/v1/predict/"), "credit.example.com/v1/predict", id="a slash at the end is the same prefix"
        ),
        pytest.param(
            other(hosts=("a.example.com", "credit.example.com")),
            "credit.example.com/v1/predict",
            id="one host of several",
        ),
        pytest.param(other(path="/v2/predict"), None, id="another path"),
        pytest.param(other(path="/"), None, id="a shorter path leaves the longer one alone"),
        pytest.param(other(hosts=("shop.example.com",)), None, id="another host"),
        pytest.param(other(hosts=()), None, id="every host leaves the exact one alone"),
        pytest.param(other(parent={"name": "public"}), None, id="a Gateway of that name in another namespace"),
        pytest.param(other(parent={"name": "internal", "namespace": "gateways"}), None, id="another Gateway"),
        pytest.param(other(type="Exact"), None, id="an exact path takes that one request only"),
        pytest.param(other(headers=[{"name": "x", "value": "y"}]), None, id="only requests with a header"),
        pytest.param(other(method="GET"), None, id="only one method"),
        pytest.param({"metadata": {"namespace": "shop"}, "spec": {}}, None, id="a route without anything"),
    ],
)
def test_two_routes_overlap(route: dict[str, Any], taken: str | None) -> None:
    assert MODEL.spec.serving is not None and MODEL.spec.serving.route is not None
    assert gateway.overlapping(MODEL, MODEL.spec.serving.route, route) == taken


def test_two_listeners_of_one_gateway_do_not_overlap() -> None:
    assert MODEL.spec.serving is not None and MODEL.spec.serving.route is not None
    (reference,) = MODEL.spec.serving.route.parent_refs
    own = MODEL.spec.serving.route.model_copy(
        update={"parent_refs": (reference.model_copy(update={"section_name": "https"}),)}
    )
    on_http = {"name": "public", "namespace": "gateways", "sectionName": "http"}
    assert gateway.overlapping(MODEL, own, other(parent=on_http)) is None
    assert gateway.overlapping(MODEL, own, other(parent={**on_http, "sectionName": "https"})) is not None
    assert gateway.overlapping(MODEL, own, other()) is not None, "the other takes every listener"


def test_two_routes_for_every_host_overlap() -> None:
    assert MODEL.spec.serving is not None and MODEL.spec.serving.route is not None
    own = MODEL.spec.serving.route.model_copy(update={"hostnames": ()})
    assert gateway.overlapping(MODEL, own, other(hosts=())) == "every host, /v1/predict"
