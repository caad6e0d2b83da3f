"""The monitor of a model server: opened once per process, asked for a `request()` per request."""

import json
import os
import threading
import time
import weakref
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from prometheus_client import CollectorRegistry, Metric, make_asgi_app

from modelward.instrument.cells import Cells, PrivateCells, SharedCells
from modelward.instrument.counting import columns_of, count_column, count_row, way_of
from modelward.instrument.families import families
from modelward.instrument.layout import (
    LATENCY_BUCKETS,
    Quantity,
    category_name,
    features_of,
    lay_out,
    prediction_of,
)
from modelward.instrument.predictions import CAPACITY, Predictions, PredictionsInFile, PredictionsInMemory
from modelward.instrument.server import MetricsServer
from modelward.instrument.truth import LOST, MATCHED, UNKNOWN, Truth, TruthBlock

VERSION_HEADER = "modelward-version"
"""The response header that names the version that answered; its value is `monitor.version`."""

DIRECTORY_VARIABLE = "MODELWARD_METRICS_DIRECTORY"


class Monitor:
    """Counts what a server does and shows it on a Prometheus page.

    With several worker processes per pod, give them one `directory`, by argument or MODELWARD_METRICS_DIRECTORY: each
    then counts into a file of its own there, and each answers a scrape with the sum of all.

    Args:
        features: numeric and categorical inputs, in the order of a row.
        prediction: what the model answers; None if it is not counted.
        model, version: by default what the operator set in MODELWARD_MODEL and MODELWARD_VERSION.
        latency_buckets: in seconds; put the objective of a latency gate on one of them.
        directory: shared by the worker processes of one pod.
        truth: what labels that come back are compared with; None if no feedback is counted.
        predictions: a file that keeps predictions until then, such as one on a volume; by default they are kept in `directory`,
            or else in memory.
        remember: at most so many predictions are kept.
    """

    def __init__(
        self,
        features: Sequence[Quantity] = (),
        prediction: Quantity | None = None,
        *,
        model: str | None = None,
        version: str | None = None,
        latency_buckets: Sequence[float] = LATENCY_BUCKETS,
        directory: str | Path | None = None,
        truth: Truth | None = None,
        predictions: str | Path | None = None,
        remember: int = CAPACITY,
    ) -> None:
        self.model = model if model is not None else os.environ.get("MODELWARD_MODEL", "")
        self.version = version if version is not None else os.environ.get("MODELWARD_VERSION", "")
        identity = (self.model, self.version, *((repr(truth),) if truth is not None else ()))
        self._layout = lay_out(features, prediction, latency_buckets, identity)
        self._truth = TruthBlock(truth, self._layout.size) if truth is not None else None
        size = self._layout.size if self._truth is None else self._truth.end
        self._columns = columns_of(self._layout.features)
        self._latency = way_of(self._layout.latency)
        self._prediction = way_of(self._layout.prediction) if self._layout.prediction is not None else None
        chosen = directory or os.environ.get(DIRECTORY_VARIABLE)
        self._is_shared = bool(chosen)
        self._cells: Cells = SharedCells(Path(chosen), self._layout.digest, size) if chosen else PrivateCells(size)
        file = predictions or (Path(chosen) / f"modelward-{self._layout.digest}.predictions" if chosen else None)
        self._predictions: Predictions = (
            PredictionsInFile(Path(file), remember, self.version)
            if file and truth is not None
            else PredictionsInMemory(remember)
        )
        self._lock = threading.Lock()
        _monitors.add(self)

    @classmethod
    def from_baseline(
        cls,
        baseline: str | Path | Mapping[str, Any],
        *,
        model: str | None = None,
        version: str | None = None,
        latency_buckets: Sequence[float] = LATENCY_BUCKETS,
        directory: str | Path | None = None,
        truth: Truth | None = None,
        predictions: str | Path | None = None,
        remember: int = CAPACITY,
    ) -> Self:
        """A monitor for the `baseline` of a ModelVersion: JSON as `modelward baseline` writes it, or its content.

        Raises:
            ValueError: the baseline contradicts itself; the message names the feature.
        """
        document: Any = baseline if isinstance(baseline, Mapping) else json.loads(Path(baseline).read_text("utf-8"))
        recorded: Mapping[str, Any] = document.get("baseline", document)
        return cls(
            tuple(features_of(recorded)),
            prediction_of(recorded),
            model=model,
            version=version,
            latency_buckets=latency_buckets,
            directory=directory,
            truth=truth,
            predictions=predictions,
            remember=remember,
        )

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features, in the order of a row."""
        return self._columns.names

    def request(self) -> "Request":
        """A context for one request: its time is the latency, an exception that leaves it an error."""
        return Request(self)

    def serve(self, port: int = 9090, address: str = "") -> MetricsServer:
        """Show the page on a port of its own, from a thread. With a shared directory, every worker may call this."""
        return MetricsServer(self.registry(), address, port, shared=self._is_shared)

    def asgi_app(self) -> Any:
        """The page as an ASGI application, to mount in the server itself."""
        return make_asgi_app(self.registry())

    def registry(self) -> CollectorRegistry:
        """A registry with this monitor alone; to add it to another one, `registry.register(monitor)`."""
        registry = CollectorRegistry()
        registry.register(self)
        return registry

    def collect(self) -> Iterator[Metric]:
        """All metric families, for a registry of prometheus-client."""
        with self._lock:
            numbers = self._cells.total()
        return families(self._layout, self._truth, numbers, self.model, self.version)

    def count_features(self, values: Any) -> None:
        """Count one row or a batch of rows; see `Request.features`."""
        ways, names = self._columns.ways, self._columns.names
        if isinstance(values, Mapping):
            row: Any = [values.get(name) for name in names]
        elif hasattr(values, "columns"):  # a DataFrame, of whichever library
            self._count_columns([values[name] if name in values.columns else [None] * len(values) for name in names])
            return
        elif getattr(values, "ndim", 1) == 2:
            self._check_width(values.shape[1])
            self._count_columns(list(values.T))
            return
        else:
            # Plain floats are far faster in the loop than numpy's scalars.
            row = values.tolist() if hasattr(values, "tolist") else values
            if len(row) and isinstance(row[0], list | tuple):
                for one in row:
                    self._check_width(len(one))
                self._count_columns(list(zip(*row, strict=True)))
                return
            self._check_width(len(row))
        with self._lock:
            count_row(self._cells.own, ways, row)

    def count_prediction(self, values: Any) -> None:
        """Count one prediction or an array of them; see `Request.prediction`."""
        way = self._prediction
        if way is None:
            return
        if isinstance(values, list | tuple) or getattr(values, "ndim", 0) > 0:
            with self._lock:
                count_column(self._cells.own, way, np.asarray(values).ravel())
        else:
            with self._lock:
                count_row(self._cells.own, (way,), (values,))

    def count_request(self, seconds: float, failed: bool) -> None:
        """Count one finished request."""
        _, start, total, edges, _ = self._latency
        outcome = self._layout.error if failed else self._layout.success
        with self._lock:
            own = self._cells.own
            own[outcome] += 1.0
            own[total] += seconds
            own[start + bisect_left(edges or (), seconds)] += 1.0

    def remember(self, identity: str, value: Any) -> None:
        """Keep a prediction until its label comes back; see `Request.prediction`."""
        if self._truth is None:
            return
        kept = float(value) if _is_number(value) else category_name(value)
        with self._lock:
            try:
                self._predictions.remember(str(identity), kept)
            except OSError:
                self._cells.own[self._truth.start + LOST] += 1.0  # a server must serve

    def feedback(self, prediction_id: str, label: Any, group: Mapping[str, Any] | None = None) -> bool:
        """Count the label of an earlier prediction of this version.

        Call it for every label that arrives, on any of the version's workers, for predictions of mirrored requests too.
        False: this version's prediction of that id is not remembered, or its label has been counted already.

        Args:
            prediction_id: as given to `Request.prediction`.
            label: what it should have been: a class, or a number.
            group: attributes of whom it was about, such as {"sex": "f"}, for fairness gates.

        Raises:
            ValueError: the monitor was not told by `truth` what labels are compared with.
        """
        block = self._truth
        if block is None:
            raise ValueError(
                "this monitor counts no feedback: give it truth=Truth.classes(...), .scores() or .numbers()"
            )
        with self._lock:
            own = self._cells.own
            try:
                predicted = self._predictions.take(str(prediction_id))
            except OSError:
                predicted = None
            own[block.start + (UNKNOWN if predicted is None else MATCHED)] += 1.0
            if predicted is None:
                return False
            for cell, amount in block.additions(predicted, label, group or {}):
                own[cell] += amount
        return True

    def forked(self) -> None:
        """Called in a child process: the parent's cells stay the parent's, and its lock may be held for ever."""
        self._lock = threading.Lock()
        self._cells.forked()

    def _check_width(self, width: int) -> None:
        if width != len(self._columns.names):
            raise ValueError(f"a row has {width} values, the baseline has {len(self._columns.names)} features")

    def _count_columns(self, columns: Sequence[Any]) -> None:
        with self._lock:
            for way, column in zip(self._columns.ways, columns, strict=True):
                count_column(self._cells.own, way, column)


class Request:
    """One request while it is being answered."""

    __slots__ = ("_failed", "_monitor", "_started")

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._failed = False

    def features(self, values: Any) -> None:
        """Count the model's input: a row in the baseline's order, a mapping; or rows as lists, 2-D array or DataFrame.

        NaN and None are missing; so are an absent key, and what is no number where one belongs.

        Raises:
            ValueError: a row without names is longer or shorter than the baseline: nobody knows which value is which.
        """
        self._monitor.count_features(values)

    def prediction(self, values: Any, id: str | None = None) -> None:  # noqa: A002 - what a caller calls it
        """Count what the model answered: a number or a category, or a list or array of them.

        With an `id`, the one value is remembered until `Monitor.feedback` brings its label. Of a batch, give each value and its id
        to `Monitor.remember`.
        """
        self._monitor.count_prediction(values)
        if id is not None:
            self._monitor.remember(id, values)

    def error(self) -> None:
        """Count this request as an error although no exception leaves the context."""
        self._failed = True

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._monitor.count_request(time.perf_counter() - self._started, self._failed or kind is not None)


def _is_number(value: Any) -> bool:
    return isinstance(value, float | int | np.number) and not isinstance(value, bool)


_monitors: "weakref.WeakSet[Monitor]" = weakref.WeakSet()


def _after_fork() -> None:
    for monitor in tuple(_monitors):
        monitor.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
