"""Whether what has to be measured can be: the metrics of Models, and those of the operator itself."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from modelward.api import reasons
from modelward.diagnosis.facts import Installation, NotSeen, Object
from modelward.diagnosis.findings import Said, count, names, ok, problem, warning
from modelward.diagnosis.operators import Operator
from modelward.diagnosis.people import governed
from modelward.diagnosis.traffic import selects
from modelward.traffic.names import MODEL_LABEL

_NO_EVIDENCE = (reasons.METRICS_UNAVAILABLE, reasons.INVALID_RESULT, reasons.METRIC_ABSENT, reasons.STALE_METRICS)
_METRICS_PORT = 9090
_NAMESPACE_NAME = "kubernetes.io/metadata.name"


def sources(found: Installation) -> Iterator[Said]:
    own = found.operator
    known = _known_sources(found.configuration.value)
    asked: dict[str, list[str]] = {}
    for each in governed(found):
        serving = each.model.spec.serving
        if serving is not None and not isinstance(serving.metrics.source, str):
            asked.setdefault(serving.metrics.source.prometheus, []).append(each.where)
    for policy in found.policies.value:
        for source in _queried(policy["spec"]):
            asked.setdefault(source, []).append(f"policy {policy['metadata']['name']}")
    unknown = {name: who for name, who in asked.items() if name not in known}
    for name, who in unknown.items():
        yield problem(
            f"{names(who)} reads Prometheus {name!r}, which the operator does not know (it knows {names(sorted(known)) or 'none'})",
            f"add it to metrics.prometheusSources, then: {own.apply_again}",
        )
    if not unknown:
        yield ok(
            f"{count(len(asked), 'Prometheus source')} named, all known" if asked else "metrics are read from the pods"
        )


def _known_sources(configuration: Object | None) -> set[str]:
    text = ((configuration or {}).get("data") or {}).get("config.yaml") or ""
    try:
        document = yaml.safe_load(text) or {}
    except yaml.YAMLError:
        return set()
    listed = document.get("prometheusSources") if isinstance(document, Mapping) else None
    entries = listed if isinstance(listed, list) else ()
    return {str(each["name"]) for each in entries if isinstance(each, Mapping) and "name" in each}


def _queried(node: Any) -> Iterator[str]:
    """The sources of all query gates below a policy's spec."""
    if isinstance(node, Mapping):
        query = node.get("query")
        if isinstance(query, Mapping) and "source" in query:
            yield str(query["source"])
        for child in node.values():
            yield from _queried(child)
    elif isinstance(node, Sequence) and not isinstance(node, str):
        for child in node:
            yield from _queried(child)


def network(found: Installation) -> Iterator[Said]:
    """By the policies' words; a plugin that does not enforce them lets everything pass."""
    own, said = found.operator, []
    ports = {
        (model["metadata"]["namespace"], model["metadata"]["name"]): _port(model)
        for model in found.models.value
        if _reads_pods(model)
    }
    closed: dict[tuple[str, int], tuple[list[str], list[str]]] = {}
    for pod in found.model_pods.value:
        metadata = pod["metadata"]
        port = ports.get((metadata["namespace"], (metadata.get("labels") or {}).get(MODEL_LABEL, "")))
        fences = _fences(found.network_policies.value, pod)
        if port is None or not fences or any(_lets_in(found, own, each, pod, port) for each in fences):
            continue
        models, policies = closed.setdefault((metadata["namespace"], port), ([], []))
        models.append(metadata["labels"][MODEL_LABEL])
        policies += [each["metadata"]["name"] for each in fences]
    for (namespace, port), (models, policies) in closed.items():
        said.append(
            problem(
                f"NetworkPolicy {names(policies)} in namespace {namespace} keeps the operator from port {port} of the pods of {names(models)}:"
                " no gate gets metrics",
                f"allow ingress to port {port} there from namespaceSelector {{matchLabels: {{{_NAMESPACE_NAME}: {own.namespace}}}}}",
            )
        )
    yield from said or [
        ok(f"nothing keeps the operator from the metrics of {count(len(found.model_pods.value), 'pod')}")
    ]


