"""What is wrong with a manifest, and where it says so."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    ERROR = "error"  # it would be refused, or could not be acted upon
    WARNING = "warning"  # it could not be judged from these files


class Rule(StrEnum):
    """The kinds of findings, as reports name them."""

    YAML = "yaml"
    KIND = "kind"
    UNKNOWN_FIELD = "unknown-field"
    SCHEMA = "schema"
    RULE = "rule"
    DUPLICATE = "duplicate"
    REFERENCE = "reference"
    POLICY = "policy"
    REGISTER = "register"
    NOT_JUDGED = "not-judged"


MEANINGS = {
    Rule.YAML: "The file cannot be read as YAML.",
    Rule.KIND: "The kind or its API version is not one of modelward.dev.",
    Rule.UNKNOWN_FIELD: "A field that the kind does not have; the API server refuses it, or drops it without a word.",
    Rule.SCHEMA: "A value does not fit the schema of the kind; the API server refuses it.",
    Rule.RULE: "A rule over several fields is broken; the API server or the operator refuses it.",
    Rule.DUPLICATE: "Two manifests claim one name, one register number or one route.",
    Rule.REFERENCE: "A manifest names something that is not there.",
    Rule.POLICY: "The policy that applies does not let a rollout begin.",
    Rule.REGISTER: "The register lacks what the policy asks for before a version reaches production.",
    Rule.NOT_JUDGED: "Something could not be judged from the files alone.",
}


@dataclass(frozen=True, order=True)
class Place:
    """A place in a file; lines and columns are counted from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that is wrong: where, in which field, and a sentence with the remedy."""

    place: Place
    field: str
    message: str
    rule: Rule
    severity: Severity = Severity.ERROR

    @property
    def sentence(self) -> str:
        """The field and what is wrong with it."""
        return (
            self.message if not self.field or self.message.startswith(self.field) else f"{self.field}: {self.message}"
        )

    def __str__(self) -> str:
        kind = "" if self.severity is Severity.ERROR else f"{self.severity}: "
        return f"{self.place}: {kind}{self.sentence}"
