"""Every reason that a condition, an event, a gate or a latch may carry.

docs/reference/conditions.md is written from this file: a comment begins a group, the first paragraph of the text below a
constant says what the reason means, the second what to do about it.
"""

# Ready, and the summary of what the operator is doing
PROMOTED = "Promoted"
"""The requested version serves all users' requests. As an event: it just took over.

Nothing. While `status.watch` is there, its gates are still judged and a failure rolls back."""
ROLLOUT_IN_PROGRESS = "RolloutInProgress"
"""The requested version does not serve yet, or all traffic is about to move to another version.

Read the message, then Progressing: it says what the rollout waits for."""
ROLLED_BACK = "RolledBack"
"""The requested version failed a gate, missed a deadline or failed its watch, and is latched: it does not start again by itself.

Read `status.failed[0].message`. Request another version, or raise `spec.production.retry` when the cause was not in the version."""
SUSPENDED = "Suspended"
"""`spec.suspend` is true: the operator starts, moves and rolls back nothing. Traffic goes on as it is.

Set `spec.suspend` to false."""
NO_VERSION_REQUESTED = "NoVersionRequested"
"""`spec.production.version` is not set. What serves goes on serving.

Name the version that should serve."""
SPEC_INVALID = "SpecInvalid"
"""The spec cannot be acted upon. What serves goes on serving.

Read the message; the SpecValid condition has the exact reason."""

# Serving: do users get answers?
PRODUCTION_AVAILABLE = "ProductionAvailable"
"""The version in production has ready pods, and a route (or the switched Service) leads to them.

Nothing."""
NO_PRODUCTION_VERSION = "NoProductionVersion"
"""No version of this Model has reached production.

Nothing while the first version is on its way; otherwise read Progressing and SpecValid."""
BACKENDS_UNAVAILABLE = "BackendsUnavailable"
"""The version in production has no ready pod: users get errors.

Look at the pods: `kubectl describe pods -l modelward.dev/model=MODEL,modelward.dev/version=VERSION`. A revert in Git to the
version in standby needs no gates."""
NOT_SERVED_HERE = "NotServedHere"
"""`spec.serving` is not set: the Model is inventory and is served elsewhere.

Nothing. When `spec.serving` was taken away while a version served, route and pods stay: restore it, or delete the Model."""

# Progressing and Reconciling: what the rollout waits for
STAGE_RUNNING = "StageRunning"
"""The candidate is in its stage: pods start, the route is taken over, evidence is gathered, or the minimum duration runs.

Usually nothing; the message says which, and what is lacking."""
PODS_NOT_READY = "PodsNotReady"
"""The candidate waits for its pods, and something is wrong with one of them: its image, its node, its start, or its readiness probe.

The message says what, and until when it may be mended. Put the registry, the Secret, the ConfigMap or the node right, and the rollout goes
on by itself. What is wrong with the version itself takes a new version."""
TRAFFIC_CHANGED = "TrafficChanged"
"""Audit records only: the split of requests changed within a stage, because pods became ready or ceased to be.

Look at the pods of the version when it happens again and again."""
NOT_CARRIED_OUT = "NotCarriedOut"
"""Audit records only: the records before were written, but what they announce was not done, because the operator was interrupted.

Nothing; the message names them."""
AWAITING_APPROVAL = "AwaitingApproval"
"""Everything measured is in order, and the policy asks for a person's approval that is not there, or does not count.

`modelward approvals` lists what waits; somebody with the role decides by `modelward approve MODEL` or `modelward reject MODEL`.
`status.pendingApprovals` has the digest to decide on, and under `refused` why an approval that is there does not count."""
REGISTER_INCOMPLETE = "RegisterIncomplete"
"""The policy asks for a field, a document, a permitted data set or a permitted licence that the register does not have.

The message names what is lacking and what to do. What a version lacks takes a new version: it is immutable."""
REJECTED = "Rejected"
"""A person rejected the version: its rollout is stopped, or it was taken out of production, and it is latched.

Read `status.failed[0].message`. Request another version; raise `spec.production.retry` when the rejection is to be undone:
the version then needs its approvals anew."""
DECISION_RECORDED = "DecisionRecorded"
"""A decision of a person was seen for the first time, and is on record in `status.decisions`. Deleting it changes nothing.

Nothing; an Override is an alarm: read who broke the glass and why, and review it."""
PAUSED = "Paused"
"""A gate has had no evidence for longer than `onUnknown.deadline`, and the policy says Pause. Ends by itself when evidence comes.

Repair what the message names, mostly the metrics of the candidate or a Prometheus."""
POLICY_NOT_IMPLEMENTED = "PolicyNotImplemented"
"""The policy asks for something that this release cannot judge. It is never skipped: the rollout holds.

Take the named fields out of the policy, then request the version anew: withdraw it, and set it again."""
AT_REST = "AtRest"
"""The requested version serves, and no watch is running.

Nothing."""

