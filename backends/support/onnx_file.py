"""What an ONNX file says of itself, read from the protobuf alone: weights are stepped over."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from bench.interfaces.tensors import IOSpec

Span = tuple[int, int]


def extents(path: Path, io: IOSpec) -> dict[str, int]:
    """Names of the file's symbolic dimensions → their extents in this case; those that grow stay open.

    Read from the protobuf itself, since a session tells them only once it is loaded; weights are stepped
    over. onnx.proto: ModelProto.graph = 7, GraphProto.input = 11, ValueInfoProto.name = 1 and .type = 2,
    TypeProto.tensor_type = 1, its shape = 2, TensorShapeProto.dim = 1, Dimension.dim_param = 2.
    """
    shapes = {tensor.name_in_file: tensor.shape for tensor in io.inputs}
    growing = {(t.name_in_file, io.growing[t.name]) for t in io.inputs if t.name in io.growing}
    extents: dict[str, int] = {}
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for value in _fields(data, (0, len(data)), 7, 11):
            name = next((data[a:b].decode() for a, b in _fields(data, value, 1)), "")
            for axis, dimension in enumerate(_fields(data, value, 2, 1, 2, 1)):
                for start, end in _fields(data, dimension, 2):
                    if name in shapes and axis < len(shapes[name]) and (name, axis) not in growing:
                        extents[data[start:end].decode()] = shapes[name][axis]
    return extents


def weights(path: Path) -> str:
    """`int4-weight` or `int8-weight` by the `bits` of the file's MatMulNBits nodes, '' where it has none.

    onnx.proto: GraphProto.node = 1, NodeProto.op_type = 4 and .attribute = 5, AttributeProto.name = 1 and
    .i = 3. A profile does not tell it: the weights are packed by then.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for node in _fields(data, (0, len(data)), 7, 1):
            if any(data[a:b] == b"MatMulNBits" for a, b in _fields(data, node, 4)):
                for span in _fields(data, node, 5):
                    if any(data[a:b] == b"bits" for a, b in _fields(data, span, 1)):
                        return f"int{_number(data, span, 3)}-weight"
    return ""


def _number(data: mmap.mmap, span: Span, field: int) -> int:
    """The varint of that number in a message of varints and length-delimited fields."""
    position, end = span
    while position < end:
        key, position = _varint(data, position)
        value, position = _varint(data, position)
        if key & 7 == 2:
            position += value
        elif key >> 3 == field:
            return value
    return 0


def _fields(data: mmap.mmap, span: Span, *path: int) -> Iterator[Span]:
    """Spans of the length-delimited fields that lie under a path of field numbers. ValueError if broken."""
    position, end = span
    while position < end:
        key, position = _varint(data, position)
        wire = key & 7
        if wire == 0:
            _, position = _varint(data, position)
        elif wire in (1, 5):
            position += 8 if wire == 1 else 4
        elif wire == 2:
            length, position = _varint(data, position)
            if position + length > end:
                raise ValueError("Protobuf parsing failed.")
            if key >> 3 == path[0]:
                inner = (position, position + length)
                yield from _fields(data, inner, *path[1:]) if path[1:] else (inner,)
            position += length
        else:
            raise ValueError("Protobuf parsing failed.")


def _varint(data: mmap.mmap, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise ValueError("Protobuf parsing failed.")
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
