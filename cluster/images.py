"""Container images without a registry: built by buildah, kept as archives, imported into the cluster's containerd.

An image is built when its context has changed and imported when containerd has another one of that name, so that asking
for what is already there costs a fraction of a second.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tarfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cluster import binaries, configuration, contexts, locks, namespaces, paths, progress, pruning
from cluster.processes import Command, Failure, run, succeeds

BASE = "localhost/modelward-base:1"
_BASE_SUITE = "bookworm"
_BASE_PACKAGES = ("python3", "python3-venv", "ca-certificates")
_UNPRIVILEGED = "65532:65532"
_HOST_AUTHORITIES = "/etc/ssl/certs"


@dataclass(frozen=True)
class PartImage:
    """An image of one program of the cluster itself, in which there is nothing else."""

    name: str
    program: Path
    tag: str
    entrypoint: tuple[str, ...]
    user: str = _UNPRIVILEGED

    @property
    def reference(self) -> str:
        return f"localhost/{self.name}:{self.tag}"


def part_images() -> dict[str, PartImage]:
    """By name. The tag is the program's key, so that a name never stands for two contents."""
    pause = PartImage(
        "pause",
        Path("/bin/busybox"),
        configuration.PAUSE_IMAGE.rpartition(":")[2],
        ("/usr/local/bin/busybox", "sleep", "2147483647"),
    )
    dns = _program_image("coredns", user="0:0")  # port 53
    return {
        image.name: image
        for image in (
            pause,
            dns,
            _program_image("envoy"),
            _program_image("envoy-gateway"),
            _program_image("prometheus"),
        )
    }


def build_part_images() -> list[str]:
    """Builds those that are not there yet; the names of all of them."""
    images = part_images().values()
    with locks.held("build"):
        absent = [image for image in images if not _archive_link(image.reference).exists()]
        for position, image in enumerate(absent, start=1):
            progress.say(f"cluster image {position} of {len(absent)} to build: {image.name}")
            context = paths.scratch("context")
            build(image.reference, _write_part_context(image, context), context)
            shutil.rmtree(context)
    return [image.reference for image in images]


def build(tag: str, recipe: Path, context: Path) -> str:
    """Builds the image if anything in its context has changed, and says under which full name."""
    reference = full_name(tag)
    needs_base = re.search(r"^ARG\s+BASE\b", recipe.read_text(), re.MULTILINE) is not None
    archive = _archive(reference, contexts.key(context, recipe, reference, BASE if needs_base else ""))
    link = _archive_link(reference)
    if link.exists() and link.resolve() == archive:
        return reference
    with locks.held("images"):
        if not archive.exists():
            with progress.step(f"building image {reference}"):
                _run_buildah("rm", "--all")  # what killed builds have left
                if needs_base:
                    _make_base()
                _build(reference, recipe, context, needs_base=needs_base)
                _write_archive(reference, archive)
        _point_to(archive, link)
        _forget_old_builds()
    return reference


def load(tags: Iterable[str]) -> None:
    """Imports built images into the running cluster, unless it has them already."""
    first = namespaces.require_first_process()
    for reference in map(full_name, tags):
        archive = _archive_link(reference)
        if not archive.exists():
            raise Failure(f"no image {reference} has been built (python -m cluster image build)")
        if _digest_in_cluster(first, reference) != _digest_in_archive(archive):
            with progress.step(f"importing image {reference}"):
                run([*_containerd_images(first), "import", archive.resolve()])
            _forget_in_cluster(first)


def prune() -> None:
    """Removes what newer builds have replaced, from the builds and from the cluster, and the layers that nothing needs any more."""
    with locks.held("images"):
        _forget_old_builds()
        _run_buildah("rmi", "--prune", "--force")
    first = namespaces.first_process()
    if first is not None:
        _forget_in_cluster(first)


