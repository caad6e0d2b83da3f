"""When the operator trusts approvals: policies as they should be, looked at again, and any change noticed."""

from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest

from modelward.api.resources import Resource
from modelward.governance.admission import APPROVALS, BINDING, SETTLING, STATUS, policies
from modelward.runtime.kube import Forbidden, Object
from modelward.runtime.trust import _BINDINGS, _POLICIES, KEPT_SECONDS, TrustReader
from tests.unit.runtime.fakes import START, FakeClock, FakeKube

OPERATOR = "system:serviceaccount:modelward:modelward"
INSTALLED = START - timedelta(days=30)


class Server(FakeKube):
    """Holds the policies as the chart installs them, and knows the operator by name."""

    def __init__(self, username: str = OPERATOR) -> None:
        super().__init__()
        self.username = username
        self.reads = 0
        for each in policies(OPERATOR):
            metadata = {"uid": each["metadata"]["name"], "generation": 1, "creationTimestamp": INSTALLED.isoformat()}
            self.hold(
                _BINDINGS if each["kind"] == BINDING else _POLICIES, each | {"metadata": each["metadata"] | metadata}
            )

    async def create(self, resource: Resource, obj: Object) -> Object:
        assert resource.kind == "SelfSubjectReview"
        self._reach()
        return {"status": {"userInfo": {"username": self.username}}}

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        self.reads += 1
        return await super().get(resource, namespace, name)

    def object(self, resource: Resource, name: str) -> Object:
        return self.objects[(resource, "", name)]

    def edit(self, resource: Resource, name: str, written: str, **fields: Any) -> None:
        """As the API server stores it: with a generation that counts, and a time that the client may have made up."""
        obj = self.object(resource, name)
        obj["spec"] |= fields
        obj["metadata"] |= {
            "generation": obj["metadata"]["generation"] + 1,
            "managedFields": [{"manager": "kubectl", "time": written}],
        }


async def test_what_the_chart_installed_is_trusted_from_a_moment_after_its_installation() -> None:
    trust = await TrustReader(Server(), FakeClock()).current()
    assert (trust.problem, trust.since) == (None, INSTALLED + SETTLING)


async def test_what_was_found_is_kept_for_half_a_minute() -> None:
    server, clock = Server(), FakeClock()
    reader = TrustReader(server, clock)
    await reader.current()
    del server.objects[(_POLICIES, "", STATUS)]
    assert (await reader.current()).problem is None
    await clock.advance(KEPT_SECONDS)
    problem = (await reader.current()).problem
    assert problem and problem.startswith("ValidatingAdmissionPolicy modelward-status is missing")
    assert server.reads == 12


async def test_an_approval_that_is_new_makes_it_look_again_at_once() -> None:
    server = Server()
    reader = TrustReader(server, FakeClock())
    await reader.current()
    server.edit(_BINDINGS, APPROVALS, START.isoformat(), validationActions=["Audit"])
    problem = (await reader.afresh()).problem
    assert (
        problem and "ValidatingAdmissionPolicyBinding modelward-approvals" in problem and "validationActions" in problem
    )
    assert await reader.current() == await reader.afresh()


async def test_a_policy_that_was_edited_and_restored_is_trusted_from_when_that_was_noticed() -> None:
    """Also with a time of last change that was made up."""
    server, clock = Server(), FakeClock()
    reader = TrustReader(server, clock)
    await reader.current()
    original = deepcopy(server.object(_POLICIES, APPROVALS)["spec"])
    made_up = (INSTALLED + timedelta(seconds=1)).isoformat()
    server.edit(_POLICIES, APPROVALS, made_up, failurePolicy="Ignore")
    server.edit(_POLICIES, APPROVALS, made_up, **original)
    await clock.advance(60)
    trust = await reader.current()
    assert (trust.problem, trust.since) == (None, START + timedelta(seconds=60) + SETTLING)
    await clock.advance(600)
    assert await reader.current() == trust


async def test_a_policy_that_was_gone_for_a_while_is_trusted_from_when_it_was_back() -> None:
    server, clock = Server(), FakeClock()
    reader = TrustReader(server, clock)
    away = server.objects.pop((_POLICIES, "", APPROVALS))
    assert (await reader.current()).problem
    server.objects[(_POLICIES, "", APPROVALS)] = away
    await clock.advance(60)
    assert (await reader.current()).since == START + timedelta(seconds=60) + SETTLING


async def test_policies_that_name_another_operator_are_not_those_of_this_one() -> None:
    problem = (await TrustReader(Server("system:serviceaccount:other:modelward"), FakeClock()).current()).problem
    assert (
        problem
        and "modelward-status" in problem
        and "for the operator system:serviceaccount:other:modelward" in problem
    )


async def test_nothing_is_trusted_while_the_policies_cannot_be_read_and_they_are_read_again_at_once() -> None:
    server = Server()
    reader = TrustReader(server, FakeClock())
    server.down = True
    trust = await reader.current()
    assert trust.since is None and trust.problem == "the admission policies cannot be read: connection refused"
    server.down = False
    assert (await reader.current()).problem is None


async def test_an_operator_without_the_right_to_read_them_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()

    async def refuse(*_: object) -> Object:
        raise Forbidden("may not get validatingadmissionpolicies", status=403)

    monkeypatch.setattr(server, "get", refuse)
    problem = (await TrustReader(server, FakeClock()).current()).problem
    assert problem == "the admission policies cannot be read: may not get validatingadmissionpolicies"
