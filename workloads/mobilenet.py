"""MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381): inverted residuals, depthwise convolutions, ReLU6.

State-dict names are torchvision's, so its checkpoints load.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from workloads.images import BRANCH, SHIFT, ImageClassifier

if TYPE_CHECKING:
    import torch

DROPOUT = 0.2  # of training; it gives the classifier its name in the state dict
SPREAD = 2.0  # before a ReLU6: near one activation in a hundred then reaches its ceiling


@dataclass(frozen=True, slots=True)
class MobileNetConfig:
    """Channels of the stem and of the head, classes, and the side of the square image.

    `stages`: expansion factor, channels, blocks and the first block's stride of each (table 2 of the paper).
    """

    stages: tuple[tuple[int, int, int, int], ...] = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )
    stem: int = 32
    head: int = 1280
    classes: int = 1000
    image: int = 224


class MobileNet(ImageClassifier):
    """A MobileNetV2: `image` float32 [batch, 3, side, side] → `logits` float32 [batch, classes]."""

    def __init__(self, name: str, summary: str, architecture: MobileNetConfig) -> None:
        super().__init__(
            name, summary, asdict(architecture), image=architecture.image, classes=architecture.classes
        )
        self.architecture = architecture

    def build(self) -> torch.nn.Module:
        return _module(self.architecture)

    def norm(self, module: torch.nn.Module, name: str) -> tuple[float, float]:
        block, _, place = name.partition(".conv.")
        if not place or "." in place:  # of the stem, of the head, or within a ConvNormActivation
            return SPREAD, SPREAD * SHIFT
        return (BRANCH if module.get_submodule(block).use_res_connect else 1.0), 0.0


def _module(config: MobileNetConfig) -> torch.nn.Module:
    import torch
    from torch import nn

    def normed(inp: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
        padding = kernel // 2
        convolution = nn.Conv2d(inp, out, kernel, stride, padding, groups=groups, bias=False)
        return nn.Sequential(convolution, nn.BatchNorm2d(out), nn.ReLU6())

    class Block(nn.Module):
        def __init__(self, inp: int, out: int, stride: int, expansion: int) -> None:
            super().__init__()
            hidden = inp * expansion
            self.use_res_connect = stride == 1 and inp == out
            self.conv = nn.Sequential(
                *([normed(inp, hidden)] if expansion != 1 else []),
                normed(hidden, hidden, 3, stride, groups=hidden),
                nn.Conv2d(hidden, out, 1, bias=False),
                nn.BatchNorm2d(out),
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.conv(x)
            return x + y if self.use_res_connect else y

    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layers: list[nn.Module] = [normed(3, config.stem, 3, 2)]
            inp = config.stem
            for expansion, out, blocks, first_stride in config.stages:
                for block in range(blocks):
                    layers.append(Block(inp, out, 1 if block else first_stride, expansion))
                    inp = out
            layers.append(normed(inp, config.head))
            self.features = nn.Sequential(*layers)
            self.classifier = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(config.head, config.classes))

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            x = nn.functional.adaptive_avg_pool2d(self.features(image), 1)
            logits: torch.Tensor = self.classifier(torch.flatten(x, 1))
            return logits

    return Module().eval()


WORKLOADS = (MobileNet("mobilenet-v2", "MobileNetV2 image classifier, 224×224", MobileNetConfig()),)
