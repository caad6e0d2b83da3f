"""The first process inside the cluster's namespaces: mounts, then the parts in their order, then watching over them.

Run by `cluster.namespaces.start`, never by hand. It begins only when the list of parts arrives on its input, which also
says that the host has given the namespace its addresses; if the input ends first, whoever started it is dead and so is
it. A part that dies is started again.
"""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from cluster import configuration, network, paths
from cluster.configuration import Part
from cluster.processes import Failure, run, succeeds, wait_until

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What the kubelet wants the kernel to be set to.
_KERNEL_SETTINGS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
_RESTART_PAUSE_SECONDS = 1.0


def main() -> None:
    plan = sys.stdin.readline()
    if not plan.endswith("\n"):
        return
    etcd, containerd, api_server, *others = configuration.parts_from_plan(plan)
    os.environ["PATH"] = _PATH
    network.require_local_node_address()
    _make_private_mounts()
    parts = _Parts()
    parts.start(etcd)
    _start_containerd(parts, containerd)
    parts.start(api_server)
    wait_until(_api_server_is_ready, "the API server", seconds=300)
    for part in others:
        parts.start(part)
    parts.watch()


class _Parts:
    """The running programs, by process number."""

    def __init__(self) -> None:
        self._running: dict[int, tuple[Part, subprocess.Popen[bytes]]] = {}

    def start(self, part: Part) -> None:
        with (paths.logs() / f"{part.name}.log").open("a") as log:
            process = subprocess.Popen(
                [str(part.program), *part.arguments],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._running[process.pid] = (part, process)
        print(f"started {part.name}", flush=True)

    def stop(self, part: Part) -> None:
        for pid, (known, process) in list(self._running.items()):
            if known.name == part.name:
                process.terminate()
                process.wait()
                del self._running[pid]

    def watch(self) -> None:
        """Buries every process of the namespace, and starts a part again when it was one."""
        while True:
            pid, status = os.wait()
            ended = self._running.pop(pid, None)
            if ended is not None:
                part, _ = ended
                print(f"{part.name} ended with {os.waitstatus_to_exitcode(status)}; starting it again", flush=True)
                time.sleep(_RESTART_PAUSE_SECONDS)
                self.start(part)


def _make_private_mounts() -> None:
    """What the parts write to places of the host's that cannot be configured goes to folders of the cluster's own."""
    for place in ("/run", "/var/lib"):
        run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", place])
    system_logs = paths.logs() / "system"
    system_logs.mkdir(parents=True, exist_ok=True)
    run(["mount", "--bind", system_logs, "/var/log"])
    settings = Path(tempfile.mkdtemp(dir="/run"))
    for name, value in _KERNEL_SETTINGS.items():
        pretended = settings / name.replace("/", "-")
        pretended.write_text(f"{value}\n")
        run(["mount", "--bind", pretended, f"/proc/sys/{name}"])


def _start_containerd(parts: _Parts, part: Part) -> None:
    """Its images are kept from the cluster before, the containers of that one are not."""
    parts.start(part)
    _wait_for_containerd()
    left = run(["ctr", "-n", "k8s.io", "containers", "list", "-q"]).split()
    if left:
        run(["ctr", "-n", "k8s.io", "containers", "delete", *left])
        parts.stop(part)
        parts.start(part)
        _wait_for_containerd()


def _wait_for_containerd() -> None:
    wait_until(lambda: succeeds(["ctr", "-n", "k8s.io", "version"]), "containerd", seconds=240)


def _api_server_is_ready() -> bool:
    trusted = ssl.create_default_context(cafile=str(paths.certificates() / "ca.crt"))
    try:
        with urllib.request.urlopen(f"{configuration.API_URL}/readyz", timeout=5, context=trusted) as answer:
            return int(answer.status) == 200
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"node: {failure}")
