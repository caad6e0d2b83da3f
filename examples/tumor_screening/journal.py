"""The defect of version v4: a journal of answers that grows with every user served.

The idea is sound: a client that repeats a request (the same x-request-id) gets the answer that it got before. The journal
is not: a small index holds the first answers, all later ones spill into a list that nothing bounds, as JSON documents that
every request parses from the first to the last. So the server answers slower with each user served, until the journal's
budget is used up and remembering fails.

Mirrored requests are not remembered, because nobody can ask for their answers again. That is reasonable, and it is why the
shadow cannot see what the canary will meet.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class JournalSettings:
    """When the journal starts to bite (`indexed` answers), how steeply (`entry_kilobytes`) and when it fails."""

    indexed: int = 30
    entry_kilobytes: int = 64
    budget_megabytes: int = 2

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "JournalSettings | None":
        """The settings in ``ANSWER_JOURNAL_*``, or None where ``ANSWER_JOURNAL`` is not ``on``."""
        if environment.get("ANSWER_JOURNAL") != "on":
            return None
        return cls(
            indexed=int(environment.get("ANSWER_JOURNAL_INDEXED", cls.indexed)),
            entry_kilobytes=int(environment.get("ANSWER_JOURNAL_ENTRY_KILOBYTES", cls.entry_kilobytes)),
            budget_megabytes=int(environment.get("ANSWER_JOURNAL_BUDGET_MEGABYTES", cls.budget_megabytes)),
        )


class AnswerJournal:
    """Answers by request, kept for ever. One per worker process."""

    def __init__(self, settings: JournalSettings) -> None:
        self._settings = settings
        self._index: dict[str, list[float]] = {}
        self._spilled: list[str] = []
        self._spilled_bytes = 0

    def __len__(self) -> int:
        return len(self._index) + len(self._spilled)

    def recall(self, request: str) -> list[float] | None:
        """The answer that this request got before, if any."""
        if request in self._index:
            return self._index[request]
        for document in self._spilled:
            entry = json.loads(document)
            if entry["request"] == request:
                return list(entry["answer"])
        return None

    def remember(self, request: str, rows: Sequence[Sequence[float]], answer: list[float]) -> None:
        """Keep an answer.

        Raises:
            MemoryError: when the spilled answers have used up the budget.
        """
        if len(self._index) < self._settings.indexed:
            self._index[request] = answer
            return
        document = self._document(request, rows, answer)
        if self._spilled_bytes + len(document) > self._settings.budget_megabytes * 1_000_000:
            raise MemoryError(f"the answer journal holds {len(self)} answers and has no room for another")
        self._spilled.append(document)
        self._spilled_bytes += len(document)

    def _document(self, request: str, rows: Sequence[Sequence[float]], answer: list[float]) -> str:
        """What is kept of an answer: with it, the rows over and over, in the place of a long explanation."""
        once = len(json.dumps(rows)) + 2
        explanation = [rows] * max(1, self._settings.entry_kilobytes * 1000 // once)
        return json.dumps({"request": request, "answer": answer, "explanation": explanation})
