"""The policies that the chart installs, as files: in the wheel beside this module, in a checkout where the chart has them."""

from pathlib import Path


def folder() -> Path:
    """Where they are."""
    packed = Path(__file__).with_name("policies")
    return packed if packed.is_dir() else Path(__file__).resolve().parents[3] / "charts" / "modelward" / "policies"
