"""What NVML says as plain data, from recorded answers: a card, a divided one, a container, no driver, a lost
one.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from types import SimpleNamespace

import pytest

from bench.machine.gpu.nvml import INSTALL, NoGpu, Reading, driver, handle_of, opened, read, throttles
from tests.helpers.recorded_nvml import (
    NOT_TOLD,
    QUESTIONS,
    Card,
    NVMLError_DriverNotLoaded,
    NVMLError_GpuIsLost,
    NVMLError_LibraryNotFound,
    NVMLError_NoPermission,
    Recorded,
    busy,
    process,
)

SLICE = SimpleNamespace(total=18_000_000_000, used=0, free=18_000_000_000)


def instance(number: int) -> Card:
    """An instance tells its memory and its name, and neither power nor clocks."""
    lacks = dict.fromkeys(
        ("EnforcedPowerLimit", "PowerUsage", "TotalEnergyConsumption", "UtilizationRates"), NOT_TOLD
    )
    name = "NVIDIA H200 MIG 1g.18gb"
    return Card(f"MIG-0000-{number}", {**lacks, "Name": name, "MemoryInfo": SLICE, "MigMode": NOT_TOLD})


def test_a_card() -> None:
    found = driver(Recorded(Card()))
    assert (found.version, found.cuda) == ("580.159.03", "13.0")
    (gpu,) = found.gpus
    assert (gpu.index, gpu.name, gpu.capability) == (0, "NVIDIA H200", "9.0")
    assert gpu.memory_bytes == 150_754_820_096
    assert (gpu.power_limit_w, gpu.sm_mhz, gpu.memory_mhz) == (700.0, 1980, 3201)
    assert gpu.instances == ()


def test_a_card_that_is_divided() -> None:
    (gpu,) = driver(Recorded(Card(instances=(instance(0), instance(1))))).gpus
    assert [(one.index, one.uuid) for one in gpu.instances] == [(0, "MIG-0000-0"), (1, "MIG-0000-1")]
    assert gpu.instances[0].memory_bytes == 18_000_000_000
    assert gpu.instances[0].power_limit_w is None
    assert gpu.power_limit_w == 700.0


def test_one_card_off_the_bus_leaves_the_others() -> None:
    library = Recorded(Card(answers={"handle": NVMLError_GpuIsLost()}), Card("GPU-2"))
    assert [(gpu.index, gpu.uuid) for gpu in driver(library).gpus] == [(1, "GPU-2")]


def test_older_versions_answer_in_bytes() -> None:
    found = driver(Recorded(Card(answers={"Name": b"Tesla T4", "UUID": b"GPU-4"}), driver=b"535.1"))
    assert (found.version, found.gpus[0].name, found.gpus[0].uuid) == ("535.1", "Tesla T4", "GPU-4")


@pytest.mark.parametrize("question", [one for one in QUESTIONS if one != "UUID"])
def test_what_is_not_told_takes_nothing_else_with_it(question: str) -> None:
    library = Recorded(Card(answers={question: NOT_TOLD}))
    found, reading = driver(library).gpus[0], read(library, library.cards[0])
    assert found.uuid
    told = {
        "power_w": 76.5,
        "energy_j": 1000.0,
        "sm_mhz": 345,
        "temperature_c": 31,
        "throttle": 1,
        "utilisation": 0.0,
    }
    lacking = [name for name, value in told.items() if getattr(reading, name) != value]
    assert len(lacking) <= 1


def test_no_gpu_is_explained() -> None:
    with pytest.raises(NoGpu, match="shows no GPU"):
        driver(Recorded())


@pytest.mark.parametrize(
    ("error", "says", "mend"),
    [
        (NVMLError_LibraryNotFound(), "libnvidia-ml.so is not there", ""),
        (NVMLError_DriverNotLoaded(), "not loaded", "sudo modprobe nvidia"),
        (NVMLError_NoPermission(), "no permission", "--gpus all"),
        (NVMLError_GpuIsLost("GPU is lost"), "GPU is lost", "nvidia-smi"),
    ],
)
def test_why_it_does_not_begin(error: Exception, says: str, mend: str) -> None:
    with pytest.raises(NoGpu, match=says) as caught, opened(Recorded(init=error)):
        pass
    assert mend in caught.value.hint


def test_the_library_is_shut_down_whatever_happens() -> None:
    library = Recorded(Card())
    with opened(library):
        assert library.open == 1
    assert library.open == 0
    with pytest.raises(KeyError), opened(library):
        raise KeyError
    assert library.open == 0


def test_without_the_package_the_command_that_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(NoGpu, match="nvidia-ml-py is missing") as caught, opened():
        pass
    assert caught.value.hint == INSTALL


def test_a_reading() -> None:
    answers = {
        "ComputeRunningProcesses": [process(7, 4_000_000_000), process(8, None)],
        "ProcessUtilization": lambda since: [busy(7, 93)],
        "UtilizationRates": SimpleNamespace(gpu=95, memory=40),
        "CurrentClocksEventReasons": 0x24,
    }
    library = Recorded(Card(answers=answers))
    found = read(library, handle_of(library, library.cards[0].uuid))
    assert (found.power_w, found.energy_j, found.sm_mhz, found.temperature_c) == (76.5, 1000.0, 345, 31)
    assert (found.utilisation, found.used_bytes) == (0.95, 600_000_000)
    assert found.processes == {7: 4_000_000_000, 8: None}
    assert found.busy == {7: 0.93}
    assert throttles(found.throttle or 0) == ["power cap", "thermal (driver)"]
    assert Reading.from_dict(json.loads(json.dumps(asdict(found)))) == found


def test_idle_clocks_and_limits_of_a_person_are_no_throttling() -> None:
    assert throttles(0x1 | 0x2 | 0x10 | 0x100) == []


def test_older_drivers_know_the_reasons_by_another_name() -> None:
    library = Recorded(Card(answers={"CurrentClocksEventReasons": 0x8}))
    library.nvmlDeviceGetCurrentClocksThrottleReasons = library.nvmlDeviceGetCurrentClocksEventReasons  # type: ignore[attr-defined]
    del library.nvmlDeviceGetCurrentClocksEventReasons  # type: ignore[attr-defined]
    assert read(library, library.cards[0]).throttle == 0x8


def test_a_driver_that_is_lost_midway_is_told_as_such() -> None:
    library = Recorded(Card())
    read(library, library.cards[0])
    library.gone = NVMLError_GpuIsLost("GPU is lost")
    with pytest.raises(NoGpu, match="answers no more"):
        read(library, library.cards[0])
    with pytest.raises(NoGpu, match="GPU-9 is not to be found"):
        handle_of(library, "GPU-9")
