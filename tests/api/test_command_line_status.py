"""`modelward status`, completion and the plugin of kubectl, with a real API server and a real kubectl: the tests write what an operator would."""

import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from modelward.cli.main import app
from tests.api.conftest import PATIENCE, ApiServer
from tests.manifests import GOOD, changed

BASE = "/apis/modelward.dev/v1alpha1"
MODEL = changed(GOOD["a model behind a gateway"], spec__challengers=[], spec__production={"version": "v8"})
DIGEST = "sha256:" + "0" * 64
SINCE = "2026-11-01T00:00:00.000Z"
SCRIPTS = Path(sys.executable).parent


@pytest.fixture(autouse=True)
def _as_in_a_terminal() -> Iterator[None]:
    """Ctrl-C arrives. Where the tests run in the background it is ignored, and every program that they start inherits that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def namespace(api_server: ApiServer) -> str:
    name = api_server.namespace()
    assert api_server.request("POST", f"{BASE}/namespaces/{name}/models", MODEL).accepted
    return name


def tell(api_server: ApiServer, namespace: str, weight: int) -> None:
    """v8 is in its canary with this share of requests."""
    status = {
        "observedGeneration": 1,
        "stage": "Canary",
        "weight": weight,
        "production": {"version": "v7", "digest": DIGEST, "since": SINCE},
        "rollout": {
            "version": "v8", "digest": DIGEST, "policy": "high", "policyDigest": DIGEST, "startedAt": SINCE,
            "stage": "Canary", "stageEnteredAt": SINCE, "stepEnteredAt": SINCE,
        },
        "traffic": {
            "weights": [{"version": "v7", "percent": 100 - weight}, {"version": "v8", "percent": weight}],
            "changedAt": SINCE,
        },
        "conditions": [
            {
                "type": "Progressing", "status": "True", "reason": "StageRunning",
                "message": f"v8 in Canary at {weight} %.", "lastTransitionTime": SINCE,
            }
        ],
    }  # fmt: skip
    header = {"apiVersion": MODEL["apiVersion"], "kind": "Model", "metadata": {"name": "churn"}}
    path = f"{BASE}/namespaces/{namespace}/models/churn/status"
    answer = api_server.apply(path, {**header, "status": status})
    assert answer.accepted, answer.message


def run(api_server: ApiServer, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["status", *arguments, "--kubeconfig", str(api_server.kubeconfig)])


class Lines:
    """What a command that goes on prints, line by line, with a limit."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self.seen: list[str] = []
        self.errors: list[str] = []
        self._come = threading.Condition()
        for stream, kept in ((self.process.stdout, self.seen), (self.process.stderr, self.errors)):
            threading.Thread(target=self._read, args=(stream, kept), daemon=True).start()

    def _read(self, stream: Any, kept: list[str]) -> None:
        for line in stream:
            with self._come:
                kept.append(line.rstrip("\n"))
                self._come.notify_all()

    def until(self, text: str, among: list[str] | None = None) -> str:
        kept = self.seen if among is None else among
        with self._come:
            came = self._come.wait_for(lambda: any(text in line for line in kept), PATIENCE)
        assert came, f"{text!r} did not come; there are {self.seen} and {self.errors}"
        return next(line for line in kept if text in line)

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE)


@contextmanager
def watching(kubeconfig: Path, namespace: str, *arguments: str) -> Iterator[Lines]:
    command = [sys.executable, "-m", "modelward.cli.main", "status", *arguments, "--watch", "-n", namespace]
    lines = Lines([*command, "--kubeconfig", str(kubeconfig)])
    try:
        yield lines
    finally:
        lines.process.kill()
        lines.process.wait()


class Forwarder:
    """A way to the API server on loopback that can be cut and mended."""

    def __init__(self, port: int) -> None:
        self._target, self._open = port, True
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._open = False
        for connection in self._connections:
            with closing(connection), suppress(OSError):  # one of the two may have ended it already
                connection.shutdown(socket.SHUT_RDWR)
        self._connections.clear()

    def mend(self) -> None:
        self._open = True

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if not self._open:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self._target))
            self._connections += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass


def test_the_status_that_an_operator_wrote_is_read_as_a_headline_and_a_tree(
    api_server: ApiServer, namespace: str
) -> None:
    tell(api_server, namespace, 10)
    result = run(api_server, "churn", "-n", namespace)
    assert result.exit_code == 0, result.output
    first, *rest = result.stdout.splitlines()
    assert first == "v8 in Canary at 10 %. Nothing to do: it goes on by itself."
    assert any("v7  Production" in line and "90 % of requests" in line for line in rest)
    listed = run(api_server, "-A", "-o", "json")
    assert (namespace, "churn", "v8") in {
        (each["namespace"], each["model"], each["candidate"]) for each in json.loads(listed.stdout)
    }


def test_piped_every_change_adds_one_line_and_ctrl_c_ends_it(api_server: ApiServer, namespace: str) -> None:
    tell(api_server, namespace, 10)
    with watching(api_server.kubeconfig, namespace, "churn") as lines:
        lines.until("v8 in Canary at 10 %.")
        tell(api_server, namespace, 50)
        lines.until("v8 in Canary at 50 %.")
        assert lines.interrupt() == 0
        assert len(lines.seen) == 2
        assert not lines.errors


