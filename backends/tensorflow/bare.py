"""TensorFlow's guide, 'Using the SavedModel format': load, and call a signature; jit_compile for `xla`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.interfaces.job import Job


def loop(job: Job, feeds: dict[str, Any]) -> Callable[[], Any]:
    import tensorflow as tf

    assert job.model is not None
    tf.config.threading.set_intra_op_parallelism_threads(job.case.target.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    loaded = tf.saved_model.load(str(job.model.path.parent))
    infer = loaded.signatures["serving_default"]
    run = tf.function(infer, jit_compile=True) if job.case.target.variant == "xla" else infer

    def once(held: Any = loaded) -> list[Any]:  # the signature does not keep what it was loaded from
        outputs = run(**{name.replace(".", "_"): tf.constant(array) for name, array in feeds.items()})
        return [output.numpy() for output in outputs.values()]

    return once
