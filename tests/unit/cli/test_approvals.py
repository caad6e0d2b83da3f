"""`modelward approvals`, `request`, `approve` and `reject`: what people see before they decide, what is created, and what is refused."""

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from modelward.api.digests import version_digest
from modelward.api.lifecycle_policy import LifecyclePolicy
from modelward.api.model import Model
from modelward.api.model_approval import ModelApproval
from modelward.api.model_evaluation import ModelEvaluation
from modelward.api.model_version import ModelVersion
from modelward.cli.cluster import ALL_NAMESPACES, ClusterError, Forbidden, Objects
from modelward.cli.main import app
from modelward.governance import subjects
from modelward.lifecycle import policies
from modelward.lifecycle.snapshot import Policy

OLD, DATA = "2026-01-01T09:00:00Z", "sha256:" + "da" * 32
DEMANDS = {
    "shadow": {"minDuration": "1h", "approvals": [{"role": "validator", "independent": True}]},
    "canary": {"steps": [{"weight": 50, "minDuration": "1h"}], "approvals": [{"role": "risk", "beforeWeight": 50}]},
}
PEOPLE = [
    {"name": "Ada", "usernames": ["ada"], "identities": ["ada@example.com"], "teams": ["lending-ml"]},
    {"name": "Alan", "usernames": ["alan"], "teams": ["lending-ml"]},
    {"name": "Vera", "usernames": ["vera"], "teams": ["validation"]},
    {"name": "Rita", "usernames": ["rita"], "teams": ["risk"]},
]
DEFAULTS = ["--role", "risk"]


