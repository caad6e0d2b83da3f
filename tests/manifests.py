"""One corpus of good and bad manifests: what the API server takes and refuses, and pydantic with it."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import yaml

Manifest = dict[str, Any]

KINDS = {
    "Model": "models",
    "ModelVersion": "modelversions",
    "LifecyclePolicy": "lifecyclepolicies",
    "ModelEvaluation": "modelevaluations",
}

_DIGEST = "sha256:" + "4f" * 32
_ABSENT = object()

GOOD: dict[str, Manifest] = {
    "a model behind a gateway": yaml.safe_load("""
        apiVersion: modelward.dev/v1alpha1
        kind: Model
        metadata: {name: churn}
        spec:
          modelID: MDL-0117
          type: Classification
          purpose: Estimates which subscribers will leave within a quarter.
          owner: {team: retention-ml, contact: retention-ml@example.com}
          businessOwner: {team: subscriptions}
          riskTier: High
          production: {version: v7}
          challengers: [v8]
          serving:
            port: 8080
            metrics: {port: 9090, path: /metrics, preset: modelward, source: Pods}
            route:
              parentRefs: [{name: public, namespace: gateways}]
              hostnames: [churn.example.com]
              pathPrefix: /v1/predict
          gates: []
          suspend: false
    """),
    "a model measured by a named Prometheus": yaml.safe_load("""
        apiVersion: modelward.dev/v1alpha1
        kind: Model
        metadata: {name: churn}
        spec:
          production: {version: v7, retry: 1}
          serving: {metrics: {source: {prometheus: platform}}}
          gates:
            - {name: slow, latency: {slo: 1s500ms}, stages: [Shadow, Canary]}
    """),
    "a model served elsewhere": {
        "apiVersion": "modelward.dev/v1alpha1",
        "kind": "Model",
        "metadata": {"name": "churn"},
        "spec": {},
    },
    "a model with all that the register holds": yaml.safe_load(
        """
        apiVersion: modelward.dev/v1alpha1
        kind: Model
        metadata: {name: churn}
        spec:
          modelID: MDL-0117
          description: Gradient-boosted trees over a year of usage.
          purpose: Estimates which subscribers will leave within a quarter.
          businessContext: The retention desk calls the thousand most likely to leave.
          type: Vendor
          family: churn-by-country
          provider: {name: Acme, model: leaver, version: "3"}
          owner: {team: retention-ml, contact: retention-ml@example.com, accountable: Ada}
          businessOwner: {team: subscriptions}
          stakeholders: [{name: privacy-office, role: Compliance, contact: privacy@example.com}]
          riskTier: High
          riskAssessment: {impact: High, autonomy: Supervised, reversibility: Easy, regulatoryExposure: Indirect, rationale: People call.}
          regulations: [GDPR]
          documents: [{type: ValidationReport, uri: https://docs.example.com/churn, digest: DIGEST}]
          useRestrictions: [Not for pricing]
          limitations: [Weak for subscribers of less than a month]
          humanOversight: {mode: HumanInTheLoop, description: A person calls., contact: retention@example.com}
          consumers: [{name: desk, team: retention, contact: desk@example.com, purpose: Whom to call}]
          dependsOn: [{model: usage, namespace: data}, {external: weather service, purpose: Season}]
          review: {interval: 4380h}
          monitoring: {dashboardURL: https://dash.example.com/churn, checks: [{name: lift, uri: https://dash.example.com/lift}]}
          retraining: {cadence: monthly, triggers: [drift], pipeline: https://pipelines.example.com/churn}
          retirement: {planned: "2028-01-01", criteria: No lift for a quarter, successor: MDL-0300}
          retention: {days: 3650, basis: Contract}
    """.replace("DIGEST", _DIGEST)
    ),
    "a version with all that the register holds": yaml.safe_load(
        """
        apiVersion: modelward.dev/v1alpha1
        kind: ModelVersion
        metadata: {name: churn-v8}
        spec:
          model: churn
          version: v8
          artifact: {uri: s3://models/churn/v8, digest: DIGEST, encryption: {method: SSE-KMS, key: alias/models}}
          builtBy: [ada@example.com]
          validators: [grace@example.com]
          lineage:
            run: {id: r-881, uri: https://runs.example.com/881, user: ada}
            code: {repo: https://git.example.com/churn, commit: 0a1b2c, authors: [ada@example.com]}
            parameters: {depth: 6, rate: 0.1, loss: {name: log}}
            environment: {image: registry.example.com/train@DIGEST, lockDigest: DIGEST}
            datasets: [{name: subscribers, uri: s3://data/subscribers, version: "12", digest: DIGEST, classification: Internal}]
            features: [{name: usage, uri: https://features.example.com/usage, version: "3"}]
            context: [{name: rules of the desk, type: Rules, uri: s3://rules/desk, digest: DIGEST}]
          schema:
            inputs: [{name: income, type: double}, {name: region, type: string, required: false}]
            outputs: [{name: score, type: double}]
          modelCard: {uri: https://docs.example.com/churn/v8, digest: DIGEST}
          license: Apache-2.0
          baseModel: {name: leaver-base, digest: DIGEST, license: MIT}
          validUntil: "2027-12-01T00:00:00Z"
          deprecation: {since: "2026-12-01", sunset: "2027-02-01", reason: superseded}
    """.replace("DIGEST", _DIGEST)
    ),
    "a version with an inline baseline": yaml.safe_load(
        """
        apiVersion: modelward.dev/v1alpha1
        kind: ModelVersion
        metadata: {name: churn-v8}
        spec:
          model: churn
          version: v8
          artifact: {uri: s3://models/churn/v8, digest: DIGEST, format: sklearn}
          serving:
            replicas: 2
            template:
              metadata: {labels: {cost-centre: "12"}}
              spec:
                containers:
                  - {name: server, image: registry.example.com/churn@DIGEST, ports: [{containerPort: 8080}]}
                nodeSelector: {accelerator: none}
          builtBy: [ada@example.com]
          lineage:
            run: {id: r-881}
            code: {repo: https://git.example.com/churn, commit: 0a1b2c}
            datasets: [{name: subscribers, digest: DIGEST}]
            environment: {image: registry.example.com/train@DIGEST}
          baseline:
            features:
              - {name: income, kind: Numeric, edges: [10000, 20000, 40000, 80000], counts: [812, 2210, 3120, 990, 88], missing: 12}
              - {name: region, kind: Categorical, counts: {north: 3100, south: 4120}}
            predictions: {edges: [0.1, 0.3, 0.5, 0.7, 0.9], counts: [4100, 1900, 700, 300, 150, 82]}
    """.replace("DIGEST", _DIGEST)
    ),
    "a version with autoscaling and a baseline in a ConfigMap": yaml.safe_load(
        """
        apiVersion: modelward.dev/v1alpha1
        kind: ModelVersion
        metadata: {name: churn-v8}
        spec:
          model: churn
          version: v8
          serving:
            autoscaling: {min: 2, max: 6}
            template: {spec: {containers: [{name: server}]}}
          baseline: {configMap: churn-v8-baseline, digest: DIGEST}
          deprecation: {since: "2026-12-01", reason: superseded}
    """.replace("DIGEST", _DIGEST)
    ),
    "an evaluation": yaml.safe_load(
        """
        apiVersion: modelward.dev/v1alpha1
        kind: ModelEvaluation
        metadata: {name: churn-v8-holdout-20261101}
        spec:
          model: churn
          version: v8
          versionDigest: DIGEST
          name: holdout
          evaluator: training-pipeline
          dataset: DIGEST
          metrics: [{name: auc, value: 0.871, low: 0.86, high: 0.88}, {name: brier, value: 0.12}]
          at: "2026-11-01T09:00:00Z"
          validUntil: "2027-02-01T00:00:00Z"
    """.replace("DIGEST", _DIGEST)
    ),
    "an evaluation of an earlier environment": yaml.safe_load(
        """
        apiVersion: modelward.dev/v1alpha1
        kind: ModelEvaluation
        metadata: {name: churn-v8-environment-test-k2x9p}
        spec:
          model: churn
          version: v8
          versionDigest: DIGEST
          name: environment-test
          evaluator: system:serviceaccount:promotion:pipeline
          metrics: [{name: daysInProduction, value: 9.5}, {name: rollbacks, value: 0}]
          at: "2026-11-01T09:00:00Z"
          environment: {name: test, namespace: churn-test, versionDigest: DIGEST, record: 42, recordHash: DIGEST}
    """.replace("DIGEST", _DIGEST)
    ),
    "a policy with every stage": yaml.safe_load("""
        apiVersion: modelward.dev/v1alpha1
        kind: LifecyclePolicy
        metadata: {name: strict}
        spec:
          appliesTo: {tiers: [High], namespaceSelector: {matchLabels: {env: live}}, priority: 10}
          minimumTier:
            impact: {Low: Low, High: High}
            autonomy: {Full: Medium}
            rules: [{when: {impact: [High], autonomy: [Full]}, tier: Critical}]
          requires: {fields: [modelCard, owner], documents: [ValidationReport], independentValidators: true}
          data: {permittedClassifications: [Public, Internal]}
          licenses: {permitted: [Apache-2.0, MIT], denied: [AGPL-3.0-only]}
          review: {interval: 4380h}
          evaluation: {maxAge: 2160h}
          retention: {minimumDays: 3650}
          identityMap:
            people:
              - {name: Ada, usernames: [ada], identities: [ada@example.com], teams: [retention-ml]}
            matchByName: true
          stages:
            validation:
              gates:
                - {name: auc, evaluation: {name: holdout, metric: auc, min: 0.80, versusIncumbent: {maxDecrease: 0.005}, maxAge: 720h}}
                - {name: tested, evaluation: {name: environment-test, metric: rollbacks, max: 0, evaluators: ["system:serviceaccount:promotion:pipeline"]}}
              approvals: [{role: independent-validator}]
            shadow:
              mirrorPercent: 100
              minDuration: 24h
              interval: 60s
              gates:
                - {name: drift, drift: {method: PSI, threshold: 0.2, maxDriftedShare: 0.3, reference: Baseline}, minSamples: 2000}
                - {name: scores, predictionDrift: {method: JS, threshold: 0.1, reference: Incumbent}}
                - {name: latency, latency: {slo: 250ms, maxIncrease: 0.01}}
            canary:
              steps:
                - {weight: 1, minDuration: 1h}
                - {weight: 10, minDuration: 4h}
                - {weight: 50, minDuration: 4h, require: Passed}
              gates:
                - {name: errors, errorRate: {maxIncrease: 0.005, abortAbove: 0.2}, warmup: 2m}
                - {name: latency, latency: {slo: 250ms, maxIncrease: 0.01}}
                - {name: inputs, dataQuality: {maxMissing: 0.05}, advisory: true}
                - {name: saturation, query: {source: platform, query: "max(queue_depth)", max: 10}}
                - {name: feedback, quality: {metric: Recall, min: 0.8, versusIncumbent: {maxDecrease: 0.02}}, minSamples: 500}
                - {name: fair, fairness: {metric: AdverseActionRatio, group: sex, min: 0.8, minGroupSize: 200}}
              alpha: 0.05
              approvals: [{role: risk, count: 2, independent: true, beforeWeight: 50}]
            production:
              watch: {duration: 24h}
              monitoring:
                interval: 30m
                gates:
                  - {name: errors, errorRate: {abortAbove: 0.05}, window: 2h}
                  - {name: slow, latency: {slo: 250ms, abortAbove: 0.1}}
                  - {name: inputs-drift, drift: {threshold: 0.2, maxDriftedShare: 0.3}, window: 168h}
                  - {name: inputs, dataQuality: {maxMissing: 0.05}}
                  - {name: labels, quality: {metric: Recall, min: 0.8}, advisory: true}
                  - {name: saturation, query: {source: platform, query: "max(queue_depth)", max: 10}}
                responses: [{gate: errors, then: Rollback}, {gate: "*", then: Alert}]
              standby: {keep: 1, replicas: 2, warmFor: 72h}
            firstVersion: {require: Approval}
          onUnknown: {deadline: 2h, then: Pause}
          rollback: {automatic: true}
    """),
    "a policy that is all defaults": {
        "apiVersion": "modelward.dev/v1alpha1",
        "kind": "LifecyclePolicy",
        "metadata": {"name": "plain"},
        "spec": {},
    },
}


@dataclass(frozen=True)
class Bad:
    """A manifest that is refused: where, and (for what more than the type of a field is wrong) in which words."""

    manifest: Manifest
    field: str
    says: str = ""


def changed(manifest: Manifest, **values: Any) -> Manifest:
    """A copy with other values; a key is a path, its parts joined by two underscores, list positions as numbers."""
    copy = deepcopy(manifest)
    for path, value in values.items():
        *parents, last = [int(part) if part.isdigit() else part for part in path.split("__")]
        node: Any = copy
        for part in parents:
            node = node[part] if isinstance(part, int) else node.setdefault(part, {})
        if value is _ABSENT:
            del node[last]
        else:
            node[last] = value
    return copy


def _bad(base: str, field: str, says: str = "", /, **values: Any) -> Bad:
    return Bad(changed(GOOD[base], **values), field, says)


def _bad_gate(field: str, says: str, /, **gate: Any) -> Bad:
    manifest = changed(GOOD[_POLICY], spec__stages={"shadow": {"minDuration": "1h", "gates": [{"name": "g", **gate}]}})
    return Bad(manifest, f"spec.stages.shadow.gates[0]{field}", says)


def _bad_monitoring(field: str, says: str, /, gate: Any = None, **settings: Any) -> Bad:
    """A policy whose production stage has this monitoring, with one good gate `g` unless another is given."""
    gates = [gate or {"name": "g", "dataQuality": {"maxMissing": 0.1}}]
    manifest = changed(GOOD[_POLICY], spec__stages={"production": {"monitoring": {"gates": gates, **settings}}})
    return Bad(manifest, f"{_MONITORING}.{field}", says)


_MODEL = "a model behind a gateway"
_VERSION = "a version with an inline baseline"
_REGISTERED = "a version with all that the register holds"
_POLICY = "a policy with every stage"
_EVALUATION = "an evaluation"
_FEATURES = "spec__baseline__features"
_MONITORING = "spec.stages.production.monitoring"
_DURATION = "write hours, minutes, seconds and milliseconds, such as 1h30m"
_LATENCY = {"latency": {"slo": "1s"}}

BAD: dict[str, Bad] = {
    # Model
    "a model name that no Service can have": _bad(
        _MODEL, "", "Services and pods are named after it", metadata__name="2nd.churn"
    ),
    "a tier that does not exist": _bad(_MODEL, "spec.riskTier", spec__riskTier="Extreme"),
    "a version name with capitals": _bad(_MODEL, "spec.production.version", spec__production__version="V7"),
    "a negative retry": _bad(_MODEL, "spec.production.retry", spec__production__retry=-1),
    "a challenger listed twice": _bad(_MODEL, "spec.challengers[1]", "Duplicate value", spec__challengers=["v8", "v8"]),
    "a port out of range": _bad(_MODEL, "spec.serving.port", spec__serving__port=70000),
    "a metrics path without a slash": _bad(_MODEL, "spec.serving.metrics.path", spec__serving__metrics__path="metrics"),
    "an unknown word as source of metrics": _bad(
        _MODEL, "spec.serving.metrics.source", "Pods", spec__serving__metrics__source="Nodes"
    ),
    "a source object without a name": _bad(
        _MODEL, "spec.serving.metrics.source.prometheus", spec__serving__metrics__source={}
    ),
    "a source that is a number": _bad(_MODEL, "spec.serving.metrics.source", spec__serving__metrics__source=3),
    "a source that is a list": _bad(_MODEL, "spec.serving.metrics.source", spec__serving__metrics__source=["Pods"]),
    "a source with a badly written name": _bad(
        _MODEL, "spec.serving.metrics.source.prometheus", spec__serving__metrics__source={"prometheus": "The One"}
    ),
    "a route without a parent": _bad(_MODEL, "spec.serving.route.parentRefs", spec__serving__route__parentRefs=[]),
    "a host name that is a URL": _bad(
        _MODEL, "spec.serving.route.hostnames[0]", spec__serving__route__hostnames=["https://churn.example.com"]
    ),
    "two gates of one name in a model": _bad(
        _MODEL, "spec.gates[1]", "Duplicate value", spec__gates=[{"name": "a", **_LATENCY}, {"name": "a", **_LATENCY}]
    ),
    "a gate in a stage that does not exist": _bad(
        _MODEL, "spec.gates[0].stages[0]", spec__gates=[{"name": "a", **_LATENCY, "stages": ["Standby"]}]
    ),
    "an answer with a space": _bad(_MODEL, "spec.riskAssessment.impact", spec__riskAssessment={"impact": "very high"}),
    "a document without a place": _bad(_MODEL, "spec.documents[0].uri", spec__documents=[{"type": "DevelopmentPlan"}]),
    "a document with a short digest": _bad(
        _MODEL, "spec.documents[0].digest", spec__documents=[{"type": "Plan", "uri": "s3://plan", "digest": "sha256:a"}]
    ),
    "a dependency on nothing": _bad(
        _MODEL, "spec.dependsOn[0]", "give exactly one of model and external", spec__dependsOn=[{"purpose": "none"}]
    ),
    "a dependency on two things": _bad(
        _MODEL,
        "spec.dependsOn[0]",
        "give exactly one of model and external",
        spec__dependsOn=[{"model": "usage", "external": "table"}],
    ),
    "a namespace of something outside": _bad(
        _MODEL,
        "spec.dependsOn[0].namespace",
        "namespace belongs to model",
        spec__dependsOn=[{"external": "table", "namespace": "data"}],
    ),
    "a consumer twice": _bad(
        _MODEL, "spec.consumers[1]", "Duplicate value", spec__consumers=[{"name": "desk"}, {"name": "desk"}]
    ),
    "a dashboard that is no address": _bad(
        _MODEL, "spec.monitoring.dashboardURL", spec__monitoring={"dashboardURL": "javascript:alert(1)"}
    ),
    "a review without an interval": _bad(_MODEL, "spec.review.interval", spec__review={}),
    "a retirement at no day": _bad(_MODEL, "spec.retirement.planned", spec__retirement={"planned": "2027-02-30"}),
    "a retention of nothing": _bad(_MODEL, "spec.retention.days", spec__retention={"days": 0}),
    "an owner without a team": _bad(
        _MODEL, "spec.businessOwner.team", spec__businessOwner={"contact": "a@example.com"}
    ),
    # ModelVersion
    "a run without a name": _bad(
        _VERSION, "spec.lineage.run", "a run is named by id, uri or both", spec__lineage__run={"user": "ada"}
    ),
    "code without a commit": _bad(_VERSION, "spec.lineage.code.commit", spec__lineage__code__commit=_ABSENT),
    "a data set twice": _bad(
        _VERSION, "spec.lineage.datasets[1]", "Duplicate value", spec__lineage__datasets=[{"name": "a"}, {"name": "a"}]
    ),
    "a data set without a name": _bad(
        _VERSION, "spec.lineage.datasets[0].name", spec__lineage__datasets=[{"digest": _DIGEST}]
    ),
    "an input without a type": _bad(_VERSION, "spec.schema.inputs[0].type", spec__schema={"inputs": [{"name": "a"}]}),
    "a card without a place": _bad(_VERSION, "spec.modelCard.uri", spec__modelCard={}),
    "a sunset at a time of day": _bad(
        _VERSION, "spec.deprecation.sunset", spec__deprecation={"since": "2026-12-01", "sunset": "2027-01-01T00:00:00Z"}
    ),
    "a validator twice": _bad(_VERSION, "spec.validators[1]", "Duplicate value", spec__validators=["a", "a"]),
    "an end of validity without a zone": _bad(_VERSION, "spec.validUntil", spec__validUntil="2027-01-01 09:00"),
    "a version object of another name": _bad(
        _VERSION, "", "rename the object or correct spec.model and spec.version", metadata__name="churn-v9"
    ),
    "a short digest": _bad(_VERSION, "spec.artifact.digest", spec__artifact__digest="sha256:abc"),
    "a digest of another algorithm": _bad(_VERSION, "spec.artifact.digest", spec__artifact__digest="md5:" + "0" * 32),
    "no pods": _bad(_VERSION, "spec.serving.replicas", spec__serving__replicas=0),
    "replicas beside autoscaling": _bad(
        _VERSION, "spec.serving.replicas", "leave replicas out", spec__serving__autoscaling={"min": 1, "max": 4}
    ),
    "autoscaling bounds the wrong way round": _bad(
        "a version with autoscaling and a baseline in a ConfigMap",
        "spec.serving.autoscaling",
        "autoscaling.min is above autoscaling.max: exchange them",
        spec__serving__autoscaling={"min": 7, "max": 4},
    ),
    "a template without containers": _bad(
        _VERSION, "spec.serving.template.spec.containers", "Required value", spec__serving__template={"spec": {}}
    ),
    "edges out of order": _bad(
        _VERSION,
        "spec.baseline.features[0].edges",
        "edges are not in ascending order: sort them and name each once",
        **{f"{_FEATURES}__0__edges": [10000, 40000, 20000, 80000]},
    ),
    "an edge twice": _bad(
        _VERSION,
        "spec.baseline.features[0].edges",
        "edges are not in ascending order: sort them and name each once",
        **{f"{_FEATURES}__0__edges": [10000, 20000, 20000, 80000]},
    ),
    "prediction edges out of order": _bad(
        _VERSION,
        "spec.baseline.predictions.edges",
        "edges are not in ascending order: sort them and name each once",
        spec__baseline__predictions={"edges": [0.5, 0.1], "counts": [1, 2, 3]},
    ),
    "a negative count in a list": _bad(
        _VERSION, "spec.baseline.features[0].counts[1]", **{f"{_FEATURES}__0__counts": [1, -2, 3, 4, 5]}
    ),
    "a negative count in a map": _bad(
        _VERSION, "spec.baseline.features[1].counts.south", **{f"{_FEATURES}__1__counts": {"north": 1, "south": -1}}
    ),
    "counts that are a number": _bad(_VERSION, "spec.baseline.features[0].counts", **{f"{_FEATURES}__0__counts": 7}),
    "no counts": _bad(_VERSION, "spec.baseline.features[1].counts", "", **{f"{_FEATURES}__1__counts": _ABSENT}),
    "counts of no category": _bad(_VERSION, "spec.baseline.features[1].counts", **{f"{_FEATURES}__1__counts": {}}),
    "negative missing": _bad(_VERSION, "spec.baseline.features[0].missing", **{f"{_FEATURES}__0__missing": -1}),
    "a numeric feature without edges": _bad(
        _VERSION,
        "spec.baseline.features[0]",
        "Numeric needs edges, Categorical has none",
        **{f"{_FEATURES}__0__edges": []},
    ),
    "a categorical feature with edges": _bad(
        _VERSION,
        "spec.baseline.features[1]",
        "Numeric needs edges, Categorical has none",
        **{f"{_FEATURES}__1__edges": [1, 2]},
    ),
    "two features of one name": _bad(
        _VERSION, "spec.baseline.features[1]", "Duplicate value", **{f"{_FEATURES}__1__name": "income"}
    ),
    "an inline baseline and a ConfigMap": _bad(
        _VERSION,
        "spec.baseline",
        "give features and predictions, or configMap and digest",
        spec__baseline__configMap="churn-v8-baseline",
        spec__baseline__digest=_DIGEST,
    ),
    "an empty baseline": _bad(
        _VERSION, "spec.baseline", "give features and predictions, or configMap and digest", spec__baseline={}
    ),
    "a ConfigMap without a digest": _bad(
        _VERSION,
        "spec.baseline",
        "configMap and digest belong together",
        spec__baseline={"configMap": "churn-v8-baseline"},
    ),
    # LifecyclePolicy
    "a tier that does not exist in a table": _bad(
        _POLICY, "spec.minimumTier.impact.High", spec__minimumTier__impact={"High": "Extreme"}
    ),
    "a rule for a tier without an answer": _bad(
        _POLICY,
        "spec.minimumTier.rules[0].when",
        "when names no answer",
        spec__minimumTier__rules=[{"when": {}, "tier": "High"}],
    ),
    "a demand for a field that nobody has": _bad(
        _POLICY, "spec.requires.fields[0]", spec__requires__fields=["modelcard"]
    ),
    "a document demanded twice": _bad(
        _POLICY, "spec.requires.documents[1]", "Duplicate value", spec__requires__documents=["Plan", "Plan"]
    ),
    "a quorum of nobody": _bad(
        _POLICY, "spec.stages.canary.approvals[0].count", spec__stages__canary__approvals=[{"role": "risk", "count": 0}]
    ),
    "a person twice": _bad(
        _POLICY,
        "spec.identityMap.people[1]",
        "Duplicate value",
        spec__identityMap__people=[{"name": "Ada"}, {"name": "Ada"}],
    ),
    "a review every day and a half": _bad(_POLICY, "spec.review.interval", _DURATION, spec__review__interval="1.5d"),
    "canary weights that fall": _bad(
        _POLICY,
        "spec.stages.canary.steps",
        "canary weights must rise from step to step",
        spec__stages__canary__steps__1__weight=60,
    ),
    "a canary weight twice": _bad(
        _POLICY,
        "spec.stages.canary.steps",
        "canary weights must rise from step to step",
        spec__stages__canary__steps__1__weight=1,
    ),
    "a weight above 100": _bad(
        _POLICY, "spec.stages.canary.steps[2].weight", spec__stages__canary__steps__2__weight=101
    ),
    "a weight of 0": _bad(_POLICY, "spec.stages.canary.steps[0].weight", spec__stages__canary__steps__0__weight=0),
    "a canary without steps": _bad(_POLICY, "spec.stages.canary.steps", spec__stages__canary__steps=[]),
    "an alpha of 0": _bad(_POLICY, "spec.stages.canary.alpha", spec__stages__canary__alpha=0),
    "a duration in days": _bad(
        _POLICY, "spec.stages.shadow.minDuration", _DURATION, spec__stages__shadow__minDuration="1d"
    ),
    "a duration with a fraction": _bad(
        _POLICY, "spec.stages.shadow.minDuration", _DURATION, spec__stages__shadow__minDuration="1.5h"
    ),
    "a duration beyond a year": _bad(
        _POLICY, "spec.stages.shadow.minDuration", _DURATION, spec__stages__shadow__minDuration="9000h"
    ),
    "an interval of nothing": _bad(
        _POLICY, "spec.stages.shadow.interval", _DURATION, spec__stages__shadow__interval="0s"
    ),
    "a mirror of nothing": _bad(_POLICY, "spec.stages.shadow.mirrorPercent", spec__stages__shadow__mirrorPercent=0),
    "beforeWeight outside of the canary": _bad(
        _POLICY,
        "spec.stages.shadow.approvals",
        "move the approval to stages.canary",
        spec__stages__shadow__approvals=[{"role": "risk", "beforeWeight": 10}],
    ),
    "a word that is not Full": _bad(
        _POLICY,
        "spec.stages.production.standby.replicas",
        "write Full or a number from 0 to 1000",
        spec__stages__production__standby__replicas="Half",
    ),
    "a negative number of standby pods": _bad(
        _POLICY,
        "spec.stages.production.standby.replicas",
        "write Full or a number from 0 to 1000",
        spec__stages__production__standby__replicas=-1,
    ),
    "a tier listed twice": _bad(
        _POLICY, "spec.appliesTo.tiers[1]", "Duplicate value", spec__appliesTo__tiers=["High", "High"]
    ),
    "an unknown action": _bad(_POLICY, "spec.onUnknown.then", spec__onUnknown__then="Promote"),
    # Monitoring
    "a monitoring without gates": _bad(_POLICY, f"{_MONITORING}.gates", spec__stages__production__monitoring={}),
    "a monitored error rate without a limit of its own": _bad_monitoring(
        "gates", "give errorRate and latency gates abortAbove", {"name": "g", "errorRate": {"maxIncrease": 0.01}}
    ),
    "a monitored latency without a limit of its own": _bad_monitoring(
        "gates", "give errorRate and latency gates abortAbove", {"name": "g", **_LATENCY}
    ),
    "a monitored drift from the incumbent": _bad_monitoring(
        "gates", "use reference Baseline", {"name": "g", "drift": {"reference": "Incumbent"}}
    ),
    "a monitored drift of answers from the incumbent": _bad_monitoring(
        "gates", "use reference Baseline", {"name": "g", "predictionDrift": {"reference": "Incumbent"}}
    ),
    "a monitored quality against the incumbent": _bad_monitoring(
        "gates",
        "give quality and evaluation gates min or max alone",
        {"name": "g", "quality": {"metric": "Recall", "versusIncumbent": {"maxDecrease": 0.1}}},
    ),
    "a monitored evaluation against the incumbent": _bad_monitoring(
        "gates",
        "give quality and evaluation gates min or max alone",
        {"name": "g", "evaluation": {"name": "holdout", "metric": "auc", "versusIncumbent": {"maxDecrease": 0.1}}},
    ),
    "a window that holds no look": _bad_monitoring(
        "window", "shorter than the interval", {"name": "g", "dataQuality": {"maxMissing": 0.1}, "window": "5m"}
    ),
    "a default window that holds no look": _bad_monitoring("window", "shorter than the interval", window="5m"),
    "a response to a gate that is not there": _bad_monitoring(
        "responses", "a response names no gate", responses=[{"gate": "latency", "then": "Rollback"}]
    ),
    "a response to an advisory gate": _bad_monitoring(
        "responses",
        "a response names no gate",
        {"name": "g", "dataQuality": {"maxMissing": 0.1}, "advisory": True},
        responses=[{"gate": "g", "then": "Rollback"}],
    ),
    "two responses to one gate": _bad_monitoring(
        "responses[1]", "Duplicate value", responses=[{"gate": "g", "then": "Alert"}, {"gate": "g", "then": "Rollback"}]
    ),
    "a response that nobody knows": _bad_monitoring(
        "responses[0].then", "", responses=[{"gate": "g", "then": "Pause"}]
    ),
    "a window of a query": _bad_gate(
        ".window", "leave it out of a query", query={"source": "p", "query": "up", "min": 1}, window="1h"
    ),
    "a window of an evaluation": _bad_gate(
        ".window", "leave it out of a query", evaluation={"name": "holdout", "metric": "auc", "min": 0.8}, window="1h"
    ),
    "a shadow's window of a few intervals": _bad(
        _POLICY,
        "spec.stages.shadow.gates",
        "shorter than ten intervals",
        spec__stages__shadow__gates=[{"name": "g", **_LATENCY, "window": "5m"}],
    ),
    "a canary's window of a few intervals": _bad(
        _POLICY,
        "spec.stages.canary.gates",
        "shorter than ten intervals",
        spec__stages__canary__gates=[{"name": "g", **_LATENCY, "window": "5m"}],
    ),
    # Gates
    "a gate of no kind": _bad_gate("", "gate 'g' does not have exactly one kind: give it exactly one of errorRate"),
    "a gate of two kinds": _bad_gate(
        "", "gate 'g' does not have exactly one kind: give it exactly one of errorRate", errorRate={}, **_LATENCY
    ),
    "a gate with capitals in its name": Bad(
        changed(GOOD[_POLICY], spec__stages__shadow__gates__0__name="Drift"), "spec.stages.shadow.gates[0].name"
    ),
    "two gates of one name in a policy": Bad(
        changed(GOOD[_POLICY], spec__stages__shadow__gates=[{"name": "a", **_LATENCY}, {"name": "a", **_LATENCY}]),
        "spec.stages.shadow.gates[1]",
        "Duplicate value",
    ),
    "an increase above 1": _bad_gate(".errorRate.maxIncrease", "", errorRate={"maxIncrease": 1.5}),
    "a latency without an objective": _bad_gate(".latency.slo", "", latency={}),
    "an objective of nothing": _bad_gate(".latency.slo", _DURATION, latency={"slo": "0s"}),
    "a drift threshold of 0": _bad_gate(".drift.threshold", "", drift={"threshold": 0}),
    "an unknown distance": _bad_gate(".drift.method", "", drift={"method": "KL"}),
    "a data quality gate without a bound": _bad_gate(
        ".dataQuality", "give maxMissing, maxOutOfRange or maxNewCategories", dataQuality={}
    ),
    "a query without a bound": _bad_gate(".query", "give min, max or both", query={"source": "p", "query": "up"}),
    "a query with its bounds the wrong way round": _bad_gate(
        ".query", "min is above max: exchange them", query={"source": "p", "query": "up", "min": 2, "max": 1}
    ),
    "an evaluation without a bound": _bad_gate(
        ".evaluation", "give min, max or versusIncumbent", evaluation={"name": "holdout", "metric": "auc"}
    ),
    "an evaluator twice": _bad_gate(
        ".evaluation.evaluators[1]",
        "Duplicate value",
        evaluation={"name": "holdout", "metric": "auc", "min": 0.8, "evaluators": ["ci", "ci"]},
    ),
    "an evaluator without a name": _bad_gate(
        ".evaluation.evaluators[0]",
        "",
        evaluation={"name": "holdout", "metric": "auc", "min": 0.8, "evaluators": [""]},
    ),
    "a comparison without a bound": _bad_gate(
        ".evaluation.versusIncumbent",
        "give maxDecrease, maxIncrease or both",
        evaluation={"name": "holdout", "metric": "auc", "versusIncumbent": {}},
    ),
    "a quality gate without a bound": _bad_gate(
        ".quality", "give min, max or versusIncumbent", quality={"metric": "Recall"}
    ),
    "an unknown quality": _bad_gate(".quality.metric", "", quality={"metric": "recall", "min": 0.8}),
    "a quality with its bounds the wrong way round": _bad_gate(
        ".quality", "min is above max: exchange them", quality={"metric": "MCC", "min": 2, "max": 1}
    ),
    "a comparison of what is no rate": _bad_gate(
        ".quality.versusIncumbent",
        "use Accuracy, Precision or Recall",
        quality={"metric": "AUC", "versusIncumbent": {"maxDecrease": 0.1}},
    ),
    "a fairness gate without a bound": _bad_gate(
        ".fairness", "give min, max or both", fairness={"metric": "AccuracyDisparity", "group": "sex"}
    ),
    "a fairness gate without a group": _bad_gate(
        ".fairness.group", "", fairness={"metric": "AccuracyDisparity", "max": 0.1}
    ),
    "a group of nobody": _bad_gate(
        ".fairness.minGroupSize",
        "",
        fairness={"metric": "AccuracyDisparity", "group": "sex", "max": 0.1, "minGroupSize": 0},
    ),
    # ModelEvaluation
    "an evaluation of no metric": _bad(_EVALUATION, "spec.metrics", spec__metrics=[]),
    "a metric twice": _bad(
        _EVALUATION,
        "spec.metrics[1]",
        "Duplicate value",
        spec__metrics=[{"name": "a", "value": 1}, {"name": "a", "value": 2}],
    ),
    "a figure outside of its interval": _bad(
        _EVALUATION,
        "spec.metrics[0]",
        "write low <= value <= high",
        spec__metrics=[{"name": "a", "value": 1, "low": 2}],
    ),
    "a validity that ends before it begins": _bad(
        _EVALUATION, "spec.validUntil", "write a later time", spec__validUntil="2026-10-01T00:00:00Z"
    ),
    "an earlier environment without the content that served there": _bad(
        _EVALUATION,
        "spec.environment.versionDigest",
        spec__environment={"name": "test", "namespace": "churn-test", "record": 1, "recordHash": _DIGEST},
    ),
    "an earlier environment without a record": _bad(
        _EVALUATION,
        "spec.environment.record",
        spec__environment={
            "name": "test",
            "namespace": "churn-test",
            "versionDigest": _DIGEST,
            "record": 0,
            "recordHash": _DIGEST,
        },
    ),
    "a time without a zone": _bad(_EVALUATION, "spec.at", spec__at="2026-11-01 09:00"),
}

# What only Python can check: CEL cannot see a field that is a list or a map, nor into the pods.
BAD_FOR_PYTHON_ONLY: dict[str, Bad] = {
    "a container without a name": _bad(
        _VERSION,
        "spec.serving.template",
        "give each a name",
        spec__serving__template={"spec": {"containers": [{"image": "x"}]}},
    ),
    "a count too few": _bad(
        _VERSION,
        "spec.baseline.features.0",
        "one count more than there are edges",
        **{f"{_FEATURES}__0__counts": [1, 2, 3, 4]},
    ),
    "a map of counts for a numeric feature": _bad(
        _VERSION,
        "spec.baseline.features.0",
        "one count more than there are edges",
        **{f"{_FEATURES}__0__counts": {"a": 1}},
    ),
    "a list of counts for a categorical feature": _bad(
        _VERSION,
        "spec.baseline.features.1",
        "Categorical a map from category to count",
        **{f"{_FEATURES}__1__counts": [1]},
    ),
}


@dataclass(frozen=True)
class Change:
    """An update of a good manifest, and in which words it is refused; None: it is taken."""

    before: Manifest
    after: Manifest
    says: str | None


def _change(base: str, says: str | None, /, **values: Any) -> Change:
    return Change(GOOD[base], changed(GOOD[base], **values), says)


_IMMUTABLE = "create another version instead"

CHANGES: dict[str, Change] = {
    "another version may be asked for": _change(_MODEL, None, spec__production__version="v8"),
    "retry may rise": _change("a model measured by a named Prometheus", None, spec__production__retry=2),
    "retry may fall, as it does when the commit that raised it is reverted": _change(
        "a model measured by a named Prometheus", None, spec__production__retry=0
    ),
    "a modelID may be given later": _change("a model served elsewhere", None, spec__modelID="MDL-1"),
    "a modelID may not change": _change(_MODEL, "restore 'MDL-0117'", spec__modelID="MDL-0118"),
    "a modelID may not be taken away": _change(_MODEL, "restore 'MDL-0117'", spec__modelID=_ABSENT),
    "deprecation may be added": _change(_VERSION, None, spec__deprecation={"since": "2026-12-01"}),
    "an artifact may not change": _change(
        _VERSION,
        "spec.artifact was changed: the spec of a ModelVersion is immutable apart from deprecation: " + _IMMUTABLE,
        spec__artifact__digest="sha256:" + "0" * 64,
    ),
    "an image may not change": _change(
        _VERSION, _IMMUTABLE, spec__serving__template__spec__containers__0__image="registry.example.com/churn:latest"
    ),
    "a free-form part of the pods may not change": _change(
        _VERSION, _IMMUTABLE, spec__serving__template__spec__nodeSelector={"accelerator": "gpu"}
    ),
    "a free-form part of the pods may not be renamed": _change(
        _VERSION,
        _IMMUTABLE,
        spec__serving__template__spec__nodeSelector=_ABSENT,
        spec__serving__template__spec__affinity={"accelerator": "none"},
    ),
    "lineage may not change": _change(_VERSION, _IMMUTABLE, spec__lineage__run__id="r-882"),
    "a part of the lineage may not be renamed": _change(
        _VERSION, _IMMUTABLE, spec__lineage__run=_ABSENT, spec__lineage__context=[{"name": "r-881"}]
    ),
    "a part of the parameters may not be renamed": _change(
        _REGISTERED,
        _IMMUTABLE,
        spec__lineage__parameters__depth=_ABSENT,
        spec__lineage__parameters__levels=6,
    ),
    "a validator may not be exchanged": _change(_REGISTERED, _IMMUTABLE, spec__validators=["eve@example.com"]),
    "the schema may not change": _change(_REGISTERED, _IMMUTABLE, spec__schema__outputs__0__type="float"),
    "the model card may not change": _change(_REGISTERED, _IMMUTABLE, spec__modelCard__digest=_ABSENT),
    "the licence may not change": _change(_REGISTERED, _IMMUTABLE, spec__license="MIT"),
    "the base model may not change": _change(_REGISTERED, _IMMUTABLE, spec__baseModel=_ABSENT),
    "the end of validity may not be put off": _change(_REGISTERED, _IMMUTABLE, spec__validUntil="2030-01-01T00:00:00Z"),
    "a data set may not be exchanged": _change(
        _REGISTERED, _IMMUTABLE, spec__lineage__datasets__0__classification="Public"
    ),
    "a risk assessment may change": _change(
        "a model with all that the register holds", None, spec__riskAssessment__impact="Low"
    ),
    "lineage may not be taken away": _change(_VERSION, _IMMUTABLE, spec__lineage=_ABSENT),
    "counts may not change": _change(
        _VERSION, _IMMUTABLE, spec__baseline__features__0__counts=[0, 2210, 3120, 990, 88]
    ),
    "an evaluation may not change": _change(
        _EVALUATION, "create another ModelEvaluation", spec__metrics=[{"name": "auc", "value": 0.99}]
    ),
    "a policy may change": _change(_POLICY, None, spec__stages__shadow__minDuration="48h"),
}
