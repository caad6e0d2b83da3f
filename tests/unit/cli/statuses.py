"""Models as the API server gives them, with statuses that the decision itself has made; and a cluster that has them."""

from datetime import UTC, datetime

from modelward.traffic.workloads import build_kept_policy


def stored(given, name="credit-risk"):
    """The Model after the operator has looked, and the copy of its policy that the operator keeps."""
    plan = given.decide()
    s = given.after(plan).s
    dumped = {"mode": "json", "by_alias": True, "exclude_none": True}
    raw = s.model.model_dump(**dumped) | {"apiVersion": "modelward.dev/v1alpha1", "kind": "Model"}
    raw["status"] = s.status.model_dump(**dumped)
    raw["metadata"]["name"] = name
    pinned = s.pinned.get(s.status.rollout.policy_digest) if s.status.rollout else s.policy
    return raw, build_kept_policy(s.model, pinned)


class Fed:
    """A cluster with these objects in it, as `connect` gives one."""

    namespace = "lending"

    def __init__(self, *objects):
        self.objects = objects

    def now(self):
        return datetime.now(UTC)

    def get(self, resource, name, namespace=None):
        return next((o for o in self.list(resource) if o["metadata"]["name"] == name), None)

    def list(self, resource, namespace=None, selector=""):
        return [o for o in self.objects if o["kind"] == resource.kind]
