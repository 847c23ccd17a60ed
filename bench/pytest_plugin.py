"""The door from pytest: options, and a fixture that hands a verified, warmed-up case to `benchmark`.

    pytest_plugins = ["bench.pytest_plugin"]    # in the top conftest.py

    def test_latency(benchmark, bakeoff_case):
        benchmark(bakeoff_case)

The engine is imported when an option is given or a test asks for the fixture, and a runtime when such a test
is set up: in a session without either, this module costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from bench.interfaces.axes import AXES

if TYPE_CHECKING:
    from bench.inprocess import ReadyCase
    from bench.interfaces.case import Case
    from bench.measure.worker_spec import Setting
    from bench.suite.suite import Suite

FIXTURE = "bakeoff_case"
WORKLOAD = "minilm-l6"  # the smallest that comes with bakeoff
DEFAULTS = {  # what is taken where an option is not given
    "workload": f"(default {WORKLOAD})",
    "backend": "(default: every one installed here)",
    "precision": "(default fp32)",
    "device": "(default cpu)",
    "batch": "(default 1)",
    "threads": "(default auto)",
}
# Option → key of `suite_from_flags`, metavar, help.
OPTIONS = {
    axis.flag: (axis.key, axis.metavar, " ".join(filter(None, (axis.text, DEFAULTS.get(axis.flag)))))
    for axis in AXES
    if axis.in_process
}
FLAG = re.compile(rf"(?<![\w-])--({'|'.join(OPTIONS)})\b")
SUITE = pytest.StashKey["Suite"]()
ASKED = pytest.StashKey["dict[str, Asked]"]()
READY = pytest.StashKey["ReadyCase"]()


@dataclass(frozen=True, slots=True)
class Asked:
    """A case that the options ask for; `refusal` is '' or the reason why it cannot be measured."""

    case: Case
    refusal: str
    setting: Setting


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bakeoff", f"bakeoff: the cases of {FIXTURE}, several separated by commas")
    for name, (key, metavar, text) in OPTIONS.items():
        flag, into = f"--bakeoff-{name}", f"bakeoff_{key}"
        group.addoption(flag, dest=into, action="append", default=[], metavar=metavar, help=text)


def pytest_configure(config: pytest.Config) -> None:
    """A mistake in an option is told before anything is collected."""
    if any(_given(config).values()):
        _suite(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if FIXTURE in metafunc.fixturenames:
        names = list(_asked(metafunc.config))
        metafunc.parametrize(FIXTURE, names, ids=names, indirect=True)


@pytest.fixture
def bakeoff_case(request: pytest.FixtureRequest) -> Iterator[ReadyCase]:
    """A verified, warmed-up case, one for each that the --bakeoff options ask for.

    Calling it is one inference, host arrays in and out. What this machine cannot do is skipped with the
    reason. A test fails whose outputs are wrong before it or after it, or that ran in another precision or on
    another device than was asked for.
    """
    from bench.inprocess import ready
    from bench.interfaces.errors import BackendUnavailable, BakeoffError, UnsupportedCase
    from bench.text import strict_json

    asked = _asked(request.config)[request.param]
    if asked.refusal:
        pytest.skip(asked.refusal)
    benchmark: Any = request.getfixturevalue("benchmark") if "benchmark" in request.fixturenames else None
    try:
        with ready(asked.case, asked.setting, _tell) as case:
            request.node.stash[READY] = case
            if benchmark is not None:
                benchmark.extra_info.update(strict_json.finite(case.facts))
                benchmark.group = benchmark.group or f"{case.case.workload} {case.case.shape}"
            yield case
            del request.node.stash[READY]  # or the session would keep every model
    except (BackendUnavailable, UnsupportedCase) as error:
        pytest.skip(_spelt(error))
    except BakeoffError as error:
        pytest.fail(_spelt(error), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Around the test, not in the fixture: wrong outputs are then a failure, not an error of the set-up."""
    case = pyfuncitem.stash.get(READY, None)
    if case is None:
        return (yield)
    from bench.text import strict_json

    if case.problem:
        pytest.fail(case.problem, pytrace=False)
    result = yield
    problem = case.close_books()
    benchmark: Any = pyfuncitem.funcargs.get("benchmark")
    if benchmark is not None:
        benchmark.extra_info.update(strict_json.finite(case.facts))
        if problem:
            benchmark.has_error = True  # shown in red, and left out of what is saved
    if problem:
        pytest.fail(problem, pytrace=False)
    return result


