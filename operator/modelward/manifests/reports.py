"""Findings in the forms that other programs read: SARIF for code scanning, JUnit for CI, plain values for scripts.

Written by hand: sarif-om has not been touched since 2019 and leaves the JSON to its caller; junitparser is for reading and
merging reports, and writing one is a dozen lines of the standard library.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import PurePath
from typing import Any
from xml.etree import ElementTree

from modelward.manifests.finding import MEANINGS, Finding, Severity

SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def as_text(findings: Sequence[Finding]) -> str:
    """One line for each, as compilers write them."""
    return "\n".join(str(finding) for finding in findings)


def as_documents(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Each with its place among its fields."""
    return [
        {**asdict(found.place), **{key: value for key, value in asdict(found).items() if key != "place"}}
        for found in findings
    ]


def as_sarif(findings: Sequence[Finding], version: str) -> str:
    """SARIF 2.1.0, with a rule for each kind of finding."""
    rules = [{"id": rule.value, "shortDescription": {"text": meaning}} for rule, meaning in MEANINGS.items()]
    driver = {"name": "modelward lint", "version": version, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(each) for each in findings],
    }
    return json.dumps({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def as_junit(findings: Sequence[Finding], files: Sequence[str]) -> str:
    """A test case for each file, which fails when one of its findings is an error."""
    failing = [finding for finding in findings if finding.severity is Severity.ERROR]
    names = sorted({*files, *(finding.place.file for finding in findings)})
    broken = {finding.place.file for finding in failing}
    counts = {"tests": str(len(names)), "failures": str(len(broken)), "errors": "0"}
    suites = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "modelward lint", **counts})
    for name in names:
        case = ElementTree.SubElement(suite, "testcase", {"name": name, "classname": "modelward.lint", "file": name})
        own = [finding for finding in failing if finding.place.file == name]
        if own:
            first = _allowed_in_xml(own[0].sentence)
            failure = ElementTree.SubElement(case, "failure", {"message": first, "type": own[0].rule.value})
            failure.text = _allowed_in_xml(as_text(own))
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True)


def _result(finding: Finding) -> dict[str, Any]:
    place = finding.place
    region = {"startLine": place.line, "startColumn": place.column}
    return {
        "ruleId": finding.rule.value,
        "level": finding.severity.value,
        "message": {"text": finding.sentence},
        "locations": [
            {"physicalLocation": {"artifactLocation": {"uri": PurePath(place.file).as_posix()}, "region": region}}
        ],
    }


def _allowed_in_xml(text: str) -> str:
    """Without control characters, which XML has no way to write."""
    return "".join(character for character in text if character in "\t\n" or character >= " ")
