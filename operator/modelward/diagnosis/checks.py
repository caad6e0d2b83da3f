"""What is looked at in an installation, from the ground up, and what is said about it.

Each check is one function: it takes the facts, and says one thing or several. A fact that could not be read ends a check with
"not looked at", and why.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from modelward.diagnosis import ground, models, monitoring, people, running, traffic, trust
from modelward.diagnosis.facts import Installation, NotSeen
from modelward.diagnosis.findings import Finding, Level, Said

Look = Callable[[Installation], Iterator[Said]]


@dataclass(frozen=True)
class Check:
    """One thing that is looked at: what it asks, and what somebody has to be allowed to read to hear of it."""

    name: str
    asks: str
    look: Look
    reads: str = ""


CHECKS: tuple[Check, ...] = (
    Check("kubernetes", "Is Kubernetes new enough for admission policies?", ground.kubernetes),
    Check(
        "definitions",
        "Are the CRDs installed, established, and of this release?",
        ground.definitions,
        "customresourcedefinitions",
    ),
    Check(
        "operator",
        "Does the operator run, and if not, why do its pods not start?",
        running.operator,
        "deployments, pods, events and pods/log of the operator's namespace",
    ),
    Check("release", "Is the operator of the same release as this command?", running.release, "deployments"),
    Check("alone", "Is it the only operator of the cluster?", running.alone, "deployments of all namespaces"),
    Check("leader", "Does a replica hold the Lease and renew it?", running.leader, "leases and pods"),
    Check("clock", "Do the clocks of the operator, the API server and this machine agree?", running.clock, "leases"),
    Check(
        "rights",
        "Has the operator every right that the chart gives it?",
        trust.rights,
        "create subjectaccessreviews",
    ),
    Check(
        "admission",
        "Are the admission policies in place, unedited, and made for this operator?",
        trust.admission,
        "validatingadmissionpolicies and their bindings",
    ),
    Check(
        "policies",
        "Does a LifecyclePolicy apply to every Model?",
        people.policies,
        "models, lifecyclepolicies, namespaces",
    ),
    Check(
        "approvers",
        "May somebody approve in each role that a policy asks for?",
        people.approvers,
        "as policies; roles, clusterroles and their bindings",
    ),
    Check(
        "identities",
        "Do the policies know who is who, so that approvals can count?",
        people.identities,
        "as approvers; modelversions",
    ),
    Check(
        "namespaces",
        "Does the operator watch every namespace that has Models?",
        models.namespaces,
        "deployments, models, namespaces",
    ),
    Check("observed", "Has the operator seen the newest spec of every Model?", models.observed, "models"),
    Check(
        "gateway-api",
        "Is Gateway API installed, and can it mirror a share of requests?",
        traffic.gateway_api,
        "models, customresourcedefinitions",
    ),
    Check(
        "gateways",
        "Do the Gateways exist, work, and let the Models' routes in?",
        traffic.gateways,
        "models, gateways, namespaces",
    ),
    Check("routes", "Has the gateway accepted every Model's route?", traffic.routes, "models"),
    Check(
        "sources",
        "Does the operator know every Prometheus that is named?",
        monitoring.sources,
        "as policies; the operator's ConfigMap",
    ),
    Check(
        "network",
        "Do NetworkPolicies let the operator reach the metrics of the pods?",
        monitoring.network,
        "models, pods, networkpolicies, namespaces",
    ),
    Check("metrics", "Does the operator get the metrics that gates need?", monitoring.metrics, "models"),
    Check(
        "audit",
        "Is the audit trail exported without a break?",
        monitoring.audit,
        "the operator's ConfigMap; pods/proxy of its namespace",
    ),
    Check("webhooks", "Do the webhooks take their events?", monitoring.webhooks, "as audit"),
    Check(
        "alerts",
        "Are the operator's metrics read, and its alerts loaded?",
        monitoring.alerts,
        "the kinds of the Prometheus Operator",
    ),
)


def examine(installation: Installation) -> tuple[Finding, ...]:
    """Everything that the checks say, in their order; each says at least one thing."""
    return tuple(
        Finding(check.name, said.level, said.message, said.remedy)
        for check in CHECKS
        for said in _said(check, installation)
    )


def _said(check: Check, installation: Installation) -> tuple[Said, ...]:
    try:
        return tuple(check.look(installation))
    except NotSeen as reason:
        return (Said(Level.UNSEEN, str(reason)),)
