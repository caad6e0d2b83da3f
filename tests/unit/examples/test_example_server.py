"""The example's model server, as a client sees it."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from examples.tumor_screening import train
from tests.unit.examples.conftest import Client

_, HOLDOUT = train.populations()
ROW: list[float] = HOLDOUT.rows[0].tolist()
MIRRORED = {"x-envoy-internal": "true"}
LEAK = {
    "ANSWER_JOURNAL": "on",
    "ANSWER_JOURNAL_INDEXED": "5",
    "ANSWER_JOURNAL_ENTRY_KILOBYTES": "100",
    "ANSWER_JOURNAL_BUDGET_MEGABYTES": "1",
}


def ask(client: TestClient, times: int = 1, headers: dict[str, str] | None = None) -> list[int]:
    return [client.post("/v1/predict", json={"rows": [ROW]}, headers=headers).status_code for _ in range(times)]


@pytest.mark.parametrize("version", ["v1", "v2", "v3", "v4"])
def test_an_answer_names_the_version_that_gave_it(client: Client, version: str) -> None:
    response = client(version).post("/v1/predict", json={"rows": [ROW, ROW]})
    assert response.status_code == 200
    assert response.headers["modelward-version"] == version
    assert len(response.json()["malignant"]) == 2


def test_named_features_get_the_answer_of_the_row(client: Client) -> None:
    server = client("v2")
    named = dict(zip(HOLDOUT.features, ROW, strict=True))
    by_name = server.post("/v1/predict", json={"features": named}).json()
    assert by_name == server.post("/v1/predict", json={"rows": [ROW]}).json()


def test_a_missing_value_is_answered_and_counted(client: Client) -> None:
    server = client("v2")
    assert server.post("/v1/predict", json={"rows": [[None, *ROW[1:]]]}).status_code == 200
    page = server.get("/metrics/").text
    assert 'modelward_feature_missing_total{feature="mean_radius"} 1.0' in page
    assert 'modelward_requests_total{outcome="success"} 1.0' in page


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        pytest.param({"rows": [[1.0, 2.0]]}, "rows of 30 numbers", id="too few columns"),
        pytest.param({"rows": []}, "1 to 100 rows", id="no rows"),
        pytest.param({"rows": [["a"] * 30]}, "list of numbers", id="no numbers"),
        pytest.param({"features": {"weight": 1}}, "unknown features: weight", id="unknown feature"),
        pytest.param([1], "expected", id="no object"),
    ],
)
def test_a_bad_question_is_refused_with_its_reason_and_is_no_error_of_the_model(
    client: Client, body: Any, problem: str
) -> None:
    server = client("v1")
    response = server.post("/v1/predict", json=body)
    assert response.status_code == 422
    assert problem in response.json()["error"]
    assert 'modelward_requests_total{outcome="error"} 0.0' in server.get("/metrics/").text


def test_readiness_is_answered(client: Client) -> None:
    assert client("v1").get("/healthz").status_code == 200


def test_the_leak_does_not_bite_while_only_mirrored_requests_come(client: Client) -> None:
    assert set(ask(client("v4", **LEAK), times=60, headers=MIRRORED)) == {200}


def test_the_leak_fails_requests_only_after_its_budget_is_used_up(client: Client) -> None:
    server = client("v4", **LEAK)
    statuses = ask(server, times=40)
    first_failure = statuses.index(500)
    assert 5 < first_failure < 20  # 5 indexed answers, then 1 MB of documents of about 100 kB
    assert set(statuses[first_failure:]) == {500}
    response = server.post("/v1/predict", json={"rows": [ROW]})
    assert response.headers["modelward-version"] == "v4"
    assert "no room" in response.json()["error"]
    assert 'modelward_requests_total{outcome="error"}' in server.get("/metrics/").text


def test_a_version_without_the_journal_does_not_decay(client: Client) -> None:
    assert set(ask(client("v2"), times=40)) == {200}


def test_a_repeated_request_gets_the_answer_it_got_before(client: Client) -> None:
    server = client("v4", **LEAK)
    for request in ("indexed", *(f"filler-{number}" for number in range(5)), "spilled"):
        server.post("/v1/predict", json={"rows": [ROW]}, headers={"x-request-id": request})
    other = {"rows": [HOLDOUT.rows[1].tolist()]}
    fresh = server.post("/v1/predict", json=other).json()
    for request in ("indexed", "spilled"):
        assert server.post("/v1/predict", json=other, headers={"x-request-id": request}).json() != fresh
