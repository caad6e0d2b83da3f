"""What the operator takes for its own in a cluster, and what it leaves alone: one reconcile against an API server in a dict."""

from copy import deepcopy
from types import SimpleNamespace
from typing import Any, cast

import pytest

from modelward.api.resources import (
    CONTROLLER_REVISIONS,
    DEPLOYMENTS,
    HTTP_ROUTES,
    LIFECYCLE_POLICIES,
    MODEL_EVALUATIONS,
    MODEL_VERSIONS,
    MODELS,
    SERVICES,
    Resource,
)
from modelward.metrics.reader import MetricsReader
from modelward.runtime.cache import Cache
from modelward.runtime.keys import ModelKey
from modelward.runtime.kube import Object
from modelward.runtime.reconcile import Reconciler
from modelward.runtime.settings import Settings
from modelward.runtime.telemetry import Telemetry
from modelward.stats.readings import Reading
from tests.unit.runtime.fakes import FakeClock, FakeKube

KEY = ModelKey("lending", "credit-risk")
TEMPLATE = {"spec": {"containers": [{"name": "server", "image": "registry.example/credit:v7"}]}}
ROUTE: dict[str, Any] = {
    "parentRefs": [{"name": "public", "namespace": "gateways"}],
    "hostnames": ["credit.example.com"],
    "pathPrefix": "/v1/predict",
}


# By evaluations alone, so that nothing is measured here.
WATCHED = {
    "monitoring": {
        "interval": "1h",
        "gates": [{"name": "auc", "evaluation": {"name": "holdout", "metric": "auc", "min": 0.5}}],
    }
}


async def _unread(version: str, *_: object) -> Reading:
    return Reading(version, at=0.0, problem="nothing is measured here", reason="MetricsUnavailable")


class Cluster:
    """A cluster in which v7 of credit-risk serves, and one operator that looks at it when told."""

    def __init__(self, **serving: Any) -> None:
        self.kube, self.cache, self.clock = FakeKube(), Cache(), FakeClock()
        self.unready: set[str] = set()  # Deployments whose pods never become ready
        self.put(
            LIFECYCLE_POLICIES,
            "low",
            spec={
                "appliesTo": {"tiers": ["Low"]},
                "stages": {"firstVersion": {"require": "Watch"}, "production": WATCHED},
            },
        )
        self.put(MODEL_VERSIONS, "credit-risk-v7", spec=version("v7"))
        self.put(MODELS, "credit-risk", spec={"production": {"version": "v7"}, "serving": {"route": ROUTE, **serving}})
        reader = cast(MetricsReader, SimpleNamespace(closed_sources={"platform"}, read=_unread))
        self.reconciler = Reconciler(
            cast(Any, self.kube), self.cache, reader, self.clock, Settings("modelward", "test"), Telemetry(self.clock)
        )

    def put(self, resource: Resource, name: str, **content: Any) -> Object:
        namespace = KEY.namespace if resource.namespaced else ""
        known = self.kube.objects.get((resource, namespace, name), {})
        metadata: dict[str, Any] = {
            "name": name, "uid": f"uid-{name}", "creationTimestamp": "2026-01-01T00:00:00Z", "generation": 1,
            **({"namespace": namespace} if namespace else {}), **known.get("metadata", {}), **content.pop("metadata", {}),
        }  # fmt: skip
        self.kube.hold(resource, {**known, **content, "metadata": metadata})
        stored = self.kube.objects[resource, namespace, name]
        self.cache.put(resource, stored)
        return stored

    def get(self, resource: Resource, name: str) -> Object:
        return self.kube.objects[resource, KEY.namespace, name]

    def has(self, resource: Resource, name: str) -> bool:
        return (resource, KEY.namespace, name) in self.kube.objects

    def conditions(self) -> dict[str, tuple[str, str, str]]:
        found = self.get(MODELS, "credit-risk")["status"]["conditions"]
        return {entry["type"]: (entry["status"], entry["reason"], entry.get("message", "")) for entry in found}

    async def look(self, times: int = 6) -> None:
        """Look, with a cluster that follows: pods become ready, watches bring what was written."""
        for _ in range(times):
            await self.reconciler.reconcile(KEY)
            for (resource, _, name), obj in list(self.kube.objects.items()):
                obj["metadata"].setdefault("creationTimestamp", "2026-01-01T00:00:01Z")
                obj["metadata"].setdefault("uid", f"uid-{name}")
                if resource == DEPLOYMENTS:
                    obj["status"] = {"availableReplicas": 0 if name in self.unready else obj["spec"]["replicas"]}
                if resource == HTTP_ROUTES:
                    said = [{"type": kind, "status": "True"} for kind in ("Accepted", "ResolvedRefs")]
                    obj["status"] = {"parents": [{"conditions": said}]}
                self.cache.put(resource, obj)


