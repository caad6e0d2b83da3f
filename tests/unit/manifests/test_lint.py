"""What lint says of manifests in files: where, in which field, and what to do."""

from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml

from modelward.api.digests import version_digest
from modelward.api.lifecycle_policy import LifecyclePolicy
from modelward.api.model_version import ModelVersion
from modelward.manifests.documents import MOST_VALUES, read_files, read_text
from modelward.manifests.finding import Severity
from modelward.manifests.lint import Looked, lint
from tests.manifests import BAD, GOOD, changed

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MODEL = changed(GOOD["a model behind a gateway"], spec__challengers=[])
VERSION = changed(GOOD["a version with an inline baseline"], metadata__name="churn-v7", spec__version="v7")
POLICY: dict[str, Any] = {
    "apiVersion": "modelward.dev/v1alpha1",
    "kind": "LifecyclePolicy",
    "metadata": {"name": "plain"},
    "spec": {"appliesTo": {"tiers": ["High"]}},
}
ERRORS = {"name": "errors", "errorRate": {"maxIncrease": 0.005}}
DRIFT = {"name": "drift", "drift": {"reference": "Baseline"}}


def with_canary(*gates: dict[str, Any], **spec: Any) -> dict[str, Any]:
    steps = [{"weight": 10, "minDuration": "1h"}]
    return changed(POLICY, spec__stages={"canary": {"steps": steps, "gates": list(gates)}}, **spec)


def looked_at(*manifests: dict[str, Any], policies: tuple[LifecyclePolicy, ...] = ()) -> Looked:
    return lint(read_text(yaml.safe_dump_all(manifests), "prod.yaml"), policies, "default", NOW)


def said(*manifests: dict[str, Any]) -> list[str]:
    return [str(finding) for finding in looked_at(*manifests).findings]


def test_a_model_with_its_version_and_policy_is_fine() -> None:
    assert said(MODEL, VERSION, POLICY) == []


