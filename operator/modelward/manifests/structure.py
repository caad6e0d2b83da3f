"""Is a manifest one that the API server takes? The schema of the CRD, then the rules, in the order in which the server asks.

`jsonschema` judges the schema: what the server calls structural is, with Draft 4's exclusive bounds, JSON Schema, apart
from what `_strict` adds. The rules are those of the pydantic kinds, which mirror the CEL of the CRDs.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any

from jsonschema import Draft4Validator, FormatChecker, validators
from jsonschema.exceptions import ValidationError as Mismatch
from jsonschema.protocols import Validator
from pydantic import ValidationError

from modelward.api.schema import KINDS, Kind, Schema, custom_resource_definition
from modelward.api.types import API_VERSION, GROUP, ApiModel
from modelward.manifests.documents import Document
from modelward.manifests.finding import Finding, Rule

_BY_NAME = {kind.name: kind for kind in KINDS}
_LONGEST_SHOWN = 60

# What Kubernetes has in every object; the operator's own kinds say nothing of it.
_TEXTS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_METADATA: Schema = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "pattern": _NAME, "minLength": 1, "maxLength": 253},
        "namespace": {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63},
        "labels": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 63, "pattern": r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"}},
        "annotations": _TEXTS,
        "finalizers": {"type": "array", "items": {"type": "string"}},
        "ownerReferences": {"type": "array"},
        **{field: {"type": "string"} for field in ("generateName", "uid", "resourceVersion", "selfLink")},
        **{field: {} for field in ("creationTimestamp", "deletionTimestamp", "managedFields", "generation")},
        "deletionGracePeriodSeconds": {"type": "integer"},
    },
}  # fmt: skip
_TIME = re.compile(r"^([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))$")
_formats = FormatChecker(formats=())
# To JSON, 2.0 is a whole number.
_types = Draft4Validator.TYPE_CHECKER.redefine(
    "integer",
    lambda _, value: isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer(),
)
_Validator: type[Validator] = validators.extend(Draft4Validator, type_checker=_types)  # type: ignore[no-untyped-call]


def is_of_the_group(document: Document) -> bool:
    """Is it one of ours, or meant to be?"""
    return document.api_version.partition("/")[0] == GROUP


def judge(document: Document) -> tuple[ApiModel | None, tuple[Finding, ...]]:
    """The object, and what is wrong with it. It is None when the API server would refuse it, or the operator could not read it."""
    kind = _BY_NAME.get(document.kind)
    if document.api_version != API_VERSION:
        message = f"{document.api_version!r} is not served: write {API_VERSION}"
        return None, (_finding(document, ("apiVersion",), message, Rule.KIND),)
    if kind is None:
        message = f"{document.kind!r} is no kind of {GROUP}{_did_you_mean(document.kind, _BY_NAME)}"
        return None, (_finding(document, ("kind",), message, Rule.KIND),)
    content = _without_nulls(document.content, _schema(kind.name))
    findings = tuple(_mismatches(document, kind, content))
    if findings:
        return None, findings
    try:
        return kind.model.model_validate(content), ()
    except ValidationError as error:
        return None, tuple(_broken_rules(document, error))


def written(path: Sequence[str | int]) -> str:
    """A path as users write it: spec.gates[0].name."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _mismatches(document: Document, kind: Kind, content: Mapping[str, Any]) -> Iterator[Finding]:
    seen: set[tuple[str | int, ...]] = set()
    for error in sorted(
        _validator(kind.name).iter_errors(content), key=lambda error: [str(part) for part in error.absolute_path]
    ):
        path = tuple(error.absolute_path)
        for at, message, rule in _told(error, path):
            if at not in seen:
                seen.add(at)
                yield _finding(document, at, message, rule)


def _told(error: Mismatch, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str, Rule]]:
    """What the API server would refuse, said with the remedy."""
    value: Any = error.instance
    limit: Any = error.validator_value
    if error.validator == "additionalProperties":
        schema: Any = error.schema
        known = schema.get("properties", {})
        for name in value.keys() - known.keys():
            message = f"the API server does not know this field{_did_you_mean(name, known)}"
            yield (*path, name), message, Rule.UNKNOWN_FIELD
    elif error.validator == "required":
        for name in limit:
            if name not in value:
                # Told apart from other fields that the same object lacks, and placed where that object stands.
                yield (*path, name), "is missing: set it", Rule.SCHEMA
    else:
        excluded = error.validator in ("minimum", "maximum") and value == limit
        keyword = f"exclusive {error.validator}" if excluded else str(error.validator)
        yield path, _sentence(keyword, value, limit), Rule.SCHEMA


def _sentence(keyword: str, value: Any, limit: Any) -> str:
    shown = _shown(value)
    if keyword == "type":
        return f"{shown} is {_type_of(value)}: write {_ARTICLES.get(limit, limit)}{_quotes(value, limit)}"
    if keyword == "enum":
        near = _nearest(str(value), limit)
        meant = f"did you mean {near}?" if near else "write one of them"
        return f"{shown} is none of {', '.join(map(str, limit))}: {meant}"
    if keyword == "pattern":
        return f"{shown} is not written as it has to be: {_PATTERNS.get(limit, f'it has to match {limit}')}"
    said = _EXAMPLES.get(limit, limit) if keyword == "format" else limit
    return _SENTENCES.get(keyword, _UNFIT).format(shown=shown, limit=said)