def _reads_pods(model: Object) -> bool:
    serving = model["spec"].get("serving")
    return bool(serving) and isinstance((serving.get("metrics") or {}).get("source", "Pods"), str)


def _port(model: Object) -> int:
    return int((model["spec"]["serving"].get("metrics") or {}).get("port") or _METRICS_PORT)


def _fences(policies: Sequence[Object], pod: Object) -> list[Object]:
    """The policies that choose a pod and say who may speak to it."""
    metadata = pod["metadata"]
    return [
        each
        for each in policies
        if each["metadata"]["namespace"] == metadata["namespace"]
        and "Ingress" in (each["spec"].get("policyTypes") or ("Ingress",))
        and selects(each["spec"].get("podSelector") or {}, metadata.get("labels") or {})
    ]


def _lets_in(found: Installation, own: Operator, policy: Object, pod: Object, port: int) -> bool:
    return any(
        _port_open(rule.get("ports") or (), pod, port) and _from_operator(found, own, policy, rule.get("from") or ())
        for rule in policy["spec"].get("ingress") or ()
    )


def _port_open(ports: Sequence[Mapping[str, Any]], pod: Object, port: int) -> bool:
    declared = {
        each.get("name"): each["containerPort"]
        for container in pod["spec"]["containers"]
        for each in container.get("ports") or ()
    }
    for each in ports:
        opened = each.get("port")
        first = declared.get(opened) if isinstance(opened, str) else opened
        within = opened is None or (first is not None and first <= port <= each.get("endPort", first))
        if each.get("protocol", "TCP") == "TCP" and within:
            return True
    return not ports


def _from_operator(found: Installation, own: Operator, policy: Object, peers: Sequence[Mapping[str, Any]]) -> bool:
    """Which address the operator's pods will have is not known, so that an address block is taken to have them."""
    labels = ((found.namespaces.value.get(own.namespace) or {}).get("metadata") or {}).get("labels") or {
        _NAMESPACE_NAME: own.namespace
    }
    for peer in peers:
        if "ipBlock" in peer:
            return True
        spaces = peer.get("namespaceSelector")
        here = policy["metadata"]["namespace"] == own.namespace if spaces is None else selects(spaces, labels)
        if here and selects(peer.get("podSelector") or {}, own.labels):
            return True
    return not peers


def metrics(found: Installation) -> Iterator[Said]:
    """What the operator says of its last looks: it is where the metrics have to arrive."""
    rows: dict[str, list[str]] = {}
    for model in found.models.value:
        status = model.get("status") or {}
        judged = [*(status.get("gates") or ()), *((status.get("monitoring") or {}).get("gates") or ())]
        for row in judged:
            if row.get("result") == "Unknown" and row.get("reason") in _NO_EVIDENCE:
                rows.setdefault(row.get("message", ""), []).append(
                    f"{model['metadata']['namespace']}/{model['metadata']['name']}"
                )
    for message, who in list(rows.items())[:4]:
        namespace, _, name = who[0].partition("/")
        yield problem(
            f"{names(who)} has a gate without evidence: {message}", f"kubectl describe model {name} -n {namespace}"
        )
    if len(rows) > 4:
        yield problem(f"{len(rows) - 4} more gates have no evidence", "kubectl get models -A")
    if not rows:
        yield ok("every gate that is judged gets its metrics")


def audit(found: Installation) -> Iterator[Said]:
    """Only the replica that leads exports."""
    own = found.operator
    if "audit.yaml" not in ((found.configuration.value or {}).get("data") or {}):
        yield ok("not exported: audit records stay in the cluster")
        return
    read = _series(found)
    docs = "docs/how-to/keep-the-audit-trail.md"
    logs = f"kubectl -n {own.namespace} logs deployment/{own.name} | grep -i audit   # {docs}"
    said = []
    if _sum(read, "modelward_audit_broken_chains"):
        said.append(
            problem(
                f"the audit chain of {count(int(_sum(read, 'modelward_audit_broken_chains')), 'Model')} does not link",
                "modelward audit verify -A",
            )
        )
    if _sum(read, "modelward_audit_oldest_unexported_age_seconds") > 900:
        waiting = int(_sum(read, "modelward_audit_backlog_records"))
        said.append(
            problem(
                f"{count(waiting, 'audit record')} have waited for durable storage for more than a quarter of an hour",
                logs,
            )
        )
    signing = "signing:" in found.configuration.value["data"]["audit.yaml"] if found.configuration.value else False
    exported = _sum(read, "modelward_audit_exported_records_total")
    if (
        signing and exported and not _sum(read, "modelward_audit_checkpoints_signed")
    ):  # the first record brings the first checkpoint
        said.append(
            problem(
                "checkpoints are to be signed, and the operator cannot use the key of audit.signing.secretName", logs
            )
        )
    yield from said or [ok("exported" + (", under signed checkpoints" if signing else ""))]


