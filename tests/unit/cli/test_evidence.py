"""`modelward evidence`: what is printed for the next environment, and when nothing is."""

import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from modelward.api.digests import version_digest
from modelward.api.model_evaluation import ModelEvaluation
from modelward.api.model_version import ModelVersion
from modelward.cli import audit_sources, evidence
from modelward.cli.cluster import ClusterError, Objects
from modelward.cli.main import app
from modelward.governance.trials import METRICS
from tests.unit.governance.chains import MODEL, documents_of, entry
from tests.unit.governance.story import shares

IMAGE = "registry.example.com/credit@sha256:" + "1" * 64
PIPELINE = "system:serviceaccount:promotion:pipeline"
OLD = "2026-11-01T09:00:00Z"
IN_PLACE = {"type": "ApprovalsTrusted", "status": "True", "reason": "AdmissionInPlace", "lastTransitionTime": OLD}


class Fed:
    """A namespace of a cluster with these objects in it, and one user."""

    def __init__(self, namespace: str, user: str, objects: list[dict[str, Any]]) -> None:
        self.namespace, self.user, self.objects = namespace, user, objects

    def now(self) -> datetime:
        return datetime.now(UTC)

    def get(self, resource: Any, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        return next((each for each in self.list(resource) if each["metadata"]["name"] == name), None)

    def list(self, resource: Any, namespace: str | None = None, selector: str = "") -> Objects:
        return [each for each in self.objects if each["kind"] == resource.kind]

    def whoami(self) -> str:
        return self.user


class Environments:
    """v8 serves in `lending`, which is the test environment, and is committed to `lending-prod`."""

    def __init__(self) -> None:
        self.version = object_(
            "ModelVersion",
            "credit-risk-v8",
            {
                "model": "credit-risk",
                "version": "v8",
                "serving": {"replicas": 1, "template": {"spec": {"containers": [{"name": "server", "image": IMAGE}]}}},
            },
        )
        self.later: dict[str, Any] | None = copy.deepcopy(self.version)
        self.contexts: list[str] = []
        self.asked_for: list[str] = []
        self.weights = shares(v8=100)
        self.model = object_(
            "Model", "credit-risk", {"serving": {"port": 8080}, "production": {"version": "v8"}}, status={}
        )
        self.told: dict[str, Any] = {
            "production": {"version": "v8", "digest": digest_of(self.version), "since": OLD},
            "conditions": [IN_PLACE],
        }
        self.broken = False

    def connect(self, context: str = "", kubeconfig: Any = None, namespace: str = "") -> Fed:
        self.contexts.append(context)
        self.asked_for.append(namespace)
        if namespace == "lending-prod" or context == "prod":
            return Fed(namespace, PIPELINE, [self.later] if self.later else [])
        return Fed("lending", "dev", [self.model | {"status": self.told}, self.version, *self.records()])

    def records(self) -> Objects:
        about = {"version": "v8", "version_digest": self.told.get("production", {}).get("digest", "")}
        chain = documents_of(
            [
                entry("RolloutStarted", **about),
                entry("Promoted", **about, weights=self.weights),
                entry("WatchPassed", **about, weights=self.weights),
            ]
        )
        if self.broken:
            chain[1]["message"] = "All was well."
        return [object_("ModelAuditRecord", f"credit-risk-{each['seq']:08}", each) for each in chain]


def object_(kind: str, name: str, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "lending", "uid": MODEL.uid, "creationTimestamp": OLD}
    return {"apiVersion": "modelward.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec, **more}


def digest_of(version: dict[str, Any]) -> str:
    return version_digest(ModelVersion.model_validate(version).spec)


@pytest.fixture
def environments(monkeypatch: pytest.MonkeyPatch) -> Environments:
    found = Environments()
    for module in (evidence, audit_sources):
        monkeypatch.setattr(module, "connect", found.connect)
    return found


def run(*arguments: str) -> Result:
    given = ["evidence", "credit-risk", "--version", "v8", "-n", "lending", *arguments]
    return CliRunner().invoke(app, given, env={"COLUMNS": "300", "TERM": "dumb"})


def printed(*arguments: str) -> dict[str, Any]:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = yaml.safe_load(result.stdout)
    return found


def test_it_prints_an_evaluation_for_the_later_environment_in_the_name_of_who_will_create_it(
    environments: Environments,
) -> None:
    found = printed("--for", "lending-prod", "--environment", "test")
    assert found["metadata"] == {"generateName": "credit-risk-v8-environment-test-", "namespace": "lending-prod"}
    spec = found["spec"]
    figures = {metric["name"]: metric["value"] for metric in spec["metrics"]}
    assert (spec["name"], spec["evaluator"]) == ("environment-test", PIPELINE)
    assert (figures["watchPassed"], figures["rollbacks"]) == (1.0, 0.0)
    assert figures["daysInProduction"] > 0
    newest = environments.records()[-1]["spec"]
    assert spec["environment"] == {
        "name": "test",
        "namespace": "lending",
        "versionDigest": digest_of(environments.version),
        "record": 3,
        "recordHash": newest["hash"],
    }
    ModelEvaluation.model_validate({**found, "metadata": {"name": "x"}})


def test_the_evaluation_is_about_the_content_that_is_to_serve_there_although_pods_are_sized_otherwise(
    environments: Environments,
) -> None:
    assert environments.later
    environments.later["spec"]["serving"]["replicas"] = 6
    result = run("--for", "lending-prod")
    spec = yaml.safe_load(result.stdout)["spec"]
    assert spec["versionDigest"] == digest_of(environments.later) != digest_of(environments.version)
    assert spec["environment"]["versionDigest"] == digest_of(environments.version)
    assert "the same build under two digests, because pods are sized or placed otherwise" in result.stderr


def test_without_a_name_the_environment_is_called_as_its_namespace(environments: Environments) -> None:
    assert printed("--for", "lending-prod")["spec"]["name"] == "environment-lending"


def test_the_later_environment_may_be_another_cluster_with_a_namespace_of_the_same_name(
    environments: Environments,
) -> None:
    found = printed("--context", "test", "--for-context", "prod", "--environment", "test", "--valid-for", "48h")
    assert found["metadata"]["namespace"] == "lending"
    assert (environments.contexts[0], environments.contexts[-1]) == ("test", "prod")
    assert found["spec"]["validUntil"] > found["spec"]["at"]


def test_a_tag_is_accepted_where_nothing_differs_and_warned_of(environments: Environments) -> None:
    for version in (environments.version, environments.later):
        assert version
        version["spec"]["serving"]["template"]["spec"]["containers"][0]["image"] = "registry.example.com/credit:8"
    environments.told["production"]["digest"] = digest_of(environments.version)
    result = run("--for", "lending-prod")
    assert result.exit_code == 0, result.output
    assert "registry.example.com/credit:8: named by a tag" in result.stderr


def no_version_there(world: Environments) -> None:
    world.later = None


def another_image(world: Environments) -> None:
    assert world.later
    world.later["spec"]["serving"]["template"]["spec"]["containers"][0]["image"] = IMAGE[:-1] + "0"


def made_anew(world: Environments) -> None:
    world.version["spec"]["license"] = "MIT"
    assert world.later
    world.later["spec"]["license"] = "MIT"


def pruned(world: Environments) -> None:
    another_image(world)
    world.version["metadata"]["name"] = "gone"


def not_promoted(world: Environments) -> None:
    world.told["production"]["version"] = "v7"


def latched(world: Environments) -> None:
    digest = world.told["production"]["digest"]
    world.told["failed"] = [
        {"version": "v8", "digest": digest, "retry": 0, "stage": "Production", "reason": "Rejected", "message": "Ada said no.", "at": OLD}
    ]  # fmt: skip


def broken_chain(world: Environments) -> None:
    world.broken = True


def forged_status(world: Environments) -> None:
    world.told["conditions"] = [
        {**IN_PLACE, "status": "False", "reason": "AdmissionNotInPlace", "message": "No ModelApproval is counted: it is missing."}
    ]  # fmt: skip


def status_without_a_word_of_trust(world: Environments) -> None:
    world.told["conditions"] = []


def served_elsewhere(world: Environments) -> None:
    del world.model["spec"]["serving"]


REFUSED = {
    "not committed to the later one": (no_version_there, "there is no ModelVersion lending-prod/credit-risk-v8 in the later"),
    "another image": (another_image, "not the build that is to serve in lending-prod: spec.serving.template.spec.containers[server].image differs"),
    "made anew since it served": (made_anew, "ModelVersion lending/credit-risk-v8 was made anew with other content"),
    "pruned since it served": (pruned, "ModelVersion lending/credit-risk-v8 is not there any more"),
    "never promoted": (not_promoted, "lending shows nothing for it: v8 was never promoted there; v7 serves"),
    "latched": (latched, "v8 failed there in Production and is latched: Ada said no"),
    "a chain that was edited": (broken_chain, "the audit chain of lending/credit-risk is not whole: record 2"),
    "a status that anybody may have written": (forged_status, "cannot be believed: No ModelApproval is counted"),
    "a status that says nothing of who may write it": (status_without_a_word_of_trust, "cannot be believed: the operator has not said"),
    "served elsewhere": (served_elsewhere, "is served elsewhere (it has no spec.serving)"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_it_prints_nothing_and_ends_with_1_when(environments: Environments, change: Any, why: str) -> None:
    change(environments)
    result = run("--for", "lending-prod")
    assert result.exit_code == 1
    assert why in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        pytest.param(["--at-least", "daysInProduction=0"], 0, "", id="enough"),
        pytest.param(["--at-least", "requests=1000"], 4, "v8 in lending: requests is 0, and --at-least asks for 1000", id="too few"),
        pytest.param(["--at-most", "daysInProduction=0"], 4, "and --at-most asks for 0", id="too many"),
        pytest.param(["--at-least", "days=7"], 2, "'days' is no metric", id="no metric"),
        pytest.param(["--at-least", "requests"], 2, "gives no number", id="no number"),
        pytest.param(["--for", "lending"], 2, "say which environment it is for", id="for itself"),
        pytest.param(["--environment", "Test EU"], 2, "'Test EU' cannot be part of a name", id="no name"),
        pytest.param(["--valid-for", "a while"], 2, "'a while' is no period", id="no duration"),
    ],
)  # fmt: skip
def test_a_pipeline_can_ask_again_later_rather_than_hand_over_too_little(
    environments: Environments, arguments: list[str], code: int, says: str
) -> None:
    result = run("--for", "lending-prod", *arguments)
    assert result.exit_code == code, result.output
    assert says in " ".join(result.stderr.split())
    assert bool(result.stdout) is (code == 0)


def test_the_help_names_every_metric_and_so_does_the_page() -> None:
    told = CliRunner().invoke(app, ["evidence", "--help"], env={"COLUMNS": "300", "TERM": "dumb"}).stdout
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "promote-across-environments.md").read_text("utf-8")
    assert [name for name in METRICS if name not in told or f"`{name}`" not in page] == []


def test_a_cluster_without_an_answer_ends_with_3(environments: Environments, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: Any) -> Fed:
        raise ClusterError("https://192.0.2.1 gives no answer.")

    monkeypatch.setattr(evidence, "connect", nobody)
    assert run("--for", "lending-prod").exit_code == 3
