"""An operator as its Deployment tells of it: the flags that the chart wrote, and how it is put right.

Whoever may create a Deployment somewhere may label it as ours: what it says is quoted wherever it is part of a command.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from shlex import quote
from typing import Any

NAME_LABEL = "app.kubernetes.io/name"
SELECTOR = f"{NAME_LABEL}=modelward"
DEFAULT_NAMESPACE = "modelward-system"
DEFAULT_PORT = 8080
_HELM_RELEASE = "meta.helm.sh/release-name"


@dataclass(frozen=True)
class Operator:
    """One Deployment of the operator."""

    namespace: str
    name: str
    account: str  # the ServiceAccount's name
    release: str  # of the operator's program; empty where the Deployment does not say
    image: str
    wanted: int  # replicas
    available: int
    lease: str
    watched: tuple[str, ...]  # namespaces; empty: all
    discovers: bool
    port: int
    configuration: str  # the name of the ConfigMap; empty where it has none
    selector: str
    labels: Mapping[str, str]  # of its pods
    failure: str  # why no pod of it can be made; empty where they can be
    helm_release: str  # empty where Helm did not install it

    @property
    def username(self) -> str:
        """The name that the API server knows it by."""
        return f"system:serviceaccount:{self.namespace}:{self.account}"

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that the API server has it in."""
        return "system:serviceaccounts", f"system:serviceaccounts:{self.namespace}", "system:authenticated"

    @property
    def apply_again(self) -> str:
        """The command that puts everything back that the chart makes."""
        if self.helm_release:
            return f"helm upgrade {quote(self.helm_release)} charts/modelward -n {self.namespace} --reuse-values"
        return "kubectl apply --server-side --force-conflicts -k deploy/kustomize/base"

    def set_value(self, value: str) -> str:
        """The command that changes a value of the chart; where Helm did not install it, what is to be changed."""
        if self.helm_release:
            return f"{self.apply_again} --set {quote(value)}"
        return f"set {value} in the values, render the chart, and apply it again"

    @property
    def remove(self) -> str:
        """The command that takes it away."""
        if self.helm_release:
            return f"helm uninstall {quote(self.helm_release)} -n {self.namespace}"
        return f"kubectl delete deployment {self.name} -n {self.namespace}"

    def __str__(self) -> str:
        return f"Deployment {self.namespace}/{self.name}"


def operator_of(deployment: Mapping[str, Any]) -> Operator:
    """What a Deployment says of the operator in it."""
    metadata, spec, status = deployment["metadata"], deployment["spec"], deployment.get("status") or {}
    template = spec["template"]
    pod = template["spec"]
    container = next((each for each in pod["containers"] if each["name"] == "operator"), pod["containers"][0])
    flags = list(_flags(container.get("args") or ()))
    given = dict(flags)
    labels = metadata.get("labels") or {}
    volumes = {volume["name"]: volume for volume in pod.get("volumes") or ()}
    return Operator(
        namespace=metadata["namespace"],
        name=metadata["name"],
        account=pod.get("serviceAccountName") or "default",
        release=labels.get("app.kubernetes.io/version", ""),
        image=container.get("image", ""),
        wanted=spec.get("replicas", 1),
        available=status.get("availableReplicas") or 0,
        lease=given.get("lease-name", "modelward-operator"),
        watched=tuple(value for flag, value in flags if flag == "namespace"),
        discovers=given.get("discovery-seconds", "600") != "0",
        port=_port(given.get("health-port", "")),
        configuration=((volumes.get("config") or {}).get("configMap") or {}).get("name", ""),
        selector=",".join(f"{key}={value}" for key, value in (spec["selector"].get("matchLabels") or {}).items()),
        labels=(template.get("metadata") or {}).get("labels") or {},
        failure=next(
            (
                condition.get("message", "")
                for condition in status.get("conditions") or ()
                if condition["type"] == "ReplicaFailure" and condition["status"] == "True"
            ),
            "",
        ),
        helm_release=(metadata.get("annotations") or {}).get(_HELM_RELEASE, ""),
    )


def _port(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() else DEFAULT_PORT


def _flags(arguments: Iterable[str]) -> Iterator[tuple[str, str]]:
    for argument in arguments:
        flag, _, value = argument.removeprefix("--").partition("=")
        yield flag, value
