"""The operator's settings: flags, each with an environment variable as its default."""

import argparse
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

_DESCRIPTION = """\
Run the modelward operator: watch Models and take their versions through shadow and canary to production.

Any number of replicas may run; the one that holds the Lease works, the others stand by with warm caches.
The cluster is the one of the pod's service account, or of KUBECONFIG."""

_EXAMPLES = """\
examples:
  in a pod, as the chart starts it
    python -m modelward.runtime --metrics-config /etc/modelward/metrics.yaml
  on your own machine, against the cluster of your kubeconfig
    KUBECONFIG=~/.kube/config python -m modelward.runtime --lease-namespace default --log-format text --log-level debug
  watching two namespaces only
    python -m modelward.runtime --namespace lending --namespace fraud

Each flag can be given as a variable: MODELWARD_LOG_LEVEL=debug is --log-level debug; MODELWARD_NAMESPACE takes a comma
between names."""


@dataclass(frozen=True)
class Settings:
    lease_namespace: str
    identity: str
    lease_name: str = "modelward-operator"
    metrics_config: Path | None = None
    metrics_presets: Path | None = None
    audit_export: Path | None = None
    notifications: Path | None = None
    discovery_seconds: float = 600.0
    discovery_signs: Path | None = None
    watch_namespaces: tuple[str, ...] = ()
    health_host: str = "0.0.0.0"
    health_port: int = 8080
    workers: int = 16
    resync_seconds: float = 600.0
    request_timeout: float = 10.0
    log_level: str = "info"
    log_format: str = "json"


