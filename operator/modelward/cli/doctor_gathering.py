"""Reads what `modelward.diagnosis` judges, side by side. What is refused or gives no answer is a fact as well: it was not seen."""

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from modelward.api.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    EVENTS,
    GATEWAYS,
    LEASES,
    LIFECYCLE_POLICIES,
    MODEL_VERSIONS,
    MODELS,
    NAMESPACES,
    PODS,
    Resource,
)
from modelward.api.schema import KINDS
from modelward.api.types import GROUP
from modelward.cli.cluster import ALL_NAMESPACES, Cluster, ClusterError, Forbidden, NotServed, Object
from modelward.diagnosis.facts import Access, Clocks, Fact, Installation, NotSeen, Objects, Seen, Unseen
from modelward.diagnosis.ground import ROUTES
from modelward.diagnosis.operators import DEFAULT_NAMESPACE, SELECTOR, Operator, operator_of
from modelward.diagnosis.people import versions_asked
from modelward.diagnosis.rights import Right, rights_of
from modelward.governance import admission
from modelward.traffic.names import MODEL_LABEL

SIDE_BY_SIDE = 12
POD_SECONDS = 5.0
"""How long a pod may take to answer; the API server itself has the usual time."""

_NO_LOG = "unable to retrieve container logs"
"""What a kubelet answers, as if it were the log, when it has thrown the log away."""
_NOT_SERVED = "the cluster does not serve a kind that this needs: see definitions"

