"""Every right that the chart gives to the operator. `rights.yaml` is written by `python -m deploy.rights` from the chart."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

from modelward.diagnosis.operators import Operator

Rule = Mapping[str, Any]


@dataclass(frozen=True, order=True)
class Right:
    """One verb on one resource, in one namespace (empty: in all), and on one object where the chart names it."""

    group: str
    resource: str  # with its subresource: models/status
    verb: str
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        kind = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {kind}{f' {self.name}' if self.name else ''}"

    @property
    def attributes(self) -> dict[str, str]:
        """As a SubjectAccessReview asks for it."""
        resource, _, subresource = self.resource.partition("/")
        asked = {"group": self.group, "resource": resource, "subresource": subresource, "verb": self.verb}
        return {
            key: value for key, value in (asked | {"namespace": self.namespace, "name": self.name}).items() if value
        }


def rights_of(operator: Operator) -> tuple[Right, ...]:
    """What the operator needs, as it was told to work: in the whole cluster or in some namespaces, with discovery or without."""
    given = _written()
    parts = ("always", "discovery") if operator.discovers else ("always",)
    found = list(_each(given["always"]["inOwnNamespace"], operator.namespace))
    for part in parts:
        found += _each(given[part]["inCluster"], "")
        for namespace in operator.watched or ("",):
            found += _each(given[part]["inNamespaces"], namespace)
    return tuple(dict.fromkeys(found))


@cache
def _written() -> Mapping[str, Mapping[str, list[Rule]]]:
    text = resources.files("modelward.diagnosis").joinpath("rights.yaml").read_text("utf-8")
    loaded: Mapping[str, Mapping[str, list[Rule]]] = yaml.safe_load(text)
    return loaded


def _each(rules: Iterable[Rule], namespace: str) -> Iterator[Right]:
    for rule in rules:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    for name in rule.get("resourceNames") or ("",):
                        yield Right(group, resource, verb, namespace, name)
