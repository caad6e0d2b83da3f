"""From the pydantic kinds to CustomResourceDefinitions: the kinds are the single source, the YAML is generated.

``python -m modelward.api.schema DIRECTORY...`` writes one file per kind into each directory; with ``--check`` it writes
nothing, prints how the files differ, and exits with 1 if they do.

What pydantic emits is JSON Schema; what an API server takes is the narrower "structural" schema. `structural` is the way
from one to the other.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from pydantic.json_schema import GenerateJsonSchema

from modelward.api.generated import write_or_compare
from modelward.api.lifecycle_policy import LifecyclePolicy
from modelward.api.model import Model
from modelward.api.model_approval import ModelApproval
from modelward.api.model_audit_record import ModelAuditRecord
from modelward.api.model_evaluation import ModelEvaluation
from modelward.api.model_version import ModelVersion
from modelward.api.status import NOT_OBSERVED, ModelStatus, VersionStatus
from modelward.api.types import GROUP, VERSION, ApiModel, as_map, format_duration

Schema = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """One column of `kubectl get`; priority 1 is shown by `-o wide` only."""

    name: str
    path: str
    description: str
    type: str = "string"
    priority: int = 0


@dataclass(frozen=True)
class Kind:
    """One kind of the group, as the API server is told of it."""

    model: type[ApiModel]
    plural: str
    short_name: str
    columns: tuple[Column, ...]
    namespaced: bool = True
    status: type[ApiModel] | None = None
    awaited: bool = False  # is every object's status written soon, so that its absence means: not yet?

    @property
    def name(self) -> str:
        return self.model.__name__


def _condition(kind: str) -> str:
    return f'.status.conditions[?(@.type=="{kind}")].status'


_AGE = Column("Age", ".metadata.creationTimestamp", "Time since the object was created.", "date")

KINDS = (
    Kind(
        Model,
        "models",
        "mdl",
        (
            Column("Version", ".status.production.version", "The version that serves users."),
            Column("Candidate", ".status.rollout.version", "The version that is being rolled out."),
            Column("Stage", ".status.stage", "Stage of the candidate, or of what serves."),
            Column("Weight", ".status.weight", "The candidate's share of users' requests in percent.", "integer"),
            Column("Gates", ".status.gatesSummary", "Gates passed of all, and what the others lack."),
            Column("Owner", ".spec.owner.team", "The team that owns the model."),
            Column("Tier", ".spec.riskTier", "Risk tier."),
            Column("Serving", _condition("Serving"), "Whether the production version answers."),
            Column("Drift", _condition("DriftDetected"), "Whether live traffic has drifted.", priority=1),
            Column("Previous", ".status.standby[0].version", "The version a rollback goes to.", priority=1),
            Column("Type", ".spec.type", "What kind of model it is.", priority=1),
            Column("Review-Due", ".status.reviewDue", "When the next review is due.", priority=1),
            _AGE,
        ),
        status=ModelStatus,
        awaited=True,
    ),
    Kind(
        ModelVersion,
        "modelversions",
        "mv",
        (
            Column("Model", ".spec.model", "The Model it is a version of."),
            Column("Version", ".spec.version", "Name of the version."),
            Column("Stage", ".status.stage", "Where the version is in its life."),
            Column("Digest", ".status.digest", "Digest of the version's spec.", priority=1),
            Column("License", ".spec.license", "Licence of the version.", priority=1),
            Column("Base", ".spec.baseModel.name", "The model that it was tuned from, or calls.", priority=1),
            _AGE,
        ),
        status=VersionStatus,
    ),
    Kind(
        LifecyclePolicy,
        "lifecyclepolicies",
        "mlp",
        (
            Column("Tiers", ".spec.appliesTo.tiers", "Risk tiers the policy is for."),
            Column(
                "Priority", ".spec.appliesTo.priority", "The highest of several applicable policies wins.", "integer"
            ),
            _AGE,
        ),
        namespaced=False,
    ),
    Kind(
        ModelEvaluation,
        "modelevaluations",
        "mev",
        (
            Column("Model", ".spec.model", "The Model."),
            Column("Version", ".spec.version", "The version that was evaluated."),
            Column("Name", ".spec.name", "Which evaluation."),
            Column("At", ".spec.at", "When it was measured."),
            _AGE,
        ),
    ),
    Kind(
        ModelApproval,
        "modelapprovals",
        "mapr",
        (
            Column("Model", ".spec.model", "The Model."),
            Column("Version", ".spec.version", "The version that is decided about."),
            Column("Decision", ".spec.decision", "What was decided."),
            Column("Role", ".spec.role", "The role in which it was decided."),
            Column("Approver", ".spec.approver", "Who decided."),
            Column("Expires", ".spec.expiresAt", "When it ends to count.", "date", priority=1),
            _AGE,
        ),
    ),
    Kind(
        ModelAuditRecord,
        "modelauditrecords",
        "mar",
        (
            Column("Model", ".spec.model.name", "The Model."),
            Column("Seq", ".spec.seq", "Number of the record in its chain.", "integer"),
            Column("Action", ".spec.action", "What was done."),
            Column("Version", ".spec.version", "The version."),
            Column("Actor", ".spec.actor", "Who decided it."),
            Column("Hash", ".spec.hash", "Its hash.", priority=1),
            _AGE,
        ),
    ),
)


def custom_resource_definition(kind: Kind) -> Schema:
    """The CustomResourceDefinition of a kind, as it is applied."""
    names = {
        "kind": kind.name,
        "listKind": f"{kind.name}List",
        "plural": kind.plural,
        "singular": kind.name.lower(),
        "shortNames": [kind.short_name],
        "categories": ["modelward"],
    }
    version: Schema = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [_printer_column(column) for column in kind.columns],
        "schema": {"openAPIV3Schema": _object_schema(kind)},
        "subresources": {"status": {}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{kind.plural}.{GROUP}",
            # Uninstalling a chart must not delete every Model of the cluster.
            "annotations": {"helm.sh/resource-policy": "keep"},
        },
        "spec": {
            "group": GROUP,
            "names": names,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [version],
        },
    }


def structural(model: type[ApiModel], *, defaults: bool = True) -> Schema:
    """A pydantic model as a structural schema; without `defaults`, the server fills nothing in (as for a status)."""
    document = model.model_json_schema(by_alias=True, schema_generator=_JsonSchema)
    return _structural(document, document.get("$defs", {}), defaults)


def rendered(kind: Kind) -> str:
    """The file of a kind."""
    text = yaml.safe_dump(custom_resource_definition(kind), sort_keys=False, width=120, allow_unicode=True)
    return f"# Generated by `python -m modelward.api.schema`; edit operator/modelward/api instead.\n{text}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or compare them; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m modelward.api.schema", description="Write the CRDs from the API models."
    )
    parser.add_argument("directories", nargs="+", type=Path, metavar="DIRECTORY")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; print differences and exit with 1 if there are any"
    )
    options = parser.parse_args(arguments)
    wanted = {
        directory / f"{GROUP}_{kind.plural}.yaml": rendered(kind) for directory in options.directories for kind in KINDS
    }
    return write_or_compare(wanted, options.check)


def _printer_column(column: Column) -> Schema:
    entry: Schema = {
        "name": column.name,
        "type": column.type,
        "jsonPath": column.path,
        "description": column.description,
    }
    return {**entry, "priority": column.priority} if column.priority else entry


def _object_schema(kind: Kind) -> Schema:
    """The whole object: what pydantic knows of it, with Kubernetes' own fields and the status."""
    schema = structural(kind.model)
    properties: Schema = {
        "apiVersion": {"type": "string", "description": f"Always {GROUP}/{VERSION}."},
        "kind": {"type": "string", "description": f"Always {kind.name}."},
        "metadata": {"type": "object"},
        "spec": schema["properties"]["spec"],
    }
    if kind.status is not None:
        status = structural(kind.status, defaults=False)
        status["properties"]["conditions"] |= as_map("type")
        if kind.awaited:
            status["default"] = {"observedGeneration": NOT_OBSERVED}
        properties["status"] = {**status, "description": "What the operator found and did; written by it alone."}
    else:
        properties["status"] = {"type": "object", "description": "Not used by this kind."}
    # A spec that is all defaults still has to be written: an object without one is a mistake.
    return {**schema, "required": ["spec"], "properties": properties}


