"""What docs/how-to/explain-a-decision.md shows is what the command prints."""

import re
from pathlib import Path

from typer.testing import CliRunner

from modelward.cli.main import app
from tests.unit.lifecycle.explained import canary, stored

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "explain-a-decision.md"


class Fed:
    """A cluster with one Model and one version."""

    namespace = "lending"

    def __init__(self):
        self.objects = {stored_object["kind"]: stored_object for stored_object in stored(canary())}

    def get(self, resource, name, namespace=None):
        return self.objects[resource.kind]


def test_the_page_shows_what_is_printed(monkeypatch):
    monkeypatch.setattr("modelward.cli.explain.connect", lambda *_: Fed())
    console = re.search(r"```console\n\$ modelward (.*?)\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert console is not None
    printed = CliRunner().invoke(app, console[1].split()).stdout
    assert [line.rstrip() for line in printed.splitlines()] == console[2].splitlines()
