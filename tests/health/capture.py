"""Captures what the operator writes, as the testdata of Argo CD's health checks: ``python -m tests.health.capture``.

It plays one Model's life on the local cluster (a minute and a half), and keeps the first sight of each state.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from deploy.health_checks import SCRIPTS
from examples.tumor_screening.environment import prepare, turn
from tests.e2e import policies
from tests.e2e.gitops.people import approve, ask_for_an_approval
from tests.e2e.kubectl import Kubectl, Watched
from tests.e2e.policies import ERRORS
from tests.e2e.scene import MODEL, FollowedModel, Scene, condition

Object = Mapping[str, Any]

NAMESPACE = "capture"
STAGES = policies.shadow(ERRORS, at_least="2s") | policies.canary(ERRORS, weights=(20, 50), at_least="2s")
NO_METRICS = {"serving": {"metrics": {"port": 9099}}}
METRICS = {"serving": {"metrics": {"port": 9090}}}
NOBODY_READY = {"healthy": False, "deadline": "5s"}


def _conditions(shown: Object) -> list[Object]:
    found: list[Object] = (shown.get("status") or {}).get("conditions") or []
    return found


def _seen(shown: Object) -> bool:
    return bool((shown.get("status") or {}).get("observedGeneration") == shown["metadata"]["generation"])


def _in_stage(stage: str) -> Callable[[Object], bool]:
    return lambda shown: _seen(shown) and (shown["status"].get("rollout") or {}).get("stage") == stage


def _because(kind: str, reason: str) -> Callable[[Object], bool]:
    return lambda shown: _seen(shown) and condition(shown["status"], kind).get("reason") == reason


MODELS: Mapping[str, Callable[[Object], bool]] = {
    "progressing_new": lambda shown: not _conditions(shown),
    "progressing_newGeneration": lambda shown: bool(_conditions(shown)) and not _seen(shown),
    "progressing_firstVersion": lambda shown: _seen(shown)
    and bool(shown["status"].get("rollout"))
    and not shown["status"].get("production"),
    "progressing_firstRoute": _because("Serving", "RouteNotAccepted"),
    "progressing_shadow": _in_stage("Shadow"),
    "progressing_canary": _in_stage("Canary"),
    "suspended_awaitingApproval": _because("Progressing", "AwaitingApproval"),
    "suspended_paused": _because("Progressing", "Paused"),
    "suspended_frozen": _because("Ready", "Suspended"),
    "suspended_noVersionRequested": _because("Ready", "NoVersionRequested"),
    "degraded_versionNotFound": _because("SpecValid", "VersionNotFound"),
    "degraded_rolledBack": _because("Ready", "RolledBack"),
    "degraded_backendsUnavailable": _because("Serving", "BackendsUnavailable"),
    "degraded_failedAndHeld": _because("Progressing", "GateFailed"),
    "healthy_watched": lambda shown: _because("Ready", "Promoted")(shown) and bool(shown["status"].get("watch")),
    "healthy_atRest": _because("Progressing", "AtRest"),
    "healthy_servedElsewhere": _because("Ready", "NotServedHere"),
}
VERSIONS: Mapping[str, Callable[[Object], bool]] = {
    "healthy_new": lambda shown: not shown.get("status"),
    "healthy_canary": lambda shown: (shown.get("status") or {}).get("stage") == "Canary",
    "healthy_production": lambda shown: (shown.get("status") or {}).get("stage") == "Production",
    "healthy_rejected": lambda shown: condition(shown.get("status") or {}, "Rejected").get("status") == "True",
}


async def main() -> None:
    """Play, and write."""
    with turn():
        environment = prepare(print)
        kubectl = Kubectl(environment.kubectl_program, environment.kubeconfig)
        scene = Scene(environment, kubectl, NAMESPACE)
        await scene.open()
        try:
            models = await scene.watch("models")
            versions = await scene.watch("modelversions")
            await _play(scene)
            await _write_others(scene)
        finally:
            _write("Model", MODELS, models)
            _write("ModelVersion", VERSIONS, versions)
            await scene.close()
            environment.delete_namespace(NAMESPACE)  # with what was exported of it: the next capture begins new chains


async def _play(scene: Scene) -> None:
    watched = policies.policy(scene.namespace, STAGES)
    watched["spec"]["stages"]["production"]["watch"]["duration"] = "10s"
    await scene.kubectl.apply(watched, scene.model("v1"))
    model = await scene.follow()
    await model.until_condition("SpecValid", "False", "VersionNotFound")
    await scene.kubectl.apply(scene.version("v1"), scene.version("v2"))
    await model.until_rest("v1")
    await scene.set_policy(STAGES)
    await _with_a_person(scene, model)
    await _without_metrics(scene, model)
    await _with_failures(scene, model)
    await model.patch({"production": None})
    await model.until_condition("Ready", "False", "NoVersionRequested")
    elsewhere = scene.model("v1", name="elsewhere")
    del elsewhere["spec"]["serving"], elsewhere["spec"]["production"]
    await scene.kubectl.apply(elsewhere)
    await (await scene.follow("elsewhere")).until_condition("Ready", "True", "NotServedHere")


async def _with_a_person(scene: Scene, model: FollowedModel) -> None:
    await ask_for_an_approval(scene, STAGES)
    async with scene.clients(rate=30):
        await model.ask_for("v2")
        await model.until_condition("Progressing", "False", "AwaitingApproval", within=90)
        await model.patch({"suspend": True})
        await model.until_condition("Ready", "False", "Suspended")
        await model.patch({"suspend": False})
        await model.until_condition("Progressing", "False", "AwaitingApproval")
        await approve(scene, model)
        await model.until_rest("v2")
    await model.ask_for("v1")
    await model.until_rest("v1")


async def _without_metrics(scene: Scene, model: FollowedModel) -> None:
    await scene.set_policy(policies.shadow(ERRORS, at_least="1s"), patience="2s")
    await scene.kubectl.apply(scene.version("v5"))
    await model.patch({"production": {"version": "v5"}, **NO_METRICS})
    await model.until_condition("Progressing", "False", "Paused")
    await model.patch({"production": {"version": "v1"}, **METRICS})
    await model.until_rest("v1")


async def _with_failures(scene: Scene, model: FollowedModel) -> None:
    await scene.kubectl.apply(scene.version("v6", **NOBODY_READY))
    await model.ask_for("v6")
    await model.until_condition("Ready", "False", "RolledBack")
    held = policies.policy(scene.namespace, policies.canary(ERRORS, weights=(50,), at_least="60s"))
    held["spec"]["rollback"] = {"automatic": False}
    await scene.kubectl.apply(held, scene.version("v4"))
    async with scene.clients(rate=30):
        await model.ask_for("v4")
        await model.until_condition("Progressing", "False", "GateFailed", within=90)
    await model.ask_for("v1")
    await model.until_rest("v1")
    await scene.kubectl(
        "delete", "pods", "-l", "modelward.dev/version=v1", "-n", scene.namespace, "--force", "--grace-period=0"
    )
    await model.until_condition("Serving", "False", "BackendsUnavailable")
    await model.until_condition("Serving", "True", "ProductionAvailable")


async def _write_others(scene: Scene) -> None:
    place = ("-n", scene.namespace)
    version = await scene.kubectl.get("modelversion", f"{MODEL}-v2", *place)
    evaluation = {
        "apiVersion": version["apiVersion"],
        "kind": "ModelEvaluation",
        "metadata": {"name": f"{MODEL}-v2-holdout", "namespace": scene.namespace},
        "spec": {
            "model": MODEL,
            "version": "v2",
            "versionDigest": version["status"]["digest"],
            "name": "holdout",
            "evaluator": "kubernetes-admin",
            "metrics": [
                {"name": "auc", "value": 0.991, "low": 0.983, "high": 0.997},
                {"name": "recall", "value": 0.95},
            ],
            "at": "2026-11-01T09:00:00Z",
            "validUntil": "2027-05-01T00:00:00Z",
        },
    }
    await scene.kubectl.apply(evaluation)
    for kind, name in (("ModelEvaluation", "recorded"), ("ModelApproval", "approve"), ("ModelAuditRecord", "link")):
        found = await scene.kubectl.items(f"{kind.lower()}s", *place)
        _keep(kind, f"healthy_{name}", found[-1])
    _keep("LifecyclePolicy", "healthy_high", await scene.kubectl.get("lifecyclepolicy", "high"))


def _write(kind: str, wanted: Mapping[str, Callable[[Object], bool]], watched: Watched) -> None:
    for name, holds in wanted.items():
        found = next((shown for shown in watched.objects if holds(shown)), None)
        if found is None:
            print(f"{kind} {name}: not seen")
        else:
            _keep(kind, name, found)


def _keep(kind: str, name: str, found: Object) -> None:
    """Without what says nothing about its health and is long."""
    metadata = {key: value for key, value in found["metadata"].items() if key != "managedFields"}
    spec = {key: value for key, value in found["spec"].items() if key not in ("baseline", "lineage")}
    kept = {**found, "metadata": metadata, "spec": spec}
    if "status" in found:
        kept["status"] = {key: value for key, value in found["status"].items() if key not in ("evidence", "monitoring")}
    target = SCRIPTS / kind / "testdata" / f"{name}.yaml"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=140))


if __name__ == "__main__":
    asyncio.run(main())