# GatesPassed: the gates of the stage together
ALL_PASSED = "AllPassed"
"""Every gate that applies and is not advisory passes.

Nothing."""
GATE_FAILED = "GateFailed"
"""A gate failed. The rollout is rolled back, or, with `rollback.automatic: false` or without a healthy version to give
the traffic to, held.

Read the gate's row in `status.gates`. When held: request another version, and see that the incumbent has ready pods."""
INCONCLUSIVE = "Inconclusive"
"""There is evidence, and not enough of it to decide either way.

Wait. If it never decides: more traffic, a larger weight, or a wider bound; see statistics.md."""
METRICS_UNAVAILABLE = "MetricsUnavailable"
"""No usable metrics came: a pod does not answer, nothing is scraped, or a series is missing.

Read the sentence: it names pod, port and path, or the Prometheus. Check `spec.serving.metrics` and the server's page."""
NO_GATES = "NoGates"
"""No gate is being judged now.

Nothing, if no rollout or watch is running, or if the stage has no gates."""

# Performing: does what serves still do what it was promoted for?
WITHIN_BOUNDS = "WithinBounds"
"""Every gate of the policy's `stages.production.monitoring` passes in its newest window, for the version that serves.

Nothing."""
MONITORING_FAILED = "MonitoringFailed"
"""A gate of the monitoring fails for the version that serves. With a response Rollback, and a previous version that is still warm, all
traffic has gone back to that one; otherwise what serves goes on serving.

Read the row in `status.monitoring.gates`: figure, bound and window. Drift and data quality are mostly upstream of the model: look at who
sends the feature that is named. To go back, set `spec.production.version`; a retrained version is a new ModelVersion."""
MONITORING_RECOVERED = "MonitoringRecovered"
"""A gate of the monitoring that had failed passes again.

Nothing."""
NO_MONITORING = "NoMonitoring"
"""The policy that the version in production was promoted under has no `stages.production.monitoring`: nobody would notice if it failed
silently.

Ask the owner of the policy for one; it counts from the next promotion on."""
MONITORING_UNAVAILABLE = "MonitoringUnavailable"
"""What serves cannot be monitored now. The last rows stay as they are and grow old.

Read the message: it says what was deleted, and what brings it back."""

