"""Residual classifiers: ResNet v1.5 (He et al. 2015; stride in the 3×3 convolution, as in torchvision).

State-dict names are torchvision's, so its checkpoints load.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from workloads.images import BRANCH, SHIFT, ImageClassifier

if TYPE_CHECKING:
    import torch

EXPANSION = 4


@dataclass(frozen=True, slots=True)
class ResNetConfig:
    """Blocks per stage, channels of the first stage, classes, and the side of the square image."""

    blocks: tuple[int, ...] = (3, 4, 6, 3)
    width: int = 64
    classes: int = 1000
    image: int = 224


class ResNet(ImageClassifier):
    """A bottleneck ResNet: `image` float32 [batch, 3, side, side] → `logits` float32 [batch, classes]."""

    def __init__(self, name: str, summary: str, architecture: ResNetConfig) -> None:
        super().__init__(
            name, summary, asdict(architecture), image=architecture.image, classes=architecture.classes
        )
        self.architecture = architecture

    def build(self) -> torch.nn.Module:
        return _module(self.architecture)

    def norm(self, module: torch.nn.Module, name: str) -> tuple[float, float]:
        return (BRANCH, 0.0) if name.endswith("bn3") else (1.0, SHIFT)


def _module(config: ResNetConfig) -> torch.nn.Module:
    import torch
    from torch import nn

    class Bottleneck(nn.Module):
        def __init__(self, inplanes: int, planes: int, stride: int) -> None:
            super().__init__()
            out = planes * EXPANSION
            self.conv1 = nn.Conv2d(inplanes, planes, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(planes)
            self.relu1 = nn.ReLU()  # each its own: quantisers of PyTorch find patterns by module
            self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(planes)
            self.relu2 = nn.ReLU()
            self.conv3 = nn.Conv2d(planes, out, 1, bias=False)
            self.bn3 = nn.BatchNorm2d(out)
            self.relu3 = nn.ReLU()
            self.downsample = (
                nn.Sequential(nn.Conv2d(inplanes, out, 1, stride, bias=False), nn.BatchNorm2d(out))
                if stride != 1 or inplanes != out
                else None
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.relu1(self.bn1(self.conv1(x)))
            y = self.relu2(self.bn2(self.conv2(y)))
            y = self.bn3(self.conv3(y))
            shortcut = x if self.downsample is None else self.downsample(x)
            z: torch.Tensor = self.relu3(y + shortcut)
            return z

    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            width = config.width
            self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
            self.relu = nn.ReLU()
            self.maxpool = nn.MaxPool2d(3, 2, 1)
            self.stages = len(config.blocks)
            inplanes = width
            for stage, count in enumerate(config.blocks):
                planes = width * 2**stage
                blocks = []
                for block in range(count):
                    blocks.append(Bottleneck(inplanes, planes, 2 if stage and not block else 1))
                    inplanes = planes * EXPANSION
                self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
            self.fc = nn.Linear(inplanes, config.classes)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            x = self.maxpool(self.relu(self.bn1(self.conv1(image))))
            for stage in range(self.stages):
                x = self.get_submodule(f"layer{stage + 1}")(x)
            x = torch.flatten(nn.functional.adaptive_avg_pool2d(x, 1), 1)
            logits: torch.Tensor = self.fc(x)
            return logits

    return Module().eval()


WORKLOADS = (ResNet("resnet50", "ResNet-50 v1.5 image classifier, 224×224", ResNetConfig()),)
