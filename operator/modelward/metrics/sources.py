"""The Prometheus servers that the platform configured, from one file that the chart writes. A Model only names one."""

import ssl
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import ConfigDict, Field, ValidationError

from modelward.api.types import ApiModel, Duration, ObjectName
from modelward.metrics.prometheus import Connection
from modelward.metrics.transport import PROMETHEUS_LIMITS


class SourcesInvalid(Exception):
    """The file of sources cannot be used; the message says where and why."""


class PrometheusServer(ApiModel):
    """One entry of `prometheusSources`."""

    model_config = ConfigDict(extra="forbid")

    name: ObjectName
    url: Annotated[str, Field(pattern=r"^https?://[^\s?#]+$", max_length=1024)]
    max_staleness: Duration = Field(default="2m", validate_default=True)
    timeout: Duration = Field(default="10s", validate_default=True)
    headers: dict[str, str] = Field(default_factory=dict)
    headers_from_files: dict[str, Path] = Field(default_factory=dict)
    bearer_token_file: Path | None = None
    ca_file: Path | None = None

    def connection(self) -> Connection:
        return Connection(
            name=self.name,
            url=self.url,
            max_staleness=self.max_staleness.total_seconds(),
            limits=replace(PROMETHEUS_LIMITS, seconds=self.timeout.total_seconds()),
            headers=self.headers,
            headers_from_files=self.headers_from_files,
            bearer_token_file=self.bearer_token_file,
        )

    def tls(self) -> ssl.SSLContext:
        """The system's authorities, or only the platform's own."""
        return ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)


class _Sources(ApiModel):
    model_config = ConfigDict(extra="ignore")

    prometheus_sources: tuple[PrometheusServer, ...] = ()


def load_sources(path: Path | None) -> Mapping[str, PrometheusServer]:
    """The configured servers by name; none without a file.

    Raises:
        SourcesInvalid: unreadable, not YAML, a wrong field, or a name twice.
    """
    if path is None:
        return {}
    try:
        sources = _Sources.model_validate(yaml.safe_load(path.read_text("utf-8")) or {})
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        raise SourcesInvalid(f"{path}: {error}") from error
    by_name = {server.name: server for server in sources.prometheus_sources}
    if len(by_name) != len(sources.prometheus_sources):
        raise SourcesInvalid(f"{path}: two entries of prometheusSources have the same name")
    return by_name