def object_(kind: str, name: str, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "lending", "uid": f"uid-{name}", "creationTimestamp": OLD}
    return {"apiVersion": "modelward.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec, **more}


def version(name: str, image: str, **spec: Any) -> dict[str, Any]:
    template = {"spec": {"containers": [{"name": "server", "image": image}]}}
    lineage = {"datasets": [{"name": "loans", "digest": DATA, "classification": "Confidential"}]}
    fields = {
        "model": "credit-risk",
        "version": name,
        "serving": {"template": template},
        "builtBy": ["ada@example.com"],
    }
    return object_("ModelVersion", f"credit-risk-{name}", {**fields, "lineage": lineage, **spec})


class Fed:
    """A cluster with these objects in it, and one user."""

    namespace = "lending"

    def __init__(self, user: str, roles: tuple[str, ...], *objects: dict[str, Any]) -> None:
        self.user = user
        self.roles = roles
        self.objects = list(objects)
        self.created: list[dict[str, Any]] = []
        self.refusal: ClusterError | None = None

    def now(self) -> datetime:
        return datetime.now(UTC)

    def get(self, resource: Any, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        return next((each for each in self._of(resource) if each["metadata"]["name"] == name), None)

    def list(self, resource: Any, namespace: str | None = None, selector: str = "") -> Objects:
        if resource.kind == "LifecyclePolicy" and "no-policies" in self.roles:
            raise Forbidden("lifecyclepolicies.modelward.dev is forbidden.")
        return [each for each in self._of(resource) if namespace in (None, ALL_NAMESPACES, "lending")]

    def create(self, resource: Any, obj: dict[str, Any]) -> dict[str, Any]:
        if resource.kind == "SelfSubjectAccessReview":
            asked = obj["spec"]["resourceAttributes"]
            return {"status": {"allowed": "*" in self.roles or f"{asked['verb']}:{asked['name']}" in self.roles}}
        if self.refusal is not None:
            raise self.refusal
        self.created.append(obj)
        return obj | {"metadata": {"name": obj["metadata"]["generateName"] + "x7k2p"}}

    def whoami(self) -> str:
        return self.user

    def _of(self, resource: Any) -> Objects:
        return [each for each in self.objects if each["kind"] == resource.kind]


class Situation:
    """v7 serves, v8 waits for the validator and later for the risk officer."""

    def __init__(self) -> None:
        self.policy = object_(
            "LifecyclePolicy",
            "high",
            {"appliesTo": {"tiers": ["High"]}, "stages": DEMANDS, "identityMap": {"people": PEOPLE}},
        )
        self.model = object_(
            "Model",
            "credit-risk",
            {
                "riskTier": "High",
                "modelID": "MDL-0042",
                "owner": {"team": "lending-ml"},
                "production": {"version": "v8"},
            },
        )
        self.v7 = version("v7", "registry.example.com/scorer:7", license="MIT")
        self.v8 = version("v8", "registry.example.com/scorer:8", license="Apache-2.0")
        self.evaluations = [self.evaluated(self.v7, 0.87), self.evaluated(self.v8, 0.862)]
        self.status: dict[str, Any] = {"production": self._reference("v7", self.v7)}
        self.flying = True
        self.refused: list[str] = []

    def evaluated(self, of: dict[str, Any], auc: float, name: str = "") -> dict[str, Any]:
        spec = {
            "model": "credit-risk", "version": of["spec"]["version"], "versionDigest": self._digest(of), "name": "holdout",
            "evaluator": "system:serviceaccount:lending:pipeline", "dataset": DATA, "at": OLD,
            "metrics": [{"name": "auc", "value": auc, "low": auc - 0.01, "high": auc + 0.01}],
        }  # fmt: skip
        return object_("ModelEvaluation", name or f"credit-risk-{of['spec']['version']}-holdout", spec)

    def merged(self) -> Policy:
        merged = policies.merge(LifecyclePolicy.model_validate(self.policy), Model.model_validate(self.model).spec)
        assert isinstance(merged, Policy)
        return merged

    def digest(self) -> str:
        return subjects.version_subject(Model.model_validate(self.model), "v8", self._covers())

    def cluster(self, user: str = "rita", *roles: str) -> Fed:
        return Fed(user, roles or ("approve:risk", "reject:risk"), *self._objects())

    def _objects(self) -> list[dict[str, Any]]:
        model = self.model | {"status": self.status | (self._flight() if self.flying else {})}
        return [copy.deepcopy(each) for each in (model, self.policy, self.v7, self.v8, *self.evaluations)]

    def _flight(self) -> dict[str, Any]:
        merged = self.merged()
        rollout = {
            "version": "v8", "digest": self._digest(self.v8), "policy": "high", "policyDigest": merged.digest, "startedAt": OLD,
            "stage": "Shadow", "stageEnteredAt": OLD, "stepEnteredAt": OLD,
        }  # fmt: skip
        standing = subjects.standing_subject(Model.model_validate(self.model), merged.digest)
        covers = self._covers().model_dump(mode="json", by_alias=True)
        row = {
            "version": "v8", "subjectDigest": self.digest(), "standingDigest": standing, "missing": 1, "since": OLD, "covers": covers,
        }  # fmt: skip
        gate = {"name": "errors", "stage": "Shadow", "version": "v8", "result": "Pass", "reason": "Passed", "at": OLD,
                "message": "errors fell", "figure": -0.01, "bound": 0.05, "samples": 12000}  # fmt: skip
        return {
            "rollout": rollout,
            "gates": [gate],
            "pendingApprovals": [
                {**row, "role": "validator", "before": "leaving Shadow", "due": True, "refused": self.refused},
                {**row, "role": "risk", "before": "50 % of requests", "due": False},
            ],
        }

    def _covers(self) -> Any:
        evaluations = [ModelEvaluation.model_validate(each) for each in self.evaluations]
        return subjects.covered(self._digest(self.v8), self.merged().digest, evaluations)

    def _digest(self, of: dict[str, Any]) -> str:
        return version_digest(ModelVersion.model_validate(of).spec)

    def _reference(self, name: str, of: dict[str, Any]) -> dict[str, Any]:
        return {"version": name, "digest": self._digest(of), "since": OLD}


@pytest.fixture
def situation() -> Situation:
    return Situation()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    def invoke(cluster: Fed, *arguments: str, at_a_terminal: bool = False, **more: Any) -> Result:
        for module in ("approvals", "request", "approve", "reject"):
            monkeypatch.setattr(f"modelward.cli.{module}.connect", lambda *_: cluster)
        monkeypatch.setattr("modelward.cli.approve._somebody_answers", lambda: at_a_terminal)
        return CliRunner().invoke(app, list(arguments), **more)

    return invoke


def spec_of(cluster: Fed) -> dict[str, Any]:
    """What was created, after a look whether the API server would take it."""
    (obj,) = cluster.created
    ModelApproval.model_validate(obj | {"metadata": {"name": "x"}})
    return obj["spec"]


def told(result: Result) -> str:
    return " ".join(result.output.split())


# approvals


def test_what_waits_is_listed_with_whether_one_may_decide(run: Any, situation: Situation) -> None:
    situation.refused = ["by-ada: ada is a builder of v8"]
    said = run(situation.cluster(), "approvals").output
    lines = said.splitlines()
    assert lines[0].split() == [
        "NAMESPACE",
        "MODEL",
        "VERSION",
        "ROLE",
        "BEFORE",
        "DUE",
        "MISSING",
        "AGE",
        "YOU",
        "MAY",
    ]
    assert lines[1].split()[:-2] == ["lending", "credit-risk", "v8", "validator", "leaving", "Shadow", "now", "1"]
    assert (lines[1].split()[-1], lines[2].split()[-1]) == ("no", "yes")
    assert lines[3] == "lending/credit-risk v8 as validator: not counted: by-ada: ada is a builder of v8"
    assert "modelward approve credit-risk -n lending --version v8 --role risk" in said
    assert said.isascii()


def test_only_ones_own_can_be_listed(run: Any, situation: Situation) -> None:
    listed = json.loads(run(situation.cluster(), "approvals", "--mine", "-A", "-o", "json").output)
    assert [(each["role"], each["mayApprove"], each["subjectDigest"]) for each in listed] == [
        ("risk", True, situation.digest())
    ]
    assert yaml.safe_load(run(situation.cluster(), "approvals", "--mine", "-o", "yaml").output) == listed


def test_whoever_has_all_rights_may_not_decide_because_admission_refuses_wildcards(
    run: Any, situation: Situation
) -> None:
    assert run(situation.cluster("root", "*"), "approvals", "--mine").output == "Nothing waits for approval here.\n"


def test_it_is_said_when_no_approval_counts(run: Any, situation: Situation) -> None:
    situation.status["conditions"] = [
        {"type": "ApprovalsTrusted", "status": "False", "reason": "AdmissionNotInPlace", "message": "it is missing", "lastTransitionTime": OLD}
    ]  # fmt: skip
    assert "Warning: no approval counts now: it is missing" in run(situation.cluster(), "approvals").output


# request


def test_before_the_promotion_it_is_told_who_will_be_asked_for_what(run: Any, situation: Situation) -> None:
    situation.flying = False
    said = run(situation.cluster("ada", "none"), "request", "credit-risk").output
    assert "Version:      v8, not begun" in said
    assert f"Digest:       {situation.digest()}" in said
    assert "validator: 1 before leaving Shadow, will be asked for" in said
    assert "Who:          Vera (vera), Rita (rita)\n" in said, "not Alan, who is of the team, nor Ada, who built it"
    assert "Who:          Alan (alan), Vera (vera), Rita (rita)\n" in said, "the role risk is not for outsiders only"
    start = said.index("apiVersion")
    manifests = list(yaml.safe_load_all(said[start : said.index("To hand to them:")]))
    assert [each["spec"]["role"] for each in manifests] == ["validator", "risk"]
    for each in manifests:
        ModelApproval.model_validate(each | {"metadata": {"name": "x"}})
        assert each["spec"]["subjectDigest"] == situation.digest()
    assert "  modelward approve credit-risk -n lending --version v8 --role risk" in said.splitlines()
    assert "http" not in said[said.index("To hand to them:") :]


def test_a_standing_approval_is_shown_with_its_own_digest(run: Any, situation: Situation) -> None:
    said = run(situation.cluster(), "request", "credit-risk", "--standing").output
    (first, _) = yaml.safe_load_all(said[said.index("apiVersion") : said.index("To hand to them:")])
    approval = ModelApproval.model_validate(first | {"metadata": {"name": "x"}}).spec
    assert approval.subject_digest == subjects.standing_subject(
        Model.model_validate(situation.model), situation.merged().digest
    )
    assert approval.standing is not None
    assert approval.standing.metrics[0].evaluation == "holdout"


@pytest.mark.parametrize(
    ("builders", "who"),
    [
        pytest.param([], "nobody: v8 names no builder", id="no builder is named"),
        pytest.param(
            ["ghost"], "nobody: the policy's identityMap does not know the builder ghost", id="an unknown one"
        ),
    ],
)
def test_it_is_said_when_nobody_can_approve(run: Any, situation: Situation, builders: list[str], who: str) -> None:
    situation.v8["spec"]["builtBy"] = builders
    situation.evaluations = []
    assert who in run(situation.cluster(), "request", "credit-risk").output


def test_a_version_that_needs_nobody_says_so(run: Any, situation: Situation) -> None:
    situation.policy["spec"]["stages"] = {}
    situation.flying = False
    assert (
        told(run(situation.cluster(), "request", "credit-risk")) == "v8 of Model lending/credit-risk lacks no approval."
    )


# approve


def test_an_approver_sees_what_changes_before_the_question(run: Any, situation: Situation) -> None:
    cluster = situation.cluster()
    result = run(cluster, "approve", "credit-risk", at_a_terminal=True, input="y\n")
    said = result.output
    assert result.exit_code == 0, said
    assert (
        "serving.template.spec.containers[server].image: registry.example.com/scorer:7 -> registry.example.com/scorer:8"
        in said
    )
    assert "license: MIT -> Apache-2.0" in said
    assert "lineage" not in said, "what is the same is not shown"
    assert "auc 0.862 0.852 to 0.872 0.87 -0.008 the same" in told(result)
    assert "errors Shadow Pass -0.01 0.05 12,000" in told(result)
    assert f"loans {DATA}: Confidential" in said
    assert "Built by:   ada@example.com" in said
    assert f"Policy:       high, {situation.merged().digest}" in said
    assert said.index("What changes") < said.index("Approve v8 of credit-risk in the role risk as rita?")
    assert spec_of(cluster) == {
        "model": "credit-risk",
        "version": "v8",
        "role": "risk",
        "decision": "Approve",
        "subjectDigest": situation.digest(),
        "approver": "rita",
    }
    assert cluster.created[0]["metadata"] == {"generateName": "credit-risk-v8-risk-approve-", "namespace": "lending"}


def test_who_says_no_has_decided_nothing(run: Any, situation: Situation) -> None:
    cluster = situation.cluster()
    result = run(cluster, "approve", "credit-risk", at_a_terminal=True, input="n\n")
    assert (result.exit_code, cluster.created) == (1, [])


def test_evaluations_on_another_data_set_are_not_compared(run: Any, situation: Situation) -> None:
    situation.evaluations[0]["spec"]["dataset"] = "sha256:" + "ee" * 32
    said = told(run(situation.cluster(), "approve", "credit-risk", "--yes", "--subject-digest", situation.digest()))
    assert "auc 0.862 0.852 to 0.872 0.87 ANOTHER" in said


def test_a_pipeline_approves_what_was_looked_at(run: Any, situation: Situation) -> None:
    cluster = situation.cluster()
    result = run(
        cluster, "approve", "credit-risk", "--yes", "--subject-digest", situation.digest(), "--reason", "Fine.",
        "--expires", "2099-01-01T00:00:00Z",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert {field: spec_of(cluster)[field] for field in ("reason", "expiresAt")} == {
        "reason": "Fine.",
        "expiresAt": "2099-01-01T00:00:00Z",
    }


def test_what_has_changed_since_is_not_approved(run: Any, situation: Situation) -> None:
    looked_at = situation.digest()
    situation.evaluations.append(situation.evaluated(situation.v8, 0.5, name="newer"))
    cluster = situation.cluster()
    result = run(cluster, "approve", "credit-risk", "--yes", "--subject-digest", looked_at)
    assert (result.exit_code, cluster.created) == (1, [])
    assert f"has digest {situation.digest()}, not {looked_at}" in told(result)


def test_what_changes_while_one_looks_is_not_approved(
    run: Any, situation: Situation, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = situation.cluster()

    def confirm(_: str) -> bool:
        situation.evaluations.append(situation.evaluated(situation.v8, 0.5, name="newer"))
        cluster.objects = situation.cluster().objects
        return True

    monkeypatch.setattr("typer.confirm", confirm)
    result = run(cluster, "approve", "credit-risk", at_a_terminal=True)
    assert (result.exit_code, cluster.created) == (1, [])
    assert "has changed while you looked" in told(result)


def test_a_status_that_speaks_of_other_objects_is_not_approved_by(run: Any, situation: Situation) -> None:
    """Also what somebody has written into the status to have another version approved."""
    cluster = situation.cluster()
    cluster.objects.append(situation.evaluated(situation.v8, 0.5, name="newer"))
    result = run(cluster, "approve", "credit-risk", "--yes", "--subject-digest", situation.digest())
    assert (result.exit_code, cluster.created) == (1, [])
    assert "speaks of other objects than those that are there now" in told(result)


def test_a_builder_is_told_that_the_approval_would_not_count(run: Any, situation: Situation) -> None:
    cluster = situation.cluster("ada", "approve:risk")
    result = run(cluster, "approve", "credit-risk", "--yes", "--subject-digest", situation.digest())
    assert "Warning: it would not count: ada is a builder of v8" in result.output


def test_a_policy_that_may_not_be_read_is_named_by_its_digest(run: Any, situation: Situation) -> None:
    cluster = situation.cluster("rita", "approve:risk", "no-policies")
    result = run(cluster, "approve", "credit-risk", "--yes", "--subject-digest", situation.digest())
    assert result.exit_code == 0, result.output
    assert "Note: the policy is not shown: lifecyclepolicies.modelward.dev is forbidden" in result.output


def test_names_from_the_cluster_cannot_steer_the_terminal(run: Any, situation: Situation) -> None:
    situation.v8["spec"]["license"] = "MIT\x1b[2J\rApproved"
    situation.evaluations = []
    result = run(situation.cluster(), "approve", "credit-risk", "--yes", "--subject-digest", situation.digest())
    assert "license: MIT -> MIT?[2J?Approved" in result.output


OTHERS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "a standing approval": (
        ["--standing", "12", "--bound", "holdout/auc=0.005"],
        {"decision": "Approve", "standing": {"maxCount": 12, "metrics": [{"evaluation": "holdout", "metric": "auc", "maxDecrease": 0.005}]}},
    ),
    "an override": (["--override", "--reason", "Incident."], {"decision": "Override", "version": "v8", "reason": "Incident."}),
    "an exception": (
        ["--exception", "Medium", "--reason", "Pilot."], {"decision": "Exception", "tier": "Medium", "subjectDigest": "sha256:" + "7e" * 32},
    ),
    "a review": (["--reviewed"], {"decision": "Reviewed"}),
}  # fmt: skip


@pytest.mark.parametrize(("flags", "expected"), OTHERS.values(), ids=OTHERS.keys())
def test_the_other_decisions_carry_what_they_need(
    run: Any, situation: Situation, flags: list[str], expected: dict[str, Any]
) -> None:
    situation.status["riskTier"] = {
        "declared": "Medium", "floor": "High", "because": "impact is High", "subjectDigest": "sha256:" + "7e" * 32,
    }  # fmt: skip
    cluster = situation.cluster("rita", "approve:risk", "override:risk")
    result = run(
        cluster, "approve", "credit-risk", *DEFAULTS, *flags, "--expires", "30d", at_a_terminal=True, input="y\n"
    )
    assert result.exit_code == 0, result.output
    assert expected.items() <= spec_of(cluster).items()


WRONG: dict[str, tuple[list[str], str]] = {
    "--yes without a digest": (["--yes"], "--yes approves without a look: give --subject-digest"),
    "nobody to ask": ([], "nobody can be asked here"),
    "two kinds at once": (["--override", "--reviewed", *DEFAULTS], "exclude one another"),
    "an override without a reason": (["--override", "--expires", "4h", *DEFAULTS], "--override takes a --reason"),
    "an override without an end": (["--override", "--reason", "x", *DEFAULTS], "give --expires"),
    "a standing approval without bounds": (["--standing", "3", "--expires", "4h", *DEFAULTS], "at least one --bound"),
    "a bound that is none": (["--standing", "3", "--bound", "auc", *DEFAULTS], "--bound auc is not EVALUATION/METRIC=DECREASE"),
    "a bound without the rest": (["--bound", "a/b=1", *DEFAULTS], "--bound belongs to --standing"),
    "an end that has passed": (["--expires", "2020-01-01T00:00:00Z"], "has passed"),
    "an end that is none": (["--expires", "soon"], "neither a span"),
    "a role that nobody asks for": (
        ["--role", "legal", "--yes", "--subject-digest", "x"], "v8 of Model lending/credit-risk lacks no approval as legal, but as",
    ),
    "another Model": (["--role", "x", "--yes", "--subject-digest", "x", "--version", "v9"], "there is no ModelVersion"),
}  # fmt: skip


@pytest.mark.parametrize(("flags", "sentence"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_meant_is_refused_with_a_remedy(
    run: Any, situation: Situation, flags: list[str], sentence: str
) -> None:
    cluster = situation.cluster()
    result = run(cluster, "approve", "credit-risk", *flags)
    assert result.exit_code in (1, 2)
    assert sentence in " ".join(result.output.replace("│", " ").split())
    assert cluster.created == []


def test_without_the_role_one_is_told_which_it_takes(run: Any, situation: Situation) -> None:
    result = run(situation.cluster("mallory", "none"), "approve", "credit-risk", "--yes", "--subject-digest", "x")
    assert "you may not approve as validator or risk in lending" in told(result)


def test_a_refusal_of_the_api_server_is_shown_as_it_is_with_the_right_to_ask_for(
    run: Any, situation: Situation
) -> None:
    cluster = situation.cluster()
    cluster.refusal = Forbidden("'rita' is in the group system:masters. Ask who runs the cluster for that right.")
    result = run(cluster, "approve", "credit-risk", "--yes", "--subject-digest", situation.digest())
    assert result.exit_code == 1
    assert (
        "'rita' is in the group system:masters. Who decides as risk is bound to the ClusterRole approver-risk"
        in told(result)
    )


def test_a_cluster_that_does_not_answer_ends_with_three(run: Any, situation: Situation) -> None:
    cluster = situation.cluster()
    cluster.refusal = ClusterError("no answer.")
    result = run(cluster, "approve", "credit-risk", "--yes", "--subject-digest", situation.digest())
    assert result.exit_code == 3


# reject


def test_a_rejection_needs_a_reason_and_nothing_else(run: Any, situation: Situation) -> None:
    cluster = situation.cluster("olga", "reject:risk")
    assert run(cluster, "reject", "credit-risk").exit_code == 2
    assert run(cluster, "reject", "credit-risk", "--reason", " ").exit_code == 2
    assert run(cluster, "reject", "credit-risk", "--reason", "It is wrong.").exit_code == 0
    assert spec_of(cluster) == {
        "model": "credit-risk",
        "version": "v8",
        "role": "risk",
        "decision": "Reject",
        "approver": "olga",
        "reason": "It is wrong.",
    }


def test_what_serves_is_rejected_by_its_name_only(run: Any, situation: Situation) -> None:
    situation.flying = False
    cluster = situation.cluster("olga", "reject:risk")
    assert "say which version with --version" in told(run(cluster, "reject", "credit-risk", "--reason", "It is wrong."))
    result = run(cluster, "reject", "credit-risk", "--reason", "It is wrong.", "--version", "v7", "--role", "risk")
    assert result.exit_code == 0, result.output
    assert spec_of(cluster)["version"] == "v7"
