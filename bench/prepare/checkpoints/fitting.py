"""Whether a checkpoint is one of a workload's: where in it the weights lie, their names, shapes and dtypes.

Plain data on both sides, so that the parent and the converter judge alike.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch

from bench.interfaces.errors import ModelFileError
from bench.interfaces.workload import Workload
from bench.prepare.checkpoints.archives import AGAIN
from bench.prepare.checkpoints.tree import Other, Tensor, Tree, listed, shown

# Under which training loops keep weights beside what else they keep.
WRAPPERS = (
    *("state_dict", "model_state_dict", "model", "net", "module", "weights", "params"),
    *("ema", "model_ema", "ema_state_dict", "state_dict_ema"),
)
# What DistributedDataParallel, torch.compile, and a loop that holds the model put before every name.
PREFIXES = ("module.", "_orig_mod.", "model.")
MOST_PREFIXES = 3
FLOATS = ("float64", "float32", "float16", "bfloat16")
INTEGERS = ("int64", "int32", "int16", "int8", "uint8")
MOST_COMPARED, MOST_LETTERS = 2000, 200  # names that the nearest is looked for among, and their length
MOST_TRIED = 100  # unusual names that weights are looked for under


@dataclass(frozen=True, slots=True)
class Reading:
    """How a checkpoint is read.

    Attributes:
        wrapper: the key under which the weights lie, '' where they lie at the top.
        prefix: what stood before every name.
        keys: the workload's name → the checkpoint's.
    """

    wrapper: str
    prefix: str
    keys: Mapping[str, str]

    @property
    def said(self) -> str:
        """`under 'model', without the prefix 'module.'`; '' where it is read as it is."""
        parts = [f"under {self.wrapper!r}"] if self.wrapper else []
        return ", ".join([*parts, *([f"without the prefix {self.prefix!r}"] if self.prefix else [])])


@dataclass(slots=True)
class _Judged:
    reading: Reading
    fitting: int
    problems: list[str] = field(default_factory=list)
    nearest: str = ""
    numbers: bool = False


def fit(
    tree: Tree,
    expected: Mapping[str, Tensor],
    workload: Workload,
    path: str,
    others: Mapping[str, tuple[Mapping[str, Tensor], Workload]] | None = None,
) -> Reading:
    """How a checkpoint is read as a workload's. Known wrappers and prefixes are taken off.

    Args:
        tree: what the checkpoint holds.
        expected: the workload's tensors.
        path: of the checkpoint, for messages.
        others: other workloads with their tensors: one that it fits is named.

    Raises:
        ModelFileError: several states fit or none does; it says which keys, shapes and dtypes differ.
    """
    states = list(candidates(tree, path))
    judged = [_best(wrapper, state, expected, workload) for wrapper, state in states]
    good = [one for one in judged if not one.problems]
    if len(good) == 1:
        return good[0].reading
    if good:
        names = " and ".join(repr(one.reading.wrapper) for one in good)
        raise ModelFileError(
            f"{path} holds several states that fit {workload.name}, under {names}: which one is not said",
            hint=f"save the one that is meant: {_save_one(path, good[0].reading.wrapper)}",
        )
    best = max(judged, key=lambda one: one.fitting)
    where = f" ({best.reading.said})" if best.reading.said else ""
    raise ModelFileError(
        f"{path}{where} is no checkpoint of {workload.name}: {best.fitting} of the {len(expected)} keys fit; "
        f"it {'; '.join(best.problems)}{best.nearest}",
        hint=_hint(best, states, workload, others or {}),
    )


def candidates(tree: Tree, path: str) -> Iterator[tuple[str, Mapping[str, Tensor]]]:
    """(wrapper, names → tensors) of each state that a checkpoint holds where states are kept.

    Raises ModelFileError where it holds none.
    """
    bare = {key: one for key, one in tree.items() if isinstance(one, Tensor)}
    found = [(key, state) for key in WRAPPERS if (state := _state(tree.get(key)))]
    if found:
        yield from found
        return
    if bare:
        foreign = [f"{key} ({_what(tree[key])})" for key in tree if key not in bare]
        if foreign:
            raise ModelFileError(
                f"{path} holds weights with other things than tensors among them: {listed(foreign)}",
                hint=AGAIN,
            )
        yield "", bare
        return
    if inner := next((key for key in list(tree)[:MOST_TRIED] if _state(tree[key])), ""):
        raise ModelFileError(
            f"{path} holds no weights under a usual name ({', '.join(WRAPPERS)}); it has {shown(inner)!r}",
            hint=f"save them alone: {_save_one(path, inner)}",
        )
    held = [f"{key} ({_what(one)})" for key, one in tree.items()]
    what = f"no state_dict, only {listed(held)}" if held else "no tensor"
    raise ModelFileError(f"{path} holds {what}", hint=AGAIN)


def _state(value: Tensor | Other | Tree | None) -> Mapping[str, Tensor]:
    """A dictionary of tensors alone; empty for anything else."""
    if not isinstance(value, Mapping):
        return {}
    tensors = {key: one for key, one in value.items() if isinstance(one, Tensor)}
    return tensors if len(tensors) == len(value) else {}


def _what(value: Tensor | Other | Tree) -> str:
    return (
        shown(value.what) if isinstance(value, Other) else "dict" if isinstance(value, Mapping) else "tensor"
    )


def _save_one(path: str, wrapper: str) -> str:
    return f"torch.save(torch.load({path!r})[{shown(wrapper)!r}], 'weights.pt')"


def _best(
    wrapper: str, state: Mapping[str, Tensor], expected: Mapping[str, Tensor], workload: Workload
) -> _Judged:
    """Of the prefixes that can be taken off, that with which most names are the workload's; the shortest,
    where several are."""
    read = [_named(wrapper, prefix, state, workload) for prefix in _prefixes(state)]
    best = max(read, key=lambda found: len(found[0].keys.keys() & expected.keys()))
    return _judge(*best, state, expected, workload)


def _prefixes(state: Mapping[str, Tensor]) -> Iterator[str]:
    """'' and what every key begins with, shortest first."""
    pending = [""]
    for prefix in pending:
        yield prefix
        longer = [f"{prefix}{one}" for one in PREFIXES if len(pending) <= MOST_PREFIXES]
        pending += [one for one in longer if state and all(key.startswith(one) for key in state)]


def _named(
    wrapper: str, prefix: str, state: Mapping[str, Tensor], workload: Workload
) -> tuple[Reading, list[str]]:
    """A reading, and what two of its keys would both be."""
    keys: dict[str, str] = {}
    twice = []
    for key in state:
        name = renamed(key.removeprefix(prefix), workload)
        if name in keys:
            twice.append(f"{name} ({keys[name]}, {key})")
        keys[name] = key
    return Reading(wrapper, prefix, keys), twice


def renamed(key: str, workload: Workload) -> str:
    """A checkpoint's key under the workload's own name for it."""
    for pattern, replacement in workload.renamed_keys:
        key = re.sub(pattern, replacement, key)
    return key


def _judge(
    reading: Reading,
    twice: list[str],
    state: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    workload: Workload,
) -> _Judged:
    def wanted(keys: Sequence[str]) -> list[str]:
        return sorted(key for key in keys if not any(fnmatch(key, p) for p in workload.ignored_keys))

    held = {name: state[key] for name, key in reading.keys.items()}
    both = [name for name in expected if name in held]
    shapes = [name for name in both if held[name].shape != expected[name].shape]
    dtypes = [name for name in both if not taken(held[name].dtype, expected[name].dtype)]
    lacking = wanted([name for name in expected if name not in held])
    foreign = wanted([name for name in held if name not in expected])
    parts = (
        ("has twice", twice),
        ("lacks", lacking),
        ("has besides", foreign),
        ("differs:", [f"{n} is {list(held[n].shape)}, not {list(expected[n].shape)}" for n in shapes]),
        ("holds other numbers:", [f"{n} is {held[n].dtype}, not {_word(expected[n].dtype)}" for n in dtypes]),
    )
    judged = _Judged(reading, len(set(both) - {*shapes, *dtypes}))
    judged.problems = [f"{what} {listed(names)}" for what, names in parts if names]
    judged.numbers = bool(dtypes)
    if lacking and foreign:
        near = [name for name in foreign[:MOST_COMPARED] if len(name) <= MOST_LETTERS]
        close = difflib.get_close_matches(lacking[0], near, n=1, cutoff=0.5)
        judged.nearest = f" (nearest to {lacking[0]}: {shown(close[0])})" if close else ""
    return judged


def taken(dtype: str, wanted: str) -> bool:
    """Whether numbers of a dtype may fill a tensor of another: floats for floats, integers for integers.

    Integers for floats are a quantised model's, which mean nothing without its scales; so is fp8.
    """
    if wanted in FLOATS:
        return dtype in FLOATS
    return dtype in INTEGERS if wanted in INTEGERS else dtype == wanted


def _word(wanted: str) -> str:
    return "floating point" if wanted in FLOATS else "an integer" if wanted in INTEGERS else wanted


def _hint(
    best: _Judged,
    states: Sequence[tuple[str, Mapping[str, Tensor]]],
    workload: Workload,
    others: Mapping[str, tuple[Mapping[str, Tensor], Workload]],
) -> str:
    for name, (expected, other) in others.items():
        if any(not _best(wrapper, state, expected, other).problems for wrapper, state in states):
            return f"it is one of {name}: --workload {name}"
    if best.numbers:
        return f"use the weights as they were before they were quantised: {', '.join(FLOATS)} are taken"
    return f"use a checkpoint of this architecture ({workload.summary}), or none: seeded weights"
