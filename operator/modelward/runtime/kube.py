"""The Kubernetes API as the operator uses it: a dozen methods on plain dicts, typed errors, a timeout on every call.

`KubeApi` is what the rest of the operator is written against; `KubeClient` is the official client behind it. Its generated
methods are not used: plain dicts keep fields that this release does not know, and one code path serves every kind.
"""

import asyncio
import json
import logging
import os
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol, Self, cast

import aiohttp
from kubernetes.aio import client as aio_client
from kubernetes.aio import config as aio_config

from modelward.api.resources import EVENTS, Resource
from modelward.api.types import GROUP

logger = logging.getLogger(__name__)

Object = dict[str, Any]
# By this name, because within the classes below `list` is a method.
Objects = list[Object]
FIELD_MANAGER = "modelward"
REPORTING_CONTROLLER = f"{GROUP}/operator"

PAGE_SIZE = 500
LIST_ATTEMPTS = 3
LONGEST_NOTE = 1024  # bytes, not characters


class ApiError(Exception):
    """The API server refused a request, or could not be reached (status 0)."""

    def __init__(self, message: str, *, status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.reason = reason


class NotFound(ApiError):
    """404: the object, its namespace, or its kind is absent."""


class Conflict(ApiError):
    """409: somebody wrote in between; read again and decide again."""


class AlreadyExists(ApiError):
    """409 on a create."""


class Invalid(ApiError):
    """The object is refused as it is; trying again with the same object is pointless."""


class Forbidden(ApiError):
    """401 or 403: the operator lacks a right, or admission refused."""


class NamespaceEnding(ApiError):
    """403: the namespace is being deleted, and takes nothing new from anybody."""


class Unavailable(ApiError):
    """The server is unreachable, slow, overloaded or broken; the same request may pass later."""


class NotLeading(Unavailable):
    """A write was withheld because this replica does not hold the Lease any more."""


class _Expired(ApiError):
    """410: the continue token of a list is too old."""


class NoCluster(Exception):
    """There are no credentials of any cluster to work with."""


class KubeApi(Protocol):
    """Everything that the operator asks of a cluster. `namespace` is None for a kind without namespaces."""

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        """Read one object; None when it, or its kind, is absent."""
        ...

    async def list(
        self, resource: Resource, namespace: str | None = None, label_selector: str | None = None
    ) -> Objects:
        """Read all objects of a kind, in all namespaces or in one.

        Raises:
            NotFound: when the kind is not installed.
        """
        ...

    async def apply(self, resource: Resource, obj: Object, *, force: bool = True) -> Object:
        """Server-side apply as field manager `modelward`: creates or updates, and owns exactly the fields given."""
        ...

    async def create(self, resource: Resource, obj: Object) -> Object:
        """Create an object.

        Raises:
            AlreadyExists: when the name is taken.
        """
        ...

    async def replace(self, resource: Resource, obj: Object) -> Object:
        """Write the whole object, if it still has the resourceVersion given.

        Raises:
            Conflict: when it does not.
        """
        ...

    async def update_status(self, resource: Resource, obj: Object) -> Object:
        """Write the status only, if the object still has the resourceVersion given.

        Raises:
            Conflict: when it does not.
        """
        ...

    async def patch(
        self, resource: Resource, namespace: str | None, name: str, merge_patch: Object, subresource: str | None = None
    ) -> Object:
        """Apply a JSON merge patch."""
        ...

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        propagation: str = "Background",
    ) -> None:
        """Delete an object; an absent one is fine.

        Raises:
            Conflict: when `uid` is given and the object of that name is another one.
        """
        ...

    async def emit_event(
        self,
        regarding: Object,
        reason: str,
        message: str,
        type: str = "Normal",  # noqa: A002 - the API's own word
        action: str = "Reconcile",
    ) -> None:
        """Tell the people who watch `regarding`. Best effort: a refused event is logged, never raised."""
        ...

    async def serves(self, resource: Resource) -> bool:
        """Whether the cluster knows this kind at this version."""
        ...


def _always() -> bool:
    return True


def _ignore_write(resource: Resource, verb: str) -> None:
    """Count nothing."""


