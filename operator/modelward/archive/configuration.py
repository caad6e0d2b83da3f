"""Where audit records are exported to, how long they stay in the cluster, and what signs checkpoints: one file that the chart writes.

Secrets are not in it: it names the files that a Secret is mounted as.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, Protocol, Self

import yaml
from pydantic import ConfigDict, Field, ValidationError, model_validator

from modelward.api.types import ApiModel, Duration, Interval
from modelward.archive.credentials import Certificates
from modelward.archive.directory import DirectoryExporter
from modelward.archive.exporter import Exporter
from modelward.archive.s3 import Place, S3Exporter

_Line = Annotated[str, Field(pattern=r"^[^\r\n]+$", max_length=1024)]


class ArchiveInvalid(Exception):
    """The file cannot be used; the message says where and why."""


class _Section(ApiModel):
    model_config = ConfigDict(extra="forbid")


class _Secured(_Section):
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    timeout: Interval = Field(default="10s", validate_default=True)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("keyFile needs certFile")
        return self

    def certificates(self) -> Certificates:
        return Certificates(self.ca_file, self.cert_file, self.key_file)


class Directory(_Section):
    path: Path

    def open(self, now: Callable[[], datetime]) -> Exporter:
        return DirectoryExporter(self.path)


class Lock(_Section):
    mode: Literal["COMPLIANCE", "GOVERNANCE"]
    days: Annotated[int, Field(ge=1, le=36500)]


class S3(_Secured):
    endpoint: Annotated[str, Field(pattern=r"^https?://[^\s/?#]+/?$", max_length=1024)]
    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    region: Annotated[str, Field(pattern=r"^[a-z0-9-]+$", max_length=64)] = "us-east-1"
    prefix: Annotated[str, Field(pattern=r"^([A-Za-z0-9._-]+/)*$", max_length=512)] = ""
    access_key_id_file: Path = Field(alias="accessKeyIDFile")
    secret_access_key_file: Path
    session_token_file: Path | None = None
    lock: Lock

    def open(self, now: Callable[[], datetime]) -> Exporter:
        place = Place(
            endpoint=self.endpoint,
            bucket=self.bucket,
            region=self.region,
            prefix=self.prefix,
            access_key_id_file=self.access_key_id_file,
            secret_access_key_file=self.secret_access_key_file,
            session_token_file=self.session_token_file,
            lock_mode=self.lock.mode,
            lock_for=timedelta(days=self.lock.days),
            certificates=self.certificates(),
            seconds=self.timeout.total_seconds(),
        )
        return S3Exporter(place, now)


class Postgres(_Secured):
    host: _Line
    port: Annotated[int, Field(ge=1, le=65535)] = 5432
    database: _Line
    user: _Line
    password_file: Path
    tls: bool = True

    def open(self, now: Callable[[], datetime]) -> Exporter:
        # Here and not above: the driver takes memory that only those who use it should pay.
        from modelward.archive.postgres import Database, PostgresExporter

        database = Database(
            host=self.host,
            port=self.port,
            database=self.database,
            user=self.user,
            password_file=self.password_file,
            tls=self.tls,
            certificates=self.certificates(),
            seconds=self.timeout.total_seconds(),
        )
        return PostgresExporter(database)


class _Storage(Protocol):
    def open(self, now: Callable[[], datetime]) -> Exporter: ...


class _Signing(_Section):
    key_file: Path


class _Document(_Section):
    directory: Directory | None = None
    s3: S3 | None = None
    postgres: Postgres | None = None
    signing: _Signing | None = None
    keep_in_cluster: Duration = Field(default="720h", validate_default=True)

    def storages(self) -> tuple[_Storage, ...]:
        return tuple(storage for storage in (self.directory, self.s3, self.postgres) if storage is not None)

    @model_validator(mode="after")
    def _one_storage(self) -> Self:
        if len(self.storages()) != 1:
            raise ValueError("name exactly one of directory, s3 and postgres")
        return self


@dataclass(frozen=True)
class Archive:
    """The storage, how long records that are in it stay in the cluster (zero: for ever), and the file of the signing key."""

    exporter: Exporter
    keep_in_cluster: timedelta
    signing_key_file: Path | None


def open_archive(path: Path, now: Callable[[], datetime]) -> Archive:
    """What the file asks for. Nothing is connected to yet: a storage that is down is not a reason not to start.

    Raises:
        ArchiveInvalid: unreadable, not YAML, a wrong field, or not exactly one storage.
    """
    try:
        document = _Document.model_validate(yaml.safe_load(path.read_text("utf-8")) or {})
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        raise ArchiveInvalid(f"{path}: {error}") from error
    (storage,) = document.storages()
    return Archive(
        exporter=storage.open(now),
        keep_in_cluster=document.keep_in_cluster,
        signing_key_file=document.signing.key_file if document.signing else None,
    )
