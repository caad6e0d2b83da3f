"""The rights that the chart gives to the operator, as data for `modelward doctor`: the chart is their only source.

``python -m deploy.rights`` writes the file; with ``--check`` it writes nothing, prints how it differs, and exits with 1 if it does.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from deploy.generate import rendered
from modelward.api.generated import write_or_compare

FILE = Path(__file__).resolve().parents[1] / "operator" / "modelward" / "diagnosis" / "rights.yaml"
_NOTE = "# Written by `python -m deploy.rights` from charts/modelward; edit templates/_rights.tpl instead.\n"
_ONE_NAMESPACE = "watchNamespaces={watched}"

Rules = list[dict[str, Any]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file, or compare it; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.rights", description="Write what rights the operator needs."
    )
    parser.add_argument("--check", action="store_true", help="write nothing; print differences and exit with 1 if any")
    return write_or_compare({FILE: text()}, parser.parse_args(arguments).check)


def text() -> str:
    """The file's content."""
    everything, always = _rights("discovery.enabled=true"), _rights("discovery.enabled=false")
    more = {where: [rule for rule in rules if rule not in always[where]] for where, rules in everything.items()}
    return _NOTE + yaml.safe_dump({"always": always, "discovery": more}, sort_keys=False, width=140)


def _rights(*values: str) -> Mapping[str, Rules]:
    """The operator's rules by where they hold, from a chart that tells the namespaces of Models from the cluster."""
    found = {
        (manifest["kind"], manifest["metadata"]["name"]): manifest["rules"]
        for manifest in rendered(_ONE_NAMESPACE, *values)
        if manifest["kind"] in ("Role", "ClusterRole")
    }
    return {
        "inOwnNamespace": found["Role", "modelward"],
        "inCluster": found["ClusterRole", "modelward"],
        "inNamespaces": found["Role", "modelward-models"],
    }


if __name__ == "__main__":
    sys.exit(main())