def version(name: str, **changes: Any) -> dict[str, Any]:
    return {"model": "credit-risk", "version": name, "serving": {"template": TEMPLATE, **changes}}


def labelled(**more: str) -> dict[str, Any]:
    return {"labels": {"modelward.dev/model": "credit-risk", **more}}


@pytest.mark.parametrize("resource", [DEPLOYMENTS, SERVICES], ids=str)
async def test_what_a_team_labels_with_the_name_of_its_model_is_left_alone(resource: Resource) -> None:
    cluster = Cluster()
    await cluster.look()
    cluster.put(resource, "feature-store", spec={"replicas": 1}, metadata=labelled())
    await cluster.look()
    assert cluster.has(resource, "feature-store")


async def test_a_service_that_has_the_name_of_a_version_is_not_written_over() -> None:
    cluster = Cluster()
    foreign = cluster.put(SERVICES, "credit-risk-v7", spec={"selector": {"app": "old"}, "ports": [{"port": 80}]})
    before = deepcopy(foreign["spec"])
    await cluster.look()
    assert cluster.get(SERVICES, "credit-risk-v7")["spec"] == before
    assert not cluster.has(HTTP_ROUTES, "credit-risk")


@pytest.mark.parametrize(
    ("resource", "serving"), [(HTTP_ROUTES, {}), (SERVICES, {"route": None})], ids=["route", "service"]
)
async def test_a_route_or_service_that_has_the_models_name_is_not_written_over(
    resource: Resource, serving: dict[str, Any]
) -> None:
    cluster = Cluster(**serving)
    foreign = cluster.put(resource, "credit-risk", spec={"hostnames": ["old.example.com"], "selector": {"app": "old"}})
    before = deepcopy(foreign["spec"])
    await cluster.look()
    assert cluster.get(resource, "credit-risk")["spec"] == before
    status, reason, message = cluster.conditions()["SpecValid"]
    assert (status, reason) == ("False", "RouteConflict")
    assert "lending/credit-risk is there already" in message


async def test_another_port_in_the_spec_is_for_versions_that_are_deployed_later() -> None:
    cluster = Cluster()
    await cluster.look()
    cluster.put(
        MODELS, "credit-risk", spec={"production": {"version": "v7"}, "serving": {"route": ROUTE, "port": 9999}}
    )
    await cluster.look()
    named = cluster.get(HTTP_ROUTES, "credit-risk")["spec"]["rules"][0]["backendRefs"]
    served = cluster.get(SERVICES, "credit-risk-v7")["spec"]["ports"]
    assert [backend["port"] for backend in named] == [port["port"] for port in served] == [8080]


