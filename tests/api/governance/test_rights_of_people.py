"""The chart's roles for people: each verb of each is asked for by somebody who has the role, and by somebody who has not."""

import copy
import secrets
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.api.conftest import PATIENCE
from tests.api.governance.people import (
    API,
    Guarded,
    Person,
    a_record,
    a_rejection,
    an_approval,
    an_evaluation,
    an_override,
    chart,
)
from tests.e2e.rights import Right, expanded
from tests.manifests import GOOD

# The same for every role that people decide in: the name is the only difference.
ROLES = ("view", "policy-reader", "edit", "approver-risk", "rejecter-risk", "overrider-risk")
EXAMPLES: dict[str, str] = {
    "models": "a model behind a gateway",
    "modelversions": "a version with an inline baseline",
    "lifecyclepolicies": "a policy with every stage",
}
REFUSED = 403


def rights_of(role: str) -> list[Right]:
    """What the chart gives to whoever is bound to the role."""
    rules = {one["metadata"]["name"]: one["rules"] for one in chart() if one["kind"] == "ClusterRole"}
    return [right for rule in rules[f"modelward-{role}"] for right in expanded(role, rule)]


@dataclass(frozen=True)
class Somebody:
    """A person in a namespace who asks for one thing after the other; each answer is a status code."""

    person: Person
    guarded: Guarded
    namespace: str

    def asks(self, right: Right) -> int:
        """The status of a request that needs this right. One that nobody knows how to ask for is a KeyError."""
        plural = right.resource.partition(".")[0]
        if plural == "approvalroles":
            return self._decides(right)
        return VERBS[right.verb](self, plural)

    def _decides(self, right: Right) -> int:
        """approvalroles is no kind: who may `approve` there may write an approval in that role."""
        write = {"approve": an_approval, "reject": a_rejection, "override": an_override}[right.verb]
        return self._creates("modelapprovals", write(self.person.name, role=right.name))

    def _gets(self, plural: str) -> int:
        return self._request("GET", f"{self._path(plural)}/{self._made(plural)}")

    def _lists(self, plural: str) -> int:
        return self._request("GET", self._path(plural))

    def _watches(self, plural: str) -> int:
        """The status comes at once; what follows it is not waited for."""
        request = urllib.request.Request(f"{self.person.url}{self._path(plural)}?watch=true&timeoutSeconds=1")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE, context=self.person.context) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refusal:
            return refusal.code

    def _creates(self, plural: str, manifest: dict[str, Any] | None = None) -> int:
        return self.person.create(self._path(plural), manifest or self._example(plural)).code

    def _updates(self, plural: str) -> int:
        path = f"{self._path(plural)}/{self._made(plural)}"
        stored = self.guarded.server.request("GET", path).body
        stored["metadata"]["labels"] = {"seen": "yes"}
        return self._request("PUT", path, stored)

    def _patches(self, plural: str) -> int:
        path = f"{self._path(plural)}/{self._made(plural)}"
        return self.person.patch(path, {"metadata": {"labels": {"seen": "yes"}}}).code

    def _deletes(self, plural: str) -> int:
        # An evaluation is deleted by nobody but whoever recorded it.
        own = plural == "modelevaluations"
        manifest = self._example(plural)
        if not own or self.person.create(self._path(plural), manifest).code == REFUSED:
            manifest["metadata"]["name"] = self._made(plural)
        return self._request("DELETE", f"{self._path(plural)}/{manifest['metadata']['name']}")

    def _deletes_all(self, plural: str) -> int:
        return self._request("DELETE", self._path(plural))

    def _request(self, method: str, path: str, body: object = None) -> int:
        return self.person.request(method, path, body).code

    def _path(self, plural: str) -> str:
        return f"{API}/{plural}" if plural == "lifecyclepolicies" else f"{API}/namespaces/{self.namespace}/{plural}"

    def _made(self, plural: str) -> str:
        """The name of an object that somebody else has made; an absent one is answered 404, which is no refusal."""
        if plural not in EXAMPLES:
            return "absent"
        manifest = self._example(plural)
        answer = self.guarded.server.request("POST", self._path(plural), manifest)
        assert answer.accepted, answer.message
        return str(manifest["metadata"]["name"])

    def _example(self, plural: str) -> dict[str, Any]:
        own: dict[str, Callable[[], dict[str, Any]]] = {
            "modelapprovals": lambda: an_approval(self.person.name),
            "modelevaluations": lambda: an_evaluation(self.person.name),
            "modelauditrecords": a_record,
        }
        if plural in own:
            return own[plural]()
        manifest = copy.deepcopy(GOOD[EXAMPLES[plural]])
        suffix = secrets.token_hex(4)
        manifest["metadata"] = {"name": f"made-{suffix}"}
        if plural == "modelversions":
            manifest["spec"]["version"] = suffix
            manifest["metadata"]["name"] = f"{manifest['spec']['model']}-{suffix}"
        return manifest


VERBS: dict[str, Callable[[Somebody, str], int]] = {
    "get": Somebody._gets,
    "list": Somebody._lists,
    "watch": Somebody._watches,
    "create": Somebody._creates,
    "update": Somebody._updates,
    "patch": Somebody._patches,
    "delete": Somebody._deletes,
    "deletecollection": Somebody._deletes_all,
}


@pytest.fixture
def _without_its_policies(guarded: Guarded) -> Iterator[None]:
    """Policies belong to no namespace, and would apply to the Models of every other test on this server."""
    before = _policies(guarded)
    yield
    for name in _policies(guarded) - before:
        assert guarded.server.request("DELETE", f"{API}/lifecyclepolicies/{name}").accepted


def _policies(guarded: Guarded) -> set[str]:
    listed = guarded.server.request("GET", f"{API}/lifecyclepolicies").body["items"]
    return {each["metadata"]["name"] for each in listed}


@pytest.mark.usefixtures("_without_its_policies")
@pytest.mark.parametrize("role", ROLES)
def test_who_has_a_role_may_what_it_says_and_nobody_else_may(role: str, guarded: Guarded, namespace: str) -> None:
    bearer, other = (Somebody(guarded.person(name), guarded, namespace) for name in (f"{role}-bearer", "nobody"))
    # In the whole cluster, because policies belong to no namespace.
    guarded.bind_everywhere(bearer.person, f"modelward-{role}")
    rights = rights_of(role)
    decisions = [right for right in rights if right.resource == "approvalroles.modelward.dev"]
    assert rights
    for right in rights:
        if decisions and (right.resource, right.verb) == ("modelapprovals.modelward.dev", "create"):
            continue  # asked for with each decision
        assert bearer.asks(right) in (200, 201, 404), right
        assert other.asks(right) == REFUSED, right


def test_no_role_for_people_is_left_out() -> None:
    given = {one["metadata"]["name"].removeprefix("modelward-") for one in chart() if one["kind"] == "ClusterRole"}
    deciding = {name for name in given if name.partition("-")[0] in ("approver", "rejecter", "overrider")}
    assert given - deciding == {"modelward", "view", "policy-reader", "edit"}
    assert {name for name in deciding if name.endswith("-risk")} == {role for role in ROLES if role.endswith("-risk")}


@pytest.mark.parametrize("role", ["approver", "rejecter", "overrider"])
def test_the_roles_in_which_people_decide_differ_by_their_name_alone(role: str) -> None:
    def without_name(name: str) -> set[tuple[str, str]]:
        return {(right.resource, right.verb) for right in rights_of(f"{role}-{name}")}

    assert without_name("risk") == without_name("reviewer") == without_name("independent-validator")
