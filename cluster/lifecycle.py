"""Up, down, and what state the cluster is in."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from cluster import (
    binaries,
    cgroups,
    configuration,
    images,
    locks,
    namespaces,
    network,
    packages,
    paths,
    progress,
    workloads,
)
from cluster.processes import Failure, wait_until

_SECONDS_TO_HEAL = 20
# The node lays folders of its own over these, and would hide the cache from itself.
_COVERED_PLACES = ("/run", "/var/run", "/var/lib", "/var/log", "/proc")


def build() -> None:
    """Everything that `up` needs and that outlives it."""
    _require_root()
    packages.install_missing()
    binaries.build_all()
    images.build_part_images()


def up() -> None:
    """Brings the cluster up. One that is up is left alone; what is left of one that is not is taken down first."""
    build()
    with locks.held("cluster"):
        if _something_is_left():
            ailments = _ailments_that_stay()
            if not ailments:
                progress.say("the cluster is up")
                return
            progress.say(f"starting anew, because {'; '.join(ailments)}")
            _take_down()
        _start()
        progress.say(f"the cluster is up: gateway {workloads.GATEWAY_URL}, export KUBECONFIG={paths.kubeconfig()}")


def down() -> None:
    """Leaves nothing behind but the caches and the last cluster's logs, whatever state things are in."""
    _require_root()
    with locks.held("cluster"):
        _take_down()
    progress.say("the cluster is down")


def ailments() -> list[str]:
    """What keeps the cluster from being up, most basic first; empty when it is."""
    first = namespaces.first_process()
    if first is None:
        return ["it is not running"]
    if not paths.ready_marker().exists() or not paths.kubeconfig().exists():
        return ["its start was not finished"]
    running = namespaces.programs_running(first)
    dead = [part.name for part in configuration.every_part() if str(part.program) not in running]
    if dead:
        return [f"{name} is not running, or is another version" for name in dead]
    if not network.routes_exist():
        return ["the host has no route into it"]
    if not workloads.api_server_is_ready():
        return ["the API server is not ready"]
    return _ailments_of_workloads()


def _ailments_of_workloads() -> list[str]:
    found = [] if workloads.node_is_ready() else ["the node is not Ready"]
    try:
        found += [f"unavailable: {name}" for name in workloads.unavailable()]
    except Failure as failure:
        found.append(str(failure))
    if not workloads.gateway_answers():
        found.append("the gateway does not answer")
    return found


def _ailments_that_stay() -> list[str]:
    """Parts that die are started again by the node, which deserves a moment."""
    deadline = time.monotonic() + _SECONDS_TO_HEAL
    while (found := ailments()) and namespaces.first_process() and paths.ready_marker().exists():
        if time.monotonic() > deadline:
            break
        time.sleep(1)
    return found


def _start() -> None:
    _clear_data()
    shutil.rmtree(paths.logs(), ignore_errors=True)
    for folder in (paths.cluster(), paths.logs(), paths.containerd_root()):
        folder.mkdir(parents=True, exist_ok=True)
    configuration.write_all()
    with progress.step("starting the control plane and the node"):
        with namespaces.start() as plan:
            wait_until(lambda: namespaces.first_process() is not None, "the namespaces", seconds=60, pause=0.02)
            network.connect(_first_process())
            plan.write(configuration.plan().encode())
        configuration.write_administrator_kubeconfig()
        wait_until(_containerd_is_ready, "containerd", seconds=240, hint=f"see {paths.logs()}")
        images.load(image.reference for image in images.part_images().values())
        wait_until(workloads.api_server_is_ready, "the API server", seconds=300, hint=f"see {paths.logs()}")
    workloads.deploy()
    paths.ready_marker().touch()


def _containerd_is_ready() -> bool:
    """The API server is started when containerd is up and rid of the last cluster's containers."""
    running = namespaces.programs_running(_first_process())
    return str(configuration.api_server().program) in running


def _first_process() -> int:
    first = namespaces.first_process()
    if first is None:
        raise Failure(f"the start failed: {(paths.logs() / 'node.log').read_text().strip()}")
    return first


def _take_down() -> None:
    # First of all, so that nobody speaks to addresses that are about to stop being this machine's.
    paths.ready_marker().unlink(missing_ok=True)
    paths.kubeconfig().unlink(missing_ok=True)
    namespaces.end()
    cgroups.remove()
    _clear_data()
    network.disconnect()


def _clear_data() -> None:
    """All but the images in containerd."""
    for folder in (
        paths.cluster() / "etcd",
        paths.cluster() / "kubelet",
        paths.configuration(),
        paths.certificates(),
    ):
        shutil.rmtree(folder, ignore_errors=True)


def _something_is_left() -> bool:
    return bool(namespaces.first_process() or network.leftovers() or cgroups.leftovers())


def _require_root() -> None:
    if os.geteuid() != 0:
        raise Failure("the local cluster makes namespaces, links and mounts: it has to be run as root")
    covered = [place for place in _COVERED_PLACES if paths.cache().is_relative_to(Path(place))]
    if covered:
        raise Failure(f"MODELWARD_CACHE is {paths.cache()}: it cannot be under {covered[0]}")
