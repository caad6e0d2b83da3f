"""`modelward baseline`: from a training table to the `baseline` of a ModelVersion."""

import difflib
import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml
from rich.console import Console

from modelward.api.digests import digest_of_model
from modelward.api.model_version import Baseline
from modelward.cli.distributions import Distribution, UnusableColumn, describe_categories, describe_numbers
from modelward.cli.failure import Failure
from modelward.cli.output import write

if TYPE_CHECKING:
    import pandas as pd


class Form(StrEnum):
    YAML = "yaml"
    JSON = "json"


_NUMERIC_CONTENTS = frozenset({"integer", "floating", "mixed-integer-float", "decimal"})
_TEMPORAL_CONTENTS = frozenset({"datetime", "datetime64", "date", "time", "timedelta", "timedelta64", "period"})


def baseline(
    source: Annotated[Path, typer.Option("--input", "-i", help="The training table: a .csv or .parquet file.")],
    features: Annotated[
        str,
        typer.Option(
            help="Columns that the model takes, separated by commas, in its order. [default: all but --prediction]"
        ),
    ] = "",
    prediction: Annotated[str, typer.Option(help="The column with the model's own answers for these rows.")] = "",
    categorical: Annotated[str, typer.Option(help="Columns to count by value although they are numbers.")] = "",
    bins: Annotated[int, typer.Option(min=2, max=100, help="Bins of about equal counts per numeric column.")] = 10,
    output: Annotated[
        Form,
        typer.Option("--output", "-o", help="yaml: a block for spec of a ModelVersion. json: for the model server."),
    ] = Form.YAML,
    out: Annotated[str, typer.Option("--out", help="A file, or - for standard output.")] = "-",
) -> None:
    """Record the training distributions of a model, for its ModelVersion and its server.

    Numeric columns get edges at their quantiles, one below their minimum and one at their maximum: what lies outside is
    out of the range of training. Text and booleans are counted by value.

    **Examples**

    `modelward baseline --input train.parquet --features age,income,region --prediction score`

    `modelward baseline -i train.csv --prediction label --categorical label,grade -o json --out baseline.json`
    """
    table = _read(source)
    wanted = _names(features) or [str(name) for name in table.columns if name != prediction]
    by_value = frozenset(_names(categorical))
    _check_columns([*wanted, *by_value, *([prediction] if prediction else [])], list(table.columns), source)
    try:
        recorded = _recorded(table, wanted, prediction, by_value, bins)
    except UnusableColumn as error:
        raise Failure(f"{error}.") from error
    text = _rendered(recorded, output)
    if out == "-":
        typer.echo(text, nl=False)
    else:
        write(Path(out), text, "--out")
    digest = digest_of_model(Baseline.model_validate(recorded))
    Console(stderr=True, soft_wrap=True).print(f"digest, for spec.baseline.digest when kept in a ConfigMap: {digest}")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _read(path: Path) -> "pd.DataFrame":
    try:  # here: half a second that no other command should pay, and half of an archive's size
        import pandas as pd
        import pyarrow  # noqa: F401
    except ModuleNotFoundError as error:
        raise Failure(
            f"{error.name} is not installed, which reads the table: `pipx install 'modelward[cli]'` has it, the archive for krew"
            " has not."
        ) from error

    readers = {".csv": pd.read_csv, ".parquet": pd.read_parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise typer.BadParameter(f"{path} is neither .csv nor .parquet: convert it first", param_hint="--input")
    if not path.is_file():
        raise typer.BadParameter(f"there is no file {path}", param_hint="--input")
    try:
        table = reader(path)
    except (OSError, ValueError) as error:  # pandas' and pyarrow's parse errors are ValueErrors
        raise Failure(f"{path} cannot be read as {path.suffix[1:]}: {error}.") from error
    if table.empty:
        raise Failure(f"{path} has no rows: give the table that the model was trained on.")
    return table


def _check_columns(wanted: Sequence[str], columns: Sequence[Any], source: Path) -> None:
    known = [str(column) for column in columns]
    for name in wanted:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = (
                f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known[:20])}{', …' if known[20:] else ''}"
            )
            raise typer.BadParameter(f"{source} has no column {name!r}: {hint}")


def _recorded(
    table: "pd.DataFrame", wanted: Sequence[str], prediction: str, by_value: frozenset[str], bins: int
) -> Mapping[str, Any]:
    features = [
        {"name": name, **distribution.as_baseline(), "missing": distribution.missing}
        for name in wanted
        for distribution in (_describe(table[name], name, name in by_value, bins),)
    ]
    recorded: dict[str, Any] = {"features": features}
    if prediction:
        recorded["predictions"] = _describe(table[prediction], prediction, prediction in by_value, bins).as_baseline()
    return recorded


def _describe(column: Any, name: str, by_value: bool, bins: int) -> Distribution:
    from pandas.api.types import infer_dtype, is_bool_dtype, is_numeric_dtype

    contents = infer_dtype(column, skipna=True)
    if contents in _TEMPORAL_CONTENTS:
        raise UnusableColumn(
            f"column {name!r} holds times: turn it into the number that the model takes, or leave it out"
        )
    is_number = (is_numeric_dtype(column) and not is_bool_dtype(column)) or contents in _NUMERIC_CONTENTS
    if is_number and not by_value:
        return describe_numbers(name, column.astype("float64").to_numpy(na_value=float("nan")), bins)
    present = column.dropna()
    return describe_categories(name, present.tolist(), missing=len(column) - len(present))


def _rendered(recorded: Mapping[str, Any], form: Form) -> str:
    if form is Form.JSON:
        return json.dumps(recorded, indent=1, ensure_ascii=False) + "\n"
    return yaml.safe_dump(
        {"baseline": recorded}, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True
    )
