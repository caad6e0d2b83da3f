"""The demo's people, what they decide, and what an auditor finds of it afterwards."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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
_RECORDS, _CHECKPOINTS = "records.jsonl", "checkpoints.jsonl"
_PUBLIC_KEY = "audit.pem"
_SECTIONS_SHOWN = ("# What served", "## Version", "### Approved by", "## The chain")
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

    def approve(self, digest: str, *decisions: tuple[Person, str]) -> Sequence[Said]:
        """Each person in a role, at the same time. Told as it is typed, with what was printed below the long look at the version."""
        words = ("approve", self.model, "-n", self.namespace, "--yes", "--subject-digest", digest)
        everything = together(*(_typed(person, *words, "--role", role) for person, role in decisions))
        for (person, role), said in zip(decisions, everything, strict=True):
            shown = " ".join(words).replace(digest, f"{digest[:_DIGITS_SHOWN]}…")
            self.narrator.say(f"{person.name}$ modelward {shown} --role {role}")
            self.narrator.quote(_end_of(said.text))
        return everything

    def list_approvals(self) -> None:
        """What waits for whom, as the validator sees it."""
        self.narrator.say(f"{self.validator.name}$ modelward approvals -n {self.namespace}")
        self.narrator.quote(self.validator.modelward("approvals", "-n", self.namespace).text)

    def _person(self, short: str) -> Person:
        name = f"{short}@example.com"
        return Person(name, self.environment.person(name))


class Auditor:
    """Somebody with a copy of what the operator has exported and its public key, and without any access to the cluster."""

    def __init__(
        self, narrator: Narrator, folder: Path, export: Path, public_key: bytes, namespace: str, model: str
    ) -> None:
        self._narrator = narrator
        self._folder = folder
        self._model = model
        self._exported = export / namespace / model
        self._copy = folder / "export" / namespace / model
        (folder / _PUBLIC_KEY).write_bytes(public_key)

    def take_copy(self, newest: int) -> int:
        """As soon as the record `newest` is exported and signed; the number of records.

        Raises:
            TimeoutError: it is not.
        """
        deadline = time.monotonic() + _SECONDS_TO_EXPORT
        while time.monotonic() < deadline:
            if _newest(self._exported / _CHECKPOINTS) >= newest:
                shutil.copytree(self._exported, self._copy)
                return _newest(self._copy / _RECORDS)
            time.sleep(0.2)
        raise TimeoutError(f"record {newest} of {self._model} was not exported within {_SECONDS_TO_EXPORT} s")

    def ask(self, moment: datetime) -> bool:
        """What served at a moment, with the proof of it in one archive, and whether the chain is whole."""
        at = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        wanted = ("audit", "bundle", "--model", self._model, "--at", at, "--out", f"{self._model}.tar.gz")
        bundle, verdict = together(self._typed(*wanted), self._typed("audit", "verify"))
        self._tell(wanted, _shown(bundle.text))
        self._tell(("audit", "verify"), verdict.text)
        return bundle.code == 0 and verdict.code == 0

    def verify(self) -> Said:
        said = self._typed("audit", "verify")()
        self._tell(("audit", "verify"), said.text)
        return said

    def change_a_byte(self, role: str) -> int:
        """Of the name of whoever let the newest version through in a role; the number of the record.

        Raises:
            LookupError: nobody did.
        """
        records = self._copy / _RECORDS
        lines = records.read_bytes().splitlines(keepends=True)
        for position in range(len(lines) - 1, -1, -1):
            record = json.loads(lines[position])
            approver = next((each["approver"] for each in record.get("approvals", ()) if each["role"] == role), "")
            if approver:
                forged = approver[:1] + chr(ord(approver[1]) ^ 1) + approver[2:]
                lines[position] = lines[position].replace(approver.encode(), forged.encode(), 1)
                records.write_bytes(b"".join(lines))
                self._narrator.say(f"one byte of record {record['seq']} is changed: {approver} is now {forged}")
                return int(record["seq"])
        raise LookupError(f"no record names an approval as {role}")

    def _typed(self, *words: str) -> Callable[[], Said]:
        source = ("--from", "export", "--public-key", _PUBLIC_KEY)
        return lambda: modelward(*words, *source, folder=self._folder)

    def _tell(self, words: Sequence[str], text: str) -> None:
        self._narrator.say(f"auditor$ modelward {' '.join(words)} --from export --public-key {_PUBLIC_KEY}")
        self._narrator.quote(text)


def together(*commands: Callable[[], Said]) -> Sequence[Said]:
    """Commands of several people, at the same time: each takes seconds to start."""
    with ThreadPoolExecutor(len(commands)) as pool:
        return tuple(pool.map(lambda command: command(), commands))


def _typed(person: Person, *words: str) -> Callable[[], Said]:
    return lambda: person.modelward(*words)


def _newest(file: Path) -> int:
    """The number of the last line's record; 0 where there is none yet."""
    lines = file.read_bytes().splitlines() if file.exists() else []
    return int(json.loads(lines[-1])["seq"]) if lines else 0


def _shown(report: str) -> str:
    """The sections of a report that fit on a screen; the archive has all of them."""
    shown: list[str] = []
    wanted = False
    for line in report.splitlines():
        if line.startswith("#"):
            wanted = line.startswith(_SECTIONS_SHOWN)
        if wanted and line:
            shown.append(line)
    return "\n".join(shown)


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
