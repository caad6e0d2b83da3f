"""A chain that tells a story: v7 is in production, v8 comes with two approvals, goes from 10 % to all, and is rolled back."""

from datetime import timedelta

from modelward.api.model_audit_record import AuditedApproval, AuditedGate, AuditedPolicy
from modelward.api.status import WeightStatus
from modelward.governance.reconstruction import NOT_CARRIED_OUT
from tests.unit.governance.chains import START, Documents, documents_of, entry

HOUR = timedelta(hours=1)
V7 = "sha256:" + "7" * 64
V8 = "sha256:" + "8" * 64
ARTIFACT = "sha256:" + "a" * 64
DATA = "sha256:" + "d" * 64
SUBJECT = "sha256:" + "5" * 64
POLICY = AuditedPolicy(name="high", digest="sha256:" + "e" * 64)

GRACE = AuditedApproval(
    name="grace-1", uid="u1", role="independent-validator", decision="Approve", approver="grace@example.com",
    subject_digest=SUBJECT, at=START + 2 * HOUR,
)  # fmt: skip
RUTH = AuditedApproval(
    name="ruth-1", uid="u2", role="risk", decision="Approve", approver="ruth@example.com", subject_digest=SUBJECT,
    at=START + 3 * HOUR,
)  # fmt: skip
ERRORS = AuditedGate(
    name="errors", result="Pass", figure=0.0011, low=-0.0006, high=0.0028, bound=0.005, samples=48211, method="sequential",
    message="Errors changed by -0.06 to 0.28 percentage points, at most 0.5 are allowed.", at=START + 3 * HOUR,
)  # fmt: skip
CONTENT = {
    "model": "credit-risk",
    "version": "v8",
    "artifact": {"uri": "s3://models/credit-risk/v8", "digest": ARTIFACT, "format": "sklearn"},
    "builtBy": ["ada@example.com"],
    "lineage": {
        "run": {"id": "run-991", "uri": "https://mlflow.example.com/runs/991"},
        "code": {"repo": "https://git.example.com/credit-risk", "commit": "4b825dc"},
        "datasets": [{"name": "loans", "digest": DATA, "classification": "Internal"}],
    },
}
RULES = {
    "stages": {
        "canary": {
            "gates": [{"name": "errors", "errorRate": {"maxIncrease": 0.005}, "minSamples": 500}],
            "approvals": [{"role": "risk", "beforeWeight": 50}],
        }
    }
}
EVALUATION = {
    "name": "credit-risk-v8-holdout",
    "version": "v8",
    "evaluator": "validation-pipeline",
    "at": "2026-11-01T08:00:00Z",
    "metrics": [{"name": "auc", "value": 0.871}],
}


def shares(**percents: int) -> tuple[WeightStatus, ...]:
    return tuple(WeightStatus(version=version, percent=percent) for version, percent in percents.items())


def story() -> Documents:
    """One record an hour, from START on."""
    v8 = {"version": "v8", "version_digest": V8, "policy": POLICY}
    return documents_of(
        [
            entry("Promoted", version="v7", version_digest=V7, weights=shares(v7=100)),
            entry(
                "RolloutStarted",
                **v8,
                weights=shares(v7=100),
                git_revision="9fceb02",
                details={"version": CONTENT, "policy": RULES, "evaluations": [EVALUATION]},
            ),
            entry(
                "WeightChanged",
                **v8,
                weights=shares(v7=90, v8=10),
                gates=(ERRORS,),
                approvals=(GRACE,),
                message="v8 gets 10 % of requests.",
            ),
            entry("Promoted", **v8, weights=shares(v8=100)),
            entry(
                "NotCarriedOut", version="v8", weights=shares(v7=90, v8=10), details={NOT_CARRIED_OUT: [4]}
            ),
            entry(
                "Promoted",
                **v8,
                weights=shares(v7=0, v8=100),
                gates=(ERRORS,),
                approvals=(GRACE, RUTH),
                message="v8 serves all requests.",
            ),
            entry("RolledBack", **v8, weights=shares(v7=100, v8=0), message="The watch failed."),
        ],
        every=HOUR,
    )  # fmt: skip
