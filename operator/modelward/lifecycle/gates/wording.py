"""How verdicts write their numbers."""


def percent(share: float) -> str:
    """A share as a percentage: 0.1234 is `12.3 %`."""
    return f"{_short(100 * share)} %"


def points(share: float) -> str:
    """A difference of shares in percentage points, without the unit: 0.005 is `0.5`."""
    return _short(100 * share)


def number(value: float) -> str:
    """A plain number, as short as it can be read."""
    return f"{value:.4g}"


def requests(count: int) -> str:
    """`1 request`, `12,340 requests`."""
    return counted(count, "request")


def counted(count: int, unit: str) -> str:
    """`1 label`, `12,340 labels`."""
    return f"{count:,} {unit}" + ("" if count == 1 else "s")


def _short(value: float) -> str:
    """Two decimals below one, one below a hundred; a small number is never shown as zero."""
    if value == 0:
        return "0"
    if abs(value) < 0.01:
        return f"{value:.1g}"
    text = f"{value:.2f}" if abs(value) < 1 else f"{value:.1f}"
    return text.rstrip("0").rstrip(".")
