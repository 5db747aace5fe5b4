# SPDX-License-Identifier: BSD-2-Clause
"""scripts/bench, once the machine is ready and Sluice is built.

Each scenario is an instance of its own: a real sluice-control, and in the dataplane's place
sluice-bench-path (bench/path.c), which runs the real worker on the core that is measured. Its
windows, those of its floor and slices of testpmd io and macswap alternate on that core, each a
fraction of a second long, so that whatever else the machine does meets all of them alike. A figure
is the median over all rounds.
"""

import argparse
import collections
import contextlib
import fcntl
import glob
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import bench_xdp
import gateway
import topology as net
from screen import Screen

# What is measured; a new one is a line here. `target` is in cycles a packet over testpmd io.
Scenario = collections.namedtuple("Scenario", "name title flows track new target")
SCENARIOS = [
    Scenario("nat-1", "NAT, steady, 1 flow", 1, "auto", False, 28),
    Scenario("nat-1k", "NAT, steady, 1,000 flows", 1000, "auto", False, 28),
    Scenario("nat-1m", "NAT, steady, 1M flows", 1 << 20, "auto", False, 28),
    Scenario("tracked-64k", "NAT, tracked, 64k flows", 1 << 16, "all", False, 58),
    Scenario("tracked-1m", "NAT, tracked, 1M flows", 1 << 20, "all", False, 62),
    Scenario("new-1m", "NAT, tracked, each packet a new flow", 1 << 20, "all", True, 75),
]

BACKENDS = 100
WINDOW = 3 << 20  # packets
CHECKED = 1 << 20  # packets that are looked at when they leave
SLICE_SECONDS = 0.1  # of testpmd
ROUNDS, QUICK_ROUNDS = 60, 8
INSERT_FAILURES = 1e-5
CORE = gateway.CORES[-1]
MAIN_CORE = gateway.CORES[0]
HUGE = "/dev/hugepages"
TEMPORARY = tempfile.gettempdir()
LOCK = "/run/lock/sluice-bench"


class Failure(Exception):
    pass


