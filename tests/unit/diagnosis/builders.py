"""A healthy installation as facts, from what the code itself says of it, and how a case differs from it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from modelward.diagnosis.facts import Access, Clocks, Installation, Seen
from modelward.diagnosis.ground import ROUTES, definitions_of_release
from modelward.diagnosis.operators import Operator
from modelward.diagnosis.rights import rights_of
from modelward.governance import admission

Manifest = dict[str, Any]

NOW = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)
RELEASE = "0.1.0"
OPERATOR = Operator(
    namespace="modelward-system",
    name="modelward",
    account="modelward",
    release=RELEASE,
    image="registry.example.com/modelward:0.1.0",
    wanted=1,
    available=1,
    lease="modelward",
    watched=(),
    discovers=True,
    port=8080,
    configuration="modelward",
    selector="app.kubernetes.io/name=modelward",
    labels={"app.kubernetes.io/name": "modelward"},
    failure="",
    helm_release="modelward",
)


def healthy() -> Installation:
    """An operator that leads, and one Model of tier High with everything that it needs."""
    return Installation(
        release=RELEASE,
        scope="",
        kubernetes=Seen("v1.34.4"),
        clocks=Seen(Clocks(NOW, NOW)),
        definitions=Seen(definitions()),
        operators=Seen((OPERATOR,)),
        everywhere=Seen((OPERATOR,)),
        pods=Seen((pod(),)),
        events=Seen(()),
        last_words={},
        configuration=Seen(configuration("prometheusSources: [{name: platform, url: http://prometheus:9090}]")),
        metrics=Seen({}),
        lease=Seen(lease()),
        rights=Seen(dict.fromkeys(rights_of(OPERATOR), True)),
        admission=Seen({admission.key_of(each): guard(each) for each in admission.policies(OPERATOR.username)}),
        access=Seen(access()),
        namespaces=Seen({name: {"metadata": {"name": name, "labels": {}}} for name in ("lending", "modelward-system")}),
        policies=Seen((policy(),)),
        models=Seen((model(),)),
        versions=Seen((version(),)),
        gateways=Seen({("gateways", "public"): gateway()}),
        model_pods=Seen((model_pod(),)),
        network_policies=Seen(()),
        monitors=Seen(None),
        prometheuses=Seen(()),
    )


def with_operator(**fields: Any) -> Installation:
    return replace(healthy(), operators=Seen((replace(OPERATOR, **fields),)))


def definitions() -> Manifest:
    ours = definitions_of_release()
    established = [{"type": kind, "status": "True"} for kind in ("NamesAccepted", "Established")]
    found = {each["metadata"]["name"]: {**each, "status": {"conditions": established}} for each in ours}
    return found | {ROUTES: http_route("requestMirror", "percent")}


def http_route(*mirror: str, version: str = "v1", served: bool = True) -> Manifest:
    """The definition of HTTPRoute; the path below a rule's filter."""
    node: Manifest = {}
    for name in reversed(("spec", "rules", "filters", *mirror)):
        inner = {"properties": {name: node}}
        node = inner if name == "spec" or name in mirror else {"properties": {name: {"items": node}}}
    versions = [{"name": version, "served": served, "schema": {"openAPIV3Schema": node}}]
    annotations = {"gateway.networking.k8s.io/bundle-version": "v1.6.1"}
    return {"metadata": {"name": ROUTES, "annotations": annotations}, "spec": {"versions": versions}}


def guard(manifest: Manifest) -> Manifest:
    stamps = {"creationTimestamp": "2026-10-01T09:00:00Z", "generation": 1, "uid": "x"}
    return {**manifest, "metadata": {**manifest["metadata"], **stamps}}


def pod(**status: Any) -> Manifest:
    container = {"ready": True, "state": {"running": {}}, **status}
    spec = {"containers": [{"name": "operator", "image": OPERATOR.image}]}
    return {"metadata": {"name": "modelward-x2"}, "spec": spec, "status": {"containerStatuses": [container]}}


def lease(holder: str = "modelward-x2", silent: float = 1.0, ahead: float = 0.0) -> Manifest:
    """Renewed `silent` seconds ago by the API server's clock, of which the operator's is `ahead`."""
    written = NOW - timedelta(seconds=silent)
    entry = {"manager": "modelward", "time": written.isoformat()}
    spec = {"holderIdentity": holder, "renewTime": (written + timedelta(seconds=ahead)).isoformat()}
    return {"metadata": {"name": "modelward", "managedFields": [entry]}, "spec": spec}


