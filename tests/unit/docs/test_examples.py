"""Manifests in the documentation are what `modelward lint` takes.

In them, ``sha256:…`` stands for a digest, and ``{…}`` for what the page leaves out.
"""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from pydantic.alias_generators import to_camel

from modelward.lifecycle.gates.registry import KINDS
from modelward.lifecycle.gates.unimplemented import UnimplementedKind
from modelward.manifests.documents import read_text
from modelward.manifests.finding import Finding, Rule
from modelward.manifests.lint import lint

REPOSITORY = Path(__file__).resolve().parents[3]
DOCS = REPOSITORY / "docs"
PAGES = [
    *sorted(page for page in DOCS.rglob("*.md") if page.parent.name != "reference"),
    *sorted(REPOSITORY.glob("*.md")),
]
ELSEWHERE = {Rule.REFERENCE, Rule.NOT_JUDGED}
"""What a page need not show: the objects around, and policies."""

GATES = [to_camel(name) for name, kind in KINDS.items() if not isinstance(kind, UnimplementedKind)]


def manifests(page: Path) -> list[Token]:
    blocks = (token for token in MarkdownIt().parse(page.read_text("utf-8")) if token.type == "fence")
    return [block for block in blocks if block.info == "yaml" and "apiVersion: modelward.dev/" in block.content]


def findings(page: Path) -> list[Finding]:
    """Of all blocks of a page, as files of one folder; lines are those of the page."""
    text = ""
    for block in manifests(page):
        assert block.map is not None
        lines_before = block.map[0] + 1 - text.count("\n")
        text += "---" + "\n" * lines_before + _filled_in(block.content)
    found = lint(read_text(text, str(page.relative_to(REPOSITORY))), (), "default", datetime.now(UTC)).findings
    return [finding for finding in found if finding.rule not in ELSEWHERE]


def _filled_in(text: str) -> str:
    lines = (line for line in text.splitlines(keepends=True) if "{…}" not in line)
    return "".join(lines).replace("sha256:…", "sha256:" + "0" * 64)


@pytest.mark.parametrize("page", [page for page in PAGES if manifests(page)], ids=lambda page: page.name)
def test_manifests_of_a_page_are_valid(page: Path) -> None:
    assert [f"{finding.place}: {finding.field}: {finding.message}" for finding in findings(page)] == []


def test_a_manifest_that_is_not_valid_is_found_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Page\n\n```yaml\napiVersion: modelward.dev/v1alpha1\nkind: Model\nmetadata: {name: churn}\nspec: {riskTeir: Low}\n```\n"
    )
    monkeypatch.setattr(f"{__name__}.REPOSITORY", tmp_path)
    (finding,) = findings(page)
    assert (finding.place.line, finding.field) == (7, "spec.riskTeir")


@pytest.mark.parametrize("kind", GATES)
def test_every_kind_of_gate_is_shown_in_a_manifest_of_a_how_to(kind: str) -> None:
    pages = sorted((DOCS / "how-to").glob("gate-on-*.md"))
    shown = [page.name for page in pages for block in manifests(page) if f"{kind}:" in block.content]
    assert shown
