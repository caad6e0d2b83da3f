"""Metrics in the protobuf form of an exposition, the only one that carries native histograms. Written by hand: four messages."""

import math
import struct
from collections.abc import Iterable, Mapping, Sequence

CONTENT_TYPE = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

_COUNTER, _HISTOGRAM = 0, 4


def counter(name: str, values: Mapping[tuple[tuple[str, str], ...], float]) -> bytes:
    """A family of counters by their labels."""
    return _family(name, _COUNTER, [(labels, _bytes(3, _double(1, value))) for labels, value in values.items()])


def native_histogram(
    name: str,
    labels: tuple[tuple[str, str], ...],
    schema: int,
    counts: Mapping[int, int],
    *,
    negative: Mapping[int, int] | None = None,
    total: float = 0.0,
    zeros: int = 0,
    nans: int = 0,
) -> bytes:
    """A family with one native histogram; counts are by bucket index, nans are in count and sum and in no bucket."""
    below = negative or {}
    observed = sum(counts.values()) + sum(below.values()) + zeros + nans
    histogram = (
        _varint_field(1, observed)
        + _double(2, math.nan if nans else total)
        + _varint_field(5, _zigzag(schema))
        + _double(6, 2.0**-128)
        + _varint_field(7, zeros)
        + _buckets(9, 10, below)
        + _buckets(12, 13, counts)
    )
    return _family(name, _HISTOGRAM, [(labels, _bytes(7, histogram))])


def _family(name: str, kind: int, metrics: Sequence[tuple[tuple[tuple[str, str], ...], bytes]]) -> bytes:
    body = _text(1, name) + _varint_field(3, kind)
    for labels, value in metrics:
        pairs = b"".join(_bytes(1, _text(1, label) + _text(2, text)) for label, text in labels)
        body += _bytes(4, pairs + value)
    return _varint(len(body)) + body


def _buckets(span_field: int, delta_field: int, counts: Mapping[int, int]) -> bytes:
    """Each bucket as a span of its own; counts as differences to the bucket before."""
    spans, deltas, after, before = b"", b"", 0, 0
    for index in sorted(counts):
        spans += _bytes(span_field, _varint_field(1, _zigzag(index - after)) + _varint_field(2, 1))
        deltas += _varint(_zigzag(counts[index] - before))
        after, before = index + 1, counts[index]
    return spans + (_bytes(delta_field, deltas) if counts else b"")


def _zigzag(number: int) -> int:
    return number * 2 if number >= 0 else -number * 2 - 1


def _varint(number: int) -> bytes:
    parts: list[int] = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def _varint_field(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _double(field: int, number: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", number)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode())


def page(families: Iterable[bytes]) -> bytes:
    return b"".join(families)
