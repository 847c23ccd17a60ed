"""What a pickle of PyTorch's says that it holds, found without unpickling: nothing that it names is imported,
called or made. Opcodes are walked over a stack of plain data; what is no tensor stays a name.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from bench.prepare.checkpoints.tree import Other, Tensor, Tree, shown

MOST_OPCODES = 5_000_000
DEEPEST = 3  # dictionaries in one another that are looked into
STORAGES = {  # torch's class of storage → dtype, bytes of an element
    "DoubleStorage": ("float64", 8),
    "FloatStorage": ("float32", 4),
    "HalfStorage": ("float16", 2),
    "BFloat16Storage": ("bfloat16", 2),
    "LongStorage": ("int64", 8),
    "IntStorage": ("int32", 4),
    "ShortStorage": ("int16", 2),
    "CharStorage": ("int8", 1),
    "ByteStorage": ("uint8", 1),
    "BoolStorage": ("bool", 1),
    "ComplexFloatStorage": ("complex64", 8),
    "ComplexDoubleStorage": ("complex128", 16),
    "QInt8Storage": ("qint8", 1),
    "QUInt8Storage": ("quint8", 1),
    "QInt32Storage": ("qint32", 4),
    "UntypedStorage": ("", 1),
}
HARMLESS = (  # that torch's own reader makes without running code of the file
    "collections.OrderedDict",
    "collections.Counter",
    "torch.Size",
    "torch.device",
    "torch.Tensor",
    "torch.nn.parameter.Parameter",
    "torch.storage.UntypedStorage",
    "torch.serialization._get_layout",
    "builtins.set",
    "__builtin__.set",
    "builtins.complex",
    "builtins.bytearray",
    "_codecs.encode",
)
MARK = object()


@dataclass(frozen=True, slots=True)
class _Name:
    """A class or function that the pickle names."""

    name: str


@dataclass(frozen=True, slots=True)
class _Storage:
    key: str
    dtype: str


@dataclass(slots=True)
class Pickled:
    """What a pickle holds.

    Attributes:
        root: a tree, a tensor, or what else it is.
        foreign: classes and functions that it names and that are none of PyTorch's tensors.
        storages: key of each storage → its bytes.
    """

    root: Tree | Tensor | Other = field(default_factory=lambda: Other("nothing"))
    foreign: list[str] = field(default_factory=list)
    storages: dict[str, int] = field(default_factory=dict)


def read(file: BinaryIO) -> Pickled:
    """Walks the pickle at the file's position. Raises ValueError with a sentence."""
    machine = _Machine()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if count > MOST_OPCODES:
                raise ValueError("it holds more objects than a checkpoint does")
            machine.step(opcode.name, argument)
        machine.found.root = plain(machine.stack[-1])
    except (IndexError, KeyError, TypeError, AttributeError, OverflowError, MemoryError) as error:
        raise ValueError(f"its pickle is broken ({type(error).__name__})") from None
    return machine.found


def plain(value: Any, depth: int = DEEPEST, done: dict[tuple[int, int], Any] | None = None) -> Any:
    """A value of the stack as what a tree holds; dictionaries so deep and no deeper, and each once: a small
    file may hold one a million times."""
    if isinstance(value, (Tensor, Other)):
        return value
    if isinstance(value, dict) and depth:
        done = {} if done is None else done
        known = done.get((id(value), depth))
        if known is None:
            known = {str(key): plain(one, depth - 1, done) for key, one in value.items()}
            done[id(value), depth] = known
        return known
    return Other(value.name if isinstance(value, _Name) else type(value).__name__)


