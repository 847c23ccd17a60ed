"""What several backends share, a file each; here the old names of its functions."""

from __future__ import annotations

from bench.interfaces.renamed import moved

__getattr__ = moved(
    __name__,
    *(f"{__name__}.{part}" for part in ("targets", "profiles", "arrays", "faults", "files", "threads")),
    *("bench.plugins.runtimes", "bench.machine.instructions", "bench.machine.topology"),
    names={
        *("require", "settings", "given", "since", "broken", "refusals", "unfit", "first_line"),
        *("PRECISIONS", "PROFILED", "Operation", "weigh", "quickest", "least"),
        *("bf16_bits", "untimed_inputs", "place", "tasks", "import_runtime"),
        *("CPU_FLAGS", "cpu_flags", "cpu_computes", "products_saturate", "usable_cpus"),
    },
)
