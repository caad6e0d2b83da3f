"""What ``zensical build --strict`` does not look at: pages outside of docs/, links to files, and what the navigation leaves out."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
DOCS = REPOSITORY / "docs"
SITE = tomllib.loads((REPOSITORY / "zensical.toml").read_text("utf-8"))["project"]
PAGES = sorted(DOCS.rglob("*.md"))
OTHER_PAGES = [*sorted(REPOSITORY.glob("*.md")), *sorted((REPOSITORY / "examples").rglob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
SOURCE = re.compile(re.escape(SITE["repo_url"]) + r"/(?:blob|tree)/main/([^#]*)")


def named(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def test_the_navigation_has_every_page_once() -> None:
    assert sorted(_leaves(SITE["nav"])) == [str(page.relative_to(DOCS)) for page in PAGES]


@pytest.mark.parametrize("page", OTHER_PAGES, ids=named)
def test_links_of_a_page_outside_of_the_docs_resolve(page: Path) -> None:
    assert [link for link in _links(page) if not _external(link) and not _resolves(page, link)] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_page_leaves_the_docs_by_an_address_that_works_on_the_site_as_well(page: Path) -> None:
    relative = [link for link in _links(page) if not _external(link)]
    assert [link for link in relative if not _target(page, link).is_relative_to(DOCS)] == []


@pytest.mark.parametrize("page", [*PAGES, *OTHER_PAGES], ids=named)
def test_links_to_the_source_lead_to_files_that_are_there(page: Path) -> None:
    linked = [found[1] for link in _links(page) if (found := SOURCE.match(link))]
    assert [path for path in linked if not (REPOSITORY / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_blocks_in_lists_are_indented_as_both_a_git_host_and_the_site_read_them(page: Path) -> None:
    indents = re.findall(r"^( +)```", page.read_text("utf-8"), re.MULTILINE)
    assert [len(indent) for indent in indents if len(indent) != 4] == []


def _leaves(entries: list[Any]) -> Iterator[str]:
    for entry in entries:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            yield from [value] if isinstance(value, str) else _leaves(value)


def _links(page: Path) -> list[str]:
    return LINK.findall(CODE.sub("", page.read_text("utf-8")))


def _external(link: str) -> bool:
    return "://" in link or link.startswith("mailto:")


def _target(page: Path, link: str) -> Path:
    path = link.partition("#")[0]
    return (page.parent / path).resolve() if path else page


def _resolves(page: Path, link: str) -> bool:
    target, anchor = _target(page, link), link.partition("#")[2]
    return target.exists() and (not anchor or anchor in _anchors(target))


def _anchors(page: Path) -> set[str]:
    """As GitHub makes them from headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
