"""How every command reaches a cluster: options like kubectl's, plain dicts, and errors that say what to do.

The official client is used for credentials and transport only: its generated methods know no custom kinds, and its dynamic
client asks the server for every kind that it serves before the first answer. `modelward.runtime.kube` is the same for the
operator, asynchronous and fenced; a command makes three requests and ends.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from kubernetes import client, config
from urllib3.exceptions import HTTPError

from modelward.api.resources import Resource
from modelward.cli.completion import context_names, model_names, namespace_names
from modelward.cli.failure import Failure

Object = dict[str, Any]
# By this name, because within the class below `list` is a method.
Objects = list[Object]

Context = Annotated[
    str,
    typer.Option(
        "--context", help="A context of the kubeconfig. [default: the current one]", autocompletion=context_names
    ),
]
Kubeconfig = Annotated[
    Path | None, typer.Option("--kubeconfig", help="A kubeconfig file. [default: $KUBECONFIG, else ~/.kube/config]")
]
Namespace = Annotated[
    str,
    typer.Option("--namespace", "-n", help="A namespace. [default: the kubeconfig's]", autocompletion=namespace_names),
]

ModelName = Annotated[
    str, typer.Argument(metavar="MODEL", help="Name of the Model.", autocompletion=model_names, show_default=False)
]

ALL_NAMESPACES = "*"
FIELD_MANAGER = "modelward-cli"
PAGE_SIZE = 500
TIMEOUT = 15.0
WATCH_SECONDS = 60
"""How long one watch lasts; then another begins. A connection that a proxy drops in silence is noticed after that."""
WATCH_CHUNK = 65536
_UNCERTAINTY = timedelta(seconds=2)
"""A server tells whole seconds, some time ago: within this, its clock and this machine's are the same."""
_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
UNREACHABLE = 3
"""Exit code when no answer came; a script may try again then, and only then."""


_SELF_SUBJECT_REVIEWS = Resource("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", False)


class ClusterError(Failure):
    """The API server refused a request, or gave no answer (status 0, exit code UNREACHABLE)."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.exit_code = 1 if status else UNREACHABLE

    @property
    def may_pass(self) -> bool:
        """Is it worth to ask again: no answer came, or the server has too much to do or is broken?"""
        return not self.status or self.status == 429 or self.status >= 500


class Forbidden(ClusterError):
    """The user lacks the right to it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 403)


