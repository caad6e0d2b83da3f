"""Gateway API: weights and mirrors in an HTTPRoute that the operator owns whole.

`rules` and `backendRefs` are atomic lists, so one weight cannot be owned alone. Every default is written out, so that
what was applied and what is read back are equal. No `filters` on a backendRef: gateways split those in another way.
"""

from collections.abc import Mapping
from typing import Any

from modelward.api.model import GatewayReference, Model, Route
from modelward.lifecycle.plan import Traffic
from modelward.lifecycle.snapshot import RouteView
from modelward.traffic.names import child_name, metadata_of, version_of

API_VERSION = "gateway.networking.k8s.io/v1"


def build(model: Model, traffic: Traffic, ports: Mapping[str, int] | None = None) -> dict[str, Any]:
    """The HTTPRoute that carries a split. Needs spec.serving.route.

    ports: by version, those of Services that exist; a Service that is still to be made gets the port of the spec.
    """
    serving = model.spec.serving
    assert serving is not None and serving.route is not None, "a route needs spec.serving.route"
    name, known = model.metadata.name, ports or {}

    def backend(version: str) -> dict[str, Any]:
        return _backend(name, version, known.get(version, serving.port))

    rule: dict[str, Any] = {
        "matches": [{"path": {"type": "PathPrefix", "value": serving.route.path_prefix}}],
        "backendRefs": [{**backend(version), "weight": weight} for version, weight in sorted(traffic.weights.items())],
    }
    if traffic.mirrors:
        rule["filters"] = [
            {
                "type": "RequestMirror",
                "requestMirror": {"backendRef": backend(version), "percent": percent},
            }
            for version, percent in sorted(traffic.mirrors.items())
        ]
    spec: dict[str, Any] = {"parentRefs": [_parent(model, ref) for ref in serving.route.parent_refs], "rules": [rule]}
    if serving.route.hostnames:
        spec["hostnames"] = list(serving.route.hostnames)
    return {"apiVersion": API_VERSION, "kind": "HTTPRoute", "metadata": metadata_of(model, name), "spec": spec}


def read(model: Model, route: dict[str, Any]) -> RouteView:
    """What an HTTPRoute says of the split, and whether every parent has taken the newest generation over."""
    name = model.metadata.name
    rule: dict[str, Any] = next(iter(route.get("spec", {}).get("rules") or []), {})
    weights = {version_of(name, ref["name"]): int(ref.get("weight", 1)) for ref in rule.get("backendRefs") or []}
    mirrors = {
        version_of(name, mirror["backendRef"]["name"]): int(mirror.get("percent", 100))
        for entry in rule.get("filters") or []
        if (mirror := entry.get("requestMirror"))
    }
    generation = route.get("metadata", {}).get("generation", 0)
    wanted = len(route.get("spec", {}).get("parentRefs") or [])
    parents = [
        parent for parent in (route.get("status") or {}).get("parents") or [] if not _is_left_over(parent, route)
    ]
    accepted = [_condition(parent, "Accepted") for parent in parents]
    resolved = [_condition(parent, "ResolvedRefs") for parent in parents]
    conditions = [condition for condition in (*accepted, *resolved) if condition]
    return RouteView(
        weights=weights,
        mirrors=mirrors,
        observed=len(parents) >= wanted > 0
        and all(condition.get("observedGeneration", 0) >= generation for condition in conditions),
        accepted=_all_true(accepted),
        resolved=_all_true(resolved),
        message=" ".join(
            f"{condition['type']}={condition['status']} ({condition.get('reason', '')}): {condition.get('message', '')}"
            for condition in conditions
            if condition.get("status") != "True"
        )[:1024],
    )


def _is_left_over(parent: Mapping[str, Any], route: Mapping[str, Any]) -> bool:
    """Was this said of a parent that the route had before? Some gateways, as Envoy Gateway, leave it there for ever."""
    namespace, generation = route["metadata"].get("namespace"), route["metadata"].get("generation", 0)

    def identity(ref: Mapping[str, Any]) -> tuple[Any, ...]:
        return ref.get("namespace") or namespace, ref.get("name"), ref.get("sectionName"), ref.get("port")

    has = {identity(ref) for ref in (route.get("spec") or {}).get("parentRefs") or []}
    said_of = [condition.get("observedGeneration", 0) for condition in parent.get("conditions") or []]
    return identity(parent.get("parentRef") or {}) not in has and all(of < generation for of in said_of)


def comparable(spec: dict[str, Any]) -> dict[str, Any]:
    """A route's spec with what was left out written as empty: a mirror, host or listener that is gone is a difference."""
    return {
        **spec,
        "hostnames": spec.get("hostnames") or [],
        "parentRefs": [{"sectionName": None, **parent} for parent in spec.get("parentRefs") or []],
        "rules": [{"filters": [], **rule} for rule in spec.get("rules") or []],
    }


