"""What is said of pods that are not ready, by what a kubelet and a scheduler write into their status."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from modelward.traffic.ailments import ailment_of

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
IMAGE = "registry.example.com/credit-risk@sha256:85df"
NOT_FOUND = f"{IMAGE}: not found"
PULLING = f'rpc error: code = NotFound desc = failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": {NOT_FOUND}'
LOGS = "see `kubectl logs -n lending v8-a -c server --previous`"


def pod(name: str = "v8-a", version: str = "v8", *, ready: bool = False, **status: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": str(ready)}, *status.pop("conditions", [])]
    return {
        "metadata": {"name": name, "namespace": "lending", "labels": {"modelward.dev/version": version}},
        "spec": {
            "initContainers": [{"name": "load", "image": "load:1"}],
            "containers": [{"name": "server", "image": IMAGE}],
        },
        "status": {"conditions": conditions, **status},
    }


def container(name: str = "server", last: dict[str, Any] | None = None, **state: Any) -> dict[str, Any]:
    return {"name": name, "ready": False, "state": state, "lastState": {"terminated": last} if last else {}}


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    return container(waiting={"reason": reason, "message": message}, **more)


def running(since: timedelta, **more: Any) -> dict[str, Any]:
    return container(running={"startedAt": (NOW - since).isoformat().replace("+00:00", "Z")}, **more)


SAID: dict[str, tuple[dict[str, Any], str | None]] = {
    "an image that is being asked for": (
        pod(containerStatuses=[waiting("ErrImagePull", PULLING)]),
        f"pod v8-a cannot pull {IMAGE}: {NOT_FOUND}",
    ),
    "the same image, while the kubelet waits before it asks again": (
        pod(containerStatuses=[waiting("ImagePullBackOff", f'Back-off pulling image "{IMAGE}": ErrImagePull: {PULLING}')]),
        f"pod v8-a cannot pull {IMAGE}: {NOT_FOUND}",
    ),
    "an image of which an older kubelet says nothing more": (
        pod(containerStatuses=[waiting("ImagePullBackOff", f'Back-off pulling image "{IMAGE}"')]),
        f"pod v8-a cannot pull {IMAGE}: ImagePullBackOff",
    ),
    "a ConfigMap that is not there": (
        pod(containerStatuses=[waiting("CreateContainerConfigError", 'configmap "credit-risk" not found')]),
        'pod v8-a cannot start container server: configmap "credit-risk" not found',
    ),
    "a container that ended, and waits to be started again": (
        pod(containerStatuses=[waiting("CrashLoopBackOff", "back-off 40s restarting", last={"exitCode": 1, "reason": "Error"})]),
        f"pod v8-a is not ready: container server ended with exit code 1: {LOGS}",
    ),
    "a container that ended, and was started again a moment ago": (
        pod(containerStatuses=[running(timedelta(seconds=2), last={"exitCode": 1, "reason": "Error"})]),
        f"pod v8-a is not ready: container server ended with exit code 1: {LOGS}",
    ),
    "a container that took too much memory": (
        pod(containerStatuses=[waiting("CrashLoopBackOff", last={"exitCode": 137, "reason": "OOMKilled"})]),
        "pod v8-a is not ready: container server was killed because it took more memory than its limit",
    ),
    "an init container that fails": (
        pod(initContainerStatuses=[container("load", terminated={"exitCode": 3})], containerStatuses=[waiting("PodInitializing")]),
        "pod v8-a is not ready: container load ended with exit code 3: see `kubectl logs -n lending v8-a -c load`",
    ),
    "an init container that is done": (
        pod(initContainerStatuses=[container("load", terminated={"exitCode": 0})], containerStatuses=[waiting("ContainerCreating")]),
        None,
    ),
    "no node": (
        pod(conditions=[{"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available: 3 Insufficient cpu."}]),
        "pod v8-a finds no node: 0/3 nodes are available: 3 Insufficient cpu",
    ),
    "a container that runs for long, and is not ready": (
        pod(containerStatuses=[running(timedelta(minutes=1))]),
        "pod v8-a is not ready: container server runs, and its readiness probe does not succeed",
    ),
    "a container that has just begun": (pod(containerStatuses=[running(timedelta(seconds=59))]), None),
    "a pod that is being made": (pod(containerStatuses=[waiting("ContainerCreating")]), None),
    "a pod of which nothing is known yet": (pod(), None),
    "a pod that is ready again": (
        pod(ready=True, containerStatuses=[{**running(timedelta(hours=1), last={"exitCode": 1}), "ready": True}]),
        None,
    ),
    "a pod of another version": (pod(version="v7", containerStatuses=[waiting("ErrImagePull")]), None),
}  # fmt: skip


@pytest.mark.parametrize("case", SAID)
def test_what_is_said_of_a_pod(case: str) -> None:
    given, said = SAID[case]
    assert ailment_of([given], "v8", NOW) == said


def test_the_first_ailing_pod_by_name_is_told_of_so_that_the_sentence_does_not_change_with_their_order() -> None:
    pods = [pod(name, containerStatuses=[waiting("ErrImagePull", "denied")]) for name in ("v8-c", "v8-b")]
    pods.append(pod("v8-a", ready=True))
    assert ailment_of(pods, "v8", NOW) == f"pod v8-b cannot pull {IMAGE}: denied"


def test_a_pod_that_ends_is_no_longer_told_of() -> None:
    ending = pod(containerStatuses=[waiting("ErrImagePull", "denied")])
    ending["metadata"]["deletionTimestamp"] = "2026-11-21T12:00:00Z"
    assert ailment_of([ending], "v8", NOW) is None


def test_a_long_answer_of_a_registry_is_cut() -> None:
    said = ailment_of([pod(containerStatuses=[waiting("ErrImagePull", "denied " * 200)])], "v8", NOW)
    assert said is not None
    assert said.endswith("...")
    assert len(said) < 400
