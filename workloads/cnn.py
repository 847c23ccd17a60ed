"""Convolutional classifiers: ResNet v1.5 (He et al. 2015; stride in the 3×3 convolution, as in torchvision).

State-dict names are torchvision's, so its checkpoints load.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from backends.base import Array, IOSpec, TensorSpec
from workloads.base import MOST_BATCH, check_range

if TYPE_CHECKING:
    import torch

EXPANSION = 4
CALIBRATION_SEED = 10_000
CALIBRATION_IMAGES = 8
SHIFT = 0.5
BRANCH = 0.33


@dataclass(frozen=True, slots=True)
class ResNetConfig:
    """Blocks per stage, channels of the first stage, classes, and the side of the square image."""

    blocks: tuple[int, ...] = (3, 4, 6, 3)
    width: int = 64
    classes: int = 1000
    image: int = 224


class ResNet:
    """A bottleneck ResNet: `image` float32 [batch, 3, side, side] → `logits` float32 [batch, classes]."""

    family = "cnn"
    unit = "image"
    revision = 1
    default_sequence = None
    ignored_keys = ("*.num_batches_tracked",)

    def __init__(self, name: str, summary: str, architecture: ResNetConfig) -> None:
        self.name = name
        self.summary = summary
        self.architecture = architecture
        self.config = asdict(architecture)

    def io(self, batch: int, sequence: int | None) -> IOSpec:
        """Shapes of a batch; `sequence` must be None."""
        check_range("batch", batch, 1, MOST_BATCH)
        if sequence is not None:
            raise ValueError(f"{self.name} has no sequence axis")
        side, classes = self.architecture.image, self.architecture.classes
        dynamic = {0: (1, MOST_BATCH)}
        return IOSpec(
            inputs=(TensorSpec("image", "float32", (batch, 3, side, side), dynamic=dynamic),),
            outputs=(TensorSpec("logits", "float32", (batch, classes), dynamic=dynamic),),
        )

    def inputs(self, batch: int, sequence: int | None, seed: int) -> dict[str, Array]:
        """Images that differ as photographs do: in colour, contrast and texture, not only in noise, which a
        global average would level out."""
        return {"image": np.stack([_image(self.architecture.image, seed + i) for i in range(batch)])}

    def build(self) -> torch.nn.Module:
        return _module(self.architecture)

    def seed_weights(self, module: torch.nn.Module, seed: int) -> None:
        """He initialisation; batch-norm statistics from calibration images; logits over those images have
        mean 0 and deviation 2.

        Half of a normalised ReLU network's random units are dead at each point, and it then amplifies every
        rounding error by 1.2 a layer (Yang et al. 2019, arXiv 1902.08129). Shifts of about a half and
        residual branches of a third keep it as calm as a trained one.
        """
        import torch

        generator = np.random.default_rng(seed)

        def fill(tensor: torch.Tensor, mean: float, deviation: float) -> None:
            values = generator.standard_normal(tuple(tensor.shape), dtype=np.float32)
            tensor.copy_(torch.from_numpy(values)).mul_(deviation).add_(mean)

        with torch.no_grad():
            for name, layer in module.named_modules():
                if isinstance(layer, torch.nn.Conv2d):
                    fill(layer.weight, 0.0, math.sqrt(2 / math.prod(layer.weight.shape[1:])))
                elif isinstance(layer, torch.nn.BatchNorm2d):
                    branch = name.endswith("bn3")
                    fill(layer.weight, BRANCH if branch else 1.0, 0.1 * (BRANCH if branch else 1.0))
                    fill(layer.bias, 0.0 if branch else SHIFT, 0.1)
                elif isinstance(layer, torch.nn.Linear):
                    fill(layer.weight, 0.0, 1.0)
                    layer.bias.zero_()
            images = self.inputs(CALIBRATION_IMAGES, None, CALIBRATION_SEED)["image"]
            _calibrate(module, torch.from_numpy(images))


def _calibrate(module: torch.nn.Module, images: torch.Tensor) -> None:
    """Sets running statistics and the last layer from images, in fp64 so that machines agree."""
    import torch

    norms = [layer for layer in module.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    momentum = [layer.momentum for layer in norms]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None  # cumulative average
    logits = module.double().train()(images.double())
    for layer, value in zip(norms, momentum, strict=True):
        layer.momentum = value
    last = [layer for layer in module.modules() if isinstance(layer, torch.nn.Linear)][-1]
    factor = 2 / (logits - logits.mean(dim=0)).std()
    last.weight.mul_(factor)
    last.bias.copy_(-factor * logits.mean(dim=0))
    module.float().eval()


def _image(side: int, seed: int) -> Array:
    """[3, side, side] float32: eight gratings of their own colour and fineness, a tint, and some noise."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / np.float32(side)
    image = 0.2 * generator.standard_normal((3, side, side), dtype=np.float32)
    image += generator.normal(0.0, 0.6, (3, 1, 1)).astype(np.float32)
    contrast = generator.uniform(0.2, 0.8)
    for _ in range(8):
        cycles = np.exp(generator.uniform(0.0, math.log(side / 4)))
        angle, phase = generator.uniform(0.0, 2 * math.pi, 2)
        along = np.float32(math.cos(angle)) * x + np.float32(math.sin(angle)) * y
        wave = np.sin(np.float32(2 * math.pi * cycles) * along + np.float32(phase))
        image += generator.normal(0.0, contrast, (3, 1, 1)).astype(np.float32) * wave
    return image.astype(np.float32)


def _module(config: ResNetConfig) -> torch.nn.Module:
    import torch
    from torch import nn

    class Bottleneck(nn.Module):
        def __init__(self, inplanes: int, planes: int, stride: int) -> None:
            super().__init__()
            out = planes * EXPANSION
            self.conv1 = nn.Conv2d(inplanes, planes, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(planes)
            self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(planes)
            self.conv3 = nn.Conv2d(planes, out, 1, bias=False)
            self.bn3 = nn.BatchNorm2d(out)
            self.relu = nn.ReLU()
            self.downsample = (
                nn.Sequential(nn.Conv2d(inplanes, out, 1, stride, bias=False), nn.BatchNorm2d(out))
                if stride != 1 or inplanes != out
                else None
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.relu(self.bn1(self.conv1(x)))
            y = self.relu(self.bn2(self.conv2(y)))
            y = self.bn3(self.conv3(y))
            shortcut = x if self.downsample is None else self.downsample(x)
            return torch.relu(y + shortcut)

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
