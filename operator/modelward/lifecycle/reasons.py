"""Every reason that a condition, an event or a latch may carry. The docs list them from here."""

# Ready
PROMOTED = "Promoted"
ROLLOUT_IN_PROGRESS = "RolloutInProgress"
ROLLED_BACK = "RolledBack"
SUSPENDED = "Suspended"
NO_VERSION_REQUESTED = "NoVersionRequested"
SPEC_INVALID = "SpecInvalid"

# Serving
PRODUCTION_AVAILABLE = "ProductionAvailable"
NO_PRODUCTION_VERSION = "NoProductionVersion"
BACKENDS_UNAVAILABLE = "BackendsUnavailable"
NOT_SERVED_HERE = "NotServedHere"

# Progressing
STAGE_RUNNING = "StageRunning"
AWAITING_APPROVAL = "AwaitingApproval"
PAUSED = "Paused"
PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
POLICY_NOT_IMPLEMENTED = "PolicyNotImplemented"
AT_REST = "AtRest"

# GatesPassed
ALL_PASSED = "AllPassed"
GATE_FAILED = "GateFailed"
INCONCLUSIVE = "Inconclusive"
METRICS_UNAVAILABLE = "MetricsUnavailable"
NO_GATES = "NoGates"

# TrafficApplied
ROUTE_ACCEPTED = "RouteAccepted"
ROUTE_NOT_ACCEPTED = "RouteNotAccepted"
REFS_UNRESOLVED = "RefsUnresolved"
SHARE_MISMATCH = "ShareMismatch"
NO_TRAFFIC = "NoTraffic"
SERVICE_SELECTS = "ServiceSelects"

# DriftDetected
WITHIN_THRESHOLD = "WithinThreshold"
THRESHOLD_EXCEEDED = "ThresholdExceeded"
NO_BASELINE = "NoBaseline"
NOT_MEASURED = "NotMeasured"

# RollbackTargetReady
PREVIOUS_WARM = "PreviousWarm"
PREVIOUS_COLD = "PreviousCold"
PREVIOUS_MISSING = "PreviousMissing"

# SpecValid
VALID = "Valid"
VERSION_NOT_FOUND = "VersionNotFound"
VERSION_INVALID = "VersionInvalid"
VERSION_CHANGED = "VersionChanged"
VERSION_NOT_SERVABLE = "VersionNotServable"
INVALID_GATE = "InvalidGate"
ROUTE_CONFLICT = "RouteConflict"
ROUTE_REQUIRED = "RouteRequired"
BASELINE_MISSING = "BaselineMissing"
POLICY_LOOSENED = "PolicyLoosened"
POLICY_MISSING = "PolicyMissing"
DUPLICATE_MODEL_ID = "DuplicateModelID"
SCHEMA_INVALID = "SchemaInvalid"

# Events and history
ROLLOUT_STARTED = "RolloutStarted"
STAGE_ENTERED = "StageEntered"
WEIGHT_CHANGED = "WeightChanged"
SUPERSEDED = "Superseded"
REVERTED = "Reverted"
REVERT_STARTED = "RevertStarted"
ROLLBACK_ABANDONED = "RollbackAbandoned"
WATCH_PASSED = "WatchPassed"
VERSION_LATCHED = "VersionLatched"
CHALLENGER_STARTED = "ChallengerStarted"
EVIDENCE_DEADLINE_EXCEEDED = "EvidenceDeadlineExceeded"
MODEL_DRAINED = "ModelDrained"
