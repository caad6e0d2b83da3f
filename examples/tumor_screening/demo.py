"""Rollouts of a real model on a real cluster, narrated as they happen: ``make demo``.

Six acts, each of which ends as it should or ends the demo with a sentence and exit status 1:

1. v1, the first version, goes into production.
2. v2 is promoted through shadow and canary by the change of one line; no client's request fails.
3. v3, trained on another population, is stopped in shadow by drift; no user sees an answer of it.
4. v4 passes its shadow and decays in canary; the breaker rolls it back.
5. Production is reverted to v1 by one write to the route.
6. The Model becomes one of tier High: v5 waits for two people, its builder's approval does not count, and an auditor who was
   not there proves afterwards who let it through. On the local cluster only, which makes the people.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from cluster import claim
from cluster.processes import Failure
from examples.tumor_screening.deciding import READERS, RISK, VALIDATOR, Auditor, Committee, asked, refused
from examples.tumor_screening.environment import MANIFESTS, Environment, prepare, take_down_cluster, turn
from examples.tumor_screening.load import Answer, read_rows
from examples.tumor_screening.narration import Commentary, Narrator
from examples.tumor_screening.render import version_manifest
from examples.tumor_screening.train import VERSIONS
from examples.tumor_screening.watching import Clients, Follower, Observation, await_first_answer

NAMESPACE = "oncology"
MODEL = "tumor-screening"
DEMO_POLICY = "low-demo"
DEMO_POLICIES = (DEMO_POLICY, "high-demo")
DEFAULT_RATE = 80.0
_FOLLOWING = 10  # answers that say whether a failure was the beginning of a decay
EXAMPLES = """\
examples:
  make demo                    set up, play every act, clean up
  make demo KEEP=1             leave the cluster, the operator and the model running, to look around
  make demo RATE=50            with another load, in requests per second
  KUBECONFIG=… MODELWARD_IMAGE=… MODELWARD_EXAMPLE_IMAGE=… MODELWARD_GATEWAY_URL=… make demo
                               on a cluster of yours; see the README
"""

Status = Mapping[str, Any]


class ActFailed(Exception):
    """An act did not end as it should; the message is a sentence for the person who watches."""


@dataclass(frozen=True)
class Decay:
    """A version's answers to users, those that were bad, and the time of the first of these."""

    answers: Sequence[Answer]
    bad: Sequence[Answer]
    began: float


