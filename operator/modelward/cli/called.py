"""By which name the command was called: `modelward`, or `kubectl modelward` by way of kubectl's plugins."""

import sys
from pathlib import PurePath

NAME = "modelward"
_PLUGIN = ("kubectl-", "kubectl_")


def called_as() -> str:
    """What a user types before the name of a command; kubectl starts a plugin by the path of its file."""
    return f"kubectl {NAME}" if PurePath(sys.argv[0]).name.startswith(_PLUGIN) else NAME
