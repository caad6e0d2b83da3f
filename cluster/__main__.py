"""The command line of the local cluster."""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

from cluster import argocd, claim, git_server, images, lifecycle, namespaces, paths, people, pruning, workloads
from cluster.processes import Failure

EXAMPLES = """\
examples:
  python -m cluster up                                    start it, or say that it is up
  export KUBECONFIG=$(python -m cluster kubeconfig)       let kubectl and helm speak to it
  kubectl --kubeconfig $(python -m cluster user ada --group validators) auth whoami
  curl -H 'host: app.example.com' $(python -m cluster gateway-url)
  python -m cluster image build --tag app:1 --load .      an image of ./Dockerfile, for its pods
  python -m cluster argocd install                        Argo CD, which the cluster does not have by itself
  python -m cluster git-server ~/repositories             bare Git repositories, for Argo CD to read
  python -m cluster exec -- ip route                      a command beside containerd and the kubelet
  python -m cluster prune                                 make room in the cache
  python -m cluster down                                  stop it, and leave nothing behind
"""


def main() -> int:
    arguments = _parser().parse_args()
    try:
        return _obey(arguments)
    except Failure as failure:
        print(f"cluster: {failure}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cluster",
        description="A local Kubernetes, without Docker.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("build", help="build every pinned program and the cluster's own images")
    commands.add_parser("up", help="bring the cluster up, building first what is missing")
    commands.add_parser("down", help="take the cluster down; built programs and images are kept")
    commands.add_parser(
        "prune",
        help="make room: remove images that newer builds have replaced, and environments of dead checkouts",
        description="Remove what newer builds have replaced. Kept are the newest "
        f"{pruning.KEPT} builds of each name, those of the last hour, and all that something in the cluster names.",
    )
    commands.add_parser("status", help="say whether the cluster is up, and if not, why")
    commands.add_parser("kubeconfig", help="print the path of the administrator's kubeconfig")
    user = commands.add_parser(
        "user", help="print the path of a kubeconfig for a person, known by a client certificate"
    )
    user.add_argument("name", metavar="NAME", help="the user name that the API server sees")
    user.add_argument(
        "--group", action="append", default=[], metavar="G", help="a group of the person; may be repeated"
    )
    commands.add_parser("gateway-url", help="print the address of the Gateway `public`")
    commands.add_parser("prometheus-url", help="print the address of Prometheus")
    inside = commands.add_parser("exec", help="run a command inside the cluster's namespaces")
    inside.add_argument("words", nargs="+", metavar="CMD")
    argo_cd = commands.add_parser("argocd", help="build Argo CD, install it into the running cluster, or take it off")
    argo_cd.add_argument("argocd_command", choices=("build", "install", "remove"), metavar="build|install|remove")
    git_server = commands.add_parser("git-server", help="serve bare Git repositories to the cluster until interrupted")
    git_server.add_argument("folder", type=Path, metavar="FOLDER")
    git_server.add_argument("--port", type=int, default=8418, metavar="N", help="default: %(default)s")
    _add_image_commands(commands.add_parser("image", help="build images and load them into the cluster"))
    return parser


def _add_image_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="image_command", required=True, metavar="COMMAND")
    build = commands.add_parser("build", help="build an image; nothing is done when its context has not changed")
    build.add_argument("--tag", required=True, metavar="NAME:TAG")
    build.add_argument("--file", type=Path, metavar="DOCKERFILE", help="default: CONTEXT/Dockerfile")
    build.add_argument("--load", action="store_true", help="load it into the running cluster, too")
    build.add_argument("context", type=Path, metavar="CONTEXT")
    load = commands.add_parser("load", help="load built images into the running cluster")
    load.add_argument("tags", nargs="+", metavar="NAME:TAG")


def _obey(arguments: argparse.Namespace) -> int:
    match arguments.command:
        case "build":
            lifecycle.build()
        case "up":
            lifecycle.up()
            claim.by_a_person()
        case "down":
            lifecycle.down()
        case "prune":
            _prune()
        case "status":
            return _print_status()
        case "kubeconfig":
            print(paths.kubeconfig())
        case "user":
            print(people.kubeconfig(arguments.name, arguments.group))
        case "gateway-url":
            print(workloads.GATEWAY_URL)
        case "prometheus-url":
            print(workloads.PROMETHEUS_URL)
        case "argocd":
            _obey_argocd_command(arguments.argocd_command)
        case "git-server":
            _serve_repositories(arguments.folder, arguments.port)
        case "exec":
            return _execute(arguments.words)
        case _:
            _obey_image_command(arguments)
    return 0


def _obey_image_command(arguments: argparse.Namespace) -> None:
    if arguments.image_command == "load":
        images.load(arguments.tags)
        return
    recipe: Path = arguments.file or arguments.context / "Dockerfile"
    reference = images.build(arguments.tag, recipe, arguments.context)
    if arguments.load:
        images.load([reference])
    print(reference)


def _obey_argocd_command(command: str) -> None:
    match command:
        case "build":
            argocd.build()
        case "install":
            argocd.install()
        case _:
            argocd.remove()


def _serve_repositories(folder: Path, port: int) -> None:
    if not folder.is_dir():
        raise Failure(f"{folder} is not a folder: make it, and in it a repository (git init --bare NAME.git)")
    with git_server.GitServer(folder.resolve(), port) as server:
        print(f"repositories of {folder} are at {server.url}/NAME.git", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def _prune() -> None:
    places = (paths.images(), paths.image_storage(), paths.containerd_root())
    before = sum(map(pruning.size_of, places))
    images.prune()
    freed = before - sum(map(pruning.size_of, places))
    for folder in pruning.dead_environments(time.time()):
        size = pruning.size_of(folder)
        print(f"removing {folder}: its checkout is gone, or has had a newer one for long")
        pruning.remove(folder)
        freed += size
    print(f"freed {freed / 1e6:,.0f} MB of {paths.cache()}")


def _print_status() -> int:
    ailments = lifecycle.ailments()
    if ailments:
        print("\n".join(["the cluster is not up:", *(f"  {ailment}" for ailment in ailments)]))
        return 1
    print(f"the cluster is up\n  KUBECONFIG  {paths.kubeconfig()}")
    print(f"  gateway     {workloads.GATEWAY_URL}\n  Prometheus  {workloads.PROMETHEUS_URL}")
    print(f"  audit log   {paths.audit_log()}")
    return 0


def _execute(words: list[str]) -> int:
    command = [*namespaces.entering(namespaces.require_first_process()), *words]
    return subprocess.run(command, env={**os.environ, "KUBECONFIG": str(paths.kubeconfig())}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
