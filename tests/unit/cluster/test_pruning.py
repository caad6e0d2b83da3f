"""Which builds of images and which environments can go, to make room."""

import os
from pathlib import Path

import pytest

from cluster.pruning import Build, dead_environments, images_named, size_of, superseded

NOW = 1_000_000.0
HOUR, DAY = 3600.0, 24 * 3600.0


def builds(*hours_ago: float, name: str = "localhost/app") -> list[Build]:
    """Tagged by their age in hours."""
    return [Build(f"{name}:{age:g}", NOW - age * HOUR) for age in hours_ago]


@pytest.mark.parametrize(
    ("known", "in_use", "gone"),
    [
        pytest.param(builds(5), (), [], id="one is kept, however old"),
        pytest.param(builds(5, 6), (), [], id="two are kept"),
        pytest.param(builds(5, 8, 6, 7), (), ["localhost/app:8", "localhost/app:7"], id="the newest two are kept"),
        pytest.param(builds(5, 6, 7, 8), ("localhost/app:8",), ["localhost/app:7"], id="what the cluster names is kept"),
        pytest.param(builds(0.1, 0.2, 0.3, 0.9), (), [], id="what was built just now is kept: it may be about to be loaded"),
        pytest.param([*builds(5, 6), *builds(7, 8, name="localhost/other")], (), [], id="each name is counted by itself"),
        pytest.param(
            builds(5, 6, 7, name="localhost:5000/app"), (), ["localhost:5000/app:7"], id="a registry's port is no tag"
        ),
    ],
)  # fmt: skip
def test_older_builds_of_a_name_go(known: list[Build], in_use: tuple[str, ...], gone: list[str]) -> None:
    assert superseded(known, in_use, NOW) == gone


def test_images_are_in_use_by_templates_and_by_running_containers() -> None:
    text = '{"spec":{"containers":[{"image": "localhost/app:1"}]},"status":{"containerStatuses":[{"image":"localhost/b:2","imageID":"sha256:3"}]}}'
    assert images_named(text) == {"localhost/app:1", "localhost/b:2", "sha256:3"}


def environment(cache: Path, key: str, checkout: Path, at: float) -> Path:
    folder = cache / f"venv-{key}"
    packages = folder / "lib/python3.11/site-packages"
    packages.mkdir(parents=True)
    (packages / "_modelward.pth").write_text(f"{checkout}\n")
    (folder / ".ready").touch()
    os.utime(folder / ".ready", (at, at))
    return folder


def test_environments_of_checkouts_that_are_gone_and_long_replaced_ones_are_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELWARD_CACHE", str(tmp_path))
    here = tmp_path / "here"
    there = tmp_path / "there"
    here.mkdir()
    there.mkdir()
    gone = environment(tmp_path, "1", tmp_path / "gone", NOW)
    replaced = environment(tmp_path, "2", here, NOW - 9 * DAY)
    environment(tmp_path, "3", here, NOW - 2 * DAY)
    environment(tmp_path, "4", there, NOW - 9 * DAY)
    environment(tmp_path, "5", there, NOW - HOUR)  # the one before may still be at work
    assert sorted(dead_environments(NOW)) == sorted([gone, replaced])


def test_an_environment_of_which_nothing_is_known_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELWARD_CACHE", str(tmp_path))
    (tmp_path / "venv-1").mkdir()
    (tmp_path / "venv-1" / ".ready").touch()
    assert dead_environments(NOW) == []


def test_the_size_of_a_folder_is_that_of_all_in_it(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_bytes(b"x" * 100_000)
    assert 100_000 <= size_of(tmp_path) < 200_000
