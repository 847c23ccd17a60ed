"""ONNX operators as TensorFlow's functions, each by the operator's definition (onnx/docs/Operators.md).

Images lie channels last while nothing touches them but what knows of it: TensorFlow's kernels for CPUs have
no convolution of channels-first images. Nothing of TensorFlow is imported here: it is handed in as `tf`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.interfaces.errors import UnsupportedCase

LAST = (0, 2, 3, 1)  # from NCHW to NHWC: where each axis comes from
FIRST = (0, 3, 1, 2)
ENDLESS = 2**31 - 1  # ONNX writes "to the end" as a bound beyond any axis
TYPES = {1: "float32", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 11: "float64", 16: "bfloat16"}

# Of an operator: tensors, NumPy's where they are constants, None where an optional one is left out.
Inputs = Sequence[Any]
Attributes = Mapping[str, Any]
Operation = Callable[[Any, Inputs, Attributes], Any]


@dataclass(frozen=True, slots=True)
class Image:
    """A tensor [N, H, W, C] that ONNX has as [N, C, H, W]."""

    tensor: Any


def plain(tf: Any, value: Any) -> Any:
    """The tensor as ONNX has it."""
    return tf.transpose(value.tensor, FIRST) if isinstance(value, Image) else value


def apply(tf: Any, kind: str, inputs: Inputs, attributes: Attributes) -> Any:
    """What an operator gives. Raises UnsupportedCase for one that is not named here."""
    if kind in SPATIAL:
        image = inputs[0].tensor if isinstance(inputs[0], Image) else tf.transpose(inputs[0], LAST)
        return Image(SPATIAL[kind](tf, [image, *inputs[1:]], attributes))
    axes = _axes(inputs, attributes) if kind in REDUCTIONS else None
    if isinstance(inputs[0], Image) and axes and attributes.get("keepdims", 1):
        axes = [LAST.index(axis % 4) for axis in axes]
        return Image(REDUCTIONS[kind](tf, inputs[0].tensor, axes, True))
    images = [value for value in inputs if isinstance(value, Image)]
    others = [value for value in inputs if not isinstance(value, Image)]
    if images and kind in ELEMENTWISE and all(value is None or np.ndim(value) == 0 for value in others):
        bare = [value.tensor if isinstance(value, Image) else value for value in inputs]
        return Image(ELEMENTWISE[kind](tf, bare, attributes))
    operation = {**ELEMENTWISE, **OTHERS}.get(kind)
    if kind in REDUCTIONS:
        keep = bool(attributes.get("keepdims", 1))
        return REDUCTIONS[kind](tf, plain(tf, inputs[0]), axes, keep)
    if operation is None:
        raise _unsupported(f"the operator {kind}")
    return operation(tf, [plain(tf, value) for value in inputs], attributes)


def _unsupported(what: str) -> UnsupportedCase:
    return UnsupportedCase(
        f"no TensorFlow function is named for {what} of the ONNX file",
        hint="leave this backend out for this workload",
    )


def _padding(attributes: Attributes, value: Any = None) -> list[list[int]]:
    """Explicit padding of an image [N, H, W, C]."""
    if attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise _unsupported(f"auto_pad {attributes['auto_pad']}")
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    return [[0, 0], [top, bottom], [left, right], [0, 0]]


def _conv(tf: Any, inputs: Inputs, attributes: Attributes) -> Any:
    """Kernels are [H, W, in, out], of one channel a group [H, W, in, out / in] (see `kernel`)."""
    image, weights, *bias = inputs
    strides, dilations = attributes.get("strides", (1, 1)), attributes.get("dilations", (1, 1))
    padding: Any = _padding(attributes)
    if not any(map(sum, padding)):
        padding = "VALID"
    group = attributes.get("group", 1)
    if group == 1:
        out = tf.nn.conv2d(image, weights, strides, padding, dilations=dilations)
    elif group == image.shape[-1] and strides[0] == strides[1]:
        out = _depthwise(tf, image, weights, strides, padding, dilations)
    else:
        raise _unsupported(f"convolutions in {group} groups, stride {strides}")
    return tf.nn.bias_add(out, bias[0]) if bias else out


def _depthwise(
    tf: Any, image: Any, weights: Any, strides: Sequence[int], padding: Any, dilations: Sequence[int]
) -> Any:
    """With its padding before it, unless TensorFlow has a word for it: where it joins a depthwise convolution
    with what follows (for oneDNN), explicit padding gets lost, and ends the process."""
    if padding != "VALID":
        spans = [(n - 1) * step for n, step in zip(weights.shape[:2], dilations, strict=True)]
        if set(strides) == {1} and all(
            pads == [span // 2, span - span // 2] for pads, span in zip(padding[1:3], spans, strict=True)
        ):
            padding = "SAME"
        else:
            image, padding = tf.pad(image, padding), "VALID"
    return tf.nn.depthwise_conv2d(image, weights, (1, *strides, 1), padding, dilations=dilations)


def kernel(weights: Any, group: int) -> Any:
    """Of a convolution, [out, in / group, H, W] in ONNX, as `_conv` takes it. Raises UnsupportedCase."""
    if weights.ndim != 4:
        raise _unsupported(f"a convolution of {weights.ndim - 2} axes")
    turned = weights.transpose(2, 3, 1, 0)
    return turned if group == 1 else turned.reshape(*turned.shape[:2], group, -1)


def _max_pool(tf: Any, inputs: Inputs, attributes: Attributes) -> Any:
    if set(attributes.get("dilations", (1,))) != {1} or attributes.get("ceil_mode"):
        raise _unsupported(f"MaxPool with {dict(attributes)}")
    image = tf.pad(inputs[0], _padding(attributes), constant_values=-np.inf)
    return tf.nn.max_pool2d(image, attributes["kernel_shape"], attributes.get("strides", (1, 1)), "VALID")


def _clip(tf: Any, inputs: Inputs, attributes: Attributes) -> Any:
    x, low, high = (*inputs, None, None)[:3]
    if isinstance(low, np.ndarray) and isinstance(high, np.ndarray) and low == 0 and high == 6:
        return tf.nn.relu6(x)
    x = x if low is None else tf.maximum(x, low)
    return x if high is None else tf.minimum(x, high)


def _layer_normalization(tf: Any, inputs: Inputs, attributes: Attributes) -> Any:
    x, scale, *bias = inputs
    if attributes.get("axis", -1) not in (-1, len(x.shape) - 1):
        raise _unsupported("LayerNormalization over several axes")
    mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
    offset = bias[0] if bias else None
    return tf.nn.batch_normalization(x, mean, variance, offset, scale, attributes.get("epsilon", 1e-5))


def _matmul(tf: Any, inputs: Inputs, attributes: Attributes) -> Any:
    """With one matrix for all rows, they are rows of one product, as Keras has it in Dense."""
    a, b = inputs
    if len(b.shape) != 2 or len(a.shape) <= 2:
        return tf.matmul(a, b)
    rows = tf.matmul(tf.reshape(a, (-1, b.shape[0])), b)
    return tf.reshape(rows, tf.concat((tf.shape(a)[:-1], b.shape[1:]), 0))


def _gemm(tf: Any, inputs: Inputs, attributes: Attributes) -> Any:
    a, b, *c = inputs
    turned = {"transpose_a": bool(attributes.get("transA")), "transpose_b": bool(attributes.get("transB"))}
    product, alpha, beta = (
        tf.matmul(a, b, **turned),
        attributes.get("alpha", 1.0),
        attributes.get("beta", 1.0),
    )
    product = product if alpha == 1 else alpha * product
    return product if not c else product + (c[0] if beta == 1 else beta * c[0])


def _reshape(tf: Any, inputs: Inputs, attributes: Attributes) -> Any:
    """A 0 takes the input's extent, unless `allowzero`; one in a computed shape cannot be seen here."""
    x, shape = inputs
    if isinstance(shape, np.ndarray) and not attributes.get("allowzero"):
        extents = tf.shape(x, tf.int64)
        shape = [extents[i] if extent == 0 else extent for i, extent in enumerate(shape)]
    return tf.reshape(x, shape)


