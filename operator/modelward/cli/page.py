"""Pages of one HTML file: no script, no network, readable in dark and light. `page.html.j2` is what all of them share."""

from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined


def rendered(template: str, filters: Mapping[str, Callable[..., Any]], **values: Any) -> str:
    """A template of this package with its values. Everything is escaped: names and sentences come from objects that others write."""
    environment = Environment(
        loader=FunctionLoader(_source), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= dict(filters)
    return environment.get_template(template).render(**values)


def _source(name: str) -> str:
    return resources.files("modelward.cli").joinpath(name).read_text("utf-8")