CASES: dict[str, tuple[tuple[dict[str, Any], ...], str]] = {
    "a version that is not there": (
        (MODEL, POLICY),
        "spec.production.version is 'v7', but there is no ModelVersion 'churn-v7' in namespace 'default'",
    ),
    "a challenger that is not there": (
        (changed(MODEL, spec__challengers=["v9"]), VERSION, POLICY),
        "spec.challengers[0]: v9 would not be shadowed: there is no ModelVersion churn-v9: create it",
    ),
    "a challenger under a policy without a shadow": (
        (changed(MODEL, spec__challengers=["v8"]), VERSION, GOOD["a version with an inline baseline"], POLICY),
        "no policy that applies has a shadow stage",
    ),
    "no policy for the tier": (
        (MODEL, VERSION, changed(POLICY, spec__appliesTo={"tiers": ["Low"]})),
        "no LifecyclePolicy applies to tier High in namespace 'default' (there are: plain)",
    ),
    "a tier below the floor": (
        (
            changed(MODEL, spec__riskTier="High", spec__riskAssessment={"impact": "Severe"}),
            VERSION,
            changed(POLICY, spec__minimumTier={"impact": {"Severe": "Critical"}}),
        ),
        "spec.riskTier is High, but riskAssessment.impact is Severe, so that the least tier allowed is Critical",
    ),
    "a gate that is loosened": (
        (
            changed(MODEL, spec__gates=[{"name": "errors", "errorRate": {"maxIncrease": 0.5}}]),
            VERSION,
            with_canary(ERRORS),
        ),
        "spec.gates[errors] asks for less than the policy's gate of that name: errorRate.maxIncrease 0.5 is above 0.005",
    ),
    "a gate without its baseline": (
        (MODEL, changed(VERSION, spec__baseline=None), with_canary(DRIFT)),
        "gate 'drift' of policy 'plain' compares with the training data, but ModelVersion churn-v7 has no spec.baseline.features",
    ),
    "a canary without a route": (
        (changed(MODEL, spec__serving={"port": 8080}), VERSION, with_canary(ERRORS)),
        "policy 'plain' has the stages canary, which need spec.serving.route: add the route",
    ),
    "a field that the policy asks for, of the version": (
        (MODEL, VERSION, changed(POLICY, spec__requires={"fields": ["modelCard"]})),
        "spec.modelCard: ModelVersion v7: spec.modelCard is not set, and the policy asks for it: set it in a new version",
    ),
    "a document that the policy asks for": (
        (MODEL, VERSION, changed(POLICY, spec__requires={"documents": ["ValidationReport"]})),
        "spec.documents: the Model has no document of type ValidationReport",
    ),
    "a register number twice": (
        (MODEL, changed(MODEL, metadata__name="leavers", spec__production=None, spec__serving=None), VERSION, POLICY),
        "spec.modelID 'MDL-0117' belongs to Model default/churn (prod.yaml:1:1): give this one its own",
    ),
    "a route twice": (
        (
            MODEL,
            changed(MODEL, metadata__name="leavers", spec__modelID="MDL-2", spec__production=None),
            VERSION,
            POLICY,
        ),
        "spec.serving.route: churn.example.com/v1/predict is already claimed by Model default/churn",
    ),
    "an object twice": ((POLICY, POLICY), "LifecyclePolicy plain is declared at prod.yaml:4:3 already"),
    "an evaluation of other content": (
        (MODEL, VERSION, changed(GOOD["an evaluation"], spec__version="v7"), POLICY),
        "spec.versionDigest: this is an evaluation of other content than ModelVersion churn-v7 has, whose digest is "
        + version_digest(ModelVersion.model_validate(VERSION).spec),
    ),
    "a kind that is not served": (
        ({"apiVersion": "modelward.dev/v1alpha1", "kind": "Modell", "metadata": {"name": "a"}, "spec": {}},),
        "kind: 'Modell' is no kind of modelward.dev: did you mean Model?",
    ),
    "another API version": (
        ({"apiVersion": "modelward.dev/v1", "kind": "Model", "metadata": {"name": "a"}, "spec": {}},),
        "apiVersion: 'modelward.dev/v1' is not served: write modelward.dev/v1alpha1",
    ),
    "a gate that this release cannot evaluate": (
        (with_canary({"name": "checked", "job": {}}),),
        "spec.stages.canary.gates[checked].job: this release cannot evaluate it, and a rollout with it is held",
    ),
    "a name that a label cannot be": (
        (changed(MODEL, metadata__labels={"team": 7}), VERSION, POLICY),
        'metadata.labels.team: 7 is a number: write text, in quotes: "7"',
    ),
}


@pytest.mark.parametrize(("manifests", "says"), CASES.values(), ids=list(CASES))
def test_it_says_what_the_operator_would_say(manifests: tuple[dict[str, Any], ...], says: str) -> None:
    assert any(says in line for line in said(*manifests)), said(*manifests)


@pytest.mark.parametrize("name", list(BAD))
def test_it_says_once_what_the_api_server_would_refuse(name: str) -> None:
    errors = looked_at(BAD[name].manifest).errors
    assert errors
    assert len({finding.message for finding in errors}) == len(errors)


def test_a_finding_stands_at_its_line_and_column() -> None:
    text = dedent("""\
        kind: Namespace
        ---
        apiVersion: modelward.dev/v1alpha1
        kind: Model
        metadata: {name: churn}
        spec:
          riskTier: High
          prodution: {version: v7}
          gates:
            - name: errors
              errorRate:
                maxIncrease: 1.5
        """)
    found = lint(read_text(text, "prod/churn.yaml"), (), "default", NOW).findings
    assert [str(finding) for finding in found] == [
        "prod/churn.yaml:8:3: spec.prodution: the API server does not know this field: did you mean production?",
        "prod/churn.yaml:12:9: spec.gates[0].errorRate.maxIncrease: 1.5 is too large: the most is 1",
    ]


def test_without_any_policy_it_says_that_nothing_was_held_against_one() -> None:
    (finding,) = looked_at(MODEL, VERSION).findings
    assert finding.severity is Severity.WARNING
    assert "add --policies FILE, or --shipped" in finding.message


