"""Times and spans of time on a command line."""

from datetime import UTC, datetime, timedelta

import pytest

from modelward.cli.moments import moment_of, span_of

TODAY = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("now", TODAY),
        ("NOW", TODAY),
        ("2026-10-01T09:00:00Z", datetime(2026, 10, 1, 9, 0, tzinfo=UTC)),
        ("2026-10-01T11:00:00+02:00", datetime(2026, 10, 1, 9, 0, tzinfo=UTC)),
    ],
)
def test_a_moment_is_now_or_a_time_with_its_zone(written: str, meant: datetime) -> None:
    assert moment_of(written, TODAY) == meant


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("yesterday", "is no point in time: write it like 2026-11-01T09:00:00Z, or now"),
        ("2h ago", "is no point in time"),
        ("", "is no point in time"),
        ("2026-10-01", "has no time zone"),
        ("2026-10-01T09:00:00", "has no time zone: write it like 2026-11-01T09:00:00Z, or now"),
    ],
)
def test_anything_else_is_no_moment(written: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        moment_of(written, TODAY)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("30m", timedelta(minutes=30)),
        ("48h", timedelta(hours=48)),
        ("90d", timedelta(days=90)),
        ("2w", timedelta(days=14)),
        ("45s", timedelta(seconds=45)),
        ("1h30m", timedelta(minutes=90)),
        ("1w2d3h4m5s", timedelta(weeks=1, days=2, hours=3, minutes=4, seconds=5)),
    ],
)
def test_a_span_is_numbers_with_units(written: str, meant: timedelta) -> None:
    assert span_of(written) == meant


@pytest.mark.parametrize(
    "written", ["", "soon", "0d", "1.5h", "-1d", "30", "2h 5m", "30m1h", "1h1h", "100000d", "99999d"]
)
def test_anything_else_is_no_span(written: str) -> None:
    with pytest.raises(ValueError, match="is no period: write numbers with w, d, h, m or s, such as 90d or 1h30m"):
        span_of(written)
