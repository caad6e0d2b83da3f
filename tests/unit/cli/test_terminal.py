"""Nothing that others wrote into the cluster steers the terminal of whoever looks at it."""

import json

import pytest
from typer.testing import CliRunner

from modelward.cli.main import app
from modelward.cli.output import Output, print_data, print_next
from modelward.cli.terminal import clean, clean_lines
from tests.unit.cli.statuses import Fed, stored
from tests.unit.lifecycle.builders import model

STEERS = "\x1b]0;owned\x07 \x9b2J \r\x08 \u202e \x7f"


def is_harmless(text):
    return all(character.isprintable() or character == "\n" for character in text)


def test_what_a_terminal_obeys_is_replaced_and_what_people_write_is_not():
    assert clean("\x1b[2J v8: größer als 5 %\n") == "?[2J v8: größer als 5 %?"
    assert clean_lines("one\ntwo\x9b2J") == "one\ntwo?2J"
    assert is_harmless(clean(STEERS))


def test_a_failure_that_repeats_what_the_cluster_says_is_clean(monkeypatch):
    """Of a Model whose condition somebody could write."""
    at_rest, *others = stored(model().serving("v7").requests("v7"))
    at_rest["spec"]["production"]["version"] = "v7"
    for condition in at_rest["status"]["conditions"]:
        condition["message"] = f"{STEERS} is all"
    at_rest["status"]["conditions"] = [
        c for c in at_rest["status"]["conditions"] if c["type"] in ("Serving", "SpecValid")
    ]
    at_rest["status"]["conditions"][-1]["status"] = "False"
    monkeypatch.setattr("modelward.cli.retry.connect", lambda *_: Fed(at_rest, *others))
    result = CliRunner().invoke(app, ["retry", "credit-risk"])
    assert result.exit_code == 1
    assert "is all" in result.stderr
    assert is_harmless(result.stderr)


@pytest.mark.parametrize("shown", [print_data, print_next])
@pytest.mark.parametrize("output", [Output.JSON, Output.YAML])
def test_data_is_spelled_so_that_it_can_be_looked_at_and_read_back(shown, output, capsys):
    shown({"message": "\x1b \x9b2J \x7f ü"}, output)
    printed = capsys.readouterr().out
    assert is_harmless(printed)
    if output is Output.JSON:
        assert json.loads(printed) == {"message": "\x1b \x9b2J \x7f ü"}