def test_a_baseline_that_something_else_makes_is_a_warning() -> None:
    version = changed(VERSION, spec__baseline={"configMap": "made-elsewhere", "digest": "sha256:" + "0" * 64})
    (finding,) = looked_at(MODEL, version, with_canary(DRIFT)).findings
    assert finding.severity is Severity.WARNING
    assert "there is no ConfigMap 'made-elsewhere'" in finding.message


def test_namespaces_of_the_files_choose_the_policy_by_their_labels() -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "live", "labels": {"env": "live"}}}
    labelled = changed(
        POLICY, spec__appliesTo={"tiers": ["High"], "namespaceSelector": {"matchLabels": {"env": "live"}}}
    )
    within = [changed(each, metadata__namespace="live") for each in (MODEL, VERSION)]
    assert said(*within, labelled, namespace) == []
    assert "no LifecyclePolicy applies" in " ".join(said(MODEL, VERSION, labelled, namespace))


BROKEN_FILES = {
    "a key twice": ("a: 1\na: 2\n", "f.yaml:2:1: has the key a twice: keep one of them"),
    "no YAML": ("a: [1\n", "is not YAML"),
    "an alias that grows without an end": (
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(f"{b}: &{b} [{', '.join(['*' + a] * 10)}]\n" for a, b in zip("abcdef", "bcdefg", strict=True)),
        "has too many values",
    ),
    "an alias of itself": ("a: &a [*a]\n", "has too many values, or nests them too deeply"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "says"), BROKEN_FILES.values(), ids=list(BROKEN_FILES))
def test_a_file_that_cannot_be_read_is_a_finding(text: str, says: str) -> None:
    (finding,) = read_text(text, "f.yaml").findings
    assert says in str(finding)
    assert finding.severity is Severity.ERROR


def test_a_large_document_is_read_up_to_a_limit() -> None:
    assert read_text("a: [" + "1," * (MOST_VALUES + 1) + "]", "f.yaml").findings


def test_a_day_stays_text_and_a_merged_key_is_no_second_one() -> None:
    text = "a: &a {day: 2026-12-01, x: 1}\nb: {<<: *a, x: 2}\nc: {<<: *a, x: 3}\n"
    (document,) = read_text(text, "f.yaml").documents
    assert document.content["b"] == {"day": "2026-12-01", "x": 2}
    assert document.content["c"]["x"] == 3


def test_templates_and_patches_are_named_and_left_out(tmp_path: Path) -> None:
    (tmp_path / "helm.yaml").write_text("spec: {{ .Values.spec | toYaml }}\n")
    (tmp_path / "kustomization.yaml").write_text("patches: [{path: version.yaml}]\n")
    (tmp_path / "version.yaml").write_text("apiVersion: modelward.dev/v1alpha1\nkind: Model\nmetadata: {name: a}\n")
    read = read_files(sorted(tmp_path.iterdir()))
    assert [finding.severity for finding in read.findings] == [Severity.WARNING] * 2
    assert "helm template . | modelward lint -" in read.findings[0].message
    assert "kustomize build . | modelward lint -" in read.findings[1].message
    assert lint(read, (), "default", NOW).errors == ()


@pytest.mark.parametrize(
    ("evaluation", "warns"),
    [
        pytest.param({"name": "environment-test"}, True, id="of anybody"),
        pytest.param({"name": "environment-test", "evaluators": ["pipeline"]}, False, id="of the pipeline"),
        pytest.param({"name": "holdout"}, False, id="of no environment"),
    ],
)
def test_an_earlier_environment_for_which_anybody_may_speak_is_warned_of(
    evaluation: dict[str, Any], warns: bool
) -> None:
    gate = {"name": "tested", "evaluation": {"metric": "rollbacks", "max": 0, **evaluation}}
    looked = looked_at(changed(POLICY, spec__stages={"validation": {"gates": [gate]}}))
    assert looked.errors == ()
    found = [finding for finding in looked.findings if "can say what test has shown" in finding.message]
    assert bool(found) is warns
    assert all(finding.field == "spec.stages.validation.gates[tested].evaluation" for finding in found)
