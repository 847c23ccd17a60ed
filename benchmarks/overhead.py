"""What a sample of the null backend takes over a bare loop in the same process.

The bare loop is `t = clock(); run(x); samples.append(clock() - t)`; bakeoff's `host` loop calls stage, run
and fetch, its `device` loop run alone. Median of paired repeats, in ns. Goal: under 200 ns over.
"""

from __future__ import annotations

from statistics import median
from time import perf_counter_ns

from bench.interfaces.backend import Target
from bench.plugins import backend_registry
from bench.prepare.graph import HARNESS_IO
from bench.worker.loops import buffer, device_loop, host_loop, no_gc

SAMPLES = 20_000
REPEATS = 15


def main() -> None:
    session = backend_registry.get("null").load(None, Target(), HARNESS_IO)
    host, device, clock, run = buffer(SAMPLES), buffer(SAMPLES), perf_counter_ns, session.run
    bares, hosts, devices = [], [], []
    with no_gc():
        for _ in range(REPEATS):
            samples = []
            for _ in range(SAMPLES):
                start = clock()
                run(None)
                samples.append(clock() - start)
            bares.append(median(samples))
            host_loop(session, {}, host, 10**12, 3)
            device_loop(session, None, device, 10**12, 3)
            hosts.append(median(host))
            devices.append(median(device))
    over_host = median(h - b for h, b in zip(hosts, bares, strict=True))
    over_device = median(d - b for d, b in zip(devices, bares, strict=True))
    print(f"  bare loop          {median(bares):6.0f} ns a sample")
    print(f"  null, device       {median(devices):6.0f} ns: {over_device:+.0f} ns over the bare loop")
    print(f"  null, host         {median(hosts):6.0f} ns: {over_host:+.0f} ns over the bare loop")
