"""What looks like an inference server, why, and what counts as registered."""

from typing import Any

import pytest

from modelward.governance.discovery import (
    SignsInvalid,
    Unregistered,
    discover,
    parse_signs,
    register_of,
    shipped_signs,
    workloads_of,
)

NAMESPACE = "lending"


def a_deployment(
    image: str = "registry.example.com/web:1",
    *,
    kind: str = "Deployment",
    name: str = "scorer",
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    owner: tuple[str, str] | None = None,
    **container: Any,
) -> dict[str, Any]:
    template = {"metadata": {"labels": labels or {}, "annotations": annotations or {}}}
    metadata = {"namespace": NAMESPACE, "name": name, "uid": f"uid-{kind}-{name}", "ownerReferences": owned_by(owner)}
    pod = {"containers": [{"name": "server", "image": image, **container}]}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": metadata,
        "spec": {"template": {**template, "spec": pod}},
    }


def a_pod(
    name: str, owner: tuple[str, str] | None = None, image: str = "vllm/vllm-openai:v0.9", **changes: Any
) -> dict[str, Any]:
    labels = {"pod-template-hash": "abc12"}
    metadata = {"namespace": NAMESPACE, "name": name, "uid": name, "labels": labels, "ownerReferences": owned_by(owner)}
    pod = {"containers": [{"name": "server", "image": image}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod, **changes}


def owned_by(owner: tuple[str, str] | None) -> list[dict[str, Any]]:
    return (
        [{"apiVersion": "example.com/v1", "kind": owner[0], "name": owner[1], "uid": "owner", "controller": True}]
        if owner
        else []
    )


def look(*objects: dict[str, Any], models: tuple[dict[str, Any], ...] = ()) -> tuple[Unregistered, ...]:
    return discover(workloads_of(objects), register_of(models), shipped_signs())


@pytest.mark.parametrize(
    ("workload", "server", "evidence"),
    [
        pytest.param(
            a_deployment(labels={"serving.kserve.io/inferenceservice": "iris"}),
            "KServe", "label serving.kserve.io/inferenceservice=iris", id="a KServe predictor",
        ),
        pytest.param(
            a_deployment("nvcr.io/nvidia/tritonserver:25.01-py3"), "Triton", "image nvcr.io/nvidia/tritonserver:25.01-py3", id="Triton by image",
        ),
        pytest.param(a_deployment("mirror.local/vllm/vllm-openai@sha256:ab"), "vLLM", "image mirror.local/vllm/vllm-openai@sha256:ab", id="vLLM from a mirror"),
        pytest.param(
            a_deployment("python:3.12", command=["python"], args=["-m", "vllm.entrypoints.openai.api_server"]),
            "vLLM", "command vllm.entrypoints", id="vLLM by its command",
        ),
        pytest.param(a_deployment("tensorflow/serving"), "TensorFlow Serving", "image tensorflow/serving", id="TensorFlow Serving"),
        pytest.param(a_deployment("pytorch/torchserve:0.12"), "TorchServe", "image pytorch/torchserve:0.12", id="TorchServe"),
        pytest.param(a_deployment("seldonio/mlserver:1.7"), "MLServer", "image seldonio/mlserver:1.7", id="MLServer"),
        pytest.param(
            a_deployment("ghcr.io/huggingface/text-generation-inference:3"),
            "Text Generation Inference", "image ghcr.io/huggingface/text-generation-inference:3", id="TGI",
        ),
        pytest.param(a_deployment(labels={"seldon-deployment-id": "iris"}), "Seldon Core", "label seldon-deployment-id=iris", id="Seldon Core"),
        pytest.param(a_deployment(command=["bentoml", "serve", "iris"]), "BentoML", "command bentoml serve", id="BentoML"),
        pytest.param(a_deployment(labels={"ray.io/serve": "true"}), "Ray Serve", "label ray.io/serve=true", id="Ray Serve"),
        pytest.param(
            a_deployment(annotations={"autoscaling/metric": "vllm:num_requests_waiting"}),
            "vLLM", "annotation autoscaling/metric", id="a metric that is known, in an annotation",
        ),
        pytest.param(
            a_deployment(labels={"app.kubernetes.io/component": "model-server"}),
            "A model server", "label app.kubernetes.io/component=model-server", id="one that says so",
        ),
        pytest.param(a_deployment(kind="StatefulSet", image="ollama/ollama:latest"), "Ollama", "image ollama/ollama:latest", id="a StatefulSet"),
    ],
)  # fmt: skip
def test_known_servers_give_themselves_away(workload: dict[str, Any], server: str, evidence: str) -> None:
    (found,) = look(workload)
    assert (found.server, found.evidence) == (server, (evidence,))
    assert (
        f"{found.kind} lending/scorer looks like an inference server ({server}: {evidence}), and no Model"
        in found.sentence
    )


@pytest.mark.parametrize(
    "workload",
    [
        pytest.param(a_deployment("nginx:1.27", ports=[{"containerPort": 8080}]), id="a web server"),
        pytest.param(a_deployment("postgres:17", env=[{"name": "PGDATA"}]), id="a database"),
        pytest.param(a_deployment(ports=[{"containerPort": 8002}]), id="a port alone"),
        pytest.param(a_deployment(ports=[{"containerPort": 8002}, {"containerPort": 8501}]), id="two ports, which are hints of one sort"),
        pytest.param(a_deployment("example.com/scoring-service:1"), id="a name alone"),
        pytest.param(a_deployment("example.com/retriton-server:1"), id="a name that only contains a known one"),
        pytest.param(a_pod("done", status={"phase": "Succeeded"}), id="a pod that is over"),
        pytest.param({"kind": "Deployment"}, id="an object without anything"),
        pytest.param({"kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": ["x", {"env": 1}]}}, id="an object with wrong types"),
    ],
)  # fmt: skip
def test_others_are_left_alone(workload: dict[str, Any]) -> None:
    assert look(workload) == ()


