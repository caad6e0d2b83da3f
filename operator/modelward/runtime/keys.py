"""What the queue is keyed by."""

from typing import NamedTuple


class ModelKey(NamedTuple):
    """The one unit of work: everything that belongs to one Model is decided together."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"
