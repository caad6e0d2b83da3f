"""The platform's file of Prometheus servers."""

from pathlib import Path

import pytest

from modelward.metrics.reader import open_reader
from modelward.metrics.sources import Sources, SourcesInvalid, load_sources


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "sources.yaml"
    path.write_text(text)
    return path


async def test_configured_servers_are_known_by_name(tmp_path: Path) -> None:
    path = written(tmp_path, "prometheusSources: [{name: main, url: 'http://prometheus:9090', maxStaleness: 90s}]")
    assert load_sources(path).prometheus["main"].max_staleness == 90
    async with open_reader(path):
        pass


@pytest.mark.parametrize("text", ["", "prometheusSources: []"], ids=["empty", "no entry"])
def test_no_server_is_fine(tmp_path: Path, text: str) -> None:
    assert load_sources(written(tmp_path, text)) == Sources()
    assert load_sources(None) == Sources()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("prometheusSources: [", "sources.yaml"),
        ("prometheusSources: [{name: main}]", "url"),
        ("prometheusSources: [{name: main, url: 'file:///etc/passwd'}]", "url"),
        ("prometheusSources: [{name: main, url: 'http://a', tokn: b}]", "tokn"),
        ("prometheusSources: [{name: a, url: 'http://a'}, {name: a, url: 'http://b'}]", "same name"),
    ],
    ids=["not YAML", "no URL", "not http", "misspelt field", "name twice"],
)
def test_a_wrong_file_says_where(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(SourcesInvalid, match=sentence):
        load_sources(written(tmp_path, text))


async def test_an_unreadable_certificate_names_the_source(tmp_path: Path) -> None:
    path = written(tmp_path, "prometheusSources: [{name: main, url: 'https://a', caFile: /nowhere/ca.crt}]")
    with pytest.raises(SourcesInvalid, match=r"main: the certificates in /nowhere/ca\.crt"):
        async with open_reader(path):
            pass