class KubeClient:
    """`KubeApi` over the official client, which is used for credentials and transport only."""

    def __init__(
        self,
        api_client: aio_client.ApiClient,
        *,
        timeout: float = 10.0,
        instance: str = "modelward",
        may_write: Callable[[], bool] = _always,
        on_write: Callable[[Resource, str], None] = _ignore_write,
    ) -> None:
        self._api_client = api_client
        self._timeout = timeout
        self._instance = instance
        self._may_write = may_write
        self._on_write = on_write

    @classmethod
    async def connect(
        cls,
        kubeconfig: str | None = None,
        *,
        timeout: float = 10.0,  # noqa: ASYNC109 - of every later call, not of this one
        instance: str = "modelward",
        on_write: Callable[[Resource, str], None] = _ignore_write,
    ) -> Self:
        """Open a client with the given kubeconfig file; else with KUBECONFIG; else as a pod; else with ~/.kube/config.

        Raises:
            NoCluster: when there are no credentials, or they cannot be used.
        """
        configuration = aio_client.Configuration()
        in_pod = not kubeconfig and not os.environ.get("KUBECONFIG") and os.environ.get("KUBERNETES_SERVICE_HOST")
        try:
            if in_pod:
                aio_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            else:
                await aio_config.load_kube_config(  # type: ignore[no-untyped-call]
                    config_file=kubeconfig, client_configuration=configuration, persist_config=False
                )
        except aio_config.ConfigException as error:
            raise NoCluster(f"{error} Set KUBECONFIG to a kubeconfig file, or run as a pod.") from error
        return cls(aio_client.ApiClient(configuration), timeout=timeout, instance=instance, on_write=on_write)

    def fenced(self, may_write: Callable[[], bool]) -> "KubeClient":
        """The same connection, but every write first asks `may_write`.

        The elector cancels the workers when the Lease is lost, but a process that was frozen wakes up in the middle of
        a step: this check is the last one before the wire.
        """
        return KubeClient(
            self._api_client,
            timeout=self._timeout,
            instance=self._instance,
            may_write=may_write,
            on_write=self._on_write,
        )

    async def close(self) -> None:
        await self._api_client.close()  # type: ignore[no-untyped-call]

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        try:
            return await self._read(resource.path(namespace, name))
        except NotFound:
            return None

    async def list(
        self, resource: Resource, namespace: str | None = None, label_selector: str | None = None
    ) -> Objects:
        for _ in range(LIST_ATTEMPTS - 1):
            try:
                return await self._list_pages(resource, namespace, label_selector)
            except _Expired:
                logger.info("the list of %s outlived its continue token; starting again", resource)
        return await self._list_pages(resource, namespace, label_selector)

    async def apply(self, resource: Resource, obj: Object, *, force: bool = True) -> Object:
        namespace, name = _names(obj)
        return await self._write(
            "apply",
            resource,
            "PATCH",
            resource.path(namespace, name),
            {"apiVersion": resource.api_version, "kind": resource.kind} | obj,
            query={"force": "true" if force else "false"},
            content_type="application/apply-patch+yaml",
        )

    async def create(self, resource: Resource, obj: Object) -> Object:
        namespace, _ = _names(obj)
        body = {"apiVersion": resource.api_version, "kind": resource.kind} | obj
        return await self._write("create", resource, "POST", resource.path(namespace), body)

    async def replace(self, resource: Resource, obj: Object) -> Object:
        return await self._put("replace", resource, obj, subresource=None)

    async def update_status(self, resource: Resource, obj: Object) -> Object:
        return await self._put("update_status", resource, obj, subresource="status")

    async def patch(
        self, resource: Resource, namespace: str | None, name: str, merge_patch: Object, subresource: str | None = None
    ) -> Object:
        return await self._write(
            "patch",
            resource,
            "PATCH",
            resource.path(namespace, name, subresource),
            merge_patch,
            content_type="application/merge-patch+json",
        )

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        propagation: str = "Background",
    ) -> None:
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        try:
            await self._write(
                "delete", resource, "DELETE", resource.path(namespace, name), body, query=None, managed=False
            )
        except NotFound:
            return

    async def emit_event(
        self,
        regarding: Object,
        reason: str,
        message: str,
        type: str = "Normal",  # noqa: A002 - the API's own word
        action: str = "Reconcile",
    ) -> None:
        try:
            await self.create(EVENTS, self._event(regarding, reason, message, type, action))
        except ApiError as error:
            logger.warning("event %s was not written: %s", reason, error.message)

    async def serves(self, resource: Resource) -> bool:
        try:
            answer = await self._read(resource.root)
        except NotFound:
            return False
        return any(entry.get("name") == resource.plural for entry in answer.get("resources", []))

    # Details.

    def _event(self, regarding: Object, reason: str, message: str, weight: str, action: str) -> Object:
        metadata = regarding["metadata"]
        # Events about a kind without namespaces live in `default`, as kubectl expects.
        namespace = metadata.get("namespace") or "default"
        reference = {
            "apiVersion": regarding["apiVersion"],
            "kind": regarding["kind"],
            "name": metadata["name"],
            "uid": metadata.get("uid", ""),
            "resourceVersion": metadata.get("resourceVersion", ""),
        }
        if metadata.get("namespace"):
            reference["namespace"] = namespace
        return {
            "metadata": {"namespace": namespace, "name": f"{metadata['name']}.{secrets.token_hex(8)}"},
            "eventTime": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "regarding": reference,
            "reason": reason,
            "note": _shortened(message),
            "type": weight,
            "action": action,
            "reportingController": REPORTING_CONTROLLER,
            "reportingInstance": self._instance,
        }

    async def _list_pages(self, resource: Resource, namespace: str | None, label_selector: str | None) -> Objects:
        query = {"limit": str(PAGE_SIZE)}
        if label_selector:
            query["labelSelector"] = label_selector
        found: Objects = []
        while True:
            page = await self._read(resource.path(namespace), query)
            # Items of a list come without their kind; events and owner references need it.
            found += [{"apiVersion": resource.api_version, "kind": resource.kind} | item for item in page["items"]]
            token = page.get("metadata", {}).get("continue")
            if not token:
                return found
            query["continue"] = token

    async def _put(self, verb: str, resource: Resource, obj: Object, subresource: str | None) -> Object:
        namespace, name = _names(obj)
        if not obj["metadata"].get("resourceVersion"):
            raise ValueError(f"{resource} {name}: a write that may be lost to another needs a resourceVersion")
        body = {"apiVersion": resource.api_version, "kind": resource.kind} | obj
        return await self._write(verb, resource, "PUT", resource.path(namespace, name, subresource), body)

    async def _write(
        self,
        verb: str,
        resource: Resource,
        method: str,
        path: str,
        body: Object,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        managed: bool = True,
    ) -> Object:
        if not self._may_write():
            raise NotLeading(f"{verb} of {path} withheld: this replica does not lead", reason="NotLeading")
        managers = {"fieldManager": FIELD_MANAGER} if managed else {}
        answer = await self._request(method, path, managers | dict(query or {}), body, content_type)
        self._on_write(resource, verb)
        return answer

    async def _read(self, path: str, query: Mapping[str, str] | None = None) -> Object:
        return await self._request("GET", path, query or {}, None, "application/json")

    async def _request(
        self, method: str, path: str, query: Mapping[str, str], body: Object | None, content_type: str
    ) -> Object:
        verb, url, headers, content, _ = await self._api_client.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json", "Content-Type": content_type, "User-Agent": FIELD_MANAGER},
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            # The client's own timeout covers each of its attempts; this one covers the call, reading included.
            async with asyncio.timeout(self._timeout):
                response = await self._api_client.call_api(
                    verb, url, headers, content, _request_timeout=aiohttp.ClientTimeout(total=self._timeout)
                )
                data = await response.read()  # type: ignore[no-untyped-call]
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            detail = str(error) or f"no answer within {self._timeout:g} s"
            raise Unavailable(f"{method} {path}: {detail}", reason=type(error).__name__) from error
        if 200 <= response.status < 300:
            return cast(Object, json.loads(data))
        raise _error(response.status, data, f"{method} {path}")