def configuration(sources: str = "", **files: str) -> Manifest:
    return {"data": {"config.yaml": sources, **{f"{name}.yaml": text for name, text in files.items()}}}


def access(*users: str, role: str = "risk", namespace: str = "lending", **rule: Any) -> Access:
    """People who hold a role of the chart's in a namespace, or in all of them; with other rules where they are given."""
    creates = {"apiGroups": ["modelward.dev"], "resources": ["modelapprovals"], "verbs": ["create"]}
    given = {
        "apiGroups": ["modelward.dev"],
        "resources": ["approvalroles"],
        "resourceNames": [role],
        "verbs": ["approve"],
        **rule,
    }
    subjects = [{"kind": "User", "name": user} for user in users or ("grace@example.com",)]
    metadata = {"name": f"{role}-approvers", **({"namespace": namespace} if namespace else {})}
    binding = {
        "metadata": metadata,
        "roleRef": {"kind": "ClusterRole", "name": f"approver-{role}"},
        "subjects": subjects,
    }
    return Access(
        ({"kind": "ClusterRole", "metadata": {"name": f"approver-{role}"}, "rules": [given, creates]},), (binding,)
    )


def policy(
    identities: Manifest | None = None, roles: tuple[str, ...] = ("risk",), tier: str = "High", **spec: Any
) -> Manifest:
    people = [
        {"name": "Ada", "identities": ["ada@example.com"]},
        {"name": "Grace", "usernames": ["grace@example.com"]},
    ]
    stages = {"validation": {"approvals": [{"role": role} for role in roles]}}
    known = {"people": people} if identities is None else identities
    return {
        "apiVersion": "modelward.dev/v1alpha1",
        "kind": "LifecyclePolicy",
        "metadata": {"name": "high"},
        "spec": {"appliesTo": {"tiers": [tier]}, "identityMap": known, "stages": stages, **spec},
    }


def model(*, status: Manifest | None = None, changed: float = 3600.0, **serving: Any) -> Manifest:
    """Model lending/credit-risk, changed so many seconds ago."""
    route = {"parentRefs": [{"name": "public", "namespace": "gateways"}], "hostnames": ["credit.example.com"]}
    spec = {"riskTier": "High", "production": {"version": "v1"}, "serving": {"route": route, **serving}}
    created = (NOW - timedelta(seconds=changed)).isoformat()
    metadata = {
        "name": "credit-risk",
        "namespace": "lending",
        "generation": 1,
        "uid": "m",
        "creationTimestamp": created,
    }
    return {
        "apiVersion": "modelward.dev/v1alpha1",
        "kind": "Model",
        "metadata": metadata,
        "spec": spec,
        "status": {"observedGeneration": 1} if status is None else status,
    }


def version(*builders: str, **metadata: str) -> Manifest:
    return (
        {
            "apiVersion": "modelward.dev/v1alpha1",
            "kind": "ModelVersion",
            "metadata": {"name": "credit-risk-v1", "namespace": "lending", **metadata},
            "spec": {"model": "credit-risk", "version": "v1", "builtBy": list(builders)},
        }
        if builders
        else version("ada@example.com")
    )


def gateway(programmed: str = "True", message: str = "", **listener: Any) -> Manifest:
    everybody = {"name": "http", "protocol": "HTTP", "port": 80, "allowedRoutes": {"namespaces": {"from": "All"}}}
    conditions = [{"type": "Programmed", "status": programmed, "message": message}] if programmed else []
    return {
        "metadata": {"name": "public", "namespace": "gateways"},
        "spec": {"listeners": [everybody | listener]},
        "status": {"conditions": conditions},
    }


def model_pod(*ports: Manifest) -> Manifest:
    labels = {"modelward.dev/model": "credit-risk"}
    metadata = {"name": "credit-risk-v1-x", "namespace": "lending", "labels": labels}
    return {"metadata": metadata, "spec": {"containers": [{"name": "server", "ports": list(ports)}]}}


def fence(*rules: Manifest, **spec: Any) -> Manifest:
    """A NetworkPolicy of the Model's namespace, for all of its pods."""
    return {
        "metadata": {"name": "default-deny", "namespace": "lending"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": list(rules), **spec},
    }


def row(reason: str, message: str, result: str = "Unknown") -> Manifest:
    return {
        "observedGeneration": 1,
        "gates": [{"name": "errors", "result": result, "reason": reason, "message": message}],
    }


def condition(kind: str, reason: str, message: str, status: str = "False") -> Manifest:
    return {
        "observedGeneration": 1,
        "conditions": [{"type": kind, "status": status, "reason": reason, "message": message}],
    }
