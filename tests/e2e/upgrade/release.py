"""The release from which users upgrade to this source: built from the repository's own history."""

import subprocess
import tarfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from cluster import images
from examples.tumor_screening.environment import REPOSITORY

VERSION = "0.1.0"
COMMIT = "3ee0382"


@dataclass(frozen=True)
class Release:
    """Charts and an image that belong together."""

    name: str
    charts: Path
    image: str

    @property
    def image_values(self) -> dict[str, str]:
        repository, _, tag = self.image.rpartition(":")
        return {"repository": repository, "tag": tag}


def previous_release(folder: Path) -> Release:
    """The last release, unpacked into a folder; without that commit, this source under another tag."""
    archive = _archive()
    if archive is None:
        image = images.build(f"modelward-previous:{VERSION}-rebuilt", REPOSITORY / "Dockerfile", REPOSITORY)
        return Release(f"this source under another tag, for want of commit {COMMIT}", REPOSITORY / "charts", image)
    with tarfile.open(fileobj=BytesIO(archive)) as opened:
        opened.extractall(folder, filter="data")
    image = images.build(f"modelward-previous:{VERSION}", folder / "Dockerfile", folder)
    return Release(f"release {VERSION} (commit {COMMIT})", folder / "charts", image)


def _archive() -> bytes | None:
    """The files of the release's commit; None when the history does not reach that far, as in a shallow clone."""
    try:
        done = subprocess.run(["git", "archive", COMMIT], cwd=REPOSITORY, capture_output=True, timeout=60, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
