"""Why pods of a version are not ready, as the pods themselves tell."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from modelward.traffic.names import VERSION_LABEL

PULL_REASONS = frozenset({"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull"})
OUT_OF_MEMORY = "OOMKilled"
SLOW = timedelta(minutes=1)
"""How long a container may run without being ready before that is said: until then it starts."""

_REFUSED = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_BACKING_OFF = re.compile(r'^Back-off pulling image "[^"]*"(?:: ErrImagePull)?(?:: |$)')
_WRAPPED = re.compile(r'(?:rpc error: code = \w+ desc = |failed to (?:pull|resolve)[^"]*"[^"]*": )')
_KINDS = ("initContainers", "containers")
_TOLD = 300


def ailment_of(pods: Iterable[Mapping[str, Any]], version: str, now: datetime) -> str | None:
    """What is wrong with the first ailing pod of a version, as the end of a sentence; None while nothing is, or is known to be.

    It becomes part of a status, where every change is written: what changes by itself, such as a number of restarts, is left out.
    """
    ours = [
        pod
        for pod in pods
        if (pod["metadata"].get("labels") or {}).get(VERSION_LABEL) == version
        and not pod["metadata"].get("deletionTimestamp")
    ]
    for pod in sorted(ours, key=lambda each: str(each["metadata"]["name"])):
        for said in _ailments(pod, now):
            return f"pod {pod['metadata']['name']} {said}"
    return None


def _ailments(pod: Mapping[str, Any], now: datetime) -> Iterator[str]:
    status = pod.get("status") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or ()}
    if conditions.get("Ready", {}).get("status") == "True":
        return
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        yield f"finds no node: {_short(scheduled.get('message') or scheduled.get('reason') or 'no reason is given')}"
    spec = pod.get("spec") or {}
    images = {each["name"]: each.get("image") for kind in _KINDS for each in spec.get(kind) or ()}
    for each in status.get("initContainerStatuses") or ():
        if not _has_succeeded(each):
            yield from _of_container(pod, each, images)
    for each in status.get("containerStatuses") or ():
        yield from _of_container(pod, each, images)
    for each in status.get("containerStatuses") or ():
        running = (each.get("state") or {}).get("running") or {}
        started = running.get("startedAt")
        if not each.get("ready") and started and now - datetime.fromisoformat(started) >= SLOW:
            yield f"is not ready: container {each['name']} runs, and its readiness probe does not succeed"


def _of_container(
    pod: Mapping[str, Any], container: Mapping[str, Any], images: Mapping[str, str | None]
) -> Iterator[str]:
    name, state = container["name"], container.get("state") or {}
    waiting = state.get("waiting") or {}
    ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated")
    if waiting.get("reason") in PULL_REASONS:
        yield f"cannot pull {images.get(name) or container.get('image')}: {_cause(waiting)}"
    elif waiting.get("reason") in _REFUSED:
        yield f"cannot start container {name}: {_short(waiting.get('message') or waiting['reason'])}"
    elif ended and not container.get("ready"):
        metadata = pod["metadata"]
        previous = "" if state.get("terminated") else " --previous"
        see = f"`kubectl logs -n {metadata['namespace']} {metadata['name']} -c {name}{previous}`"
        if ended.get("reason") == OUT_OF_MEMORY:
            yield f"is not ready: container {name} was killed because it took more memory than its limit"
        else:
            yield f"is not ready: container {name} ended with exit code {ended.get('exitCode', 'unknown')}: see {see}"


def _has_succeeded(container: Mapping[str, Any]) -> bool:
    ended = (container.get("state") or {}).get("terminated") or {}
    return ended.get("exitCode") == 0


def _cause(waiting: Mapping[str, Any]) -> str:
    """What the registry answered, whether the kubelet has just asked or waits before it asks again."""
    message = _BACKING_OFF.sub("", str(waiting.get("message") or ""))
    return _short(_WRAPPED.sub("", message)) or str(waiting["reason"])


def _short(text: str) -> str:
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= _TOLD else f"{line[: _TOLD - 3]}..."
