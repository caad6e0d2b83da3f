"""The operator's pods: restricted, spread, and spoken to by those who may."""

import asyncio
import subprocess
import sys
from typing import Any

import pytest
import yaml

from cluster import binaries
from modelward.runtime.health import health_server
from tests.unit.charts.rendering import CHART, objects, only, refusal, rendered

PODS = {
    "operator": lambda: only("Deployment")["spec"]["template"]["spec"],
    "helm test": lambda: only("Pod")["spec"],
}


@pytest.mark.parametrize("pod", PODS)
def test_a_pod_meets_the_restricted_pod_security_standard(pod: str) -> None:
    spec = PODS[pod]()
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert "hostPort" not in str(container.get("ports", ""))
    assert all(set(volume) - {"name"} <= {"configMap", "emptyDir", "secret"} for volume in spec.get("volumes", ()))


def test_one_replica_is_neither_spread_nor_protected_from_eviction() -> None:
    assert objects("PodDisruptionBudget") == []
    spec = only("Deployment")["spec"]["template"]["spec"]
    assert "affinity" not in spec and "topologySpreadConstraints" not in spec


def test_replicas_are_spread_over_nodes_and_zones_and_leave_one_at_a_time() -> None:
    deployment = only("Deployment", replicas=3)
    labels = deployment["spec"]["selector"]["matchLabels"]
    spec = deployment["spec"]["template"]["spec"]
    (apart,) = spec["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert apart["podAffinityTerm"] == {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": labels},
    }
    (spread,) = spec["topologySpreadConstraints"]
    assert (spread["topologyKey"], spread["labelSelector"]["matchLabels"]) == ("topology.kubernetes.io/zone", labels)
    budget = only("PodDisruptionBudget", replicas=3)["spec"]
    assert (budget["maxUnavailable"], budget["selector"]["matchLabels"]) == (1, labels)


def test_a_placement_of_ones_own_takes_the_place_of_the_charts() -> None:
    mine: dict[str, Any] = {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}
    }
    spread = [{"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}]
    spec = only("Deployment", replicas=3, affinity=mine, topologySpreadConstraints=spread)["spec"]["template"]["spec"]
    assert (spec["affinity"], spec["topologySpreadConstraints"]) == (mine, spread)


def test_the_pod_of_helm_test_is_not_behind_the_service() -> None:
    selector = only("Service")["spec"]["selector"]
    assert only("Deployment")["spec"]["template"]["metadata"]["labels"].items() >= selector.items()
    assert not only("Pod")["metadata"]["labels"].items() >= selector.items()


@pytest.mark.parametrize(
    ("ready", "metrics", "code", "said"),
    [
        (None, b"modelward_operator_is_leader 1.0\n", 0, "the operator is ready, and leads"),
        (None, b"modelward_operator_is_leader 0.0\n", 1, "no replica that was asked holds the Lease"),
        ("not complete", b"modelward_operator_is_leader 1.0\n", 1, "is not ready: HTTP Error 503"),
    ],
    ids=["it leads", "nobody leads", "it is not ready"],
)
async def test_what_helm_test_finds(ready: str | None, metrics: bytes, code: int, said: str) -> None:
    (container,) = only("Pod")["spec"]["containers"]
    (script,) = container["args"]
    assert script.count("http://modelward.modelward.svc:8080") == script.count("+ 30,") == 1
    checks = {"cache": lambda: ready}
    async with health_server("127.0.0.1", 0, live={}, ready=checks, metrics=lambda: metrics) as port:
        here = script.replace("modelward.modelward.svc:8080", f"127.0.0.1:{port}").replace("+ 30,", "+ 0.5,")
        pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.STDOUT}
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", here, **pipes)
        output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, said in output.decode()) == (code, True), output.decode()


EVERYTHING = {
    "networkPolicy__enabled": True,
    "metrics__prometheusSources": [
        {"name": "main", "url": "https://prometheus.example:9443/select/0"},
        {"name": "plain", "url": "http://prometheus.monitoring"},
        {"name": "secure", "url": "https://prometheus.example"},
    ],
    "audit__export__s3": {
        "endpoint": "https://[2001:db8::1]:9000",
        "bucket": "audit",
        "lock": {"mode": "COMPLIANCE", "days": 30},
        "secretName": "s3",
    },
    "notifications__webhooks": [{"name": "tickets", "url": "https://tickets.example:8443/x", "secretName": "tickets"}],
}


