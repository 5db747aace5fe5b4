# SPDX-License-Identifier: BSD-2-Clause
"""Changes without a pause: run.py [--minutes N] [--rate N]

One service with five or six backends, whose addresses are three hosts'. Every second change removes the
oldest backend and every other one adds another; each tenth second one is drained, and removed when
it is drained. A client opens a connection for each request all the time. The flow table is so large
that to read it takes longer than the time between two changes.

What must hold: no change is refused, no request fails, as many numbers are in use in the end as in
the beginning, and a drain ends a few seconds after the windows have passed.
"""

import argparse
import json
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts/lib"))

# pylint: disable=wrong-import-position
import gateway
import load
import topology as net

IDLE_S = 5
ADDRESSES = range(20, 220)
LIVE = 6
DRAIN_EVERY_S = 10
DRAIN_MOST_S = IDLE_S + 10  # two passes of the sweep, on a busy machine
REPORT_S = 10
FLOWS = 3900000


class Control:
    """A connection to the control socket."""

    def __init__(self, run_dir):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(f"{run_dir}/control.sock")
        self.lines = self.socket.makefile("r", encoding="utf-8")

    def ask(self, method, **params):
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        answer = json.loads(self.lines.readline())
        if "error" in answer:
            raise RuntimeError(f"{method} {params}: {answer['error']['message']}")
        return answer["result"]


class Churn:
    """The changes, and what becomes of them."""

    def __init__(self, control, addresses, live):
        self.control = control
        self.addresses = addresses
        self.live = live
        self.draining = {}
        self.added = 0
        self.changes = 0
        self.drained = []
        self.most = 0

    def change(self, method, backend, **more):
        self.control.ask(method, service="web", backend=backend, **more)
        self.changes += 1

    def add(self):
        address = self.addresses[self.added % len(self.addresses)]
        self.added += 1
        self.live.append(f"n{self.added}")
        self.control.ask("backend.add", service="web", address=address, name=self.live[-1],
                         weight=10)  # fmt: skip
        self.changes += 1

    def one(self):
        if len(self.live) > LIVE - 1:
            self.change("backend.remove", self.live.pop(0))
        else:
            self.add()

    def drain(self):
        """In the place of one that would be removed next."""
        self.add()
        name = self.live.pop(0)
        self.change("backend.drain", name)
        self.draining[name] = time.monotonic()

    def look(self):
        """How many numbers are in use, by state; ends drains that are done."""
        states = {}
        for row in self.control.ask("backend.list", service="web")["backends"]:
            states[row["state"]] = states.get(row["state"], 0) + 1
            if row["state"] == "drained" and row["name"] in self.draining:
                self.drained.append(time.monotonic() - self.draining.pop(row["name"]))
                self.change("backend.remove", row["name"])
        self.most = max(self.most, sum(states.values()))
        return states


def run(churn, minutes, rate):
    """Changes for so long; the states of the backends in the end."""
    begin = time.monotonic()
    drain = report = look = begin
    while time.monotonic() < begin + 60 * minutes:
        churn.one()
        now = time.monotonic()
        if now >= look:
            states, look = churn.look(), now + 0.5
        if now >= drain:
            churn.drain()
            drain = now + DRAIN_EVERY_S
        if now >= report + REPORT_S:
            report = now
            print(f"  {now - begin:6.0f} s  {churn.changes:6} changes, {churn.changes / (now - begin):4.1f} "
                  f"a second; numbers in use: {states}; {len(churn.drained)} drained, "
                  f"{len(churn.draining)} draining", flush=True)  # fmt: skip
        time.sleep(max(0.0, begin + churn.changes / rate - time.monotonic()))
    time.sleep(IDLE_S + 4)
    return churn.look()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--rate", type=float, default=10, help="changes a second")
    options = parser.parse_args()
    net.interruptible()
    gateway.leave_the_worker()
    wrong = []
    with net.Topology(3) as topology:
        hosts = list(topology.backends.values())
        addresses = []
        for at, last in enumerate(ADDRESSES):
            host = hosts[at % len(hosts)]
            address = f"{host.address.rsplit('.', 1)[0]}.{last}"
            host.run("ip", "addr", "add", f"{address}/24", "dev", "eth0")
            addresses.append(address)
        first = [gateway.backend(host, 10) for host in hosts]
        services = [gateway.service("web", first, idle_timeout=f"{IDLE_S}s")]
        with gateway.Gateway(topology, services) as sluice:
            sluice.settings["dataplane"]["engine"] = "xdp"
            sluice.settings["dataplane"]["capacity"]["flows"] = FLOWS
            sluice.write()
            sluice.start_control(wait=False)
            sluice.control_ready(60)
            churn = Churn(Control(sluice.run_dir), addresses, [row["name"] for row in first])
            topology.client.run("curl", "-sS", "--retry", 9, "--retry-all-errors", "-o", "/dev/null",
                                f"http://{net.VIP}/")  # fmt: skip
            requests = load.Requests(topology.client, 8, 5, close=True)
            try:
                states = run(churn, options.minutes, options.rate)
            except RuntimeError as error:
                wrong.append(str(error))
                states = {}
            sums = requests.stop()
    slowest = max(churn.drained, default=0)
    print(f"{churn.changes} changes; {churn.added} backends added; {churn.most} "
          f"numbers at most, {sum(states.values())} in the end")  # fmt: skip
    print(f"{len(churn.drained)} drained, after {slowest:.1f} s at most; {len(churn.draining)} not")
    print(f"{sums['requests']} requests, {sums['failed']} failed")
    if sums["failed"]:
        wrong.append(f"{sums['failed']} requests failed")
    if states and sum(states.values()) > LIVE + len(churn.draining) + 1:
        wrong.append(f"numbers are in use that nobody has: {states}")
    if churn.draining or slowest > DRAIN_MOST_S:
        wrong.append("drains took too long, or didn't end")
    for what in wrong:
        print(f"  WRONG  {what}")
    print(f"{int(not wrong)} passed, {int(bool(wrong))} failed, 0 skipped")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
