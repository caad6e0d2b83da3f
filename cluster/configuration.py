"""What every part of the cluster is told: its command line, and the files it reads."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster import binaries, certificates, network, paths

PAUSE_IMAGE = "localhost/pause:1"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
API_URL = f"https://{network.NODE_ADDRESS}:{network.API_PORT}"
_ETCD_URL = "http://127.0.0.1:2379"
_ETCD_PEER_URL = "http://127.0.0.1:2380"


@dataclass(frozen=True)
class Part:
    """One long-running program of the cluster."""

    name: str
    program: Path
    arguments: tuple[str, ...]


def etcd() -> Part:
    return _part(
        "etcd",
        f"--data-dir={paths.cluster() / 'etcd'}",
        # What is lost when the machine loses power is a test cluster that is made anew at every start.
        "--unsafe-no-fsync",
        f"--listen-client-urls={_ETCD_URL}",
        f"--advertise-client-urls={_ETCD_URL}",
        f"--listen-peer-urls={_ETCD_PEER_URL}",
        f"--initial-advertise-peer-urls={_ETCD_PEER_URL}",
        f"--initial-cluster=default={_ETCD_PEER_URL}",
        "--log-level=warn",
    )


def containerd() -> Part:
    settings = paths.configuration() / "containerd.toml"
    return Part("containerd", Path("/usr/bin/containerd"), ("--config", str(settings)))


def api_server() -> Part:
    return _part(
        "kube-apiserver",
        f"--etcd-servers={_ETCD_URL}",
        f"--advertise-address={network.NODE_ADDRESS}",
        f"--secure-port={network.API_PORT}",
        f"--service-cluster-ip-range={network.SERVICE_RANGE}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged",
        f"--client-ca-file={_certificate(certificates.AUTHORITY)}",
        f"--tls-cert-file={_certificate(certificates.API_SERVER.file)}",
        f"--tls-private-key-file={_key(certificates.API_SERVER.file)}",
        f"--kubelet-certificate-authority={_certificate(certificates.AUTHORITY)}",
        f"--kubelet-client-certificate={_certificate(certificates.API_SERVER_TO_KUBELET.file)}",
        f"--kubelet-client-key={_key(certificates.API_SERVER_TO_KUBELET.file)}",
        # Node names are in no DNS, so logs and exec go to the address.
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-issuer=https://kubernetes.default.svc.{network.CLUSTER_DOMAIN}",
        f"--service-account-key-file={paths.certificates() / certificates.SERVICE_ACCOUNT_KEY}.pub",
        f"--service-account-signing-key-file={_key(certificates.SERVICE_ACCOUNT_KEY)}",
        f"--audit-policy-file={paths.configuration() / 'audit-policy.yaml'}",
        f"--audit-log-path={paths.audit_log()}",
        # Megabytes of each file, and how many older ones are kept: a day of tests.
        "--audit-log-maxsize=50",
        "--audit-log-maxbackup=3",
    )


def controller_manager() -> Part:
    return _part(
        "kube-controller-manager",
        f"--kubeconfig={_kubeconfig(certificates.CONTROLLER_MANAGER)}",
        "--use-service-account-credentials",
        f"--cluster-cidr={network.CLUSTER_RANGE}",
        f"--root-ca-file={_certificate(certificates.AUTHORITY)}",
        f"--service-account-private-key-file={_key(certificates.SERVICE_ACCOUNT_KEY)}",
        "--leader-elect=false",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
    )


def scheduler() -> Part:
    return _part("kube-scheduler", f"--kubeconfig={_kubeconfig(certificates.SCHEDULER)}", "--leader-elect=false")


def kubelet() -> Part:
    return _part(
        "kubelet",
        f"--config={paths.configuration() / 'kubelet.json'}",
        f"--kubeconfig={_kubeconfig(certificates.KUBELET)}",
        f"--hostname-override={network.NODE_NAME}",
        f"--node-ip={network.NODE_ADDRESS}",
        f"--root-dir={paths.cluster() / 'kubelet'}",
    )


def proxy() -> Part:
    return _part(
        "kube-proxy",
        f"--kubeconfig={_kubeconfig(certificates.PROXY)}",
        "--proxy-mode=iptables",
        f"--cluster-cidr={network.CLUSTER_RANGE}",
        f"--hostname-override={network.NODE_NAME}",
        # The host's connection table is not the cluster's to resize.
        "--conntrack-max-per-core=0",
    )


def every_part() -> tuple[Part, ...]:
    """In the order in which they have to be started."""
    return (etcd(), containerd(), api_server(), controller_manager(), scheduler(), kubelet(), proxy())


def plan() -> str:
    """The parts in one line, for the first process inside, which has no build tools to ask for them."""
    parts = [{"name": part.name, "program": str(part.program), "arguments": part.arguments} for part in every_part()]
    return json.dumps(parts) + "\n"


def parts_from_plan(line: str) -> list[Part]:
    return [Part(part["name"], Path(part["program"]), tuple(part["arguments"])) for part in json.loads(line)]


def write_all() -> None:
    """Certificates, kubeconfigs, and the files that the command lines name."""
    certificates.write_all(paths.certificates())
    folder = paths.configuration()
    network_plugins = folder / "cni"
    network_plugins.mkdir(parents=True, exist_ok=True)
    for request in (
        certificates.CONTROLLER_MANAGER,
        certificates.SCHEDULER,
        certificates.PROXY,
        certificates.KUBELET,
    ):
        write_private(_kubeconfig(request), kubeconfig(request))
    (folder / "containerd.toml").write_text(_containerd_settings(network_plugins))
    (folder / "kubelet.json").write_text(json.dumps(_kubelet_settings(), indent=1))
    (folder / "audit-policy.yaml").write_text((paths.MANIFESTS / "audit-policy.yaml").read_text())
    (network_plugins / "10-pods.conflist").write_text(json.dumps(_pod_network(), indent=1))


def kubeconfig(request: certificates.Request) -> str:
    """Complete in itself: credentials are in it, not beside it. JSON is YAML."""
    cluster = {"server": API_URL, "certificate-authority-data": _encoded(_certificate(certificates.AUTHORITY))}
    user = {
        "client-certificate-data": _encoded(_certificate(request.file)),
        "client-key-data": _encoded(_key(request.file)),
    }
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "modelward", "cluster": cluster}],
        "users": [{"name": request.common_name, "user": user}],
        "contexts": [{"name": "modelward", "context": {"cluster": "modelward", "user": request.common_name}}],
        "current-context": "modelward",
    }
    return json.dumps(document, indent=1)


def write_administrator_kubeconfig() -> None:
    write_private(paths.kubeconfig(), kubeconfig(certificates.ADMINISTRATOR))


def write_private(path: Path, text: str) -> None:
    """For the eyes of whoever runs the cluster alone."""
    path.touch(mode=0o600)
    path.write_text(text)


def _part(name: str, *arguments: str) -> Part:
    return Part(name, binaries.path(name), arguments)


def _certificate(name: str) -> Path:
    return paths.certificates() / f"{name}.crt"


def _key(name: str) -> Path:
    return paths.certificates() / f"{name}.key"


def _kubeconfig(request: certificates.Request) -> Path:
    return paths.configuration() / f"{request.file}.kubeconfig"


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _containerd_settings(network_plugins: Path) -> str:
    return f"""\
