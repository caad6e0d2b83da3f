"""Links between pages lead somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
PAGES = [
    *sorted(REPOSITORY.glob("*.md")),
    *sorted((REPOSITORY / "docs").rglob("*.md")),
    *sorted((REPOSITORY / "examples").rglob("*.md")),
]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_relative_links_of_a_page_resolve(page: Path) -> None:
    assert [link for link in _relative_links(page) if not _resolves(page, link)] == []


def test_every_page_of_the_docs_is_reached_from_their_index() -> None:
    docs = REPOSITORY / "docs"
    reached, following = set[Path](), {docs / "README.md"}
    while following:
        page = following.pop()
        reached.add(page)
        linked = {(page.parent / link.partition("#")[0]).resolve() for link in _relative_links(page)}
        following |= {other for other in linked if other.suffix == ".md" and other.is_relative_to(docs)} - reached
    assert {page for page in PAGES if page.is_relative_to(docs)} <= reached


def _relative_links(page: Path) -> Iterator[str]:
    text = CODE.sub("", page.read_text("utf-8"))
    return (link for link in LINK.findall(text) if "://" not in link and not link.startswith("mailto:"))


def _resolves(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.exists() and (not anchor or anchor in _anchors(target))


def _anchors(page: Path) -> set[str]:
    """As GitHub makes them from headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
