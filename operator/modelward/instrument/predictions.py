"""Predictions remembered until their labels come back: a bounded number, the oldest are forgotten first.

In memory for one process; in a file for several workers of a pod, or on a volume, where labels that take days survive a restart.
A prediction is taken out by its label, so that a label that is delivered twice counts once. sqlite3 was chosen over shelve and dbm,
which neither lock nor bound, and over a service, which a model server should not need.
"""

import os
import sqlite3
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Protocol

Value = float | str

CAPACITY = 100_000
_TRIM_EVERY = 256


class Predictions(Protocol):
    def remember(self, identity: str, value: Value) -> None:
        """Keep it, in place of an older one of that identity.

        Raises:
            OSError: it could not be written.
        """
        ...

    def take(self, identity: str) -> Value | None:
        """The prediction, which is forgotten by this; None when there is none."""
        ...


class PredictionsInMemory:
    """For one process; after a fork, each process has its own."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._known: OrderedDict[str, Value] = OrderedDict()

    def remember(self, identity: str, value: Value) -> None:
        self._known.pop(identity, None)
        self._known[identity] = value
        while len(self._known) > self._capacity:
            self._known.popitem(last=False)

    def take(self, identity: str) -> Value | None:
        return self._known.pop(identity, None)


class PredictionsInFile:
    """For several processes. `version` keeps apart what two versions answered to the same request."""

    def __init__(self, path: Path, capacity: int, version: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._capacity, self._version = path, capacity, version
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._owner, self._written = -1, 0

    def remember(self, identity: str, value: Value) -> None:
        with self._lock:
            try:
                connection = self._open()
                connection.execute(
                    "INSERT OR REPLACE INTO predictions (version, id, value) VALUES (?, ?, ?)",
                    (self._version, identity, value),
                )
                self._written += 1
                if self._written % _TRIM_EVERY == 0:
                    self._trim(connection)
            except sqlite3.Error as error:
                raise OSError(f"the prediction could not be written to {self._path}: {error}") from error

    def take(self, identity: str) -> Value | None:
        with self._lock:
            try:
                row = (
                    self._open()
                    .execute(
                        "DELETE FROM predictions WHERE version = ? AND id = ? RETURNING value",
                        (self._version, identity),
                    )
                    .fetchone()
                )
            except sqlite3.Error as error:
                raise OSError(f"predictions could not be read from {self._path}: {error}") from error
        return None if row is None else row[0]

    def _open(self) -> sqlite3.Connection:
        """A connection must not be carried over a fork."""
        if self._connection is None or self._owner != os.getpid():
            connection = sqlite3.connect(self._path, timeout=1.0, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = OFF")  # what a power cut loses are some labels
            connection.execute(
                "CREATE TABLE IF NOT EXISTS predictions (number INTEGER PRIMARY KEY AUTOINCREMENT, version TEXT NOT NULL,"
                " id TEXT NOT NULL, value, UNIQUE (version, id))"
            )
            self._connection, self._owner = connection, os.getpid()
        return self._connection

    def _trim(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            "DELETE FROM predictions WHERE version = ?1 AND number <= (SELECT number FROM predictions WHERE version = ?1"
            " ORDER BY number DESC LIMIT 1 OFFSET ?2)",
            (self._version, self._capacity),
        )