def full_name(tag: str) -> str:
    """With a registry's name in front, as the kubelet will look it up."""
    if not re.fullmatch(r"[a-z0-9./_-]+(:\d+/[a-z0-9./_-]+)?:[A-Za-z0-9_][A-Za-z0-9._-]*", tag):
        raise Failure(f"{tag} is not of the form NAME:TAG")
    first, slash, _ = tag.partition("/")
    has_registry = bool(slash) and (first == "localhost" or "." in first or ":" in first)
    return tag if has_registry else f"localhost/{tag}"


def _program_image(name: str, user: str = _UNPRIVILEGED) -> PartImage:
    program = binaries.path(name)
    return PartImage(name, program, program.name.rpartition("-")[2], (f"/usr/local/bin/{name}",), user)


def _write_part_context(image: PartImage, folder: Path) -> Path:
    root = folder / "root"
    place = _made(root / "usr/local/bin") / ("busybox" if image.name == "pause" else image.name)
    shutil.copy2(image.program, place)
    for library in _shared_libraries(image.program):
        shutil.copy2(library, _made(root / library.parent.relative_to("/")) / library.name)
    (_made(root / "etc") / "passwd").write_text("root:x:0:0::/:/none\nnonroot:x:65532:65532::/tmp:/none\n")
    _made(root / "tmp").chmod(0o1777)
    recipe = folder / "Dockerfile"
    recipe.write_text(
        "FROM scratch\nCOPY root /\nENV PATH=/usr/local/bin\n"
        f"USER {image.user}\nENTRYPOINT {json.dumps(image.entrypoint)}\n"
    )
    return recipe


def _shared_libraries(program: Path) -> list[Path]:
    """What a dynamically linked program needs of the host's libraries, its loader included."""
    try:
        listing = run(["ldd", program])
    except Failure:  # static
        return []
    return [Path(found) for found in re.findall(r"(?:^|\s)(/\S+) \(0x", listing)]


def _make_base() -> None:
    """A minimal Debian with Python, made from Debian's own archive."""
    if _exists_in_storage(BASE):
        return
    root = paths.scratch("base") / "root"
    with progress.step(f"making the base image from Debian {_BASE_SUITE}"):
        include = f"--include={','.join(_BASE_PACKAGES)}"
        run([*_PRIVATE_MOUNTS, "debootstrap", "--variant=minbase", include, _BASE_SUITE, root])
        for unneeded in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "dev"):
            shutil.rmtree(root / unneeded)
            (root / unneeded).mkdir()
        container = _run_buildah("from", "scratch").strip()
        _run_buildah("add", "--quiet", container, str(root), "/")
        _run_buildah("commit", "--quiet", "--rm", container, BASE)
    shutil.rmtree(root.parent)


def _build(reference: str, recipe: Path, context: Path, *, needs_base: bool) -> None:
    base = ("--build-arg", f"BASE={BASE}") if needs_base else ()
    # pip inside the build trusts whom the host trusts.
    authorities = ("--volume", f"{_HOST_AUTHORITIES}:{_HOST_AUTHORITIES}:ro") if needs_base else ()
    arguments = ("--layers", "--pull-never", "--isolation", "chroot", *base, *authorities)
    # An empty folder: without it buildah makes one under /etc.
    networks = ("--cni-config-dir", str(paths.scratch("no-networks")))
    _run_buildah("bud", *arguments, *networks, "--tag", reference, "--file", str(recipe), str(context))


def _write_archive(reference: str, archive: Path) -> None:
    _made(archive.parent)
    fresh = archive.with_suffix(".fresh")
    fresh.unlink(missing_ok=True)
    _run_buildah("push", "--quiet", "--disable-compression", reference, f"oci-archive:{fresh}:{reference}")
    fresh.replace(archive)


_PRIVATE_MOUNTS = ("unshare", "--mount", "--propagation", "private")


def _buildah(run_root: Path) -> list[str]:
    """Its mounts are in a namespace of its own, so that a killed build leaves none behind."""
    storage = ["--root", str(paths.image_storage()), "--runroot", str(run_root), "--storage-driver", "overlay"]
    return [*_PRIVATE_MOUNTS, "buildah", *storage]


def _run_buildah(*arguments: str) -> str:
    """Only under the images lock: the folder of its locks and mounts is new each time, as its mounts are."""
    return run([*_buildah(paths.scratch("buildah")), *arguments])