class Child:
    """A program on the measured core that answers lines with lines. It ends with its input, so it
    never outlives us."""

    def __init__(self, directory, name, *command):
        self.name = name
        self.log = f"{directory}/{name}.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["nice", "-n", "-19", *map(str, command)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        # A session is a group of its own to the scheduler, which shares between groups first.
        with contextlib.suppress(OSError):
            with open(f"/proc/{self.process.pid}/autogroup", "w", encoding="ascii") as file:
                file.write("-19")
        os.set_blocking(self.process.stdout.fileno(), False)
        self.text = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(3)
        net.stop(self.process)

    def send(self, line):
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
        except OSError:
            raise Failure(self.died()) from None

    def died(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            said = "\n".join((self.text + log.read()).splitlines()[-20:])
        return f"{self.name} ended, having said:\n{said}"

    def expect(self, pattern, timeout=30.0):
        """The next match in what it prints; what comes before is dropped."""

        def found():
            over = self.process.poll() is not None
            self.text += (self.process.stdout.read() or b"").decode("utf-8", "replace")
            match = re.search(pattern, self.text, re.MULTILINE)
            if not match and over:
                raise Failure(self.died())
            return match

        match = net.wait_for(f"{self.name} to answer", found, timeout, step=0.002)
        self.text = self.text[match.end():]
        return match


class Testpmd(Child):
    """DPDK's own forwarder on one looped port of the same kind: the floor that everybody knows."""

    def __init__(self, directory):
        super().__init__(
            directory, "testpmd", "stdbuf", "-oL", "dpdk-testpmd", "--lcores", f"0@{MAIN_CORE},1@{CORE}",
            "--no-pci", "--in-memory", "-m", 64, "--no-telemetry", "--vdev=net_null0,size=60",
            "--", "--interactive", "--nb-cores=1", "--port-topology=loop", "--burst=32",
            "--total-num-mbufs=8192",
        )  # fmt: skip
        self.expect(r"testpmd> $")

    def pps(self, mode):
        self.send(f"set fwd {mode}")
        self.send("start")
        self.send("show port stats 0")
        self.expect(r"Rx-pps:")
        time.sleep(SLICE_SECONDS)
        self.send("show port stats 0")
        pps = int(self.expect(r"Rx-pps: +(\d+)")[1])
        self.send("stop")
        self.expect(r"^Done\.")
        if not pps:
            raise Failure(f"testpmd {mode} forwards nothing")
        return pps


class Path(Child):
    """sluice-bench-path; bench/path.c has the commands."""

    def __init__(self, directory, file, scenario):
        super().__init__(
            directory, "sluice-bench-path", gateway.program("bench/sluice-bench-path"),
            "-c", file, "--flows", scenario.flows, *(["--new"] if scenario.new else []),
        )  # fmt: skip
        self.hz = json.loads(self.expect(r"^\{.*\}$")[0])["hz"]

    def ask(self, *words):
        self.send(" ".join(map(str, words)))
        return json.loads(self.expect(r"^\{.*\}$")[0])

    def cycles(self, *words):
        answer = self.ask(*words)
        return answer["cycles"] / answer["packets"]


class Control:
    """A real sluice-control that serves the scenario's instance."""

    def __init__(self, directory, scenario, tables):
        self.instance = f"bench-{os.getpid()}-{scenario.name}"
        self.bpf_dir = f"{net.BPFFS}/sluice-{self.instance}"
        self.file = f"{directory}/{scenario.name}.conf"
        self.log = f"{directory}/{scenario.name}.control.log"
        settings = {
            "instance": self.instance,
            "run_dir": f"{directory}/{scenario.name}.run",
            "state_dir": f"{directory}/{scenario.name}.state",
            "bpf_dir": self.bpf_dir,
            "huge_dir": HUGE,
            "dataplane": {
                "cores": [CORE],
                "main_core": MAIN_CORE,
                "memory": "64M",
                "tables": tables,
                "ports": [{"name": "wire", "device": "net_null0,size=60"}],
                "capacity": {"services": 16, "backends": 256, "rows": 131072,
                             "flows": max(scenario.flows, 65536), "routes": 64},
            },
            "next_hops": [{"prefix": "0.0.0.0/0", "port": "wire", "mac": "02:00:00:00:00:01"}],
            "services": [gateway.service("web", backends(), track=scenario.track)],
        }  # fmt: skip
        with open(self.file, "w", encoding="utf-8") as file:
            for name, value in settings.items():
                file.write(f"{name} = {gateway.libconfig(value)};\n")

    def __enter__(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", gateway.program("sluice-control"),
                 "-c", self.file],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        return self

    def __exit__(self, *_):
        net.stop(self.process)
        net.remove_pins(self.bpf_dir)
        remove_tables(self.instance)

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return "".join(f"\n  {line}" for line in log.read().splitlines()[-5:])


def backends():
    return [{"address": f"10.1.{i >> 8}.{i & 255}", "port": 8080} for i in range(1, BACKENDS + 1)]


def remove_tables(instance):
    for file in glob.glob(f"{HUGE}/sluice.{instance}.*"):
        with contextlib.suppress(OSError):
            os.unlink(file)


def remove_leftovers():
    """Of benches that were killed so hard that they couldn't clean up."""
    places = f"{HUGE}/sluice.bench-*", f"{net.BPFFS}/sluice-bench-*", f"{TEMPORARY}/sluice-bench-*"
    for pattern in places:
        for path in glob.glob(pattern):
            match = re.search(r"bench-(\d+)", path)
            if match and not os.path.exists(f"/proc/{match[1]}"):
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


def verify(scenario, answer):
    """Every packet was forwarded to a backend, each backend had its share, and what is tracked was
    found, or entered: a figure for anything else would be worthless."""
    packets = answer["packets"]
    expected = BACKENDS if scenario.flows > 100 * BACKENDS or scenario.new else 1
    if answer["reasons"] != {"to_backend": packets}:
        raise Failure(f"of {packets} packets these reached a backend: {answer['reasons']}")
    if answer["all_to_backends"] != answer["all_packets"]:
        raise Failure(f"backends count {answer['all_to_backends']} of {answer['all_packets']}")
    if answer["wrong"]:
        raise Failure(f"{answer['wrong']} of {answer['checked']} frames left wrong")
    if answer["backends_used"] < expected:
        raise Failure(f"only {answer['backends_used']} of {BACKENDS} backends were used")
    fresh = packets if scenario.new else 0
    if abs(answer["tracked"] - fresh) > INSERT_FAILURES * packets:
        raise Failure(
            f"{answer['tracked']} of {fresh} new flows were entered; for {answer['untrackable']} "
            "there was no room"
        )


def prepare(path, scenario):
    if scenario.track == "all" and not scenario.new:
        tracked = path.ask("fill")["tracked"]
        if tracked < scenario.flows * (1 - INSERT_FAILURES):
            raise Failure(f"only {tracked} of {scenario.flows} flows could be tracked")
    checked = path.ask("check", min(CHECKED, scenario.flows) if scenario.new else CHECKED)
    if not checked["checked"]:
        raise Failure("no frame was looked at when it left")
    verify(scenario, checked)


def one_round(path, testpmd, scenario, samples):
    # As many new flows as the table was provisioned for: from empty to full.
    window = scenario.flows if scenario.new else WINDOW
    samples["testpmd_io"].append(path.hz / testpmd.pps("io"))
    samples["floor"].append(path.cycles("floor", window))
    if scenario.new:
        path.ask("clear")
    answer = path.ask("worker", window)
    verify(scenario, answer)
    samples["with_generator"].append(answer["cycles"] / answer["packets"])
    samples["floor"].append(path.cycles("floor", window))
    samples["testpmd_macswap"].append(path.hz / testpmd.pps("macswap"))
    samples["io"].append(path.cycles("io", window))
    samples["over"].append(samples["with_generator"][-1] - sum(samples["floor"][-2:]) / 2)


def result(scenario, samples, hz):
    middle = {name: statistics.median(values) for name, values in samples.items()}
    quarter, _, three_quarters = statistics.quantiles(samples["over"], n=4)
    over, io = middle["over"], middle["testpmd_io"]
    cycles = io + over
    return {
        "scenario": scenario.name,
        "cycles_per_packet": round(cycles, 2),
        "cycles_over_io": round(over, 2),
        "mpps": round(hz / cycles / 1e6, 2),
        "ratio_to_macswap": round(middle["testpmd_macswap"] / cycles, 3),
        "target": scenario.target,
        "met": over <= scenario.target,
        "spread": round(three_quarters - quarter, 2),
        "with_generator": round(middle["with_generator"], 2),
        "floor": round(middle["floor"], 2),
        "io": round(middle["io"], 2),
        "testpmd_io": round(io, 2),
        "testpmd_macswap": round(middle["testpmd_macswap"], 2),
        "tsc_mhz": hz // 1000000,
        "rounds": len(samples["over"]),
        "flows": scenario.flows,
    }


def measure(directory, testpmd, scenario, options):
    samples = collections.defaultdict(list)
    with Control(directory, scenario, options.tables) as control:
        try:
            with Path(directory, control.file, scenario) as path:
                prepare(path, scenario)
                for _ in range(QUICK_ROUNDS if options.quick else ROUNDS):
                    one_round(path, testpmd, scenario, samples)
                return result(scenario, samples, path.hz)
        except (Failure, TimeoutError) as error:
            raise Failure(f"{scenario.name}: {error}{control.said()}") from None


HEAD = f"  {'scenario':<38}{'cycles':>8}{'over io':>9}{'±':>6}{'target':>8}  {'':<5}{'Mpps':>6}" \
       f"{'of macswap':>12}"  # fmt: skip


def row(screen, title, r):
    met = screen.good("met  ") if r["met"] else screen.bad("not  ")
    return (
        f"  {title:<38}{r['cycles_per_packet']:>8.1f}{r['cycles_over_io']:>9.1f}"
        f"{r['spread'] / 2:>6.1f}{r['target']:>8}  {met}{r['mpps']:>6.1f}"
        f"{r['ratio_to_macswap']:>12.2f}"
    )


def floors(results):
    def middle(name):
        return statistics.median(r[name] for r in results)

    return (
        f"  Floors, cycles a packet: testpmd io {middle('testpmd_io'):.1f}, macswap "
        f"{middle('testpmd_macswap'):.1f}; our bare loop {middle('io'):.1f}, with the generator "
        f"{middle('floor'):.1f}.\n  TSC {results[0]['tsc_mhz']} MHz, core {CORE}; ± is half the "
        "distance of the quartiles over the rounds."
    )


def arguments():
    names = [scenario.name for scenario in SCENARIOS + bench_xdp.SCENARIOS]
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="What the packet path costs, beside testpmd. Exit status 0 when all was "
        "measured, whether or not targets are met.",
    )
    parser.add_argument("--quick", action="store_true", help="about a minute, less exact")
    parser.add_argument("--scenario", action="append", metavar="NAME", choices=names,
                        help="only this one; may be repeated: " + ", ".join(names))  # fmt: skip
    parser.add_argument("--tables", choices=["huge", "bpf"], default="huge",
                        help="where the tables live (huge pages)")  # fmt: skip
    parser.add_argument("--json", metavar="FILE", help="write the results there too")
    parser.add_argument("--list", action="store_true", help="list the scenarios")
    return parser.parse_args()


