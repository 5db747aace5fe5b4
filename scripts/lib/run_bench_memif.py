# SPDX-License-Identifier: BSD-2-Clause
"""scripts/bench-memif, once the machine is ready and Sluice is built: the real programs end to end.

    core 0   sluice-bench-memif: frames at a rate, and what comes back     (and sluice-control)
      |  memif, a memory of both
    core 1   sluice-dataplane, zero-copy                                   or testpmd macswap

The null run is testpmd in sluice-dataplane's place, on the same kind of port: what it loses, and how
long a frame takes there, isn't Sluice's. The two take turns, trial by trial, each with a generator of
its own; who waits for its turn is stopped.

Throughput by RFC 2544: the highest rate at which no more than a share of the frames is lost, found
by halving. On a machine that isn't ours alone a trial may lose frames because somebody else had a
core for a moment. The kernel counts how long a thread waited for its core: a trial in which the
generator or the worker waited is void, and is repeated; and a rate is passed if one of TRIES valid
trials passes it. Both hold for the null run as for Sluice.
"""

import argparse
import contextlib
import json
import os
import signal
import statistics
import sys
import tempfile
import time

import bench_path
import bench_show
import bench_start
import gateway
import run_bench
import topology as net
from screen import Screen

FLOWS = 1 << 20
LOSSES = [0.0, 1e-5]  # of the frames
STEPS, TRIAL_MS, TRIES = 6, 60, 3
LATENCY_MS, LATENCY_TRIES = 100, 5
ROUNDS, WARM_MS = 9, 5
VOID_TRIES, WAITED_NS, DRAIN_S = 8, 20_000, 0.025
LOADS = [0.5, 0.9]  # of the throughput at the second loss
OF_MACSWAP, P50_US, P99_US = 0.8, 20, 50  # targets
HUGE = ["--no-pci", "--single-file-segments", "--no-telemetry", "-m", "64"]


class Eal(bench_path.Child):
    """A DPDK program that isn't --in-memory, and so leaves files."""

    def __init__(self, directory, name, core, program, arguments, more=()):
        self.prefix = f"bench-{os.getpid()}-{name}"
        super().__init__(directory, name, "stdbuf", "-oL", program, *arguments, *core, *HUGE,
                         f"--file-prefix={self.prefix}", *more)  # fmt: skip

    def __exit__(self, *what):
        super().__exit__(*what)
        bench_path.remove_eal(self.prefix)


class Generator(Eal):
    def __init__(self, directory, name, memif):
        super().__init__(
            directory, name, ["--lcores", f"0@{bench_path.MAIN_CORE}"],
            gateway.program("bench/sluice-bench-memif"),
            ["--flows", FLOWS, "--vip", net.VIP, "--port", 80],
            [f"--vdev=net_memif0,role=server,socket={memif},socket-abstract=no"],
        )  # fmt: skip
        self.expect(r"^\{\}$")

    voids = 0

    def trial(self, pps, ms):
        """One that nobody disturbed, or the least disturbed of many: its answer, with `loss` as a
        share. We share the generator's core, so we sleep meanwhile."""
        best = None
        for _ in range(VOID_TRIES):
            self.send(f"send {round(pps)} {ms}")
            time.sleep(ms / 1000 + DRAIN_S)
            answer = json.loads(self.expect(r"^\{.*\}$")[0])
            answer["loss"] = 1 - answer["received"] / max(answer["offered"], 1)
            if not best or answer["waited_ns"] < best["waited_ns"]:
                best = answer
            if best["waited_ns"] <= WAITED_NS:
                break
            self.voids += 1
        return best

    def watch(self, process):
        """The worker of PROCESS. It and we run before all that isn't real-time; the kernel keeps a
        twentieth of each second for the others."""
        tasks = f"/proc/{process.pid}/task"
        for task in os.listdir(tasks):
            with open(f"{tasks}/{task}/comm", encoding="utf-8") as comm:
                if "worker" in comm.read():
                    for pid in (int(task), self.process.pid):
                        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(1))
                    self.ask(f"watch {tasks}/{task}/schedstat")
                    return
        raise bench_path.Failure("no worker's thread is found")


MAC = "02:67:61:74:65:00"  # that memif.c has in its frames


def client(memif):
    return f"net_memif0,role=client,socket={memif},socket-abstract=no,zero-copy=yes,mac={MAC}"


