"""A real API server for the tests of this layer: etcd and kube-apiserver on loopback, with the project's CRDs."""

import base64
import json
import secrets
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import aio

from cluster import binaries
from tests.ports import free_ports

CRDS = Path(__file__).parents[2] / "crds"
PATIENCE = 180.0
"""Seconds for what takes a moment: this only ends tests that would hang, and machines may be slow and busy."""
_USERS = ("admin", "operator", "ada", "grace")


@dataclass(frozen=True)
class Answer:
    """What the API server said."""

    code: int
    body: dict[str, Any]

    @property
    def accepted(self) -> bool:
        return self.code < 300

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))


@dataclass(frozen=True)
class ApiServer:
    """A running kube-apiserver, its CA, and a bearer token per user; see the fixture `api_server`."""

    url: str
    ca_file: Path
    kubeconfig: Path
    tokens: dict[str, str]
    kubectl_path: Path

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        user: str = "admin",
        content_type: str = "application/json",
    ) -> Answer:
        """One call, in the words of the REST API, such as ``request("GET", "/api/v1/namespaces")``."""
        headers = {"Authorization": f"Bearer {self.tokens[user]}", "Content-Type": content_type}
        return call(method, self.url + path, body, headers, ssl.create_default_context(cafile=str(self.ca_file)))

    def apply(self, path: str, manifest: object, *, manager: str = "tests", user: str = "admin") -> Answer:
        """Server-side apply with force; unknown fields are refused, as kubectl does."""
        query = f"?fieldManager={manager}&force=true&fieldValidation=Strict"
        return self.request("PATCH", path + query, manifest, user=user, content_type="application/apply-patch+yaml")

    def kubectl(self, *arguments: str) -> str:
        """What a user reads from kubectl, as admin."""
        command = [str(self.kubectl_path), f"--kubeconfig={self.kubeconfig}", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE).stdout

    def client(self, user: str = "admin") -> aio.client.ApiClient:
        """A `kubernetes.aio` client for a user; use it as ``async with api_server.client() as api``."""
        configuration = aio.client.Configuration(host=self.url)
        configuration.ssl_ca_cert = str(self.ca_file)
        configuration.api_key = {
            "authorization": f"Bearer {self.tokens[user]}",
            "BearerToken": f"Bearer {self.tokens[user]}",
        }
        return aio.client.ApiClient(configuration)

    def namespace(self, name: str = "") -> str:
        """A new namespace of that name, or of a random one; its name."""
        chosen = name or f"test-{secrets.token_hex(4)}"
        answer = self.request("POST", "/api/v1/namespaces", {"metadata": {"name": chosen}})
        assert answer.accepted, answer.message
        return chosen

    def until_allowed(self, user: str, path: str, *, allowed: bool = True) -> None:
        """Until a user may read a path, or may not any more: the authorizer reads roles and bindings through a cache."""
        limit = time.monotonic() + PATIENCE
        while (self.request("GET", path, user=user).code != 403) is not allowed:
            assert time.monotonic() < limit, f"{user} {'may not' if allowed else 'may still'} read {path}"
            time.sleep(0.02)


def call(method: str, url: str, body: object, headers: Mapping[str, str], context: ssl.SSLContext) -> Answer:
    """One request to an API server; what it refuses is an answer too."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, method=method, data=data, headers=dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE, context=context) as response:
            return Answer(response.status, _parsed(response.read()))
    except urllib.error.HTTPError as refusal:
        return Answer(refusal.code, _parsed(refusal.read()))


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A real API server with the CRDs of `crds/` installed and established; one for the whole session (5 to 10 s).

    etcd and kube-apiserver listen on free loopback ports and keep everything in a temporary directory. There is no
    controller-manager: nothing garbage-collects owned objects, no Deployment gets pods, a deleted namespace stays
    Terminating; tests write the status of Deployments and routes themselves. Authorization is RBAC: `admin` is in
    system:masters; `operator`, `ada` and `grace` may do nothing until a test binds a role to them.

    The server is shared: work in a namespace of your own (``api_server.namespace()``), and name cluster-scoped objects
    (LifecyclePolicy) after it.
    """
    with running(tmp_path_factory.mktemp("api-server")) as server:
        yield server


