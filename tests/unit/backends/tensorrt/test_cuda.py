"""The CUDA runtime as a session of TensorRT calls it: where it is looked for, and its errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.tensorrt import cuda
from tests.helpers import tensorrt_standin as standin


def test_libcudart_is_sought_beside_the_packages_first(tmp_path: Path) -> None:
    for place in ("cu13/lib/libcudart.so.13", "cuda_runtime/lib/libcudart.so.12"):
        (tmp_path / "nvidia" / place).parent.mkdir(parents=True)
        (tmp_path / "nvidia" / place).touch()
    found = list(cuda.candidates([str(tmp_path / "none"), str(tmp_path)]))
    assert [Path(name).name for name in found] == ["libcudart.so.13", "libcudart.so.12"] * 2
    assert all(name.startswith(str(tmp_path)) for name in found[:2])


def test_an_error_of_cuda_is_in_its_words() -> None:
    library = standin.Library()
    library.cudaMalloc = lambda pointer, nbytes: 2
    with pytest.raises(cuda.CudaError, match=r"cudaMalloc: out of memory \(error 2\)"):
        cuda.Cuda(library).made("cudaMalloc", 1)  # type: ignore[arg-type]
