"""What the caller may decide, as the API server's admission sees it."""

from collections.abc import Iterable

from modelward.api.resources import Resource
from modelward.api.types import GROUP
from modelward.cli.cluster import Cluster
from modelward.governance.admission import SENTINEL_ROLE

_REVIEWS = Resource("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False)


class Rights:
    """The caller's rights in roles; each is asked for once."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._known: dict[tuple[str, str, str], bool] = {}

    def may(self, verb: str, role: str, namespace: str) -> bool:
        """May the caller decide so? Whoever may in a role that nobody is given has all rights, and is refused by admission."""
        return self._allowed(verb, role, namespace) and not self._allowed(verb, SENTINEL_ROLE, namespace)

    def of(self, verb: str, roles: Iterable[str], namespace: str) -> list[str]:
        """Those of the roles in which the caller may decide so."""
        return [role for role in dict.fromkeys(roles) if self.may(verb, role, namespace)]

    def _allowed(self, verb: str, role: str, namespace: str) -> bool:
        key = (verb, role, namespace)
        if key not in self._known:
            asked = {"group": GROUP, "resource": "approvalroles", "name": role, "verb": verb, "namespace": namespace}
            review = {"metadata": {}, "spec": {"resourceAttributes": asked}}
            self._known[key] = bool(self._cluster.create(_REVIEWS, review)["status"]["allowed"])
        return self._known[key]
