"""Where the demo and the end-to-end tests run: a cluster with the operator, installed as users install it.

`prepare` may be called again and again: what is already there, and unchanged, costs a few seconds. It uses the local
cluster of ``cluster/``, or the one that KUBECONFIG names; then the images come from MODELWARD_IMAGE and
MODELWARD_EXAMPLE_IMAGE, and the gateway's address (a port-forward on this machine) from MODELWARD_GATEWAY_URL.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import sklearn
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from cluster import binaries, claim, contexts, images, lifecycle, locks, paths, people, workloads
from cluster.processes import Command, Failure, run
from examples.tumor_screening import train

Say = Callable[[str], None]

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLE = Path(__file__).resolve().parent
MANIFESTS = EXAMPLE / "manifests"
ARTIFACTS = EXAMPLE / "build"
OPERATOR_NAMESPACE = "modelward-system"
OPERATOR_RELEASE = "modelward"
DEFINITIONS_RELEASE = "modelward-crds"
PLATFORM_PROMETHEUS = {"name": "platform", "url": "http://prometheus.monitoring:9090"}
AUDIT_VOLUME = "modelward-audit"
SIGNING_KEY = "modelward-audit-signing"
OPERATOR_USER = 65532
DEFAULT_FORWARDED_GATEWAY = "http://127.0.0.1:8080"
# The strictest level that Kubernetes has: the operator's pods must be able to live with it.
_POD_SECURITY = {"pod-security.kubernetes.io/enforce": "restricted"}
_UNFINISHED = "pending-install,pending-upgrade,pending-rollback,uninstalling"


@dataclass(frozen=True)
class Environment:
    """A cluster in which the operator runs, and how to speak to it."""

    kubeconfig: Path
    gateway_url: str
    operator_image: str
    example_image: str
    artifacts: Path
    is_local: bool
    started_here: bool  # by `prepare`, or by an earlier run that was killed: it is this run that takes the cluster down
    kubectl_program: Path
    helm_program: Path
    operator_namespace: str = OPERATOR_NAMESPACE
    installed_here: bool = False  # the operator was not there when `prepare` was called
    audit_export: Path | None = (
        None  # the folder to which the operator exports audit records, where this machine has it
    )

    def kubectl(self, *arguments: str, given: str | None = None, timeout: float = 600) -> str:
        """What kubectl printed.

        Raises:
            Failure: with what it said when it did not succeed.
        """
        command: Command = [self.kubectl_program, f"--kubeconfig={self.kubeconfig}", *arguments]
        return run(command, given=given, timeout=timeout)

    def helm(self, *arguments: str, given: str | None = None, timeout: float = 600) -> str:
        """What helm printed; raises like `kubectl`."""
        return run([self.helm_program, f"--kubeconfig={self.kubeconfig}", *arguments], given=given, timeout=timeout)

    def get(self, *arguments: str) -> dict[str, Any]:
        """What ``kubectl get … --output=json`` says."""
        return cast("dict[str, Any]", json.loads(self.kubectl("get", *arguments, "--output=json")))

    def person(self, name: str, *groups: str) -> Path:
        """A kubeconfig of one person, whom the API server knows by a client certificate. Of the local cluster only."""
        return people.kubeconfig(name, groups)

    def audit_public_key(self) -> bytes:
        """What the checkpoints of the exported audit records are verified with."""
        secret = self.get("secret", SIGNING_KEY, "--namespace", OPERATOR_NAMESPACE)
        private = load_pem_private_key(base64.b64decode(secret["data"]["key.pem"]), password=None)
        return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Server-side, as a GitOps tool applies."""
        documents = yaml.safe_dump_all([dict(item) for item in objects], sort_keys=False)
        self.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", given=documents)

    def exists(self, *arguments: str) -> bool:
        """Whether ``kubectl get …`` names anything, such as ``exists("namespace", "oncology")``."""
        return bool(self.kubectl("get", *arguments, "--ignore-not-found", "--output=name").strip())

    def delete_namespace(self, namespace: str, seconds: int = 60) -> None:
        """Delete a namespace with the Models in it; one that is absent is fine.

        The operator drains the Models. Where it cannot any more, because it is gone, their finalizer is taken off.
        """
        if not self.exists("namespace", namespace):
            return
        try:
            self._delete_models(namespace, seconds)
        except Failure:
            self._release_models(namespace)
        self.kubectl("delete", "namespace", namespace, f"--timeout={seconds}s", timeout=seconds + 30)
        if self.audit_export is not None:
            # The records went with the namespace, and the next Model of the name begins a chain of its own.
            shutil.rmtree(self.audit_export / namespace, ignore_errors=True)

    def uninstall(self) -> None:
        """Remove the operator, and with the definitions every object of their kinds."""
        for release in (OPERATOR_RELEASE, DEFINITIONS_RELEASE):
            self.helm("uninstall", release, "--namespace", OPERATOR_NAMESPACE, "--ignore-not-found", "--wait")
        self._delete_definitions()
        self.kubectl("delete", "namespace", OPERATOR_NAMESPACE, "--ignore-not-found", "--timeout=5m")
        if self.audit_export is not None:
            _remove_audit_volume(self, self.audit_export)

    def definitions(self) -> list[dict[str, Any]]:
        """The definitions of our kinds that the cluster has."""
        return [item for item in self.get("crd")["items"] if item["spec"]["group"] == "modelward.dev"]

    def _delete_models(self, namespace: str, seconds: int) -> None:
        if self._knows_models():
            self.kubectl("delete", "models.modelward.dev", "--all", "-n", namespace, f"--timeout={seconds}s")

    def _release_models(self, namespace: str) -> None:
        for name in self.kubectl("get", "models.modelward.dev", "-n", namespace, "--output=name").split():
            self.kubectl("patch", name, "-n", namespace, "--type=merge", '--patch={"metadata":{"finalizers":null}}')

    def _knows_models(self) -> bool:
        return self.exists("crd", "models.modelward.dev")

    def _delete_definitions(self) -> None:
        # A Model holds its definition until its finalizer is off.
        if self._knows_models():
            for model in self.get("models.modelward.dev", "--all-namespaces")["items"]:
                self._release_models(model["metadata"]["namespace"])
        if ours := [item["metadata"]["name"] for item in self.definitions()]:
            self.kubectl("delete", "crd", *ours, "--timeout=5m")


