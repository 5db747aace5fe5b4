# SPDX-License-Identifier: BSD-2-Clause
"""How long nothing arrives when the dataplane dies or hangs: train.py [--quick] [--flows N]

A datagram every 100 us from the client to the VIP, stamped by the kernel where it arrives, at a
backend (train.c). The worker has the last core for itself, the sender another. First the quiet
baseline, then the same across a kill -9 of the dataplane, then across a hang (SIGSTOP), each with
XDP taking over. Gaps are counted from the signal on, and in quiet runs from the same datagram on.

A run whose sender was late itself, or whose worker was behind before anything was done to it
(something else had their cores), says nothing of Sluice, and is made again; how often that was is
printed.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../scripts/lib"))

# pylint: disable=wrong-import-position
import gateway
import topology as net

INTERVAL_US = 100
BEFORE, HUNG, AFTER = 500, 3000, 1500  # datagrams
SENDER_LATE_NS = 1_000_000
BEHIND = 10  # datagrams
PORT = 9
OVER_BASELINE_NS = 2_000_000
PATIENCE_NS = 100_000_000  # with a worker on a core that isn't isolated
AGAIN = 3  # times as many runs as asked for, at most


class Train:
    def __init__(self, topology, sluice, program):
        self.topology = topology
        self.sluice = sluice
        self.program = program

    def start(self):
        """A dataplane that serves all queues."""
        self.sluice.start_dataplane()
        self.prefer_the_worker()
        net.wait_for("the worker", lambda: self.engines() == {"dpdk"}, 10)

    def prefer_the_worker(self):
        """What else the machine has to do is to keep off the worker's core, as far as can be had
        without changing the machine."""
        for tid in os.listdir(f"/proc/{self.sluice.dataplane.pid}/task"):
            os.setpriority(os.PRIO_PROCESS, int(tid), -20)

    def engines(self):
        return {row["engine"] for row in self.sluice.json("status")["queues"]}

    def run(self, *strikes, count=BEFORE + AFTER):
        """Sends one train; with (number of a datagram, signal to the dataplane) on its way."""
        words = [word for at, signum in strikes
                 for word in (self.sluice.dataplane.pid, int(signum), at)]  # fmt: skip
        backend = next(iter(self.topology.backends.values()))
        said = net.sh(self.program, self.topology.client.path, backend.path, net.VIP, PORT, count,
                      INTERVAL_US, BEFORE, *words, timeout=30)  # fmt: skip
        return json.loads(said)

    def quiet(self):
        return self.run()

    def kill(self):
        try:
            return self.run((BEFORE, signal.SIGKILL))
        finally:
            self.sluice.kill(self.sluice.dataplane)
            self.start()

    def hang(self):
        try:
            return self.run((BEFORE, signal.SIGSTOP), (BEFORE + HUNG, signal.SIGCONT),
                            count=BEFORE + HUNG + AFTER)  # fmt: skip
        finally:
            self.sluice.dataplane.send_signal(signal.SIGCONT)
            net.wait_for("the worker", lambda: self.engines() == {"dpdk"}, 10)

    def repeat(self, what, times):
        """TIMES good runs, and how many were void."""
        runs, void = [], 0
        while len(runs) < times and void < AGAIN * times:
            run = getattr(self, what)()
            if run["sent_gap"] > SENDER_LATE_NS or run["behind"] > BEHIND:
                void += 1
            else:
                runs.append(run)
        return runs, void


def build(directory):
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "train.c")
    program = f"{directory}/train"
    subprocess.run(
        [os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-O2", source, "-o", program],
        check=True,
    )
    return program


def judge(what, runs, times, baseline):
    """Whether the longest gaps are what they may be; why not, in words."""
    if len(runs) < times:
        return f"only {len(runs)} of {times} runs had sender and worker on time"
    over = OVER_BASELINE_NS + (PATIENCE_NS if what == "hang" else 0)
    for name, pick in (("median", statistics.median), ("worst", max)):
        gap = pick([run["gap"] for run in runs])
        bound = over + (0 if what == "hang" else pick([run["gap"] for run in baseline]))
        if gap > bound:
            return f"{name} {gap / 1e6:.2f} ms, {bound / 1e6:.2f} ms allowed"
    doubled = sum(run["doubled"] for run in runs)
    return f"{doubled} datagrams arrived twice" if doubled else None


def line(what, runs, void):
    def both(name, unit):
        values = [run[name] / unit for run in runs]
        return f"{statistics.median(values):>10.2f} {max(values):>8.2f}"

    print(f"  {what:<10}{len(runs):>5}{void:>6}  {both('gap', 1e6)}  {both('sent_gap', 1e6)}  "
          f"{both('lost', 1)}  {sum(run['overtaken'] for run in runs):>9}", flush=True)  # fmt: skip


def measure(options):
    failed = 0
    with net.Topology(1) as topology:
        backend = gateway.backend(next(iter(topology.backends.values())), 10, port=PORT)
        service = gateway.service("train", [backend], protocol="udp", port=PORT)
        with gateway.Gateway(topology, [service]) as sluice:
            sluice.settings["dataplane"]["capacity"]["flows"] = options.flows
            sluice.write()
            sluice.start_control(wait=False)
            train = Train(topology, sluice, build(topology.directory))
            train.start()
            train.run()  # neighbours are known from now on
            print(f"{'':>24}longest gap of arrivals    of sends, ms       lost datagrams")
            print("  across     runs  void      median    worst      median    worst      median"
                  "    worst  overtaken")  # fmt: skip
            baseline = []
            for what in ("quiet", "kill", "hang"):
                runs, void = train.repeat(what, options.times)
                if runs:
                    line(what, runs, void)
                baseline = baseline or runs
                wrong = judge(what, runs, options.times, baseline) if what != "quiet" else None
                if wrong or not baseline:
                    failed += 1
                    print(f"  FAILED  {what}: {wrong or 'no quiet run'}", flush=True)
    return 3 - failed, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="5 runs of each instead of 20")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--flows", type=int, default=65536, help="capacity of the flow table")
    options = parser.parse_args()
    if options.quick:
        options.times = 5
    if len(gateway.CORES) < 2:
        print("  SKIPPED train: the worker and the sender need a core each")
        print("0 passed, 0 failed, 3 skipped")
        return 0
    net.interruptible()
    gateway.leave_the_worker()
    passed, failed = measure(options)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
