"""What runs on the cluster from the start: DNS, Prometheus, and Envoy Gateway with its Gateway `public`."""

from __future__ import annotations

import json
import string
import urllib.error
import urllib.request
from typing import Any, cast

from cluster import binaries, images, network, paths, progress
from cluster.processes import Command, Failure, run, wait_until

GATEWAY_URL = f"http://{network.GATEWAY_ADDRESS}"
PROMETHEUS_URL = f"http://{network.PROMETHEUS_ADDRESS}:9090"
SYSTEM_NAMESPACES = ("kube-system", "monitoring", "envoy-gateway-system")
_FIRST_REQUEST_HOST = "first-request.modelward.internal"
_EXPECTED_DEPLOYMENTS = 4


def deploy() -> None:
    """Ends when the node is Ready, everything is available, and the gateway has answered a request with 200."""
    _apply("coredns")
    _apply("prometheus")
    with progress.step("installing Envoy Gateway"):
        _install_envoy_gateway()
        _apply("gateway")
    with progress.step("waiting for the node"):
        wait_until(node_is_ready, "a Ready node", seconds=240, hint=f"see {paths.logs() / 'kubelet.log'}")
    with progress.step("waiting for DNS, Prometheus and the gateway"):
        wait_until(lambda: not unavailable(), "the cluster's own Deployments", seconds=480, pause=0.3)
    with progress.step("waiting for the first 200 through the gateway"):
        _apply("first-request")
        wait_until(lambda: _status_from_gateway(_FIRST_REQUEST_HOST) == 200, "a first 200", seconds=240, pause=0.05)
        kubectl("delete", "--filename=-", "--wait=false", given=_rendered("first-request"))


def api_server_is_ready() -> bool:
    try:
        return kubectl("get", "--raw", "/readyz", "--request-timeout=5s").strip() == "ok"
    except Failure:
        return False


def node_is_ready() -> bool:
    try:
        node = _get("node", network.NODE_NAME)
    except Failure:  # not registered yet
        return False
    return any(
        condition["type"] == "Ready" and condition["status"] == "True" for condition in node["status"]["conditions"]
    )


def unavailable() -> list[str]:
    """The cluster's own Deployments that are missing or lack a replica."""
    found = [item for namespace in SYSTEM_NAMESPACES for item in _get("deployments", "-n", namespace)["items"]]
    lacking = [item["metadata"]["name"] for item in found if not _is_available(item)]
    if len(found) < _EXPECTED_DEPLOYMENTS:
        lacking.append(f"{_EXPECTED_DEPLOYMENTS - len(found)} not created yet")
    return lacking


def gateway_answers() -> bool:
    """Any status will do: without routes it is 404."""
    return _status_from_gateway(_FIRST_REQUEST_HOST) is not None


def kubectl(*arguments: str, given: str | None = None) -> str:
    network.require_routes()
    command: Command = [binaries.path("kubectl"), f"--kubeconfig={paths.kubeconfig()}", *arguments]
    return run(command, given=given, timeout=600)


def _install_envoy_gateway() -> None:
    network.require_routes()
    helm: Command = [binaries.path("helm"), f"--kubeconfig={paths.kubeconfig()}"]
    release: Command = ["upgrade", "--install", "envoy-gateway", binaries.gateway_chart()]
    place = ["--namespace", "envoy-gateway-system", "--create-namespace", "--values", "-"]
    run([*helm, *release, *place], given=_rendered("envoy-gateway-values"), timeout=600)


def _apply(manifest: str) -> None:
    rendered = _rendered(manifest)
    last: list[Failure] = []

    def applied() -> bool:
        try:
            kubectl("apply", "--filename=-", given=rendered)
        except Failure as failure:  # a kind that the API server has only just learnt
            last[:] = [failure]
            return False
        return True

    try:
        wait_until(applied, f"the manifest {manifest}", seconds=120, pause=0.5)
    except Failure as late:
        raise Failure(f"{late}\n{last[0] if last else ''}") from late


def _rendered(manifest: str) -> str:
    parts = images.part_images()
    return string.Template((paths.MANIFESTS / f"{manifest}.yaml").read_text()).substitute(
        CLUSTER_DOMAIN=network.CLUSTER_DOMAIN,
        DNS_ADDRESS=network.DNS_ADDRESS,
        GATEWAY_ADDRESS=network.GATEWAY_ADDRESS,
        PROMETHEUS_ADDRESS=network.PROMETHEUS_ADDRESS,
        COREDNS_IMAGE=parts["coredns"].reference,
        ENVOY_IMAGE=parts["envoy"].reference,
        ENVOY_GATEWAY_IMAGE=parts["envoy-gateway"].reference,
        PROMETHEUS_IMAGE=parts["prometheus"].reference,
        FIRST_REQUEST_HOST=_FIRST_REQUEST_HOST,
    )


def _get(*arguments: str) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(kubectl("get", *arguments, "--output=json")))


def _is_available(deployment: dict[str, Any]) -> bool:
    wanted, status = deployment["spec"]["replicas"], deployment["status"]
    if status.get("observedGeneration") != deployment["metadata"]["generation"]:
        return False
    return all(int(status.get(count, 0)) >= wanted for count in ("updatedReplicas", "availableReplicas"))


def _status_from_gateway(host: str) -> int | None:
    network.require_routes()
    # Never through a proxy that the environment may name: the address is this machine's own.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(urllib.request.Request(GATEWAY_URL, headers={"Host": host}), timeout=2) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return None
