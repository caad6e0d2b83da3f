"""Users by client certificate, and what they write.

Users have certificates of an authority that the server trusts: what they are called and which group they are in is in the
certificate, as in a real cluster.
"""

import json
import secrets
import ssl
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from kubernetes import aio

from cluster import binaries, certificates
from tests.api.conftest import PATIENCE, Answer, ApiServer, call

Manifest = dict[str, Any]

CHART = Path(__file__).parents[3] / "charts" / "modelward"
OPERATOR = "system:serviceaccount:modelward:modelward"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
API = "/apis/modelward.dev/v1alpha1"
_INSTALLED = {
    "ClusterRole": f"{RBAC}/clusterroles",
    "LifecyclePolicy": f"{API}/lifecyclepolicies",
    "ValidatingAdmissionPolicy": f"{ADMISSION}/validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": f"{ADMISSION}/validatingadmissionpolicybindings",
}
PEM = Encoding.PEM


@dataclass(frozen=True)
class Person:
    """A user, by client certificate. Machines and administrators are users too."""

    name: str
    url: str
    context: ssl.SSLContext
    server_certificate: Path
    certificate: Path
    key: Path

    def request(self, method: str, path: str, body: object = None, *, content_type: str = "application/json") -> Answer:
        return call(method, self.url + path, body, {"Content-Type": content_type}, self.context)

    def rules(self, namespace: str) -> list[str]:
        """What the authorizer knows that this user may do there. It goes through bindings in no particular order."""
        review = {"spec": {"namespace": namespace}}
        answer = self.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review)
        return sorted(json.dumps(rule, sort_keys=True) for rule in answer.body["status"]["resourceRules"])

    def client(self) -> aio.client.ApiClient:
        """A `kubernetes.aio` client; use it as ``async with person.client() as api``."""
        configuration = aio.client.Configuration(host=self.url)
        configuration.ssl_ca_cert = str(self.server_certificate)
        configuration.cert_file, configuration.key_file = str(self.certificate), str(self.key)
        return aio.client.ApiClient(configuration)

    def kubectl(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """What kubectl says to this user, and what it exits with."""
        server = [f"--server={self.url}", f"--certificate-authority={self.server_certificate}"]
        own = [f"--client-certificate={self.certificate}", f"--client-key={self.key}"]
        command = [str(binaries.path("kubectl")), *server, *own, *arguments]
        # A home of its own: without one kubectl keeps what it has discovered in the folder that it is started from.
        apart = {"KUBECONFIG": "/dev/null", "HOME": str(self.key.parent)}
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env=apart)

    def patch(self, path: str, body: object) -> Answer:
        return self.request("PATCH", path, body, content_type="application/merge-patch+json")

    def create(self, path: str, manifest: Manifest) -> Answer:
        return self.request("POST", f"{path}?fieldValidation=Strict", manifest)


@dataclass(frozen=True)
class Guarded:
    """The API server with the chart's admission policies in force."""

    server: ApiServer
    folder: Path
    authority: certificates.Authority

    def person(self, name: str, group: str = "") -> Person:
        """A user with a certificate of that name and group, and no rights yet."""
        stem = self.folder / secrets.token_hex(4)
        certificate, key = stem.with_suffix(".crt"), stem.with_suffix(".key")
        own = certificates.new_key()
        issued = self.authority.issue(certificates.Request(name, name, (group,) if group else ()), own.public_key())
        certificate.write_bytes(issued.public_bytes(PEM))
        key.write_bytes(own.private_bytes(PEM, PrivateFormat.PKCS8, NoEncryption()))
        context = ssl.create_default_context(cafile=str(self.server.ca_file))
        context.load_cert_chain(certificate, key)
        return Person(name, self.server.url, context, self.server.ca_file, certificate, key)

    def grant(self, person: Person, namespace: str, *rules: Manifest) -> None:
        """Give a person rights in one namespace, in a role of its own."""
        name = f"granted-{secrets.token_hex(4)}"
        self.apply(f"{RBAC}/namespaces/{namespace}/roles/{name}", {"kind": "Role", "rules": list(rules)})
        self._bind(person, f"{RBAC}/namespaces/{namespace}/rolebindings/{name}", "RoleBinding", "Role", name)

    def bind(self, person: Person, namespace: str, cluster_role: str) -> None:
        """Bind a ClusterRole, such as one of the chart's, to a person in one namespace."""
        name = f"bound-{secrets.token_hex(4)}"
        path = f"{RBAC}/namespaces/{namespace}/rolebindings/{name}"
        self._bind(person, path, "RoleBinding", "ClusterRole", cluster_role)

    def bind_everywhere(self, person: Person, cluster_role: str) -> None:
        name = f"bound-{secrets.token_hex(4)}"
        self._bind(person, f"{RBAC}/clusterrolebindings/{name}", "ClusterRoleBinding", "ClusterRole", cluster_role)

    def apply(self, path: str, manifest: Manifest) -> Manifest:
        """Server-side apply as an administrator; what is stored."""
        defaults = {"metadata": {"name": path.rpartition("/")[2]}}
        version = {"apiVersion": "/".join(path.split("/")[2:4])} if path.startswith("/apis/") else {"apiVersion": "v1"}
        answer = self.server.apply(path, {**version, **defaults, **manifest})
        assert answer.accepted, answer.message
        return answer.body

    def _bind(self, person: Person, path: str, kind: str, role_kind: str, role: str) -> None:
        group = "rbac.authorization.k8s.io"
        namespace = path.split("/")[5] if "/namespaces/" in path else "default"
        before = person.rules(namespace)
        self.apply(
            path,
            {
                "kind": kind,
                "roleRef": {"apiGroup": group, "kind": role_kind, "name": role},
                "subjects": [{"apiGroup": group, "kind": "User", "name": person.name}],
            },
        )
        limit = time.monotonic() + PATIENCE
        while person.rules(namespace) == before:  # the authorizer reads through a cache
            assert time.monotonic() < limit, f"{role} is not in force for {person.name}"
            time.sleep(0.02)


