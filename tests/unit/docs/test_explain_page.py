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
    command, shown = blocks()[0]
    assert printed(monkeypatch, command) == shown


def test_the_page_shows_a_part_of_the_wide_form(monkeypatch):
    command, (*shown, rest) = blocks()[1]
    lines = printed(monkeypatch, command)
    start = lines.index(shown[0])
    assert lines[start : start + len(shown)] == shown
    assert rest == "..."


def blocks():
    found = re.findall(r"```console\n\$ modelward (.*?)\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return [(command, text.splitlines()) for command, text in found]


def printed(monkeypatch, command):
    monkeypatch.setattr("modelward.cli.explain.connect", lambda *_: Fed())
    output = CliRunner().invoke(app, command.split()).stdout
    return [line.rstrip() for line in output.splitlines()]