class Demo:
    """The acts, played on one environment."""

    def __init__(self, environment: Environment, narrator: Narrator, rate: float) -> None:
        self._environment = environment
        self._narrator = narrator
        self._commentary = Commentary(narrator)
        self._text = (MANIFESTS / "model.yaml").read_text()
        self._policy = yaml.safe_load((MANIFESTS / "policy-demo.yaml").read_text())
        self._committee = Committee(environment, narrator, NAMESPACE, MODEL)
        route = yaml.safe_load(self._text)["spec"]["serving"]["route"]
        self._host: str = route["hostnames"][0]
        self._url = environment.gateway_url + route["pathPrefix"]
        self._rows = read_rows(environment.artifacts / "holdout.csv")
        self._rate = rate
        self._clients = Clients(self._url, self._rows, self._host, rate)
        self._model = Follower(environment, "models.modelward.dev", NAMESPACE, MODEL)
        self._route = Follower(environment, "httproutes.gateway.networking.k8s.io", NAMESPACE, MODEL)
        self._position = 0
        self._seconds: list[tuple[str, float]] = []

    def play(self) -> None:
        """Every act.

        Raises:
            ActFailed: at the first that does not end as it should.
        """
        self._put_the_first_version_into_production()
        self._promote()
        self._stop_in_shadow()
        self._roll_back_in_canary()
        self._revert()
        if self._environment.audit_export is not None:
            self._let_people_decide()
            self._prove(self._environment.audit_export)
        self._look_back()

    def close(self) -> None:
        """Let go of the cluster and of the clients."""
        self._narrator.rest()
        self._clients.stop()
        self._model.close()
        self._route.close()

    def _put_the_first_version_into_production(self) -> None:
        with self._act("1. v1, the first version, goes into production"):
            versions = [
                version_manifest(version, self._environment.artifacts, self._environment.example_image)
                for version in VERSIONS
            ]
            namespace = yaml.safe_load((MANIFESTS / "namespace.yaml").read_text())
            self._environment.apply(namespace)
            self._environment.apply(self._policy, *versions, yaml.safe_load(self._text))
            self._say(f"applied: policy {DEMO_POLICY}, ModelVersions {versions_named()}, Model {MODEL}")
            self._until(lambda status: _serves(status, "v1"), 120, "v1 serves")
            try:
                await_first_answer(self._url, self._rows[0], self._host, 30)
            except TimeoutError as late:
                raise ActFailed(str(late)) from late
            self._clients.start()
            self._narrator.figure(
                f"v1 answers at {self._url}; clients send {self._rate:.0f} requests a second from now on"
            )

    def _promote(self) -> None:
        with self._act("2. v2 is promoted by the change of one line") as began:
            self._request("v2")
            self._until(lambda status: _serves(status, "v2"), 240, "v2 serves", _refuse_failure_of("v2"))
            self._let_clients_speak(3)
            answers = self._clients.answers(began)
            failed = [answer for answer in answers if answer.failed]
            if failed:
                raise ActFailed(f"{len(failed)} of {len(answers)} requests failed during the promotion: {failed[0]}")
            by_v2 = sum(answer.version == "v2" for answer in answers)
            self._narrator.figure(f"{len(answers):,} requests by clients ({by_v2:,} answered by v2), 0 failed")

    def _stop_in_shadow(self) -> None:
        with self._act("3. v3, trained on another population, is stopped in shadow by drift") as began:
            self._request("v3")
            failed = self._failure_of("v3", 150, "Shadow")
            self._let_clients_speak(2)
            seen = self._clients.answers(began, "v3")
            if seen:
                raise ActFailed(f"{len(seen)} users saw an answer of v3")
            if not re.search("drift|prediction", failed["message"]):
                raise ActFailed(f"v3 was stopped, but not by drift: {failed['message']}")
            asked = len(self._clients.answers(began))
            self._narrator.figure(
                f"stopped {_unix(failed['at']) - began:.1f} s after the request; of {asked:,} requests by clients, v3 answered 0"
            )

    def _roll_back_in_canary(self) -> None:
        with self._act("4. v4 passes its shadow, decays in canary and is rolled back by the breaker") as began:
            self._request("v4")
            failed = self._failure_of("v4", 240, "Canary")
            decided = _unix(failed["at"])
            freed = self._route.first(lambda route: not _weight(route, "v4"), decided, 30)
            if freed is None:
                raise ActFailed("v4 still has a weight on the route 30 s after its rollback")
            self._let_clients_speak(2)
            self._report_decay(began, decided, freed.at)

    def _report_decay(self, began: float, decided: float, freed: float) -> None:
        canary = self._policy["spec"]["stages"]["canary"]
        slo, interval = (_seconds_of(text) for text in (_gate(canary, "latency")["slo"], canary["interval"]))
        decay = decay_of(self._clients.answers(began, "v4"), slo, _gate(canary, "errorRate")["abortAbove"])
        if decay is None:
            raise ActFailed("v4 was rolled back although it did not fail its users")
        since_traffic = self._clients.answers(decay.answers[0].at)
        intervals = (decided - decay.began) / interval
        last = decay.answers[-1].at
        self._narrator.table(
            ("moment", "time (UTC)", "after the first failed answer"),
            [
                ("first answer of v4 to a user", _clock(decay.answers[0].at), _offset(decay.answers[0].at, decay)),
                ("first failed answer", _clock(decay.began), "0.00 s"),
                ("rollback decided", _clock(decided), _offset(decided, decay)),
                ("weight 0 written to the route", _clock(freed), _offset(freed, decay)),
                ("last answer of v4 to a user", _clock(last), _offset(last, decay)),
            ],
        )
        good = [answer for answer in decay.answers if answer.at < decay.began]
        self._say(
            f"v4 answered in {_median(good[:20])} at first and in {_median(good[-20:])} before the first failure;"
            f" {sum(answer.failed for answer in decay.bad)} failures and {sum(not answer.failed for answer in decay.bad)} slow answers followed"
        )
        share = len(decay.bad) / len(since_traffic)
        self._narrator.figure(
            f"rolled back {intervals:.1f} evaluation intervals of {interval:.0f} s after the first failed answer;"
            f" {len(decay.bad)} of {len(since_traffic):,} requests since v4 had traffic met the decay ({share:.1%})"
        )
        if intervals > 2:
            raise ActFailed(f"the rollback took {intervals:.1f} evaluation intervals; two were promised")

    def _revert(self) -> None:
        with self._act("5. Production is reverted to v1, as by git revert") as began:
            generation = self._route.seen[-1].object["metadata"]["generation"]
            asked = time.time()
            self._request("v1")
            written = self._route.first(lambda route: _weight(route, "v1") == 100, began, 20)
            if written is None:
                raise ActFailed("the route did not name v1 within 20 s of the revert")
            self._until(lambda status: _serves(status, "v1"), 30, "v1 serves")
            self._let_clients_speak(1)
            answers = self._clients.answers(began, "v1")
            if not answers:
                raise ActFailed("v1 answered no client after the revert")
            self._report_revert(asked, written, answers[0], generation)

    def _report_revert(self, asked: float, written: Observation, answer: Answer, generation: int) -> None:
        writes = self._route.seen[-1].object["metadata"]["generation"] - generation
        decided = _unix(self._status()["history"][0]["at"])
        self._narrator.table(
            ("moment", "after kubectl was started"),
            [
                ("revert decided by the operator", _milliseconds(decided - asked)),
                (
                    "route written",
                    f"{_milliseconds(written.at - asked)} ({_milliseconds(written.at - decided)} after the decision)",
                ),
                ("first answer of v1 to a client", _milliseconds(answer.at - asked)),
            ],
        )
        if writes != 1:
            raise ActFailed(f"the revert took {writes} writes of the route; one was promised")
        self._narrator.figure(
            f"one write of the route: {_milliseconds(written.at - decided)} after the decision,"
            f" {_milliseconds(written.at - asked)} after kubectl was started"
        )

    def _let_people_decide(self) -> None:
        with self._act("6. The Model becomes one of tier High: v5 waits for two people, and its builder is neither"):
            committee = self._committee
            self._environment.apply(yaml.safe_load((MANIFESTS / "policy-high-demo.yaml").read_text()))
            committee.give_rights()
            self._change(claiming(requesting(self._text, "v5"), "High"))
            status = self._until(lambda status: asked(status, RISK) is not None, 60, "v5 is to be approved")
            digest = str((asked(status, RISK) or {})["subjectDigest"])
            self._let_the_wrong_people_try(digest)
            self._until(_waits_for_people, 120, "v5 waits for people", _refuse_failure_of("v5"))
            self._narrator.quote(self._environment.kubectl("get", "models", "--namespace", NAMESPACE))
            committee.list_approvals()
            entitled = ((committee.validator, VALIDATOR), (committee.risk_officer, RISK))
            if any(said.code for said in committee.approve(digest, *entitled)):
                raise ActFailed("somebody who may approve was refused")
            self._until(lambda status: _serves(status, "v5"), 120, "v5 serves", _refuse_failure_of("v5"))

    def _let_the_wrong_people_try(self, digest: str) -> None:
        committee = self._committee
        stranger, builder = committee.approve(digest, (committee.validator, RISK), (committee.builder, RISK))
        if stranger.code == 0:
            raise ActFailed(f"{committee.validator.name} approved as {RISK} without having the role")
        if builder.code:
            raise ActFailed(f"{committee.builder.name} has the role {RISK}, and could not create an approval")
        status = self._until(lambda status: bool(refused(status, RISK)), 30, "the builder's approval is not counted")
        self._narrator.figure(f"status.pendingApprovals, {RISK}: not counted: {refused(status, RISK)[0]}")

    def _prove(self, export: Path) -> None:
        """An auditor asks what served, believes it, and then finds what was changed behind his back."""
        with self._act("An auditor, without the cluster"), tempfile.TemporaryDirectory() as folder:
            key = self._environment.audit_public_key()
            auditor = Auditor(self._narrator, Path(folder), export, key, NAMESPACE, MODEL)
            count = auditor.take_copy(self._status()["audit"]["seq"])
            self._say(f"the operator has exported {count} records, which are copied to the auditor's machine")
            if not auditor.ask(datetime.now(UTC)):
                raise ActFailed("the exported chain is not whole")
            forged = auditor.change_a_byte(RISK)
            said = auditor.verify()
            if said.code != 1 or f"record {forged}" not in said.text:
                raise ActFailed(f"the change of record {forged} was not found")

    def _look_back(self) -> None:
        self._clients.stop()
        self._narrator.act("What is left to read")
        self._narrator.quote(self._environment.kubectl("get", "models", "--all-namespaces"))
        status = self._status()
        self._narrator.say("conditions of the Model")
        self._narrator.table(
            ("type", "status", "reason", "message"),
            [(item["type"], item["status"], item["reason"], item.get("message", "")) for item in status["conditions"]],
        )
        self._narrator.say("its history, newest first")
        self._narrator.table(
            ("at", "what happened"), [(item["at"], item["message"]) for item in status["history"][:12]]
        )
        answers = self._clients.answers()
        failed = [answer for answer in answers if answer.failed]
        others = [answer for answer in failed if answer.version != "v4"]
        if others:
            raise ActFailed(f"{len(others)} requests failed that v4 did not answer: {others[0]}")
        self._narrator.say(
            f"{len(answers):,} requests by clients in all acts, {len(failed)} failed, all of them answered by v4"
        )
        self._narrator.table(("act", "seconds"), [(title, f"{seconds:.0f}") for title, seconds in self._seconds])

    def _failure_of(self, version: str, seconds: float, stage: str) -> Status:
        """The latch of a version that was stopped in the stage in which it should be."""
        status = self._until(
            lambda status: _latch(status, version) is not None,
            seconds,
            f"{version} is stopped",
            _refuse_promotion_of(version),
        )
        failed = _latch(status, version)
        if failed is None or failed["stage"] != stage:
            raise ActFailed(f"{version} was not stopped in {stage}: {failed}")
        return failed

    def _request(self, version: str) -> None:
        self._change(requesting(self._text, version))

    def _change(self, text: str) -> None:
        before, self._text = self._text, text
        self._narrator.diff(before, self._text, "model.yaml")
        self._environment.apply(yaml.safe_load(self._text))

    def _until(
        self,
        done: Callable[[Status], bool],
        seconds: float,
        what: str,
        refuse: Callable[[Status], None] = lambda _: None,
    ) -> Status:
        """Tell what happens to the Model until `done` holds of its status."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._check_clients()
            for observation in self._model.since(self._position, 0.5):
                self._position += 1
                self._commentary.tell(observation.object)
                status: Status = observation.object.get("status", {})
                refuse(status)
                if done(status):
                    return status
            self._tell_what_goes_on()
        conditions = [f"{item['type']}={item['reason']}" for item in self._status().get("conditions", [])]
        raise ActFailed(f"after {seconds:.0f} s it is not so that {what}: {', '.join(conditions)}")

    def _let_clients_speak(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._check_clients()
            for observation in self._model.since(self._position, 0.2):
                self._position += 1
                self._commentary.tell(observation.object)

    def _check_clients(self) -> None:
        if self._clients.count and not self._clients.running:
            raise ActFailed("the load generator has ended")

    def _tell_what_goes_on(self) -> None:
        status = self._status()
        weights = (status.get("traffic") or {}).get("weights", [])
        split = ", ".join(f"{weight['version']} {weight['percent']} %" for weight in weights)
        gates = status.get("gatesSummary", "")
        self._narrator.now(
            f"{status.get('stage', '')}: {split}; gates {gates or '-'}; {self._clients.count:,} requests so far"
        )

    def _status(self) -> Status:
        status: Status = {}
        if self._model.seen:
            status = self._model.seen[-1].object.get("status", {})
        return status

    def _say(self, text: str) -> None:
        self._narrator.say(text)

    @contextmanager
    def _act(self, title: str) -> Iterator[float]:
        self._narrator.act(title)
        began = time.time()
        yield began
        self._narrator.rest()
        self._seconds.append((title, time.time() - began))


def requesting(model: str, version: str) -> str:
    """The Model's manifest with another version in production: one line of it changes."""
    return re.sub(r"(?m)^(  production:\n    version: )\S+", rf"\g<1>{version}", model)


