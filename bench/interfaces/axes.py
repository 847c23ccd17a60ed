"""The axes of a sweep in one table, of which flags, suites, pytest's options, columns and commands are made.

A new axis is a line here. It is then typed (`--name`), listed in a suite (`names: […]`), crossed by the plan,
part of a case's identity, a column, and in the command that measures a row again; its value is in
`Case.axes`. An axis that code reads by name has a field of `Case` or `Target` instead.
"""

from __future__ import annotations

from typing import Literal, NamedTuple


class Axis(NamedTuple):
    """One axis.

    Attributes:
        flag: its name: `--flag`, `--bakeoff-flag` of pytest, and the field of a case or target that holds it.
        key: what `bench.suite.flags` and a suite's own list call it.
        text: what may be typed, for `--help`.
        column: the column's type and meaning.
        of: whether it is a fact of the `case` (cases that differ in it are not compared) or of its `target`.
        entries: which entries of a suite may have values of their own; `own` is the key there.
        listed: whether the suite has a list (or value) for all entries; true of what is not `dedicated`.
        whole: whether values are whole numbers.
        many: whether several values may be given.
        shared: whether `ab` and `aa` have the flag, for what both sides share.
        metavar: what stands for the value in `--help`.
        in_process: whether pytest's fixture can measure it.
        dedicated: whether `Case` or `Target` has a field for it; else it is in `Case.axes`.
    """

    flag: str
    key: str
    text: str
    column: tuple[str, str]
    of: Literal["case", "target"] = "case"
    entries: tuple[Literal["workloads", "backends"], ...] = ()
    own: str = ""
    listed: bool = False
    whole: bool = False
    many: bool = True
    shared: bool = True
    in_process: bool = True
    metavar: str = "LIST"
    dedicated: bool = False


W: Literal["workloads"] = "workloads"
B: Literal["backends"] = "backends"
AXES: tuple[Axis, ...] = (
    Axis(
        "workload",
        W,
        "resnet50,minilm-l6,… (bakeoff list workloads)",
        ("str", "what is computed"),
        dedicated=True,
    ),
    Axis(
        "backend",
        B,
        "NAME[:VARIANT][==VERSION],… (bakeoff list backends)",
        ("str", "the inference runtime"),
        shared=False,
        dedicated=True,
    ),
    Axis(
        "precision",
        "precisions",
        "fp32,bf16,… ; bf16:emulated asks for emulation by name",
        ("str", "precision asked for"),
        of="target",
        entries=(W, B),
        own="precisions",
        listed=True,
        dedicated=True,
    ),
    Axis(
        "device",
        "devices",
        "cpu, cuda:0, …",
        ("str", "device asked for"),
        of="target",
        entries=(B,),
        own="devices",
        listed=True,
        dedicated=True,
    ),
    Axis(
        "batch",
        "batches",
        "samples per inference",
        ("Int64", "samples per inference"),
        entries=(W,),
        own="batch",
        listed=True,
        whole=True,
        dedicated=True,
    ),
    Axis(
        "sequence",
        "sequences",
        "tokens per sample, for workloads that have them",
        ("Int64", "tokens per sample; empty where there is no such axis"),
        entries=(W,),
        own="sequence",
        whole=True,
        dedicated=True,
    ),
    Axis(
        "context",
        "contexts",
        "tokens before a decoder's step",
        ("Int64", "tokens before a decoder's step; empty where there is no such axis"),
        entries=(W,),
        own="context",
        whole=True,
        dedicated=True,
    ),
    Axis(
        "threads",
        "threads",
        "numbers, or auto for all cores of the budget",
        ("Int64", "threads asked for"),
        of="target",
        entries=(B,),
        own="threads",
        listed=True,
        whole=True,
        dedicated=True,
    ),
    Axis(
        "preset",
        "presets",
        "stock, expert",
        ("str", "settings asked for: stock or expert"),
        of="target",
        entries=(B,),
        own="preset",
        dedicated=True,
    ),
    Axis(
        "option",
        "options",
        "the backend's own; repeat it",
        ("str", "the backend's own settings, a JSON object; empty without any"),
        of="target",
        entries=(B,),
        own="options",
        shared=False,
        metavar="NAME=VALUE",
        dedicated=True,
    ),
    Axis(
        "rotate",
        "rotate",
        "copies of the input that take turns (0: one, as it is)",
        ("Int64", "copies of the input that take turns; 0 for one, always the same"),
        listed=True,
        many=False,
        in_process=False,
        metavar="N",
        dedicated=True,
    ),
    Axis(
        "weights",
        "weights",
        "checkpoint for the workload (one workload only)",
        ("str", "a checkpoint by its content; empty for seeded weights"),
        many=False,
        metavar="PATH",
        dedicated=True,
    ),
    Axis(
        "twin",
        "twins",
        "a name that tells apart cases that are otherwise alike",
        ("str", "tells apart cases that are otherwise alike"),
        entries=(B,),
        own="twin",
        many=False,
        shared=False,
        metavar="NAME",
        dedicated=True,
    ),
)

# Settings of a run: flag and key of a suite alike → metavar, what may be typed. They make no case another.
SETTINGS = {
    "baseline": ("BACKEND", "what the others are compared with"),
    "profile": ("NAME", "quick, standard, publish"),
    "budget": ("TIME", "10m, 1h30m: fewer replicates if need be"),
}


def more() -> tuple[Axis, ...]:
    """The axes without a field of their own: their values are in `Case.axes`."""
    return tuple(axis for axis in AXES if not axis.dedicated)
