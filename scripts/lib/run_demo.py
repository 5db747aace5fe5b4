# SPDX-License-Identifier: BSD-2-Clause
"""scripts/demo, once the machine is ready and Sluice is built.

Real clients talk HTTP to a VIP while its backends are drained, added, re-weighted and removed. All
through it run: keep-alive requests, requests on connections of their own, and long downloads. In
each phase the share of new connections that every backend got is measured from sluicectl's
counters, beginning when the change was acknowledged, and compared with its weight.
"""

import argparse
import contextlib
import re
import sys
import time

import gateway
import load
import topology as net
from screen import Screen, Table

PHASE_SECONDS = 6.0  # at least, for people to see it
PHASE_CONNECTIONS = 6000  # at least: 3 points are then 5 standard deviations
PHASE_TIMEOUT = 40.0
MIN_REQUESTS = 20000
MIN_CONNECTIONS = 5000
SHARE_BOUND = 3.0  # points
BLOB_MEGABYTES = 48
IDLE_TIMEOUT = "10s"  # a removed backend leaves when nothing was heard of it for so long


class Demo:
    def __init__(self, screen, topology, sluice):
        self.screen = screen
        self.topology = topology
        self.sluice = sluice
        self.blob = None
        self.downloads = []
        self.steady = None
        self.fresh = None
        self.worst = 0.0
        self.connections = 0

    def ctl(self, *words):
        """Makes a change, as an operator would; it returns when every worker has acknowledged."""
        self.screen.command("sluicectl " + " ".join(words), self.sluice.ctl(*words))

    def phase(self, title, *change):
        self.screen.title(title)
        self.flying_downloads(2)
        flying = sum(download.runs() for download in self.downloads)
        if change:
            self.ctl(*change)
        self.watch(f"downloads in flight at the change: {flying}" if change else
                   f"downloads in flight: {flying}")  # fmt: skip

    def watch(self, note):
        """Shows the table until there is enough to judge the shares by, then judges."""
        table = Table(self.screen)
        start = gateway.settle(self.sluice)
        began = now = time.monotonic()
        rows = last = start

        def enough():
            _, total = gateway.shares(start, rows)
            return now - began >= PHASE_SECONDS and total >= PHASE_CONNECTIONS

        for _ in load.until(enough, PHASE_TIMEOUT, step=0.5):
            before, last, rows = now, rows, self.sluice.backends()
            now = time.monotonic()
            rates = self.packet_rates(last, rows, now - before)
            self.screen.draw(list(self.table(table, start, rows, rates, note)))
        rates = self.packet_rates(start, rows, now - began)
        self.screen.draw(list(self.table(table, start, rows, rates, note)), final=True)
        shares, total = gateway.shares(start, rows)
        wanted = gateway.due(rows)
        error = max(abs(shares[name] - wanted[name]) for name in rows)
        self.worst = max(self.worst, error)
        self.connections += total
        paint = self.screen.good if error <= SHARE_BOUND else self.screen.bad
        self.screen.say(f"  {paint(f'worst share error {error:.1f} points')}")

    def table(self, table, start, rows, rates, note):
        shares, total = gateway.shares(start, rows)
        return table.lines(rows, shares, gateway.due(rows), rates, total, note)

    @staticmethod
    def packet_rates(before, after, seconds):
        def packets(row):
            return row["packets_in"] + row["packets_out"]

        return {
            name: (packets(row) - packets(before[name])) / max(seconds, 0.001)
            for name, row in after.items()
            if name in before
        }

    def download(self, seconds):
        download = load.Download(self.topology, self.blob, seconds)
        self.downloads.append(download)
        served = download.backend()
        self.screen.say(
            f"  download {download.number}: {self.blob.size >> 20} MB from {served}, "
            f"slowed down to last {seconds:g} s"
        )
        return served

    def flying_downloads(self, at_least):
        """Every change is to be made under the feet of some download."""
        while sum(download.runs() for download in self.downloads) < at_least:
            self.download(20)

    def run(self):
        say, sluice = self.screen.say, self.sluice
        self.screen.title("Traffic")
        say("  50 keep-alive connections and some thousand new connections a second by wrk;")
        say("  three downloads by curl, their checksums verified at the end:")
        self.blob = load.Blob(self.topology, BLOB_MEGABYTES)
        drained = self.download(30)
        self.download(40)
        self.download(40)
        self.steady = load.Requests(self.topology.client, 50, 50)
        self.fresh = load.Requests(self.topology.client, 16, 5, close=True)

        self.phase("1/5  Three backends: new connections divide as their weights do")
        self.phase(f"2/5  Drain {drained}, which serves download 1: nothing new goes there, what it "
                   "has stays", "backend", "drain", "web", drained)  # fmt: skip
        new = self.topology.add_backend(4)
        self.phase("3/5  Add b4, which has just started",
                   "backend", "add", "web", f"{new.address}:80", "--name", "b4", "--weight", "20")
        heavier = "b3" if drained != "b3" else "b2"
        self.phase(f"4/5  Give {heavier} three times its weight", "backend", "weight", "web",
                   heavier, str(3 * sluice.backends()[heavier]["weight"]))  # fmt: skip
        self.wait_until_idle(drained)
        self.phase(f"5/5  Remove {drained}", "backend", "remove", "web", drained)
        net.wait_for(f"{drained} to leave", lambda: drained not in sluice.backends(), timeout=60)
        say(f"  {drained} is gone")
        return self.result()

    def wait_until_idle(self, name):
        self.screen.title(f"     Meanwhile {name} finishes what it has begun")
        for download in self.downloads:
            if download.backend() != name:
                continue
            for _ in load.until(lambda d=download: not d.runs(), 90):
                self.screen.draw([f"  download {download.number}: {download.percent():.0f} %"])
            self.screen.draw([f"  download {download.number}: {download.percent():.0f} %"], True)
        state = [""]

        def drained():
            state[0] = self.sluice.backends()[name]["state"]
            return state[0] == "drained"

        for _ in load.until(drained, 60):
            self.screen.draw([f"  {name} is {state[0]}"])
        self.screen.draw([f"  {name} is {state[0]}: nothing names it any more"], final=True)

    def result(self):
        self.screen.title("Summary")
        steady, fresh = self.steady.stop(), self.fresh.stop()
        failed = corrupt = 0
        for download in self.downloads:
            how, why = download.wait(90)
            failed += how == "failed"
            corrupt += how == "corrupt"
            paint = self.screen.good if how == "ok" else self.screen.bad
            self.screen.say(f"  download {download.number}: {paint(how)}, {why}")
        for what, sums in (("keep-alive requests", steady), ("requests on new connections", fresh)):
            errors = ", ".join(f"{sums[kind]} {kind}" for kind in load.ERRORS if sums[kind])
            self.screen.say(
                f"  {sums['requests']:,} {what}: {errors or 'no error'}; p50 "
                f"{sums['p50_us'] / 1e3:.1f} ms, p99.9 {sums['p999_us'] / 1e3:.1f} ms"
            )
        requests = steady["requests"] + fresh["requests"] + len(self.downloads)
        failed += steady["failed"] + fresh["failed"]
        self.screen.say(f"  measured over {self.connections:,} new connections; "
                        f"generation {self.sluice.generation()}")  # fmt: skip
        enough = requests >= MIN_REQUESTS and self.connections >= MIN_CONNECTIONS
        if not enough:
            self.screen.say(self.screen.bad("  too little traffic to prove anything"))
        fine = enough and not failed and not corrupt and self.worst <= SHARE_BOUND
        return fine, (
            f"demo: requests={requests} failed={failed} downloads={len(self.downloads)} "
            f"corrupt={corrupt} worst_share_error={self.worst:.1f}"
        )


