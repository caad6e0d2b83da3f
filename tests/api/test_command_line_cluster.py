"""The connection of all commands, with a real API server: what it reads and creates, and what it says when it cannot."""

import pathlib
from datetime import UTC, datetime, timedelta

import pytest

from modelward.api.resources import CONFIG_MAPS, MODELS, Resource
from modelward.cli.cluster import ALL_NAMESPACES, UNREACHABLE, Cluster, ClusterError, Forbidden, NotServed, connect


def _config_map(name, **labels):
    return {"metadata": {"name": name, "labels": labels}, "data": {"key": "value"}}


@pytest.fixture
def cluster(api_server) -> Cluster:
    return connect(kubeconfig=api_server.kubeconfig, namespace=api_server.namespace())


def test_what_is_created_can_be_read_and_listed(cluster):
    cluster.create(CONFIG_MAPS, _config_map("one", colour="red"))
    cluster.create(CONFIG_MAPS, _config_map("two"))
    found = cluster.get(CONFIG_MAPS, "one")
    assert found is not None
    assert found["data"] == {"key": "value"}
    assert [item["metadata"]["name"] for item in cluster.list(CONFIG_MAPS, selector="colour=red")] == ["one"]
    assert {"one", "two"} <= {item["metadata"]["name"] for item in cluster.list(CONFIG_MAPS, ALL_NAMESPACES)}
    assert cluster.get(CONFIG_MAPS, "three") is None


def test_a_list_longer_than_a_page_comes_whole(cluster, monkeypatch):
    monkeypatch.setattr("modelward.cli.cluster.PAGE_SIZE", 2)
    for index in range(5):
        cluster.create(CONFIG_MAPS, _config_map(f"map-{index}"))
    assert len(cluster.list(CONFIG_MAPS)) == 5


def test_a_field_that_nobody_knows_is_refused_and_nothing_is_kept(cluster):
    with pytest.raises(ClusterError, match=r'unknown field "spec\.nonsense"'):
        cluster.create(MODELS, {"metadata": {"name": "bare"}, "spec": {"nonsense": 1}})
    assert cluster.get(MODELS, "bare") is None


def test_a_page_comes_as_it_is_with_the_servers_time(cluster):
    page = cluster.page("/readyz")
    assert page.text == "ok"
    assert page.date is not None and abs(page.date - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_page_that_is_not_there_is_told_apart_from_one_that_is_not_allowed(cluster, api_server):
    with pytest.raises(NotServed):
        cluster.page("/apis/nobody.example/v1")
    with pytest.raises(Forbidden, match="Ask who runs the cluster for that right"):
        connect("ada", api_server.kubeconfig).page("/api/v1/nodes")


def test_the_name_of_the_caller_is_that_of_the_context(api_server):
    assert connect("ada", api_server.kubeconfig).whoami() == "ada"


def test_a_taken_name_says_so(cluster):
    cluster.create(CONFIG_MAPS, _config_map("one"))
    with pytest.raises(ClusterError, match=r'"one" already exists. Choose another name'):
        cluster.create(CONFIG_MAPS, _config_map("one"))


def test_a_missing_right_is_named(api_server):
    with pytest.raises(ClusterError, match=r'"ada" cannot get resource "models".*Ask who runs the cluster') as failure:
        connect("ada", api_server.kubeconfig).get(MODELS, "credit-risk")
    assert failure.value.exit_code == 1


def test_a_kind_that_is_not_installed_says_what_to_install(cluster):
    for group in ("modelward.dev", "nobody.example"):
        with pytest.raises(ClusterError, match=f"does not know things.{group}: install the CRDs"):
            cluster.get(Resource(group, "v1alpha1", "things", "Thing"), "one")


def test_a_server_that_is_not_there_is_told_apart_from_a_refusal(api_server, tmp_path):
    text = api_server.kubeconfig.read_text("utf-8").replace(api_server.url, "https://127.0.0.1:9")
    path = tmp_path / "kubeconfig"
    path.write_text(text, "utf-8")
    with pytest.raises(ClusterError, match=r"https://127\.0\.0\.1:9 gives no answer: .*--context") as failure:
        connect(kubeconfig=path).whoami()
    assert failure.value.exit_code == UNREACHABLE


@pytest.mark.parametrize(
    ("content", "context", "expected"),
    [
        (None, "", "there is no kubeconfig file"),
        ("", "", "there is no cluster to talk to"),
        ("clusters: [", "", "there is no cluster to talk to"),
        ("whole", "nobody", "there is no cluster to talk to: .*nobody.*Set KUBECONFIG"),
    ],
    ids=["no file", "empty", "not YAML", "unknown context"],
)
def test_a_useless_kubeconfig_says_what_to_set(api_server, tmp_path: pathlib.Path, content, context, expected):
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_text(api_server.kubeconfig.read_text("utf-8") if content == "whole" else content, "utf-8")
    with pytest.raises(ClusterError, match=expected):
        connect(context, path)
