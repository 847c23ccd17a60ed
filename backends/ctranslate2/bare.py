"""CTranslate2's README: an Encoder or a Generator on a folder, `forward_batch` on ids and lengths. What the
workload makes of the states is part of the inference, as NumPy's users write it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backends.ctranslate2.model import kind
from bench.interfaces.job import Job


def loop(job: Job, feeds: dict[str, Any]) -> Callable[[], Any]:
    import ctranslate2

    assert job.model is not None
    threads = job.case.target.threads
    opened = getattr(ctranslate2, kind(job.model.path))
    model = opened(str(job.model.path.parent), device="cpu", compute_type="float32", intra_threads=threads)
    ids = feeds["input_ids"]
    mask = feeds.get("attention_mask", np.ones_like(ids))

    def once() -> Any:
        lengths = mask.sum(axis=1, dtype=np.int32)
        found = model.forward_batch(
            ctranslate2.StorageView.from_array(ids.astype(np.int32)),
            ctranslate2.StorageView.from_array(lengths),
        )
        if "attention_mask" not in feeds:
            return np.array(found)[:, -1]
        states = np.array(found.last_hidden_state)
        mean = (states * mask[:, :, None].astype(np.float32)).sum(axis=1) / lengths[:, None]
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)

    return once
