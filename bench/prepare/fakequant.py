"""A module that rounds as a quantised one does, in floats: what the bands of integer precisions rest on.

Weights are rounded symmetrically, a scale for each output channel (or group of a channel's weights);
activations to 8 bits between the least and the greatest value, zero included: by calibration (`static`) or of
the tensor itself (`dynamic`). Which tensors are rounded, the recipe says; normalisations are not, though a
runtime may. In fp8 both sides are scaled so that the greatest is E4M3's, and a range found at each inference
is that of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.interfaces.errors import PrepareError
from bench.interfaces.precision import FP8_MOST, TENSOR, Scheme
from bench.interfaces.recipe import Recipe

if TYPE_CHECKING:
    import torch

Range = tuple[float, float]
Run = Callable[[], Any]
GROUPS = 6  # place of the argument `groups` of torch.conv2d


@contextmanager
def quantised(scheme: Scheme, recipe: Recipe, calibration: Iterable[Run]) -> Iterator[None]:
    """While it lasts, torch rounds what the recipe names, as the scheme does.

    Args:
        calibration: calls that run the module on a calibration sample each; asked only in a static scheme.
            Within `quantised` the module is run as a whole, as often as one likes.

    Raises:
        PrepareError: where a run comes to other tensors than the first of the calibration, or in another
            order: their ranges would be those of others.
    """
    ranges = Ranges()
    if scheme.activations == "static":
        with _mode(Rounding(recipe, ranges.observed, lambda tensor: tensor)):
            for call in calibration:
                call()
                ranges.run_ended()
    with _mode(Rounding(recipe, _of_activations(scheme, recipe, ranges), _of_weights(scheme))):
        yield
    ranges.run_ended()


@dataclass(slots=True)
class Ranges:
    """The ranges of what a run rounds, in its order.

    Attributes:
        sites: what takes each tensor; all runs come to the same ones.
        found: the range of each, over all runs that were observed.
        place: of the next within the run.
        complete: whether a run has ended: from then on there are no new ones.
    """

    sites: list[str] = field(default_factory=list)
    found: list[Range] = field(default_factory=list)
    place: int = 0
    complete: bool = False

    def observed(self, site: str, tensor: torch.Tensor) -> torch.Tensor:
        """The tensor as it is, whose range now includes its values."""
        low, high = _range(tensor)
        if not self.complete:
            self.sites.append(site)
            self.found.append((low, high))
            self.place += 1
            return tensor
        place = self._next(site)
        self.found[place] = (min(low, self.found[place][0]), max(high, self.found[place][1]))
        return tensor

    def of(self, site: str) -> Range:
        """The range of the next tensor. Where the run is over, another has begun."""
        if self.place == len(self.found):
            self.place = 0
        return self.found[self._next(site)]

    def run_ended(self) -> None:
        """Raises PrepareError in the midst of a run."""
        if self.complete and 0 < self.place < len(self.sites):
            raise PrepareError(
                f"a run ended after {self.place} of the {len(self.sites)} tensors that calibration found"
            )
        self.place, self.complete = 0, True

    def _next(self, site: str) -> int:
        place = self.place
        known = self.sites[place] if place < len(self.sites) else "none"
        if known != site:
            raise PrepareError(f"a run rounds a tensor of {site} where calibration found {known}")
        self.place += 1
        return place


@dataclass(frozen=True, slots=True)
class Rounding:
    """What becomes of a call of torch's: `activation` is told what takes the tensor."""

    recipe: Recipe
    activation: Callable[[str, torch.Tensor], torch.Tensor]
    weight: Callable[[torch.Tensor], torch.Tensor]

    def __call__(self, function: Any, args: Any, kwargs: Any) -> Any:
        import torch
        from torch.nn import functional as F

        plain = torch.Tensor
        if function in (F.linear, torch.conv2d):
            return self._product(function, args, kwargs)
        if function is F.scaled_dot_product_attention and self.recipe.attention:
            return self._attention(*args, **kwargs)
        matmuls = (torch.matmul, torch.bmm, plain.matmul, plain.bmm, plain.__matmul__)
        if function in matmuls and self.recipe.attention and not isinstance(args[1], torch.nn.Parameter):
            return function(*(self.activation("product", arg) for arg in args), **kwargs)
        sums = (torch.add, plain.add, plain.add_, plain.__add__, plain.__iadd__)
        if function in sums and self.recipe.besides == "sums":
            return function(*(self._addend(arg) for arg in args), **kwargs)
        return function(*args, **kwargs)

    def _product(self, function: Any, args: Any, kwargs: Any) -> Any:
        groups = args[GROUPS] if len(args) > GROUPS else kwargs.get("groups", 1)
        weight = args[1]
        if not self.recipe.takes(weight.shape, groups):
            return function(*args, **kwargs)
        site = f"weights {tuple(weight.shape)}"
        product = function(self.activation(site, args[0]), self.weight(weight), *args[2:], **kwargs)
        return self.activation(site, product) if self.recipe.besides == "outputs" else product

    def _addend(self, value: Any) -> Any:
        """Rounded, unless it is a number or a tensor of integers."""
        import torch

        floats = isinstance(value, torch.Tensor) and value.is_floating_point()
        return self.activation("sum", value) if floats else value

    def _attention(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, attn_mask: Any = None, **more: Any
    ) -> torch.Tensor:
        """Two products, with the probabilities between them. Raises PrepareError for attention of a kind that
        is not written out here."""
        if unknown := [name for name, value in more.items() if value]:
            raise PrepareError(f"no band is known where attention takes {', '.join(unknown)}")
        scores = self.activation("scores", q) @ self.activation("scores", k).transpose(-2, -1)
        scores = scores / q.shape[-1] ** 0.5
        shares = (scores if attn_mask is None else scores + attn_mask).softmax(dim=-1)
        attended: torch.Tensor = self.activation("shares", shares) @ self.activation("shares", v)
        return attended


