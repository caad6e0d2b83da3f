"""The archives and the manifest for krew, kubectl's package manager: ``python -m deploy.krew.build --out DIR``.

An archive is a folder: a launcher, and the wheels of the command line unpacked, for one system and one or more versions of
Python. The same sources and pins give the same bytes. Not a zipapp, which cannot import compiled libraries; not shiv or pex,
which unpack themselves once more at their first start, where krew has unpacked the archive already.
"""

import argparse
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
NAMES = ("kubectl-modelward", "kubectl_complete-modelward")
LEFT_OUT = ("pandas", "pyarrow")
"""Of `baseline` alone, and half of everything's size."""

DOWNLOADS = "https://github.com/modelward/modelward/releases/download"
EPOCH = 315_532_800  # 1980, the earliest day that every archiver knows


@dataclass(frozen=True)
class System:
    """A system as krew names it, and the wheels that run on it."""

    os: str
    arch: str
    wheels: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.os}-{self.arch}"


def _linux(arch: str, machine: str) -> System:
    tags = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_26", "manylinux_2_24", "manylinux_2_17", "manylinux2014", "manylinux_2_5", "manylinux1")  # fmt: skip
    return System("linux", arch, tuple(f"{tag}_{machine}" for tag in tags))


def _mac(arch: str, machine: str) -> System:
    releases = ("14_0", "13_0", "12_0", "11_0", "10_15", "10_14", "10_13", "10_12", "10_9")
    tags = [f"macosx_{release}_{kind}" for release in releases for kind in (machine, "universal2")]
    return System("darwin", arch, tuple(tags))


SYSTEMS = {
    each.name: each
    for each in (
        _linux("amd64", "x86_64"),
        _linux("arm64", "aarch64"),
        _mac("arm64", "arm64"),
        _mac("amd64", "x86_64"),
    )
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Make archives and the manifest that names them, and print their checksums."""
    parser = argparse.ArgumentParser(prog="python -m deploy.krew.build", description="Make the plugin for krew.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder for archives and manifest [dist]")
    parser.add_argument(
        "--system", action="append", choices=SYSTEMS, help="a system; may be repeated [default: all of them]"
    )
    parser.add_argument(
        "--python", action="append", metavar="3.N", help="a version of Python; may be repeated [default: this one]"
    )
    parser.add_argument("--url", default=DOWNLOADS, help=f"where the archives will be, above vVERSION/ [{DOWNLOADS}]")
    given = parser.parse_args(arguments)
    pythons = given.python or [f"{sys.version_info.major}.{sys.version_info.minor}"]
    given.out.mkdir(parents=True, exist_ok=True)
    made = {}
    for name in given.system or SYSTEMS:
        system = SYSTEMS[name]
        archive = given.out / f"modelward-{version()}-{name}.tar.gz"
        with tempfile.TemporaryDirectory() as scratch:
            gather(Path(scratch), system, pythons)
            pack(Path(scratch), archive)
        made[system] = archive
        print(f"{checksum(archive)}  {archive} ({archive.stat().st_size / 1e6:.0f} MB)")
    manifest = given.out / "modelward.yaml"
    manifest.write_text(yaml.safe_dump(plugin(made, f"{given.url}/v{version()}"), sort_keys=False), "utf-8")
    print(f"wrote {manifest}")


def version() -> str:
    """The version of the project."""
    return str(_project()["version"])


def requirements() -> tuple[str, ...]:
    """What the command line needs, `baseline` aside."""
    project = _project()
    wanted = (*project["dependencies"], *project["optional-dependencies"]["cli"])
    return tuple(each for each in wanted if not each.startswith(LEFT_OUT))


def gather(folder: Path, system: System, pythons: Iterable[str]) -> None:
    """All that an archive has, below a folder."""
    for name in NAMES:
        shutil.copy(FOLDER / "launcher.py", folder / name)
        (folder / name).chmod(0o755)
    shutil.copy(ROOT / "LICENSE", folder / "LICENSE")
    with tempfile.TemporaryDirectory() as scratch:
        wheel = _own_wheel(Path(scratch))
        for python in pythons:
            target = folder / "lib" / f"cp{python.replace('.', '')}"
            _install(target, system, python, (str(wheel), *requirements()))
            _forget_where_it_was_made(target)


def pack(folder: Path, archive: Path) -> None:
    """A folder as an archive that depends on names and contents alone: not on times, owners, umask, or the order of a disk."""
    with (
        archive.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
            if not path.is_file():
                continue
            entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
            entry.size, entry.mtime = path.stat().st_size, EPOCH
            entry.mode = 0o755 if os.access(path, os.X_OK) else 0o644
            with path.open("rb") as content:
                tar.addfile(entry, content)


def plugin(archives: dict[System, Path], url: str) -> dict[str, Any]:
    """The manifest, with what is known only when the archives are there."""
    manifest: dict[str, Any] = yaml.safe_load((FOLDER / "modelward.yaml").read_text("utf-8"))
    manifest["spec"]["version"] = f"v{version()}"
    manifest["spec"]["platforms"] = [
        {
            "selector": {"matchLabels": {"os": system.os, "arch": system.arch}},
            "uri": f"{url}/{archive.name}",
            "sha256": checksum(archive),
            "bin": NAMES[0],
        }
        for system, archive in archives.items()
    ]
    return manifest


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return project


def _own_wheel(folder: Path) -> Path:
    _pip("wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    (wheel,) = folder.glob("*.whl")
    return wheel


def _install(target: Path, system: System, python: str, wanted: Iterable[str]) -> None:
    chosen = [argument for tag in system.wheels for argument in ("--platform", tag)]
    _pip(
        "install", "--target", str(target), "--no-compile", "--only-binary", ":all:", "--implementation", "cp",
        "--python-version", python, *chosen, "--constraint", str(ROOT / "constraints.txt"), *wanted,
    )  # fmt: skip


def _forget_where_it_was_made(target: Path) -> None:
    """Scripts name the Python of this machine, and pip notes the path of a wheel; neither is used."""
    shutil.rmtree(target / "bin", ignore_errors=True)
    for name in ("direct_url.json", "INSTALLER", "REQUESTED", "RECORD"):
        for path in target.glob(f"*.dist-info/{name}"):
            path.unlink()


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", arguments[0], "--quiet", "--disable-pip-version-check", *arguments[1:]]
    subprocess.run(command, check=True, env={**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)})


if __name__ == "__main__":
    main()