async def test_a_claim_on_a_host_that_another_route_has_leaves_both_routes_as_they_were() -> None:
    cluster = Cluster()
    await cluster.look()
    theirs = {"parentRefs": [{"name": "public", "namespace": "gateways"}], "hostnames": ["fraud.example.com"]}
    theirs["rules"] = [{"matches": [{"path": {"type": "PathPrefix", "value": "/v1/predict"}}]}]
    cluster.put(HTTP_ROUTES, "fraud", spec=theirs, metadata={"creationTimestamp": "2026-06-01T00:00:00Z"})
    wanted = {**ROUTE, "hostnames": ["fraud.example.com"]}
    cluster.put(MODELS, "credit-risk", spec={"production": {"version": "v7"}, "serving": {"route": wanted}})
    await cluster.look()
    assert cluster.get(HTTP_ROUTES, "credit-risk")["spec"]["hostnames"] == ["credit.example.com"]
    assert cluster.conditions()["SpecValid"][:2] == ("False", "RouteConflict")


async def test_a_younger_route_takes_nothing_from_a_claim_that_is_in_force() -> None:
    cluster = Cluster()
    await cluster.look()
    theirs = deepcopy(cluster.get(HTTP_ROUTES, "credit-risk")["spec"])
    cluster.put(HTTP_ROUTES, "late", spec=theirs, metadata={"creationTimestamp": "2026-06-01T00:00:00Z"})
    await cluster.look()
    assert cluster.conditions()["SpecValid"][0] == "True"


@pytest.mark.parametrize("number", [2**53, float("inf")], ids=["a whole number beyond 2^53", "infinity"])
async def test_a_version_that_no_digest_can_be_made_of_blocks_nothing_and_is_told(number: float) -> None:
    cluster = Cluster()
    await cluster.look()
    template = {"spec": {**TEMPLATE["spec"], "securityContext": {"runAsUser": number}}}
    cluster.put(MODEL_VERSIONS, "credit-risk-v8", spec=version("v8", template=template))
    await cluster.look()
    assert cluster.conditions()["Ready"][:2] == ("True", "Promoted")
    cluster.put(MODELS, "credit-risk", spec={"production": {"version": "v8"}, "serving": {"route": ROUTE}})
    await cluster.look()
    status, _, message = cluster.conditions()["SpecValid"]
    assert status == "False"
    assert "credit-risk-v8: spec.serving.template" in message
    assert cluster.conditions()["Serving"][0] == "True"


async def test_a_policy_that_no_digest_can_be_made_of_blocks_no_model() -> None:
    cluster = Cluster()
    stages = {"validation": {"gates": [{"name": "checked", "job": {"limit": 2**60}}]}}
    cluster.put(LIFECYCLE_POLICIES, "broken", spec={"appliesTo": {"tiers": ["Low"], "priority": 9}, "stages": stages})
    await cluster.look()
    assert cluster.conditions()["Ready"][:2] == ("True", "Promoted")


@pytest.mark.parametrize("kind", ["Version", "Policy"])
@pytest.mark.parametrize("data", [None, {}, {"spec": {"model": 7}, "digest": "x", "name": "low"}], ids=str)
async def test_a_kept_copy_that_cannot_be_read_blocks_nothing(kind: str, data: Any) -> None:
    cluster = Cluster()
    broken = {**({"data": data} if data is not None else {}), "metadata": labelled(**{"modelward.dev/kept": kind})}
    cluster.put(CONTROLLER_REVISIONS, "credit-risk-v3", **broken)
    await cluster.look()
    assert cluster.conditions()["Ready"][:2] == ("True", "Promoted")


async def test_content_that_was_made_anew_under_the_name_that_serves_changes_no_pod() -> None:
    cluster = Cluster()
    cluster.put(MODEL_VERSIONS, "credit-risk-v7", spec=version("v7", replicas=3))
    await cluster.look()
    cluster.put(MODEL_VERSIONS, "credit-risk-v7", spec=version("v7", replicas=1))
    await cluster.look()
    assert cluster.get(DEPLOYMENTS, "credit-risk-v7")["spec"]["replicas"] == 3
    assert cluster.conditions()["SpecValid"][:2] == ("False", "VersionChanged")


