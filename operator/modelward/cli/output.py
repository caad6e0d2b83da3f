"""How commands print data, for other programs."""

import dataclasses
import json
import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import typer
from pydantic.alias_generators import to_camel


class Output(StrEnum):
    TABLE = "table"
    JSON = "json"


def print_json(value: Any) -> None:
    """A value as JSON on standard output."""
    typer.echo(json.dumps(plain(value), indent=2, ensure_ascii=False))


def plain(value: Any) -> Any:
    """Values as JSON has them: names as in the API, times as text, durations in seconds, null for what is no finite number."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {to_camel(item.name): plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