def prepare(say: Say) -> Environment:
    """Bring everything up that is not up yet: cluster, artifacts, images, definitions, operator.

    Raises:
        Failure: with a sentence for the person at the terminal.
    """
    environment = _existing_cluster(say) if _names_another_cluster() else _local_cluster(say)
    _finish_deletions(environment)
    was_there = environment.exists("deployment", OPERATOR_RELEASE, "--namespace", OPERATOR_NAMESPACE)
    _install_definitions(environment, say)
    if environment.audit_export is not None:
        _provide_audit_volume(environment, environment.audit_export)
        _provide_signing_key(environment)
    _install_operator(environment, say)
    return replace(environment, installed_here=not was_there)


def turn() -> AbstractContextManager[None]:
    """One demo or test run at a time: each installs the operator as it needs it, and the other would be in its way."""
    return locks.held("turn")


def take_down_cluster() -> None:
    """The local cluster; what is built and cached stays."""
    lifecycle.down()


def ensure_artifacts(say: Say) -> Path:
    """Train every version, unless this very training has been done; the folder of the artifacts."""
    marker = ARTIFACTS / "trained-by"
    key = _training_key()
    if marker.exists() and marker.read_text() == key:
        return ARTIFACTS
    with _timed(say, "training v1 to v5"):
        shutil.rmtree(ARTIFACTS, ignore_errors=True)
        train.write(ARTIFACTS, say)
        marker.write_text(key)
    return ARTIFACTS


def _names_another_cluster() -> bool:
    """`cluster up` tells users to export the local cluster's own kubeconfig: that names no other."""
    named = os.environ.get("KUBECONFIG")
    return bool(named) and Path(cast("str", named)).resolve() != paths.kubeconfig().resolve()


def _local_cluster(say: Say) -> Environment:
    ailments = lifecycle.ailments()
    if ailments:
        say(f"bringing the local cluster up ({ailments[0]})")
        lifecycle.up()
    started_here = bool(ailments) or claim.of_a_dead_run()
    if started_here:
        claim.by_this_run()
    artifacts = ensure_artifacts(say)
    return Environment(
        kubeconfig=paths.kubeconfig(),
        gateway_url=workloads.GATEWAY_URL,
        operator_image=_built_image("modelward", REPOSITORY / "Dockerfile", say),
        example_image=_built_image("tumor-screening", EXAMPLE / "Dockerfile", say),
        artifacts=artifacts,
        is_local=True,
        started_here=started_here,
        kubectl_program=binaries.path("kubectl"),
        helm_program=binaries.path("helm"),
        audit_export=paths.cluster() / "audit-export",
    )


def _existing_cluster(say: Say) -> Environment:
    kubeconfig = Path(os.environ["KUBECONFIG"])
    say(f"using the cluster of KUBECONFIG={kubeconfig}")
    return Environment(
        kubeconfig=kubeconfig,
        gateway_url=os.environ.get("MODELWARD_GATEWAY_URL", DEFAULT_FORWARDED_GATEWAY).rstrip("/"),
        operator_image=_named_image("MODELWARD_IMAGE"),
        example_image=_named_image("MODELWARD_EXAMPLE_IMAGE"),
        artifacts=ensure_artifacts(say),
        is_local=False,
        started_here=False,
        kubectl_program=_program("kubectl"),
        helm_program=_program("helm"),
    )