class _JsonSchema(GenerateJsonSchema):
    """Writes defaults as the serializers of the API write values: durations as 1h30m, fields in camelCase."""

    def encode_default(self, dft: Any) -> Any:
        if isinstance(dft, timedelta):
            return format_duration(dft)
        if isinstance(dft, ApiModel):
            return dft.model_dump(mode="json", by_alias=True)
        return super().encode_default(dft)


# Keys of JSON Schema that a structural schema has too, in the order in which they are written.
_KEPT = (
    "description", "type", "format", "enum", "pattern", "default", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "required",
    "properties", "items", "additionalProperties", "anyOf", "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type",
    "x-kubernetes-validations",
)  # fmt: skip


def _structural(node: Mapping[str, Any], definitions: Mapping[str, Schema], defaults: bool) -> Schema:
    node = _resolved(node, definitions)
    result: Schema = {key: node[key] for key in _KEPT if key in node}
    result.pop("default", None)
    if "description" in result:
        result["description"] = " ".join(result["description"].replace("`", "").split())
    if "const" in node:
        result["enum"] = [node["const"]]
    if "properties" in node:
        result["properties"] = {
            name: _structural(child, definitions, defaults) for name, child in node["properties"].items()
        }
        if result.get("additionalProperties") is False:
            del result["additionalProperties"]
    if isinstance(node.get("items"), dict):
        result["items"] = _structural(node["items"], definitions, defaults)
    _rewrite_open_maps(node, result, definitions, defaults)
    _rewrite_exclusive_bounds(result)
    if defaults and _is_worth_writing(node.get("default")):
        result["default"] = _default(node["default"])
    if result.get("type") == "integer":
        result.setdefault("format", "int64")
    return _in_order(result)