def _shortened(message: str) -> str:
    if len(message.encode()) <= LONGEST_NOTE:
        return message
    ellipsis = "…"
    return message.encode()[: LONGEST_NOTE - len(ellipsis.encode())].decode(errors="ignore") + ellipsis


def _names(obj: Object) -> tuple[str | None, str]:
    metadata = obj["metadata"]
    return metadata.get("namespace"), metadata["name"]


_NAMESPACE_TERMINATING = "NamespaceTerminating"

_ERRORS: dict[int, type[ApiError]] = {
    400: Invalid,
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: _Expired,
    413: Invalid,
    415: Invalid,
    422: Invalid,
    429: Unavailable,
}


def _error(status: int, data: bytes, request: str) -> ApiError:
    """Turn an answer into the exception of its status; the body is a Status object, or a proxy's page."""
    reason, message, causes = "", data[:500].decode(errors="replace"), set()
    try:
        body = json.loads(data)
        reason, message = str(body.get("reason", "")), str(body.get("message", message))
        causes = {str(cause.get("reason", "")) for cause in (body.get("details") or {}).get("causes") or ()}
    except (ValueError, AttributeError):
        pass
    kind = _ERRORS.get(status, Unavailable if status >= 500 else ApiError)
    if reason == "AlreadyExists":
        kind = AlreadyExists
    if _NAMESPACE_TERMINATING in causes:
        kind = NamespaceEnding
    return kind(f"{request}: {status} {message}", status=status, reason=reason)