# The reason of a single gate (`status.gates`), which GatesPassed and DriftDetected pass on
PASSED = "Passed"
"""The gate's bound holds, with the confidence that the policy asks for.

Nothing."""
FAILED = "Failed"
"""The gate's bound is broken, and chance is no explanation at the policy's `alpha`.

Compare `figure`, `low`, `high` and `bound` of the row. The fault is most likely in the version."""
BREAKER_TRIPPED = "BreakerTripped"
"""The candidate's own share of errors or slow requests is above `abortAbove`.

Look at the candidate's logs around the time of the row."""
INSUFFICIENT_SAMPLES = "InsufficientSamples"
"""The candidate answered nothing that counts yet, or less than the gate's `minSamples`; or there was no interval in which both
versions answered.

Wait for traffic; if there is too little of it, raise the weight or lower `minSamples` in the policy."""
WARMING_UP = "WarmingUp"
"""The gate's `warmup` is not over: nothing is measured yet.

Wait."""
NOT_MEASURED = "NotMeasured"
"""The gate was not looked at yet in this stage; or, of DriftDetected: no gate measures drift now.

Wait one interval."""
NO_INCUMBENT = "NoIncumbent"
"""The gate compares, and there is nothing to compare with: a first version, or the watch after a promotion. It holds nothing.

Nothing. `abortAbove` goes on guarding the version by itself."""
NO_BASELINE = "NoBaseline"
"""The gate compares with the training data, and the version's baseline says nothing of what it looks at.

Make the baseline with `modelward baseline` and put it into a new version."""
INVALID_RESULT = "InvalidResult"
"""Something answered, and it cannot be used: no Prometheus text, a value that is no finite number, several series where one is
needed, or a source that is not configured.

Read the sentence; it names the pod or the source and what it said."""
METRIC_ABSENT = "MetricAbsent"
"""What the gate needs is not among the server's metrics: the preset has no such metric, the page does not show it, or does not any more.

The sentence names metric and preset. Choose the preset of this server and a release that counts it, or take the gate out."""
STALE_METRICS = "StaleMetrics"
"""The newest sample is older than `maxStaleness`.

See that the pod is still scraped; if the scrape interval is long, raise `maxStaleness`."""
NO_EVALUATION = "NoEvaluation"
"""There is no ModelEvaluation of that name for exactly this version digest (or for the incumbent's, where they are compared).

Or there is one that does not count, because of who made it or when; the message says which.

Run the evaluation; its `spec.versionDigest` is `status.digest` of the ModelVersion."""
STALE_EVALUATION = "StaleEvaluation"
"""The newest evaluation is past its `validUntil`, or older than the gate's `maxAge`.

Run the evaluation again."""
DATASET_MISMATCH = "DatasetMismatch"
"""The evaluations of candidate and incumbent name different data sets, or none.

Evaluate both on one data set and give its digest in `spec.dataset`."""
NOT_IMPLEMENTED = "NotImplemented"
"""The gate is of a kind that this release cannot judge. It is never skipped: the rollout holds.

Take the gate out of the policy or the Model, then request the version anew."""

# TrafficApplied: do requests go where they should?
ROUTE_ACCEPTED = "RouteAccepted"
"""The gateway has taken the newest route over. Where requests were counted, the message says how they were split.

Nothing."""
ROUTE_NOT_ACCEPTED = "RouteNotAccepted"
"""The route is not there, or the gateway refused it or has not taken its newest generation over.

Read the message. Check `spec.serving.route.parentRefs`: does the Gateway exist, does it allow routes of this namespace and host?"""
REFS_UNRESOLVED = "RefsUnresolved"
"""The gateway took the route and cannot find a Service that it names.

The message has the gateway's words. The operator makes the Services again; look for what removes them."""
SHARE_MISMATCH = "ShareMismatch"
"""By the pods' own counters, requests are not split as configured, or mirrored requests do not arrive. The rollout holds.

Look for requests that bypass the route, a gateway that lags, or a shadow too slow for its mirror."""
NO_TRAFFIC = "NoTraffic"
"""No version gets traffic yet.

Nothing while the first version is on its way."""
SERVICE_SELECTS = "ServiceSelects"
"""The Model has no route: a Service selects the version in production.

Nothing."""

# DriftDetected
WITHIN_THRESHOLD = "WithinThreshold"
"""The newest drift gates pass.

Nothing."""
THRESHOLD_EXCEEDED = "ThresholdExceeded"
"""A drift gate failed: live features or predictions differ from their reference, beyond the threshold and beyond chance.

Read which features in the message. If the world has changed, train a version on newer data."""

# RollbackTargetReady: what would a rollback cost now?
PREVIOUS_WARM = "PreviousWarm"
"""The version that a rollback goes to has all its pods: it is one write to the route.

Nothing."""
PREVIOUS_COLD = "PreviousCold"
"""The version that a rollback goes to is known, and its pods have to be started first.

If that is too slow for this Model, raise `standby.warmFor`, or set `standby.replicas: Full`, in the policy."""
PREVIOUS_MISSING = "PreviousMissing"
"""There is no version to roll back to.

Normal for a first version. Otherwise `standby.keep` in the policy may be 0."""

