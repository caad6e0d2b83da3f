"""Is the door the one that was built? Whatever somebody does to the admission policies, the operator's check says so.

On a server of its own, whose policies are edited, removed and restored; nothing needs to be enforced here.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from modelward.governance.admission import NAMES, SETTLING, key, policies, problem_of, trusted_since
from modelward.runtime.clock import SystemClock
from modelward.runtime.kube import KubeClient
from modelward.runtime.trust import TrustReader
from tests.api.conftest import PATIENCE, ApiServer, running
from tests.api.governance.people import ADMISSION, OPERATOR, Guarded, Manifest, Person, chart

POLICY, BINDING = "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"
COLLECTIONS = {
    POLICY: f"{ADMISSION}/validatingadmissionpolicies",
    BINDING: f"{ADMISSION}/validatingadmissionpolicybindings",
}


@dataclass(frozen=True)
class Door:
    """The admission policies of a server."""

    server: ApiServer

    def install(self, manifests: Iterable[Manifest] = ()) -> None:
        for manifest in manifests or chart():
            if manifest["kind"] in COLLECTIONS:
                answer = self.server.apply(self.path(manifest["kind"], manifest["metadata"]["name"]), manifest)
                assert answer.accepted, answer.message

    def live(self) -> dict[str, Manifest | None]:
        return {key(kind, name): self.get(kind, name) for kind in COLLECTIONS for name in NAMES}

    def get(self, kind: str, name: str) -> Manifest | None:
        answer = self.server.request("GET", self.path(kind, name))
        return answer.body if answer.accepted else None

    def problem(self) -> str | None:
        return problem_of(self.live(), OPERATOR)

    def edit(self, kind: str, name: str, *operations: Manifest) -> None:
        answer = self.server.request(
            "PATCH", self.path(kind, name), list(operations), content_type="application/json-patch+json"
        )
        assert answer.accepted, answer.message

    def remove(self, kind: str, name: str) -> None:
        assert self.server.request("DELETE", self.path(kind, name)).accepted

    @staticmethod
    def path(kind: str, name: str) -> str:
        return f"{COLLECTIONS[kind]}/{name}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with running(tmp_path_factory.mktemp("edited")) as started:
        yield started


@pytest.fixture
def door(server: ApiServer) -> Door:
    """The policies as the chart installs them, new for every test."""
    door = Door(server)
    for kind, collection in COLLECTIONS.items():
        for name in NAMES:
            if door.get(kind, name) is not None:
                assert server.request("DELETE", f"{collection}/{name}").accepted
    door.install()
    return door


def add(path: str, value: object) -> Manifest:
    return {"op": "add", "path": path, "value": value}


def test_what_the_chart_installs_has_no_problem_though_the_server_fills_in_defaults(door: Door) -> None:
    assert door.problem() is None
    assert timedelta(0) <= datetime.now(UTC) + SETTLING - trusted_since(door.live()) < timedelta(seconds=30)


def test_a_policy_that_is_created_without_defaults_has_no_problem_either(door: Door) -> None:
    stored = door.get(POLICY, "modelward-evaluations")
    assert stored is not None
    door.remove(POLICY, "modelward-evaluations")
    constraints = {"resourceRules": [dict(rule) for rule in stored["spec"]["matchConstraints"]["resourceRules"]]}
    for rule in constraints["resourceRules"]:
        del rule["scope"]
    spec = {"validations": stored["spec"]["validations"], "matchConstraints": constraints}
    manifest = {"apiVersion": stored["apiVersion"], "kind": POLICY, "metadata": {"name": "modelward-evaluations"}}
    assert door.server.request("POST", COLLECTIONS[POLICY], manifest | {"spec": spec}).accepted
    assert door.problem() is None


def test_labels_and_annotations_are_nobodys_business(door: Door) -> None:
    before = trusted_since(door.live())
    door.edit(POLICY, "modelward-approvals", add("/metadata/annotations", {"argocd.argoproj.io/tracking-id": "x"}))
    assert door.problem() is None
    assert trusted_since(door.live()) == before


def test_a_chart_without_admission_installs_no_policy_and_the_operator_trusts_none(door: Door) -> None:
    assert not [manifest for manifest in chart("admission.enabled=false") if manifest["kind"] in COLLECTIONS]
    for kind in COLLECTIONS:
        for name in NAMES:
            door.remove(kind, name)
    problem = door.problem()
    assert problem is not None and "is missing: apply the chart again with admission.enabled" in problem


def test_the_chart_knows_the_operators_account_whatever_it_is_called(door: Door) -> None:
    door.install(chart("serviceAccount.name=ward"))
    assert problem_of(door.live(), "system:serviceaccount:modelward:ward") is None
    problem = door.problem()
    assert problem is not None and "modelward-status is not as this release makes it" in problem


ROOT = "/spec/matchConstraints"
ATTACKS: dict[str, tuple[str, str, Manifest, str]] = {
    "a policy that lets pass what it cannot judge": (
        POLICY, "modelward-approvals", add("/spec/failurePolicy", "Ignore"), "failurePolicy"),
    "a rule that always holds": (
        POLICY, "modelward-approvals", add("/spec/validations/2/expression", "true"), "validations"),
    "a rule taken out": (
        POLICY, "modelward-approvals", {"op": "remove", "path": "/spec/validations/0"}, "validations"),
    "a variable that asks for another right": (
        POLICY, "modelward-approvals", add("/spec/variables/0/expression", "'get'"), "variables"),
    "a match condition that is never met": (
        POLICY, "modelward-approvals", add("/spec/matchConditions", [{"name": "never", "expression": "false"}]),
        "matchConditions"),
    "a match condition that spares one user": (
        POLICY, "modelward-status",
        add("/spec/matchConditions", [{"name": "but", "expression": "request.userInfo.username != 'mallory'"}]),
        "matchConditions"),
    "an excluded resource": (
        POLICY, "modelward-approvals",
        add(f"{ROOT}/excludeResourceRules", [
            {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["modelapprovals"]}]),
        "matchConstraints"),
    "an excluded namespace": (
        POLICY, "modelward-approvals", add(f"{ROOT}/namespaceSelector", {"matchLabels": {"guarded": "yes"}}),
        "matchConstraints"),
    "objects without a label": (
        POLICY, "modelward-approvals", add(f"{ROOT}/objectSelector", {"matchLabels": {"guarded": "yes"}}),
        "matchConstraints"),
    "a single name": (
        POLICY, "modelward-status", add(f"{ROOT}/resourceRules/1/resourceNames", ["some-record"]), "matchConstraints"),
    "updates alone": (
        POLICY, "modelward-evaluations", add(f"{ROOT}/resourceRules/0/operations", ["UPDATE"]), "matchConstraints"),
    "another version of the API": (
        POLICY, "modelward-approvals", add(f"{ROOT}/resourceRules/0/apiVersions", ["v9"]), "matchConstraints"),
    "exact matches alone": (
        POLICY, "modelward-approvals", add(f"{ROOT}/matchPolicy", "Exact"), "matchConstraints"),
    "a parameter that does not exist": (
        POLICY, "modelward-approvals", add("/spec/paramKind", {"apiVersion": "v1", "kind": "ConfigMap"}), "paramKind"),
    "another account as the operator": (
        POLICY, "modelward-status",
        add("/spec/validations/0/expression", "request.userInfo.username == 'mallory'"), "validations"),
    "a binding that writes down": (
        BINDING, "modelward-approvals", add("/spec/validationActions", ["Audit"]), "validationActions"),
    "a binding that warns": (
        BINDING, "modelward-status", add("/spec/validationActions", ["Warn"]), "validationActions"),
    "a binding that leaves out a namespace": (
        BINDING, "modelward-approvals",
        add("/spec/matchResources", {"namespaceSelector": {"matchExpressions": [
            {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["lending"]}]}}),
        "matchResources"),
    "a binding to another policy": (
        BINDING, "modelward-evaluations", add("/spec/policyName", "something-harmless"), "policyName"),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_attack_an_edited_policy(door: Door, attack: tuple[str, str, Manifest, str]) -> None:
    kind, name, operation, field = attack
    door.edit(kind, name, operation)
    problem = door.problem()
    assert problem is not None
    assert problem.startswith(f"{kind} {name} is not as this release makes it")
    assert field in problem and "apply the chart again" in problem


@pytest.mark.parametrize("kind", [POLICY, BINDING])
@pytest.mark.parametrize("name", NAMES)
def test_attack_a_removed_policy(door: Door, kind: str, name: str) -> None:
    door.remove(kind, name)
    problem = door.problem()
    assert problem is not None and problem.startswith(f"{kind} {name} is missing")


def test_attack_a_policy_is_edited_and_restored(door: Door) -> None:
    before = trusted_since(door.live())
    _wait_a_second()
    door.edit(POLICY, "modelward-approvals", add("/spec/failurePolicy", "Ignore"))
    door.edit(POLICY, "modelward-approvals", add("/spec/failurePolicy", "Fail"))
    assert door.problem() is None
    assert trusted_since(door.live()) > before


def test_attack_a_binding_is_removed_and_restored(door: Door) -> None:
    before = trusted_since(door.live())
    _wait_a_second()
    door.remove(BINDING, "modelward-status")
    door.install()
    assert door.problem() is None
    assert trusted_since(door.live()) > before


def test_attack_a_restored_policy_without_a_time_of_change(door: Door) -> None:
    door.edit(POLICY, "modelward-approvals", add("/spec/failurePolicy", "Ignore"))
    door.edit(POLICY, "modelward-approvals", add("/spec/failurePolicy", "Fail"), add("/metadata/managedFields", [{}]))
    problem = door.problem()
    assert problem is not None and "does not tell when it was last changed" in problem


async def test_attack_a_restored_policy_with_a_time_of_change_that_is_made_up(door: Door) -> None:
    """The time is the client's word; that its generation has changed, nobody can hide from an operator that runs."""
    door.install(policies("admin"))  # the user that reads here
    async with door.server.client() as api:
        kube = KubeClient(api, timeout=PATIENCE)
        reader = TrustReader(kube, SystemClock())
        before = await reader.current()
        assert before.problem is None and before.since is not None
        _wait_a_second()
        door.edit(POLICY, "modelward-approvals", add("/spec/failurePolicy", "Ignore"))
        door.edit(POLICY, "modelward-approvals", add("/spec/failurePolicy", "Fail"))
        stored = door.get(POLICY, "modelward-approvals")
        assert stored is not None
        entries = stored["metadata"]["managedFields"]
        made_up = [entry | {"manager": "nobody", "time": "2020-01-01T00:00:00Z"} for entry in entries[:1]]
        door.edit(POLICY, "modelward-approvals", add("/metadata/managedFields", made_up))
        assert trusted_since(door.live()) <= before.since  # the forgery works on the times
        after = await reader.afresh()
        assert after.problem is None and after.since is not None and after.since > before.since


async def test_the_operator_reads_the_policies_with_the_rights_of_the_chart_and_knows_its_own_name(
    operator: Person,
) -> None:
    async with operator.client() as api:
        found = await TrustReader(KubeClient(api, timeout=PATIENCE), SystemClock()).current()
    assert found.problem is None
    assert found.since is not None and found.since <= datetime.now(UTC) + SETTLING


async def test_an_operator_without_those_rights_trusts_nothing_and_says_why(guarded: Guarded) -> None:
    async with guarded.person("system:serviceaccount:modelward:bare").client() as api:
        found = await TrustReader(KubeClient(api, timeout=PATIENCE), SystemClock()).current()
    assert found.since is None
    assert found.problem is not None and "the admission policies cannot be read" in found.problem
    assert "validatingadmissionpolic" in found.problem  # or the bindings: they are read side by side


def _wait_a_second() -> None:
    """Times of change have whole seconds."""
    time.sleep(1.1)
