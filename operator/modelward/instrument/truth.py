"""Labels that come back after the prediction: what they are compared with, and the cells in which the result is counted."""

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from modelward.instrument.layout import OTHER, category_name

SCORE_EDGES = tuple(round(0.05 * i, 2) for i in range(1, 20))

MATCHED, UNKNOWN, LOST = range(3)
"""Feedback that was counted; for a prediction that is not remembered; predictions that could not be remembered."""

OUTCOMES = ("true_positive", "false_positive", "false_negative", "true_negative")
ERROR_SUMS = ("labels", "error_absolutes", "error_squares", "error_fourth_powers")

Cells = Iterator[tuple[int, float]]


@dataclass(frozen=True)
class Truth:
    """What feedback is about. Use `Truth.classes`, `Truth.scores` or `Truth.numbers`.

    groups: attributes and their values by which people are counted apart; a value that is not listed is counted in no group.
    """

    labels: tuple[str, ...] = ()
    positive: str | None = None
    threshold: float | None = None
    edges: tuple[float, ...] = ()
    groups: tuple[tuple[str, tuple[str, ...]], ...] = field(default=())

    def __post_init__(self) -> None:
        if self.groups and self.positive is None:
            raise ValueError("groups need to know which label is positive")
        if self.positive is not None and self.positive not in self.labels:
            raise ValueError(f"the positive label {self.positive!r} is none of {', '.join(self.labels)}")
        if any(b <= a for a, b in pairwise(self.edges)):
            raise ValueError("the edges of the scores have to ascend")

    @classmethod
    def classes(
        cls, labels: Sequence[str], *, positive: str | None = None, groups: Mapping[str, Sequence[str]] | None = None
    ) -> "Truth":
        """The model answers with one of these labels; others are counted together."""
        return cls(tuple(labels), positive, groups=_groups(groups))

    @classmethod
    def scores(
        cls,
        *,
        positive: str = "1",
        negative: str = "0",
        threshold: float = 0.5,
        edges: Sequence[float] = SCORE_EDGES,
        groups: Mapping[str, Sequence[str]] | None = None,
    ) -> "Truth":
        """The model answers with the probability of the positive label; from `threshold` on it predicts it."""
        return cls((negative, positive), positive, threshold, tuple(edges), _groups(groups))

    @classmethod
    def numbers(cls) -> "Truth":
        """The model answers with a number, and the label is the number that it should have been."""
        return cls()


@dataclass(frozen=True)
class TruthBlock:
    """Where feedback is counted, from the cell `start` on: outcomes, confusion or errors, scores by label, groups."""

    truth: Truth
    start: int

    @property
    def names(self) -> tuple[str, ...]:
        return (*(label for label in self.truth.labels if label != OTHER), OTHER) if self.truth.labels else ()

    @property
    def table(self) -> int:
        """The first cell of the confusion table, predicted by actual, or of the sums of errors."""
        return self.start + 3

    @property
    def scores(self) -> int:
        return self.table + (len(self.names) ** 2 or len(ERROR_SUMS))

    @property
    def score_width(self) -> int:
        return len(self.truth.edges) + 2 if self.truth.edges else 0

    @property
    def groups(self) -> int:
        return self.scores + self.score_width * len(self.truth.labels)

    @property
    def group_names(self) -> tuple[str, ...]:
        return tuple(f"{attribute}/{value}" for attribute, values in self.truth.groups for value in values)

    @property
    def end(self) -> int:
        return self.groups + len(OUTCOMES) * len(self.group_names)

    def additions(self, predicted: object, label: object, group: Mapping[str, object]) -> Cells:
        """The cells that a prediction and its label add to, and how much. Nothing for what cannot be compared."""
        if not self.names:
            yield from self._errors(predicted, label)
            return
        said, actual = self._place(self._class_of(predicted)), self._place(category_name(label))
        yield self.table + said * len(self.names) + actual, 1.0
        if self.truth.threshold is not None and actual < len(self.truth.labels):
            score, first = _number(predicted), self.scores + actual * self.score_width
            if not math.isnan(score):
                yield first + bisect_left(self.truth.edges, score), 1.0
                yield first + self.score_width - 1, score
        if self.truth.positive is not None:
            positive = self._place(self.truth.positive)
            outcome = (0 if actual == positive else 1) if said == positive else (2 if actual == positive else 3)
            for place, name in enumerate(self.group_names):
                attribute, _, value = name.partition("/")
                if attribute in group and category_name(group[attribute]) == value:
                    yield self.groups + place * len(OUTCOMES) + outcome, 1.0

    def _errors(self, predicted: object, label: object) -> Cells:
        error = _number(predicted) - _number(label)
        if abs(error) < 1e60:  # false for NaN too; beyond it, the fourth power would be infinite for ever
            for offset, amount in enumerate((1.0, abs(error), error**2, error**4)):
                yield self.table + offset, amount

    def _class_of(self, predicted: object) -> str:
        if self.truth.threshold is None:
            return category_name(predicted)
        score = _number(predicted)
        if math.isnan(score):
            return OTHER
        return self.truth.labels[1] if score >= self.truth.threshold else self.truth.labels[0]

    def _place(self, name: str) -> int:
        names = self.names
        return names.index(name) if name in names else len(names) - 1


def _groups(groups: Mapping[str, Sequence[str]] | None) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((attribute, tuple(values)) for attribute, values in (groups or {}).items())


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan
