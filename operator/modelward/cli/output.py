"""How commands print data, for other programs: all of them by `--output`, and all of them by `print_data`.

`--output` says in which form; a file to write to is always named by another option.
"""

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from modelward.cli.failure import Failure

_OBEYED = re.compile("[\x7f-\x9f]")


class Output(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


As = Annotated[Output, typer.Option("--output", "-o", help="table for people; json or yaml for programs.")]
"""The option of every command that prints data; its default is Output.TABLE. Commands with more forms than these have an
enumeration of their own, with the same names for the same forms."""


def print_data(value: Any, output: StrEnum) -> None:
    """A value on standard output, as JSON or as YAML; both have the same names and values."""
    typer.echo(data(value, output), nl=False)


def data(value: Any, output: StrEnum) -> str:
    """A value as JSON or as YAML, with an end of line."""
    return _yaml(plain(value)) if output == Output.YAML else _json(plain(value), indent=2) + "\n"


def print_next(value: Any, output: Output) -> None:
    """One of several values that come one after the other: a line of JSON, or a document of YAML."""
    if output is Output.YAML:
        typer.echo("---\n" + _yaml(plain(value)), nl=False)
    else:
        typer.echo(_json(plain(value)))


def write(path: Path, text: str, option: str) -> None:
    """Text into the file that an option names.

    Raises:
        Failure: it cannot be written.
    """
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}. Choose another {option}.") from error


def plain(value: Any) -> Any:
    """Values as JSON has them: names as in the API, times as text, durations in seconds, null for what is no finite number."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {to_camel(item.name): plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _json(value: Any, indent: int | None = None) -> str:
    """JSON leaves a few characters as they are that a terminal would obey; they are in strings only, where they can be spelled out."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _yaml(value: Any) -> str:
    import yaml

    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120)
