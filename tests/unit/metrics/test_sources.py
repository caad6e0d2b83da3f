"""The platform's file of Prometheus servers."""

from pathlib import Path

import pytest
from aiohttp import web

from modelward.api.model import MetricsEndpoint
from modelward.metrics.presets import PresetsInvalid
from modelward.metrics.reader import open_reader
from modelward.metrics.sources import Sources, SourcesInvalid, load_sources
from modelward.stats.readings import PodTarget
from tests.unit.metrics.loopback import serving

ENTRY = "prometheusSources: [{name: main, url: 'http://a'"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "sources.yaml"
    path.write_text(text)
    return path


async def test_configured_servers_are_known_by_name(tmp_path: Path) -> None:
    path = written(tmp_path, "prometheusSources: [{name: main, url: 'http://prometheus:9090', maxStaleness: 90s}]")
    assert load_sources(path).prometheus["main"].max_staleness == 90
    async with open_reader(path):
        pass


async def test_only_policies_query_a_source_unless_it_says_that_models_may(tmp_path: Path) -> None:
    text = """
    prometheusSources:
      - {name: platform, url: "http://a"}
      - {name: strict, url: "http://b", queries: Policies}
      - {name: tenant, url: "http://c", queries: Models}
    """
    async with open_reader(written(tmp_path, text)) as reader:
        assert reader.closed_sources == {"platform", "strict"}


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
        ("prometheusSources: [{name: main, url: 'http://a', queries: Everyone}]", "queries"),
        (f"{ENTRY}, username: ada}}]", "username and passwordFile belong together"),
        (f"{ENTRY}, username: ada, passwordFile: /p, bearerTokenFile: /t}}]", "exclude each other"),
        (f"{ENTRY}, keyFile: /k}}]", "keyFile needs certFile"),
        (ENTRY + ', headers: {X: "a\\nb"}}]', "headers"),
        ("pods: {scheme: ftp}", "pods.scheme"),
        ("pods: {tokenFile: /t}", "pods.tokenFile"),
        ("prometheusSources: [{name: a, url: 'http://a'}, {name: a, url: 'http://b'}]", "same name"),
    ],
    ids=[
        "not YAML",
        "no URL",
        "not http",
        "misspelt field",
        "queries of nobody",
        "user without password",
        "two credentials",
        "key alone",
        "two lines",
        "unknown scheme",
        "misspelt field of pods",
        "name twice",
    ],
)
def test_a_wrong_file_says_where(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(SourcesInvalid, match=sentence):
        load_sources(written(tmp_path, text))


async def test_an_unreadable_certificate_names_the_source(tmp_path: Path) -> None:
    path = written(tmp_path, "prometheusSources: [{name: main, url: 'https://a', caFile: /nowhere/ca.crt}]")
    with pytest.raises(SourcesInvalid, match=r"main: the certificates in /nowhere/ca\.crt"):
        async with open_reader(path):
            pass


def test_access_to_pods_is_configured_once_for_all_of_them(tmp_path: Path) -> None:
    access = load_sources(
        written(tmp_path, "pods: {scheme: https, bearerTokenFile: /t, serverName: pods.example}")
    ).pods
    assert access.https and access.credentials.bearer_token_file == Path("/t")
    assert access.credentials.server_name == "pods.example"


async def test_a_model_may_name_a_preset_of_the_platform(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("name: scorer\ncounters: [{series: requests, metric: calls_total}]")

    async def handler(_: web.Request) -> web.Response:
        return web.Response(text="calls_total 7\n")

    pod = PodTarget(name="a", namespace="lending", address="127.0.0.1", started_at=1.0)
    async with serving(handler) as port, open_reader(None, tmp_path) as reader:
        endpoint = MetricsEndpoint(port=port, preset="scorer")
        reading = await reader.read("v2", (pod,), endpoint, ("requests", "errors"), now=2.0)
    assert reading.pods[0].series == {"requests": 7}
    assert reading.absent == {
        "errors": "preset scorer has no count of failed requests: add a rule for series errors to the preset, or take the gate out"
    }


async def test_a_wrong_preset_of_the_platform_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("name: scorer")
    with pytest.raises(PresetsInvalid, match=r"own\.yaml: counters"):
        async with open_reader(None, tmp_path):
            pass