# ChallengersShadowed: do the versions of spec.challengers get copies of requests?
CHALLENGERS_SHADOWED = "ChallengersShadowed"
"""Every version of `spec.challengers` is shadowed, or is in a rollout or in production already.

Nothing."""

CHALLENGER_NOT_SHADOWED = "ChallengerNotShadowed"
"""A version of `spec.challengers` cannot be shadowed, for instance because it does not exist or there is no route.

The message says which and why. Mend that, or take the version out of `spec.challengers`."""

# SpecValid: can the spec be acted upon?
VALID = "Valid"
"""Nothing stands in the way.

Nothing."""
VERSION_NOT_FOUND = "VersionNotFound"
"""`spec.production.version` names a version that has no ModelVersion and is not in production or standby.

Create ModelVersion MODEL-VERSION in the Model's namespace; the rollout then starts by itself. Or correct the name."""
VERSION_INVALID = "VersionInvalid"
"""The ModelVersion breaks a rule that the API server could not check, such as counts that do not fit the edges of a baseline.

Make a new version without the mistake: a ModelVersion is immutable."""
VERSION_CHANGED = "VersionChanged"
"""The ModelVersion was deleted and made anew under the same name with other content than was deployed.

Give the new content a version name of its own."""
VERSION_NOT_SERVABLE = "VersionNotServable"
"""The Model is served here, and the ModelVersion has no `spec.serving`.

Add it in a new version, or remove `spec.serving` from a Model that is served elsewhere."""
INVALID_GATE = "InvalidGate"
"""A gate of the Model is for a stage that the policy does not have, or brings a query for a source that takes those of policies
only; of a single gate: it gives no bound.

Name a stage of the policy, ask its owner for the query, or give the gate its bound."""
ROUTE_CONFLICT = "RouteConflict"
"""An older Model, or another HTTPRoute, has this host and path on the same Gateway already.

Choose another hostname or `pathPrefix`."""
ROUTE_REQUIRED = "RouteRequired"
"""The policy has a shadow or canary stage, and the Model has no route: a Service can neither mirror nor split.

Add `spec.serving.route`, or ask for a policy without those stages."""
BASELINE_MISSING = "BaselineMissing"
"""A gate needs a baseline that the version does not have, or the ConfigMap with the baseline is missing or has another digest.

Make it with `modelward baseline`, in a new version. A ConfigMap can be restored as it was."""
POLICY_LOOSENED = "PolicyLoosened"
"""A gate of the Model has the name of one of the policy's and asks for less.

A Model may only tighten: raise it to the policy's, or give the gate another name."""
POLICY_MISSING = "PolicyMissing"
"""No LifecyclePolicy applies to the Model's tier and namespace. A rollout in flight keeps the policy it began under.

The message lists the policies. Install one whose `appliesTo.tiers` names the tier."""
TIER_BELOW_FLOOR = "TierBelowFloor"
"""`spec.riskTier` is lower than the policy's `minimumTier` allows for the answers in `spec.riskAssessment`.

Raise `spec.riskTier`, or ask the risk function for a ModelApproval of decision Exception that allows the lower tier."""
DUPLICATE_MODEL_ID = "DuplicateModelID"
"""An older Model has the same `spec.modelID`.

Correct the number. It is immutable once set: delete this Model and create it anew."""
SCHEMA_INVALID = "SchemaInvalid"
"""The Model was stored under another schema than this release's, and cannot be read.

Correct the field that the message names; check that CRDs and operator are of one release."""

# Owned: does a team answer for the Model?
OWNER_NAMED = "OwnerNamed"
"""`spec.owner` names the team that answers for the Model.

Nothing."""
OWNERLESS = "Ownerless"
"""`spec.owner` is not set: nobody answers for the Model.

Name the team in `spec.owner`, with a contact. If no team wants it, retire the Model."""

