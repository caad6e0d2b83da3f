"""What the command line says when a cluster refuses, breaks, or is the pod's own."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest
from kubernetes import client
from urllib3.exceptions import ReadTimeoutError

from modelward.api.resources import MODELS
from modelward.cli.cluster import UNREACHABLE, Cluster, ClusterError, connect


class Faulty(client.ApiClient):
    """A client whose answer is given."""

    def __init__(self, answer, **headers):
        super().__init__(client.Configuration(host="https://cluster.example"))
        self.answer = answer
        self.headers = headers

    def call_api(self, *arguments, **named):
        if isinstance(self.answer, Exception):
            raise self.answer
        status, body = self.answer
        stream = SimpleNamespace(stream=lambda _: iter([body[:7], body[7:]]), close=lambda: None)
        return SimpleNamespace(status=status, headers=self.headers, read=lambda: body, response=stream)


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        ((401, b'{"message": "Unauthorized"}'), 1, "https://cluster.example does not accept these credentials"),
        ((403, b'{"message": "nobody may."}'), 1, "nobody may. Ask who runs the cluster for that right."),
        ((404, b"404 page not found\n"), 1, "does not know models.modelward.dev: install the CRDs"),
        ((429, b'{"message": "slow down"}'), 1, "is overloaded or broken: 429 slow down. Try again."),
        ((502, b"<html>Bad Gateway</html>"), 1, "is overloaded or broken: 502 <html>Bad Gateway</html>. Try again."),
        ((200, b"<html>Sign in</html>"), 1, "https://cluster.example does not answer as a cluster does"),
        (client.ApiException(0, "SSLError"), UNREACHABLE, "https://cluster.example gives no answer: SSLError. Look"),
        (ReadTimeoutError(None, "/", "Read timed out."), UNREACHABLE, "https://cluster.example gives no answer"),
    ],
    ids=[
        "no credentials",
        "no right",
        "no such kind",
        "throttled",
        "a broken proxy",
        "a sign-in page",
        "no trust",
        "slow",
    ],
)
def test_what_a_cluster_answers_is_said_with_a_remedy(answer, code, says):
    with pytest.raises(ClusterError) as failure:
        Cluster(Faulty(answer), "lending").list(MODELS)
    assert says in failure.value.message
    assert failure.value.exit_code == code


@pytest.mark.parametrize("line", [b"<html>Sign in</html>\n", b"{}\n", b'{"type": "MODIFIED", "object": null}\n'])
def test_a_watch_that_brings_no_events_is_an_answer_of_somebody_else(line):
    with pytest.raises(ClusterError, match="answers a watch with what is no event") as failure:
        list(Cluster(Faulty((200, line)), "lending").watch(MODELS, "1"))
    assert failure.value.exit_code == UNREACHABLE


NOTHING = (200, b'{"items": []}')


@pytest.mark.parametrize("wrong_by", [timedelta(minutes=-10), timedelta(hours=3)], ids=["behind", "ahead"])
def test_it_is_as_late_as_the_server_says_where_the_clock_here_is_wrong(wrong_by):
    there = datetime.now(UTC) - wrong_by
    cluster = Cluster(Faulty(NOTHING, Date=format_datetime(there, usegmt=True)), "lending")
    cluster.list(MODELS)
    assert abs(cluster.now() - there) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "headers", [{}, {"Date": "soon"}, {"Date": "Sun, 01 Nov 2026 09:00:00"}], ids=["none", "unreadable", "no zone"]
)
def test_without_the_time_of_the_server_it_is_as_late_as_here(headers):
    cluster = Cluster(Faulty(NOTHING, **headers), "lending")
    cluster.list(MODELS)
    assert abs(cluster.now() - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_pod_talks_to_its_own_cluster_in_its_own_namespace(monkeypatch, tmp_path):
    (tmp_path / "namespace").write_text("lending\n")
    monkeypatch.setattr("modelward.cli.cluster._POD_NAMESPACE", tmp_path / "namespace")
    monkeypatch.setattr("modelward.cli.cluster.config.load_incluster_config", lambda **_: None)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    assert connect().namespace == "lending"
    assert connect(namespace="risk").namespace == "risk"