async def test_at_rest_nothing_is_written() -> None:
    cluster = Cluster()
    await cluster.look(10)
    before = cluster.kube.writes
    await cluster.look(3)
    assert cluster.kube.writes == before


async def test_the_copy_of_a_version_is_kept_as_long_as_it_may_serve_again() -> None:
    cluster = Cluster()
    policy = {"firstVersion": {"require": "Watch"}, "production": {**WATCHED, "standby": {"keep": 1}}}
    cluster.put(LIFECYCLE_POLICIES, "low", spec={"appliesTo": {"tiers": ["Low"]}, "stages": policy})
    for name in ("v8", "policy-v9"):
        await cluster.look()
        cluster.put(MODEL_VERSIONS, f"credit-risk-{name}", spec=version(name))
        cluster.put(MODELS, "credit-risk", spec={"production": {"version": name}, "serving": {"route": ROUTE}})
    await cluster.look()
    cluster.clock.elapsed += 60
    await cluster.look()
    kept = {name for resource, _, name in cluster.kube.objects if resource == CONTROLLER_REVISIONS}
    [followed] = kept - {"credit-risk-v8", "credit-risk-policy-v9"}
    assert followed.startswith("credit-risk-policy-"), "what serves is monitored under the policy of its promotion"
    assert cluster.get(MODELS, "credit-risk")["status"]["production"]["version"] == "policy-v9"


async def test_a_query_of_a_model_is_not_asked_where_the_source_takes_those_of_policies_only() -> None:
    cluster = Cluster()
    cluster.put(
        LIFECYCLE_POLICIES,
        "low",
        spec={"appliesTo": {"tiers": ["Low"]}, "stages": {"canary": {"steps": [{"weight": 10, "minDuration": "1m"}]}}},
    )
    query = {"source": "platform", "query": "sum(spend)", "max": 10}
    spec = cluster.get(MODELS, "credit-risk")["spec"]
    cluster.put(
        MODELS, "credit-risk", spec={**spec, "gates": [{"name": "spend", "query": query, "stages": ["Canary"]}]}
    )
    await cluster.look()
    status, reason, message = cluster.conditions()["SpecValid"]
    assert (status, reason) == ("False", "InvalidGate")
    assert "brings a query of its own for source 'platform', which takes queries of policies only" in message


@pytest.mark.parametrize(("evaluators", "asks"), [((), False), (("vera",), True)], ids=["anybody's", "vera's alone"])
async def test_the_door_is_looked_at_for_a_new_evaluation_only_where_it_matters_who_made_it(
    evaluators: tuple[str, ...], asks: bool
) -> None:
    """Pipelines make evaluations all the time, and each look takes a request for each admission policy."""
    cluster = Cluster()
    watched = deepcopy(WATCHED)
    gate: dict[str, Any] = watched["monitoring"]["gates"][0]  # type: ignore[assignment, index]
    gate["evaluation"]["evaluators"] = list(evaluators)
    stages = {"firstVersion": {"require": "Watch"}, "production": watched}
    cluster.put(LIFECYCLE_POLICIES, "low", spec={"appliesTo": {"tiers": ["Low"]}, "stages": stages})
    await cluster.look()
    spec = {
        "model": "credit-risk", "version": "v7", "versionDigest": "sha256:" + 64 * "0", "name": "holdout", "evaluator": "vera",
        "metrics": [{"name": "auc", "value": 0.9}], "at": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    made = cluster.clock.now().isoformat()
    cluster.put(MODEL_EVALUATIONS, "holdout-1", spec=spec, metadata={"creationTimestamp": made})
    read, asked = cluster.kube.get, []

    async def get(resource: Resource, namespace: str | None, name: str) -> Object | None:
        asked.append(resource.plural)
        return await read(resource, namespace, name)

    cluster.kube.get = get  # type: ignore[method-assign]
    await cluster.reconciler.reconcile(KEY)
    assert ("validatingadmissionpolicies" in asked) is asks