# MonitoringReady: is somebody told when the Model goes wrong? False keeps versions from production
MONITORED = "Monitored"
"""Gates of the policy are judged on fresh evidence; or, for a Model served elsewhere, `spec.monitoring` says who watches it.

Nothing."""
NOT_MONITORED = "NotMonitored"
"""Neither the policy nor `spec.monitoring` says what is watched.

Ask for a policy with `stages.production.monitoring`, or say in `spec.monitoring` where the Model is watched."""
EVIDENCE_LATE = "EvidenceLate"
"""Gates are configured, and nothing that they can use has come for three intervals; after the watch, a policy without
`stages.production.monitoring` looks at nothing any more.

Read the message. Repair the metrics, or ask for a policy with `stages.production.monitoring`."""
MONITORING_PENDING = "MonitoringPending"
"""Gates are configured, and have no evidence yet, or have had none for a moment: a version that has just been promoted, or a look that failed.

Nothing; when evidence stays away for three intervals, and for ten minutes at the least, the condition turns False and says what lacks."""

# ReviewCurrent: has somebody looked at the Model as a whole in time?
REVIEWED_IN_TIME = "ReviewedInTime"
"""The review is not due yet; the message says when it is.

Nothing."""
REVIEW_OVERDUE = "ReviewOverdue"
"""The last review, or for a Model that was never reviewed its registration, is longer ago than the interval of the policy or of the Model.

Review the Model, and record it by a ModelApproval of decision Reviewed."""
OVERRIDE_UNREVIEWED = "OverrideUnreviewed"
"""Somebody broke the glass (an Override), and nobody has reviewed that within three days.

Review what was done and why, and record it by a ModelApproval of decision Reviewed."""
NO_REVIEW_ASKED = "NoReviewAsked"
"""Neither the policy nor the Model has a review interval.

Nothing, or set `spec.review.interval`."""

# EvaluationCurrent: are the evaluations of what serves still valid? (also NoEvaluation and StaleEvaluation)
EVALUATED_IN_TIME = "EvaluatedInTime"
"""The newest evaluations of the serving version are valid, and not older than `evaluation.maxAge` of the policy.

Nothing."""
NO_EVALUATION_ASKED = "NoEvaluationAsked"
"""The policy has neither gates on evaluations nor `evaluation.maxAge`.

Nothing."""

# Ungoverned: is something served that nobody approved?
GOVERNED = "Governed"
"""What is served is what came to production under the policy, with every approval that it asks for.

Nothing."""
NOT_APPROVED = "NotApproved"
"""What is served has no approval on record that counts: it was rejected, or the policy asks for approvals that are lacking.

Read the message. Approve the version after having looked at it, or promote one that is approved."""
NOT_WHAT_WAS_APPROVED = "NotWhatWasApproved"
"""What runs differs from what came to production: pods or their template were edited, or the ModelVersion was made anew.

Read the message; undo the edit, and find out who made it. A new content needs a version of its own."""

# Zombie: does something serve that nobody cares for? (also Ownerless, NotMonitored, EvidenceLate, ReviewOverdue, OverrideUnreviewed)
ATTENDED = "Attended"
"""The Model has an owner, monitoring, a current review, and living sources of data; or nothing serves.

Nothing."""
SOURCE_GONE = "SourceGone"
"""What serves was made from a data set that the policy lists as decommissioned, or relies on a Model that is no longer there.

Train a version from a living source, or retire the Model."""

# Deprecated: should users of the Model move on?
NOT_DEPRECATED = "NotDeprecated"
"""The serving version is neither deprecated nor past its `validUntil`, or nothing serves.

Nothing. If the message names a day, prepare for it."""
DEPRECATED = "Deprecated"
"""`spec.deprecation.since` of the serving version has come.

Promote another version before the sunset that the message names."""
SUNSET_NEAR = "SunsetNear"
"""The sunset of the serving version is 30 days away or less.

Promote another version."""
SUNSET_PASSED = "SunsetPassed"
"""The sunset of the serving version has passed, and it still serves. The operator takes nothing away from users.

Promote another version now, or tell the consumers of the Model."""
VERSION_EXPIRED = "VersionExpired"
"""The serving version is past its `spec.validUntil`.

Promote a newer version."""

