"""What is wrong with a document that does not fit its model, as a part of a sentence: the first thing, because others often follow from it."""

from typing import Any

from pydantic import ValidationError


def first_error(error: ValidationError, whole: str) -> str:
    """Its path and what is wrong there; `whole` is what the document is called where all of it is."""
    path, message, _ = _first(error)
    return f"{path or whole}: {message}"


def first_error_with_value(error: ValidationError, whole: str) -> str:
    """The same, with the beginning of what is there."""
    path, message, value = _first(error)
    return f"{path or whole}: {message} (got {str(value)[:80]!r})"


def _first(error: ValidationError) -> tuple[str, str, Any]:
    first = error.errors(include_url=False)[0]
    return ".".join(str(part) for part in first["loc"]), first["msg"], first.get("input")
