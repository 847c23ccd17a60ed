"""What the doctor says of GPUs, and of runtimes that do not fit them: each check on plain values."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.machine.gpu.checks import checks, covers, held_back, misfits, none, occupied, on_the_bus, present
from bench.machine.gpu.nvml import Driver, Gpu, NoGpu, Reading

H200 = Gpu(0, "GPU-1", "NVIDIA H200", 150_754_820_096, "9.0", 700.0, 1980)
T4 = Gpu(1, "GPU-2", "Tesla T4", 15_843_721_216, "7.5")
DRIVER = Driver("580.159.03", "13.0", (H200, T4))
NOTHING = NoGpu("no NVIDIA driver: libnvidia-ml.so is not there")


def test_a_machine_without_a_gpu_is_fit() -> None:
    (found,) = checks(NOTHING, {}, {}, {})
    assert (found.name, found.state) == ("GPU", "ok")
    assert "no NVIDIA driver" in found.fact


def test_a_card_without_a_driver_is_not(tmp_path: Path) -> None:
    for place, vendor, kind in (
        ("0", "0x10de", "0x030200"),
        ("1", "0x10de", "0x040300"),
        ("2", "0x1002", "0x030000"),
    ):
        folder = tmp_path / f"sys/bus/pci/devices/0000:0{place}:00.0"
        folder.mkdir(parents=True)
        (folder / "vendor").write_text(vendor + "\n")
        (folder / "class").write_text(kind + "\n")
    assert on_the_bus(tmp_path) == 1  # its audio device and another's card do not count
    found = none(NOTHING, on_the_bus(tmp_path))
    assert (found.state, found.mend[:7]) == ("bad", "install")
    assert "1 on the PCI bus" in found.fact


def test_what_is_here_and_what_is_hidden() -> None:
    shown = {"cuda:0": H200, "cuda:1": T4}
    found = present(DRIVER, shown, {})
    assert found.state == "ok"
    assert (
        "cuda:0 NVIDIA H200, 140 GiB; cuda:1 Tesla T4, 14.8 GiB; driver 580.159.03, CUDA up to 13.0"
        in found.fact
    )
    found = present(DRIVER, {"cuda:0": T4}, {"CUDA_VISIBLE_DEVICES": "1"})
    assert (found.state, found.mend) == ("warn", "unset CUDA_VISIBLE_DEVICES")
    assert "hides 1" in found.fact


@pytest.mark.parametrize(
    ("reading", "state", "says"),
    [
        (Reading(0, utilisation=0.05, used_bytes=2 << 30), "ok", "5% of the time, 2 GiB in use"),
        (Reading(0, utilisation=0.06), "bad", "6% of the time"),
        (Reading(0), "ok", "does not say"),
    ],
)
def test_others_on_it(reading: Reading, state: str, says: str) -> None:
    found = occupied("cuda:0", reading)
    assert found.state == state
    assert says in found.fact


@pytest.mark.parametrize(
    ("reading", "state", "says"),
    [
        (Reading(0, sm_mhz=345, temperature_c=31, throttle=1), "ok", "345 of at most 1980 MHz, 31 °C"),
        (Reading(0, sm_mhz=900, throttle=0x24), "warn", "held back by power cap, thermal (driver)"),
        (Reading(0, sm_mhz=900, temperature_c=85.0), "warn", "it will slow down"),
        (Reading(0, temperature_c=84.9), "ok", "unknown of at most"),
    ],
)
def test_its_clocks(reading: Reading, state: str, says: str) -> None:
    found = held_back("cuda:0", H200, reading)
    assert found.state == state
    assert says in found.fact


def test_all_of_them_together() -> None:
    readings = {"GPU-1": Reading(0, utilisation=0.0, sm_mhz=345)}
    names = [one.name for one in checks(DRIVER, {"cuda:0": H200, "cuda:1": T4}, readings, {})]
    assert names == ["GPU", "others on cuda:0", "clocks of cuda:0"]  # the other does not answer


@pytest.mark.parametrize(
    ("detail", "driver", "state", "says"),
    [
        ({}, DRIVER, "", ""),  # a runtime that has nothing to do with CUDA
        ({"CUDA": "13.0", "architectures": "sm_75 sm_80 sm_90"}, DRIVER, "", ""),
        ({"CUDA": "13.4"}, DRIVER, "", ""),  # within a major version an older driver serves
        ({"CUDA": "none"}, NOTHING, "", ""),
        ({"CUDA": "none"}, DRIVER, "warn", "this build of torch is for the CPU alone"),
        (
            {"CUDA": "14.0"},
            DRIVER,
            "bad",
            "built for CUDA 14.0, and driver 580.159.03 serves CUDA up to 13.0",
        ),
        (
            {"CUDA": "13.0", "architectures": "sm_80 sm_90a"},
            DRIVER,
            "bad",
            "no code for compute capability 7.5",
        ),
    ],
)
def test_runtimes_that_do_not_fit(
    detail: dict[str, str], driver: Driver | NoGpu, state: str, says: str
) -> None:
    found = misfits("torch", detail, driver, [H200, T4])
    assert [one.state for one in found] == ([state] if state else [])
    if found:
        assert says in found[0].fact
        assert found[0].mend


@pytest.mark.parametrize(
    ("architectures", "capability", "runs"),
    [
        ("sm_80", "8.0", True),
        ("sm_80", "8.6", True),
        ("sm_86", "8.0", False),
        ("sm_80", "9.0", False),
        ("compute_80", "9.0", True),
        ("compute_90", "8.9", False),
        ("sm_90a", "9.0", True),
        ("sm_100f", "10.3", False),
        ("sm_120", "12.0", True),
        ("nonsense", "9.0", False),
    ],
)
def test_which_code_runs_where(architectures: str, capability: str, runs: bool) -> None:
    assert covers(architectures.split(), capability) is runs
