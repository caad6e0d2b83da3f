"""The parts of the documentation that are written from the code: conditions, metrics, alerts, the reference of API and command line.

``python docs/generate.py`` writes them; with ``--check`` it writes nothing, prints how the files differ, and exits with 1 if they do.

Own code rather than a generator for CRDs (crdoc, crd-ref-docs): those are programs in Go that know Go types or need a
second toolchain, and neither shows defaults of nested objects or the rules beside the fields.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import typer
import yaml
from typer.core import TyperGroup, TyperOption

from modelward.api.gates import Gate
from modelward.api.generated import write_or_compare
from modelward.api.schema import KINDS, Kind, Schema, custom_resource_definition, structural
from modelward.api.types import API_VERSION
from modelward.cli.main import app
from modelward.diagnosis.checks import CHECKS

FOLDER = Path(__file__).resolve().parent
RIGHTS_PAGE = FOLDER / "security.md"
CHECKS_PAGE = FOLDER / "how-to" / "check-an-installation.md"
BEGIN = "<!-- written by docs/generate.py: begin -->"
END = "<!-- written by docs/generate.py: end -->"
_NOTE = "<!-- Written by `python docs/generate.py`; edit {source} instead. -->\n\n"
_PAGES = {
    "Model": "model.md",
    "ModelVersion": "model-version.md",
    "LifecyclePolicy": "lifecycle-policy.md",
    "ModelEvaluation": "model-evaluation.md",
    "ModelApproval": "model-approval.md",
    "ModelAuditRecord": "model-audit-record.md",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or compare them; the exit code."""
    parser = argparse.ArgumentParser(prog="python docs/generate.py", description="Write what the docs take from code.")
    parser.add_argument("--check", action="store_true", help="write nothing; print differences and exit with 1 if any")
    return write_or_compare(pages(), parser.parse_args(arguments).check)


@cache
def pages() -> Mapping[Path, str]:
    """Every page that is written, or written in part, by its path."""
    # As a script, only this folder is where modules are looked for.
    sys.path[:] = dict.fromkeys([*sys.path, str(FOLDER.parent)])
    from docs import granted, observed, told

    reference = FOLDER / "reference"
    return {
        reference / "conditions.md": _NOTE.format(source="operator/modelward/api/reasons.py") + told.conditions_page(),
        **{reference / _PAGES[kind.name]: _render_kind(kind) for kind in KINDS},
        reference / "gates.md": _render_gates(),
        reference / "command-line.md": _render_commands(),
        reference / "metrics.md": _NOTE.format(source="operator/modelward/runtime") + observed.metrics_page(),
        reference / "alerts.md": _NOTE.format(source="charts/modelward/alerts") + observed.alerts_page(),
        **{path: _filled(path.read_text("utf-8"), text) for path, text in observed.runbooks().items()},
        RIGHTS_PAGE: _filled(RIGHTS_PAGE.read_text("utf-8"), granted.rights_table()),
        CHECKS_PAGE: _filled(CHECKS_PAGE.read_text("utf-8"), _render_checks()),
    }