def egress(**values: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = only("NetworkPolicy", **values)["spec"]["egress"]
    return found


def test_without_being_asked_for_there_is_no_network_policy() -> None:
    assert objects("NetworkPolicy") == []


def test_the_operator_may_speak_to_what_it_is_told_of_and_to_nothing_else() -> None:
    rules = egress(**EVERYTHING)
    models = [rule for rule in rules if "ports" not in rule]
    assert models == [
        {
            "to": [
                {
                    "namespaceSelector": {},
                    "podSelector": {"matchExpressions": [{"key": "modelward.dev/model", "operator": "Exists"}]},
                }
            ]
        }
    ]
    ports = [[port["port"] for port in rule["ports"]] for rule in rules if "ports" in rule]
    assert ports == [[443, 6443], [53, 53], [9443], [80], [443], [9000], [8443]]


def test_a_database_is_spoken_to_on_its_own_port() -> None:
    database = {"host": "db.example", "database": "audit", "user": "audit", "secretName": "db"}
    rules = egress(networkPolicy__enabled=True, audit__export__postgres=database)
    assert rules[-1]["ports"] == [{"port": 5432, "protocol": "TCP"}]


def test_the_address_of_the_api_server_and_of_dns_can_be_said() -> None:
    rules = egress(
        networkPolicy__enabled=True,
        networkPolicy__apiServer={"ports": [6443], "cidrs": ["10.0.0.1/32"]},
        networkPolicy__dnsTo=[{"namespaceSelector": {}}],
        networkPolicy__egress=[{"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]}],
    )
    assert rules[0] == {"ports": [{"port": 6443, "protocol": "TCP"}], "to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}]}
    assert rules[1]["to"] == [{"namespaceSelector": {}}]
    assert rules[-1] == {"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]}


def test_metrics_are_read_by_those_who_may_and_by_helm_test() -> None:
    prometheus = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    policy = only("NetworkPolicy", networkPolicy__enabled=True, networkPolicy__metricsFrom=[prometheus])["spec"]
    metrics, test = policy["ingress"]
    assert metrics["from"] == [prometheus]
    labels = only("Pod")["metadata"]["labels"]
    assert labels.items() >= test["from"][0]["podSelector"]["matchLabels"].items()
    assert [rule["ports"] for rule in policy["ingress"]] == [[{"port": "http", "protocol": "TCP"}]] * 2


MONITORS = {"ServiceMonitor": ("serviceMonitor", "endpoints"), "PodMonitor": ("podMonitor", "podMetricsEndpoints")}


@pytest.mark.parametrize("kind", MONITORS)
def test_a_monitor_reads_the_operators_port_and_keeps_the_namespaces_of_models(kind: str) -> None:
    value, field = MONITORS[kind]
    monitor = only(kind, **{f"monitoring__{value}": {"enabled": True, "interval": "15s", "labels": {"release": "x"}}})
    assert monitor["metadata"]["labels"]["release"] == "x"
    assert monitor["spec"][field] == [{"port": "http", "path": "/metrics", "interval": "15s", "honorLabels": True}]
    service, pods = only("Service"), only("Deployment")["spec"]["template"]
    chosen = service if kind == "ServiceMonitor" else pods
    assert chosen["metadata"]["labels"].items() >= monitor["spec"]["selector"]["matchLabels"].items()
    assert "http" in [port["name"] for port in (*service["spec"]["ports"], *pods["spec"]["containers"][0]["ports"])]


def test_without_being_asked_for_no_kind_is_used_that_the_cluster_may_lack() -> None:
    groups = {manifest["apiVersion"].partition("/")[0] for manifest in rendered()}
    assert "monitoring.coreos.com" not in groups


def test_two_monitors_of_the_same_pods_are_refused() -> None:
    both = {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}
    assert "monitoring" in refusal(monitoring=both)


# What is wrong with a value, the value, and what helm says: where it is, what was given, and what is wanted.
WRONG = {
    "a word too many": ({"networkPolicy__enable": True}, "at '/networkPolicy': additional properties 'enable'"),
    "a port as a word": (
        {"networkPolicy__apiServer__ports": ["https"]},
        "apiServer/ports/0': got string, want integer",
    ),
    "a replica count of none": ({"replicas": 0}, "at '/replicas': minimum: got 0, want 1"),
    "a replica count in quotes": ({"replicas": "2"}, "at '/replicas': got string, want integer"),
    "labels that are no strings": (
        {"monitoring__serviceMonitor__labels": {"release": 1}},
        "at '/monitoring/serviceMonitor/labels/release': got number, want string",
    ),
    "an alert with a field that rules do not have": (
        {"monitoring__prometheusRule__rules": {"X": {"after": "5m"}}},
        "at '/monitoring/prometheusRule/rules/X': additional properties 'after'",
    ),
    "a runbook that is no address": (
        {"monitoring__prometheusRule__runbookURL": "docs"},
        "at '/monitoring/prometheusRule/runbookURL': 'docs' does not match pattern '^https?://'",
    ),
    "a tag that YAML reads as a number": ({"image__tag": 1}, "at '/image/tag': got number, want string"),
    "a time in words": ({"discovery__interval": "10 minutes"}, "at '/discovery/interval': '10 minutes' does not match"),
    "a time in days": ({"audit__keepInCluster": "30d"}, "at '/audit/keepInCluster': '30d' does not match pattern"),
    "an object storage without a lock": (
        {"audit__export__s3": {"endpoint": "https://s3.example"}},
        "at '/audit/export/s3': properties 'bucket', 'lock', 'secretName' required",
    ),
    "a volume of one pod for two replicas": (
        {"audit__export__directory__enabled": True, "replicas": 2},
        "audit.export.directory: replicas above 1 need accessMode ReadWriteMany",
    ),
    "a source without an address": (
        {"metrics__prometheusSources": [{"name": "x"}]},
        "at '/metrics/prometheusSources/0': missing property 'url'",
    ),
    "a source without a scheme": (
        {"metrics__prometheusSources": [{"name": "x", "url": "prometheus:9090"}]},
        "at '/metrics/prometheusSources/0/url': 'prometheus:9090' does not match pattern '^https?://'",
    ),
    "a webhook in the clear": (
        {"notifications__webhooks": [{"name": "t", "url": "http://tickets.example", "secretName": "s"}]},
        "at '/notifications/webhooks/0/url': 'http://tickets.example' does not match pattern '^https://'",
    ),
    "a role that is no name": (
        {"approvals__roles": ["Risk Officer"]},
        "at '/approvals/roles/0': 'Risk Officer' does not",
    ),
    "a tier that does not exist": (
        {"policies__tiers": ["Lowest"]},
        "at '/policies/tiers/0': value must be one of 'Low', 'Medium', 'High', 'Critical'",
    ),
    "a port that needs root": ({"port": 80}, "at '/port': minimum: got 80, want 1,024"),
}


@pytest.mark.parametrize(("values", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_refused_by_its_place_and_by_what_is_wanted(values: dict[str, Any], said: str) -> None:
    assert said in refusal(**values)


def test_every_value_is_in_the_schema() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())

    def unknown(given: dict[str, Any], node: dict[str, Any], path: str) -> list[str]:
        if "$ref" in node:
            node = schema["definitions"][node["$ref"].rpartition("/")[2]]
        known = node.get("properties")
        if known is None:
            return []
        assert node["additionalProperties"] is False, path
        missing = [f"{path}{name}" for name in given if name not in known]
        return missing + [
            one
            for name, value in given.items()
            if isinstance(value, dict) and name in known
            for one in unknown(value, known[name], f"{path}{name}.")
        ]

    assert unknown(values, schema, "") == []


@pytest.mark.parametrize("chart", ["modelward", "modelward-crds"])
def test_helm_finds_nothing_wrong_with_a_chart(chart: str) -> None:
    lint = [str(binaries.path("helm")), "lint", "--strict", "--kube-version", binaries.KUBERNETES_VERSION]
    done = subprocess.run([*lint, str(CHART.parent / chart)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
