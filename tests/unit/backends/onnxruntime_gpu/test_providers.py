"""What an environment has of ONNX Runtime for GPUs, and what its providers are told: without a GPU."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backends.onnxruntime import backend as onnxruntime_backend
from backends.onnxruntime_gpu import backend as onnxruntime_gpu_backend
from backends.onnxruntime_gpu import elf, providers
from backends.onnxruntime_gpu.backend import BACKEND
from backends.support import ort_packages
from backends.support.cuda_driver import NoDriver, driver
from bench.environments.requirements import needs
from bench.interfaces.backend import Target
from bench.interfaces.errors import BackendUnavailable, UnsupportedCase
from bench.interfaces.tensors import IOSpec, TensorSpec

IO = IOSpec((TensorSpec("x", "float32", (1,)),), (TensorSpec("y", "float32", (1,)),))
CPU_PACKAGE, GPU_PACKAGE = {"onnxruntime": "1.32.0"}, {"onnxruntime-gpu": "1.31.1"}


def here(monkeypatch: pytest.MonkeyPatch, packages: dict[str, str]) -> None:
    for module in (providers, ort_packages):
        monkeypatch.setattr(module, "packages", lambda: packages)


def test_packages_that_bring_the_module() -> None:
    names = [
        "onnxruntime_gpu",
        "onnxruntime",
        "onnxruntime-genai",
        "onnxruntime-ep-nv-tensorrt-rtx-cu13",
        "numpy",
    ]
    found: Any = [SimpleNamespace(name=name, version="1") for name in names]
    assert ort_packages.packages(found) == {"onnxruntime": "1", "onnxruntime-gpu": "1"}


def test_both_packages_in_one_environment_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    here(monkeypatch, {**CPU_PACKAGE, **GPU_PACKAGE})
    says = (
        "onnxruntime 1.32.0 and onnxruntime-gpu 1.31.1 are installed in one environment, each over the other"
    )
    for call in (
        BACKEND.probe,
        onnxruntime_backend.BACKEND.probe,
        lambda: BACKEND.load(None, Target(device="cuda:0"), IO),
    ):
        with pytest.raises(BackendUnavailable, match=says) as caught:
            call()
        assert caught.value.hint.startswith("pip uninstall -y onnxruntime onnxruntime-gpu")


@pytest.mark.skipif(find_spec(providers.PLUGIN) is not None, reason="the plugin would do")
def test_the_package_of_cpus_will_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    here(monkeypatch, CPU_PACKAGE)
    with pytest.raises(
        BackendUnavailable, match=r"the package here is onnxruntime 1\.32\.0, which has no"
    ) as caught:
        BACKEND.probe()
    assert caught.value.hint == "bakeoff setup onnxruntime-gpu"


def test_without_a_driver_a_device_is_refused_by_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        driver()
    except NoDriver:
        pass
    else:
        pytest.skip("a driver is here")
    here(monkeypatch, GPU_PACKAGE)
    with pytest.raises(
        UnsupportedCase, match=r"no device cuda:0 here: NVIDIA's driver is not here \(libcuda\.so\.1"
    ):
        BACKEND.load(None, Target(device="cuda:0"), IO)
    assert providers.table("") == {}


def gpus(monkeypatch: pytest.MonkeyPatch, lacks: dict[str, str]) -> None:
    """An H100 and a T4, and providers of which some lack something."""
    monkeypatch.setattr(providers, "capabilities", lambda: [(9, 0), (7, 5)])
    monkeypatch.setattr(providers, "lacking", lambda provider: lacks.get(provider, ""))


def test_what_is_computed_where(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, {providers.TENSORRT: "missing: libnvinfer.so.10"})
    hopper, turing = providers.table("").values()
    native = {name for name, support in hopper.items() if support.level == "native"}
    assert native == {"fp32", "tf32", "fp16", "bf16", "int8-weight", "int4-weight"}
    assert (turing["bf16"].level, turing["tf32"].level) == ("none", "none")
    assert "dequantises" in hopper["int8:native"].why
    assert {support.why for support in providers.table("tensorrt")["cuda:0"].values()} == {
        "missing: libnvinfer.so.10"
    }
    gpus(monkeypatch, {providers.CUDA: "missing: libcudnn.so.9"})
    assert {support.level for support in providers.table("tensorrt")["cuda:1"].values()} == {"none"}
    gpus(monkeypatch, {})
    assert providers.table("tensorrt")["cuda:0"]["int8:native"].level == "native"
    assert "unsigned" in providers.table("tensorrt")["cuda:0"]["int8:qdq"].why
    assert providers.table("tensorrt")["cuda:0"]["fp8:qdq"].level == "native"
    assert "dequantises fp8" in providers.table("")["cuda:0"]["fp8:qdq"].why


def test_tensorrt_for_rtx_has_fp8_from_ada_on(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, {})
    monkeypatch.setattr(providers, "register_plugin", lambda: "")
    monkeypatch.setattr(providers, "capabilities", lambda: [(8, 9), (8, 6)])
    ada, ampere = (table["fp8:qdq"] for table in providers.table("tensorrt-rtx").values())
    assert (ada.level, ampere.level) == ("native", "none")
    assert ampere.why == "native from compute capability 8.9; this one has 8.6"


@pytest.mark.parametrize(
    ("precision", "kinds"),
    [
        ("fp32", "onnx"),
        ("tf32", "onnx"),
        ("fp16", "onnx-half"),
        ("bf16", "onnx-half"),
        ("int8:native", "onnx-qdq-symmetric"),
        ("fp8:qdq", "onnx-fp8"),
    ],
)
def test_model_files(precision: str, kinds: str) -> None:
    assert BACKEND.takes(Target(precision=precision)) == (kinds,)


def test_it_has_none_of_other_integers() -> None:
    assert BACKEND.takes(Target(precision="int8:qdq")) == ()


def test_only_tf32_may_use_it() -> None:
    assert BACKEND.environment(Target(precision="fp32"))["NVIDIA_TF32_OVERRIDE"] == "0"
    assert "NVIDIA_TF32_OVERRIDE" not in BACKEND.environment(Target(precision="tf32"))
    assert onnxruntime_gpu_backend._cuda(Target(precision="fp32"), {})["use_tf32"] == "0"
    assert onnxruntime_gpu_backend._cuda(Target(precision="tf32"), {})["use_tf32"] == "1"


def test_what_providers_are_told() -> None:
    told = {
        "prefer_nhwc": "1",
        "trt_auxiliary_streams": "0",
        "enable_cuda_graph": "1",
        "user_compute_stream": "140",
    }
    alone = onnxruntime_gpu_backend._cuda(Target(device="cuda:1"), told)
    assert alone == {
        "device_id": "1",
        "use_tf32": "0",
        "enable_cuda_graph": "1",
        "prefer_nhwc": "1",
        "user_compute_stream": "140",
    }
    beside = onnxruntime_gpu_backend._cuda(Target(variant="tensorrt"), told)
    assert "enable_cuda_graph" not in beside, "the graph is TensorRT's"
    engine = onnxruntime_gpu_backend._tensorrt(Target(variant="tensorrt", precision="fp16"), told, "/cache")
    assert engine["trt_cuda_graph_enable"] == "1"
    assert engine["trt_engine_cache_path"] == engine["trt_timing_cache_path"] == "/cache"
    assert "prefer_nhwc" not in engine
    named = {"trt_fp16_enable", "trt_bf16_enable", "trt_int8_enable"}
    assert not named & engine.keys(), "a precision that is named makes networks weakly typed"


def settled(monkeypatch: pytest.MonkeyPatch, io: IOSpec = IO, **changes: Any) -> dict[str, Any]:
    gpus(monkeypatch, {})
    here(monkeypatch, GPU_PACKAGE)
    return BACKEND._settle(Target(device="cuda:0", **changes), io)


def test_presets_name_no_option_of_another_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settled(monkeypatch) == {}
    assert settled(monkeypatch, preset="expert") == BACKEND.presets["expert"].settings
    assert set(BACKEND.presets["expert"].settings) <= {*onnxruntime_gpu_backend.CUDA_OPTIONS}


@pytest.mark.parametrize(
    "option", ["device_id", "user_compute_stream", "use_tf32", "trt_builder_optimization_level"]
)
def test_what_is_the_case_s_own_is_no_option(monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    with pytest.raises(UnsupportedCase, match=f"takes no option '{option}'"):
        settled(monkeypatch, options={option: "1"})


def test_a_graph_holds_no_state(monkeypatch: pytest.MonkeyPatch) -> None:
    io = IOSpec(IO.inputs, IO.outputs, (("y", "x"),))
    with pytest.raises(UnsupportedCase, match="enable_cuda_graph holds no state"):
        settled(monkeypatch, io, options={"enable_cuda_graph": True})


def test_a_second_gpu_is_named_as_it_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, {})
    here(monkeypatch, GPU_PACKAGE)
    with pytest.raises(UnsupportedCase, match="no device 'cuda:7' here"):
        BACKEND._settle(Target(device="cuda:7"), IO)


def test_libraries_that_one_needs_are_read_from_its_file() -> None:
    spec = find_spec("onnxruntime")
    assert spec is not None
    assert spec.origin is not None
    library = Path(spec.origin).parent / "capi" / "libonnxruntime_providers_shared.so"
    assert "libc.so.6" in elf.needed(library)
    assert elf.missing(["libc.so.6", "libnonesuch.so.3"]) == ["libnonesuch.so.3"]


def test_a_library_beside_is_found_and_what_it_lacks_in_turn_is_named(tmp_path: Path) -> None:
    (tmp_path / "libbroken.so.1").write_text("no library")
    assert elf.missing(["libbroken.so.1"], [tmp_path]) == ["libbroken.so.1"]
    with pytest.raises(ValueError, match="no 64-bit little-endian ELF file"):
        elf.needed(tmp_path / "libbroken.so.1")


def test_a_version_of_its_environment_keeps_the_libraries() -> None:
    assert needs("onnxruntime-gpu==1.30.0").lines == ("onnxruntime-gpu[cuda,cudnn]==1.30.0",)
    assert needs("onnxruntime==1.30.0").lines == ("onnxruntime==1.30.0",)