# Latches: `status.failed` of the Model, and the Rejected condition of the ModelVersion (also GateFailed)
PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
"""The candidate's pods were not ready within `spec.serving.progressDeadline` of the ModelVersion. It is latched; production was not touched.

Mend the cause in a new version, or raise `spec.production.retry` if it was the cluster's. The pods are gone: the command in the message shows
them when the version is tried again."""
EVIDENCE_DEADLINE_EXCEEDED = "EvidenceDeadlineExceeded"
"""A gate had no evidence for longer than `onUnknown.deadline`, and the policy says Rollback. The candidate is latched.

Repair the metrics, then raise `spec.production.retry`."""
NOT_REJECTED = "NotRejected"
"""The version is not latched.

Nothing."""

# Events and history: something has just happened
ROLLOUT_STARTED = "RolloutStarted"
"""The requested version entered Validation, under the policy named in the message.

Nothing."""
STAGE_ENTERED = "StageEntered"
"""The candidate went on to the next stage.

Nothing."""
WEIGHT_CHANGED = "WeightChanged"
"""The candidate gets the next share of users' requests.

Nothing."""
SUPERSEDED = "Superseded"
"""The candidate left without a verdict: another version is requested, or its ModelVersion, or the kept copy of its policy, is gone; or a
revert was called off. It is not latched.

Nothing, if the change in Git was meant."""
REVERTED = "Reverted"
"""All traffic is back on a version that served before, because Git asks for it.

Nothing."""
REVERT_STARTED = "RevertStarted"
"""Git asks for a version that served before; its pods are started before traffic moves.

Wait; if its pods do not become ready, what serves goes on serving."""
ROLLBACK_ABANDONED = "RollbackAbandoned"
"""The version to go back to is no longer known; or it had too few ready pods within its `progressDeadline`, and another version is requested meanwhile. What serves goes on serving.

Act now: the version that serves failed its watch, or is not the one requested. Request a version that works."""
WATCH_PASSED = "WatchPassed"
"""The watch after the promotion ended without a failure.

Nothing."""
VERSION_LATCHED = "VersionLatched"
"""The watch failed: the version is latched, and all traffic goes back to the one before.

See RolledBack."""
CHALLENGER_STARTED = "ChallengerStarted"
"""Reserved: this release starts challengers without an event; see `status.challengers`.

Nothing."""
MODEL_DRAINED = "ModelDrained"
"""The Model was deleted: its route goes first, then its pods.

Nothing. It takes a minute at the most."""
AUDIT_EXPORT_STOPPED = "AuditExportStopped"
"""A record of the Model's audit chain does not follow the one before it, or the storage holds another one. Nothing is exported past it.

The message names the record. See [where it stops](how-to/keep-the-audit-trail.md#when-it-stops)."""
UNREGISTERED_WORKLOAD = "UnregisteredWorkload"
"""Event on a workload: it looks like an inference server, and no Model stands for it. It is told of once, and never touched.

Register it: a Model, without `spec.serving` where the operator shall not serve it, that names the workload in `spec.workloads`.
See [report on the portfolio](how-to/report-on-the-portfolio.md#what-runs-unregistered)."""

# ApprovalsTrusted: is a ModelApproval the word of the person whom it names?
ADMISSION_IN_PLACE = "AdmissionInPlace"
"""The admission policies that bind an approval to the person who creates it are installed, and are those of this release.

Nothing."""
ADMISSION_NOT_IN_PLACE = "AdmissionNotInPlace"
"""An admission policy is missing, was edited, or is not enforced. Approvals that were counted before stay; no new one is counted.
Nor is any evaluation where a gate names its `evaluators`.

Install the chart with `admission.enabled` (the default). Approvals and such evaluations have to be made anew then."""
