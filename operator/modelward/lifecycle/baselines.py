"""The baseline of a version, where its ModelVersion names a ConfigMap instead of giving it."""

import json
from collections.abc import Mapping
from typing import Any

from modelward.api.digests import digest_of_model
from modelward.api.model_version import Baseline

KEY = "baseline.json"


def baseline_in(declared: Baseline, found: Mapping[str, Any] | None) -> Baseline | str:
    """The baseline in a ConfigMap, or what is wrong with it; one of another digest than declared is no baseline."""
    if found is None:
        return f"there is no ConfigMap {declared.config_map!r} in the namespace"
    text = (found.get("data") or {}).get(KEY)
    if text is None:
        return f"ConfigMap {declared.config_map!r} has no key {KEY}"
    try:
        baseline = Baseline.model_validate(json.loads(text))
    except (ValueError, RecursionError) as error:
        return f"{KEY} in ConfigMap {declared.config_map!r} is not a baseline: {str(error)[:200]}"
    digest = digest_of_model(baseline)
    if declared.digest and digest != declared.digest:
        return f"the content of ConfigMap {declared.config_map!r} has digest {digest}, spec.baseline.digest is {declared.digest}"
    return baseline
