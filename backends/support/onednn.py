"""What oneDNN prints of what it executes, once it is told to (ONEDNN_VERBOSE). Standard library alone.

onednn_verbose,exec,cpu,gemm_api,,undef,src_u8::blocked:ab:f0 wei_s8::blocked:ba:f0 …,16x32:32x96,0.0209
onednn_verbose,v1,primitive,exec,cpu,matmul,brg_matmul:avx512_core_vnni,undef,src:u8:a:blocked:ab::f0 wei:s8…
"""

from __future__ import annotations

import re

from backends.support.profiles import PRECISIONS, Operation

SPELT = {"s8": "int8", "u8": "int8", **PRECISIONS}
EXECUTED = re.compile(
    r"^onednn_verbose,(?:v1,primitive,)?exec,cpu,(\w+),.*?\bsrc[_:](\w+):\S* wei[_:](\w+):.*,([\d.e+-]+)$"
)
STARTED = re.compile(r"^onednn_verbose,(?:v1,)?info,cpu,runtime:\w+,nthr:(\d+)")


def product(line: str) -> Operation | None:
    """A primitive with weights that ran, its last field being its time in ms; None for any other line. Of two
    types it has none of its own."""
    found = EXECUTED.match(line)
    if not found:
        return None
    kind, source, weights, ms = found.groups()
    types = {SPELT.get(one, "") for one in (source, weights)}
    return Operation(
        f"{kind} {source} {weights}", types.pop() if len(types) == 1 else "", float(ms) * 1e6, True
    )


def threads(line: str) -> int:
    """Those that it told when it started; 0 in any other line."""
    found = STARTED.match(line)
    return int(found[1]) if found else 0
