"""`modelward doctor` where little may be read, or nothing answers; and how what it says is printed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.api.conftest import PATIENCE
from tests.api.doctor.world import ADMISSION, LENDING, RBAC, SYSTEM, World, a_binding

BINDING = f"{ADMISSION}/validatingadmissionpolicybindings/modelward-approvals"


@pytest.fixture
def developer(world: World) -> Iterator[str]:
    """Ada, who may view what is in the namespace lending, as the chart gives it to those who may view Deployments there."""
    with (
        world.added(f"{RBAC}/namespaces/{LENDING}/rolebindings/ada", a_binding("modelward-view", "ada")),
        world.added(f"{RBAC}/clusterrolebindings/ada", a_binding("modelward-policy-reader", "ada")),
    ):
        world.server.until_allowed("ada", f"/apis/modelward.dev/v1alpha1/namespaces/{LENDING}/models")
        world.server.until_allowed("ada", "/apis/modelward.dev/v1alpha1/lifecyclepolicies")
        yield "ada"


def test_who_may_read_nothing_hears_what_was_not_looked_at_and_whom_to_ask(world: World) -> None:
    told = world.doctor(user="grace")
    assert {each["level"] for each in told.findings} == {"OK", "NotLookedAt"}
    assert [each["check"] for each in told.findings if each["level"] == "OK"] == ["kubernetes", "clock"]
    (rights,) = told.of("rights")
    assert 'User "grace" cannot list resource "deployments"' in rights["message"]
    assert "Ask who runs the cluster for that right" in rights["message"]
    assert told.exit_code == 0


def test_with_strict_what_was_not_looked_at_counts(world: World) -> None:
    assert world.doctor("--strict", user="grace").exit_code == 1


def test_who_may_read_one_namespace_hears_of_its_models(world: World, developer: str) -> None:
    told = world.doctor("-n", LENDING, user=developer)
    looked_at = {each["check"] for each in told.findings if each["level"] != "NotLookedAt"}
    assert looked_at == {"kubernetes", "clock", "observed", "routes", "metrics"}


def test_an_operator_elsewhere_is_looked_for_where_it_is_said_to_be(world: World) -> None:
    (found,) = world.doctor("--operator-namespace", LENDING).of("operator")
    assert (found["level"], "not installed, or elsewhere" in found["message"]) == ("Problem", True)
    assert world.doctor("--operator-namespace", SYSTEM).amiss == []


def test_yaml_says_the_same_as_json(world: World) -> None:
    as_json, as_yaml = world.doctor(), world.doctor(output="yaml")
    assert yaml.safe_load(as_yaml.text) == json.loads(as_json.text)
    assert json.loads(as_json.text)["summary"]["OK"] == len(as_json.findings)


def test_piped_it_is_one_line_for_each_check_and_one_for_each_remedy(world: World) -> None:
    with world.without(BINDING):
        lines = world.doctor(output="table").text.splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith("Problem ")]
    assert "admission" in lines[at] and "ValidatingAdmissionPolicyBinding modelward-approvals is missing" in lines[at]
    assert lines[at + 1].strip().startswith("> ") and "-k deploy/kustomize/base" in lines[at + 1]
    assert all(line.startswith("OK ") for number, line in enumerate(lines[:-2]) if number not in (at, at + 1))
    assert lines[-1] == "23 checks: 1 problem."
    assert "\x1b" not in "".join(lines)


def test_as_a_program_it_says_so_on_its_exit_and_writes_no_progress_where_nobody_looks(world: World) -> None:
    world.renew()
    done = doctor(world.server.kubeconfig)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("23 checks: nothing is wrong.\n")


def test_a_cluster_that_does_not_answer_is_one_sentence(world: World, tmp_path: Path) -> None:
    text = world.server.kubeconfig.read_text("utf-8").replace(world.server.url, "https://127.0.0.1:9")
    (tmp_path / "kubeconfig").write_text(text, "utf-8")
    done = doctor(tmp_path / "kubeconfig")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("Error: https://127.0.0.1:9 gives no answer")
    assert "Traceback" not in done.stderr


def doctor(kubeconfig: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "modelward.cli.main", "doctor", "--kubeconfig", str(kubeconfig)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