def claiming(model: str, tier: str) -> str:
    """The Model's manifest with another risk tier: one line of it changes."""
    return re.sub(r"(?m)^(  riskTier: )\S+", rf"\g<1>{tier}", model)


def versions_named() -> str:
    """The versions that were trained, as a range."""
    names = list(VERSIONS)
    return f"{names[0]} to {names[-1]}"


def decay_of(answers: Sequence[Answer], slo: float, limit: float) -> Decay | None:
    """When a version's answers turned bad: from the first failure on after which more than `limit` of the next ten are.

    What is bad from then on is a failure, or slower than the objective. A slow answer alone begins nothing: a busy machine
    makes some.
    """
    for position, answer in enumerate(answers):
        following = answers[position : position + _FOLLOWING]
        if answer.failed and sum(other.failed for other in following) > limit * len(following):
            bad = [other for other in answers[position:] if other.failed or other.seconds > slo]
            return Decay(answers, bad, answer.at)
    return None


def _serves(status: Status, version: str) -> bool:
    production = status.get("production") or {}
    return production.get("version") == version and not status.get("rollout") and not status.get("switch")


def _waits_for_people(status: Status) -> bool:
    """Every gate has passed, and nothing else is lacking."""
    conditions = status.get("conditions", ())
    return any((item["type"], item["reason"]) == ("Progressing", "AwaitingApproval") for item in conditions)


