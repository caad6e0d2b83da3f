"""The tutorial begins without a cluster."""

import os
from pathlib import Path

from cluster import claim, lifecycle, paths


def has_a_cluster_of_its_own() -> bool:
    """Whether KUBECONFIG names no other cluster than the local one, which the tutorial starts and stops."""
    named = os.environ.get("KUBECONFIG")
    return not named or Path(named).resolve() == paths.kubeconfig().resolve()


def obstacle() -> str | None:
    """What is in the way, and how it is cleared. A cluster that a killed run has left behind is not."""
    if not has_a_cluster_of_its_own() or lifecycle.ailments() or claim.of_a_dead_run():
        return None
    return "the local cluster is up, and the tutorial begins without one: make cluster-down"