def _shape(tf: Any, inputs: Inputs, attributes: Attributes) -> Any:
    return tf.shape(inputs[0], tf.int64)[attributes.get("start", 0) : attributes.get("end")]


def _slice(tf: Any, inputs: Inputs, attributes: Attributes) -> Any:
    x, starts, ends, axes, steps = (*inputs, None, None)[:5]
    taken = [slice(None)] * len(x.shape)
    for i in range(starts.shape[0]):
        axis, step = i if axes is None else int(axes[i]), 1 if steps is None else int(steps[i])
        taken[axis] = slice(_bound(starts[i]), _bound(ends[i]), step)
    return x[tuple(taken)]


def _bound(value: Any) -> Any:
    """Of a slice: None where a constant lies beyond any axis."""
    if not isinstance(value, np.generic):
        return value
    return None if abs(int(value)) >= ENDLESS else int(value)


def _gather(tf: Any, inputs: Inputs, attributes: Attributes) -> Any:
    """Constant indices may count from the end; TensorFlow's refuses such."""
    x, indices = inputs
    axis = attributes.get("axis", 0)
    if isinstance(indices, np.ndarray) and (indices < 0).any():
        indices = tf.where(indices < 0, indices + tf.shape(x, tf.int64)[axis], indices)
    return tf.gather(x, indices, axis=axis)


