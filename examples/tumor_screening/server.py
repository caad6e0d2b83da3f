"""The model server: Starlette, one artifact, measured by `modelward.instrument`.

Started by ``uvicorn --factory examples.tumor_screening.server:application --workers 2``. The operator says in
MODELWARD_VERSION which version this pod is, and that picks the artifact below ARTIFACTS.
"""

import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast
from uuid import uuid4

import joblib
import numpy as np
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from examples.tumor_screening.journal import AnswerJournal, JournalSettings
from modelward.instrument import VERSION_HEADER, Monitor

MOST_ROWS = 100


class Classifier(Protocol):
    """What of a scikit-learn pipeline is used."""

    def predict_proba(self, X: NDArray[np.float64]) -> NDArray[np.float64]: ...


@dataclass(frozen=True)
class Screening:
    """One version, ready to answer."""

    classifier: Classifier
    features: tuple[str, ...]
    monitor: Monitor
    journal: AnswerJournal | None = None


class BadQuestion(ValueError):
    """The request's body is not a question that this model can answer; the message is for its sender."""


def application() -> Starlette:
    """What uvicorn starts, in each worker process."""
    artifact = Path(os.environ.get("ARTIFACTS", "/artifacts")) / os.environ["MODELWARD_VERSION"]
    monitor = Monitor.from_baseline(artifact / "baseline.json")
    metrics_port = int(os.environ.get("METRICS_PORT", "9090"))
    return serving(load(artifact, monitor, os.environ), before=lambda: monitor.serve(port=metrics_port))


def load(artifact: Path, monitor: Monitor, environment: Mapping[str, str]) -> Screening:
    """Read one version's artifact; the environment says whether it keeps a journal of its answers."""
    settings = JournalSettings.from_environment(environment)
    return Screening(
        classifier=cast(Classifier, joblib.load(artifact / "model.joblib")),
        features=feature_names(artifact / "baseline.json"),
        monitor=monitor,
        journal=AnswerJournal(settings) if settings else None,
    )


def feature_names(baseline: Path) -> tuple[str, ...]:
    """The features in the order of training, which is the baseline's."""
    return tuple(feature["name"] for feature in json.loads(baseline.read_text())["features"])


def serving(screening: Screening, before: Callable[[], object] = lambda: None) -> Starlette:
    """The ASGI application of one version; `before` runs once before the first request."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        before()
        yield

    async def predict(request: Request) -> Response:
        try:
            rows = rows_of(await request.json(), screening.features)
        except ValueError as problem:
            return _named(screening, JSONResponse({"error": str(problem)}, status_code=422))
        try:
            scores = answer(screening, rows, request.headers)
        except Exception as problem:
            return _named(screening, JSONResponse({"error": str(problem)}, status_code=500))
        return _named(screening, JSONResponse({"version": screening.monitor.version, "malignant": scores}))

    async def healthy(_: Request) -> Response:
        return PlainTextResponse("ok")

    return Starlette(
        routes=[Route("/v1/predict", predict, methods=["POST"]), Route("/healthz", healthy)], lifespan=lifespan
    )


def answer(screening: Screening, rows: NDArray[np.float64], headers: Mapping[str, str]) -> list[float]:
    """The probability of malignancy of each row, measured."""
    with screening.monitor.request() as measured:
        measured.features(rows)
        scores = _scores(screening, rows, headers)
        measured.prediction(scores)
        return scores


def rows_of(body: Any, features: Sequence[str]) -> NDArray[np.float64]:
    """The rows of a question: ``{"rows": [[…], …]}``, or ``{"features": {name: number}}`` for one row.

    A null, or a feature that is left out, is a missing value.

    Raises:
        BadQuestion: when the body is neither.
    """
    if not isinstance(body, dict):
        raise BadQuestion('expected {"rows": [[…]]} or {"features": {…}}')
    question = cast(dict[str, Any], body)
    if isinstance(named := question.get("features"), dict):
        given = cast(dict[str, Any], named)
        if unknown := sorted(set(given) - set(features)):
            raise BadQuestion(f"unknown features: {', '.join(unknown)}")
        rows: Any = [[given.get(name) for name in features]]
    else:
        rows = question.get("rows")
    return _matrix(rows, len(features))


def is_mirrored(headers: Mapping[str, str]) -> bool:
    """Whether a gateway made this copy of a request for a shadow: Envoy marks what it sends itself as internal."""
    return headers.get("x-envoy-internal") == "true"


def _matrix(rows: Any, width: int) -> NDArray[np.float64]:
    try:
        matrix = np.array(rows, dtype=np.float64)
    except (TypeError, ValueError):
        raise BadQuestion("every row must be a list of numbers") from None
    if matrix.ndim != 2 or matrix.shape[1] != width or not 1 <= len(matrix) <= MOST_ROWS:
        raise BadQuestion(f"expected 1 to {MOST_ROWS} rows of {width} numbers")
    if np.isinf(matrix).any():
        raise BadQuestion("numbers must be finite")
    return matrix


def _scores(screening: Screening, rows: NDArray[np.float64], headers: Mapping[str, str]) -> list[float]:
    journal = screening.journal
    if journal is None or is_mirrored(headers):
        return _predicted(screening, rows)
    request = headers.get("x-request-id") or str(uuid4())
    if (known := journal.recall(request)) is not None:
        return known
    scores = _predicted(screening, rows)
    journal.remember(request, rows.tolist(), scores)
    return scores


def _predicted(screening: Screening, rows: NDArray[np.float64]) -> list[float]:
    return [round(float(score), 6) for score in screening.classifier.predict_proba(rows)[:, 1]]


def _named(screening: Screening, response: Response) -> Response:
    response.headers[VERSION_HEADER] = screening.monitor.version
    return response
