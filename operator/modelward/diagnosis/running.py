"""The operator's own pods: do they run, does one of them work, and what time do they think it is?"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from shlex import quote
from typing import Any

from modelward.diagnosis.facts import Installation, NotSeen, Object, Seen, condition_of
from modelward.diagnosis.findings import Said, count, names, ok, problem, warning
from modelward.diagnosis.operators import DEFAULT_NAMESPACE, Operator
from modelward.governance.admission import SETTLING
from modelward.traffic.ailments import OUT_OF_MEMORY, PULL_REASONS

LEASE_EXPIRES = timedelta(seconds=30)
"""Twice the term of the Lease: whoever takes over has done so by then."""
NOTICEABLE = timedelta(seconds=5)
"""What a difference of clocks has to exceed: a renewal may be on its way for four seconds, and is stamped in whole ones."""
_HALF = timedelta(seconds=0.5)
SETTLED = timedelta(minutes=1)

_UNUSABLE = 2
"""The operator's exit code when a file of its configuration cannot be used."""


def operator(found: Installation) -> Iterator[Said]:
    if not found.operators.value:
        yield problem(
            "no Deployment carries the label app.kubernetes.io/name=modelward: the operator is not installed, or elsewhere"
            " (--operator-namespace)",
            f"helm install modelward charts/modelward -n {DEFAULT_NAMESPACE} --create-namespace",
        )
        return
    own = found.operator
    if own.wanted == 0:
        yield problem(
            f"{own} is scaled to 0: nothing moves, and nothing is rolled back",
            _kubectl(own, f"scale deployment {own.name} --replicas=1"),
        )
    elif own.failure:
        yield problem(f"{own} cannot make its pods: {own.failure}", _kubectl(own, f"describe deployment {own.name}"))
    else:
        yield from _pods(found, own)


def _pods(found: Installation, own: Operator) -> Iterator[Said]:
    pods = [pod for pod in found.pods.value if "deletionTimestamp" not in pod["metadata"]]
    ailing = [(pod, ailment) for pod in pods if (ailment := _ailment(pod, found))]
    for pod, (why, remedy) in ailing[:2]:
        say = warning if own.available else problem
        yield say(f"pod {pod['metadata']['name']} {why}", _kubectl(own, remedy))
    if not ailing and own.available < own.wanted:
        say = warning if own.available else problem
        yield say(
            f"{own} has {own.available} of {count(own.wanted, 'pod')} available: what lacks is only just starting, or cannot be made",
            _kubectl(own, f"describe deployment {own.name}"),
        )
    elif not ailing:
        yield ok(f"{own}: {own.available} of {count(own.wanted, 'pod')} available, {own.image}")


