"""What to do about a reason: the same words as in docs/reference/conditions.md, from the texts below the constants of api/reasons.py."""

import ast
import re
from functools import cache
from itertools import pairwise
from pathlib import Path

from modelward.api import reasons

_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


def remedy_of(reason: str) -> str:
    """The second paragraph of the text below the constant; empty for a reason that this release does not know."""
    return _remedies().get(reason, "")


@cache
def _remedies() -> dict[str, str]:
    body = ast.parse(Path(reasons.__file__).read_text("utf-8")).body
    found: dict[str, str] = {}
    for statement, below in pairwise(body):
        if isinstance(statement, ast.Assign) and isinstance(below, ast.Expr):
            text = str(ast.literal_eval(below.value)).partition("\n\n")[2]
            found[str(ast.literal_eval(statement.value))] = _LINK.sub(r"\1", " ".join(text.split()))
    return found