def _of_activations(
    scheme: Scheme, recipe: Recipe, ranges: Ranges
) -> Callable[[str, torch.Tensor], torch.Tensor]:
    """How an activation is rounded."""
    import torch

    def rounded(site: str, tensor: torch.Tensor) -> torch.Tensor:
        if scheme.activations == "none":
            return tensor
        static = scheme.activations == "static"
        if scheme.floats and not static:
            return in_fp8(tensor, tensor.abs().amax(dim=-1, keepdim=True))
        low, high = ranges.of(site) if static else _range(tensor)
        most = max(-low, high)
        if scheme.floats:
            return in_fp8(tensor, torch.tensor(most))
        return rounded_activation(tensor, (-most, most) if recipe.symmetric else (low, high))

    return rounded


def _of_weights(scheme: Scheme) -> Callable[[torch.Tensor], torch.Tensor]:
    """How a weight is rounded, each once."""
    # With the weight itself, or another could be met under the `id` of one that is gone.
    known: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def rounded(weight: torch.Tensor) -> torch.Tensor:
        if id(weight) not in known:
            known[id(weight)] = weight, rounded_weight(weight, scheme)
        return known[id(weight)][1]

    return rounded


def _mode(rounding: Rounding) -> Any:
    """A context in which torch's calls go through `rounding`."""
    from torch.overrides import TorchFunctionMode

    class Mode(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return rounding(function, args, kwargs or {})

    return Mode()


def rounded_weight(tensor: torch.Tensor, scheme: Scheme) -> torch.Tensor:
    """[out, …] in `scheme.bits`, symmetric. Convolutions stay as they are where groups are asked for."""
    if scheme.floats:
        channels = tensor.flatten(1).abs().amax(dim=1).reshape(-1, *[1] * (tensor.dim() - 1))
        return in_fp8(tensor, channels.amax() if scheme.group == TENSOR else channels)
    most = 2 ** (scheme.bits - 1) - 1
    if scheme.group and tensor.dim() != 2:
        return tensor
    rows = tensor.reshape(-1, scheme.group) if scheme.group else tensor.flatten(1)
    scale = rows.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / most
    rounded: torch.Tensor = (rows / scale).round().clamp(-most - 1, most) * scale
    return rounded.reshape(tensor.shape)


def rounded_activation(tensor: torch.Tensor, found: Range) -> torch.Tensor:
    """In 8 bits between two values."""
    low, high = found
    scale = max(high - low, 1e-12) / 255
    zero = round(-low / scale)
    return ((tensor / scale).round() + zero).clamp(0, 255).sub(zero).mul(scale)


def in_fp8(tensor: torch.Tensor, most: torch.Tensor) -> torch.Tensor:
    """In E4M3, scaled so that `most`, which broadcasts to it, becomes its greatest number."""
    import torch

    scale = most.clamp(min=1e-12) / FP8_MOST
    scaled = (tensor / scale).clamp(-FP8_MOST, FP8_MOST)
    return scaled.to(torch.float8_e4m3fn).to(tensor.dtype) * scale


def _range(tensor: torch.Tensor) -> Range:
    low, high = tensor.aminmax()
    return min(0.0, float(low)), max(0.0, float(high))