class NotServed(ClusterError):
    """The server does not know the kind, or the path."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 404)


class _Absent(ClusterError):
    """404 of a named object, where its kind is served."""


@dataclass(frozen=True)
class Page:
    """An answer that need not be an object, and when the server says that it gave it."""

    text: str
    date: datetime | None


class Cluster:
    """The API server, as one user of it, with a timeout on every request. Make one with `connect`."""

    def __init__(self, api_client: client.ApiClient, namespace: str, timeout: float = TIMEOUT) -> None:
        self.namespace = namespace
        self._api_client = api_client
        self._timeout = timeout
        self._ahead = timedelta()  # of this machine's clock

    def now(self) -> datetime:
        """What time it is for the server, by its latest answer: times in objects are by its clock, and this machine's may be wrong."""
        return datetime.now(UTC) + self._ahead

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object | None:
        """One object, or None where there is none; `namespace` is the one of the command line by default."""
        try:
            return self._request("GET", resource, resource.path(self._within(resource, namespace), name))
        except _Absent:
            return None

    def list(self, resource: Resource, namespace: str | None = None, selector: str = "") -> Objects:
        """All objects of a kind in one namespace, or in ALL_NAMESPACES, that carry the labels of `selector`."""
        pages = self._pages(resource, self._within(resource, namespace), selector)
        return [item for page in pages for item in list_of(page, resource)]

    def create(self, resource: Resource, obj: Object) -> Object:
        """Create an object in its own namespace, or in the one of the command line; fields nobody knows are refused."""
        body = {"apiVersion": resource.api_version, "kind": resource.kind} | obj
        path = resource.path(self._within(resource, obj["metadata"].get("namespace")))
        return self._request("POST", resource, path, {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}, body)

    def watch(self, resource: Resource, since: str, name: str = "", namespace: str | None = None) -> Iterator[Object]:
        """The events of a Kubernetes watch, as they come, until the server ends it, which it does after WATCH_SECONDS.

        since: the resourceVersion of what is known already. name: of one object; all of them without.

        Raises:
            ClusterError: it is refused, the connection breaks, or nothing comes for longer than the watch was to last.
        """
        query = {"watch": "1", "resourceVersion": since, "timeoutSeconds": str(WATCH_SECONDS)}
        query |= {"allowWatchBookmarks": "true"} | ({"fieldSelector": f"metadata.name={name}"} if name else {})
        response = self._send("GET", resource.path(self._within(resource, namespace)), query, None, WATCH_SECONDS + 15)
        if response.status != 200:
            raise _refusal(response.status, self._read(response), resource, self.host)
        try:
            for line in _lines(response.response.stream(WATCH_CHUNK)):
                event = _object(line)
                if not isinstance(event.get("object"), dict):
                    raise ClusterError(
                        f"{self.host} answers a watch with what is no event: something between has changed it."
                    )
                if event.get("type") == "ERROR":
                    body = event["object"]
                    raise _refusal(int(body.get("code") or 500), json.dumps(body).encode(), resource, self.host)
                yield event
        except (HTTPError, OSError) as error:
            raise self._unreachable(error) from error
        finally:
            response.response.close()

    def list_with_version(
        self, resource: Resource, name: str = "", namespace: str | None = None
    ) -> tuple[Objects, str]:
        """Objects of a kind, and the resourceVersion that a watch of their changes begins with. name: only this one."""
        selector = {"fieldSelector": f"metadata.name={name}"} if name else {}
        found = self._request("GET", resource, resource.path(self._within(resource, namespace)), selector)
        return list_of(found, resource), str(found["metadata"]["resourceVersion"])

    def whoami(self) -> str:
        """The user name that the API server knows the caller by."""
        answer = self.create(_SELF_SUBJECT_REVIEWS, {"metadata": {}})
        return str(answer["status"]["userInfo"]["username"])

    def page(self, path: str, query: Mapping[str, str] | None = None, timeout: float | None = None) -> Page:
        """The answer to a GET of any path, such as /version or one that is handed on to a pod.

        Raises:
            NotServed: there is no such path.
            ClusterError: it is refused, or no answer came within `timeout` seconds.
        """
        status, data, headers = self._exchange("GET", path, query or {}, None, timeout or self._timeout)
        if not 200 <= status < 300:
            raise _refusal(status, data, path, self.host)
        return Page(data.decode(errors="replace"), _date_of(headers))

    @property
    def host(self) -> str:
        """The address of the API server."""
        return str(self._api_client.configuration.host)

    def _within(self, resource: Resource, namespace: str | None) -> str:
        if not resource.namespaced or namespace == ALL_NAMESPACES:
            return ""
        return namespace or self.namespace

    def _pages(self, resource: Resource, namespace: str, selector: str) -> Iterator[Object]:
        query = {"limit": str(PAGE_SIZE)} | ({"labelSelector": selector} if selector else {})
        while True:
            page = self._request("GET", resource, resource.path(namespace), query)
            yield page
            token = page.get("metadata", {}).get("continue")
            if not token:
                return
            query = query | {"continue": token}

    def _request(
        self,
        method: str,
        resource: Resource,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
    ) -> Object:
        status, data, _ = self._exchange(method, path, query or {}, body, self._timeout)
        if not 200 <= status < 300:
            raise _refusal(status, data, resource, self.host)
        answer = _object(data)
        if not answer:
            raise ClusterError(
                f"{self.host} does not answer as a cluster does: something between asks for a sign-in, or --context names"
                " another address.",
                status,
            )
        return answer

    def _exchange(
        self, method: str, path: str, query: Mapping[str, str], body: Object | None, timeout: float
    ) -> tuple[int, bytes, Mapping[str, str]]:
        """Status, content and headers of an answer, whatever they are."""
        response = self._send(method, path, query, body, timeout)
        return response.status, self._read(response), response.headers

    def _send(self, method: str, path: str, query: Mapping[str, str], body: Object | None, timeout: float) -> Any:
        """An answer whose body is not read yet."""
        headers = {"Accept": "application/json, */*", "Content-Type": "application/json", "User-Agent": FIELD_MANAGER}
        try:
            verb, url, sent, content, _ = self._api_client.param_serialize(
                method,
                path,
                query_params=list(query.items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            response = self._api_client.call_api(verb, url, sent, content, _request_timeout=timeout)
        except client.ApiException as error:  # the client's own name for a connection that TLS has ended
            raise self._unreachable(error.reason) from error
        except (HTTPError, OSError) as error:
            raise self._unreachable(error) from error
        date = _date_of(response.headers)
        if date is not None:
            ahead = date - datetime.now(UTC)
            self._ahead = ahead if abs(ahead) > _UNCERTAINTY else timedelta()
        return response

    def _read(self, response: Any) -> bytes:
        try:
            data: bytes = response.read()
        except (HTTPError, OSError) as error:
            raise self._unreachable(error) from error
        return data

    def _unreachable(self, why: object) -> "ClusterError":
        said = " ".join(str(why).split())
        return ClusterError(
            f"{self.host} gives no answer: {said}. Look whether the cluster runs and can be reached from here, and whether"
            " --context names the right one."
        )


def connect(
    context: str = "", kubeconfig: Path | None = None, namespace: str = "", timeout: float = TIMEOUT
) -> Cluster:
    """A cluster by the options of the command line; within a pod, without any of them, the pod's own.

    Raises:
        ClusterError: there are no credentials, or they cannot be used.
    """
    if kubeconfig is not None and not kubeconfig.is_file():
        raise ClusterError(f"there is no kubeconfig file {kubeconfig}: correct --kubeconfig.")
    configuration = client.Configuration()
    configuration.retries = False  # a command that waits is worse than one that says what is wrong
    in_pod = not (context or kubeconfig or os.environ.get("KUBECONFIG")) and "KUBERNETES_SERVICE_HOST" in os.environ
    try:
        if in_pod:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            default = _namespace_of_pod()
        else:
            path = None if kubeconfig is None else str(kubeconfig)
            config.load_kube_config(path, context or None, configuration, False)  # type: ignore[no-untyped-call]
            default = _namespace_of_context(path, context)
    except (config.ConfigException, yaml.YAMLError, OSError, ValueError) as error:
        remedy = "Set KUBECONFIG or --kubeconfig to a kubeconfig file, and --context to one of its contexts."
        raise ClusterError(f"there is no cluster to talk to: {str(error).rstrip('.')}. {remedy}") from error
    return Cluster(client.ApiClient(configuration), namespace or default, timeout)


def list_of(page: Object, resource: Resource) -> Objects:
    """The objects of an answer to a list, with their kind, which only the list as a whole names."""
    return [{"apiVersion": resource.api_version, "kind": resource.kind} | item for item in page["items"]]


def _namespace_of_context(path: str | None, context: str) -> str:
    contexts, current = config.list_kube_config_contexts(path)  # type: ignore[no-untyped-call]
    chosen = next((each for each in contexts if each["name"] == context), current)
    return str(chosen["context"].get("namespace") or "default")


def _namespace_of_pod() -> str:
    return _POD_NAMESPACE.read_text("utf-8").strip()


def _refusal(status: int, data: bytes, asked: Resource | str, host: str) -> ClusterError:
    """Turn an answer into a sentence; the body is a Status object, or a proxy's page."""
    body = _object(data)
    message = str(body.get("message") or data[:500].decode(errors="replace")).strip().rstrip(".")
    details = body.get("details") or {}
    if status == 404 and details.get("name"):
        return _Absent(f"{message}.", status)
    if status == 404:
        return NotServed(
            f"{host} does not know {asked}: install the CRDs of modelward, or look whether --context names the right"
            " cluster."
        )
    if status == 401:
        return ClusterError(f"{host} does not accept these credentials: sign in again, or choose --context.", status)
    if status == 403:
        return Forbidden(f"{message}. Ask who runs the cluster for that right.")
    if status == 409:
        return ClusterError(f"{message}. Choose another name, or look at what is there.", status)
    if status == 429 or status >= 500:
        return ClusterError(f"{host} is overloaded or broken: {status} {message}. Try again.", status)
    return ClusterError(f"{message}.", status)


def _date_of(headers: Mapping[str, str]) -> datetime | None:
    """When the server says that it gave an answer, in whole seconds."""
    try:
        said = parsedate_to_datetime(headers.get("Date") or "")
    except ValueError:
        return None
    return said if said.tzinfo else None


def _object(data: bytes) -> Object:
    try:
        body = json.loads(data)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Whole lines of a stream that comes in pieces."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line for line in whole if line.strip())
