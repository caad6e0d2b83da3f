"""Write the ModelVersion of each trained version: the template in ``manifests/``, filled with what training found.

Run ``python -m examples.tumor_screening.render --artifacts DIR --image NAME:TAG --output DIR``.
"""

import argparse
import hashlib
import json
from pathlib import Path
from string import Template
from typing import Any

import yaml

from examples.tumor_screening.train import VERSIONS

TEMPLATE = Path(__file__).parent / "manifests" / "version.yaml.template"
MODEL_CARD = Path(__file__).parent / "model_card.md"
# What v4's server does besides answering; see journal.py. Its pods are the same as v2's otherwise.
ENVIRONMENT: dict[str, dict[str, str]] = {
    "v4": {
        "ANSWER_JOURNAL": "on",
        "ANSWER_JOURNAL_INDEXED": "10",
        "ANSWER_JOURNAL_ENTRY_KILOBYTES": "64",
        "ANSWER_JOURNAL_BUDGET_MEGABYTES": "3",
    }
}


def version_manifest(version: str, artifacts: Path, image: str) -> dict[str, Any]:
    """The ModelVersion of one version, with its artifact's digest and its recorded baseline."""
    model = (artifacts / version / "model.joblib").read_bytes()
    text = Template(TEMPLATE.read_text()).substitute(
        version=version, image=image, digest=_digest(model), card_digest=_digest(MODEL_CARD.read_bytes())
    )
    manifest: dict[str, Any] = yaml.safe_load(text)
    container = manifest["spec"]["serving"]["template"]["spec"]["containers"][0]
    container["env"] += [{"name": name, "value": value} for name, value in ENVIRONMENT.get(version, {}).items()]
    manifest["spec"]["baseline"] = json.loads((artifacts / version / "baseline.json").read_text())
    return manifest


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def write(artifacts: Path, image: str, output: Path) -> list[Path]:
    """Write one file for each version; return them in the versions' order."""
    output.mkdir(parents=True, exist_ok=True)
    files = [output / f"{version}.yaml" for version in VERSIONS]
    for version, file in zip(VERSIONS, files, strict=True):
        file.write_text(yaml.safe_dump(version_manifest(version, artifacts, image), sort_keys=False, width=120))
    return files


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the manifests of every trained version.")
    parser.add_argument("--artifacts", type=Path, required=True, help="folder that train.py wrote")
    parser.add_argument("--image", required=True, help="image of the model server")
    parser.add_argument("--output", type=Path, required=True, help="folder for the manifests")
    arguments = parser.parse_args()
    for file in write(arguments.artifacts, arguments.image, arguments.output):
        print(file)


if __name__ == "__main__":
    main()