class Side:
    """One of the two, and its generator. `own`: it rewrites frames."""

    def __init__(self, name, generator, process, own):
        self.name, self.generator, self.process, self.own = name, generator, process, own
        generator.ask("ready")
        generator.watch(process)
        self.check()
        self.stop()

    def check(self):
        """Frames come back, as they should; backends are ready a moment after the dataplane is."""
        until = time.monotonic() + 5
        while True:
            answer = self.generator.trial(100_000, 100)
            expected = answer["received"] if self.own else 0
            if answer["received"] and answer["rewritten"] == expected:
                return
            if time.monotonic() > until:
                raise bench_path.Failure(
                    f"{self.name}: of {answer['offered']} frames {answer['received']} came back, "
                    f"{answer['rewritten']} of them to a backend"
                )

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)

    def __enter__(self):
        self.process.send_signal(signal.SIGCONT)
        self.generator.trial(100_000, WARM_MS)  # a worker that was away drops what it finds
        return self.generator

    def __exit__(self, *_):
        self.stop()


@contextlib.contextmanager
def macswap(directory):
    memif = f"{directory}/null.sock"
    cores = ["--lcores", f"0@{bench_path.MAIN_CORE},1@{bench_path.CORE}"]
    with Generator(directory, "generator-null", memif) as generator, Eal(
        directory, "null", cores, "dpdk-testpmd", [], [
            f"--vdev={client(memif)}", "--", "--interactive", "--nb-cores=1",
            "--port-topology=loop", "--burst=32", "--total-num-mbufs=8192",
            "--forward-mode=macswap",
        ]) as testpmd:  # fmt: skip
        testpmd.expect(r"testpmd> $")
        testpmd.send("start")
        try:
            yield Side("testpmd macswap", generator, testpmd.process, False)
        finally:
            testpmd.process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def sluice(directory):
    """A control and a dataplane, with a service that tracks nothing."""
    memif = f"{directory}/sluice.sock"
    settings = bench_path.settings(65536, "huge", {}, client(memif))
    with contextlib.ExitStack() as stack:
        generator = stack.enter_context(Generator(directory, "generator-sluice", memif))
        control = stack.enter_context(bench_path.Control(directory, "memif", settings))
        process, _ = stack.enter_context(
            bench_start.dataplane(directory, "memif", control.file, ["nice", "-n", "-19"])
        )
        try:
            yield Side("sluice", generator, process, True)
        finally:
            process.send_signal(signal.SIGCONT)


def most(side, ms):
    """What comes back when as much is offered as goes."""
    with side as generator:
        answer = generator.trial(0, ms)
        return answer["received"] / answer["seconds"]


def passes(side, pps, loss, ms):
    with side as generator:
        for _ in range(TRIES):
            answer = generator.trial(pps, ms)
            # What was never offered in time is the generator's limit: then the rate isn't reached.
            due = pps * ms / 1000 * 0.999
            if answer["loss"] <= loss and answer["offered"] >= due:
                return True
    return False


def search(sides, ranges, loss, steps, ms):
    """The throughput of each side at that loss; they halve their ranges in turn."""
    for _ in range(steps):
        for side in sides:
            low, top = ranges[side.name]
            middle = (low + top) / 2
            ranges[side.name] = [middle, top] if passes(side, middle, loss, ms) else [low, middle]
    return {name: low for name, (low, _) in ranges.items()}


