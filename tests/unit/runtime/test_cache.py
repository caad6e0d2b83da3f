"""The cache: what is kept, what a resync drops, and who an object belongs to."""

from typing import Any

import pytest

from modelward.api.resources import (
    DEPLOYMENTS,
    HTTP_ROUTES,
    LIFECYCLE_POLICIES,
    MODEL_EVALUATIONS,
    MODEL_VERSIONS,
    MODELS,
    SERVICES,
    Resource,
)
from modelward.runtime.cache import Cache, owner_key
from modelward.runtime.keys import ModelKey


def an_object(name: str, namespace: str | None = "lending", **more: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"metadata": metadata | more.pop("metadata", {})} | more


def names(cache: Cache) -> list[str]:
    return [obj["metadata"]["name"] for obj in cache.list(MODELS)]


def test_what_was_put_is_got_with_its_kind() -> None:
    cache = Cache()
    cache.put(MODELS, an_object("credit"))
    found = cache.get(MODELS, "lending", "credit")
    assert found is not None and (found["apiVersion"], found["kind"]) == ("modelward.dev/v1alpha1", "Model")


def test_a_kind_without_namespaces_is_got_without_one() -> None:
    cache = Cache()
    cache.put(LIFECYCLE_POLICIES, an_object("low", None))
    assert cache.get(LIFECYCLE_POLICIES, None, "low") is not None


def test_a_list_is_sorted_and_filtered() -> None:
    cache = Cache()
    for name, namespace in (("b", "lending"), ("a", "lending"), ("c", "fraud")):
        cache.put(MODELS, an_object(name, namespace))
    assert names(cache) == ["c", "a", "b"]
    assert len(cache.list(MODELS, "lending")) == 2
    assert len(cache.list(MODELS, where=lambda obj: obj["metadata"]["name"] == "a")) == 1


def test_a_resync_drops_what_the_list_no_longer_has_and_says_so() -> None:
    cache = Cache()
    cache.put(MODELS, an_object("gone"))
    cache.put(MODELS, an_object("kept"))
    dropped = cache.replace(MODELS, [an_object("kept")], cache.revision())
    assert names(cache) == ["kept"]
    assert [obj["metadata"]["name"] for obj in dropped] == ["gone"]


def test_an_object_created_while_the_list_was_under_way_survives_it() -> None:
    cache = Cache()
    since = cache.revision()
    cache.put(MODELS, an_object("new"))
    cache.replace(MODELS, [], since)
    assert names(cache) == ["new"]


def test_an_object_deleted_while_the_list_was_under_way_is_not_raised_from_the_dead() -> None:
    cache = Cache()
    cache.put(MODELS, an_object("old"))
    since = cache.revision()
    cache.remove(MODELS, "lending", "old")
    cache.replace(MODELS, [an_object("old")], since)
    assert names(cache) == []


def test_a_list_does_not_take_back_a_newer_event() -> None:
    cache = Cache()
    since = cache.revision()
    cache.put(MODELS, an_object("m", spec={"riskTier": "High"}))
    cache.replace(MODELS, [an_object("m", spec={"riskTier": "Low"})], since)
    assert cache.list(MODELS)[0]["spec"] == {"riskTier": "High"}


def test_marks_of_deleted_objects_do_not_pile_up() -> None:
    cache = Cache()
    for number in range(100):
        cache.put(MODELS, an_object(f"m{number}"))
        cache.remove(MODELS, "lending", f"m{number}")
    cache.replace(MODELS, [], cache.revision())
    assert cache._touched[MODELS] == {}  # pyright: ignore[reportPrivateUsage] - memory is what is asserted


def test_of_a_deployment_only_what_is_decided_on_is_kept() -> None:
    cache = Cache()
    metadata = {
        "managedFields": [{}],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "x", "a": "b"},
    }
    cache.put(
        DEPLOYMENTS,
        an_object("d", metadata=metadata, spec={"replicas": 2, "template": {"spec": {}}}, status={"readyReplicas": 1}),
    )
    (found,) = cache.list(DEPLOYMENTS)
    assert found["spec"] == {"replicas": 2}
    assert found["status"] == {"readyReplicas": 1}
    assert found["metadata"] == {"name": "d", "namespace": "lending", "annotations": {"a": "b"}}


LABELLED = {"metadata": {"labels": {"modelward.dev/model": "credit"}}}


@pytest.mark.parametrize(
    ("resource", "content", "expected"),
    [
        pytest.param(MODELS, {}, ModelKey("lending", "x"), id="model"),
        pytest.param(MODEL_VERSIONS, {"spec": {"model": "credit"}}, ModelKey("lending", "credit"), id="version"),
        pytest.param(MODEL_EVALUATIONS, {"spec": {"model": "credit"}}, ModelKey("lending", "credit"), id="evaluation"),
        pytest.param(DEPLOYMENTS, LABELLED, ModelKey("lending", "credit"), id="deployment"),
        pytest.param(SERVICES, LABELLED, ModelKey("lending", "credit"), id="service"),
        pytest.param(HTTP_ROUTES, LABELLED, ModelKey("lending", "credit"), id="route"),
        pytest.param(DEPLOYMENTS, {}, None, id="somebody-elses-deployment"),
        pytest.param(MODEL_VERSIONS, {"spec": None}, None, id="version-without-spec"),
        pytest.param(MODEL_VERSIONS, {"spec": {"model": 3}}, None, id="version-of-a-number"),
        pytest.param(LIFECYCLE_POLICIES, {}, None, id="policy"),
    ],
)
def test_an_object_leads_to_its_model(resource: Resource, content: dict[str, Any], expected: ModelKey | None) -> None:
    assert owner_key(resource, an_object("x", **content)) == expected