@contextmanager
def running(directory: Path, *flags: str) -> Iterator[ApiServer]:
    """A server that keeps everything in a directory, with more flags for its kube-apiserver."""
    etcd_client, etcd_peer, secure = free_ports(3)
    etcd_url = f"http://127.0.0.1:{etcd_client}"
    tokens = {user: secrets.token_hex(16) for user in _USERS}
    kubeconfig = directory / "kubeconfig"
    processes: list[subprocess.Popen[bytes]] = []
    try:
        processes.append(_start("etcd", directory, _etcd_flags(directory, etcd_url, f"http://127.0.0.1:{etcd_peer}")))
        own_flags = _apiserver_flags(directory, etcd_url, secure, tokens)
        processes.append(_start("kube-apiserver", directory, [*own_flags, *flags]))
        server = ApiServer(
            f"https://127.0.0.1:{secure}",
            directory / "certificates" / "apiserver.crt",
            kubeconfig,
            tokens,
            binaries.path("kubectl"),
        )
        _wait_until_ready(server, processes, directory)
        kubeconfig.write_text(yaml.safe_dump(_kubeconfig(server)), encoding="utf-8")
        _install_crds(server)
        yield server
    finally:
        for process in reversed(processes):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        return json.loads(text)
    except ValueError:
        return {"message": text.decode(errors="replace")}


def _start(name: str, directory: Path, flags: Sequence[str]) -> subprocess.Popen[bytes]:
    with (directory / f"{name}.log").open("wb") as log:
        return subprocess.Popen([str(binaries.path(name)), *flags], stdout=log, stderr=log, cwd=directory)


def _etcd_flags(directory: Path, client_url: str, peer_url: str) -> list[str]:
    return [
        f"--data-dir={directory / 'etcd'}",
        f"--listen-client-urls={client_url}",
        f"--advertise-client-urls={client_url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=default={peer_url}",
        "--unsafe-no-fsync",
    ]


def _apiserver_flags(directory: Path, etcd_url: str, port: int, tokens: dict[str, str]) -> list[str]:
    groups = {"admin": '"system:masters"'}
    token_file = directory / "tokens.csv"
    token_file.write_text("".join(f"{token},{user},{user},{groups.get(user, '')}\n" for user, token in tokens.items()))
    key = directory / "service-account.key"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    return [
        f"--etcd-servers={etcd_url}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={directory / 'certificates'}",
        f"--token-auth-file={token_file}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://tests.invalid",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--service-cluster-ip-range=10.0.0.0/16",
        "--endpoint-reconciler-type=none",
        "--disable-admission-plugins=ServiceAccount",
    ]


def _wait_until_ready(server: ApiServer, processes: Sequence[subprocess.Popen[bytes]], directory: Path) -> None:
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        if any(process.poll() is not None for process in processes):
            break
        try:
            if server.request("GET", "/readyz").code == 200:
                return
        except (OSError, ssl.SSLError):
            pass
        time.sleep(0.1)
    logs = "\n".join((directory / f"{name}.log").read_text()[-2000:] for name in ("etcd", "kube-apiserver"))
    raise RuntimeError(f"the API server did not become ready:\n{logs}")


def _kubeconfig(server: ApiServer) -> dict[str, Any]:
    """Contexts named after the users; admin is the current one."""
    authority = base64.b64encode(server.ca_file.read_bytes()).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "admin",
        "clusters": [{"name": "tests", "cluster": {"server": server.url, "certificate-authority-data": authority}}],
        "users": [{"name": user, "user": {"token": token}} for user, token in server.tokens.items()],
        "contexts": [{"name": user, "context": {"cluster": "tests", "user": user}} for user in server.tokens],
    }


def _install_crds(server: ApiServer) -> None:
    definitions = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(CRDS.glob("*.yaml"))]
    base = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for definition in definitions:
        answer = server.apply(f"{base}/{definition['metadata']['name']}", definition)
        assert answer.accepted, answer.message
    for definition in definitions:
        _wait_until_served(server, definition)


def _wait_until_served(server: ApiServer, definition: dict[str, Any]) -> None:
    """Until the kind's own path answers, and kubectl can find and explain it: all of that comes a moment after Established."""
    spec = definition["spec"]
    group = f"/apis/{spec['group']}/{spec['versions'][0]['name']}"
    plural = spec["names"]["plural"]
    limit = time.monotonic() + PATIENCE
    while not (
        server.request("GET", f"{group}/{plural}").code == 200
        and plural in {each["name"] for each in server.request("GET", group).body.get("resources", ())}
        and any(
            path.endswith(f"/{plural}") for path in server.request("GET", f"/openapi/v3{group}").body.get("paths", ())
        )
    ):
        assert time.monotonic() < limit, f"{group}/{plural} is not served"
        time.sleep(0.05)