_UNFIT = "{shown} does not fit: look at what the reference says of this field"
_SENTENCES = {
    "format": "{shown} cannot be read: write {limit}",
    "minimum": "{shown} is too small: the least is {limit}",
    "maximum": "{shown} is too large: the most is {limit}",
    "exclusive minimum": "{shown} is too small: write more than {limit}",
    "exclusive maximum": "{shown} is too large: write less than {limit}",
    "minLength": "is too short: write at least {limit} characters",
    "maxLength": "is too long: write at most {limit} characters",
    "minItems": "has too few entries: list at least {limit}",
    "maxItems": "has too many entries: list at most {limit}",
    "minProperties": "has too few entries: give at least {limit}",
    "maxProperties": "has too many entries: give at most {limit}",
}
_ARTICLES = {
    "object": "an object",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}
_NAMED = "use a-z, 0-9 and '-', beginning and ending with a letter or digit"
_PATTERNS = {
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": _NAMED,
    _NAME: f"{_NAMED}; dots may separate such names",
    r"^sha256:[0-9a-f]{64}$": "write sha256: and 64 hex digits",
    r"^/": "begin it with a slash",
    r"^https?://": "write an address that begins with https://",
    r"^Pods$": "write Pods, or prometheus: and the name of a configured one",
}
_EXAMPLES = {"date": "a day, such as 2026-12-01", "date-time": "a time with its zone, such as 2026-12-01T09:00:00Z"}


def _type_of(value: Any) -> str:
    if value is None:
        return "empty"
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), "something else")


def _quotes(value: Any, limit: Any) -> str:
    return f', in quotes: "{value}"' if limit == "string" and isinstance(value, int | float) else ""


def _shown(value: Any) -> str:
    text = str(value) if isinstance(value, dict | list) else repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"


def _broken_rules(document: Document, error: ValidationError) -> Iterator[Finding]:
    entries = error.errors(include_url=False)
    for entry in entries:
        if any(
            len(other["loc"]) > len(entry["loc"]) and other["loc"][: len(entry["loc"])] == entry["loc"]
            for other in entries
        ):
            continue  # it follows from what is wrong within
        path = _existing(document.content, tuple(entry["loc"]))
        message = str(entry["msg"]).removeprefix("Value error, ")
        yield _finding(document, path, message, Rule.RULE)


def _existing(content: Any, path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """As much of pydantic's path as is in the document: it ends in names of its own, such as that of a union's member."""
    found: list[str | int] = []
    for part in path:
        is_there = (isinstance(content, dict) and part in content) or (
            isinstance(content, list) and isinstance(part, int) and part < len(content)
        )
        if not is_there:
            break
        found.append(part)
        content = content[part]
    return tuple(found)


def _finding(document: Document, path: Sequence[str | int], message: str, rule: Rule) -> Finding:
    return Finding(document.place(path), written(path), message, rule)


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    near = _nearest(name, known)
    return f": did you mean {near}?" if near else ": remove it, or look where it belongs"


def _nearest(name: str, known: Iterable[Any]) -> str | None:
    listed = [str(each) for each in known]
    folded = {each.casefold(): each for each in listed}
    return folded.get(name.casefold()) or next(iter(difflib.get_close_matches(name, listed, n=1, cutoff=0.6)), None)


def _without_nulls(value: Any, schema: Schema) -> Any:
    """As the API server: a field that it knows and that is empty was left out; an entry of a list was not."""
    if isinstance(value, list):
        return [_without_nulls(child, schema.get("items", {})) for child in value]
    if not isinstance(value, dict):
        return value
    others = schema.get("additionalProperties")
    known = {key: schema.get("properties", {}).get(key, others) for key in value}
    return {
        key: _without_nulls(child, known[key]) if isinstance(known[key], dict) else child
        for key, child in value.items()
        if child is not None or not isinstance(known[key], dict)
    }


@cache
def _validator(kind: str) -> Validator:
    return _Validator(_schema(kind), format_checker=_formats)


@cache
def _schema(kind: str) -> Schema:
    definition = custom_resource_definition(_BY_NAME[kind])
    schema = _strict(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = _METADATA
    schema["required"] = [*schema.get("required", []), "metadata"]
    return schema


def _strict(node: Schema) -> Schema:
    """A schema in which fields that it does not name are refused, as with `kubectl apply`."""
    strict = {key: value for key, value in node.items() if not key.startswith(("x-", "default", "description"))}
    if "properties" in node:
        strict["properties"] = {name: _strict(child) for name, child in node["properties"].items()}
        if not node.get("x-kubernetes-preserve-unknown-fields") and "additionalProperties" not in node:
            strict["additionalProperties"] = False
    if isinstance(node.get("additionalProperties"), dict):
        strict["additionalProperties"] = _strict(node["additionalProperties"])
    if "items" in node:
        strict["items"] = _strict(node["items"])
    if node.get("x-kubernetes-int-or-string"):
        strict["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    return strict


@_formats.checks("date")
def _is_day(value: object) -> bool:
    if not isinstance(value, str):
        return True
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


@_formats.checks("date-time")
def _is_time(value: object) -> bool:
    """As the API server reads it, which takes no time without a zone."""
    if not isinstance(value, str):
        return True
    day, _, time = value.lower().partition("t")
    match = _TIME.match(time)
    return _is_day(day) and match is not None and match[1] <= "23" and match[2] <= "59" and match[3] <= "59"
