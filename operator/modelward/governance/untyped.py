"""Reading JSON that nobody has checked, such as what another release wrote: what is of another shape is as if it were not there."""

from collections.abc import Mapping
from typing import Any


def mapping(value: object) -> Mapping[str, Any]:
    """The mapping, or an empty one."""
    return value if isinstance(value, Mapping) else {}


def mappings(value: object) -> list[Mapping[str, Any]]:
    """Those entries of a list that are mappings."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list | tuple) else []
