"""What the page about Argo CD tells to copy is what the tests on a real Argo CD use."""

import re
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).parents[3]


def test_the_application_of_the_page_is_the_example() -> None:
    page = (REPOSITORY / "docs" / "how-to" / "argo-cd.md").read_text("utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    example = yaml.safe_load((REPOSITORY / "examples" / "argocd" / "application.yaml").read_text("utf-8"))
    assert [block for block in blocks if block.get("kind") == "Application"] == [example]
