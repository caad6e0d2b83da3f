"""Whether requests can be mirrored and split: Gateway API, the Gateways that Models name, and what they say of the routes."""

from collections.abc import Iterator, Mapping
from typing import Any

from modelward.api import reasons
from modelward.diagnosis.facts import Installation, Object, condition_of
from modelward.diagnosis.findings import Said, count, names, ok, problem, warning
from modelward.diagnosis.ground import ROUTES

_CHANNEL = "https://github.com/kubernetes-sigs/gateway-api/releases/latest/download/experimental-install.yaml"
_INSTALL = f"kubectl apply --server-side -f {_CHANNEL}"
_TRAFFIC = "TrafficApplied"


def gateway_api(found: Installation) -> Iterator[Said]:
    routed = [_where(model) for model in found.models.value if _route(model)]
    definition = found.definitions.value.get(ROUTES)
    if definition is None:
        say = problem if routed else warning
        asked = (
            f"and {names(routed)} asks for a route"
            if routed
            else "so that no Model can have a route: it is served all or nothing"
        )
        yield say(f"Gateway API is not installed, {asked}", _INSTALL)
        return
    version = (definition["metadata"].get("annotations") or {}).get(
        "gateway.networking.k8s.io/bundle-version", "of no stated version"
    )
    served = {each["name"]: each for each in definition["spec"].get("versions") or () if each.get("served")}
    if "v1" not in served:
        yield problem(f"Gateway API {version} serves HTTPRoute as {names(sorted(served))}, and not as v1", _INSTALL)
    elif "percent" not in _mirror(served["v1"]):
        yield problem(
            f"Gateway API {version} has no percentage for mirrored requests (RequestMirror.percent): a shadow stage of less than 100 % is"
            " refused",
            _INSTALL,
        )
    else:
        yield ok(f"Gateway API {version}, with shares of mirrored requests")


def _mirror(version: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of a RequestMirror filter of a rule."""
    node: Any = version.get("schema", {}).get("openAPIV3Schema", {})
    for name in ("spec", "rules", "filters", "requestMirror"):
        node = (node.get("items") or node).get("properties", {}).get(name, {})
    fields: Mapping[str, Any] = node.get("properties", {})
    return fields


def gateways(found: Installation) -> Iterator[Said]:
    said: list[Said] = []
    seen = found.gateways.value
    for model in found.models.value:
        for reference in (_route(model) or {}).get("parentRefs") or ():
            namespace = reference.get("namespace") or model["metadata"]["namespace"]
            gateway = seen.get((namespace, reference["name"]))
            wrong = _attached(found, model, reference, f"Gateway {namespace}/{reference['name']}", gateway)
            if wrong is not None and wrong not in said:
                said.append(wrong)
    yield from said or [ok(f"{count(len(seen), 'Gateway')} of the Models" if seen else "no Model names a Gateway")]


def _attached(
    found: Installation, model: Object, reference: Mapping[str, Any], name: str, gateway: Object | None
) -> Said | None:
    """What keeps a Model's route from a Gateway, if anything does."""
    where = _where(model)
    if gateway is None:
        return problem(
            f"{name}, which {where} names in spec.serving.route.parentRefs, does not exist", "kubectl get gateways -A"
        )
    namespace, own = gateway["metadata"]["namespace"], gateway["metadata"]["name"]
    describe = f"kubectl describe gateway {own} -n {namespace}"
    programmed = condition_of(gateway, "Programmed")
    if programmed.get("status") != "True":
        said = programmed.get("message") or "no gateway controller has taken it over"
        return problem(f"{name} is not programmed: {said}", describe)
    listeners = gateway["spec"].get("listeners") or ()
    section = reference.get("sectionName")
    named = [each for each in listeners if section in (None, each["name"])]
    if not named:
        return problem(
            f"{name} has no listener {section!r}, which {where} names (it has {names([each['name'] for each in listeners])})",
            describe,
        )
    letting = [each for each in named if _lets_in(found, each, namespace, model["metadata"]["namespace"])]
    if not letting:
        return problem(
            f"{name} does not let routes of namespace {model['metadata']['namespace']} in (allowedRoutes.namespaces), where {where} is",
            f"kubectl edit gateway {own} -n {namespace}   # listeners[].allowedRoutes.namespaces",
        )
    hosts = (_route(model) or {}).get("hostnames") or ()
    if hosts and not any(_takes(each.get("hostname") or "", host) for each in letting for host in hosts):
        theirs = names([each["hostname"] for each in letting])
        return problem(f"{name} answers for {theirs}, and {where} asks for {names(list(hosts))}", describe)
    return None


def _lets_in(found: Installation, listener: Mapping[str, Any], gateway: str, namespace: str) -> bool:
    allowed = listener.get("allowedRoutes") or {}
    kinds = [kind["kind"] for kind in allowed.get("kinds") or ()]
    if kinds and "HTTPRoute" not in kinds:
        return False
    spaces = allowed.get("namespaces") or {}
    match spaces.get("from", "Same"):
        case "All":
            return True
        case "Selector":
            labels = ((found.namespaces.value.get(namespace) or {}).get("metadata") or {}).get("labels") or {}
            return selects(spaces.get("selector") or {}, labels)
        case "Same":
            return gateway == namespace
        case _:
            return False


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Does a label selector of Kubernetes choose something with these labels? An empty one chooses everything."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_fulfils(each, labels) for each in selector.get("matchExpressions") or ())


def _fulfils(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return False


def _takes(listener: str, host: str) -> bool:
    """Do a listener's host name and a route's have requests in common?"""
    if not listener or listener == host:
        return True
    if listener.startswith("*."):
        return host.removeprefix("*").endswith(listener[1:])
    return host.startswith("*.") and listener.endswith(host[1:])


def routes(found: Installation) -> Iterator[Said]:
    """The gateway's own words, as the operator passes them on."""
    failing = (reasons.ROUTE_NOT_ACCEPTED, reasons.REFS_UNRESOLVED)
    said = []
    for model in found.models.value:
        condition = condition_of(model, _TRAFFIC)
        if condition.get("status") == "False" and condition.get("reason") in failing:
            metadata = model["metadata"]
            said.append(
                problem(
                    f"{_where(model)}: {condition.get('message', '')}",
                    f"kubectl describe httproute {metadata['name']} -n {metadata['namespace']}",
                )
            )
    routed = sum(1 for model in found.models.value if _route(model))
    yield from said or [
        ok(f"{count(routed, 'Model')} with a route, none refused" if routed else "no Model has a route")
    ]


def _route(model: Object) -> Mapping[str, Any] | None:
    route: Mapping[str, Any] | None = (model["spec"].get("serving") or {}).get("route")
    return route


def _where(model: Object) -> str:
    return f"{model['metadata']['namespace']}/{model['metadata']['name']}"
