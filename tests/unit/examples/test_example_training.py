"""The versions' artifacts: which baselines fit the live traffic, and which do not."""

import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from examples.tumor_screening import train

PSI_THRESHOLD = 0.2
DRIFTED_SHARE = 0.3  # of the policy's drift gate

_, HOLDOUT = train.populations()


def baseline(artifacts: Path, version: str) -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((artifacts / version / "baseline.json").read_text())
    return recorded


def psi(reference: list[int], current: list[int]) -> float:
    shares = [(np.array(side) + 0.5) / (sum(side) + 0.5 * len(side)) for side in (reference, current)]
    return float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))


def feature_distances(artifacts: Path, version: str) -> list[float]:
    return [
        psi(feature["counts"], train.counts(feature["edges"], column))
        for feature, column in zip(baseline(artifacts, version)["features"], HOLDOUT.rows.T, strict=True)
    ]


def scores(artifacts: Path, version: str) -> Any:
    return joblib.load(artifacts / version / "model.joblib").predict_proba(HOLDOUT.rows)[:, 1]


def prediction_distance(artifacts: Path, version: str) -> float:
    recorded = baseline(artifacts, version)["predictions"]
    return psi(recorded["counts"], train.counts(recorded["edges"], scores(artifacts, version)))


@pytest.mark.parametrize("version", ["v1", "v2", "v4"])
def test_the_baseline_fits_the_live_traffic(artifacts: Path, version: str) -> None:
    assert max(feature_distances(artifacts, version)) < PSI_THRESHOLD / 2
    assert prediction_distance(artifacts, version) < PSI_THRESHOLD / 2


def test_the_baseline_of_the_shifted_population_does_not_fit(artifacts: Path) -> None:
    drifted = np.mean(np.array(feature_distances(artifacts, "v3")) >= PSI_THRESHOLD)
    assert drifted > 1.5 * DRIFTED_SHARE
    assert prediction_distance(artifacts, "v3") > 2 * PSI_THRESHOLD


def test_the_shifted_version_answers_differently(artifacts: Path) -> None:
    differ = (scores(artifacts, "v3") > 0.5) != (scores(artifacts, "v2") > 0.5)
    assert np.mean(differ) > 0.1


def test_the_second_version_is_better_than_the_first() -> None:
    first, second = train.train("v1"), train.train("v2")
    assert second.auc > first.auc
    assert second.accuracy > first.accuracy


def test_training_twice_gives_the_same_artifacts(artifacts: Path, tmp_path: Path) -> None:
    train.write(tmp_path)
    for version in train.VERSIONS:
        for name in ("model.joblib", "baseline.json"):
            assert (tmp_path / version / name).read_bytes() == (artifacts / version / name).read_bytes()


def test_every_row_of_training_is_in_a_bin(artifacts: Path) -> None:
    for feature in baseline(artifacts, "v2")["features"]:
        assert len(feature["counts"]) == len(feature["edges"]) + 1
        assert sum(feature["counts"]) == 400
