"""Blast radius: what is reached, by which path, and whether users are affected now."""

from typing import Any

import pytest

from modelward.governance.lineage import LONGEST_PATH, Impact, Subject, SubjectKind, graph_of

DATA, OTHER_DATA, BASE, ARTIFACT, IMAGE, LOCK = (f"sha256:{digit * 64}" for digit in "123456")


def a_model(name: str, namespace: str = "lending", serving: str = "", **spec: Any) -> dict[str, Any]:
    status: dict[str, Any] = {"stage": "Production" if serving else ""}
    if serving:
        reference = {"version": serving, "digest": DATA, "since": "2026-11-01T09:00:00Z"}
        weights = [{"version": serving, "percent": 100}]
        status |= {"production": reference, "traffic": {"weights": weights, "changedAt": "2026-11-01T09:00:00Z"}}
    owner = {"team": f"{name}-team", "contact": f"{name}@example.com"}
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"owner": owner, "serving": {}, **spec},
        "status": status,
    }


def a_version(model: str, version: str, namespace: str = "lending", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": namespace, "name": f"{model}-{version}"},
        "spec": {"model": model, "version": version, **spec},
        "status": {"stage": "Registered"},
    }


def trained_on(*datasets: dict[str, Any]) -> dict[str, Any]:
    return {"lineage": {"datasets": list(datasets)}}


APPLICATIONS = {"name": "applications", "version": "2026-10", "digest": DATA}
MODELS = [
    a_model("score", serving="v2", consumers=[{"name": "loan-desk", "team": "retail", "contact": "desk@example.com"}]),
    a_model("limit", serving="v1", dependsOn=[{"model": "score"}], consumers=[{"name": "cards"}]),
    a_model("pricing", "pricing", serving="v1", dependsOn=[{"model": "limit", "namespace": "lending"}]),
    a_model("base", serving=""),
    a_model("writer", serving="v1", provider={"name": "Example AI", "model": "writer-4"}),
    a_model("bureau-user", serving="v1", dependsOn=[{"external": "credit bureau"}]),
]
VERSIONS = [
    a_version("score", "v1", **trained_on(APPLICATIONS)),
    a_version("score", "v2", **trained_on(APPLICATIONS, {"name": "payments", "digest": OTHER_DATA})),
    a_version("base", "v1", artifact={"uri": "s3://m/base", "digest": ARTIFACT}, **trained_on({"name": "corpus"})),
    a_version("writer", "v1", baseModel={"name": "base", "digest": ARTIFACT}),
    a_version("limit", "v1", baseModel={"name": "tabular-base", "digest": BASE}),
    a_version(
        "pricing", "v1", "pricing",
        lineage={"environment": {"image": f"registry.example.com/train:1@{IMAGE}", "lockDigest": LOCK}},
        serving={"template": {"spec": {"containers": [{"name": "server", "image": "registry.example.com:5000/serve:2"}]}}},
    ),
    a_version("bureau-user", "v1", lineage={"context": [{"name": "handbook", "type": "Document", "digest": OTHER_DATA}]}),
]  # fmt: skip


def impact(kind: SubjectKind, text: str, models: Any = MODELS, versions: Any = VERSIONS) -> Impact:
    return graph_of(models, versions).impact(Subject(kind, text))


def reached(found: Impact) -> dict[str, list[str]]:
    return {f"{each.namespace}/{each.name}": [version.version for version in each.versions] for each in found.models}


DATASET, MODEL, IMAGE_KIND, BASE_MODEL, ARTIFACT_KIND = (
    SubjectKind.DATASET, SubjectKind.MODEL, SubjectKind.IMAGE, SubjectKind.BASE_MODEL, SubjectKind.ARTIFACT,
)  # fmt: skip
BY_SCORE = {"lending/score": ["v2", "v1"], "lending/limit": [], "pricing/pricing": []}


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        pytest.param(DATASET, DATA, BY_SCORE, id="a data set by digest, and on through dependsOn"),
        pytest.param(DATASET, DATA.removeprefix("sha256:"), BY_SCORE, id="the prefix of a digest may be left out"),
        pytest.param(DATASET, "applications", BY_SCORE, id="a data set by name"),
        pytest.param(
            DATASET, OTHER_DATA,
            {"lending/score": ["v2"], "lending/bureau-user": ["v1"], "lending/limit": [], "pricing/pricing": []},
            id="the same content as a data set and as a document that shapes answers",
        ),
        pytest.param(DATASET, "credit bureau", {"lending/bureau-user": []}, id="a source outside of the cluster"),
        pytest.param(DATASET, "corpus", {"lending/writer": ["v1"], "lending/base": ["v1"]}, id="through the artifact it was tuned from"),
        pytest.param(MODEL, "score", BY_SCORE, id="a model by name"),
        pytest.param(MODEL, "lending/limit", {"lending/limit": ["v1"], "pricing/pricing": []}, id="a model by namespace and name"),
        pytest.param(IMAGE_KIND, IMAGE, {"pricing/pricing": ["v1"]}, id="the image of the training, by digest"),
        pytest.param(IMAGE_KIND, LOCK, {"pricing/pricing": ["v1"]}, id="a lock file"),
        pytest.param(IMAGE_KIND, "registry.example.com:5000/serve", {"pricing/pricing": ["v1"]}, id="the image that serves, of any tag"),
        pytest.param(BASE_MODEL, "tabular-base", {"lending/limit": ["v1"], "pricing/pricing": []}, id="a base model by name"),
        pytest.param(BASE_MODEL, "writer-4", {"lending/writer": []}, id="a vendor's model"),
        pytest.param(ARTIFACT_KIND, ARTIFACT, {"lending/writer": ["v1"], "lending/base": ["v1"]}, id="an artifact, and what was tuned from it"),
    ],
)  # fmt: skip
def test_what_is_reached(kind: SubjectKind, text: str, expected: dict[str, list[str]]) -> None:
    assert reached(impact(kind, text)) == expected