def _ailment(pod: Object, found: Installation) -> tuple[str, str] | None:
    """Why a pod does not work, and how to see more."""
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    scheduled = condition_of(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return f"finds no node: {scheduled.get('message', '')}", f"describe pod {name}"
    container: Object = next(iter(status.get("containerStatuses") or ()), {})
    state = container.get("state") or {}
    waiting = state.get("waiting") or {}
    ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated")
    if waiting.get("reason") in PULL_REASONS:
        image = pod["spec"]["containers"][0]["image"]
        return f"cannot pull {image}: {waiting.get('message') or waiting['reason']}", f"describe pod {name}"
    if ended and (not container.get("ready") or ended.get("reason") == OUT_OF_MEMORY):
        said = _ended(ended, container.get("restartCount", 0))
        return f"{said}{_words(found.last_words.get(name))}", f"logs {name}"
    if waiting:
        return (
            f"does not start ({waiting.get('reason')}): {waiting.get('message') or _told(pod, found)}",
            f"describe pod {name}",
        )
    if container and not container.get("ready"):
        return "runs, and is not ready: it has not read all of its kinds yet", f"logs {name} --tail=20"
    return None


def _ended(ended: Mapping[str, Any], restarts: int) -> str:
    again = f", and was started again {count(restarts, 'time')}"
    if ended.get("reason") == OUT_OF_MEMORY:
        return f"was killed for want of memory{again}: raise resources.limits.memory of the chart"
    why = ": a file of its configuration cannot be used" if ended.get("exitCode") == _UNUSABLE else ""
    return f"ended with exit code {ended.get('exitCode', 'unknown')}{again}{why}"


def _words(last: str | None) -> str:
    return f'; its last words: "{last}"' if last else ""


def _told(pod: Object, found: Installation) -> str:
    """What the newest warning about a pod says."""
    try:
        about = [
            each for each in found.events.value if (each.get("regarding") or {}).get("name") == pod["metadata"]["name"]
        ]
    except NotSeen:
        return "its events cannot be read from here"
    return about[-1].get("note", "") if about else "no event says why"


def release(found: Installation) -> Iterator[Said]:
    own = found.operator
    if own.release and own.release != found.release:
        yield warning(
            f"the operator is of release {own.release}, and this command of {found.release}: what is compared with the release is compared"
            " with this command's",
            f"git checkout v{own.release} && pipx install --force '.[cli]'",
        )
    else:
        yield ok(f"release {found.release}")


def alone(found: Installation) -> Iterator[Said]:
    own = found.operator
    others = [each for each in found.everywhere.value if (each.namespace, each.name) != (own.namespace, own.name)]
    if others:
        yield problem(
            f"{own} is not alone: {names([str(each) for each in others])} would work on the same Models, and the admission policies let one"
            " account write a status",
            others[0].remove,
        )
    else:
        yield ok(f"{own} is the only one")


def leader(found: Installation) -> Iterator[Said]:
    own, lease = found.operator, found.lease.value
    logs = _kubectl(own, f"logs deployment/{own.name} --tail=50")
    if lease is None:
        yield problem(f"Lease {own.namespace}/{own.lease} is not there: no replica has ever led", logs)
        return
    holder = (lease.get("spec") or {}).get("holderIdentity") or ""
    renewed = _written(lease)
    silent = found.clocks.value.server - renewed if renewed else timedelta()
    if not holder:
        yield problem(f"nobody holds Lease {own.namespace}/{own.lease}: no Model is looked at", logs)
    elif silent > LEASE_EXPIRES:
        yield problem(
            f"{holder} holds Lease {own.namespace}/{own.lease} and has not renewed it for {silent.total_seconds():.0f} s: no Model is looked at",
            logs,
        )
    elif holder not in {pod["metadata"]["name"] for pod in found.pods.value}:
        yield problem(
            f"{holder} holds Lease {own.namespace}/{own.lease}, and is no pod of {own}: another installation shares the Lease",
            f"kubectl get pods -A | grep {quote(holder)}",
        )
    else:
        yield ok(f"{holder} leads")


def clock(found: Installation) -> Iterator[Said]:
    """A renewal carries the operator's time, and the API server notes its own beside it."""
    clocks, lease = found.clocks.value, _lease(found)
    renewed, written = (lease.get("spec") or {}).get("renewTime"), _written(lease)
    here = clocks.here - clocks.server
    said = []
    if renewed and written:
        ahead = datetime.fromisoformat(renewed) - written - _HALF
        if abs(ahead) > NOTICEABLE:
            say = problem if abs(ahead) > SETTLING else warning
            said.append(
                say(
                    f"the operator's clock is {_off(ahead)} the API server's: ages of metrics, deadlines and expiries are off by as much",
                    f"set the clock (NTP) of the node: {_kubectl(found.operator, 'get pods -o wide')}",
                )
            )
    if abs(here) > NOTICEABLE:
        said.append(
            warning(
                f"this machine's clock is {_off(here)} the API server's: times that its commands write or compare are off by as much",
                "timedatectl set-ntp true",
            )
        )
    seen = "the operator, the API server and this machine" if renewed else "the API server and this machine"
    yield from said or [ok(f"{seen} agree within {NOTICEABLE.total_seconds():.0f} s")]


def _lease(found: Installation) -> Object:
    """Empty where there is none, or none can be read: then the operator's clock is left out."""
    return (found.lease.value if isinstance(found.lease, Seen) else None) or {}


def _off(ahead: timedelta) -> str:
    seconds = ahead.total_seconds()
    return f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'}"


def _written(obj: Object) -> datetime | None:
    """When an object was last written, by the API server's clock."""
    entries = (obj.get("metadata") or {}).get("managedFields") or ()
    times = [datetime.fromisoformat(entry["time"]) for entry in entries if entry.get("time")]
    return max(times) if times else None


def _kubectl(own: Operator, words: str) -> str:
    return f"kubectl -n {own.namespace} {words}"
