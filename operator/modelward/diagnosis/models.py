"""Whether the operator looks after every Model that is there."""

from collections.abc import Iterator
from datetime import datetime
from shlex import quote

from modelward.diagnosis.facts import Installation
from modelward.diagnosis.findings import Said, count, names, ok, problem
from modelward.diagnosis.running import SETTLED


def namespaces(found: Installation) -> Iterator[Said]:
    own, existing = found.operator, found.namespaces.value
    where = sorted({model["metadata"]["namespace"] for model in found.models.value})
    said = []
    if own.watched:
        absent = [name for name in own.watched if name not in existing] if not found.scope else []
        unwatched = [name for name in where if name not in own.watched]
        every = ",".join([*own.watched, *unwatched])
        if unwatched:
            said.append(
                problem(
                    f"the operator watches {names(list(own.watched))} only: nobody looks after the Models in {names(unwatched)}",
                    own.set_value(f"watchNamespaces={{{every}}}"),
                )
            )
        if absent:
            said.append(
                problem(
                    f"the operator is to watch {names(absent)}, which does not exist: its list fails, and it is not ready",
                    f"kubectl create namespace {quote(absent[0])}",
                )
            )
    watched = f"watches {names(list(own.watched))}" if own.watched else "watches every namespace"
    yield from said or [ok(f"the operator {watched}; Models are in {names(where) or 'none'}")]


def observed(found: Installation) -> Iterator[Said]:
    """A Model that was changed within the last minute may not have been looked at yet."""
    now, behind = found.clocks.value.server, []
    for model in found.models.value:
        metadata = model["metadata"]
        seen = (model.get("status") or {}).get("observedGeneration") or 0
        times = [
            entry["time"]
            for entry in metadata.get("managedFields") or ()
            if entry.get("time") and entry.get("subresource") != "status"
        ]
        changed = max(map(datetime.fromisoformat, [*times, metadata["creationTimestamp"]]))
        going = "deletionTimestamp" in metadata  # which counts as a generation, and is not looked at but drained
        if seen < metadata.get("generation", 1) and now - changed > SETTLED and not going:
            behind.append(f"{metadata['namespace']}/{metadata['name']}")
    if behind:
        yield problem(
            f"the operator has not looked at the newest spec of {names(behind)}",
            f"kubectl -n {found.operator.namespace} logs deployment/{found.operator.name} --tail=50",
        )
    else:
        yield ok(f"{count(len(found.models.value), 'Model')}, each seen as it is")