_RBAC = "rbac.authorization.k8s.io"
_ROLES = Resource(_RBAC, "v1", "roles", "Role")
_ROLE_BINDINGS = Resource(_RBAC, "v1", "rolebindings", "RoleBinding")
_CLUSTER_ROLES = Resource(_RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False)
_CLUSTER_ROLE_BINDINGS = Resource(_RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False)
_REVIEWS = Resource("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False)
_DEFINITIONS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
_ADMISSION = "admissionregistration.k8s.io"
_GUARDS = (
    Resource(_ADMISSION, "v1", "validatingadmissionpolicies", admission.POLICY, namespaced=False),
    Resource(_ADMISSION, "v1", "validatingadmissionpolicybindings", admission.BINDING, namespaced=False),
)
_NETWORK_POLICIES = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
_MONITORING = "monitoring.coreos.com"
_MONITORS = (
    Resource(_MONITORING, "v1", "servicemonitors", "ServiceMonitor"),
    Resource(_MONITORING, "v1", "podmonitors", "PodMonitor"),
    Resource(_MONITORING, "v1", "prometheusrules", "PrometheusRule"),
)
_PROMETHEUSES = Resource(_MONITORING, "v1", "prometheuses", "Prometheus")

Value = TypeVar("Value")
Progress = Callable[[int, int], None]
"""Is told how many readings have ended, of how many that were begun."""


class _Readings:
    """Begins readings, and tells how far they are."""

    def __init__(self, pool: ThreadPoolExecutor, progress: Progress) -> None:
        self._pool = pool
        self._progress = progress
        self._begun = 0
        self._ended = 0

    def begin(self, read: Callable[[], Value]) -> "Future[Fact[Value]]":
        self._begun += 1
        future = self._pool.submit(_fact, read)
        future.add_done_callback(self._count)
        return future

    def _count(self, _: object) -> None:
        self._ended += 1
        self._progress(self._ended, self._begun)


def gather(cluster: Cluster, release: str, scope: str, operator_namespace: str, progress: Progress) -> Installation:
    """The facts of an installation.

    Args:
        scope: the namespace whose Models are looked at; empty: all.
        operator_namespace: where the operator is; empty: wherever it is found.

    Raises:
        ClusterError: the API server gives no answer at all.
    """
    version = _version(cluster)
    within = scope or ALL_NAMESPACES
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        readings = _Readings(pool, progress)
        begin = readings.begin
        everywhere = begin(lambda: _operators(cluster, ALL_NAMESPACES))
        operators = begin(lambda: _chosen(cluster, operator_namespace, everywhere.result()))
        clocks = begin(lambda: _clocks(cluster))
        definitions = begin(lambda: _definitions(cluster))
        guards = begin(lambda: _guards(cluster))
        access = begin(lambda: _access(cluster, within))
        namespaces = begin(lambda: _namespaces(cluster, scope))
        policies = begin(lambda: tuple(cluster.list(LIFECYCLE_POLICIES)))
        models = begin(lambda: tuple(cluster.list(MODELS, within)))
        model_pods = begin(lambda: tuple(cluster.list(PODS, within, MODEL_LABEL)))
        fences = begin(lambda: tuple(cluster.list(_NETWORK_POLICIES, within)))
        monitors = begin(lambda: _monitors(cluster))
        prometheuses = begin(lambda: tuple(cluster.list(_PROMETHEUSES, ALL_NAMESPACES)))
        gateways = begin(lambda: _gateways(cluster, models.result()))
        own = _of_operator(cluster, operators.result(), readings)
        found = Installation(
            release=release,
            scope=scope,
            kubernetes=version,
            clocks=clocks.result(),
            definitions=definitions.result(),
            operators=operators.result(),
            everywhere=everywhere.result(),
            pods=own.pods,
            events=own.events,
            last_words=own.last_words,
            configuration=own.configuration,
            metrics=own.metrics,
            lease=own.lease,
            rights=own.rights,
            admission=guards.result(),
            access=access.result(),
            namespaces=namespaces.result(),
            policies=policies.result(),
            models=models.result(),
            versions=Seen(()),
            gateways=gateways.result(),
            model_pods=model_pods.result(),
            network_policies=fences.result(),
            monitors=monitors.result(),
            prometheuses=prometheuses.result(),
        )
        return replace(found, versions=begin(lambda: _versions(cluster, found)).result())


@dataclass(frozen=True)
class _OfOperator:
    """What is read of the one operator that is looked at."""

    pods: Fact[Objects]
    events: Fact[Objects]
    last_words: Mapping[str, str]
    configuration: Fact[Object | None]
    metrics: Fact[Mapping[str, str]]
    lease: Fact[Object | None]
    rights: Fact[Mapping[Right, bool]]


def _of_operator(cluster: Cluster, operators: Fact[tuple[Operator, ...]], readings: _Readings) -> _OfOperator:
    if isinstance(operators, Unseen) or not operators.value:
        why = operators if isinstance(operators, Unseen) else Unseen("there is no operator here to ask about")
        return _OfOperator(why, why, {}, why, why, why, why)
    own, begin = operators.value[0], readings.begin
    pods = begin(lambda: tuple(cluster.list(PODS, own.namespace, own.selector)))
    events = begin(lambda: _warnings(cluster, own.namespace))
    configuration = begin(
        lambda: cluster.get(CONFIG_MAPS, own.configuration, own.namespace) if own.configuration else None
    )
    lease = begin(lambda: cluster.get(LEASES, own.lease, own.namespace))
    asked = {right: begin(partial(_has, cluster, own, right)) for right in rights_of(own)}
    running = pods.result().value if isinstance(pods.result(), Seen) else ()
    words = {pod["metadata"]["name"]: begin(partial(_last_words, cluster, pod)) for pod in running if _ended(pod)}
    pages = {}
    if _measured_inside(configuration.result()):
        pages = {pod["metadata"]["name"]: begin(partial(_metrics, cluster, own, pod)) for pod in running}
    return _OfOperator(
        pods=pods.result(),
        events=events.result(),
        last_words={
            name: said.value for name, each in words.items() if isinstance(said := each.result(), Seen) and said.value
        },
        configuration=configuration.result(),
        metrics=_any(each.result() for each in pages.values()) if pages else Seen({}),
        lease=lease.result(),
        rights=_all({right: each.result() for right, each in asked.items()}),
    )


def _version(cluster: Cluster) -> Fact[str]:
    """Asked for first: without any answer there is nothing to tell."""
    try:
        return Seen(str(json.loads(cluster.page("/version").text)["gitVersion"]))
    except ClusterError as error:
        if not error.status:
            raise
        return Unseen(error.message)
    except (ValueError, KeyError, TypeError):
        return Unseen(f"{cluster.host} does not answer as a cluster does: something between asks for a sign-in")


def _fact(read: Callable[[], Value]) -> Fact[Value]:
    try:
        return Seen(read())
    except NotServed:
        return Unseen(_NOT_SERVED)
    except ClusterError as error:
        return Unseen(error.message)
    except NotSeen as reason:
        return Unseen(str(reason))


def _all(facts: Mapping[Right, Fact[bool]]) -> Fact[Mapping[Right, bool]]:
    """One that could not be asked for leaves all of them unknown: the others would be half of an answer."""
    unseen = next((fact for fact in facts.values() if isinstance(fact, Unseen)), None)
    return unseen or Seen({right: fact.value for right, fact in facts.items()})


def _operators(cluster: Cluster, within: str) -> tuple[Operator, ...]:
    """The oldest first."""
    found = cluster.list(DEPLOYMENTS, within, SELECTOR)
    oldest_first = sorted(found, key=lambda each: (each["metadata"]["creationTimestamp"], each["metadata"]["name"]))
    return tuple(operator_of(each) for each in oldest_first)


def _chosen(cluster: Cluster, namespace: str, everywhere: Fact[tuple[Operator, ...]]) -> tuple[Operator, ...]:
    """Those of the namespace that was named, else all. Whoever may not look everywhere is shown the usual namespace."""
    if isinstance(everywhere, Seen) and not namespace:
        return everywhere.value
    return _operators(cluster, namespace or DEFAULT_NAMESPACE)


def _clocks(cluster: Cluster) -> Clocks:
    """The server tells whole seconds, cut off: half a second more is nearest to what it had."""
    before = datetime.now(UTC)
    date = cluster.page("/version").date
    after = datetime.now(UTC)
    if date is None:
        raise NotSeen(f"{cluster.host} does not say what time it is there: something in between leaves it out")
    return Clocks(here=before + (after - before) / 2, server=date + timedelta(seconds=0.5))


def _definitions(cluster: Cluster) -> Mapping[str, Object | None]:
    names = [*(f"{kind.plural}.{GROUP}" for kind in KINDS), ROUTES]
    return {name: cluster.get(_DEFINITIONS, name) for name in names}


def _guards(cluster: Cluster) -> Mapping[str, Object | None]:
    return {
        admission.key(resource.kind, name): cluster.get(resource, name)
        for name in admission.NAMES
        for resource in _GUARDS
    }


def _access(cluster: Cluster, within: str) -> Access:
    return Access(
        roles=(*cluster.list(_ROLES, within), *cluster.list(_CLUSTER_ROLES)),
        bindings=(*cluster.list(_ROLE_BINDINGS, within), *cluster.list(_CLUSTER_ROLE_BINDINGS)),
    )


def _namespaces(cluster: Cluster, scope: str) -> Mapping[str, Object]:
    found = [cluster.get(NAMESPACES, scope)] if scope else cluster.list(NAMESPACES)
    return {each["metadata"]["name"]: each for each in found if each is not None}


def _monitors(cluster: Cluster) -> Objects | None:
    try:
        cluster.page(f"/apis/{_MONITORING}/v1")
    except NotServed:
        return None
    return tuple(each for resource in _MONITORS for each in cluster.list(resource, ALL_NAMESPACES, SELECTOR))


def _gateways(cluster: Cluster, models: Fact[Objects]) -> Mapping[tuple[str, str], Object | None]:
    """Those that Models name; whoever names one that is of a kind that nobody serves names one that is not there."""
    named = {
        (reference.get("namespace") or model["metadata"]["namespace"], reference["name"])
        for model in models.value
        for reference in ((model["spec"].get("serving") or {}).get("route") or {}).get("parentRefs") or ()
    }
    return {(namespace, name): _gateway(cluster, namespace, name) for namespace, name in sorted(named)}


def _gateway(cluster: Cluster, namespace: str, name: str) -> Object | None:
    try:
        return cluster.get(GATEWAYS, name, namespace)
    except NotServed:
        return None


def _versions(cluster: Cluster, found: Installation) -> Objects:
    read = (cluster.get(MODEL_VERSIONS, name, namespace) for namespace, name in versions_asked(found))
    return tuple(each for each in read if each is not None)


def _warnings(cluster: Cluster, namespace: str) -> Objects:
    """The oldest first."""
    found = [each for each in cluster.list(EVENTS, namespace) if each.get("type") == "Warning"]
    return tuple(sorted(found, key=_happened))


def _happened(event: Object) -> str:
    series = event.get("series") or {}
    return str(series.get("lastObservedTime") or event.get("deprecatedLastTimestamp") or event.get("eventTime") or "")


def _has(cluster: Cluster, own: Operator, right: Right) -> bool:
    spec = {"user": own.username, "groups": list(own.groups), "resourceAttributes": right.attributes}
    return bool(cluster.create(_REVIEWS, {"metadata": {}, "spec": spec})["status"]["allowed"])


def _ended(pod: Object) -> bool:
    """Whether its container has ended, and does not run well since."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return any(
        not each.get("ready") and any("terminated" in (each.get(when) or {}) for when in ("state", "lastState"))
        for each in statuses
    )


def _last_words(cluster: Cluster, pod: Object) -> str:
    """The last line of the log of the container that ended last: the sentence in it, where the operator wrote it."""
    path = PODS.path(pod["metadata"]["namespace"], pod["metadata"]["name"], "log")
    runs = any("running" in (each.get("state") or {}) for each in pod["status"]["containerStatuses"])
    line = cluster.page(path, {"previous": str(runs).lower(), "tailLines": "1"}).text.strip()
    if line.startswith(_NO_LOG):
        return ""
    try:
        logged = json.loads(line)
    except ValueError:
        return line
    return str(logged.get("message", line)) if isinstance(logged, dict) else line


def _measured_inside(configuration: Fact[Object | None]) -> bool:
    """Whether there is anything that only the operator's own metrics tell."""
    if isinstance(configuration, Unseen):
        return False
    return bool({"audit.yaml", "notifications.yaml"} & set((configuration.value or {}).get("data") or {}))


def _metrics(cluster: Cluster, own: Operator, pod: Object) -> tuple[str, str]:
    """By way of the API server, as `kubectl get --raw` would ask."""
    name = pod["metadata"]["name"]
    path = PODS.path(own.namespace, f"{name}:{own.port}", "proxy/metrics")
    try:
        return name, cluster.page(path, timeout=POD_SECONDS).text
    except Forbidden:
        raise
    except ClusterError as error:
        why = f"the API server does not reach port {own.port} of pod {name}, which has the operator's metrics"
        raise NotSeen(f"{why}: let it in (networkPolicy.metricsFrom), or read them from a Prometheus") from error


def _any(facts: Iterable[Fact[tuple[str, str]]]) -> Fact[Mapping[str, str]]:
    """What of several could be read; nothing at all is not seen."""
    given = list(facts)
    read = dict(fact.value for fact in given if isinstance(fact, Seen))
    return Seen(read) if read else next(fact for fact in given if isinstance(fact, Unseen))