def test_two_hints_of_different_sorts_are_enough() -> None:
    (found,) = look(a_deployment("example.com/scoring-service:1", env=[{"name": "MODEL_URI", "value": "s3://m"}]))
    assert (found.server, found.evidence) == (
        "A model server",
        ("image example.com/scoring-service:1", "environment MODEL_URI"),
    )


@pytest.mark.parametrize(
    ("model", "workload"),
    [
        pytest.param({}, a_deployment("ollama/ollama", labels={"modelward.dev/model": "score"}), id="the operator made it"),
        pytest.param({"workloads": [{"kind": "Deployment", "name": "scorer"}]}, a_deployment("ollama/ollama"), id="the Model names it"),
        pytest.param(
            {"workloads": [{"kind": "InferenceService", "name": "iris"}]},
            a_deployment("ollama/ollama", owner=("InferenceService", "iris")), id="the Model names what made it",
        ),
        pytest.param({"workloads": [{"kind": "Pod", "name": "p"}]}, a_pod("p"), id="a pod of its own"),
    ],
)  # fmt: skip
def test_what_a_model_stands_for_is_registered(model: dict[str, Any], workload: dict[str, Any]) -> None:
    registered = {"metadata": {"namespace": NAMESPACE, "name": "score"}, "spec": model}
    assert look(workload, models=(registered,)) == ()
    assert len(look(workload)) == 1
    elsewhere = {**registered, "metadata": {"namespace": "other", "name": "score"}}
    assert len(look(workload, models=(elsewhere,))) == 1


def test_pods_count_for_what_made_them() -> None:
    server = a_deployment("vllm/vllm-openai")
    same = [a_pod(f"scorer-abc12-{n}", ("ReplicaSet", "scorer-abc12")) for n in range(3)]
    assert [(each.kind, each.name) for each in look(server, *same)] == [("Deployment", "scorer")]


def test_pods_of_a_kind_that_is_not_listed_are_one_workload_of_that_kind() -> None:
    ray = [a_pod(f"ray-{n}", ("RayCluster", "llm")) for n in range(3)]
    rollout = [a_pod(f"roll-{n}", ("ReplicaSet", "roll-abc12")) for n in range(2)]
    found = look(*ray, *rollout, a_pod("alone"))
    assert [(each.kind, each.name, each.workload.uid) for each in found] == [
        ("Pod", "alone", "alone"),
        ("RayCluster", "llm", "owner"),
        ("ReplicaSet", "roll-abc12", "owner"),
    ]


def test_a_platform_adds_signs_of_its_own() -> None:
    own = parse_signs("own.yaml", "- {server: House, image: ^registry.example.com/house/}")
    (found,) = discover(workloads_of([a_deployment("registry.example.com/house/s:1")]), register_of([]), own)
    assert found.server == "House"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("- {server: House}", "exactly one of", id="nothing to look for"),
        pytest.param("- {server: House, image: a, port: 80}", "not image, port", id="two things in one line"),
        pytest.param("- {server: House, image: '('}", "is not a regular expression", id="a broken pattern"),
        pytest.param("- {server: House, imag: a}", "0.imag: Extra inputs", id="a slip in a field"),
        pytest.param("server: House", "valid tuple", id="no list"),
        pytest.param("- {", "own.yaml: while parsing", id="no YAML"),
    ],
)
def test_wrong_signs_are_refused_with_their_place(text: str, said: str) -> None:
    with pytest.raises(SignsInvalid, match=r"^own\.yaml: ") as refusal:
        parse_signs("own.yaml", text)
    assert said in str(refusal.value)


def test_what_may_be_a_secret_is_not_told() -> None:
    (found,) = look(
        a_deployment(command=["vllm", "serve", "m", "--api-key=s3cret"], annotations={"hook": "vllm:s3cret"})
    )
    assert found.evidence == ("command vllm serve", "annotation hook")