class _Machine:
    """A stack and a memo, as unpickling has them."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.found = Pickled()

    def step(self, name: str, argument: Any) -> None:
        push, pop = self.stack.append, self.stack.pop
        match name:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "MARK":
                push(MARK)
            case "NONE":
                push(None)
            case "NEWTRUE" | "NEWFALSE":
                push(name == "NEWTRUE")
            case "EMPTY_DICT":
                push({})
            case "EMPTY_LIST" | "EMPTY_TUPLE" | "EMPTY_SET":
                push([] if name == "EMPTY_LIST" else () if name == "EMPTY_TUPLE" else Other("set"))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(name[-1])
                self.stack[-count:] = [tuple(self.stack[-count:])]
            case "TUPLE" | "LIST" | "DICT" | "FROZENSET":
                push(self._gathered(name, self._to_mark()))
            case "APPEND":
                self._extend([pop()])
            case "APPENDS" | "ADDITEMS":
                self._extend(self._to_mark())
            case "SETITEM":
                value, key = pop(), pop()
                self._set([key, value])
            case "SETITEMS":
                self._set(self._to_mark())
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = self.stack[-1]
            case "MEMOIZE":
                self.memo[len(self.memo)] = self.stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                push(self.memo[argument])
            case "GLOBAL":
                push(self._named(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                attribute, module = pop(), pop()
                push(self._named(str(module), str(attribute)))
            case "REDUCE" | "NEWOBJ":
                arguments, what = pop(), pop()
                push(self._called(what, arguments))
            case "BUILD":
                pop()  # attributes: `_metadata` of a state_dict
            case "BINPERSID":
                push(self._storage(pop()))
            case "POP":
                pop()
            case "DUP":
                push(self.stack[-1])
            case _ if argument is not None and isinstance(argument, (str, bytes, bytearray, int, float)):
                push(argument)
            case _:
                raise ValueError(f"its pickle uses {name}, which PyTorch does not write")

    def _to_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while self.stack[at] is not MARK:
            at -= 1
            if at < 0:
                raise IndexError
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    def _gathered(self, name: str, items: list[Any]) -> Any:
        if name == "DICT":
            self.stack.append({})
            self._set(items)
            return self.stack.pop()
        return tuple(items) if name == "TUPLE" else items if name == "LIST" else Other("frozenset")

    def _extend(self, items: list[Any]) -> None:
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(items)

    def _set(self, items: list[Any]) -> None:
        held = self.stack[-1]
        if isinstance(held, dict):
            for key, value in zip(items[::2], items[1::2], strict=True):
                # Only what hashes at once: a tuple of tuples of the same may take for ever.
                held[key if isinstance(key, (str, int)) else f"<{type(key).__name__}>"] = value

    def _named(self, module: str, attribute: str) -> _Name:
        name = f"{module}.{attribute}"
        torch_s = name in HARMLESS or name in CALLS or (module == "torch" and attribute in STORAGES)
        if not torch_s and not (module == "torch" and attribute in DTYPES) and name not in self.found.foreign:
            self.found.foreign.append(shown(name))
        return _Name(name)

    def _called(self, what: Any, arguments: Any) -> Any:
        if not isinstance(what, _Name):
            return Other("an object")
        make = CALLS.get(what.name)
        return make(arguments) if make else Other(what.name)

    def _storage(self, identity: Any) -> _Storage | _Name:
        kind, cls, *rest = identity
        if kind == "module" and isinstance(cls, _Name):  # of an old file: a class with its source
            return cls
        key, _, count, *_ = rest
        if kind != "storage" or not isinstance(cls, _Name) or not isinstance(count, int) or count < 0:
            raise TypeError
        dtype, item = STORAGES[cls.name.rpartition(".")[2]]
        self.found.storages[str(key)] = max(self.found.storages.get(str(key), 0), count * item)
        return _Storage(str(key), dtype)


def _tensor(arguments: Any) -> Tensor:
    storage, _, shape, *_ = arguments
    return Tensor(storage.dtype, _shape(shape))


def _typed(arguments: Any) -> Tensor:
    """As `_tensor`, of bytes whose dtype is told besides."""
    _, _, shape, _, _, _, dtype, *_ = arguments
    return Tensor(dtype.name.rpartition(".")[2], _shape(shape))


def _shape(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, (tuple, list)) or len(shape) > 64 or not all(type(one) is int for one in shape):
        raise TypeError
    return tuple(shape)


CALLS: dict[str, Callable[[Any], Any]] = {
    "collections.OrderedDict": lambda arguments: dict(arguments[0]) if arguments else {},
    "torch.Size": lambda arguments: tuple(arguments[0]) if arguments else (),
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _typed,
    "torch._utils._rebuild_qtensor": _tensor,  # qint8 and its like are dtypes of the storage
    "torch._utils._rebuild_sparse_tensor": lambda arguments: Tensor("sparse", _shape(arguments[1][2])),
    "torch._utils._rebuild_parameter": lambda arguments: arguments[0],
    "torch._utils._rebuild_parameter_with_state": lambda arguments: arguments[0],
}
DTYPES = {dtype for dtype, _ in STORAGES.values() if dtype} | {
    *("uint16", "uint32", "uint64", "strided", "sparse_coo", "per_tensor_affine", "per_channel_affine"),
    *("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"),
}
