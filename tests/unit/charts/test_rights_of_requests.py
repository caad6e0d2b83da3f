"""Each request that the operator's code makes is one that the chart's roles allow, also on paths that no whole rollout takes."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import modelward.runtime
from modelward.api import resources
from modelward.runtime.discovering import LISTED
from modelward.runtime.intake import WATCHED
from tests.unit.charts.rendering import objects

VERBS = {
    "get": ("get",),
    "list": ("list",),
    "create": ("create",),
    "apply": ("create", "patch"),
    "patch": ("patch",),
    "replace": ("update",),
    "delete": ("delete",),
    "update_status": ("update",),
}
"""What a method of KubeApi asks of the API server; a server-side apply of what is not there yet is also a create."""

Request = tuple[str, str]  # resource, with its group and subresource, and verb


def requests() -> Iterator[tuple[str, Request]]:
    """Where the code asks for what: calls of KubeApi that name a kind of api/resources.py."""
    for file in sorted(Path(str(modelward.runtime.__file__)).parent.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
                continue
            owner, named = node.func.value, node.args[0]
            if not isinstance(owner, ast.Attribute) or owner.attr not in ("kube", "_kube"):
                continue
            kind = getattr(resources, named.id, None) if isinstance(named, ast.Name) else None
            if kind is not None:
                status = "/status" if node.func.attr == "update_status" else ""
                for verb in VERBS[node.func.attr]:
                    yield f"{file.name}:{node.lineno}", (f"{kind}{status}", verb)


ASKED = [
    *requests(),
    *((f"intake.py, {each.resource}", (str(each.resource), verb)) for each in WATCHED for verb in ("list", "watch")),
    *((f"discovering.py, {resource}", (str(resource), "list")) for resource in LISTED),
    ("act.py, of Models", ("models.modelward.dev/status", "update")),
    ("act.py, of versions", ("modelversions.modelward.dev/status", "update")),
    ("kube.py, events", ("events.events.k8s.io", "create")),
]


@cache
def given() -> frozenset[Request]:
    """The rights of every role that the chart binds to the operator, with everything switched on."""
    webhook = {"name": "tickets", "url": "https://tickets.example/hook", "secretName": "tickets"}
    made = {"notifications__webhooks": [webhook]}
    bindings = [each for kind in ("RoleBinding", "ClusterRoleBinding") for each in objects(kind, **made)]
    bound = {(binding["roleRef"]["kind"], binding["roleRef"]["name"]) for binding in bindings}
    return frozenset(
        (_qualified(resource, group), verb)
        for kind in ("Role", "ClusterRole")
        for role in objects(kind, **made)
        if (kind, role["metadata"]["name"]) in bound
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    )


def _qualified(resource: str, group: str) -> str:
    plural, slash, subresource = resource.partition("/")
    return (f"{plural}.{group}" if group else plural) + slash + subresource


def test_requests_are_found_in_the_code() -> None:
    assert ("models.modelward.dev", "get") in [asked for _, asked in ASKED]
    assert len(ASKED) > 40


@pytest.mark.parametrize(("where", "asked"), ASKED, ids=[f"{where} {verb} {kind}" for where, (kind, verb) in ASKED])
def test_the_chart_allows_what_the_code_asks_for(where: str, asked: Request) -> None:
    assert asked in given()
