"""A page in Prometheus text or OpenMetrics format to canonical series.

Parsing costs far more than everything that is computed from it, so only the lines of wanted metrics are parsed, and those of the
usual form by one regular expression. A page with any other form among them (escapes, tabs, names in quotes) goes to the parser of
`prometheus_client`, so the results are those of that parser. The whole page is parsed and checked before any of it is used:
OpenMetrics shows a truncated page only at its end.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from modelward.metrics.canonical import InvalidSamples, RawSample, canonical_series
from modelward.metrics.presets import Preset
from modelward.stats.readings import Series

OPENMETRICS = "application/openmetrics-text"
_TEXT_TYPES = ("text/plain", "")

Parser = Callable[[str], Iterable[Metric]]

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_QUOTED_NAME = re.compile(r'\{\s*"(?:[^"\\]|\\.)*"\s*[,}]')
_SUFFIXES = ("_total", "_bucket", "_sum", "_count")
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="[^"\\\n]*"'
_SAMPLE = rf"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{{((?:{_LABEL},)*(?:{_LABEL})?)\}})? ([-+.0-9a-zA-Z]+)"
# A time may follow, in milliseconds or in seconds, and in OpenMetrics an exemplar.
_USUAL_TEXT = re.compile(rf"{_SAMPLE}(?: -?[0-9]+)?$", re.MULTILINE)
_USUAL_OPENMETRICS = re.compile(rf"{_SAMPLE}(?: [0-9]+(?:\.[0-9]+)?)?(?: # \{{[^\n]*)?$", re.MULTILINE)


class NotAnExposition(Exception):
    """The answer is no metrics page at all; the message completes 'answered ...'."""


def read_exposition(body: str, content_type: str, preset: Preset, wanted: Sequence[str]) -> Mapping[str, Series]:
    """The canonical series of one page.

    Raises:
        NotAnExposition: HTML, JSON, or text that is not the format.
        InvalidSamples: the format is right, the content cannot be.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != OPENMETRICS and media_type not in _TEXT_TYPES:
        raise NotAnExposition(media_type)
    chosen = preset.only(wanted)
    samples = read_samples(body, media_type == OPENMETRICS, chosen.sample_names())
    return canonical_series(samples, chosen, wanted, declared=_declared(body, chosen))


def read_samples(body: str, openmetrics: bool, names: frozenset[str]) -> list[RawSample]:
    """The samples of these names, as they stand on the page.

    Raises:
        NotAnExposition: text that is not the format.
        InvalidSamples: a broken line, a series that is there twice, an OpenMetrics page without its end.
    """
    if openmetrics and not body.rstrip("\n").endswith("# EOF"):
        raise InvalidSamples("the page is cut off: # EOF is missing")
    samples = _usual_samples(body, _USUAL_OPENMETRICS if openmetrics else _USUAL_TEXT, names)
    if samples is None:
        samples = _openmetrics_samples(body, names) if openmetrics else _text_samples(body, names)
    return samples


def _declared(body: str, preset: Preset) -> frozenset[str]:
    """Required counters that the page has a TYPE for: clients show that of a metric with labels before its first sample."""
    names = {name for rule in preset.counters if rule.required for name in rule.names}
    return frozenset(name for name in names if any(f"# TYPE {family} " in body for family in _families(name)))


def _families(counter: str) -> tuple[str, ...]:
    """What TYPE lines call a counter: itself, in OpenMetrics without its suffix, and the histogram that has it as its count."""
    return (counter, counter.removesuffix("_total"), counter.removesuffix("_count"))


