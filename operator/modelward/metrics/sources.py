"""How the platform lets metrics be read: its Prometheus servers, of which a Model only names one, and the access to pods.

Both are in one file that the chart writes. Credentials are in files of their own, which a Secret is mounted as.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import ConfigDict, Field, ValidationError, model_validator

from modelward.api.types import ApiModel, Duration, ObjectName
from modelward.metrics.pods import PLAIN, PodAccess
from modelward.metrics.prometheus import Connection
from modelward.metrics.transport import PROMETHEUS_LIMITS, Credentials

_Line = Annotated[str, Field(pattern=r"^[^\r\n]*$", max_length=4096)]


class SourcesInvalid(Exception):
    """The file of sources cannot be used; the message says where and why."""


class _Access(ApiModel):
    """What both kinds of servers may ask for."""

    model_config = ConfigDict(extra="forbid")

    headers: dict[str, _Line] = Field(default_factory=dict)
    headers_from_files: dict[str, Path] = Field(default_factory=dict)
    bearer_token_file: Path | None = None
    username: _Line | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    server_name: _Line | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.username is None) != (self.password_file is None):
            raise ValueError("username and passwordFile belong together: give both or neither")
        if self.username is not None and self.bearer_token_file is not None:
            raise ValueError("bearerTokenFile and username exclude each other: remove one of the two")
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("keyFile needs certFile")
        return self

    def credentials(self) -> Credentials:
        return Credentials(
            headers=self.headers,
            headers_from_files=self.headers_from_files,
            bearer_token_file=self.bearer_token_file,
            username=self.username,
            password_file=self.password_file,
            ca_file=self.ca_file,
            cert_file=self.cert_file,
            key_file=self.key_file,
            server_name=self.server_name,
        )


class PrometheusServer(_Access):
    """One entry of `prometheusSources`."""

    name: ObjectName
    url: Annotated[str, Field(pattern=r"^https?://[^\s?#]+$", max_length=1024)]
    max_staleness: Duration = Field(default="2m", validate_default=True)
    timeout: Duration = Field(default="10s", validate_default=True)
    # Whose `query` gates are asked: with the operator's credentials, the author of a query may see all that the server has.
    queries: Literal["Policies", "Models"] = "Policies"

    def connection(self) -> Connection:
        return Connection(
            name=self.name,
            url=self.url,
            max_staleness=self.max_staleness.total_seconds(),
            queries_of_models=self.queries == "Models",
            limits=replace(PROMETHEUS_LIMITS, seconds=self.timeout.total_seconds()),
            credentials=self.credentials(),
        )


class Pods(_Access):
    """The entry `pods`."""

    scheme: Literal["http", "https"] = "http"

    def access(self) -> PodAccess:
        return PodAccess(https=self.scheme == "https", credentials=self.credentials())


class _Document(ApiModel):
    model_config = ConfigDict(extra="ignore")

    prometheus_sources: tuple[PrometheusServer, ...] = ()
    pods: Pods | None = None


@dataclass(frozen=True)
class Sources:
    prometheus: Mapping[str, Connection] = field(default_factory=dict)
    pods: PodAccess = PLAIN


def load_sources(path: Path | None) -> Sources:
    """The configured servers by name, and the access to pods; without a file, none and plain http.

    Raises:
        SourcesInvalid: unreadable, not YAML, a wrong field, or a name twice.
    """
    if path is None:
        return Sources()
    try:
        document = _Document.model_validate(yaml.safe_load(path.read_text("utf-8")) or {})
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        raise SourcesInvalid(f"{path}: {error}") from error
    servers = {server.name: server.connection() for server in document.prometheus_sources}
    if len(servers) != len(document.prometheus_sources):
        raise SourcesInvalid(f"{path}: two entries of prometheusSources have the same name")
    return Sources(servers, document.pods.access() if document.pods else PLAIN)
