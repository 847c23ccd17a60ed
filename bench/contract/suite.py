"""What every backend must hold, as a pytest suite to subclass; also for backends of other distributions.

    from bench.contract.suite import BackendContract

    class TestMine(BackendContract):
        backend = BACKEND
        target = Target(threads=2)

It brings its own tiny models (a small CNN and a small attention encoder, with fp64 references), made by
the converters of the formats that the backend takes; that needs `pip install 'bakeoff[prepare]'`. A backend
whose format no converter makes overrides `model`. What is known to fail is marked, strictly, in
`expected_failures`.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from bench.contract.blocking import comes_back_early
from bench.contract.models import SAMPLES, Tiny, tiny_model
from bench.interfaces.backend import EMULATED, Backend, Capabilities, Devices, Session, Target
from bench.interfaces.errors import ModelFileError, UnsupportedCase
from bench.interfaces.plain import as_dict
from bench.interfaces.tensors import Array, IOSpec, ModelFile
from bench.plugins import backend_registry

Failures = Mapping[str, tuple[str, type[BaseException]]]
PRECISIONS = ("fp32", "bf16", "fp16")
NO_SUCH_DEVICES = ("nonesuch:0", "cuda:97")
# No backend's file may load these, nor any runtime.
HEAVY = ("torch", "pandas", "pydantic", "plotly", "scipy", "onnx")
GROWTH_LIMIT = 6 * 2**20  # bytes over `loads` loads of a model with 1 MiB of weights

MISSING = """
import importlib, json, sys
from bench.interfaces.backend import IOSpec, Target
from bench.interfaces.errors import BackendUnavailable
module, blocked = sys.argv[1], set(sys.argv[2:])
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name in blocked or name.split(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
backend = importlib.import_module(module).BACKEND
hints = []
for call in (backend.probe, lambda: backend.load(None, Target(), IOSpec((), ()))):
    try:
        call()
    except BackendUnavailable as error:
        hints.append(error.hint)
print(json.dumps(hints))
"""
LIGHT = """
import importlib, json, sys
importlib.import_module(sys.argv[1])
print(json.dumps(sorted(set(sys.modules) & set(sys.argv[2:]))))
"""


class BackendContract:
    """Subclass it and name `backend`, and `target` where the default (CPU, fp32, one thread) is not meant.

    Attributes:
        expected_failures: test (`test_run_blocks`, or with its parameter) → (reason, exception). A test that
            passes all the same fails.
        loads: how often the model is loaded to see whether memory grows.
        models: the tiny models that it is tried on (`bench.contract.models`); the first serves what needs
            one alone. A runtime of one family names that family's.
    """

    backend: ClassVar[Backend]
    target: ClassVar[Target] = Target()
    expected_failures: ClassVar[Failures] = {}
    loads: ClassVar[int] = 12
    models: ClassVar[tuple[str, ...]] = ("cnn", "encoder")

    def __init_subclass__(cls) -> None:
        for name in cls.expected_failures:
            if not hasattr(cls, name.split("[")[0]):
                raise TypeError(f"{cls.__name__}.expected_failures names {name!r}: there is no such test")

    # What a subclass may override.

    def model(self, tiny: Tiny, batch: int = 1, precision: str = "fp32") -> ModelFile | None:
        """The tiny model in a format that the backend takes; None for a backend that takes none."""
        kinds = self.backend.takes(replace(self.target, precision=precision))
        return tiny.file(kinds[0], batch, precision) if kinds else None

    def options(self, tiny: Tiny) -> Mapping[str, Any]:
        """Options of the target that depend on the model."""
        return {}

    # How the tests get at a session.

    @pytest.fixture(autouse=True)
    def _mark_expected_failures(self, request: pytest.FixtureRequest) -> None:
        for name in (request.node.name, getattr(request.node, "originalname", "")):
            if name in self.expected_failures:
                reason, exception = self.expected_failures[name]
                request.applymarker(pytest.mark.xfail(reason=reason, raises=exception, strict=True))

    @classmethod
    def pytest_generate_tests(cls, metafunc: pytest.Metafunc) -> None:
        if "tiny" in metafunc.fixturenames:
            metafunc.parametrize("tiny", cls.models, indirect=True)

    @pytest.fixture
    def tiny(self, request: pytest.FixtureRequest) -> Tiny:
        return tiny_model(request.param)

    @pytest.fixture
    def first(self) -> Tiny:
        return tiny_model(self.models[0])

    @cached_property
    def capabilities(self) -> Capabilities:
        return self.backend.probe()

    @property
    def devices(self) -> Devices:
        """Device → precision → support, of the target's variant."""
        return self.capabilities.of(self.target.variant)

    @contextmanager
    def session(self, tiny: Tiny, batch: int = 1, **changes: Any) -> Iterator[Session]:
        """A loaded session; `changes` are fields of the target."""
        options = {**self.target.options, **self.options(tiny), **changes.pop("options", {})}
        target = replace(self.target, options=options, **changes)
        io, model = tiny.io(batch), self.model(tiny, batch, target.arithmetic)
        if model is not None and self.backend.builds(target):
            model = _built(self.backend, model, target, io)
        with self.backend.load(model, target, io) as session:
            yield session

    def worst_error(self, session: Session, tiny: Tiny, samples: int = 8) -> float:
        """Of that many samples, one at a time."""
        found = [_infer(session, tiny.inputs(1, i)) for i in range(samples)]
        return max(tiny.error(outputs, i) for i, outputs in enumerate(found))

    def precision_or_skip(self, precision: str) -> str:
        """How to ask for it: the name, or the name with `:emulated`."""
        support = self.devices[self.target.device].get(precision)
        if support is None or support.level == "none":
            pytest.skip(f"{self.backend.name} claims no {precision}: {support.why if support else 'unknown'}")
        return precision if support.level == "native" else precision + EMULATED

    def needs_outputs(self) -> None:
        if self.backend.role in ("overhead", "anchor"):
            pytest.skip(f"{self.backend.name} computes nothing of a workload")

    # The object itself.

    def test_is_a_backend(self) -> None:
        backend = self.backend
        assert isinstance(backend, Backend)
        assert backend_registry.SPEC.fullmatch(backend.name)
        assert backend.summary
        assert backend.install
        assert next(iter(backend.variants)) == "", "the first variant is the plain one, written ''"
        assert "stock" in backend.presets
        assert all(preset.source for preset in backend.presets.values()), "a preset says where it comes from"
        assert backend.role != "runtime" or backend.runtime, "a runtime names its modules"
        assert all(isinstance(v, str) for v in backend.environment(self.target).values())

    def test_importing_the_file_loads_no_runtime(self) -> None:
        module = type(self.backend).__module__
        known = (backend_registry.get(name).runtime for name in backend_registry.names("runtime"))
        runtimes = {name for modules in (*known, self.backend.runtime) for name in modules}
        loaded = _python(LIGHT, module, *HEAVY, *sorted(runtimes))
        assert loaded == [], f"importing {module} loads {loaded}"

    def test_missing_dependency_names_its_mend(self) -> None:
        if not self.backend.runtime:
            pytest.skip(f"{self.backend.name} needs nothing")
        hints = _python(MISSING, type(self.backend).__module__, *self.backend.runtime)
        assert len(hints) == 2, "probe and load raise BackendUnavailable without the runtime"
        assert all(hints), "BackendUnavailable carries the command that mends it"

    def test_requirements_stand_beside_the_file(self) -> None:
        if type(self.backend).__module__ != backend_registry.module_of(self.backend.name):
            pytest.skip("not a backend of this package: its own distribution keeps them")
        assert bool(backend_registry.requirements(self.backend.name)) == bool(self.backend.runtime)

    def test_probe_tells_what_is_here(self) -> None:
        assert self.capabilities.version
        assert self.target.device in self.devices
        assert set(self.capabilities.variants) <= set(self.backend.variants)
        for device, table in self.devices.items():
            for precision, support in table.items():
                assert support.level == "native" or support.why, f"{device} {precision}: why not?"
        assert Capabilities.from_dict(json.loads(json.dumps(as_dict(self.capabilities)))) == self.capabilities

    # Right outputs.

    @pytest.mark.parametrize("precision", PRECISIONS)
    def test_outputs_lie_in_the_band(self, tiny: Tiny, precision: str) -> None:
        self.needs_outputs()
        asked = self.precision_or_skip(precision)
        low, high = tiny.bands[precision]
        with self.session(tiny, batch=3, precision=asked) as session:
            error = tiny.error(_infer(session, tiny.inputs(3)))
        assert low <= error <= high, f"{asked}: error {error:.3g} is outside {low:.3g} to {high:.3g}"

    def test_every_preset_is_right(self, tiny: Tiny) -> None:
        self.needs_outputs()
        for preset in self.backend.presets:
            with self.session(tiny, batch=3, preset=preset) as session:
                error = tiny.error(_infer(session, tiny.inputs(3)))
            high = tiny.bands[self.target.arithmetic][1]
            assert error <= high, f"preset {preset}: error {error:.3g} is over {high:.3g}"

    def test_same_inputs_same_outputs(self, tiny: Tiny) -> None:
        """Within a session and from load to load, to fp32's tolerance (summation order may differ)."""
        results = []
        for _ in range(2):
            with self.session(tiny, batch=3) as session:
                results += [_infer(session, tiny.inputs(3)) for _ in range(2)]
        for other in results[1:]:
            for name, first in results[0].items():
                np.testing.assert_allclose(other[name], first, rtol=1e-4, atol=1e-5)

    # The session's manners.

    def test_is_a_session(self, tiny: Tiny) -> None:
        with self.session(tiny) as session:
            assert isinstance(session, Session)
            assert session.staged_sets >= 1

    def test_run_blocks(self, first: Tiny) -> None:
        """`run` returns when the outputs are complete: they are right if fetched at once, and fetching at
        once takes no longer than fetching after a wait in which a run still going on would have ended."""
        with self.session(first, batch=SAMPLES) as session:
            inputs = first.inputs(SAMPLES)
            staged = session.stage(inputs)
            for _ in range(3):
                session.fetch(session.run(staged))
            assert not (why := comes_back_early(session, staged)), why
        if self.backend.role in ("runtime", "test"):
            with self.session(first, batch=1) as session:
                for i in range(8):  # other inputs each time, so that what is left of the last run is wrong
                    _assert_right(self, first, _infer(session, first.inputs(1, i)), i)

    def test_staged_sets_are_honest(self, tiny: Tiny) -> None:
        """As many staged inputs live at once as the session says, run in any order."""
        self.needs_outputs()
        with self.session(tiny) as session:
            count = min(session.staged_sets, 4)
            staged = [session.stage(tiny.inputs(1, i)) for i in range(count)]
            for i in (*reversed(range(count)), *range(count)):
                _assert_right(self, tiny, session.fetch(session.run(staged[i])), i)

    def test_outputs_live_until_the_next_run(self, tiny: Tiny) -> None:
        """Outputs stand while other inputs are staged, and what was fetched stands for good."""
        self.needs_outputs()
        with self.session(tiny) as session:
            outputs = session.run(session.stage(tiny.inputs(1, 0)))
            if session.staged_sets > 1:
                session.stage(tiny.inputs(1, 1))
            gc.collect()
            first, again = session.fetch(outputs), session.fetch(outputs)
            second = session.fetch(session.run(session.stage(tiny.inputs(1, 1))))
            for fetched, sample in ((first, 0), (again, 0), (second, 1)):
                _assert_right(self, tiny, fetched, sample)

    def test_staging_leaves_the_inputs_alone(self, tiny: Tiny) -> None:
        with self.session(tiny) as session:
            inputs = tiny.inputs(1)
            session.fetch(session.run(session.stage(inputs)))
            for name, array in tiny.inputs(1).items():
                np.testing.assert_array_equal(inputs[name], array)

    @pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
    def test_inputs_of_any_layout(self, first: Tiny) -> None:
        """Host arrays may be read-only, with gaps between their elements, and in another order."""
        self.needs_outputs()
        with self.session(first, batch=3) as session:
            plain = first.inputs(3)
            every_second = {name: np.repeat(array, 2, axis=-1)[..., ::2] for name, array in plain.items()}
            other_order = {name: np.asfortranarray(array) for name, array in plain.items()}
            for inputs in (plain, every_second, other_order):
                for array in inputs.values():
                    array.flags.writeable = False
                _assert_right(self, first, _infer(session, inputs), 0)

    def test_repeated_loads_do_not_grow(self, first: Tiny) -> None:
        if not Path("/proc/self/statm").exists():
            pytest.skip("resident memory is read from /proc")

        def once() -> None:
            with self.session(first) as session:
                session.fetch(session.run(session.stage(first.inputs(1))))

        for _ in range(3):
            once()
        before = _resident_bytes()
        for _ in range(self.loads):
            once()
        growth = _resident_bytes() - before
        assert growth < GROWTH_LIMIT, f"{self.loads} loads leave {growth / 2**20:.1f} MiB behind"

    # No silent fallback.

    @pytest.mark.parametrize("device", NO_SUCH_DEVICES)
    def test_unknown_device_is_refused(self, first: Tiny, device: str) -> None:
        with pytest.raises(UnsupportedCase) as caught, self.session(first, device=device):
            pass
        assert device in caught.value.message
        assert caught.value.hint

    @pytest.mark.parametrize("precision", [*PRECISIONS, "fp7"])
    def test_unclaimed_precision_is_refused(self, first: Tiny, precision: str) -> None:
        """One that the probe does not claim, or that is emulated and was not asked for as such."""
        support = self.devices[self.target.device].get(precision)
        if support is not None and support.level == "native":
            pytest.skip(f"{self.backend.name} claims {precision}")
        with pytest.raises(UnsupportedCase) as caught, self.session(first, precision=precision):
            pass
        assert precision in caught.value.message
        if support is not None and support.level == "emulated":
            assert precision + EMULATED in caught.value.hint

    def test_unknown_option_is_refused(self, first: Tiny) -> None:
        with (
            pytest.raises(UnsupportedCase, match="no_such_option"),
            self.session(first, options={"no_such_option": 1}),
        ):
            pass

    @pytest.mark.parametrize("content", [None, b"", b"garbage" * 40], ids=["missing", "empty", "garbage"])
    def test_broken_model_file_is_named(self, first: Tiny, tmp_path: Path, content: bytes | None) -> None:
        if (model := self.model(first)) is None:
            pytest.skip(f"{self.backend.name} takes no model file")
        path = tmp_path / f"broken{model.path.suffix}"
        if content is not None:
            path.write_bytes(content)
        broken, folder = replace(model, path=path), tmp_path / "built"
        folder.mkdir()
        with pytest.raises(ModelFileError, match=path.name):
            _built_and_loaded(self.backend, broken, self.target, first.io(1), folder)

    @pytest.mark.parametrize("precision", PRECISIONS)
    def test_actual_agrees_with_the_case(self, tiny: Tiny, precision: str) -> None:
        asked = self.precision_or_skip(precision)
        with self.session(tiny, precision=asked) as session:
            actual = session.actual()
            assert actual.precision.value == precision, actual.precision
            assert actual.device.value == self.target.device, actual.device
            assert actual.threads.value == str(self.target.threads), actual.threads
            assert actual.provider.value
            assert actual.emulated == asked.endswith(EMULATED)
            assert type(actual).from_dict(json.loads(json.dumps(as_dict(actual)))) == actual
            if self.backend.role == "runtime":
                assert actual.precision.evidence == "executed", "the precision is read from what ran"
                assert actual.device.evidence in ("executed", "reported")
                low, high = tiny.bands[precision]
                assert low <= tiny.error(_infer(session, tiny.inputs(1, 5)), 5) <= high, "actual() disturbs"


BUILT: dict[str, ModelFile] = {}


def _built(backend: Backend, model: ModelFile, target: Target, io: IOSpec) -> ModelFile:
    """What the backend builds of a model file, once a process for each target and shape."""
    key = json.dumps([backend.name, model.sha256, as_dict(target), as_dict(io)], sort_keys=True)
    if key not in BUILT:
        folder = Path(tempfile.mkdtemp(prefix="bakeoff-contract-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        BUILT[key] = backend.build(model, target, io, folder)
    return BUILT[key]


def _built_and_loaded(
    backend: Backend, model: ModelFile, target: Target, io: IOSpec, folder: Path
) -> Session:
    if backend.builds(target):
        model = backend.build(model, target, io, folder)
    return backend.load(model, target, io)


def _infer(session: Session, inputs: Mapping[str, Array]) -> dict[str, Array]:
    return session.fetch(session.run(session.stage(inputs)))


def _assert_right(suite: BackendContract, tiny: Tiny, outputs: Mapping[str, Array], sample: int) -> None:
    error, high = tiny.error(outputs, sample), tiny.bands[suite.target.arithmetic][1]
    # One sample may lie a little above the band of many.
    assert error <= 3 * high, f"sample {sample}: error {error:.3g} is over {3 * high:.3g}"


def _resident_bytes() -> int:
    """Of this process, once what is free has been handed back."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _python(code: str, *arguments: str) -> Any:
    """The JSON that a fresh interpreter prints, which finds modules where this one does."""
    importlib.invalidate_caches()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