def latencies(sides, pps, tries):
    """Of each side, the median trial by its 99th percentile."""
    answers = {side.name: [] for side in sides}
    for _ in range(tries):
        for side in sides:
            with side as generator:
                answers[side.name].append(generator.trial(pps, LATENCY_MS))
    middle = {name: sorted(of, key=lambda a: a["p99_us"])[tries // 2] for name, of in answers.items()}
    return {name: {p: round(answer[p], 1) for p in ("p50_us", "p99_us", "p999_us")}
            for name, answer in middle.items()}  # fmt: skip


def measure(sides, quick):
    ms, steps = (40, 4) if quick else (TRIAL_MS, STEPS)
    rounds = [{side.name: most(side, ms) for side in sides} for _ in range(3 if quick else ROUNDS)]
    found = {side.name: {"most": statistics.median(r[side.name] for r in rounds)} for side in sides}
    found["ratio"] = statistics.median(r["sluice"] / r["testpmd macswap"] for r in rounds)
    high = {side.name: max(r[side.name] for r in rounds) for side in sides}
    low = {side.name: 0.0 for side in sides}
    for loss in LOSSES:
        ranges = {name: [low[name], high[name]] for name in low}
        low = search(sides, ranges, loss, steps, ms)
        for name, pps in low.items():
            found[name][loss] = pps
    rates = [load * found["sluice"][LOSSES[-1]] for load in LOADS]
    for side in sides:
        found[side.name]["latency"] = []
        found[side.name]["rates"] = rates
    for pps in rates:
        for name, of in latencies(sides, pps, 3 if quick else LATENCY_TRIES).items():
            found[name]["latency"].append(of)
    for side in sides:
        found[side.name]["voids"] = side.generator.voids
    return found


def result(name, found, ratio):
    return {
        "scenario": name,
        "flows": FLOWS,
        "mpps": round(found["most"] / 1e6, 2),
        "mpps_no_loss": round(found[LOSSES[0]] / 1e6, 2),
        "mpps_0.001_percent": round(found[LOSSES[1]] / 1e6, 2),
        "ratio_to_macswap": round(ratio, 3),
        "void_trials": found["voids"],
        "latency": [
            {"load": load, "mpps": round(pps / 1e6, 2), **of}
            for load, pps, of in zip(LOADS, found["rates"], found["latency"])
        ],
    }


def show(screen, results):
    screen.say(screen.dim(f"  {'':<22}{'':<34}" + "".join(f"  latency at {load:.0%}, us   " for load in LOADS)))
    screen.say(screen.dim(
        f"  {'Mpps, 1M flows':<22}{'most':>8}{'no loss':>10}{'0.001%':>10}{'':>6}"
        + f"{'p50':>8}{'p99':>8}{'p99.9':>8}" * 2))  # fmt: skip
    for r in results:
        screen.say(
            f"  {r['scenario']:<22}{r['mpps']:>8.2f}{r['mpps_no_loss']:>10.2f}"
            f"{r['mpps_0.001_percent']:>10.2f}{'':>6}"
            + "".join(f"{at['p50_us']:>8.1f}{at['p99_us']:>8.1f}{at['p999_us']:>8.1f}"
                      for at in r["latency"])
        )  # fmt: skip
    s = results[1]
    screen.say(f"  of macswap: {s['ratio_to_macswap']:.2f}, target {s['target']}: {bench_show.verdict(screen, s)}")
    screen.say(
        f"  added at 50%: p50 {s['added_p50_us']:.1f} us of {P50_US}, p99 {s['added_p99_us']:.1f} of "
        f"{P99_US}: " + (screen.good("met") if s["latency_met"] else screen.bad("not"))
    )


def markdown(results):
    heads = "".join(f" p50 / p99 / p99.9 at {load:.0%}, µs |" for load in LOADS)
    lines = [f"| 1M flows, Mpps | most | no loss | 0.001% |{heads}", "|---|---|---|---|---|---|"]
    for r in results:
        lines.append(
            f"| {r['scenario']} | {r['mpps']} | {r['mpps_no_loss']} | {r['mpps_0.001_percent']} |"
            + "".join(f" {at['p50_us']} / {at['p99_us']} / {at['p999_us']} |" for at in r["latency"])
        )
    s = results[1]
    return lines + [
        "",
        f"Of macswap's: {s['ratio_to_macswap']} (target {OF_MACSWAP}). Added at 50%: p50 "
        f"{s['added_p50_us']} µs (target {P50_US}), p99 {s['added_p99_us']} µs (target {P99_US}).",
    ]


def run(screen, options):
    prefix = f"sluice-bench-{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix) as directory:
        with macswap(directory) as null, sluice(directory) as side:
            found = measure([null, side], options.quick)
    own, null = found["sluice"], found["testpmd macswap"]
    results = [result("testpmd macswap", null, 1), result("sluice", own, found["ratio"])]
    half, of_null = own["latency"][0], null["latency"][0]
    added = {f"added_{p}_us": round(max(0.0, half[f"{p}_us"] - of_null[f"{p}_us"]), 1) for p in ("p50", "p99")}
    results[1].update(
        target=OF_MACSWAP, unit="of macswap", met=found["ratio"] >= OF_MACSWAP, **added,
        latency_met=added["added_p50_us"] <= P50_US and added["added_p99_us"] <= P99_US,
    )  # fmt: skip
    show(screen, results)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)
            file.write("\n")
    if options.document:
        bench_show.document(run_bench.DOCUMENT, {"memif": markdown(results)})


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench-memif",
        description="The real programs end to end over memif, beside testpmd in Sluice's place: "
        "throughput with loss criterion, latency.",
    )
    parser.add_argument("--quick", action="store_true", help="less exact, a quarter of a minute")
    parser.add_argument("--json", metavar="FILE", help="write the results there too")
    parser.add_argument("--document", action="store_true",
                        help="put the table into docs/performance.md")  # fmt: skip
    return parser.parse_args()


def main():
    options = arguments()
    net.interruptible()
    screen = Screen()
    if len(gateway.CORES) < 2:
        screen.say(screen.bad("  bench-memif: one core for the generator and one for Sluice, at least"))
        return 1
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(run_bench.alone())
            run_bench.remove_leftovers()
            gateway.leave_the_worker()
            run(screen, options)
    except KeyboardInterrupt:
        screen.say("\n  interrupted; cleaned up")
        return 130
    except (bench_path.Failure, TimeoutError, RuntimeError, OSError) as error:
        screen.say(screen.bad(f"  bench-memif: {error}"))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
