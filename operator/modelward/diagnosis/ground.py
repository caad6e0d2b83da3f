"""What the operator stands on: Kubernetes, and the definitions of its kinds."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from shlex import quote
from typing import Any

from modelward.api.schema import KINDS, custom_resource_definition
from modelward.api.types import VERSION
from modelward.diagnosis.facts import Installation, Object, Objects, condition_of
from modelward.diagnosis.findings import Said, names, ok, problem, warning

ROUTES = "httproutes.gateway.networking.k8s.io"
OLDEST = (1, 30)
"""The first release in which ValidatingAdmissionPolicy is generally available."""


def kubernetes(found: Installation) -> Iterator[Said]:
    version = found.kubernetes.value
    match = re.match(r"v?(\d+)\.(\d+)", version)
    if match is None:
        yield warning(f"the API server calls its release {version!r}, which says nothing", "kubectl version")
    elif (int(match[1]), int(match[2])) < OLDEST:
        yield problem(
            f"Kubernetes {version} has no ValidatingAdmissionPolicy v1, without which no approval counts: {OLDEST[0]}.{OLDEST[1]} is"
            " the oldest release that does",
            "upgrade the cluster",
        )
    else:
        yield ok(f"Kubernetes {version}")


def definitions(found: Installation) -> Iterator[Said]:
    present = found.definitions.value
    wanted = definitions_of_release()
    missing = [each["metadata"]["name"] for each in wanted if present.get(each["metadata"]["name"]) is None]
    remedy = _install([each for name, each in present.items() if each is not None and name != ROUTES])
    said = [
        each
        for one in wanted
        if (live := present.get(one["metadata"]["name"])) and (each := _definition(one, live, found.release, remedy))
    ]
    if missing:
        said.insert(0, problem(f"these CRDs are missing, and the operator cannot start: {names(missing)}", remedy))
    yield from said or [ok(f"{len(KINDS)} CRDs, all of release {found.release}")]


@cache
def definitions_of_release() -> Objects:
    """The CRDs as this release makes them."""
    return tuple(custom_resource_definition(kind) for kind in KINDS)


def _definition(wanted: Object, live: Object, release: str, remedy: str) -> Said | None:
    name = wanted["metadata"]["name"]
    for kind in ("NamesAccepted", "Established"):
        condition = condition_of(live, kind)
        if condition.get("status") != "True":
            said = condition.get("message") or "the API server does not say why"
            return problem(f"the CRD {name} is not served ({kind}): {said}", f"kubectl describe crd {name}")
    return _compared(name, _schema(live), _schema(wanted), release, remedy)


def _compared(name: str, live: Any, wanted: Any, release: str, remedy: str) -> Said | None:
    if live == wanted:
        return None
    if live is None:
        return problem(f"the CRD {name} has no version {VERSION}, which release {release} works with", remedy)
    theirs, ours = set(_fields(live)), set(_fields(wanted))
    lacking, more = sorted(ours - theirs), sorted(theirs - ours)
    if lacking:
        return problem(
            f"the CRD {name} is older than release {release}: the API server drops {names(lacking)}, which it does not know",
            remedy,
        )
    if more:
        return warning(
            f"the CRD {name} is newer than release {release}: it knows {names(more)}",
            "upgrade the operator and this command, too",
        )
    return warning(f"the CRD {name} has other rules than release {release}, for the same fields", remedy)


def _install(brought: list[Object]) -> str:
    """The definitions that are there say whether Helm brought them."""
    for each in brought:
        annotations = each["metadata"].get("annotations") or {}
        if release := annotations.get("meta.helm.sh/release-name"):
            namespace = annotations.get("meta.helm.sh/release-namespace", "default")
            return f"helm upgrade {quote(release)} charts/modelward-crds -n {quote(namespace)}"
    return "kubectl apply --server-side -f crds" if brought else "helm install modelward-crds charts/modelward-crds"


def _schema(definition: Object) -> Any:
    versions = definition["spec"].get("versions") or ()
    return next(
        (each["schema"]["openAPIV3Schema"] for each in versions if each["name"] == VERSION and each["served"]), None
    )


def _fields(schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """The path of every field, such as ``spec.serving.port``."""
    for name, node in (schema.get("properties") or {}).items():
        own = f"{path}.{name}" if path else name
        yield own
        yield from _fields(node, own)
    items, values = schema.get("items"), schema.get("additionalProperties")
    if isinstance(items, Mapping):
        yield from _fields(items, f"{path}[]")
    if isinstance(values, Mapping):
        yield from _fields(values, f"{path}.*")
