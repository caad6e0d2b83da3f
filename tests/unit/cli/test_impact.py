"""`modelward impact`: what a person reads, what a program reads, and the exit code of a script."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from modelward.cli.main import app
from tests.unit.governance.test_lineage import DATA, MODELS, VERSIONS


class Fed:
    """A cluster with Models and ModelVersions in it."""

    namespace = "lending"

    def list(self, resource: Any, namespace: str = "", selector: str = "") -> list[dict[str, Any]]:
        objects = {"Model": MODELS, "ModelVersion": VERSIONS}.get(resource.kind, [])
        return [o for o in objects if namespace in ("*", o["metadata"]["namespace"])]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("modelward.cli.impact.connect", lambda *_: Fed())
    return lambda *arguments, **env: CliRunner().invoke(app, ["impact", *arguments], env=env)


def test_a_person_reads_a_tree_from_the_data_set_to_those_who_rely_on_it(run: Any) -> None:
    result = run("--dataset", "applications")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "dataset applications",
        "  lending/score  Low, owner score-team <score@example.com>, serves v2 (Production), users affected now",
        "    v2  Production, 100 % of requests: made from data set applications, version 2026-10",
        "    v1  Registered: made from data set applications, version 2026-10",
        "    consumer loan-desk (retail, desk@example.com)",
        "    lending/limit  Low, owner limit-team <limit@example.com>, serves v1 (Production), users affected now,"
        " relies on lending/score",
        "      consumer cards",
        "      pricing/pricing  Low, owner pricing-team <pricing@example.com>, serves v1 (Production), users affected now,"
        " relies on lending/limit",
        "",
        "3 Models (3 with users affected now), 2 versions, 2 consumers.",
    ]


def test_a_terminal_gets_branches(run: Any) -> None:
    assert "└── " in run("--dataset", "applications", FORCE_COLOR="1", TERM="xterm-256color", COLUMNS="160").stdout


def test_a_program_reads_the_same_as_data(run: Any) -> None:
    found = json.loads(run("--dataset", DATA, "-n", "lending", "-o", "json").stdout)
    assert [model["name"] for model in found["models"] if model["affectedNow"]] == ["score", "limit"]
    assert found["models"][1]["via"] == {"namespace": "lending", "name": "score"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        pytest.param("aplications", "Did you mean applications?", id="a slip"),
        pytest.param("zzz", "none is like it", id="nothing near"),
    ],
)
def test_nothing_found_is_told_by_the_exit_code_and_in_words(run: Any, asked: str, said: str) -> None:
    result = run("--dataset", asked)
    assert result.exit_code == 1
    assert said in result.stdout


@pytest.mark.parametrize("given", [(), ("--dataset", "a", "--model", "b")], ids=["nothing", "two things"])
def test_exactly_one_thing_is_asked_about(run: Any, given: tuple[str, ...]) -> None:
    assert run(*given).exit_code == 2
