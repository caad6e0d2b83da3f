"""The table of the operator's rights in docs/security.md, from what the chart renders."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

import yaml

import modelward.diagnosis

Rule = Mapping[str, Any]

_WHERE = {
    "inNamespaces": "the namespaces of Models",
    "inCluster": "the whole cluster",
    "inOwnNamespace": "its own namespace",
}


def rights_table() -> str:
    """A row for each group of resources with the same verbs, in the order of the chart."""
    text = (files(modelward.diagnosis) / "rights.yaml").read_text("utf-8")
    rights: Mapping[str, Mapping[str, Sequence[Rule]]] = yaml.safe_load(text)
    rows = [row for condition, places in rights.items() for row in _rows(places, optional=condition == "discovery")]
    return "\n".join(["| In | Of | May |", "| --- | --- | --- |", *rows]) + "\n"


def _rows(places: Mapping[str, Sequence[Rule]], *, optional: bool) -> Iterator[str]:
    only = " (`discovery.enabled`)" if optional else ""
    for place, words in _WHERE.items():
        for rule in places[place]:
            yield f"| {words}{only} | {_resources(rule)} | {', '.join(rule['verbs'])} |"


def _resources(rule: Rule) -> str:
    (group,) = rule["apiGroups"]
    plain = ", ".join(f"`{resource}`" for resource in rule["resources"])
    named = ", ".join(f"`{name}`" for name in rule.get("resourceNames", ()))
    return f"{plain}{f' of `{group}`' if group else ''}{f', named {named}' if named else ''}"
