"""Real storages on loopback: an S3-compatible server with object lock, and PostgreSQL from Debian."""

import json
import os
import pwd
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import httpx2

from cluster import binaries, packages
from modelward.archive.postgres import schema
from modelward.archive.signature import Keys, escaped_path, query_string, signed_headers
from tests.ports import free_port
from tests.unit.metrics.certificates import Authority

REGION = "eu-test-1"
_LIMIT = 180.0
"""Seconds for what takes a few: this only ends what would hang."""
_ROLE = """
DO $$ BEGIN
    CREATE ROLE operator LOGIN PASSWORD '{password}';
EXCEPTION WHEN duplicate_object THEN NULL;
END $$
"""


@dataclass(frozen=True)
class ObjectStorage:
    """A running server with two accounts: its root, who makes buckets, and the operator's."""

    endpoint: str
    ca_file: Path
    root: Keys
    operator: Keys

    def bucket(self, name: str, *, locked: bool = True, actions: Sequence[str] = ("s3:*",)) -> None:
        """By default the operator may do everything: what the lock denies, it denies whatever else is allowed."""
        headers = {"X-Amz-Bucket-Object-Lock-Enabled": "true"} if locked else {}
        assert self.ask("PUT", f"/{name}", headers=headers, keys=self.root).status_code == 200
        allowed = {
            "Effect": "Allow",
            "Principal": [self.operator.access_key_id],
            "Action": list(actions),
            "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]}).encode()
        answer = self.ask("PUT", f"/{name}", {"policy": ""}, body=policy, keys=self.root)
        assert answer.status_code < 300, answer.text

    def ask(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        keys: Keys | None = None,
    ) -> httpx2.Response:
        """One request as the operator's account, or as another, with whatever headers an attacker would like."""
        url = self.endpoint + escaped_path(path) + (f"?{query_string(parameters)}" if parameters else "")
        signed = signed_headers(method, url, headers or {}, body, keys or self.operator, REGION, datetime.now(UTC))
        with httpx2.Client(verify=ssl.create_default_context(cafile=str(self.ca_file)), timeout=60) as client:
            return client.request(method, url, headers=signed, content=body)


@contextmanager
def object_storage(directory: Path) -> Iterator[ObjectStorage]:
    """versitygw on a free port, with TLS, versions and object lock."""
    authority = Authority(directory / "certificates")
    certificate = authority.issue("localhost")
    for name in ("data", "versions", "accounts"):
        (directory / name).mkdir()
    storage = ObjectStorage(
        f"https://127.0.0.1:{free_port()}",
        authority.file,
        Keys("root", "root-secret"),
        Keys("operator", "operator-secret"),
    )
    program = str(binaries.path("versitygw"))
    command = [
        program,
        *("--port", storage.endpoint.removeprefix("https://"), "--region", REGION, "--quiet"),
        *("--access", storage.root.access_key_id, "--secret", storage.root.secret_access_key),
        *("--cert", str(certificate.cert), "--key", str(certificate.key), "--iam-dir", str(directory / "accounts")),
        *("posix", "--versioning-dir", str(directory / "versions"), str(directory / "data")),
    ]
    with (directory / "log").open("wb") as log, running(command, stdout=log):
        _wait_until(lambda: storage.ask("GET", "/", keys=storage.root).status_code == 200, directory / "log")
        admin = [program, "admin", "--allow-insecure", "--endpoint-url", storage.endpoint, "--region", REGION]
        admin += ["--access", storage.root.access_key_id, "--secret", storage.root.secret_access_key]
        account = ["--access", storage.operator.access_key_id, "--secret", storage.operator.secret_access_key]
        subprocess.run(
            [*admin, "create-user", *account, "--role", "user"], check=True, capture_output=True, timeout=_LIMIT
        )
        yield storage


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL whose owner makes databases, and the operator's role, who has a password."""

    port: int
    ca_file: Path
    owner_password: str
    operator_password: str

    async def database(self, name: str) -> None:
        """A database with the product's tables, owned by `owner`."""
        await self.execute("postgres", _ROLE.replace("{password}", self.operator_password))
        await self.execute("postgres", f"CREATE DATABASE {name} OWNER owner")
        await self.execute(name, schema("operator"))

    async def execute(self, database: str, statement: str, *, user: str = "owner") -> str:
        password = self.owner_password if user == "owner" else self.operator_password
        connection = await asyncpg.connect(
            host="127.0.0.1", port=self.port, database=database, user=user, password=password, ssl=False
        )
        try:
            return await connection.execute(statement)
        finally:
            await connection.close()


@contextmanager
def postgres(directory: Path) -> Iterator[Postgres]:
    """PostgreSQL on a free port, in a folder of its own, as a user that is not root; fsync as it comes."""
    packages.install_missing(packages.DATABASE)
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    account = pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    authority = Authority(directory)
    pair = authority.issue("localhost")
    # Not below pytest's folders, which nobody but root may enter.
    home = Path(tempfile.mkdtemp(prefix="modelward-postgres-"))
    try:
        for source in (pair.cert, pair.key):
            copied = home / source.name
            shutil.copyfile(source, copied)
            copied.chmod(0o600)
        (home / "password").write_text("owner-secret")
        for path in (home, *home.iterdir()):
            os.chown(path, account.pw_uid, account.pw_gid)
        identity = {"user": account.pw_uid, "group": account.pw_gid} if os.geteuid() == 0 else {}
        data, port = home / "data", free_port()
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "owner", f"--pwfile={home / 'password'}", "-A", "scram-sha-256", "--no-sync"],
            check=True, capture_output=True, cwd=home, timeout=_LIMIT, **identity,
        )  # fmt: skip
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": str(home),
            "ssl": "on",
            "ssl_cert_file": str(home / pair.cert.name),
            "ssl_key_file": str(home / pair.key.name),
            "shared_buffers": "16MB",
        }
        command = [str(programs / "postgres"), "-D", str(data)]
        command += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        log_file = directory / "postgres.log"
        with log_file.open("wb") as log, running(command, stop=signal.SIGQUIT, stdout=log, cwd=home, **identity):
            server = Postgres(port, authority.file, "owner-secret", "operator-secret")
            _wait_until(lambda: "ready to accept connections" in log_file.read_text(), log_file)
            yield server
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def running(command, *, stop: signal.Signals = signal.SIGKILL, **options) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stderr=subprocess.STDOUT, **options)
    try:
        yield process
    finally:
        # At once: an orderly end waits for clients that nobody closes any more.
        process.send_signal(stop)
        process.wait(60)


def _wait_until(holds, log: Path) -> None:
    limit = time.monotonic() + _LIMIT
    while time.monotonic() < limit:
        try:
            if holds():
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"the server did not become ready:\n{log.read_text()[-2000:]}")
