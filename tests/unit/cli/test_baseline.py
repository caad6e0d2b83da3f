"""`modelward baseline`: what it records, and what it says about tables that it cannot use."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from modelward.api.model_version import Baseline
from modelward.cli.distributions import describe_numbers
from modelward.cli.main import app
from modelward.instrument import Monitor

ROWS = 1_000


@pytest.fixture
def table() -> pd.DataFrame:
    generator = np.random.default_rng(11)
    return pd.DataFrame(
        {
            "income": generator.lognormal(10, 1, ROWS),
            "children": generator.integers(0, 4, ROWS),
            "constant": 7.5,
            "region": generator.choice(["north", "south"], ROWS),
            "member": generator.random(ROWS) < 0.3,
            "grade": np.where(np.arange(ROWS) % 2, 1.0, np.nan),
            "score": generator.random(ROWS),
        }
    )


def run(*arguments: str | Path):
    return CliRunner().invoke(app, ["baseline", *map(str, arguments)], env={"COLUMNS": "300", "TERM": "dumb"})


def recorded(*arguments: str | Path) -> dict[str, Any]:
    result = run(*arguments, "-o", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def saved(table: pd.DataFrame, tmp_path: Path, name: str = "train.csv") -> Path:
    path = tmp_path / name
    table.to_csv(path, index=False) if path.suffix == ".csv" else table.to_parquet(path)
    return path


def test_every_kind_of_column_is_recorded(table: pd.DataFrame, tmp_path: Path) -> None:
    baseline = recorded("--input", saved(table, tmp_path), "--prediction", "score", "--categorical", "grade")
    features = {feature["name"]: feature for feature in baseline["features"]}
    assert list(features) == ["income", "children", "constant", "region", "member", "grade"]
    assert len(features["income"]["edges"]) == 11
    assert features["income"]["counts"][0] == features["income"]["counts"][-1] == 0
    assert features["children"]["edges"] == [-1, 0, 1, 2, 3]
    assert features["constant"]["counts"] == [0, ROWS, 0, 0]
    assert set(features["region"]["counts"]) == {"north", "south"}
    assert set(features["member"]["counts"]) == {"True", "False"}
    assert features["grade"] == {"name": "grade", "kind": "Categorical", "counts": {"1": 500}, "missing": 500}
    assert sum(baseline["predictions"]["counts"]) == ROWS


def test_csv_and_parquet_give_the_same_and_yaml_is_a_block_for_the_spec(table: pd.DataFrame, tmp_path: Path) -> None:
    from_csv = recorded("-i", saved(table, tmp_path), "--prediction", "score")
    result = run("-i", saved(table, tmp_path, "train.parquet"), "--prediction", "score")
    assert yaml.safe_load(result.stdout) == {"baseline": from_csv}


def test_the_api_and_the_server_take_what_is_written(table: pd.DataFrame, tmp_path: Path) -> None:
    output = tmp_path / "baseline.json"
    run("-i", saved(table, tmp_path), "--prediction", "score", "-o", "json", "--out", output)
    Baseline.model_validate_json(output.read_text())
    monitor = Monitor.from_baseline(output)
    monitor.request().features(table[list(monitor.feature_names)])
    families = {family.name: family for family in monitor.collect()}
    shown = {s.labels["le"]: s.value for s in families["modelward_feature_value"].samples
             if s.labels["feature"] == "income" and "le" in s.labels}  # fmt: skip
    counts = json.loads(output.read_text())["features"][0]["counts"]
    assert list(shown.values()) == np.cumsum(counts).tolist()


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(1).normal(size=500),
        np.random.default_rng(2).lognormal(0, 4, 500),
        np.random.default_rng(3).integers(0, 3, 500).astype(float),
        1.7e9 + np.random.default_rng(4).random(500),
        np.where(np.arange(500) < 400, 0.0, np.random.default_rng(5).random(500)),
        np.array([0.0]),
        np.array([-np.inf, 1.0, 2.0, np.inf, np.nan]),
        np.full(5, 1e300),
        np.full(5, 1e-300),
        np.array([0.1, np.nextafter(0.1, 1)]),
        np.array([-5.5, -5.4]),
    ],
    ids=["normal", "skewed", "few integers", "large offset", "mostly zero", "one zero", "infinities", "huge", "tiny",
         "neighbours", "negative"],
)  # fmt: skip
def test_edges_ascend_and_counts_add_up(values: np.ndarray) -> None:
    described = describe_numbers("x", values, 10)
    assert all(after > before for before, after in zip(described.edges, described.edges[1:], strict=False))
    assert len(described.edges) >= 3 and len(described.counts) == len(described.edges) + 1
    assert isinstance(described.counts, tuple) and sum(described.counts) == np.count_nonzero(~np.isnan(values))
    finite = values[np.isfinite(values)]
    assert described.edges[0] < finite.min() and finite.max() <= described.edges[-1]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("--features", "incom"), 2, "has no column 'incom': did you mean 'income'?"),
        (("--features", "income,when"), 1, "column 'when' holds times: turn it into the number"),
        (("--features", "id"), 1, "column 'id' has 1,000 categories, more than 200: group the rare ones"),
        (("--features", "nothing"), 1, "column 'nothing' has no values: leave it out"),
        (("--bins", "1"), 2, "--bins"),
        (
            ("--out", "/nowhere/at/all"),
            1,
            "/nowhere/at/all cannot be written: No such file or directory. Choose another --out.",
        ),
    ],
    ids=["misspelt", "times", "identifier", "empty column", "bins", "out"],
)
def test_what_is_wrong_is_said_with_what_to_do(
    table: pd.DataFrame, tmp_path: Path, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    table["id"] = [f"customer {i}" for i in range(ROWS)]
    table["nothing"] = np.nan
    table["when"] = pd.Timestamp("2026-01-01")
    path = saved(table, tmp_path, "train.parquet")
    features = () if "--features" in arguments else ("--features", "income")
    result = run("-i", path, *features, *arguments)
    assert result.exit_code == code
    assert sentence in result.output


@pytest.mark.parametrize(
    ("name", "content", "code", "sentence"),
    [
        ("train.txt", "a\n1\n", 2, "is neither .csv nor .parquet"),
        ("absent.csv", None, 2, "there is no file"),
        ("empty.csv", "", 1, "cannot be read as csv"),
        ("header.csv", "a,b\n", 1, "has no rows"),
        ("broken.parquet", "no parquet", 1, "cannot be read as parquet"),
    ],
)
def test_a_table_that_cannot_be_read_says_why(
    tmp_path: Path, name: str, content: str | None, code: int, sentence: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    result = run("--input", path)
    assert result.exit_code == code
    assert sentence in result.output


def test_the_version_is_printed() -> None:
    result = CliRunner().invoke(app, ["version"])
    assert result.exit_code == 0 and result.stdout.strip()


@pytest.mark.parametrize("library", ["pandas", "pyarrow"])
def test_where_a_library_was_left_out_it_says_how_to_have_it(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    result = run("--input", tmp_path / "train.csv")
    assert result.exit_code == 1
    assert f"{library} is not installed, which reads the table: `pipx install 'modelward[cli]'` has it" in result.output
