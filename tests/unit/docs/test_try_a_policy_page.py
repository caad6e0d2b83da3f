"""What docs/how-to/try-a-policy.md shows is what the commands print."""

from pathlib import Path

from typer.testing import CliRunner

from modelward.cli.main import app
from tests.tutorial.console import commands

ROOT = Path(__file__).parents[3]


def test_the_page_shows_what_the_commands_print(monkeypatch, tmp_path):
    [example, replay] = commands((ROOT / "docs/how-to/try-a-policy.md").read_text("utf-8"))
    recording = tmp_path / "recording.jsonl"
    recording.write_text(run(example.text.removesuffix(" > recording.jsonl")))
    monkeypatch.chdir(ROOT)
    printed = run(replay.text.replace("recording.jsonl", str(recording)))
    assert replay.differs(printed) == ""


def run(text):
    result = CliRunner().invoke(app, text.removeprefix("modelward ").split())
    assert result.exit_code == 0, result.output
    return result.stdout
