"""What `modelward lint` accepts the API server accepts, and the other way round."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import yaml

from modelward.manifests.documents import read_text
from modelward.manifests.finding import Finding
from modelward.manifests.structure import judge
from tests.api.conftest import Answer, ApiServer
from tests.manifests import BAD, BAD_FOR_PYTHON_ONLY, GOOD, KINDS, Manifest
from tests.mutations import mutated

CORPUS: dict[str, Manifest] = {
    **GOOD,
    **{name: bad.manifest for name, bad in BAD.items()},
    **{name: bad.manifest for name, bad in BAD_FOR_PYTHON_ONLY.items()},
    **dict(mutated(600, seed=20261121)),
}
# What CEL cannot see and the operator refuses: lint is the stricter of the two, and says so at the merge.
STRICTER = (
    "name at least one container, and give each a name",
    "counts do not fit:",
    "beyond the whole numbers that JSON can hold exactly",
)
# The API server takes any list for a field of format date, and the operator cannot read it.
LISTS_FOR_DAYS = ("spec.deprecation.since", "spec.deprecation.sunset", "spec.retirement.planned")


def linted(manifest: Manifest) -> tuple[Finding, ...]:
    """What lint finds in a manifest that is written as YAML and read back."""
    read = read_text(yaml.safe_dump(manifest, allow_unicode=True), "corpus.yaml")
    assert not read.findings, read.findings
    (document,) = read.documents
    return judge(document)[1]


def is_stricter(finding: Finding) -> bool:
    """Does lint refuse what the API server cannot see, or overlooks?"""
    overlooked = finding.field in LISTS_FOR_DAYS and "is a list" in finding.message
    return overlooked or any(words in finding.message for words in STRICTER)


def sent(value: Any) -> Any:
    """A value as kubectl sends it: from YAML by way of Go, which writes 2.0 as 2."""
    if isinstance(value, dict):
        return {key: sent(child) for key, child in value.items()}
    if isinstance(value, list):
        return [sent(child) for child in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def test_lint_and_the_api_server_agree_on_every_manifest_of_the_corpus(api_server: ApiServer) -> None:
    def dry_run(manifest: Manifest) -> Answer:
        scope = "" if manifest["kind"] == "LifecyclePolicy" else "/namespaces/default"
        path = f"/apis/modelward.dev/v1alpha1{scope}/{KINDS[manifest['kind']]}?dryRun=All&fieldValidation=Strict"
        return api_server.request("POST", path, sent(manifest))

    with ThreadPoolExecutor(4) as pool:
        answers = dict(zip(CORPUS, pool.map(dry_run, CORPUS.values()), strict=True))
    differences = []
    for name, manifest in CORPUS.items():
        findings, answer = linted(manifest), answers[name]
        assert answer.code in (201, 400, 422), answer.body
        stricter = findings and all(is_stricter(each) for each in findings)
        if not stricter and answer.accepted != (not findings):
            differences.append(
                f"{name}\n  server: {answer.code} {answer.message}\n  lint: {[str(each) for each in findings]}"
            )
    assert not differences, "\n".join(differences)
    taken = sum(answer.accepted for answer in answers.values())
    assert 100 < taken < len(CORPUS) - 200, "the corpus has too few good or too few bad manifests"
