"""Train the five versions of the tumor-screening model on the Wisconsin breast-cancer data that scikit-learn bundles.

Run ``python -m examples.tumor_screening.train --output DIR``. It writes ``DIR/<version>/model.joblib`` and ``baseline.json``
for each version, and ``DIR/holdout.csv``: rows that no version was trained on, which stand for the live traffic.

v1  logistic regression, strongly regularised
v2  the same with less regularisation: better, and trained on the same population
v3  trained on another population: referred cases only, measured by an instrument with a larger magnification
v4  as good as v2; what is wrong with it is in its server, not in its artifact
v5  trained as v2, a little less regularised; what is special about it is who has to approve it
"""

import argparse
import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import cross_val_predict, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

HOLDOUT_ROWS = 169
SPLIT_SEED = 7
# Five bins of 400 rows: with more, the noise of a baseline this small would look like drift.
FEATURE_BINS = 5
PREDICTION_EDGES = (0.05, 0.2, 0.5, 0.8, 0.95)
MAGNIFICATION = 1.3
REFERRED_ABOVE = 0.3  # quantile of the mean radius from which on a case is referred


@dataclass(frozen=True)
class Population:
    """Measured nuclei, one row per case, and whether the tumor was malignant."""

    features: tuple[str, ...]
    rows: Floats
    malignant: Integers


@dataclass(frozen=True)
class Trained:
    """One version: what is served, what it was trained on looked like, and how well it does on the held-out rows."""

    pipeline: Pipeline
    baseline: dict[str, Any]
    auc: float
    accuracy: float


def populations() -> tuple[Population, Population]:
    """The training population and the held-out one, split once for all versions."""
    data: Any = load_breast_cancer()
    features = tuple(str(name).replace(" ", "_") for name in data.feature_names)
    malignant = (np.asarray(data.target) == 0).astype(np.int64)
    training_rows, holdout_rows, training_malignant, holdout_malignant = train_test_split(
        np.asarray(data.data, dtype=np.float64),
        malignant,
        test_size=HOLDOUT_ROWS,
        stratify=malignant,
        random_state=SPLIT_SEED,
    )
    return (
        Population(features, training_rows, training_malignant),
        Population(features, holdout_rows, holdout_malignant),
    )


def unshifted(population: Population) -> Population:
    """The population that the live traffic comes from."""
    return population


def shifted(population: Population) -> Population:
    """Referred cases only (the larger nuclei), as an instrument with a larger magnification measures them."""
    radius = population.rows[:, population.features.index("mean_radius")]
    referred = radius >= np.quantile(radius, REFERRED_ABOVE)
    gains = np.array([_gain(feature) for feature in population.features])
    return Population(population.features, population.rows[referred] * gains, population.malignant[referred])


# Inverse regularisation strength, and what was done to the population.
VERSIONS: dict[str, tuple[float, Callable[[Population], Population]]] = {
    "v1": (0.01, unshifted),
    "v2": (0.5, unshifted),
    "v3": (0.5, shifted),
    "v4": (0.4, unshifted),
    "v5": (0.6, unshifted),
}


def train(version: str) -> Trained:
    """Train one version; the same version gives the same model every time."""
    training, holdout = populations()
    strength, population_of = VERSIONS[version]
    seen = population_of(training)
    pipeline = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression(C=strength))
    # Out of fold: a model's scores of its own training rows are surer than its scores of new ones will ever be.
    scores = np.asarray(cross_val_predict(pipeline, seen.rows, seen.malignant, cv=5, method="predict_proba"))[:, 1]
    pipeline.fit(seen.rows, seen.malignant)
    live = np.asarray(pipeline.predict_proba(holdout.rows))[:, 1]
    return Trained(
        pipeline=pipeline,
        baseline=baseline_of(seen, scores),
        auc=float(roc_auc_score(holdout.malignant, live)),
        accuracy=float(accuracy_score(holdout.malignant, live > 0.5)),
    )


def baseline_of(population: Population, scores: Floats) -> dict[str, Any]:
    """The baseline of a ModelVersion: quantile bins of every feature, fixed bins of the predictions."""
    features = [
        {"name": name, "kind": "Numeric", "edges": (edges := quantile_edges(column)), "counts": counts(edges, column)}
        for name, column in zip(population.features, population.rows.T, strict=True)
    ]
    predictions = {"kind": "Numeric", "edges": list(PREDICTION_EDGES), "counts": counts(PREDICTION_EDGES, scores)}
    return {"features": features, "predictions": predictions}


def quantile_edges(values: Floats) -> list[float]:
    """Inner edges of about equally full bins."""
    quantiles = np.quantile(values, np.linspace(0, 1, FEATURE_BINS + 1)[1:-1])
    return [float(edge) for edge in np.unique(np.round(quantiles, 6))]


def counts(edges: list[float] | tuple[float, ...], values: Floats) -> list[int]:
    """Values per bin; bins are open below and closed above, as Prometheus counts."""
    bins = np.searchsorted(np.asarray(edges), values, side="left")
    return [int(count) for count in np.bincount(bins, minlength=len(edges) + 1)]


def write(output: Path, say: Callable[[str], object] = print) -> None:
    """Write every version's artifacts and the held-out rows below `output`, and say how good they are."""
    for version in VERSIONS:
        trained = train(version)
        folder = output / version
        folder.mkdir(parents=True, exist_ok=True)
        joblib.dump(trained.pipeline, folder / "model.joblib")
        (folder / "baseline.json").write_text(json.dumps(trained.baseline, indent=1) + "\n")
        say(f"{version}: held-out AUC {trained.auc:.4f}, accuracy {trained.accuracy:.3f}")
    _, holdout = populations()
    with (output / "holdout.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(holdout.features)
        writer.writerows(holdout.rows.tolist())
    say(f"holdout.csv: {len(holdout.rows)} rows")


def _gain(feature: str) -> float:
    if "area" in feature:
        return MAGNIFICATION**2
    stretched = ("radius", "perimeter", "texture", "concav")
    return MAGNIFICATION if any(part in feature for part in stretched) else 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description="Train every version of the tumor-screening model.")
    parser.add_argument("--output", type=Path, required=True, help="folder for the artifacts")
    write(parser.parse_args().output)


if __name__ == "__main__":
    main()
