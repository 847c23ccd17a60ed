"""Sixty-four tokens of llama-small, step by step, on each runtime, against the same model in fp64.

The prompt and its continuation come from the workload's own module in fp64; a runtime starts from that
prompt's cache and goes on by `advance`, whose time stands beside that of one NumPy copy of the cache. Tokens
are sampled at temperature 1, with noise seeded by the step: the likeliest ones soon go round in circles.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.interfaces.backend import Session, Stepping, Target
from bench.interfaces.case import Case
from bench.interfaces.tensors import Array
from bench.plugins import backend_registry
from bench.plugins.workload_registry import get
from bench.prepare.graph import content_for
from bench.prepare.prepare import prepare

if TYPE_CHECKING:
    import torch

RUNTIMES = ("torch", "onnxruntime", "openvino")
MODEL = "llama-small"
PROMPT_SEED = 3
Step = tuple[Array, Mapping[str, Array]]  # the token after a prompt, and the prompt's cache


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks decoding", description=__doc__)
    parser.add_argument("--contexts", default="1,128,1024", help="tokens of the prompt (%(default)s)")
    parser.add_argument("--steps", type=int, default=64, help="tokens to generate (%(default)s)")
    options = parser.parse_args(arguments)
    threads = len(os.sched_getaffinity(0))
    print(f"{'context':>7}  {'runtime':<12}{'tokens':>8}{'a step':>10}{'advance':>10}{'a copy':>10}")
    for context in map(int, options.contexts.split(",")):
        begin, expected = reference(context, options.steps)
        print(f"{context:>7}  the reference has {len(set(expected))} different tokens", flush=True)
        copied = one_copy(begin[1])
        for runtime in RUNTIMES:
            with opened(runtime, context, threads) as session:
                found, *times = by_advance(session, begin, options.steps)
            same = sum(itertools.accumulate((a == b for a, b in zip(found, expected, strict=True)), min))
            shown = "".join(f"{seconds * 1e3:>7.2f} ms" for seconds in (*times, copied))
            print(f"{context:>7}  {runtime:<12}{f'{same}/{options.steps}':>8}{shown}", flush=True)


def reference(context: int, steps: int) -> tuple[Step, list[int]]:
    """A prompt of `context` tokens, read in fp64, and the tokens that follow it."""
    import torch

    prefill, decode = get(f"{MODEL}:prefill"), get(f"{MODEL}:decode")
    module = _module(prefill)
    prompt = torch.from_numpy(prefill.inputs(1, context, PROMPT_SEED)["input_ids"])
    with torch.inference_mode():
        logits, *cache = module(prompt)
        weights = module.state_dict()
        module = decode.build().double()
        module.load_state_dict(weights)
        tokens = [sampled(logits.numpy(), 0)]
        begin = {into: tensor.float().numpy() for (_, into), tensor in zip(_state(), cache, strict=True)}
        for step in range(1, steps + 1):
            logits, *cache = module(torch.tensor([tokens[-1:]]), *cache)
            tokens.append(sampled(logits.numpy(), step))
    return (np.array([tokens[:1]]), begin), tokens[1:]


def _module(workload: Any) -> torch.nn.Module:
    from bench.prepare.converters.weights import SEED

    module: torch.nn.Module = workload.build()
    workload.seed_weights(module, SEED)
    return module.double()


def _state() -> Sequence[tuple[str, str]]:
    return get(f"{MODEL}:decode").io(1, 1).state


def opened(runtime: str, context: int, threads: int) -> Session:
    """The decode step at a context, from the cache of model files."""
    name = f"{MODEL}:decode"
    target = Target(threads=threads)
    case = Case(name, content_for(name), 1, None, runtime, target, context=context)
    (prepared,) = prepare([case], lambda _kind, _data: None).values()
    if prepared.error:
        raise SystemExit(prepared.error)
    return backend_registry.get(runtime).load(prepared.model, target, prepared.io)


def sampled(logits: Array, step: int) -> int:
    """A token at temperature 1, by Gumbel noise seeded by the step."""
    noise = np.random.default_rng(step).gumbel(size=logits.size)
    return int((logits.ravel() / logits.std() + noise).argmax())


def by_advance(session: Session, begin: Step, steps: int) -> tuple[list[int], float, float]:
    """The tokens that follow, and the medians of a step and of its `advance`, in s."""
    assert isinstance(session, Stepping)
    ids, cache = begin
    staged = session.stage({"input_ids": ids, **cache})
    found: list[int] = []
    times: list[tuple[float, float]] = []
    for step in range(1, steps + 1):
        start = time.perf_counter()
        outputs = session.run(staged)
        logits = session.fetch(outputs)["logits"]
        ran = time.perf_counter()
        found.append(sampled(logits, step))
        before = time.perf_counter()
        staged = session.advance(staged, outputs, {"input_ids": np.array([found[-1:]])})
        end = time.perf_counter()
        times.append((end - before + ran - start, end - before))
    whole, advance = np.median(np.array(times), axis=0)
    return found, float(whole), float(advance)


def one_copy(cache: Mapping[str, Array]) -> float:
    """The median time of copying the cache once, in s: what `advance` would take at least if it did."""
    into = {name: np.empty_like(array) for name, array in cache.items()}
    seconds = []
    for _ in range(15):
        start = time.perf_counter()
        for name, array in cache.items():
            np.copyto(into[name], array)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))
