"""One prepared cluster for all tests of this layer, and a scene of its own for each.

The cluster is brought up and the operator installed once, by the process that starts the workers of pytest-xdist. A cluster
that was up before is left up; the tests' namespaces and policies are removed from it.
"""

import pickle
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import argocd
from examples.tumor_screening.environment import (
    OPERATOR_RELEASE,
    PLATFORM_PROMETHEUS,
    REPOSITORY,
    Environment,
    prepare,
    take_down_cluster,
    turn,
)
from tests.e2e.kubectl import Kubectl
from tests.e2e.scene import MADE_BY, Scene

DOWN_PROMETHEUS = {"name": "down", "url": "http://prometheus.monitoring:9"}
# What the platform configured, beside what `prepare` installs with.
VALUES = {
    "metrics": {"prometheusSources": [PLATFORM_PROMETHEUS, DOWN_PROMETHEUS]},
    "discovery": {"interval": "2s"},
}
_HANDED_OVER = "modelward_environment"
_LABEL = ",".join(f"{name}={value}" for name, value in MADE_BY.items())
_prepared = pytest.StashKey[Environment]()
_values_before = pytest.StashKey[str]()
_turn = pytest.StashKey[ExitStack]()
_failed = pytest.StashKey[bool]()
_had_argo_cd = pytest.StashKey[bool]()
_GITOPS = Path(__file__).parent / "gitops"


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand every worker the environment, which is prepared for the first."""
    node.workerinput[_HANDED_OVER] = pickle.dumps(_prepare_once(node.config))


def pytest_sessionfinish(session: pytest.Session) -> None:
    environment = session.config.stash.get(_prepared, None)
    if environment is not None:
        if environment.is_local and not environment.started_here and not session.config.stash[_had_argo_cd]:
            argocd.remove()
        _leave(environment, session.config.stash[_values_before])
        session.config.stash[_turn].close()


@pytest.fixture(scope="session")
def environment(request: pytest.FixtureRequest) -> Environment:
    handed_over = getattr(request.config, "workerinput", {}).get(_HANDED_OVER)
    return pickle.loads(handed_over) if handed_over else _prepare_once(request.config)


@pytest.fixture(scope="session")
def kubectl(environment: Environment) -> Kubectl:
    return Kubectl(environment.kubectl_program, environment.kubeconfig)


@pytest.fixture
async def scene(request: pytest.FixtureRequest, environment: Environment, kubectl: Kubectl) -> AsyncIterator[Scene]:
    """A namespace for one test; what it looks like is printed when the test fails."""
    played = Scene(environment, kubectl, _namespace_of(request.node))
    await played.open()
    yield played
    if request.node.stash.get(_failed, False):
        print(await played.report())
    await played.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report: Any = yield
    if report.when == "call":
        item.stash[_failed] = report.failed
    return report


def _namespace_of(item: pytest.Item) -> str:
    """The first words of the test's name, which must be a DNS label."""
    words = item.name.removeprefix("test_").partition("@")[0]
    plain = "".join(letter if letter.isalnum() else "-" for letter in words.lower())
    return f"e2e-{plain[:40].strip('-')}"


def _prepare_once(config: pytest.Config) -> Environment:
    if _prepared not in config.stash:
        say = _terminal(config)
        config.stash[_turn] = ExitStack()
        config.stash[_turn].enter_context(turn())
        environment = prepare(say)
        config.stash[_prepared] = environment
        config.stash[_had_argo_cd] = environment.exists("namespace", argocd.NAMESPACE)
        if environment.is_local and _are_asked_for(config, _GITOPS):
            argocd.build()  # before any test measures time: the first build takes minutes of every processor
        config.stash[_values_before] = environment.helm("get", "values", OPERATOR_RELEASE, *_place(environment))
        _upgrade(environment, yaml.safe_dump(VALUES), "--reuse-values")
        _remove_leftovers(environment)
    return config.stash[_prepared]


def _terminal(config: pytest.Config) -> Callable[[str], None]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return (lambda text: reporter.write_line(f"  {text}")) if reporter else print


def _are_asked_for(config: pytest.Config, tests: Path) -> bool:
    """Whether what the command line names holds tests of that folder."""
    named = [(config.invocation_params.dir / word.partition("::")[0]).resolve() for word in config.args]
    return any(tests.is_relative_to(path) or path.is_relative_to(tests) for path in named)


def _leave(environment: Environment, values: str) -> None:
    if environment.started_here:
        take_down_cluster()
        return
    _remove_leftovers(environment)
    _upgrade(environment, values.partition("USER-SUPPLIED VALUES:")[2])


def _upgrade(environment: Environment, values: str, *options: str) -> None:
    """The operator's release, with this source's chart and other values."""
    chart = str(REPOSITORY / "charts" / OPERATOR_RELEASE)
    waiting = ["--wait", "--timeout=8m", "--values=-"]
    environment.helm(
        "upgrade", "--install", OPERATOR_RELEASE, chart, *_place(environment), *waiting, *options, given=values
    )


def _place(environment: Environment) -> tuple[str, str]:
    return "--namespace", environment.operator_namespace


def _remove_leftovers(environment: Environment) -> None:
    environment.kubectl("delete", "lifecyclepolicies", f"--selector={_LABEL}", "--ignore-not-found")
    found = environment.kubectl("get", "namespaces", f"--selector={_LABEL}", "--output=name").split()
    for namespace in found:
        environment.kubectl("delete", "models", "--all", "-n", namespace.partition("/")[2], "--wait=false")
    if found:
        environment.kubectl("delete", *found, "--timeout=8m", timeout=500)
