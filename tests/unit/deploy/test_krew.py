"""The plugin as krew installs it: the manifest, by krew's own rules; the archive, the same bytes each time; the launcher."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from cluster import binaries
from deploy.krew.build import FOLDER, LEFT_OUT, NAMES, ROOT, SYSTEMS, checksum, pack, plugin, requirements, version
from modelward.cli.commands import TABLE

HERE = f"cp{sys.version_info.major}{sys.version_info.minor}"


def unpacked(folder, *pythons):
    """What an archive has, with a command line that says what it was called."""
    for name in NAMES:
        folder.mkdir(exist_ok=True)
        shutil.copy(FOLDER / "launcher.py", folder / name)
        (folder / name).chmod(0o755)
    shutil.copy(ROOT / "LICENSE", folder / "LICENSE")
    for python in pythons:
        library = folder / "lib" / python / "modelward" / "cli"
        library.mkdir(parents=True)
        for package in (library, library.parent):
            (package / "__init__.py").touch()
        (library / "main.py").write_text("def main():\n    print('main of', __file__.split('/')[-4])\n")
        (library / "completion.py").write_text("def complete_for_kubectl():\n    print('completion')\n")
    return folder


@pytest.fixture
def archive(tmp_path):
    made = tmp_path / f"modelward-{version()}-linux-amd64.tar.gz"
    pack(unpacked(tmp_path / "gathered", HERE), made)
    return made


@pytest.fixture
def manifest(tmp_path, archive):
    path = tmp_path / "modelward.yaml"
    everywhere = dict.fromkeys(SYSTEMS.values(), archive)
    path.write_text(yaml.safe_dump(plugin(everywhere, "https://downloads.example/v0.1.0"), sort_keys=False))
    return path


def test_krew_accepts_the_manifest(manifest):
    command = [binaries.path("validate-krew-manifest"), "-manifest", manifest, "-skip-install"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "no overlapping spec.platform[].selector" in done.stderr


def test_krew_installs_the_archive_and_the_plugin_starts(manifest, archive, tmp_path):
    environment = {**os.environ, "KREW_ROOT": str(tmp_path / "krew"), "KREW_OS": "linux", "KREW_ARCH": "amd64"}
    install = [binaries.path("krew"), "install", "--manifest", manifest, "--archive", archive]
    done = subprocess.run(install, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Installed plugin: modelward" in done.stderr
    started = tmp_path / "krew/bin/kubectl-modelward"
    assert started.is_symlink()
    assert subprocess.run([started], capture_output=True, text=True, check=True).stdout == f"main of {HERE}\n"


def test_an_archive_that_was_changed_is_refused_by_krew(manifest, archive, tmp_path):
    archive.write_bytes(archive.read_bytes()[:-1])
    environment = {**os.environ, "KREW_ROOT": str(tmp_path / "krew"), "KREW_OS": "linux", "KREW_ARCH": "amd64"}
    install = [binaries.path("krew"), "install", "--manifest", manifest, "--archive", archive]
    done = subprocess.run(install, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "checksum does not match" in done.stderr


def test_the_same_contents_give_the_same_bytes_whatever_their_times_rights_and_order(tmp_path):
    first, second = (unpacked(tmp_path / name, "cp311", "cp312") for name in ("one", "two"))
    for path in sorted(second.rglob("*"), reverse=True):
        os.utime(path, (1, 1))
        if path.is_file():
            path.chmod(path.stat().st_mode | 0o020)
    pack(first, tmp_path / "one.tar.gz")
    pack(second, tmp_path / "two.tar.gz")
    assert checksum(tmp_path / "one.tar.gz") == checksum(tmp_path / "two.tar.gz")
    with tarfile.open(tmp_path / "one.tar.gz") as tar:
        assert {entry.uid for entry in tar} == {0}
        assert tar.getmember("kubectl-modelward").mode == 0o755


def test_the_checksum_in_the_manifest_is_that_of_the_archive(manifest, archive):
    platforms = yaml.safe_load(manifest.read_text())["spec"]["platforms"]
    assert {each["sha256"] for each in platforms} == {checksum(archive)}
    assert platforms[0]["uri"] == f"https://downloads.example/v0.1.0/{archive.name}"


def run(folder, python=sys.executable, name="kubectl-modelward", path=None):
    environment = {**os.environ, "PATH": path or os.environ["PATH"]}
    return subprocess.run([python, folder / name], capture_output=True, text=True, env=environment)


def test_the_launcher_takes_the_libraries_of_the_python_that_runs_it(tmp_path):
    assert run(unpacked(tmp_path / "it", HERE, "cp39")).stdout == f"main of {HERE}\n"
    assert run(tmp_path / "it", name=NAMES[1]).stdout == "completion\n"


def test_a_python_that_the_archive_is_not_made_for_looks_for_one_that_it_is_made_for(tmp_path):
    folder = unpacked(tmp_path / "it", "cp39")
    other = tmp_path / "bin" / "python3.9"
    other.parent.mkdir()
    other.write_text('#!/bin/sh\necho started "$@"\n')
    other.chmod(0o755)
    assert run(folder, path=str(other.parent)).stdout == f"started {folder / NAMES[0]}\n"


def test_without_one_it_says_which_to_install(tmp_path):
    done = run(unpacked(tmp_path / "it", "cp39", "cp38"), path=str(tmp_path))
    assert done.returncode == 1
    assert "this archive is made for Python 3.9 or 3.8: install one of them, or install modelward by" in done.stderr


def test_the_archive_has_all_that_the_command_line_needs_but_what_one_command_does():
    wanted = " ".join(requirements())
    assert all(library in wanted for library in ("typer", "rich", "kubernetes", "scipy", "pydantic", "numpy"))
    assert not any(library in wanted for library in LEFT_OUT)


def test_the_description_names_commands_that_exist():
    described = yaml.safe_load(Path(FOLDER / "modelward.yaml").read_text())["spec"]["description"]
    listed = described.partition("next:")[2].partition(" and more")[0]
    assert {name.strip() for name in listed.split(",")} <= set(TABLE)
