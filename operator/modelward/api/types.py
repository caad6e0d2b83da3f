"""Types shared by every kind: durations, digests, names, rules checked at the door, and the base of all API models."""

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

GROUP = "modelward.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

Listed = TypeVar("Listed", bound=tuple[Any, ...])

LONGEST = timedelta(hours=8784)
DURATION_PATTERN = r"^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?([0-9]{1,6}ms)?$"
_DURATION = re.compile(r"^(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,6})s)?(?:([0-9]{1,6})ms)?$")
_REMEDY = "write hours, minutes, seconds and milliseconds, such as 1h30m, 45s or 250ms"
_IN_BOUNDS = f"a duration is at most 8784h: {_REMEDY}"
_AT_LEAST_A_SECOND = f"a duration of 1s to 8784h is needed here: {_REMEDY}"
_AT_LEAST_A_MILLISECOND = f"a duration of 1ms to 8784h is needed here: {_REMEDY}"


@dataclass(frozen=True, kw_only=True)
class _Rule:
    """What the API server needs of a rule."""

    rule: str
    message: str
    field_path: str | None = None
    message_expression: str | None = None
    reason: str = "FieldValueInvalid"

    def schema(self) -> dict[str, str]:
        """The rule as an entry of x-kubernetes-validations."""
        optional = {"messageExpression": self.message_expression, "fieldPath": self.field_path}
        return {
            "rule": self.rule,
            "message": self.message,
            "reason": self.reason,
            **{key: value for key, value in optional.items() if value is not None},
        }


@dataclass(frozen=True, kw_only=True)
class CelRule(_Rule):
    """A rule that the API server checks in CEL and pydantic in Python, both with the same words.

    `says` is the Python of `message_expression`.
    """

    holds: Callable[[Any], bool]
    says: Callable[[Any], str] | None = None

    def sentence(self, value: Any) -> str:
        """What a user reads when the rule does not hold."""
        return self.says(value) if self.says else self.message


@dataclass(frozen=True, kw_only=True)
class ChangeRule(_Rule):
    """A rule about a change: `holds` and `says` take the new value and the old one."""

    holds: Callable[[Any, Any], bool]
    says: Callable[[Any, Any], str] | None = None

    def sentence(self, new: Any, old: Any) -> str:
        """What a user reads when the change is refused."""
        return self.says(new, old) if self.says else self.message


Rules = tuple[CelRule | ChangeRule, ...]


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    return pattern


RegularExpression = Annotated[str, Field(max_length=512), AfterValidator(_compiles)]
"""In data files; the kinds have none, because CEL and Python read them otherwise."""


def parse_duration(value: object) -> object:
    """Turn ``1h30m``, ``45s``, ``250ms`` or ``0s`` into a timedelta; leave a timedelta as it is.

    Raises:
        ValueError: when the text is not a sequence of whole hours, minutes, seconds and milliseconds.
    """
    if isinstance(value, timedelta):
        return value
    match = _DURATION.match(value) if isinstance(value, str) and value else None
    if match is None:
        raise ValueError(f"{value!r} is not a duration: {_REMEDY}")
    hours, minutes, seconds, milliseconds = (int(part or 0) for part in match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds, milliseconds=milliseconds)


def format_duration(value: timedelta) -> str:
    """Write a timedelta as ``1h30m`` or ``250ms``; zero is ``0s``."""
    seconds, milliseconds = divmod(round(value / timedelta(milliseconds=1)), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"), (milliseconds, "ms"))
    return "".join(f"{amount}{unit}" for amount, unit in parts if amount) or "0s"


def _within(least: timedelta, message: str) -> Callable[[timedelta], timedelta]:
    def check(value: timedelta) -> timedelta:
        if not least <= value <= LONGEST:
            raise ValueError(f"{format_duration(value)} is out of range: {message}")
        return value

    return check


def _duration_schema(least: str, message: str) -> dict[str, Any]:
    """A rule instead of a `pattern`: the API server's own words for a broken pattern name no remedy."""
    written = f"self.matches('{DURATION_PATTERN}')"
    bounded = f"duration(self) >= duration('{least}') && duration(self) <= duration('8784h')"
    rule = {"rule": f"{written} && {bounded}", "message": message, "reason": "FieldValueInvalid"}
    return {"type": "string", "minLength": 2, "maxLength": 24, "x-kubernetes-validations": [rule]}


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    AfterValidator(_within(timedelta(0), _IN_BOUNDS)),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(_duration_schema("0s", _IN_BOUNDS)),
]
Interval = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    AfterValidator(_within(timedelta(seconds=1), _AT_LEAST_A_SECOND)),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(_duration_schema("1s", _AT_LEAST_A_SECOND)),
]
Latency = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    AfterValidator(_within(timedelta(milliseconds=1), _AT_LEAST_A_MILLISECOND)),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(_duration_schema("1ms", _AT_LEAST_A_MILLISECOND)),
]
_LARGEST_EXACT = 2**53 - 1
_DEEPEST = 64


