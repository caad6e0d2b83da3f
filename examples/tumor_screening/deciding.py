"""The demo's people, what they decide, and what an auditor finds of it afterwards."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from examples.tumor_screening.environment import Environment
from examples.tumor_screening.narration import Narrator
from examples.tumor_screening.people import Person, Said, bound, modelward, readers

VALIDATOR = "independent-validator"
RISK = "risk"
READERS = "tumor-screening-people"
_RECORDS = "records.jsonl"
_SECONDS_TO_EXPORT = 30
_DIGITS_SHOWN = 14

Status = Mapping[str, Any]


@dataclass(frozen=True)
class Committee:
    """Three people of one namespace, each with rights of their own, who decide about one Model."""

    environment: Environment
    narrator: Narrator
    namespace: str
    model: str

    @property
    def builder(self) -> Person:
        return self._person("ada")

    @property
    def validator(self) -> Person:
        return self._person("grace")

    @property
    def risk_officer(self) -> Person:
        return self._person("rita")

    def give_rights(self) -> None:
        """By RBAC alone, the builder could decide as risk."""
        builder, validator, officer = (person.name for person in (self.builder, self.validator, self.risk_officer))
        self.environment.apply(
            readers(READERS, builder, validator, officer),
            bound(f"modelward-approver-{VALIDATOR}", self.namespace, validator),
            bound(f"modelward-approver-{RISK}", self.namespace, builder, officer),
        )

    def approve(self, person: Person, role: str, digest: str) -> Said:
        """Told as it is typed, with what was printed below the long look at the version."""
        words = ["approve", self.model, "-n", self.namespace, "--role", role, "--yes", "--subject-digest", digest]
        said = person.modelward(*words)
        shown = f"{digest[:_DIGITS_SHOWN]}…"
        self.narrator.say(f"{person.name}$ modelward {' '.join(words[:-1])} {shown}")
        self.narrator.quote(_end_of(said.text))
        return said

    def list_approvals(self) -> None:
        """What waits for whom, as the validator sees it."""
        self.narrator.say(f"{self.validator.name}$ modelward approvals -n {self.namespace}")
        self.narrator.quote(self.validator.modelward("approvals", "-n", self.namespace).text)

    def _person(self, short: str) -> Person:
        name = f"{short}@example.com"
        return Person(name, self.environment.person(name))


class Auditor:
    """Somebody with a copy of what the operator has exported, and without any access to the cluster."""

    def __init__(self, narrator: Narrator, export: Path, namespace: str, model: str, folder: Path) -> None:
        self._narrator = narrator
        self._chain = Path(namespace) / model / _RECORDS
        self._model = model
        self._export = export
        self._folder = folder

    @property
    def _records(self) -> Path:
        return self._folder / "export" / self._chain

    def take_copy(self, newest: int) -> int:
        """As soon as the record `newest` is exported; the number of records.

        Raises:
            TimeoutError: it does not come.
        """
        deadline = time.monotonic() + _SECONDS_TO_EXPORT
        while time.monotonic() < deadline:
            source = self._export / self._chain
            lines = source.read_bytes().splitlines() if source.exists() else []
            if len(lines) >= newest:
                self._records.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, self._records)
                return len(lines)
            time.sleep(0.2)
        raise TimeoutError(f"record {newest} of {self._model} was not exported within {_SECONDS_TO_EXPORT} s")

    def bundle(self, moment: datetime) -> Said:
        """What served at a moment, with the proof of it in one archive."""
        at = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        archive = self._folder / f"{self._model}.tar.gz"
        return self._told(
            "audit", "bundle", "--model", self._model, "--at", at, "--from", "export", "--out", archive.name
        )

    def verify(self) -> Said:
        return self._told("audit", "verify", "--from", "export")

    def change_a_byte(self, role: str) -> int:
        """Of the name of whoever let the newest version through in a role; the number of the record.

        Raises:
            LookupError: nobody did.
        """
        lines = self._records.read_bytes().splitlines(keepends=True)
        for position in range(len(lines) - 1, -1, -1):
            record = json.loads(lines[position])
            approver = next((each["approver"] for each in record.get("approvals", ()) if each["role"] == role), "")
            if approver:
                forged = approver[:1] + chr(ord(approver[1]) ^ 1) + approver[2:]
                lines[position] = lines[position].replace(approver.encode(), forged.encode(), 1)
                self._records.write_bytes(b"".join(lines))
                self._narrator.say(f"one byte of record {record['seq']} is changed: {approver} is now {forged}")
                return int(record["seq"])
        raise LookupError(f"no record names an approval as {role}")

    def _told(self, *words: str) -> Said:
        said = modelward(*words, folder=self._folder)
        self._narrator.say(f"auditor$ modelward {' '.join(words)}")
        self._narrator.quote(said.text)
        return said


def asked(status: Status, role: str) -> Status | None:
    """What is asked of a role."""
    return next((row for row in status.get("pendingApprovals", ()) if row["role"] == role), None)


def refused(status: Status, role: str) -> Sequence[str]:
    """The approvals in a role that do not count, with why."""
    found: Sequence[str] = (asked(status, role) or {}).get("refused", ())
    return found


def _end_of(text: str) -> str:
    """What follows the digest; all of a refusal, which comes before anything is shown."""
    _, _, end = text.rpartition("\nDigest")
    return end.partition("\n")[2].strip() if end and "\nDigest" in text else text.strip()