version = 2
root = "{paths.containerd_root()}"
state = "/run/containerd"

[grpc]
  address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.internal.v1.opt"]
  path = "{paths.containerd_root() / "opt"}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  # Without CAP_SYS_RESOURCE a lower oom_score_adj is refused, and no sandbox would start.
  restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".containerd]
  default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = false

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "{network_plugins}"
"""


def _pod_network() -> dict[str, Any]:
    # Routed links rather than a bridge: every packet passes the node, so that a Service's answer is translated back
    # on its way even where the kernel does not show bridged packets to iptables.
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": False,
                "ipam": {
                    "type": "host-local",
                    "dataDir": "/run/pod-addresses",
                    "ranges": [[{"subnet": network.POD_RANGE}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            }
        ],
    }


def _kubelet_settings() -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "authentication": {
            "x509": {"clientCAFile": str(_certificate(certificates.AUTHORITY))},
            "anonymous": {"enabled": False},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(_certificate(certificates.KUBELET_SERVER.file)),
        "tlsPrivateKeyFile": str(_key(certificates.KUBELET_SERVER.file)),
        "cgroupDriver": "cgroupfs",
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "resolvConf": "",
        "clusterDNS": [network.DNS_ADDRESS],
        "clusterDomain": network.CLUSTER_DOMAIN,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        # There is no registry to fetch a collected image from again.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "serializeImagePulls": False,
        # Files with these values are laid over the host's own settings (node.py), so that nothing is written there.
        "protectKernelDefaults": True,
    }
