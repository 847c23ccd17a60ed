"""Residual classifiers: ResNet v1.5 (He et al. 2015; stride in the 3×3 convolution, as in torchvision).

State-dict names are torchvision's, so its checkpoints load.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from workloads.images import BRANCH, SHIFT, ImageClassifier

if TYPE_CHECKING:
    import torch


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
        from workloads.modules.resnet import Module

        return Module(self.architecture).eval()

    def norm(self, module: torch.nn.Module, name: str) -> tuple[float, float]:
        return (BRANCH, 0.0) if name.endswith("bn3") else (1.0, SHIFT)


WORKLOADS = (ResNet("resnet50", "ResNet-50 v1.5 image classifier, 224×224", ResNetConfig()),)
