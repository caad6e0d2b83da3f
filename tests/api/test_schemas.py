"""What the API server takes and refuses at the door, and what kubectl shows of the kinds."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelward.api.lifecycle_policy import LifecyclePolicy
from modelward.api.model import Model
from modelward.api.model_evaluation import ModelEvaluation
from modelward.api.model_version import ModelVersion
from modelward.api.schema import KINDS as SERVED
from tests.api.conftest import Answer, ApiServer
from tests.manifests import BAD, CHANGES, GOOD, KINDS, Bad, Change, Manifest

CLASSES = {
    "Model": Model,
    "ModelVersion": ModelVersion,
    "LifecyclePolicy": LifecyclePolicy,
    "ModelEvaluation": ModelEvaluation,
}
CRDS = sorted((Path(__file__).parents[2] / "crds").glob("*.yaml"))


def _collection(manifest: Manifest, namespace: str) -> str:
    scope = "" if manifest["kind"] == "LifecyclePolicy" else f"/namespaces/{namespace}"
    return f"/apis/modelward.dev/v1alpha1{scope}/{KINDS[manifest['kind']]}"


def _try(server: ApiServer, manifest: Manifest) -> Answer:
    """What a create would give, with unknown fields refused as kubectl does; nothing is stored."""
    return server.request("POST", _collection(manifest, "default") + "?dryRun=All&fieldValidation=Strict", manifest)


@pytest.mark.parametrize("manifest", GOOD.values(), ids=list(GOOD))
def test_a_good_manifest_is_accepted(api_server: ApiServer, manifest: Manifest) -> None:
    answer = _try(api_server, manifest)
    assert answer.accepted, answer.message


@pytest.mark.parametrize("bad", BAD.values(), ids=list(BAD))
def test_a_bad_manifest_is_refused_with_its_field_and_a_remedy(api_server: ApiServer, bad: Bad) -> None:
    answer = _try(api_server, bad.manifest)
    assert answer.code in (400, 422), answer.body
    assert bad.field in answer.message
    assert bad.says in answer.message


@pytest.mark.parametrize("manifest", GOOD.values(), ids=list(GOOD))
def test_the_server_fills_in_the_defaults_of_pydantic(api_server: ApiServer, manifest: Manifest) -> None:
    kind = CLASSES[manifest["kind"]]
    stored = _try(api_server, manifest).body
    assert kind.model_validate(stored).spec == kind.model_validate(manifest).spec
    written = kind.model_validate(manifest).spec.model_dump(mode="json", by_alias=True)
    assert _without_empty(stored["spec"]) == _without_empty(written)


def _without_empty(value: Any) -> Any:
    """Absent, null and empty are the same to a reader, and so are two ways to write one duration."""
    if isinstance(value, dict):
        fields = {key: _without_empty(child) for key, child in value.items()}
        return {key: child for key, child in fields.items() if child not in (None, {}, [], "")}
    if isinstance(value, list):
        return [_without_empty(child) for child in value]
    return "1m" if value == "60s" else value


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_an_update_is_accepted_or_refused_with_its_reason(api_server: ApiServer, change: Change) -> None:
    collection = _collection(change.before, api_server.namespace())
    created = api_server.request("POST", collection, change.before)
    assert created.accepted, created.message
    path = f"{collection}/{change.before['metadata']['name']}"
    metadata = created.body["metadata"]
    answer = api_server.request("PUT", path, {**change.after, "metadata": metadata})
    removed = api_server.request("DELETE", path)
    assert removed.accepted, removed.message
    assert answer.accepted == (change.says is None), answer.message
    assert (change.says or "") in answer.message


def test_an_unknown_field_is_named(api_server: ApiServer) -> None:
    manifest = json.loads(json.dumps(GOOD["a model behind a gateway"]))
    manifest["spec"]["prodution"] = {"version": "v9"}
    assert 'unknown field "spec.prodution"' in _try(api_server, manifest).message


@pytest.mark.parametrize("path", CRDS, ids=lambda path: path.stem)
def test_every_field_explains_itself(path: Path) -> None:
    schema = yaml.safe_load(path.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    silent = [field for field, node in _fields(schema, "") if not node.get("description")]
    assert silent == [".metadata"]  # Kubernetes explains this one


@pytest.mark.parametrize("path", CRDS, ids=lambda path: path.stem)
def test_every_text_list_and_map_of_a_spec_is_bounded(path: Path) -> None:
    schema = yaml.safe_load(path.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    bounds = {"array": "maxItems", "string": "maxLength"}
    unbounded = [
        field
        for field, node in _fields(schema["properties"]["spec"], "spec")
        if (bound := bounds.get(node.get("type", "")) or ("maxProperties" if "additionalProperties" in node else None))
        and bound not in node
        and "enum" not in node
        and node.get("format") != "date-time"
    ]
    assert unbounded == []


def _fields(schema: dict[str, Any], path: str) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    for name, node in schema.get("properties", {}).items():
        found += [(f"{path}.{name}", node), *_fields(node, f"{path}.{name}")]
    if "items" in schema:
        found += _fields(schema["items"], f"{path}[]")
    return found


@pytest.mark.parametrize("kind", KINDS.values())
def test_kubectl_explains_the_kind_and_its_spec(api_server: ApiServer, kind: str) -> None:
    text = api_server.kubectl("explain", f"{kind}.spec")
    assert "DESCRIPTION:" in text
    assert "<no description>" not in text


def test_a_model_is_shown_with_its_columns(api_server: ApiServer) -> None:
    namespace = api_server.namespace()
    manifest = GOOD["a model behind a gateway"]
    path = f"{_collection(manifest, namespace)}/{manifest['metadata']['name']}"
    assert api_server.apply(path, manifest).accepted
    status = {
        "production": {"version": "v7", "digest": "sha256:a", "since": "2026-11-01T00:00:00.000Z"},
        "standby": [{"version": "v6", "digest": "sha256:b", "since": "2026-11-01T00:00:00.000Z"}],
        "stage": "Canary",
        "weight": 10,
        "gatesSummary": "3/4 1 Inconclusive",
        "conditions": [
            {
                "type": "Serving",
                "status": "True",
                "reason": "ProductionAvailable",
                "lastTransitionTime": "2026-11-01T00:00:00Z",
            },
            {
                "type": "DriftDetected",
                "status": "False",
                "reason": "WithinThreshold",
                "lastTransitionTime": "2026-11-01T00:00:00Z",
            },
        ],
    }
    header = {"apiVersion": manifest["apiVersion"], "kind": "Model", "metadata": {"name": "churn"}}
    answer = api_server.apply(f"{path}/status", {**header, "status": status})
    assert answer.accepted, answer.message
    plain = api_server.kubectl("get", "mdl", "-n", namespace).splitlines()
    assert plain[0].split() == [
        "NAME",
        "VERSION",
        "CANDIDATE",
        "STAGE",
        "WEIGHT",
        "GATES",
        "OWNER",
        "TIER",
        "SERVING",
        "AGE",
    ]
    assert plain[1].split()[:-1] == [
        "churn",
        "v7",
        "Canary",
        "10",
        "3/4",
        "1",
        "Inconclusive",
        "retention-ml",
        "High",
        "True",
    ]
    wide = api_server.kubectl("get", "mdl", "-n", namespace, "-o", "wide").splitlines()
    assert wide[0].split() == (
        [
            "NAME",
            "VERSION",
            "CANDIDATE",
            "STAGE",
            "WEIGHT",
            "GATES",
            "OWNER",
            "TIER",
            "SERVING",
            "DRIFT",
            "PREVIOUS",
            "TYPE",
            "REVIEW-DUE",
            "AGE",
        ]
    )
    assert "False" in wide[1].split()
    assert "v6" in wide[1].split()


@pytest.mark.parametrize(
    ("short", "columns"),
    [
        ("mv", "NAME MODEL VERSION STAGE AGE"),
        ("mlp", "NAME TIERS PRIORITY AGE"),
        ("mev", "NAME MODEL VERSION NAME AT AGE"),
    ],
)
def test_the_other_kinds_are_shown_with_their_columns(api_server: ApiServer, short: str, columns: str) -> None:
    manifest = next(manifest for manifest in GOOD.values() if _SHORT[manifest["kind"]] == short)
    namespace = api_server.namespace()
    path = f"{_collection(manifest, namespace)}/{manifest['metadata']['name']}"
    assert api_server.apply(path, manifest).accepted
    shown = api_server.kubectl("get", short, "-n", namespace).splitlines()[0]
    api_server.request("DELETE", path)
    assert shown.split() == columns.split()


_SHORT = {"Model": "mdl", "ModelVersion": "mv", "LifecyclePolicy": "mlp", "ModelEvaluation": "mev"}


def test_the_category_lists_all_kinds(api_server: ApiServer) -> None:
    names = api_server.kubectl("api-resources", "--categories=modelward", "-o", "name").split()
    assert names == [f"{plural}.modelward.dev" for plural in sorted(kind.plural for kind in SERVED)]