def _exists_in_storage(reference: str) -> bool:
    return bool(_run_buildah("images", "--quiet", "--filter", f"reference={reference}").strip())


def _archive(reference: str, content: str) -> Path:
    return paths.images() / f"{_file_name(reference)}-{content}.tar"


def _archive_link(reference: str) -> Path:
    return paths.images() / f"{_file_name(reference)}.tar"


def _file_name(reference: str) -> str:
    return reference.replace(":", "+").replace("/", "=")


def _point_to(archive: Path, link: Path) -> None:
    """The link is the latest build of a name; the one before is of no more use."""
    before = link.resolve() if link.is_symlink() else None
    if before == archive:
        return
    fresh = link.with_suffix(f".{os.getpid()}")
    fresh.symlink_to(archive.name)
    fresh.replace(link)
    if before is not None:
        before.unlink(missing_ok=True)


def _forget_old_builds() -> None:
    """What newer builds of the same name have replaced. Only under the images lock."""
    builds = [pruning.Build(reference, _archive_link(reference).lstat().st_mtime) for reference in _built()]
    if not pruning.superseded(builds, (), time.time()):
        return  # so that nobody has to be asked what is in use
    in_use = _in_use()
    for old in [] if in_use is None else pruning.superseded(builds, in_use, time.time()):
        archive = _archive_link(old).resolve()
        progress.say(f"removing image {old}, {archive.stat().st_size / 1e6:,.0f} MB: newer builds have replaced it")
        if _exists_in_storage(old):
            _run_buildah("rmi", "--force", old)
        archive.unlink(missing_ok=True)
        _archive_link(old).unlink(missing_ok=True)


def _forget_in_cluster(first: int) -> None:
    """Imported images of builds that are kept no more, unless something in the cluster names them."""
    imported = run([*_containerd_images(first), "list", "--quiet"]).split()
    gone = {reference for reference in imported if reference.startswith("localhost/")} - _built()
    in_use = _in_use() if gone else None
    for reference in sorted(gone - in_use) if in_use is not None else ():
        progress.say(f"removing image {reference} from the cluster: its build is gone")
        run([*_containerd_images(first), "remove", "--sync", reference])


def _built() -> set[str]:
    """The full names of all images that can be loaded."""
    links = (path for path in paths.images().glob("*.tar") if path.is_symlink() and path.exists())
    return {link.name.removesuffix(".tar").replace("+", ":").replace("=", "/") for link in links}


def _in_use() -> set[str] | None:
    """Images that something in the cluster names; None while the cluster runs and does not answer."""
    if namespaces.first_process() is None:
        return set()
    try:
        client: Command = [binaries.path("kubectl"), f"--kubeconfig={paths.kubeconfig()}", "--request-timeout=60s"]
        kinds = "pods,deployments,statefulsets,daemonsets,jobs,cronjobs"
        named = pruning.images_named(run([*client, "get", kinds, "--all-namespaces", "--output=json"], timeout=120))
        if succeeds([*client, "get", "crd", "modelversions.modelward.dev"], timeout=120):
            # A version that nobody has asked for yet has no pods.
            versions = run([*client, "get", "modelversions", "--all-namespaces", "--output=json"], timeout=120)
            named |= pruning.images_named(versions)
        return named
    except Failure:
        return None


def _digest_in_archive(archive: Path) -> str:
    with tarfile.open(archive) as opened:
        index = opened.extractfile("index.json")
        if index is None:
            raise Failure(f"{archive} is not an OCI archive")
        return str(json.load(index)["manifests"][0]["digest"])


def _digest_in_cluster(first: int, reference: str) -> str | None:
    for line in run([*_containerd_images(first), "list", f"name=={reference}"]).splitlines():
        name, _, digest, *_ = line.split()
        if name == reference:
            return digest
    return None


def _containerd_images(first: int) -> list[str]:
    client = ["ctr", "--address", configuration.CONTAINERD_SOCKET, "--namespace", "k8s.io"]
    return [*namespaces.entering(first), *client, "images"]


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