def _expand(tf: Any, inputs: Inputs, attributes: Attributes) -> Any:
    """Both ways: an extent of 1 in either gives way."""
    x, shape = inputs
    return tf.broadcast_to(x, tf.broadcast_dynamic_shape(tf.shape(x, tf.int64), tf.cast(shape, tf.int64)))


def _trilu(tf: Any, inputs: Inputs, attributes: Attributes) -> Any:
    x, k = (*inputs, np.int64(0))[:2]
    extents = tf.shape(x, tf.int64)
    above = tf.range(extents[-1])[None, :] - tf.range(extents[-2])[:, None]
    return tf.where(above >= k if attributes.get("upper", 1) else above <= k, x, tf.zeros_like(x))


def _unsqueeze(tf: Any, inputs: Inputs, attributes: Attributes) -> Any:
    x, axes = inputs
    rank = len(x.shape) + len(axes)
    for axis in sorted(int(axis) % rank for axis in axes):
        x = tf.expand_dims(x, axis)
    return x


def _squeeze(tf: Any, inputs: Inputs, attributes: Attributes) -> Any:
    return tf.squeeze(inputs[0], None if len(inputs) < 2 else inputs[1].tolist())


def _axes(inputs: Inputs, attributes: Attributes) -> list[int] | None:
    """Of a reduction: all (None) where none are named, unless that means nothing."""
    if len(inputs) > 1 and inputs[1] is not None:
        return [int(axis) for axis in inputs[1]]
    if attributes.get("noop_with_empty_axes"):
        return []
    return list(attributes["axes"]) if "axes" in attributes else None


def _gather_nd(tf: Any, inputs: Inputs, attributes: Attributes) -> Any:
    """Of the variable's value: XLA has no such operation on a variable (ResourceGatherNd)."""
    x, indices = inputs
    return tf.gather_nd(tf.convert_to_tensor(x), indices, batch_dims=attributes.get("batch_dims", 0))


# Of a tensor, axes, and whether these stay. XLA has no EuclideanNorm.
REDUCTIONS: Mapping[str, Callable[..., Any]] = {
    "ReduceL2": lambda tf, x, axes, keep: tf.sqrt(tf.reduce_sum(tf.square(x), axes, keep)),
    "ReduceMax": lambda tf, x, axes, keep: tf.reduce_max(x, axes, keep),
    "ReduceMean": lambda tf, x, axes, keep: tf.reduce_mean(x, axes, keep),
    "ReduceSum": lambda tf, x, axes, keep: tf.reduce_sum(x, axes, keep),
}
SPATIAL: Mapping[str, Operation] = {"Conv": _conv, "MaxPool": _max_pool}
ELEMENTWISE: Mapping[str, Operation] = {
    "Add": lambda tf, x, _: tf.add(*x),
    "Clip": _clip,
    "Div": lambda tf, x, _: tf.divide(*x),
    "Mul": lambda tf, x, _: tf.multiply(*x),
    "Neg": lambda tf, x, _: tf.negative(x[0]),
    "Pow": lambda tf, x, _: tf.pow(*x),
    "Reciprocal": lambda tf, x, _: tf.math.reciprocal(x[0]),
    "Relu": lambda tf, x, _: tf.nn.relu(x[0]),
    "Sigmoid": lambda tf, x, _: tf.sigmoid(x[0]),
    "Sqrt": lambda tf, x, _: tf.sqrt(x[0]),
    "Sub": lambda tf, x, _: tf.subtract(*x),
}
OTHERS: Mapping[str, Operation] = {
    "Cast": lambda tf, x, a: tf.cast(x[0], TYPES[a["to"]]),
    "Concat": lambda tf, x, a: tf.concat(x, a["axis"]),
    "Expand": _expand,
    "Gather": _gather,
    "GatherND": _gather_nd,
    "Gelu": lambda tf, x, a: tf.nn.gelu(x[0], approximate=a.get("approximate", b"none") == b"tanh"),
    "Gemm": _gemm,
    "LayerNormalization": _layer_normalization,
    "MatMul": _matmul,
    "Range": lambda tf, x, _: tf.range(*x),
    "Reshape": _reshape,
    "Shape": _shape,
    "Slice": _slice,
    "Softmax": lambda tf, x, a: tf.nn.softmax(x[0], a.get("axis", -1)),
    "Squeeze": _squeeze,
    "Tile": lambda tf, x, _: tf.tile(*x),
    "Transpose": lambda tf, x, a: tf.transpose(x[0], a.get("perm")),
    "Trilu": _trilu,
    "Unsqueeze": _unsqueeze,
}
