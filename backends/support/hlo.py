"""What XLA made of a program: the instructions of its optimised HLO text. Standard library alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from backends.support.profiles import PRECISIONS, Operation, least

COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{$")
INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([a-z][\w\-]*)\((.*)$")
CALLED = re.compile(r"(?:calls|to_apply|body)=%?([\w.\-]+)")
OPERAND = re.compile(r"%([\w.\-]+)")
TARGET = re.compile(r'custom_call_target="([^"]+)"')
ELEMENT = re.compile(r"\(?(\w+)\[")
SPELT = {"s8": "int8", "u8": "int8", **PRECISIONS}
PRODUCTS = ("dot", "convolution")
# What a product asks of the precision of its operands: `operand_precision={highest,highest}` of an
# instruction, the same as JSON in the configuration of a library's call; nothing is said of the default.
ASKED = re.compile(r'operand_precision(?:=\{|":\[)([\w",]+)', re.IGNORECASE)
HIGHEST = "highest"
EMITTER = re.compile(r'"?kind"?:"(__[^"]+)"')  # who makes a fusion's code, where its configuration says so
NAMED_PRODUCTS = re.compile(r"matmul|gemm|dot|conv", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: what it is, its arithmetic ('' for none), and whether it multiplies matrices.

    Attributes:
        asked: of a product the precision that it asks of its operands, '' for the default.
        emitter: of a fusion who makes its code (`__triton_nested_gemm_fusion`, `__cudnn$fusion`), '' where
            nobody says.
    """

    kind: str
    precision: str
    product: bool
    asked: str = ""
    emitter: str = ""


def instructions(text: str) -> dict[str, Instruction]:
    """Name → instruction, of all computations of a module's text."""
    lines = dict(_lines(text))
    types = {name: line.type for name, line in lines.items()}
    inside: dict[str, list[str]] = {}
    for name, line in lines.items():
        inside.setdefault(line.computation, []).append(name)
    return {name: _read(line, lines, types, inside) for name, line in lines.items()}


def operations(text: str, runs: Iterable[Mapping[str, float]]) -> list[Operation]:
    """What ran of a module with that text; each run tells the time in ns of its instructions by name."""
    known = instructions(text)
    return [
        Operation(known[name].kind, known[name].precision, ns, known[name].product)
        for name, ns in least(runs).items()
        if name in known
    ]


@dataclass(frozen=True, slots=True)
class _Line:
    computation: str
    type: str
    opcode: str
    rest: str


def _lines(text: str) -> Iterator[tuple[str, _Line]]:
    computation = ""
    for raw in text.splitlines():
        if found := INSTRUCTION.match(raw):
            name, type_, opcode, rest = found.groups()
            element = ELEMENT.match(type_)
            yield name, _Line(computation, element[1] if element else "", opcode, rest)
        elif header := COMPUTATION.match(raw):
            computation = header[1]


def _read(
    line: _Line, lines: Mapping[str, _Line], types: Mapping[str, str], inside: Mapping[str, list[str]]
) -> Instruction:
    """A fusion is what it calls: a product if it holds one, in that one's arithmetic."""
    if line.opcode in PRODUCTS:
        return Instruction(line.opcode, _precision(line, types), True, _asked(line))
    target = TARGET.search(line.rest)
    if line.opcode == "custom-call" and target:
        product = bool(NAMED_PRODUCTS.search(target[1]))
        return Instruction(target[1], _precision(line, types), product, _asked(line))
    called = CALLED.search(line.rest)
    emitter = EMITTER.search(line.rest)
    if line.opcode in ("fusion", "call") and called:
        for name in inside.get(called[1], ()):
            one = _read(lines[name], lines, types, inside)
            if one.product:
                kind = f"{line.opcode} of {one.kind}"
                return Instruction(kind, one.precision, True, one.asked, emitter[1] if emitter else "")
    return Instruction(line.opcode, SPELT.get(line.type, ""), False)


def _asked(line: _Line) -> str:
    """The highest for any of its operands."""
    found = ASKED.search(line.rest)
    asked = found[1].replace('"', "").lower().split(",") if found else []
    return HIGHEST if HIGHEST in asked else next((word for word in asked if word != "default"), "")


def _precision(line: _Line, types: Mapping[str, str]) -> str:
    """Of a product: the type of what it multiplies."""
    for operand in OPERAND.findall(line.rest):
        if precision := SPELT.get(types.get(operand, ""), ""):
            return precision
    return SPELT.get(line.type, "")