def _given(config: pytest.Config) -> dict[str, list[str]]:
    return {key: config.getoption(f"bakeoff_{key}") for key, _, _ in OPTIONS.values()}


def _spelt(text: object) -> str:
    """The text with bakeoff's flags as pytest has them."""
    return FLAG.sub(r"--bakeoff-\1", str(text))


def _tell(event: str, facts: Mapping[str, Any]) -> None:
    """pytest shows it with `-s`, and with a test that fails."""
    if event == "prepare" and facts["state"] != "cached":
        print(f"bakeoff: {facts['state']} {facts['artefact']}")
    elif "text" in facts:
        print(f"bakeoff: {facts['text']}")


def _suite(config: pytest.Config) -> Suite:
    """What the options ask for. Raises pytest.UsageError."""
    from bench.interfaces.errors import UsageError
    from bench.suite.flags import suite_from_flags
    from bench.suite.suite import Suite

    if SUITE not in config.stash:
        names = {"name": "pytest", "workloads": [WORKLOAD], "backends": _installed()}
        base = Suite.from_dict({**names, "anchor": False, "null": False})
        try:
            config.stash[SUITE] = suite_from_flags(base, _given(config))
        except UsageError as error:
            raise pytest.UsageError(f"{_spelt(error.message)}\n  pytest --help, under 'bakeoff'") from None
    return config.stash[SUITE]


def _installed() -> list[str]:
    """Backends whose runtime is here, found without importing it; all of them where there is none, so that
    each is skipped with the command that gets it."""
    from bench.plugins import backend_registry

    names = backend_registry.names("runtime")
    tops = {
        name: {module.partition(".")[0] for module in backend_registry.get(name).runtime} for name in names
    }
    return [name for name in names if all(map(find_spec, tops[name]))] or names


def _asked(config: pytest.Config) -> dict[str, Asked]:
    """Test id → case. Backends are probed once a session, each in a process of its own."""
    from bench.environments.probe import probe_all
    from bench.interfaces.errors import BakeoffError
    from bench.machine import budget as machine_budget
    from bench.machine import fingerprint
    from bench.measure.turns import Limits
    from bench.measure.worker_spec import Setting
    from bench.plan.plan import plan, probe_name

    if ASKED not in config.stash:
        suite = _suite(config)
        try:
            fingerprint.require_supported_platform()
            budget = machine_budget.core_budget()
            found = probe_all(probe_name(entry.spec) for entry in suite.backends)
            planned = plan(suite, budget, found)
        except BakeoffError as error:
            raise pytest.Collector.CollectError(_spelt(error)) from error
        setting = Setting("pytest", planned.profile, Limits(), budget, None)
        asked = [Asked(case, "", setting) for case in planned.cases]
        asked += [Asked(case, _spelt(why), setting) for case, _, why in planned.refused]
        config.stash[ASKED] = _named(asked)
    return config.stash[ASKED]


def _named(asked: list[Asked]) -> dict[str, Asked]:
    """`resnet50-b1-onnxruntime-fp32-cpu`, the threads where cases differ in no more,
    and the id where that is not enough."""

    def name(one: Asked, threads: str) -> str:
        case, target = one.case, one.case.target
        facts = [case.workload, case.shape, case.backend_spec, target.precision, target.device]
        return "-".join(facts).replace(" ", "-") + threads

    short = {name(one, ""): one for one in asked}
    if len(short) == len(asked):
        return short
    long = [name(one, f"-t{one.case.target.threads}") for one in asked]
    return {
        text if long.count(text) == 1 else f"{text}-{one.case.id}": one
        for text, one in zip(long, asked, strict=True)
    }
