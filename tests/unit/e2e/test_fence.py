"""What the chart's NetworkPolicy lets through, judged by its text."""

import pytest

from tests.e2e.fence import Connection, Peer, connections, lets_in, lets_out
from tests.unit.charts.rendering import only

MONITORING = {"kubernetes.io/metadata.name": "monitoring"}
POLICY = only(
    "NetworkPolicy",
    networkPolicy__enabled=True,
    networkPolicy__metricsFrom=[{"namespaceSelector": {"matchLabels": MONITORING}}],
    metrics__prometheusSources=[{"name": "main", "url": "http://prometheus.monitoring:9090"}],
)
MODEL = Peer("10.1.0.9", {"modelward.dev/model": "scorer"}, {}, "lending")
OTHER = Peer("10.1.0.10", {"app": "database"}, {}, "lending")
OUTSIDE = Peer("203.0.113.7")


@pytest.mark.parametrize(
    ("peer", "port", "protocol", "passes"),
    [
        pytest.param(MODEL, 9090, "TCP", True, id="a model server on its metrics port"),
        pytest.param(MODEL, 1, "TCP", True, id="a model server on any port, because Models say which"),
        pytest.param(OTHER, 5432, "TCP", False, id="another pod of the same namespace"),
        pytest.param(OUTSIDE, 6443, "TCP", True, id="the API server, which is no pod"),
        pytest.param(OUTSIDE, 53, "UDP", True, id="DNS"),
        pytest.param(OUTSIDE, 53, "SCTP", False, id="the port of DNS by another protocol"),
        pytest.param(OTHER, 9090, "TCP", True, id="the port of a Prometheus that is configured"),
        pytest.param(OUTSIDE, 8443, "TCP", False, id="a port that nobody configured"),
        pytest.param(OUTSIDE, 22, "TCP", False, id="a shell somewhere"),
    ],
)
def test_the_operator_reaches_what_it_needs(peer: Peer, port: int, protocol: str, passes: bool) -> None:
    assert lets_out(POLICY, peer, port, protocol) is passes


@pytest.mark.parametrize(
    ("peer", "passes"),
    [
        pytest.param(Peer("10.1.0.3", {"app": "prometheus"}, MONITORING, "monitoring"), True, id="Prometheus"),
        pytest.param(
            Peer(
                "10.1.0.4",
                {"app.kubernetes.io/instance": "modelward", "app.kubernetes.io/component": "test"},
                {},
                "modelward",
            ),
            True,
            id="helm test",
        ),
        pytest.param(
            Peer(
                "10.1.0.5",
                {"app.kubernetes.io/instance": "modelward", "app.kubernetes.io/component": "test"},
                {},
                "lending",
            ),
            False,
            id="a pod elsewhere that is labelled as helm test",
        ),
        pytest.param(MODEL, False, id="a model server"),
        pytest.param(OUTSIDE, False, id="somebody outside"),
    ],
)
def test_metrics_are_read_by_whom_the_values_name(peer: Peer, passes: bool) -> None:
    assert lets_in(POLICY, peer, 8080, "http") is passes
    assert not lets_in(POLICY, peer, 8081, "debug")


def test_a_connection_is_to_where_the_service_led() -> None:
    listing = (
        "tcp      6 86398 ESTABLISHED src=10.1.0.2 dst=10.96.0.1 sport=41234 dport=443"
        " src=198.18.0.1 dst=10.1.0.2 sport=6443 dport=41234 [ASSURED] mark=0 use=1\n"
        "udp      17 28 src=10.1.0.2 dst=10.96.0.10 sport=5353 dport=53"
        " src=10.1.0.8 dst=10.1.0.2 sport=53 dport=5353 mark=0 use=1\n"
        "tcp      6 90 TIME_WAIT src=10.1.0.7 dst=10.1.0.2 sport=1 dport=8080 src=10.1.0.2 dst=10.1.0.7 sport=8080 dport=1 use=1\n"
    )
    assert connections(listing, "10.1.0.2") == {
        Connection("TCP", "198.18.0.1", 6443),
        Connection("UDP", "10.1.0.8", 53),
    }
