"""The fast way through a page gives what the library's parser gives: on real pages, on generated ones, on strange ones."""

import math
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from modelward.metrics.canonical import InvalidSamples, RawSample
from modelward.metrics.exposition import NotAnExposition, read_samples

CAPTURED = sorted((Path(__file__).parent / "captured").glob("*.txt"))


def by_library(page: str, openmetrics: bool) -> list[tuple[str, frozenset[tuple[str, str]], float]]:
    # Without TYPE lines the text parser keeps the names that stand on the page.
    plain = "\n".join(line for line in page.split("\n") if not line.startswith("#"))
    families = parse_openmetrics(page) if openmetrics else parse_text(plain)
    return sorted(
        ((s.name, frozenset(s.labels.items()), s.value) for family in families for s in family.samples), key=repr
    )


def comparable(samples: list[RawSample]) -> list[tuple[str, frozenset[tuple[str, str]], float]]:
    return sorted(((s.name, frozenset(s.labels.items()), s.value) for s in samples), key=repr)


@pytest.mark.parametrize("path", CAPTURED, ids=lambda path: path.stem)
def test_real_pages_are_read_as_the_library_reads_them(path: Path) -> None:
    page = path.read_text()
    expected = by_library(page, openmetrics=False)
    names = frozenset(name for name, _, _ in expected)
    assert comparable(read_samples(page, False, names)) == expected


label_values = st.text(max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(
    st.dictionaries(st.tuples(label_values, label_values), st.floats(0, 1e12), max_size=4),
    st.lists(numbers, max_size=6),
    st.booleans(),
)
@example({('a"b\\c\n', "{x} y # z"): 1.0, ("", " "): 2.0}, [], False)
@example({('a"b\\c\n', "{x} y # z"): 1.0, ("", " "): 2.0}, [0.5], True)
def test_generated_pages_are_read_as_the_library_reads_them(
    counts: dict[tuple[str, str], float], observations: list[float], openmetrics: bool
) -> None:
    registry = CollectorRegistry()
    counter = Counter("calls", "Calls.", ["model", "outcome"], registry=registry)
    for labels, count in counts.items():
        counter.labels(*labels).inc(count)
    histogram = Histogram("seconds", "Seconds.", registry=registry)
    Counter("calls_unwanted", "A name that begins with a wanted one.", registry=registry).inc()
    for observation in observations:
        # The library writes a negative sum in OpenMetrics, and refuses to read it.
        histogram.observe(abs(observation) if openmetrics else observation, {"trace": "abc"} if openmetrics else None)
    page = (generate_openmetrics if openmetrics else generate_latest)(registry).decode()
    names = frozenset(("calls_total", "seconds_bucket", "seconds_count", "seconds_sum"))
    expected = [sample for sample in by_library(page, openmetrics) if sample[0] in names]
    assert comparable(read_samples(page, openmetrics, names)) == expected


@pytest.mark.parametrize(
    ("line", "labels", "value"),
    [
        ('x{a="1"} 2', {"a": "1"}, 2),
        ('x{a="1",} 2', {"a": "1"}, 2),
        ("x{} 2", {}, 2),
        ("x 2", {}, 2),
        ("x 2 1700000000000", {}, 2),
        ('  x{a="1"} 2', {"a": "1"}, 2),
        ('x{a="1"}\t2', {"a": "1"}, 2),
        ('x { a = "1" } 2', {"a": "1"}, 2),
        (r'x{a="\"\\\n"} 2', {"a": '"\\\n'}, 2),
        ('x{a="} 9 # {"} 2', {"a": "} 9 # {"}, 2),
        ("x 1e3", {}, 1000),
        ("x +Inf", {}, math.inf),
        ('{"x",a="1"} 2', None, None),
    ],
)
def test_each_form_of_a_line_is_understood(line: str, labels: dict[str, str] | None, value: float | None) -> None:
    samples = read_samples(f"other 1\n{line}\n", False, frozenset("x"))
    assert samples == ([] if labels is None else [RawSample("x", labels, value or 0)])


@pytest.mark.parametrize("line", ["x", "x one", 'x{a="1} 2', "x{a=1} 2", 'x{a="1"'])
def test_a_broken_line_of_interest_is_refused(line: str) -> None:
    with pytest.raises((InvalidSamples, NotAnExposition)):
        read_samples(f"other 1\n{line}\nother_still 2\n", False, frozenset("x"))


def test_a_series_with_its_labels_in_another_order_is_the_same_series() -> None:
    with pytest.raises(InvalidSamples, match="twice"):
        read_samples('x{a="1",b="2"} 1\nx{b="2",a="1"} 1\n', False, frozenset("x"))


@pytest.mark.parametrize(
    "second",
    ['x{a="} 2', 'x{a="1} 2', 'x{a="1"}2', 'x{a="1"} ', 'x{a="1"} 1_0', 'x{a="1"} ٣', 'x{a="1",a="2"} 3', 'x{a="1"x} 3'],
)  # fmt: skip
def test_a_line_that_resembles_the_one_before_it_is_not_taken_for_it(second: str) -> None:
    page = f'x{{a="0"}} 1\n{second}\n'
    try:
        expected = by_library(page, openmetrics=False)
    except ValueError:
        with pytest.raises(InvalidSamples):
            read_samples(page, False, frozenset("x"))
    else:
        assert comparable(read_samples(page, False, frozenset("x"))) == expected


def test_an_exemplar_is_no_part_of_its_sample() -> None:
    lines = [f'x_bucket{{le="{edge}"}} 3 # {{trace="a"}} 0.{edge}' for edge in (1, 2)]
    page = "\n".join(["# TYPE x histogram", *lines, 'x_bucket{le="+Inf"} 3', "# EOF"]) + "\n"
    found = read_samples(page, True, frozenset(["x_bucket"]))
    assert [(sample.labels, sample.value) for sample in found] == [
        ({"le": "1"}, 3),
        ({"le": "2"}, 3),
        ({"le": "+Inf"}, 3),
    ]
