"""Services, Deployments, autoscalers and the copies that are kept: built from specs alone, the same each time."""

from typing import Any

import pytest

from modelward.api.digests import version_digest
from modelward.api.lifecycle_policy import LifecyclePolicySpec
from modelward.api.model_version import ModelVersionSpec
from modelward.lifecycle.policies import policy_digest
from modelward.lifecycle.snapshot import VersionView
from modelward.traffic import service, workloads
from modelward.traffic.names import child_name, version_of
from tests.unit.lifecycle.builders import model, policy, version_spec

MODEL = model().s.model
LABELS = {
    "modelward.dev/model": "credit-risk",
    "app.kubernetes.io/managed-by": "modelward",
    "modelward.dev/version": "v8",
}


def view_of(spec: ModelVersionSpec) -> VersionView:
    return VersionView(spec.version, spec, version_digest(spec), live=True)


V8 = view_of(version_spec("v8"))


def with_serving(**serving: Any) -> VersionView:
    template = {"spec": {"containers": [{"name": "server"}]}}
    return view_of(
        ModelVersionSpec.model_validate(
            {"model": "credit-risk", "version": "v8", "serving": {"template": template, **serving}}
        )
    )


def test_the_service_of_a_version_selects_its_pods_and_no_others() -> None:
    built = service.build_for_version(MODEL, "v8")
    assert built["metadata"]["name"] == "credit-risk-v8"
    assert built["spec"] == {
        "type": "ClusterIP",
        "selector": LABELS,
        "ports": [{"name": "http", "protocol": "TCP", "port": 8080, "targetPort": 8080}],
    }


@pytest.mark.parametrize("version", ["v7", "v8"])
def test_a_switched_service_is_read_as_it_was_built(version: str) -> None:
    built = service.build(MODEL, version)
    view = service.read(MODEL, built)
    assert (view.weights, view.mirrors, view.in_force) == ({version: 100}, {}, True)
    assert built["metadata"]["name"] == "credit-risk"
    assert "modelward.dev/version" not in built["metadata"]["labels"]


def test_a_service_that_selects_no_version_carries_nothing() -> None:
    assert service.read(MODEL, {"spec": {}}).weights == {}


def test_a_deployment_is_the_users_template_with_labels_and_the_names() -> None:
    built = workloads.build_deployment(MODEL, V8, 2)
    assert built["metadata"]["name"] == "credit-risk-v8"
    assert built["metadata"]["annotations"] == {"modelward.dev/version-digest": V8.digest}
    assert built["spec"]["replicas"] == 2
    assert built["spec"]["progressDeadlineSeconds"] == 600
    assert built["spec"]["selector"] == {"matchLabels": LABELS}
    assert built["spec"]["template"]["metadata"]["labels"] == LABELS
    (container,) = built["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example/credit:v8"
    assert container["env"] == [
        {"name": "MODELWARD_MODEL", "value": "credit-risk"},
        {"name": "MODELWARD_VERSION", "value": "v8"},
    ]


def test_the_template_is_the_same_in_every_stage() -> None:
    shadow, standby = workloads.build_deployment(MODEL, V8, 2), workloads.build_deployment(MODEL, V8, 0)
    assert shadow["spec"]["template"] == standby["spec"]["template"]


def test_the_users_template_is_left_as_it_was() -> None:
    assert V8.spec.serving is not None
    before = repr(V8.spec.serving.template)
    workloads.build_deployment(MODEL, V8, 2)
    assert repr(V8.spec.serving.template) == before


def test_a_version_without_autoscaling_has_no_autoscaler() -> None:
    assert workloads.build_autoscaler(MODEL, V8) is None


def test_an_autoscaler_has_the_bounds_of_the_version() -> None:
    built = workloads.build_autoscaler(MODEL, with_serving(autoscaling={"min": 2, "max": 6, "targetCpuPercent": 70}))
    assert built is not None
    assert (built["spec"]["minReplicas"], built["spec"]["maxReplicas"]) == (2, 6)
    assert built["spec"]["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "credit-risk-v8"}
    assert built["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 70


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(V8, id="plain"),
        pytest.param(with_serving(autoscaling={"min": 1, "max": 3}), id="autoscaled"),
        pytest.param(
            view_of(
                version_spec("v8", baseline={"features": [{"name": "income", "edges": [1.5], "counts": [1, 2]}]}, builtBy=["ada"])
            ),
            id="with a baseline",
        ),
    ],
)  # fmt: skip
def test_a_kept_version_is_read_back_with_its_digest(view: VersionView) -> None:
    data = workloads.build_kept_version(MODEL, view)["data"]
    assert data["digest"] == version_digest(ModelVersionSpec.model_validate(data["spec"])) == view.digest


def test_a_kept_policy_is_read_back_with_its_digest() -> None:
    chosen = policy(canary__approvals=[{"role": "risk", "beforeWeight": 50}])
    built = workloads.build_kept_policy(MODEL, chosen)
    read = LifecyclePolicySpec.model_validate(built["data"]["spec"])
    assert built["data"]["digest"] == policy_digest(chosen.name, read) == chosen.digest
    assert built["metadata"]["name"] == workloads.kept_policy_name("credit-risk", chosen.digest)


def test_deprecating_a_version_does_not_change_its_digest() -> None:
    deprecated = version_spec("v8", deprecation={"since": "2026-11-01"})
    assert version_digest(deprecated) == V8.digest != version_digest(version_spec("v8", replicas=3))


@pytest.mark.parametrize("version", ["v7", "v7-rc-1", "credit-risk-v7"])
def test_a_childs_name_leads_back_to_its_version(version: str) -> None:
    assert version_of("credit-risk", child_name("credit-risk", version)) == version