def install(guarded: Guarded, *settings: str) -> None:
    """Install the chart's cluster-wide objects, and wait until the policies are in force."""
    for manifest in chart(*settings):
        if manifest["kind"] in _INSTALLED:
            guarded.apply(f"{_INSTALLED[manifest['kind']]}/{manifest['metadata']['name']}", manifest)
    wait_until_enforced(guarded)


def chart(*settings: str) -> Sequence[Manifest]:
    """What helm makes of the chart."""
    helm = [str(binaries.path("helm")), "template", "modelward", str(CHART), "--namespace", "modelward"]
    version = ["--kube-version", binaries.KUBERNETES_VERSION]
    flags = [flag for setting in settings for flag in ("--set", setting)]
    text = subprocess.run(
        [*helm, *version, *flags], check=True, capture_output=True, text=True, timeout=PATIENCE
    ).stdout
    return [manifest for manifest in yaml.safe_load_all(text) if manifest]


def wait_until_enforced(guarded: Guarded) -> None:
    """Until each policy refuses: API servers read policies through a cache."""
    probes = {
        "modelward-approvals": (f"{API}/namespaces/default/modelapprovals", an_approval("nobody")),
        "modelward-evaluations": (f"{API}/namespaces/default/modelevaluations", an_evaluation("nobody")),
        "modelward-status": (f"{API}/namespaces/default/modelauditrecords", a_record()),
    }
    limit = time.monotonic() + PATIENCE
    for policy, (path, manifest) in probes.items():
        while policy not in (answer := guarded.server.request("POST", f"{path}?dryRun=All", manifest)).message:
            assert time.monotonic() < limit, f"{policy} is not enforced: {answer}"
            time.sleep(0.1)


def an_approval(approver: str, **changes: object) -> Manifest:
    """Somebody's approval of churn's version v8 as risk; a field that is None is left out."""
    spec = {
        "model": "churn",
        "version": "v8",
        "role": "risk",
        "decision": "Approve",
        "subjectDigest": "sha256:" + "4f" * 32,
        "approver": approver,
        **changes,
    }
    return {
        "apiVersion": "modelward.dev/v1alpha1",
        "kind": "ModelApproval",
        "metadata": {"name": f"decision-{secrets.token_hex(4)}"},
        "spec": {field: value for field, value in spec.items() if value is not None},
    }


def a_rejection(approver: str, **changes: object) -> Manifest:
    return an_approval(approver, decision="Reject", subjectDigest=None, reason="It discriminates.", **changes)


def an_override(approver: str, **changes: object) -> Manifest:
    end = "2099-01-01T00:00:00Z"
    return an_approval(approver, decision="Override", reason="Incident 4711.", expiresAt=end, **changes)


def an_evaluation(evaluator: str) -> Manifest:
    return {
        "apiVersion": "modelward.dev/v1alpha1",
        "kind": "ModelEvaluation",
        "metadata": {"name": f"churn-v8-{secrets.token_hex(4)}"},
        "spec": {
            "model": "churn",
            "version": "v8",
            "versionDigest": "sha256:" + "4f" * 32,
            "name": "holdout",
            "evaluator": evaluator,
            "metrics": [{"name": "auc", "value": 0.87}],
            "at": "2026-11-01T09:00:00Z",
        },
    }


def a_record() -> Manifest:
    """The first record of some model's chain."""
    model = f"m{secrets.token_hex(4)}"
    return {
        "apiVersion": "modelward.dev/v1alpha1",
        "kind": "ModelAuditRecord",
        "metadata": {"name": f"{model}-00000001"},
        "spec": {
            "seq": 1,
            "prevHash": "",
            "hash": "sha256:" + "4f" * 32,
            "time": "2026-11-01T09:00:00Z",
            "actor": "modelward",
            "action": "RolloutStarted",
            "model": {"namespace": "lending", "name": model},
        },
    }
