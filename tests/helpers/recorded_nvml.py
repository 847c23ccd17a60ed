"""NVML's answers as a machine gave them, played back: what `pynvml` would say there.

The figures of `H200` follow what nvidia-smi tells of such a card; a test changes an answer, or makes it an
error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any


class NVMLError(Exception):
    """As pynvml's: a class each for what is named."""


class NVMLError_NotSupported(NVMLError):
    pass


class NVMLError_LibraryNotFound(NVMLError):
    pass


class NVMLError_DriverNotLoaded(NVMLError):
    pass


class NVMLError_NoPermission(NVMLError):
    pass


class NVMLError_GpuIsLost(NVMLError):
    pass


NOT_TOLD = NVMLError_NotSupported("Not Supported")


def process(pid: int, size: int | None) -> SimpleNamespace:
    return SimpleNamespace(pid=pid, usedGpuMemory=size)


def busy(pid: int, share: int) -> SimpleNamespace:
    return SimpleNamespace(pid=pid, smUtil=share)


@dataclass
class Card:
    """Question → answer; an exception is raised, a function is called with what follows the handle."""

    uuid: str = "GPU-8f3c1d2e-0000-0000-0000-000000000001"
    answers: dict[str, Any] = field(default_factory=dict)
    instances: tuple[Card, ...] = ()

    def __post_init__(self) -> None:
        self.answers = {**H200, "UUID": self.uuid, **self.answers}
        if self.instances:
            self.answers |= {"MigMode": (1, 1), "MaxMigDeviceCount": 7}


H200: dict[str, Any] = {
    "Name": "NVIDIA H200",
    "MemoryInfo": SimpleNamespace(total=150_754_820_096, used=600_000_000, free=150_154_820_096),
    "CudaComputeCapability": (9, 0),
    "EnforcedPowerLimit": 700_000,
    "MaxClockInfo": lambda kind: {1: 1980, 2: 3201}[kind],
    "ClockInfo": lambda kind: {1: 345, 2: 3201}[kind],
    "MigMode": (0, 0),
    "PowerUsage": 76_500,
    "TotalEnergyConsumption": 1_000_000,
    "UtilizationRates": SimpleNamespace(gpu=0, memory=0),
    "ComputeRunningProcesses": [],
    "ProcessUtilization": lambda since: [],
    "Temperature": lambda kind: 31,
    "CurrentClocksEventReasons": 1,
}
QUESTIONS = (*H200, "UUID")


class Recorded:
    """A library with these cards. `gone`: what every question about a card raises from now on."""

    NVMLError = NVMLError
    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0

    def __init__(self, *cards: Card, init: Exception | None = None, driver: Any = "580.159.03") -> None:
        self.cards, self.init, self.driver = cards, init, driver
        self.gone: Exception | None = None
        self.open = 0
        for name in QUESTIONS:
            setattr(self, f"nvmlDeviceGet{name}", self._question(name))

    def _question(self, name: str) -> Callable[..., Any]:
        def ask(card: Card, *arguments: Any) -> Any:
            answer = self.gone or card.answers[name]
            if isinstance(answer, Exception):
                raise answer
            return answer(*arguments) if callable(answer) else answer

        return ask

    def nvmlInit(self) -> None:
        if self.init:
            raise self.init
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlSystemGetDriverVersion(self) -> Any:
        return self.driver

    def nvmlSystemGetCudaDriverVersion(self) -> int:
        return 13000

    def nvmlDeviceGetCount(self) -> int:
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Card:
        if isinstance(self.cards[index].answers.get("handle"), Exception):
            raise self.cards[index].answers["handle"]
        return self.cards[index]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Card:
        everything = [*self.cards, *(one for card in self.cards for one in card.instances)]
        found = [card for card in everything if card.uuid == uuid]
        if not found:
            raise NVMLError_NotSupported("Not Found")
        return found[0]

    def nvmlDeviceGetMaxMigDeviceCount(self, card: Card) -> int:
        return 7 if card.instances else 0

    def nvmlDeviceGetMigDeviceHandleByIndex(self, card: Card, index: int) -> Card:
        if index >= len(card.instances):
            raise NVMLError_NotSupported("Not Found")
        return card.instances[index]