def test_everything_that_is_reached_says_by_which_path() -> None:
    found = {each.name: each for each in impact(DATASET, DATA).models}
    assert found["pricing"].path == (
        "lending/score v2 made from data set applications, version 2026-10",
        "lending/limit relies on lending/score",
        "pricing/pricing relies on lending/limit",
    )
    newest, oldest = found["score"].versions
    assert (newest.stage, newest.percent, newest.serving) == ("Production", 100, True)
    assert (oldest.stage, oldest.percent, oldest.serving) == ("Registered", 0, False)
    assert [(each.name, each.team, each.contact) for each in found["score"].consumers] == [
        ("loan-desk", "retail", "desk@example.com")
    ]
    assert (found["limit"].owner, found["limit"].contact) == ("limit-team", "limit@example.com")


@pytest.mark.parametrize(
    ("versions", "affected"),
    [
        pytest.param({"v2"}, True, id="what serves was made from it"),
        pytest.param({"v1"}, False, id="only a version of the past was"),
    ],
)
def test_users_are_affected_now_only_by_what_serves(versions: set[str], affected: bool) -> None:
    made = [a_version("score", name, **(trained_on(APPLICATIONS) if name in versions else {})) for name in ("v1", "v2")]
    found = impact(DATASET, DATA, MODELS[:3], made)
    assert {each.name: each.affected_now for each in found.models} == dict.fromkeys(
        ("score", "limit", "pricing"), affected
    )


def test_a_canary_affects_the_users_that_it_answers() -> None:
    model = a_model("score", serving="v1")
    model["status"]["traffic"]["weights"] = [{"version": "v1", "percent": 90}, {"version": "v2", "percent": 10}]
    found = impact(
        DATASET, DATA, [model], [a_version("score", "v1"), a_version("score", "v2", **trained_on(APPLICATIONS))]
    )
    assert (found.models[0].affected_now, found.models[0].versions[0].percent) == (True, 10)


def test_models_that_depend_on_each_other_are_each_reached_once() -> None:
    models = [
        a_model("first", serving="v1", dependsOn=[{"model": "second"}]),
        a_model("second", serving="v1", dependsOn=[{"model": "first"}, {"model": "second"}]),
    ]
    assert [each.name for each in impact(MODEL, "first", models, []).models] == ["first", "second"]


def test_a_chain_that_is_too_long_is_cut_and_the_answer_says_so() -> None:
    links = [a_model(f"m{n}", serving="v1", dependsOn=[{"model": f"m{n - 1}"}] if n else []) for n in range(100)]
    found = impact(MODEL, "m0", links, [])
    assert (len(found.models), found.truncated) == (LONGEST_PATH, True)


@pytest.mark.parametrize(
    ("kind", "text", "near"),
    [
        pytest.param(DATASET, "aplications", ("applications",), id="a slip"),
        pytest.param(DATASET, "sha256:111111", (DATA,), id="the beginning of a digest"),
        pytest.param(MODEL, "pric", ("pricing", "pricing/pricing"), id="a part of a name"),
        pytest.param(DATASET, "zzz", (), id="nothing like it"),
        pytest.param(MODEL, "applications", (), id="another kind of thing"),
    ],
)
def test_what_is_unknown_is_answered_with_what_is_near(kind: SubjectKind, text: str, near: tuple[str, ...]) -> None:
    found = impact(kind, text)
    assert (found.found, found.near) == (False, near)
    assert found.known > 0


def test_what_cannot_be_looked_into_is_named_instead_of_passed_over() -> None:
    models = [
        a_model("gone", serving="v1"),
        a_model("silent", serving="v1"),
        {"metadata": {"namespace": "x", "name": "bad"}, "spec": {"type": 1}},
    ]
    found = impact(DATASET, DATA, models, [a_version("silent", "v1")])
    assert found.unread[1:] == (
        "lending/gone v1 serves, and there is no ModelVersion of it: what it was made from is in its audit records",
        "lending/silent v1 serves, and does not say what it was made from",
    )
    assert found.unread[0].startswith("Model x/bad cannot be read by this release: spec.type")


def test_a_version_that_was_pruned_is_reached_by_the_copy_that_was_kept() -> None:
    found = graph_of([a_model("score", serving="v1")], [], [a_version("score", "v1", **trained_on(APPLICATIONS))])
    assert reached(found.impact(Subject(DATASET, DATA))) == {"lending/score": ["v1"]}


def test_versions_without_a_model_are_reached_too() -> None:
    assert reached(impact(DATASET, DATA, [], VERSIONS[:1])) == {"lending/score": ["v1"]}