def webhooks(found: Installation) -> Iterator[Said]:
    own = found.operator
    if "notifications.yaml" not in ((found.configuration.value or {}).get("data") or {}):
        yield ok("none is configured")
        return
    waiting = {
        labels.get("webhook", ""): value for labels, value in _series(found).get("modelward_notifications_waiting", ())
    }
    failing = {
        labels.get("webhook", "")
        for labels, value in _series(found).get("modelward_notifications_failures_total", ())
        if value
    }
    deaf = sorted(name for name, value in waiting.items() if value and name in failing)
    if deaf:
        yield warning(
            f"events wait for webhook {names(deaf)}, to which requests have failed",
            f"kubectl -n {own.namespace} logs deployment/{own.name} | grep -i webhook",
        )
    else:
        yield ok("no event waits for a webhook that failed")


def alerts(found: Installation) -> Iterator[Said]:
    """Without the Prometheus Operator, nobody can say from here what a Prometheus reads."""
    own, monitors = found.operator, found.monitors.value
    if monitors is None:
        yield ok("the Prometheus Operator is not here: load charts/modelward/alerts into your Prometheus")
        return
    kinds = {each["kind"] for each in monitors}
    said = []
    if not kinds & {"ServiceMonitor", "PodMonitor"}:
        said.append(
            warning(
                "no ServiceMonitor has a Prometheus read the operator",
                own.set_value("monitoring.serviceMonitor.enabled=true"),
            )
        )
    if "PrometheusRule" not in kinds:
        said.append(
            warning("the operator's alerts are not loaded", own.set_value("monitoring.prometheusRule.enabled=true"))
        )
    said += [each for monitor in monitors if (each := _unread(found, own, monitor))]
    yield from said or [ok(f"{names(sorted(kinds))}, each chosen by a Prometheus")]


_SELECTORS = {
    "ServiceMonitor": ("serviceMonitorSelector", "monitoring.serviceMonitor.labels"),
    "PodMonitor": ("podMonitorSelector", "monitoring.podMonitor.labels"),
    "PrometheusRule": ("ruleSelector", "monitoring.prometheusRule.labels"),
}


def _unread(found: Installation, own: Operator, monitor: Object) -> Said | None:
    """A selector that is not there chooses nothing, an empty one everything."""
    selector, value = _SELECTORS[monitor["kind"]]
    labels = monitor["metadata"].get("labels") or {}
    servers = found.prometheuses.value
    if any(each["spec"].get(selector) is not None and selects(each["spec"][selector], labels) for each in servers):
        return None
    wanted = names([f"{each['metadata']['name']}: {each['spec'].get(selector)}" for each in servers]) or "there is none"
    return warning(
        f"no Prometheus chooses {monitor['kind']} {monitor['metadata']['name']} by its labels ({selector} of each: {wanted})",
        f"set {value} to labels that it chooses, then: {own.apply_again}",
    )


Series = Mapping[str, list[tuple[Mapping[str, str], float]]]


def _series(found: Installation) -> Series:
    """The samples of all replicas, by name."""
    read: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    for pod, page in found.metrics.value.items():
        try:
            families = list(text_string_to_metric_families(page))
        except ValueError as error:
            raise NotSeen(f"what pod {pod} answers on the port of the operator's metrics are no metrics") from error
        for family in families:
            for sample in family.samples:
                read.setdefault(sample.name, []).append((sample.labels, sample.value))
    return read


def _sum(read: Series, name: str) -> float:
    return sum(value for _, value in read.get(name, ()))