def _named_image(variable: str) -> str:
    image = os.environ.get(variable, "")
    if not image:
        raise Failure(
            f"KUBECONFIG names a cluster of yours: {variable} must name an image that it can pull (see README)"
        )
    return image


def _program(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise Failure(f"{name} is not on the PATH")
    return Path(found)


def _built_image(name: str, recipe: Path, say: Say) -> str:
    """The tag says what is in it: another source is another tag, so that no pod runs an older one."""
    tag = f"{name}:{contexts.key(REPOSITORY, recipe)}"
    with _timed(say, f"image {tag}"):
        reference = images.build(tag, recipe, REPOSITORY)
        images.load([reference])
    return reference


def _finish_deletions(environment: Environment) -> None:
    """An uninstall that was killed goes on in the API server; nothing can be installed into what is being deleted."""
    if any("deletionTimestamp" in item["metadata"] for item in environment.definitions()):
        environment.uninstall()
    namespaces = environment.get("namespaces")["items"]
    deleted = [item["metadata"]["name"] for item in namespaces if "deletionTimestamp" in item["metadata"]]
    if OPERATOR_NAMESPACE in deleted:
        environment.kubectl("wait", "--for=delete", f"namespace/{OPERATOR_NAMESPACE}", "--timeout=5m")


def _install_definitions(environment: Environment, say: Say) -> None:
    with _timed(say, f"chart {DEFINITIONS_RELEASE}"):
        _upgrade(environment, DEFINITIONS_RELEASE, {})
        environment.kubectl("wait", "--for=condition=Established", "--timeout=2m", "crd/models.modelward.dev")


def _provide_audit_volume(environment: Environment, folder: Path) -> None:
    """The local cluster makes no volumes by itself: a folder of this machine is the one that the chart's claim is bound to."""
    if environment.exists("persistentvolume", AUDIT_VOLUME):
        return
    # What is there was exported from a cluster that is gone: no chain of this one would continue it.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    os.chown(folder, OPERATOR_USER, OPERATOR_USER)
    environment.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": AUDIT_VOLUME},
            "spec": {
                "capacity": {"storage": "5Gi"},
                "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": str(folder), "type": "Directory"},
                "claimRef": {"namespace": OPERATOR_NAMESPACE, "name": AUDIT_VOLUME},
            },
        }
    )


def _provide_signing_key(environment: Environment) -> None:
    if environment.exists("secret", SIGNING_KEY, "--namespace", OPERATOR_NAMESPACE):
        return
    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    metadata = {"name": SIGNING_KEY, "namespace": OPERATOR_NAMESPACE}
    environment.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"key.pem": key}})


def _remove_audit_volume(environment: Environment, folder: Path) -> None:
    """With its content: a Model of the same name would begin a chain that does not continue the one that is there."""
    environment.kubectl("delete", "persistentvolume", AUDIT_VOLUME, "--ignore-not-found", "--timeout=5m")
    shutil.rmtree(folder, ignore_errors=True)


def _install_operator(environment: Environment, say: Say) -> None:
    repository, _, tag = environment.operator_image.rpartition(":")
    sources = [PLATFORM_PROMETHEUS] if environment.is_local else []
    values: dict[str, Any] = {
        "image": {"repository": repository, "tag": tag},
        "metrics": {"prometheusSources": sources},
    }
    if environment.audit_export is not None:
        values["audit"] = {"export": {"directory": {"enabled": True}}, "signing": {"secretName": SIGNING_KEY}}
    metadata = {"name": OPERATOR_NAMESPACE, "labels": _POD_SECURITY}
    environment.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    with _timed(say, f"chart {OPERATOR_RELEASE}"):
        _upgrade(environment, OPERATOR_RELEASE, values)


def _upgrade(environment: Environment, release: str, values: Mapping[str, Any]) -> None:
    place = ["--namespace", OPERATOR_NAMESPACE]
    _forget_unfinished(environment, release)
    chart = str(REPOSITORY / "charts" / release)
    options = ["--create-namespace", "--wait", "--timeout=8m", "--history-max=3", "--values=-"]
    # As JSON, which quotes every text: Helm takes the bare tag 6266868310806e21 for a number.
    environment.helm("upgrade", "--install", release, chart, *place, *options, given=json.dumps(dict(values)))


def _forget_unfinished(environment: Environment, release: str) -> None:
    """A helm that was killed leaves a record of what it was doing, and every later one would refuse to begin."""
    selector = f"owner=helm,name={release},status in ({_UNFINISHED})"
    environment.kubectl("delete", "secrets", "-n", OPERATOR_NAMESPACE, f"--selector={selector}", "--ignore-not-found")


def _training_key() -> str:
    versions: Sequence[str] = (sklearn.__version__, (EXAMPLE / "train.py").read_text())
    return hashlib.sha256("\n".join(versions).encode()).hexdigest()


@contextmanager
def _timed(say: Say, what: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - started:.1f} s")