PICTURE = f"""\
                        gateway                           ┌─ b1  10.1.0.11  weight 10
  client ───────── cl0 [ Sluice ] be0 ────────── switch ──┼─ b2  10.1.0.12  weight 20
  {net.CLIENT}                                            ├─ b3  10.1.0.13  weight 30
                   VIP {net.VIP}:80                  └┄ b4  later

  Every host is a network namespace; the backends run nginx. Sluice has a worker on
  core {gateway.CORES[-1]}, takes its packets by AF_XDP, and the kernel keeps the rest."""


def how_to_enter(topology, sluice):
    enter = f"nsenter --net={topology.client.path}"
    return f"""
  The topology {topology.name} stays up. Enter a host with nsenter, for example the client:
    {enter} curl -i http://{net.VIP}/
    nsenter --net={topology.gateway.path} ip addr
  Change things and look:
    {gateway.program('sluicectl')} -s {sluice.run_dir} backend list
  Logs and the configuration: {sluice.directory}
  When you are done:
    scripts/demo --remove {topology.name}"""


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/demo", description="Shows Sluice at work.")
    parser.add_argument("--engine", choices=["auto", "dpdk", "xdp"], default="auto",
                        help="who forwards: xdp runs no DPDK process (auto)")  # fmt: skip
    parser.add_argument("--keep", action="store_true", help="leave the topology up at the end")
    parser.add_argument("--remove", metavar="NAME", help="remove a topology that --keep left")
    return parser.parse_args()


