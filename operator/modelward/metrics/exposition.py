"""A page in Prometheus text or OpenMetrics format to canonical series.

Only the lines of wanted metrics reach the parser: parsing costs far more than everything that is computed from it.
The whole page is parsed and checked before any of it is used: OpenMetrics shows a truncated page only at its end.
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
_SUFFIXES = ("_total", "_bucket", "_sum", "_count")


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
    samples = _openmetrics_samples(body, chosen) if media_type == OPENMETRICS else _text_samples(body, chosen)
    return canonical_series(samples, chosen, wanted)


def _text_samples(body: str, preset: Preset) -> list[RawSample]:
    """Samples under the names that stand on the page.

    TYPE lines are left out: with them the parser renames a counter `x_success` to `x_success_total`; PromQL does not.
    """
    names = preset.sample_names()
    lines = [line for name, line in _sample_lines(body) if name in names]
    return _parsed(lines, parse_text)


def _openmetrics_samples(body: str, preset: Preset) -> list[RawSample]:
    if not body.rstrip("\n").endswith("# EOF"):
        raise InvalidSamples("the page is cut off: # EOF is missing")
    names = preset.sample_names()
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
        if line.startswith("{"):  # a quoted UTF-8 name: legal, and none that a preset reads
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
    seen = {(s.name, tuple(sorted(s.labels.items()))) for s in samples}
    # The OpenMetrics parser drops a repeated series without a word, the text parser passes it on.
    if len(seen) != len(samples) or len(samples) != sum(not line.startswith("#") for line in lines):
        raise InvalidSamples("the same series is there twice")
    return samples
