"""What to do about a reason: the same words as in docs/reference/conditions.md, from the texts below the constants of api/reasons.py."""

import ast
import re
from functools import cache
from itertools import pairwise
from pathlib import Path

from modelward.api import reasons

_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_READ_ABOVE = re.compile(
    r"^(?:Read the (?:message|sentence)|The (?:message|sentence) (?:says|names|has|lists))[^.]*\.\s*"
)
"""What sends a reader of the reference to the message, which is shown beside the remedy here."""


def remedy_of(reason: str) -> str:
    """The second paragraph of the text below the constant, but for a hint to read the message; empty for a reason that this release
    does not know, and where nothing but the message helps."""
    return _remedies().get(reason, "")


@cache
def _remedies() -> dict[str, str]:
    body = ast.parse(Path(reasons.__file__).read_text("utf-8")).body
    found: dict[str, str] = {}
    for statement, below in pairwise(body):
        if isinstance(statement, ast.Assign) and isinstance(below, ast.Expr):
            text = str(ast.literal_eval(below.value)).partition("\n\n")[2]
            plain = _LINK.sub(r"\1", " ".join(text.split()))
            found[str(ast.literal_eval(statement.value))] = _READ_ABOVE.sub("", plain)
    return found