def test_a_watch_of_a_namespace_shows_models_that_come_later(api_server: ApiServer, namespace: str) -> None:
    tell(api_server, namespace, 10)
    other = {**MODEL, "metadata": {**MODEL["metadata"], "name": "fraud"}}
    del other["spec"]["serving"]["route"]
    with watching(api_server.kubeconfig, namespace, "-o", "json") as lines:
        assert json.loads(lines.until('"churn"'))["headline"]["what"] == "v8 in Canary at 10 %."
        answer = api_server.request("POST", f"{BASE}/namespaces/{namespace}/models", other)
        assert answer.accepted, answer.message
        assert json.loads(lines.until('"fraud"'))["headline"]["urgency"] == "Wait"


def test_a_connection_that_breaks_is_told_and_made_anew(api_server: ApiServer, namespace: str, tmp_path: Path) -> None:
    tell(api_server, namespace, 10)
    way = Forwarder(int(api_server.url.rpartition(":")[2]))
    config = yaml.safe_load(api_server.kubeconfig.read_text("utf-8"))
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{way.port}"
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    with closing(way), watching(kubeconfig, namespace, "churn") as lines:
        lines.until("at 10 %")
        way.cut()
        lines.until("gives no answer", lines.errors)
        tell(api_server, namespace, 50)
        way.mend()
        lines.until("at 50 %")
        assert lines.interrupt() == 0


def test_in_a_terminal_the_picture_is_drawn_anew_and_ctrl_c_leaves_it_there(
    api_server: ApiServer, namespace: str
) -> None:
    tell(api_server, namespace, 10)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "modelward.cli.main", "status", "churn", "--watch", "-n", namespace]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
    process = subprocess.Popen(
        [*command, "--kubeconfig", str(api_server.kubeconfig)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
    )
    os.close(theirs)
    try:
        until(ours, "10 % of requests")
        tell(api_server, namespace, 50)
        until(ours, "50 % of requests")
        process.send_signal(signal.SIGINT)
        assert "Traceback" not in until_closed(ours)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def until(terminal: int, text: str) -> str:
    """What a terminal shows until a text has come."""
    seen = ""
    for shown in _shown(terminal):
        seen += shown
        if text in seen:
            return seen
    raise AssertionError(f"{text!r} did not come; there is {seen!r}")


def until_closed(terminal: int) -> str:
    """What a terminal shows until its program has ended. Unread, it would keep that from ending."""
    return "".join(_shown(terminal))


def _shown(terminal: int) -> Iterator[str]:
    limit = time.monotonic() + PATIENCE
    while select.select([terminal], [], [], max(limit - time.monotonic(), 0))[0]:
        try:
            shown = os.read(terminal, 65536)
        except OSError:  # Linux says so when the other side is closed
            return
        if not shown:
            return
        yield shown.decode(errors="replace")


def test_who_may_not_watch_is_told_and_not_asked_for_ever(api_server: ApiServer, namespace: str) -> None:
    result = run(api_server, "churn", "--watch", "-n", namespace, "--context", "ada")
    assert result.exit_code == 1
    assert "forbidden" in result.output


def completed(api_server: ApiServer, *words: str, **env: str) -> list[str]:
    environment = {**os.environ, "KUBECONFIG": str(api_server.kubeconfig), **env}
    script = str(SCRIPTS / "kubectl_complete-modelward")
    done = subprocess.run([script, *words], env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert not done.stderr
    return done.stdout.splitlines()


def completed_from_the_cluster(api_server: ApiServer, *words: str) -> list[str]:
    """The same, as soon as the cluster is quick enough: whoever presses Tab is not kept waiting for a busy one."""
    limit = time.monotonic() + PATIENCE
    while (offered := completed(api_server, *words)) == [":4"] and time.monotonic() < limit:
        pass
    return offered


def test_names_of_models_and_namespaces_complete_from_the_cluster(api_server: ApiServer, namespace: str) -> None:
    assert completed_from_the_cluster(api_server, "status", "-n", namespace, "ch") == ["churn", ":4"]
    assert namespace in completed_from_the_cluster(api_server, "status", "-n", namespace[:8])
    assert "ada" in completed(api_server, "status", "--context", "")
    offered = [line.partition("\t")[0] for line in completed(api_server, "stat")]
    assert offered == ["status", ":4"]


def test_completion_is_silent_where_no_cluster_answers(api_server: ApiServer, tmp_path: Path) -> None:
    assert completed(api_server, "status", "ch", KUBECONFIG=str(tmp_path / "none")) == [":4"]
    assert completed(api_server, "status", "--context", "grace", "ch") == [":4"]


def kubectl(api_server: ApiServer, *arguments: str) -> str:
    environment = {
        **os.environ, "KUBECONFIG": str(api_server.kubeconfig), "PATH": f"{SCRIPTS}:{os.environ['PATH']}",
    }  # fmt: skip
    command = [str(api_server.kubectl_path), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_kubectl_finds_the_plugin_and_its_completion(api_server: ApiServer, namespace: str) -> None:
    tell(api_server, namespace, 10)
    assert "v8 in Canary at 10 %." in kubectl(api_server, "modelward", "status", "churn", "-n", namespace)
    assert "Usage: kubectl modelward status" in kubectl(api_server, "modelward", "status", "--help")
    assert "kubectl-modelward" in kubectl(api_server, "plugin", "list")
    asked = ("__complete", "modelward", "status", "-n", namespace, "ch")
    limit = time.monotonic() + PATIENCE
    while (offered := kubectl(api_server, *asked).splitlines()[0]) != "churn":
        assert time.monotonic() < limit, offered
