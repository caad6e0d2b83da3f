"""Raising spec.production.retry in a manifest: one line changes, and a person can review it."""

import subprocess

import pytest

from modelward.manifests.documents import read_text
from modelward.manifests.retry import NotEditable, as_diff, raised

HEAD = "apiVersion: modelward.dev/v1alpha1\nkind: Model\nmetadata: {name: credit-risk}\n"

EDITS = {
    "below the version, as its line is indented": (
        "spec:\n  # who serves\n  production:\n    version: v8  # promoted by ada\n  riskTier: High\n",
        "spec:\n  # who serves\n  production:\n    version: v8  # promoted by ada\n    retry: 3\n  riskTier: High\n",
    ),
    "a number that is there is replaced, and its comment stays": (
        "spec:\n  production:\n    retry: 2   # the cluster was full\n    version: 'v8'\n",
        "spec:\n  production:\n    retry: 3   # the cluster was full\n    version: 'v8'\n",
    ),
    "in braces, behind the version": (
        "spec: {riskTier: High, production: {version: v8}}\n",
        "spec: {riskTier: High, production: {version: v8, retry: 3}}\n",
    ),
    "in braces on lines of their own": (
        "spec:\n  production: {\n    version: v8\n  }\n",
        "spec:\n  production: {\n    version: v8, retry: 3\n  }\n",
    ),
    "a number in braces": (
        "spec:\n  production: {version: v8, retry: 2}\n",
        "spec:\n  production: {version: v8, retry: 3}\n",
    ),
    "with the ends of lines of another system": (
        "spec:\r\n  production:\r\n    version: v8\r\n",
        "spec:\r\n  production:\r\n    version: v8\r\n    retry: 3\r\n",
    ),
    "at the end of a file without a last newline": (
        "spec:\n  production:\n    version: v8",
        "spec:\n  production:\n    version: v8\n    retry: 3\n",
    ),
    "with breaks of lines that only YAML knows, which git takes for characters": (
        'spec:\n  description: "one\u2028two\x85three"\n  production:\n    version: v8\n',
        'spec:\n  description: "one\u2028two\x85three"\n  production:\n    version: v8\n    retry: 3\n',
    ),
    "with four blanks, tabs before comments and quotes": (
        'spec:\n    production:\n        "version": "v8"\t# here\n',
        'spec:\n    production:\n        "version": "v8"\t# here\n        "retry": 3\n',
    ),
}


def edited(text, retry=3):
    (document,) = read_text(text, "model.yaml").documents
    return raised(text, document, retry)


@pytest.mark.parametrize("case", EDITS)
def test_the_line_is_written(case):
    before, after = EDITS[case]
    assert edited(HEAD + before) == HEAD + after


def test_json_is_edited_as_it_is_laid_out():
    before = '{"kind": "Model", "metadata": {"name": "a"}, "spec": {"production": {"version": "v8"}}}'
    assert edited(before) == before.replace('"v8"', '"v8", "retry": 3')


def test_the_right_document_of_a_file_with_several_is_edited():
    other = HEAD.replace("credit-risk", "fraud") + "spec:\n  production:\n    version: v8\n"
    text = other + "---\n" + HEAD + "spec:\n  production:\n    version: v8\n---\n" + other
    document = read_text(text, "models.yaml").documents[1]
    assert raised(text, document, 1) == other + "---\n" + HEAD + (
        "spec:\n  production:\n    version: v8\n    retry: 1\n---\n" + other
    )


NOT_BY_A_LINE = {
    "an alias": "shared: &shared {version: v8}\nspec:\n  production: *shared\n",
    "a version over lines": "spec:\n  production:\n    version: >-\n      v8\n",
    "a version with an anchor that others use": "spec:\n  production:\n    version: &v v8\n  challengers: [*v]\n",
    "no version": "spec:\n  production: {}\n",
}


@pytest.mark.parametrize("case", NOT_BY_A_LINE)
def test_what_takes_more_than_a_line_is_refused_with_the_place_or_edited_without_another_change(case):
    text = HEAD + NOT_BY_A_LINE[case]
    (document,) = read_text(text, "model.yaml").documents
    try:
        after = raised(text, document, 3)
    except NotEditable as refusal:
        assert "model.yaml:" in str(refusal) and "retry: 3" in str(refusal)
        return
    (changed,) = read_text(after, "model.yaml").documents
    assert changed.content["spec"]["production"] == {**document.content["spec"]["production"], "retry": 3}
    assert {**changed.content["spec"], "production": 0} == {**document.content["spec"], "production": 0}


def test_a_version_behind_an_anchor_is_refused():
    with pytest.raises(NotEditable, match=r"model\.yaml:6:\d+ is not laid out line by line: write retry: 3"):
        edited(HEAD + NOT_BY_A_LINE["an alias"].replace("shared: ", "annotations: "))


@pytest.mark.parametrize("case", EDITS)
def test_git_applies_the_diff(case, tmp_path):
    before, after = (HEAD + text for text in EDITS[case])
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy/model.yaml").write_bytes(before.encode())
    diff = as_diff("deploy/model.yaml", before, after)
    subprocess.run(["git", "apply", "-"], input=diff.encode(), cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "deploy/model.yaml").read_bytes() == after.encode()
