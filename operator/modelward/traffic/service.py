"""Services: one for each version, for routes to name; and, without a route, one for the Model whose selector is switched."""

from typing import Any

from modelward.api.model import Model
from modelward.lifecycle.snapshot import RouteView
from modelward.traffic.names import VERSION_LABEL, child_name, labels_of, metadata_of


def build_for_version(model: Model, version: str) -> dict[str, Any]:
    """The Service of one version: every pod of it, and no other's."""
    return _service(model, child_name(model.metadata.name, version), version)


def build(model: Model, version: str) -> dict[str, Any]:
    """The Service whose selector is switched: all requests to one version."""
    built = _service(model, model.metadata.name, version)
    return {**built, "metadata": metadata_of(model, model.metadata.name)}


def read(model: Model, service: dict[str, Any]) -> RouteView:
    """Which version the switched Service selects. It is in force as soon as it is written."""
    selected = (service.get("spec", {}).get("selector") or {}).get(VERSION_LABEL)
    return RouteView(
        weights={selected: 100} if selected else {}, mirrors={}, observed=True, accepted=True, resolved=True
    )


def _service(model: Model, name: str, version: str) -> dict[str, Any]:
    serving = model.spec.serving
    assert serving is not None, "a Service needs spec.serving"
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata_of(model, name, version),
        "spec": {
            "type": "ClusterIP",
            "selector": labels_of(model, version),
            "ports": [{"name": "http", "protocol": "TCP", "port": serving.port, "targetPort": serving.port}],
        },
    }