def _filled(page: str, text: str) -> str:
    """A page that people wrote, with the part between the marks replaced."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{text}\n{END}{after}"


def _render_checks() -> str:
    lines = ["| Check | What is asked | What you have to be allowed to read |", "| --- | --- | --- |"]
    lines += [f"| `{check.name}` | {_cell(check.asks)} | {_cell(check.reads)} |" for check in CHECKS]
    return "\n".join(lines) + "\n"


def _render_kind(kind: Kind) -> str:
    definition = custom_resource_definition(kind)["spec"]
    schema: Schema = definition["versions"][0]["schema"]["openAPIV3Schema"]
    example = {"apiVersion": API_VERSION, "kind": kind.name}
    parts = [
        _NOTE.format(source="operator/modelward/api"),
        f"# {kind.name}\n\n{schema['description']}\n\n",
        f"{definition['scope']}. `kubectl get {definition['names']['plural']}`, or `{kind.short_name}` for short.\n\n",
        f"```yaml\n{yaml.safe_dump(example, sort_keys=False)}```\n\n",
        _render_columns(kind),
        _render_fields("Spec", schema["properties"]["spec"], "spec"),
        _render_rules({**schema, "properties": {"spec": schema["properties"]["spec"]}}),
    ]
    if kind.status is not None:
        parts.append(_render_fields("Status", schema["properties"]["status"], "status"))
    return "".join(parts).rstrip() + "\n"


def _render_gates() -> str:
    schema = structural(Gate)
    return (
        _NOTE.format(source="operator/modelward/api/gates.py")
        + f"# Gates\n\n{schema['description']} Paths are within an entry of a list of gates"
        + " ([LifecyclePolicy](lifecycle-policy.md), [Model](model.md)).\n\n"
        + _render_fields("Fields", schema, "").rstrip()
        + "\n\n"
        + _render_rules(schema).rstrip()
        + "\n"
    )


def _render_columns(kind: Kind) -> str:
    lines = ["## Columns of kubectl get", "", "| Column | What it shows |", "| --- | --- |"]
    lines += [
        f"| {column.name}{' (`-o wide`)' if column.priority else ''} | {_cell(column.description)} |"
        for column in kind.columns
    ]
    return "\n".join(lines) + "\n\n"


def _render_fields(title: str, schema: Schema, root: str) -> str:
    lines = [f"## {title}", "", "| Field | Type | Default | Bounds | What it is |", "| --- | --- | --- | --- | --- |"]
    for path, node, required in _fields(schema, root):
        kind = f"{_type_of(node)}, required" if required else _type_of(node)
        default = f"`{_plain(node['default'])}`" if "default" in node else ""
        bounds, text = _cell(", ".join(_bounds_of(node))), _cell(node.get("description", ""))
        lines.append(f"| `{path}` | {_cell(kind)} | {_cell(default)} | {bounds} | {text} |")
    return "\n".join(lines) + "\n\n"


def _render_rules(schema: Schema) -> str:
    messages = dict.fromkeys(_rules_of(schema))
    if not messages:
        return ""
    lines = ["## What the API server refuses", "", "Besides values outside of their bounds, in these words:", ""]
    return "\n".join([*lines, *(f"* {message}" for message in messages)]) + "\n\n"


def _render_commands() -> str:
    command = typer.main.get_command(app)
    assert isinstance(command, TyperGroup)
    head = _NOTE.format(source="operator/modelward/cli") + f"# The modelward command\n\n{command.help}\n"
    return head + "".join(_render_group(command, "modelward"))


def _render_group(group: TyperGroup, path: str) -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _render_group(command, f"{path} {name}")
            continue
        yield f"\n## {path} {name}\n\n{_paragraphs(command.help or '')}\n"
        options = [option for option in command.params if isinstance(option, TyperOption)]
        if options:
            yield "\n| Option | Default | What it is |\n| --- | --- | --- |\n"
            yield from (_render_option(option) for option in options)


def _render_option(option: TyperOption) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    given = option.default
    default = (
        "required" if option.required else f"`{getattr(given, 'value', given)}`" if given not in ("", None) else ""
    )
    return f"| {names} | {default} | {_cell(option.help or '')} |\n"


def _fields(schema: Schema, root: str) -> Iterator[tuple[str, Schema, bool]]:
    """Every field below a schema: its path, its own schema, and whether it has to be given."""
    for name, node in (schema.get("properties") or {}).items():
        path = f"{root}.{name}" if root else name
        required = name in schema.get("required", ())
        if name == "gates" and _is_list_of_gates(node):
            yield path, {**node, "description": f"{node['description']} See [gates](gates.md)."}, required
            own = {key: value for key, value in node["items"]["properties"].items() if key not in _gate_fields()}
            yield from _fields({"properties": own}, f"{path}[]")
            continue
        yield path, node, required
        items = node.get("items")
        values = node.get("additionalProperties")
        yield from _fields(node, path)
        if isinstance(items, dict):
            yield from _fields(items, f"{path}[]")
        if isinstance(values, dict):
            yield from _fields(values, f"{path}.*")


@cache
def _gate_fields() -> frozenset[str]:
    return frozenset(structural(Gate)["properties"])


def _is_list_of_gates(node: Schema) -> bool:
    return _gate_fields() <= set((node.get("items") or {}).get("properties") or {})


def _rules_of(schema: Any) -> Iterator[str]:
    """The sentences of every rule below a schema, those of durations aside, which the bounds tell."""
    if isinstance(schema, dict):
        if not _is_duration(schema):
            yield from (rule["message"] for rule in schema.get("x-kubernetes-validations", ()))
        for child in schema.values():
            yield from _rules_of(child)


def _type_of(node: Schema) -> str:
    if _is_duration(node):
        return "duration"
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if node.get("x-kubernetes-int-or-string"):
        return "integer or string"
    kind = node.get("type")
    if kind == "array":
        items = node.get("items") or {}
        return f"list of {_plural(_type_of(items))}"
    if kind == "object" and isinstance(node.get("additionalProperties"), dict):
        return f"map of {_plural(_type_of(node['additionalProperties']))}"
    if kind is not None:
        return str(kind)
    words = [f"`{word}`" for choice in node.get("anyOf", ()) for word in choice.get("enum", ())]
    shapes = ["list"] if "items" in node else []
    shapes += ["object"] if "properties" in node else ["map"] if "additionalProperties" in node else []
    return " or ".join([*words, *shapes]) or "anything"


def _plural(kind: str) -> str:
    return {"string": "strings", "object": "objects", "integer": "integers", "number": "numbers"}.get(kind, kind)


def _is_duration(node: Schema) -> bool:
    return any("duration(self)" in rule["rule"] for rule in node.get("x-kubernetes-validations", ()))


def _bounds_of(node: Schema) -> Iterator[str]:
    if _is_duration(node):
        rule = node["x-kubernetes-validations"][0]["rule"]
        least, most = (part.split("'")[1] for part in rule.split("duration(self) ")[1:])
        yield f"{least} to {most}"
        return
    if "minimum" in node:
        yield f"{'above' if node.get('exclusiveMinimum') else 'at least'} {node['minimum']}"
    if "maximum" in node:
        yield f"{'below' if node.get('exclusiveMaximum') else 'at most'} {node['maximum']}"
    if "maxItems" in node:
        least = node.get("minItems", 0)
        yield f"{least} to {node['maxItems']} entries" if least else f"at most {node['maxItems']} entries"
    if "maxLength" in node and "enum" not in node:
        yield f"at most {node['maxLength']} characters"
    if "pattern" in node and node.get("type") == "string":
        yield f"`{node['pattern']}`"


def _plain(value: Any) -> str:
    return (
        value
        if isinstance(value, str)
        else yaml.safe_dump(value, default_flow_style=True, width=200).split("\n...")[0].strip()
    )


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.replace("\b", "").split("\n\n"))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main())