def _latch(status: Status, version: str) -> Status | None:
    return next((failed for failed in status.get("failed", []) if failed["version"] == version), None)


def _refuse_failure_of(version: str) -> Callable[[Status], None]:
    def refuse(status: Status) -> None:
        if failed := _latch(status, version):
            raise ActFailed(f"{version} should have been promoted, but: {failed['message']}")

    return refuse


def _refuse_promotion_of(version: str) -> Callable[[Status], None]:
    def refuse(status: Status) -> None:
        if _serves(status, version):
            raise ActFailed(f"{version} should have been stopped, but was promoted")

    return refuse


def _weight(route: Mapping[str, Any], version: str) -> int:
    backends = [backend for rule in route["spec"]["rules"] for backend in rule.get("backendRefs", [])]
    total = sum(backend.get("weight", 1) for backend in backends)
    mine = sum(backend.get("weight", 1) for backend in backends if backend["name"] == f"{MODEL}-{version}")
    return round(100 * mine / total) if total else 0


def _gate(canary: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(gate[kind] for gate in canary["gates"] if kind in gate)
    return found


def _seconds_of(duration: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h)", duration).groups()  # type: ignore[union-attr]
    return float(number) * {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}[unit]


def _unix(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()


def _median(answers: Sequence[Answer]) -> str:
    return _milliseconds(median(answer.seconds for answer in answers)) if answers else "no time"


def _clock(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%H:%M:%S.%f")[:-3]


def _offset(unix: float, decay: Decay) -> str:
    return f"{unix - decay.began:+.2f} s"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"


def main() -> int:
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    narrator = Narrator()
    try:
        with ExitStack() as ending:
            _play(arguments, narrator, ending)
    except (ActFailed, Failure) as problem:
        narrator.rest()
        narrator.say(f"The demo did not end as it should: {problem}", "bold red")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _play(arguments: argparse.Namespace, narrator: Narrator, ending: ExitStack) -> None:
    began = time.monotonic()
    narrator.act("Setting up: cluster, images, operator")
    ending.enter_context(turn())
    environment = prepare(narrator.say)
    ending.callback(_leave, environment, narrator, keep=arguments.keep)
    environment.delete_namespace(NAMESPACE)  # of a demo that was killed, or kept
    ready = time.monotonic()
    demo = Demo(environment, narrator, arguments.rate)
    ending.callback(demo.close)
    demo.play()
    now = time.monotonic()
    narrator.figure(f"everything ended as it should: set up in {ready - began:.0f} s, played in {now - ready:.0f} s")


def _leave(environment: Environment, narrator: Narrator, *, keep: bool) -> None:
    if keep:
        claim.by_a_person()
        _tell_how_to_look_around(environment, narrator)
        return
    narrator.act("Cleaning up")
    if environment.started_here:
        take_down_cluster()
        return
    environment.delete_namespace(NAMESPACE)
    environment.kubectl("delete", "clusterrolebindings", READERS, "--ignore-not-found")
    if environment.is_local or environment.installed_here:
        environment.uninstall()
        narrator.say("the model, the operator and its definitions are removed; the cluster was up before and stays up")
    else:
        environment.kubectl("delete", "lifecyclepolicies.modelward.dev", *DEMO_POLICIES, "--ignore-not-found")
        narrator.say("the model is removed; the operator was there before and stays")


def _tell_how_to_look_around(environment: Environment, narrator: Narrator) -> None:
    narrator.act("Everything is left running. What to look at next")
    narrator.quote(
        f"export KUBECONFIG={environment.kubeconfig}\n"
        f"export PATH=$PATH:{environment.kubectl_program.parent.parent / 'tools'}\n"
        f"kubectl -n {NAMESPACE} describe model {MODEL}           # conditions, gates, history\n"
        f"kubectl -n {NAMESPACE} get httproute {MODEL} -o yaml    # weights and mirrors\n"
        f"kubectl -n {NAMESPACE} get events\n"
        f"kubectl explain lifecyclepolicy.spec.stages\n"
        f"kubectl -n {environment.operator_namespace} logs deployment/modelward\n"
        "make demo                                               # play it again, and clean up"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make demo",
        description="Rollouts of a real model on a real cluster, narrated as they happen.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        default=os.environ.get("KEEP", "") not in ("", "0"),
        help="leave all running (KEEP=1)",
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=float(os.environ.get("RATE", DEFAULT_RATE)),
        help=f"requests per second by clients (RATE=; default {DEFAULT_RATE:.0f})",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
