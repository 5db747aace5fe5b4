# SPDX-License-Identifier: BSD-2-Clause
"""scripts/bench --scaling: what workers cost each other.

One instance with a worker on each core but the first, which is control's. Windows alternate: one
worker alone, two, four and so on, each with its own queue and generator; and beside each as many
bare loops with and without generator at once, since cores that share memory and a clock slow each
other down without any help of ours.
"""

import collections
import statistics

import bench_path
import gateway
from bench_path import Control, Failure, Path, prepare, quartiles, settings

COUNTS = [1, 2, 4, 8]
TARGET = 0.95


def cores():
    """A core for each worker."""
    workers = [core for core in gateway.CORES if core != bench_path.MAIN_CORE]
    if len(workers) < 2:
        raise Failure("--scaling wants three cores or more: one is control's")
    most = max(n for n in COUNTS if n <= len(workers))
    return workers[-most:]


def measure(directory, scenario, tables, rounds):
    """Of a scenario whose traffic is steady or replies: [{workers, cycles_over_io, mpps, linear, ...}], beginning with one worker."""
    if scenario.traffic not in ("steady", "replies"):
        raise Failure(f"{scenario.name}: --scaling is for traffic that goes on and on")
    counts = [n for n in COUNTS if n <= len(cores())]
    samples = collections.defaultdict(list)
    instance = settings(bench_path.capacity(scenario), tables, scenario.service, cores=cores())
    with Control(directory, scenario.name, instance) as control:
        try:
            with Path(directory, control.file, scenario) as path:
                prepare(path, scenario)
                for _ in range(rounds):
                    for n in counts:
                        one_round(path, n, samples)
                hz = path.hz
        except (Failure, TimeoutError) as error:
            raise Failure(f"{scenario.name}: {error}{control.said()}") from None
    return [result(scenario, n, samples, hz) for n in counts]


def one_round(path, n, samples):
    window = bench_path.WINDOW
    floor = path.ask("floors", n, window)["cycles"]
    worker = path.ask("together", n, window)["cycles"]
    io = path.ask("ios", n, window)["cycles"]
    over = [w - f for w, f in zip(worker, floor)]
    samples[n, "io"].append(statistics.mean(io))
    samples[n, "over"].append(statistics.mean(over))
    samples[n, "worst"].append(max(over))
    samples[n, "rate"].append(sum(1 / (i + o) for i, o in zip(io, over)))


def result(scenario, n, samples, hz):
    rate, alone = (statistics.median(samples[workers, "rate"]) for workers in (n, 1))
    return {
        "scenario": scenario.name,
        "workers": n,
        "cycles_over_io": round(statistics.median(samples[n, "over"]), 2),
        "worst_worker": round(statistics.median(samples[n, "worst"]), 2),
        "spread": round(quartiles(samples[n, "over"]), 2),
        "io": round(statistics.median(samples[n, "io"]), 2),
        "mpps": round(hz * rate / 1e6, 2),
        "linear": round(rate / n / alone, 3),
        "target": TARGET,
        "met": rate / n / alone >= TARGET,
        "tsc_mhz": hz // 1000000,
    }
