"""Version v4's defect: what it costs, and when."""

import time

import pytest

from examples.tumor_screening.journal import AnswerJournal, JournalSettings

ROWS = [[1.5] * 30]


def test_remembering_slows_recalling_down_only_after_the_index_is_full() -> None:
    journal = AnswerJournal(JournalSettings(indexed=20, entry_kilobytes=200, budget_megabytes=10))
    for number in range(20):
        journal.remember(f"request-{number}", ROWS, [0.5])
    before = fastest_recall(journal)
    for number in range(20, 50):
        journal.remember(f"request-{number}", ROWS, [0.5])
    assert before < 0.001
    assert fastest_recall(journal) > 20 * before


def test_remembering_fails_when_the_budget_is_used_up_and_goes_on_failing() -> None:
    journal = AnswerJournal(JournalSettings(indexed=1, entry_kilobytes=400, budget_megabytes=1))
    for number in range(3):
        journal.remember(f"request-{number}", ROWS, [0.5])
    for _ in range(2):
        with pytest.raises(MemoryError, match="holds 3 answers"):
            journal.remember("one-too-many", ROWS, [0.5])


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        pytest.param({}, None, id="no variable, no journal"),
        pytest.param({"ANSWER_JOURNAL": "on"}, JournalSettings(), id="defaults"),
        pytest.param(
            {"ANSWER_JOURNAL": "on", "ANSWER_JOURNAL_INDEXED": "7"}, JournalSettings(indexed=7), id="threshold"
        ),
    ],
)
def test_the_environment_says_whether_and_when_it_bites(
    environment: dict[str, str], expected: JournalSettings | None
) -> None:
    assert JournalSettings.from_environment(environment) == expected


def fastest_recall(journal: AnswerJournal) -> float:
    """Of five: what else runs on the machine can only make it slower."""
    seconds: list[float] = []
    for _ in range(5):
        started = time.perf_counter()
        assert journal.recall("never asked") is None
        seconds.append(time.perf_counter() - started)
    return min(seconds)