def _resolved(node: Mapping[str, Any], definitions: Mapping[str, Schema]) -> Schema:
    """Follow references and drop the null of an optional field; what stands beside a reference wins over its target."""
    if "$ref" in node:
        target = definitions[node["$ref"].rsplit("/", 1)[-1]]
        beside = {key: value for key, value in node.items() if key != "$ref"}
        return _resolved({**target, **beside}, definitions)
    if "anyOf" in node and not _checks_values_only(node["anyOf"]):
        choices = [choice for choice in node["anyOf"] if choice.get("type") != "null"]
        if len(choices) != 1:
            raise ValueError(f"a structural schema has no union: {node}")
        beside = {key: value for key, value in node.items() if key != "anyOf"}
        return _resolved({**choices[0], **beside}, definitions)
    return dict(node)


def _checks_values_only(choices: Sequence[Schema]) -> bool:
    """Written by hand for a structural schema, which allows no types in `anyOf`; pydantic's unions have them."""
    return not any("type" in choice or "$ref" in choice for choice in choices)


def _rewrite_open_maps(
    node: Mapping[str, Any], result: Schema, definitions: Mapping[str, Schema], defaults: bool
) -> None:
    """`dict[str, Any]` keeps what it is given; a map of a known type describes its values."""
    values = node.get("additionalProperties")
    if values is True:
        del result["additionalProperties"]
        result["x-kubernetes-preserve-unknown-fields"] = True
    elif values:
        result["additionalProperties"] = _structural(values, definitions, defaults)


def _rewrite_exclusive_bounds(result: Schema) -> None:
    """OpenAPI 3.0 has a bound and a flag where JSON Schema has an exclusive bound."""
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        value = result.get(exclusive)
        if isinstance(value, int | float) and not isinstance(value, bool):
            result[bound] = value
            result[exclusive] = True


def _is_worth_writing(default: Any) -> bool:
    """An absent list, map or text reads as an empty one."""
    return default is not None and default not in ([], {}, "")


def _default(default: Any) -> Any:
    """An object is written out: the API server checks its rules before it fills in the fields' own defaults."""
    if not isinstance(default, dict):
        return default
    fields: dict[str, Any] = default
    return {name: _default(value) for name, value in fields.items() if _is_worth_writing(value)}


def _in_order(schema: Schema) -> Schema:
    return {key: schema[key] for key in _KEPT if key in schema}


if __name__ == "__main__":
    sys.exit(main())
