"""What a device's name means, and how a worker comes to see its own GPU alone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bench.interfaces.errors import UsageError
from bench.machine.gpu.devices import BY_BUS, alone, inside, named, spelt, whole
from bench.machine.gpu.nvml import Gpu

ONE, TWO = Gpu(0, "GPU-aaaa-1111", "A"), Gpu(1, "GPU-aabb-2222", "B")
PARTS = (Gpu(0, "MIG-cccc-1", "1g"), Gpu(1, "MIG-cccc-2", "1g"))
DIVIDED = Gpu(2, "GPU-dddd-3333", "C", instances=PARTS)
GPUS = (ONE, TWO, DIVIDED)


def test_every_gpu_in_the_order_of_the_bus() -> None:
    assert named(GPUS, None) == {
        "cuda:0": ONE,
        "cuda:1": TWO,
        "cuda:2": DIVIDED,
        "cuda:2:0": PARTS[0],
        "cuda:2:1": PARTS[1],
    }


@pytest.mark.parametrize(
    ("visible", "shown"),
    [
        ("1,0", [TWO, ONE]),
        ("GPU-aabb", [TWO]),
        (" 1 , GPU-aaaa-1111", [TWO, ONE]),
        ("0,9,1", [ONE]),  # CUDA stops at what it cannot find
        ("0,0,1", [ONE]),
        ("-1", []),
        ("", []),
        ("MIG-cccc-2", [PARTS[1]]),
    ],
)
def test_what_a_person_shows_of_them(visible: str, shown: list[Gpu]) -> None:
    names = named(GPUS, visible)
    assert [gpu for name, gpu in names.items() if name.count(":") == 1] == shown


KNOWN = named(GPUS, None)


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("cpu", ("cpu",)),
        ("openvino:GPU.0", ("openvino:GPU.0",)),
        ("cuda", ("cuda",)),
        ("cuda:1", ("cuda:1",)),
        ("cuda:7", ("cuda:7",)),  # refused as such, by what each backend has
        ("cuda:all", ("cuda:0", "cuda:1", "cuda:2")),
        ("cuda:GPU-aabb-2222", ("cuda:1",)),
        ("cuda:gpu-AABB", ("cuda:1",)),
        ("cuda:MIG-cccc-2", ("cuda:2:1",)),
        ("cuda:GPU-9999", ("cuda:GPU-9999",)),
        ("cuda:2:1", ("cuda:2:1",)),
    ],
)
def test_how_devices_are_spelt(asked: str, meant: tuple[str, ...]) -> None:
    assert spelt(asked, KNOWN) == meant


def test_a_beginning_that_several_have_is_refused_with_them() -> None:
    with pytest.raises(UsageError, match="could be cuda:0, cuda:1"):
        spelt("cuda:GPU-aa", KNOWN)


def test_all_of_none_stays_to_be_refused() -> None:
    assert spelt("cuda:all", {}) == ("cuda:all",)


@pytest.mark.parametrize(
    ("device", "visible"),
    [
        ("cuda:1", "GPU-aabb-2222"),
        ("cuda:2", "MIG-cccc-1"),  # of a divided GPU nothing but an instance can be had
        ("cuda:2:1", "MIG-cccc-2"),
    ],
)
def test_a_worker_sees_one(device: str, visible: str) -> None:
    assert alone(device, KNOWN) == {**BY_BUS, "CUDA_VISIBLE_DEVICES": visible}
    assert inside(device) == "cuda:0"


def test_a_worker_of_a_cpu_is_left_alone() -> None:
    assert alone("cpu", KNOWN) == {}
    assert inside("cpu") == "cpu"
    assert inside("openvino:GPU.1") == "openvino:GPU.1"


@pytest.mark.parametrize(
    ("environment", "visible"),
    [({}, "1"), ({"CUDA_VISIBLE_DEVICES": "3,5"}, "5"), ({"CUDA_VISIBLE_DEVICES": "3"}, "1")],
)
def test_without_nvml_it_goes_by_the_place(environment: dict[str, str], visible: str) -> None:
    assert alone("cuda:1", {}, environment)["CUDA_VISIBLE_DEVICES"] == visible


def test_an_instance_can_what_its_gpu_can() -> None:
    assert [whole(one) for one in ("cuda:2:1", "cuda:2", "cuda", "cpu", "openvino:GPU.0")] == [
        *("cuda:2", "cuda:2", "cuda", "cpu", "openvino:GPU.0")
    ]


def test_looking_for_gpus_breaks_nothing_where_there_are_none() -> None:
    code = (
        "from bench.machine.gpu import devices as d; "
        "print(d.gpus(), d.readings(), repr(d.uuid('cuda:0')), d.found())"
    )
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=hidden, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("{} {} ''") or "Driver(" in done.stdout
