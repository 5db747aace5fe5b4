# SPDX-License-Identifier: BSD-2-Clause
"""scripts/bench-publish, once the machine is ready and Sluice is built: the publish storm.

The storm: a real sluice-control publishes one generation after the other, as fast as its socket
answers, while a real worker on another core decides packets as fast as they come, and looks at each
frame that leaves (bench/storm.h). Each generation changes the MAC address of every next hop and the
weights of the backends, so records and rows all move.

The command: one backend's weight among a thousand services, beside a real sluice-dataplane; from the
request to the answer, which comes when the worker has acknowledged.
"""

import argparse
import contextlib
import json
import os
import socket
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

GENERATIONS, QUICK_GENERATIONS = 100_000, 2_000
COMMANDS, QUICK_COMMANDS = 400, 40
BACKENDS = 16
SERVICES = 1000
ROWS = 1024
FLOWS = 4096
LEARNED = 1 << 20  # packets: every flow many times
P99_US, COMMAND_MS = 50, 2  # targets


class Socket:
    """A control socket, for many requests."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def call(self, method, **params):
        request = {"jsonrpc": "2.0", "method": method, "id": 1, **({"params": params} if params else {})}
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        answer = json.loads(self.file.readline())
        if "error" in answer:
            raise bench_path.Failure(f"{method}: {answer['error']['message']}")
        return answer["result"]


def mac(k, i):
    """bench/storm.h: the k-th publish, and the last two bytes of the backend's address."""
    return f"02:{k >> 16 & 255:02x}:{k >> 8 & 255:02x}:{k & 255:02x}:00:{i:02x}"


def address(i):
    return f"10.1.0.{i}"