def logs(screen, sluice):
    for part in ("control", "dataplane"):
        with contextlib.suppress(OSError):
            with open(sluice.log_file(part), encoding="utf-8", errors="replace") as log:
                screen.say(screen.dim(f"  the end of {part}'s log:"))
                for line in log.read().splitlines()[-15:]:
                    screen.say(screen.dim("    " + line))


def processes(sluice):
    if sluice.dataplane:
        return f"sluice-control {sluice.control.pid} and sluice-dataplane {sluice.dataplane.pid}"
    return f"sluice-control {sluice.control.pid} and no DPDK process"


def show(screen, topology, stack, engine):
    screen.title("Topology")
    screen.say(PICTURE)
    stack.enter_context(topology)
    weights = zip(topology.backends.values(), (10, 20, 30))
    web = gateway.service("web", [gateway.backend(*pair) for pair in weights], idle_timeout=IDLE_TIMEOUT)
    sluice = stack.enter_context(gateway.Gateway(topology, [web]))
    sluice.settings["dataplane"]["engine"] = engine
    sluice.write()
    try:
        sluice.start()
        screen.say(screen.dim(f"  engine: {engine}, {processes(sluice)}"))
        fine, line = Demo(screen, topology, sluice).run()
    except Exception:
        logs(screen, sluice)
        raise
    if not fine:
        logs(screen, sluice)
    return fine, line, sluice


def main():
    options = arguments()
    if options.remove:
        if not re.fullmatch(r"sl\d+(x\d+)?", options.remove):
            sys.exit(f"scripts/demo: {options.remove} is no name of a topology")
        net.destroy(options.remove)
        return 0
    net.interruptible()
    gateway.leave_the_worker()
    screen = Screen()
    topology = net.Topology(3, keepalive_requests=200)
    with contextlib.ExitStack() as stack:
        try:
            fine, line, sluice = show(screen, topology, stack, options.engine)
        except KeyboardInterrupt:
            screen.say("\n  interrupted; cleaning up ...")
            return 130
        except Exception as error:  # pylint: disable=broad-except
            screen.say(screen.bad("  " + str(error).splitlines()[0]))
            screen.say("  cleaning up ...")
            return 1
        if options.keep:
            screen.say(how_to_enter(topology, sluice))
            stack.pop_all()
        else:
            screen.say(screen.dim("  cleaning up ..."))
    screen.say(screen.bold(line))
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
