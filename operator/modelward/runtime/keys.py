"""What the queue is keyed by, and the labels that lead from a child to its Model."""

from typing import NamedTuple

MODEL_LABEL = "modelward.dev/model"
VERSION_LABEL = "modelward.dev/version"


class ModelKey(NamedTuple):
    """The one unit of work: everything that belongs to one Model is decided together."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"
