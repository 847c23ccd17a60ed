"""What image classifiers share: images that differ as photographs do, and seeded weights that stay calm."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.interfaces.tensors import Array, IOSpec, TensorSpec
from bench.interfaces.workload import CALIBRATION_SEED, MOST_BATCH, check_range, uneven

if TYPE_CHECKING:
    import torch

CALIBRATION_IMAGES = 8
SHIFT = 0.5
BRANCH = 0.33


class ImageClassifier(ABC):
    """`image` float32 [batch, 3, side, side] → `logits` float32 [batch, classes].

    A network says how it is built and what its batch norms are to do; the rest is here.
    """

    family = "cnn"
    unit = "image"
    revision = 2
    default_length = None
    weights_of = ""
    axis = "sequence"
    ignored_keys = ("*.num_batches_tracked",)
    renamed_keys: tuple[tuple[str, str], ...] = ()

    def __init__(
        self, name: str, summary: str, config: Mapping[str, Any], *, image: int, classes: int
    ) -> None:
        self.name = name
        self.summary = summary
        self.config = config
        self.image = image
        self.classes = classes

    @abstractmethod
    def build(self) -> torch.nn.Module:
        """The module in fp32, eval mode, uninitialised."""

    @abstractmethod
    def norm(self, module: torch.nn.Module, name: str) -> tuple[float, float]:
        """Scale and shift of the module's batch norm of that name: (1, SHIFT) before an activation,
        (BRANCH, 0) at the end of a residual branch."""

    def io(self, batch: int, sequence: int | None) -> IOSpec:
        """Shapes of a batch; `sequence` must be None."""
        check_range("batch", batch, 1, MOST_BATCH)
        if sequence is not None:
            raise ValueError(f"{self.name} has no sequence axis")
        dynamic = {0: (1, MOST_BATCH)}
        return IOSpec(
            inputs=(TensorSpec("image", "float32", (batch, 3, self.image, self.image), dynamic=dynamic),),
            outputs=(TensorSpec("logits", "float32", (batch, self.classes), dynamic=dynamic),),
        )

    def inputs(self, batch: int, sequence: int | None, seed: int) -> dict[str, Array]:
        """Images that differ as photographs do: in colour, contrast and texture, not only in noise, which a
        global average would level out."""
        return {"image": np.stack([_image(self.image, seed + i) for i in range(batch)])}

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
                    values = torch.from_numpy(uneven(generator, tuple(layer.weight.shape)))
                    layer.weight.copy_(values).mul_(math.sqrt(2 / math.prod(layer.weight.shape[1:])))
                elif isinstance(layer, torch.nn.BatchNorm2d):
                    scale, shift = self.norm(module, name)
                    fill(layer.weight, scale, 0.1 * scale)
                    fill(layer.bias, shift, 0.1)
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
        layer.train()  # these alone: a dropout would make it random
    logits = module.double()(images.double())
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