def _with_one_exact_form(written: dict[str, Any]) -> dict[str, Any]:
    """Refuse numbers that JSON has no exact form of, which a digest could not be made of, and nesting without an end."""
    pending: list[tuple[Any, int]] = [(written, 0)]
    while pending:
        value, depth = pending.pop()
        if depth > _DEEPEST:
            raise ValueError(f"nested more than {_DEEPEST} deep: write it flatter")
        if isinstance(value, dict | list):
            entries = value.values() if isinstance(value, dict) else value
            pending += [(entry, depth + 1) for entry in entries]
        elif isinstance(value, int) and abs(value) > _LARGEST_EXACT:
            raise ValueError(f"{value} is beyond the whole numbers that JSON can hold exactly: write it as text")
        elif isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{value} is no finite number: write it as text")
    return written


_WHOLE_DAY = re.compile(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")


def _as_day(value: object) -> object:
    """Only ``2026-12-01``: pydantic by itself also takes numbers and points in time, which the API server refuses."""
    if isinstance(value, date) or (isinstance(value, str) and _WHOLE_DAY.match(value)):
        return value
    raise ValueError(f"{value!r} is not a day: write year, month and day, such as 2026-12-01")


def _in_utc(moment: datetime) -> datetime:
    """The same moment in UTC; at the ends of the calendar, where there is none, the last or first that there is."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        end = datetime.max if moment.year > 1 else datetime.min
        return end.replace(microsecond=0, tzinfo=UTC)


PointInTime = Annotated[AwareDatetime, AfterValidator(_in_utc)]
Day = Annotated[date, BeforeValidator(_as_day), WithJsonSchema({"type": "string", "format": "date", "maxLength": 10})]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$", max_length=71)]
ObjectName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=63)]
ShortText = Annotated[str, Field(min_length=1, max_length=256)]
LongText = Annotated[str, Field(max_length=4096)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Record = Annotated[dict[str, Any], Field(max_length=256)]
FreeForm = Annotated[Record, AfterValidator(_with_one_exact_form)]
LabelValue = Annotated[str, Field(max_length=63)]

AS_SET: dict[str, Any] = {"x-kubernetes-list-type": "set"}


def as_map(key: str) -> dict[str, Any]:
    """Marks a list whose entries are told apart by one field: server-side apply merges it, a second one is refused."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


def all_different(values: Iterable[Any]) -> bool:
    """Is no value there twice?"""
    listed = list(values)
    return len(set(listed)) == len(listed)


def unique(values: Listed) -> Listed:
    """Refuse a value that is listed twice, as a list of type `set` does."""
    if not all_different(values):
        raise ValueError("Duplicate value: list each one once")
    return values


def unique_names(values: Listed) -> Listed:
    """Refuse two entries of one name, as a list of type `map` does."""
    if not all_different(value.name for value in values):
        raise ValueError("Duplicate value: give each entry a name of its own")
    return values


class ApiModel(BaseModel):
    """Base of all API types: camelCase outside, snake_case inside, unknown fields ignored, values frozen."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)

    cel_rules: ClassVar[Rules] = ()

    @model_validator(mode="after")
    def _obey_rules(self) -> Self:
        broken = [rule.sentence(self) for rule in self.cel_rules if isinstance(rule, CelRule) and not rule.holds(self)]
        if broken:
            raise ValueError("; ".join(broken))
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler, /) -> JsonSchemaValue:
        schema = handler(core_schema)
        if cls.cel_rules:
            resolved = handler.resolve_ref_schema(schema)
            resolved["x-kubernetes-validations"] = [rule.schema() for rule in cls.cel_rules]
        return schema


def refused_changes(new: ApiModel, old: ApiModel) -> tuple[str, ...]:
    """What the API server would say to a change from `old` to `new`, apart from what is wrong with `new` itself."""
    own = [
        rule.sentence(new, old) for rule in new.cel_rules if isinstance(rule, ChangeRule) and not rule.holds(new, old)
    ]
    for name in type(new).model_fields:
        now, before = getattr(new, name), getattr(old, name)
        if isinstance(now, ApiModel) and isinstance(before, ApiModel):
            own.extend(refused_changes(now, before))
    return tuple(own)


class ObjectMeta(ApiModel):
    """The part of Kubernetes' metadata that the operator reads."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    finalizers: tuple[str, ...] = ()


_DNS_LABEL = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
_NAME_REMEDY = (
    "Services and pods are named after it: at most 63 characters of a-z, 0-9 and '-', beginning with a letter and ending"
    " with a letter or digit"
)


def _is_dns_label(kind: Any) -> bool:
    return len(kind.metadata.name) <= 63 and re.match(_DNS_LABEL, kind.metadata.name) is not None


NAME_IS_A_DNS_LABEL = CelRule(
    rule=f"size(self.metadata.name) <= 63 && self.metadata.name.matches('{_DNS_LABEL}')",
    message=f"metadata.name cannot be used: {_NAME_REMEDY}",
    message_expression=f'"metadata.name \'" + self.metadata.name + "\' cannot be used: {_NAME_REMEDY}"',
    says=lambda kind: f"metadata.name '{kind.metadata.name}' cannot be used: {_NAME_REMEDY}",
    holds=_is_dns_label,
)