def reclaim(wanted: dict[str, Any], live: dict[str, Any]) -> dict[str, Any]:
    """The route with its new split, under the gateways, hosts and path that it has had: those asked for are taken."""
    spec = live.get("spec") or {}
    rule: dict[str, Any] = next(iter(spec.get("rules") or []), {})
    matches = rule.get("matches") or []
    asked = wanted["spec"]
    had = {field: spec[field] for field in ("parentRefs", "hostnames") if spec.get(field)}
    kept = {field: value for field, value in asked.items() if field not in ("parentRefs", "hostnames")}
    return {**wanted, "spec": {**kept, **had, "rules": [{**new, "matches": matches} for new in asked["rules"]]}}


def claims_the_same(model: Model, route: dict[str, Any]) -> bool:
    """Does a live route of the Model claim exactly the gateways, hosts and path that its spec asks for?"""
    wanted, spec = build(model, Traffic())["spec"], route.get("spec") or {}
    rule: dict[str, Any] = next(iter(spec.get("rules") or []), {})
    live = comparable({**spec, "rules": [{"matches": rule.get("matches")}]})
    asked = comparable({**wanted, "rules": [{"matches": wanted["rules"][0]["matches"]}]})
    return bool(live == asked)


def overlapping(model: Model, route: Route, other: dict[str, Any]) -> str | None:
    """Which host and path another HTTPRoute takes from the same gateway, or None."""
    spec = other.get("spec", {})
    if not _share_a_gateway(model, route, other.get("metadata", {}).get("namespace", ""), spec.get("parentRefs") or []):
        return None
    hosts = _shared_hosts(set(route.hostnames), set(spec.get("hostnames") or []))
    prefixes = {
        _prefix(path.get("value", "/"))
        for rule in spec.get("rules") or []
        for match in rule.get("matches") or [{}]
        if (path := match.get("path") or {}).get("type", "PathPrefix") == "PathPrefix" and not _narrowed(match)
    }
    if hosts is None or _prefix(route.path_prefix) not in prefixes:
        return None
    return f"{hosts}{route.path_prefix}"


def claimed_by(model: Model, route: Route, other: dict[str, Any]) -> str | None:
    """Which host and path another Model's spec claims from the same gateway, or None."""
    claimed = ((other.get("spec") or {}).get("serving") or {}).get("route")
    if not claimed:
        return None
    as_route = {
        "metadata": other["metadata"],
        "spec": {
            "parentRefs": claimed.get("parentRefs"),
            "hostnames": claimed.get("hostnames"),
            "rules": [{"matches": [{"path": {"value": claimed.get("pathPrefix", "/")}}]}],
        },
    }
    return overlapping(model, route, as_route)


def _share_a_gateway(model: Model, route: Route, namespace: str, references: list[dict[str, Any]]) -> bool:
    """Do both attach to one Gateway, and not to two different listeners of it?"""
    return any(
        own.name == other.get("name")
        and (own.namespace or model.metadata.namespace) == (other.get("namespace") or namespace)
        and (own.section_name or other.get("sectionName")) == (other.get("sectionName") or own.section_name)
        for own in route.parent_refs
        for other in references
    )


def _narrowed(match: dict[str, Any]) -> bool:
    """A match that asks for more than a path takes precedence of itself, and leaves the rest to others."""
    return any(match.get(field) for field in ("headers", "method", "queryParams"))


def _prefix(path: str) -> str:
    """A path prefix with and without a slash at its end is the same one."""
    return path.rstrip("/") or "/"


def _shared_hosts(ours: set[str], theirs: set[str]) -> str | None:
    """A host that both name; a route without hostnames takes all hosts that are not taken more exactly."""
    if not ours and not theirs:
        return "every host, "
    shared = sorted(ours & theirs)
    return shared[0] if shared else None


def _backend(model: str, version: str, port: int) -> dict[str, Any]:
    return {"group": "", "kind": "Service", "name": child_name(model, version), "port": port}


def _parent(model: Model, reference: GatewayReference) -> dict[str, Any]:
    parent = {
        "group": "gateway.networking.k8s.io",
        "kind": "Gateway",
        "name": reference.name,
        "namespace": reference.namespace or model.metadata.namespace,
    }
    return {**parent, "sectionName": reference.section_name} if reference.section_name else parent


def _condition(parent: dict[str, Any], kind: str) -> dict[str, Any] | None:
    return next((condition for condition in parent.get("conditions") or [] if condition.get("type") == kind), None)


def _all_true(conditions: list[dict[str, Any] | None]) -> bool | None:
    """None while no parent has said anything."""
    said = [condition for condition in conditions if condition]
    if not said or len(said) < len(conditions):
        return None
    return all(condition.get("status") == "True" for condition in said)