def load(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Settings:
    """Read flags and environment; exits with a message on anything that cannot be meant."""
    parser = _parser(environment)
    given = parser.parse_args(arguments)
    if given.metrics_config is not None and not given.metrics_config.is_file():
        parser.error(f"--metrics-config: there is no file {given.metrics_config}")
    if given.metrics_presets is not None and not given.metrics_presets.is_dir():
        parser.error(f"--metrics-presets: there is no directory {given.metrics_presets}")
    if given.audit_export is not None and not given.audit_export.is_file():
        parser.error(f"--audit-export: there is no file {given.audit_export}")
    if given.notifications is not None and not given.notifications.is_file():
        parser.error(f"--notifications: there is no file {given.notifications}")
    if given.discovery_signs is not None and not given.discovery_signs.is_dir():
        parser.error(f"--discovery-signs: there is no directory {given.discovery_signs}")
    return Settings(
        lease_namespace=given.lease_namespace,
        identity=given.identity,
        lease_name=given.lease_name,
        metrics_config=given.metrics_config,
        metrics_presets=given.metrics_presets,
        audit_export=given.audit_export,
        notifications=given.notifications,
        discovery_seconds=given.discovery_seconds,
        discovery_signs=given.discovery_signs,
        watch_namespaces=tuple(given.namespace),
        health_host=given.health_host,
        health_port=given.health_port,
        workers=given.workers,
        resync_seconds=given.resync_seconds,
        request_timeout=given.request_timeout,
        log_level=given.log_level,
        log_format=given.log_format,
    )


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m modelward.runtime",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    def default(name: str, otherwise: str) -> str:
        return environment.get(f"MODELWARD_{name}") or otherwise

    metrics_config = environment.get("MODELWARD_METRICS_CONFIG")
    metrics_presets = environment.get("MODELWARD_METRICS_PRESETS")
    audit_export = environment.get("MODELWARD_AUDIT_EXPORT")
    notifications = environment.get("MODELWARD_NOTIFICATIONS")
    discovery_signs = environment.get("MODELWARD_DISCOVERY_SIGNS")
    namespaces = [name.strip() for name in default("NAMESPACE", "").split(",") if name.strip()]
    add = parser.add_argument
    add(
        "--metrics-config",
        type=Path,
        metavar="FILE",
        default=Path(metrics_config) if metrics_config else None,
        help="YAML list of Prometheus servers that Models may name; without it, pods are scraped directly",
    )
    add(
        "--metrics-presets",
        type=Path,
        metavar="DIRECTORY",
        default=Path(metrics_presets) if metrics_presets else None,
        help="presets of your own, one in each *.yaml file: how another model server names its metrics",
    )
    add(
        "--audit-export",
        type=Path,
        metavar="FILE",
        default=Path(audit_export) if audit_export else None,
        help="YAML that names the durable storage of audit records; without it, they stay in the cluster for ever",
    )
    add(
        "--discovery-seconds",
        type=_seconds_or_never,
        metavar="SECONDS",
        default=default("DISCOVERY_SECONDS", "600"),
        help="time between two looks for unregistered inference servers in the namespaces that opt in; 0: never (%(default)s)",
    )
    add(
        "--discovery-signs",
        type=Path,
        metavar="DIRECTORY",
        default=Path(discovery_signs) if discovery_signs else None,
        help="signs of your own, in *.yaml files: by what else an inference server is known",
    )
    add(
        "--notifications",
        type=Path,
        metavar="FILE",
        default=Path(notifications) if notifications else None,
        help="YAML that names the webhooks that are told of approvals and rollouts",
    )
    add(
        "--namespace",
        action=_Replacing,
        metavar="NAME",
        default=namespaces,
        help="watch this namespace only; may be given more than once (default: all)",
    )
    add(
        "--lease-namespace",
        metavar="NAME",
        default=default("LEASE_NAMESPACE", _own_namespace()),
        help="namespace of the Lease that decides who works (default here: %(default)s)",
    )
    add("--lease-name", metavar="NAME", default=default("LEASE_NAME", "modelward-operator"), help="(%(default)s)")
    add(
        "--identity",
        metavar="NAME",
        # The process id keeps two operators on one machine apart; in a pod the host's name is the pod's.
        default=default("IDENTITY", f"{socket.gethostname()}-{os.getpid()}"),
        help="name of this replica in the Lease (default: host name and process id)",
    )
    add("--health-host", metavar="ADDRESS", default=default("HEALTH_HOST", "0.0.0.0"), help="(%(default)s)")
    add(
        "--health-port",
        type=_whole(0, 65535),
        metavar="PORT",
        default=default("HEALTH_PORT", "8080"),
        help="port of /healthz, /readyz and /metrics (%(default)s)",
    )
    add(
        "--workers",
        type=_whole(1, 256),
        metavar="COUNT",
        default=default("WORKERS", "16"),
        help="Models that are looked at side by side (%(default)s)",
    )
    add(
        "--resync-seconds",
        type=_seconds,
        metavar="SECONDS",
        default=default("RESYNC_SECONDS", "600"),
        help="time between full lists, which catch what a watch has missed (%(default)s)",
    )
    add(
        "--request-timeout",
        type=_seconds,
        metavar="SECONDS",
        default=default("REQUEST_TIMEOUT", "10"),
        help="time that one request to the Kubernetes API may take (%(default)s)",
    )
    add(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default=default("LOG_LEVEL", "info"),
        help="(%(default)s)",
    )
    add("--log-format", choices=("json", "text"), default=default("LOG_FORMAT", "json"), help="(%(default)s)")
    return parser


class _Replacing(argparse.Action):
    """Collect a repeated flag; the first one replaces what the environment said."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        given = getattr(namespace, self.dest)
        setattr(namespace, self.dest, [values] if given is self.default else [*given, values])


def _whole(least: int, most: int) -> Callable[[str], int]:
    def integer(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{value} is not between {least} and {most}")
        return value

    return integer


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number of seconds")
    return value


def _seconds_or_never(text: str) -> float:
    return 0.0 if text == "0" else _seconds(text)


def _own_namespace() -> str:
    return _NAMESPACE_FILE.read_text().strip() if _NAMESPACE_FILE.is_file() else "default"