class Storm:
    """The configuration of the k-th publish, made by putting k into a text."""

    def __init__(self, control):
        self.control = control
        self.texts = []
        for parity in (0, 1):
            control.settings["next_hops"] = [
                {"prefix": f"{address(i)}/32", "port": "wire", "mac": f"@{i}@"}
                for i in range(1, BACKENDS + 1)
            ]
            control.settings["services"] = [
                gateway.service("web", [
                    {"address": address(i), "port": 9000 + i, "weight": 1 + 9 * (i % 2 == parity)}
                    for i in range(1, BACKENDS + 1)
                ], protocol="udp", flows="none", table_size=ROWS)
            ]  # fmt: skip
            control.write()
            with open(control.file, encoding="utf-8") as file:
                self.texts.append(file.read())

    def write(self, k):
        text = self.texts[k & 1]
        for i in range(1, BACKENDS + 1):
            text = text.replace(f"@{i}@", mac(k, i))
        with open(f"{self.control.file}.new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(f"{self.control.file}.new", self.control.file)


def percentile(values, percent):
    return sorted(values)[min(len(values) - 1, int(len(values) * percent / 100))]


def storm(directory, generations, progress):
    instance = bench_path.settings(65536, "huge", {})
    control = bench_path.Control(directory, "storm", instance)
    texts = Storm(control)
    texts.write(0)
    scenario = argparse.Namespace(flows=FLOWS, traffic="udp")
    commit, command = [], []
    with control, bench_path.Path(directory, control.file, scenario) as path:
        bench_path.raise_priority(control.process.pid)
        path.ask("learn", LEARNED)
        with Socket(f"{control.run_dir}/control.sock") as ctl:
            texts.write(1)
            ctl.call("reload")
            learned = path.ask("learn", LEARNED)
            if learned["differ"] < FLOWS // 4:
                raise bench_path.Failure(f"only {learned['differ']} of {FLOWS} flows move")
            path.send("storm")
            begin = time.monotonic()
            for k in range(2, generations + 2):
                texts.write(k)
                sent = time.perf_counter()
                answer = ctl.call("reload")
                command.append((time.perf_counter() - sent) * 1e6)
                commit.append(answer["commit_us"])
                if not answer["acknowledged"]:
                    raise bench_path.Failure(f"generation {answer['generation']}: not acknowledged")
                if k % 1000 == 0:
                    progress(k, generations)
            seconds = time.monotonic() - begin
            found = path.ask("")
    if found["generations"] < generations:
        raise bench_path.Failure(f"frames left under {found['generations']} generations only")
    return {
        "scenario": "publish-storm",
        "generations": generations,
        "frames": found["frames"] - learned["frames"],
        "mpps": round((found["frames"] - learned["frames"]) / seconds / 1e6, 2),
        "torn": found["torn"],
        "first_torn": found["first"],
        "later": found["later"],
        "restarts": found["restarts"],
        "commit_p50_us": round(statistics.median(commit), 1),
        "commit_p99_us": round(percentile(commit, 99), 1),
        "commit_p999_us": round(percentile(commit, 99.9), 1),
        "reload_p50_us": round(statistics.median(command), 1),
        "reload_p99_us": round(percentile(command, 99), 1),
        "target": P99_US,
        "unit": "us",
        "met": found["torn"] == 0 and percentile(commit, 99) <= P99_US,
    }


def thousand(directory, commands):
    instance = bench_path.settings(65536, "huge", {})
    instance["dataplane"]["capacity"].update(services=SERVICES, backends=4 * SERVICES,
                                             rows=2 * SERVICES * ROWS)  # fmt: skip
    instance["services"] = [
        {"name": f"s{i}", "vip": f"198.51.{i >> 8}.{i & 255}", "protocol": "tcp", "port": 80,
         "table_size": ROWS,
         "backends": [{"name": f"b{b}", "address": f"10.{b}.{i >> 8}.{i & 255}", "weight": 10}
                      for b in (1, 2, 3)]}
        for i in range(SERVICES)
    ]  # fmt: skip
    taken, commit = [], []
    control = bench_path.Control(directory, "thousand", instance)
    with control, bench_start.dataplane(directory, "thousand", control.file) as (process, _):
        for pid in (control.process.pid, process.pid):
            bench_path.raise_priority(pid)
        with Socket(f"{control.run_dir}/control.sock") as ctl:
            net.wait_for("all to be ready", lambda: all(
                s["ready"] == 3 for s in ctl.call("status")["services"]))  # fmt: skip
            for i in range(commands):
                sent = time.perf_counter()
                answer = ctl.call("backend.weight", service=f"s{i * 7 % SERVICES}", backend="b2",
                                  weight=11 + i % 50)  # fmt: skip
                taken.append((time.perf_counter() - sent) * 1e3)
                commit.append(answer["commit_us"])
    return {
        "scenario": "one-of-1000",
        "commands": commands,
        "command_p50_ms": round(statistics.median(taken), 2),
        "command_p99_ms": round(percentile(taken, 99), 2),
        "commit_p50_us": round(statistics.median(commit), 1),
        "commit_p99_us": round(percentile(commit, 99), 1),
        "target": COMMAND_MS,
        "unit": "ms",
        "met": statistics.median(taken) <= COMMAND_MS,
    }


def show(screen, s, t):
    met = bench_show.verdict
    screen.say(f"  {s['generations']:,} generations under {s['mpps']:.1f} Mpps: "
               f"{s['frames']:,} frames looked at, {s['torn']} torn {s['first_torn']}")  # fmt: skip
    screen.say(f"  {'':<40}{'p50':>10}{'p99':>10}{'p99.9':>10}{'target':>10}")
    screen.say(f"  {'commit to acknowledged, us':<40}{s['commit_p50_us']:>10}{s['commit_p99_us']:>10}"
               f"{s['commit_p999_us']:>10}{s['target']:>10}  {met(screen, s)}")  # fmt: skip
    screen.say(f"  {'reload of the file, all in all, us':<40}{s['reload_p50_us']:>10}"
               f"{s['reload_p99_us']:>10}")  # fmt: skip
    screen.say(f"  {'one of 1,000 services, command, ms':<40}{t['command_p50_ms']:>10}"
               f"{t['command_p99_ms']:>10}{'':>10}{t['target']:>10}  {met(screen, t)}")  # fmt: skip


def markdown(s, t):
    return [
        "| | p50 | p99 | target |",
        "|---|---|---|---|",
        f"| commit to acknowledged, {s['generations']:,} generations | {s['commit_p50_us']} µs | "
        f"{s['commit_p99_us']} µs | {s['target']} µs |",
        f"| reload of the file, request to answer | {s['reload_p50_us']} µs | "
        f"{s['reload_p99_us']} µs | |",
        f"| one of 1,000 services changed, request to answer | {t['command_p50_ms']} ms | "
        f"{t['command_p99_ms']} ms | {t['target']} ms |",
        "",
        f"{s['frames']:,} frames were looked at meanwhile ({s['mpps']} Mpps); torn: {s['torn']}.",
    ]


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench-publish",
        description="100,000 generations under load: torn reads, and how long a change takes. "
        "Exit status 1 if anything was torn.",
    )
    parser.add_argument("--quick", action="store_true", help="2,000 generations")
    parser.add_argument("--generations", type=int, metavar="N")
    parser.add_argument("--json", metavar="FILE", help="write the results there too")
    parser.add_argument("--document", action="store_true",
                        help="put the table into docs/performance.md")  # fmt: skip
    return parser.parse_args()


def run(screen, options):
    generations = options.generations or (QUICK_GENERATIONS if options.quick else GENERATIONS)
    where = "/dev/shm" if os.path.isdir("/dev/shm") else None  # files are not what is measured
    prefix = f"sluice-bench-{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=where) as directory:
        s = storm(directory, generations, lambda k, n: screen.draw([f"  {k:,} of {n:,}"]))
        t = thousand(directory, QUICK_COMMANDS if options.quick else COMMANDS)
    show(screen, s, t)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump([s, t], file, indent=1)
            file.write("\n")
    if options.document:
        bench_show.document(run_bench.DOCUMENT, {"publish": markdown(s, t)})
    return 1 if s["torn"] else 0


def main():
    options = arguments()
    net.interruptible()
    screen = Screen()
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(run_bench.alone())
            run_bench.remove_leftovers()
            gateway.leave_the_worker()
            return run(screen, options)
    except KeyboardInterrupt:
        screen.say("\n  interrupted; cleaned up")
        return 130
    except (bench_path.Failure, TimeoutError, RuntimeError, OSError) as error:
        screen.say(screen.bad(f"  bench-publish: {error}"))
        return 1


if __name__ == "__main__":
    sys.exit(main())
