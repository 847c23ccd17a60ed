"""Artefacts for tests of the cache, made of bytes, under the keys that `bench.prepare.prepare` would give
them."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from bench.cache import artefacts
from bench.interfaces.workload import content_hash
from bench.plugins import workload_registry
from bench.plugins.converter_registry import converters


def put(
    kind: str,
    *parents: artefacts.Artefact,
    workload: str = "minilm-l6",
    weights: str = "",
    data: bytes = b"",
    about: Mapping[str, Any] | None = None,
    idle_s: float = 0.0,
    **changed: Any,
) -> artefacts.Artefact:
    """An artefact that is current, but for what `changed` says of its step.

    Args:
        data: of its file; like no other's where none is given.
        about: of its manifest; workload and weights where None.
        idle_s: for how long no run has asked for it.
    """
    converter = converters()["exported" if kind == "glow" else kind]
    step: dict[str, Any] = {
        "kind": kind,
        "revision": converter.revision,
        "content": content_hash(workload_registry.get(workload), weights)
        if workload in workload_registry.names()
        else "",
        "facts": dict.fromkeys(converter.axes, 8),
        "versions": {name: version(name) for name in converter.distributions},
        "parents": {parent.manifest["kind"]: parent.sha256 for parent in parents},
    } | changed
    seed = {} if parents or kind != "origin" else {"weights": "checkpoint" if weights else "seed:0"}
    key = artefacts.key_of(step)
    draft = artefacts.Draft(kind, key)
    (draft.folder / "file").write_bytes(data or f"{kind} {key}".encode())
    chain = parents[0].lineage if parents else ()
    named = {"workload": workload, "weights": weights} if about is None else about
    made = draft.commit("file", {}, [step | seed, *chain], ["file"], named)
    used = time.time() - idle_s
    os.utime(made.folder / artefacts.MANIFEST, (used, used))
    return made


def family(workload: str = "minilm-l6", **more: Any) -> dict[str, artefacts.Artefact]:
    """Kind → artefact: origin, exported, onnx, reference."""
    origin = put("origin", workload=workload, **more)
    exported = put("exported", origin, workload=workload, **more)
    onnx = put("onnx", exported, workload=workload, **more)
    reference = put("reference", origin, workload=workload, **more)
    return {"origin": origin, "exported": exported, "onnx": onnx, "reference": reference}
