"""LiteRT's docs, 'Run LiteRT models in Python': set the inputs, invoke, get the outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.interfaces.job import Job


def loop(job: Job, feeds: dict[str, Any]) -> Callable[[], Any]:
    from ai_edge_litert.interpreter import Interpreter

    assert job.model is not None
    interpreter = Interpreter(str(job.model.path), num_threads=job.case.target.threads)
    interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner()
    names = sorted(runner.get_input_details(), key=lambda name: int(name.rpartition("_")[2]))
    places = [runner.get_input_details()[name] for name in names]
    inputs = [
        (place["index"], feeds[t.name].astype(place["dtype"]))
        for place, t in zip(places, job.io.inputs, strict=True)
    ]
    outputs = [place["index"] for place in runner.get_output_details().values()]

    def infer() -> list[Any]:
        for index, array in inputs:
            interpreter.set_tensor(index, array)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in outputs]

    return infer