def _usual_samples(body: str, usual: re.Pattern[str], names: frozenset[str]) -> list[RawSample] | None:
    """The samples of a page on which all lines of interest have the usual form; None for any other page."""
    if "\t" in body or "\r" in body or "\n " in body or body.startswith(" "):
        return None
    lines = body.split("\n")
    _check_ends(lines)
    starts = tuple(names)
    chosen = [line for line in lines if line.startswith(starts)]
    found = usual.findall("\n".join(chosen))
    if len(found) != len(chosen):
        return None
    names_of: dict[tuple[str, ...], tuple[str, ...]] = {}
    try:
        samples = [
            RawSample(name, _labels(name, labels, names_of) if labels else {}, float(value))
            for name, labels, value in found
            if name in names
        ]
    except ValueError:
        return None  # the parser has the words for it
    # Without escapes, and with label names in one order for each metric, the same labels are the same text.
    orders_differ = len({name for name, *_ in names_of}) != len(names_of)
    if orders_differ or len({(name, labels) for name, labels, _ in found}) != len(found):
        _check_unique(samples)
    return samples


def _labels(metric: str, text: str, names_of: dict[tuple[str, ...], tuple[str, ...]]) -> dict[str, str]:
    """The labels of a usual line, whose values have no quotes.

    names_of remembers the names by the metric and what lies between the values: text splits faster than it is searched.
    """
    parts = text.split('"')
    between = (metric, *parts[:-1:2])
    names = names_of.get(between)
    if names is None:
        names = names_of[between] = tuple(part.strip(",=") for part in parts[:-1:2])
        if len(set(names)) != len(names):
            raise ValueError("a label is there twice")
    return dict(zip(names, parts[1::2], strict=True))


def _check_ends(lines: Sequence[str]) -> None:
    """A page in the format begins and ends with lines of it; what lies between is looked at only where it is wanted."""
    written = (line for line in lines if line)
    last = next((line for line in reversed(lines) if line), None)
    for line in (next(written, None), last):
        if line is not None and not line.startswith("#"):
            _name_of(line)


def _check_unique(samples: Sequence[RawSample]) -> None:
    seen = {(sample.name, frozenset(sample.labels.items())) for sample in samples}
    if len(seen) != len(samples):
        raise InvalidSamples("the same series is there twice")


def _text_samples(body: str, names: frozenset[str]) -> list[RawSample]:
    """Samples under the names that stand on the page.

    TYPE lines are left out: with them the parser renames a counter `x_success` to `x_success_total`; PromQL does not.
    """
    lines = [line for name, line in _sample_lines(body) if name in names]
    return _parsed(lines, parse_text)


def _openmetrics_samples(body: str, names: frozenset[str]) -> list[RawSample]:
    families = {name.removesuffix(suffix) for name in names for suffix in _SUFFIXES} | names
    lines: list[str] = []
    for line in body.split("\n"):
        if line.startswith("# TYPE "):
            if line.split(" ", 3)[2] in families:
                lines.append(line)
        elif not line.startswith("#") and line and _name_of(line) in names:
            lines.append(line)
    return _parsed([*lines, "# EOF"], parse_openmetrics)


def _sample_lines(body: str) -> Iterator[tuple[str, str]]:
    for line in body.split("\n"):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield _name_of(stripped), stripped


def _name_of(line: str) -> str:
    match = _NAME.match(line)
    if match is None or line[match.end() : match.end() + 1] not in ("{", " ", "\t"):
        if _QUOTED_NAME.match(line):  # legal, and none that a preset reads
            return ""
        raise NotAnExposition(f"a line that is not Prometheus text ({line[:40]!r})")
    return match.group()


def _parsed(lines: Sequence[str], parse: Parser) -> list[RawSample]:
    try:
        families = list(parse("\n".join(lines) + "\n"))
    except (ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        # The parsers let more than ValueError out on broken lines.
        raise InvalidSamples(f"a line cannot be parsed ({str(error)[:120] or type(error).__name__})") from error
    samples = [RawSample(s.name, s.labels, float(s.value)) for family in families for s in family.samples]
    # The OpenMetrics parser drops a repeated series without a word, the text parser passes it on.
    if len(samples) != sum(not line.startswith("#") for line in lines):
        raise InvalidSamples("the same series is there twice")
    _check_unique(samples)
    return samples