def alone():
    """Two benches at once on one core would measure each other. The lock goes with us."""
    lock = open(LOCK, "w", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print("waiting for another bench ...", file=sys.stderr)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def write(results, options):
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)
            file.write("\n")


def run(screen, options):
    def chosen(scenarios):
        return [s for s in scenarios if not options.scenario or s.name in options.scenario]

    results = []
    if chosen(SCENARIOS):
        run_path(screen, options, chosen(SCENARIOS), results)
    if chosen(bench_xdp.SCENARIOS):
        screen.say(screen.dim(bench_xdp.head()))
    for scenario in chosen(bench_xdp.SCENARIOS):
        results.append(bench_xdp.measure(scenario, options.quick))
        screen.say(bench_xdp.row(screen, scenario, results[-1]))
        write(results, options)


def run_path(screen, options, chosen, results):
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix=f"sluice-bench-{os.getpid()}-"))
        testpmd = stack.enter_context(Testpmd(directory))
        screen.say(screen.dim(HEAD))
        for scenario in chosen:
            results.append(measure(directory, testpmd, scenario, options))
            screen.say(row(screen, scenario.title, results[-1]))
            write(results, options)
    screen.say(screen.dim(floors(results)))


def main():
    options = arguments()
    if options.list:
        for scenario in SCENARIOS + bench_xdp.SCENARIOS:
            print(f"{scenario.name:<16} {scenario.title}")
        return 0
    net.interruptible()
    screen = Screen()
    try:
        with alone():
            remove_leftovers()
            gateway.leave_the_worker()
            run(screen, options)
    except KeyboardInterrupt:
        screen.say("\n  interrupted; cleaned up")
        return 130
    except (Failure, TimeoutError, RuntimeError, OSError) as error:
        screen.say(screen.bad(f"  bench: {error}"))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
