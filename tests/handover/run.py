# SPDX-License-Identifier: BSD-2-Clause
"""Hand-overs under load: run.py [--quick] [--seconds N] [--times N] [RUN...]

Each run has a topology and an instance of its own. 500 keep-alive connections ask again and again,
downloads arrive and are checksummed, and meanwhile engines die, hang, are restarted and come back.
Nothing of that may fail a request, reset a connection or spoil a byte. A quiet run comes first, to
compare with. A run is a function of RUNS; its first line says what it shows.
"""

import argparse
import contextlib
import os
import shutil
import signal
import socket
import sys
import threading
import time

for directory in ("../../scripts/lib", "../smoke"):
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), directory))

# pylint: disable=wrong-import-position
import gateway
import topology as net
import traffic
from connection import Connection, one_request

WEIGHTS = (10, 20, 30)
BIG_FLOWS = 45_000_000  # 960 MB of flow table
BIG_MEMORY_KB = 4 << 20  # to be free for it
HANG_SECONDS = 1.0
AWAY_SECONDS = 0.7  # between a dataplane's end and the next one's start
OUTAGE_SECONDS = 1.0
ABSENT_SECONDS = 10.0


class Skip(Exception):
    pass


class Instance(gateway.Gateway):
    def __init__(self, topology, idle_timeout="60s", **dataplane):
        backends = [gateway.backend(host, weight)
                    for host, weight in zip(topology.backends.values(), WEIGHTS)]  # fmt: skip
        super().__init__(topology, [gateway.service("web", backends, idle_timeout=idle_timeout)])
        self.topology = topology
        self.settings["dataplane"]["capacity"]["flows"] = dataplane.pop("flows", 65536)
        self.settings["dataplane"].update(dataplane)
        self.write()
        self.control_dead = False

    def serve(self, dataplane=True):
        """Starts, until a client is served: then every neighbour is known."""
        self.start_control(wait=False)
        if dataplane:
            self.start_dataplane()
        self.control_ready()
        served = set()

        def all_serve():
            with contextlib.suppress(OSError):
                served.add(one_request(self.topology.client))
            return served == set(self.topology.backends)

        net.wait_for("an answer from every backend", all_serve)

    def kill_control(self):
        self.kill(self.control)
        self.control_dead = True

    # What may happen to a dataplane.

    def killed(self):
        """kill -9, and another."""
        self.kill(self.dataplane)
        time.sleep(AWAY_SECONDS)
        self.start_dataplane()

    def hung(self):
        """SIGSTOP, SIGCONT."""
        self.dataplane.send_signal(signal.SIGSTOP)
        time.sleep(HANG_SECONDS)
        self.dataplane.send_signal(signal.SIGCONT)

    def restarted(self):
        """SIGTERM, and another."""
        status = net.stop(self.dataplane, patience=10)
        if status:
            raise RuntimeError(f"the dataplane ended with {status}")
        time.sleep(AWAY_SECONDS)
        self.start_dataplane()


def handovers(sluice):
    """How often XDP took a queue from a worker."""
    if sluice.control_dead:
        sluice.start_control()
        sluice.control_dead = False
    rows = [row["handovers"] for row in sluice.json("status")["queues"]]
    return {why: sum(row[why] for row in rows) for why in ("stopped", "died", "hung", "woke")}


def repeated(options, sluice, events, actions):
    """Traffic for options.seconds, in which EVENTS come evenly, taken from ACTIONS in turn."""
    flow = traffic.Traffic(sluice.topology)
    flow.start()
    began = time.monotonic()
    for number in range(events):
        due = began + (number + 0.3) * options.seconds / events
        time.sleep(max(0.0, due - time.monotonic()))
        actions[number % len(actions)]()
    time.sleep(max(0.0, began + options.seconds - time.monotonic()))
    return flow.stop()


def run_events(options, names, control=True, **settings):
    with net.Topology(3) as topology, Instance(topology, **settings) as sluice:
        sluice.serve()
        if not control:
            sluice.kill_control()
        actions = [getattr(sluice, name) for name in names]
        events = options.times * len(actions)
        measured = repeated(options, sluice, events, actions)
        return events, measured, handovers(sluice)


def quiet(options):
    """Nothing happens."""
    with net.Topology(3) as topology, Instance(topology) as sluice:
        sluice.serve()
        return 0, repeated(options, sluice, 0, []), handovers(sluice)


def xdp_alone(options):
    """Nothing happens, and there is no dataplane."""
    with net.Topology(3) as topology, Instance(topology, engine="xdp") as sluice:
        sluice.serve(dataplane=False)
        return 0, repeated(options, sluice, 0, []), handovers(sluice)


def kill(options):
    """kill -9 and a new dataplane."""
    return run_events(options, ["killed"])


def hang(options):
    """SIGSTOP for a second, SIGCONT."""
    return run_events(options, ["hung"])


def restart(options):
    """A graceful stop and a new dataplane."""
    return run_events(options, ["restarted"])


def kill_no_control(options):
    """kill -9 of the dataplane, control dead throughout."""
    return run_events(options, ["killed"], control=False)


def hang_no_control(options):
    """SIGSTOP and SIGCONT, control dead throughout."""
    return run_events(options, ["hung"], control=False)


def restart_no_control(options):
    """Graceful restarts, control dead throughout."""
    return run_events(options, ["restarted"], control=False)


def large(options):
    """All three in turn, with 1 GB of tables."""
    with open("/proc/meminfo", encoding="ascii") as file:
        free = next(int(row.split()[1]) for row in file if row.startswith("MemAvailable:"))
    if free < BIG_MEMORY_KB:
        raise Skip(f"{free >> 10} MB of memory are free, {BIG_MEMORY_KB >> 10} are asked for")
    third = argparse.Namespace(**{**vars(options), "times": max(1, options.times // 3)})
    return run_events(third, ["killed", "hung", "restarted"], flows=BIG_FLOWS)


def changes(options):
    """Backends change while only XDP serves, then while a worker does, by turns."""
    with net.Topology(3) as topology, Instance(topology, idle_timeout="10s") as sluice:
        sluice.serve()

        def turn():
            sluice.kill(sluice.dataplane)
            time.sleep(0.3)
            turn_over(sluice)
            time.sleep(0.3)
            sluice.start_dataplane()
            time.sleep(0.3)
            turn_over(sluice)

        return options.times, repeated(options, sluice, options.times, [turn]), handovers(sluice)


def turn_over(sluice):
    """Moves many rows: another backend is drained, those drained before are ready again, and
    weights change places."""
    rows = sluice.backends()
    out = [name for name, row in rows.items() if row["state"] in ("draining", "drained")]
    for name in out:
        sluice.change("backend", "ready", "web", name)
    names = sorted(rows)
    after = names[(names.index(out[0]) + 1) % len(names)] if out else names[0]
    sluice.change("backend", "drain", "web", after)
    sluice.change("backend", "weight", "web", names[0], str(50 - rows[names[0]]["weight"]))


@contextlib.contextmanager
def outage(host, *hooks):
    """Drops all that passes these (hook, device) of the host."""
    chains = "".join(f"chain {hook}_{device} {{ type filter hook {hook} device {device} "
                     "priority 0; policy drop; }\n" for hook, device in hooks)  # fmt: skip
    host.run("nft", f"table netdev outage {{\n{chains}}}")
    try:
        yield
    finally:
        host.run("nft", "delete", "table", "netdev", "outage")


def outages(options):
    """All is lost for a second, before the gateway or behind it, while backends change; new
    connections begin meanwhile. Two workers, two queues: repetitions come in by others."""
    if not shutil.which("nft"):
        raise Skip("there is no nft (Debian's nftables)")
    settings = {"cores": [gateway.CORES[0], gateway.CORES[-1]], "idle": "adaptive"}
    with net.Topology(3, queues=2) as topology, Instance(topology, **settings) as sluice:
        sluice.serve()
        places = [(topology.switch, [("ingress", device) for device in ("gw", "p1", "p2", "p3")]),
                  (topology.client, [("ingress", "eth0"), ("egress", "eth0")])]  # fmt: skip
        dialled = []

        def turn():
            host, hooks = places[len(dialled) // 20 % len(places)]
            with outage(host, *hooks):
                dialled.extend(dial(topology.client, 20))
                turn_over(sluice)
                time.sleep(OUTAGE_SECONDS)
                turn_over(sluice)

        measured = repeated(options, sluice, options.times, [turn])
        measured["failed"] += sum(not ended() for ended in dialled)
        return options.times, measured, handovers(sluice)


def dial(client, count):
    """Starts COUNT connections, each with one request; functions that wait for their ends and tell
    whether they were served."""
    sockets = client.call(lambda: [socket.socket() for _ in range(count)])

    def start(one):
        served = []

        def talk():
            with one, contextlib.suppress(OSError):
                one.settimeout(20)
                one.connect((net.VIP, 80))
                one.sendall(b"GET / HTTP/1.1\r\nHost: vip\r\n\r\n")
                served.append(one.recv(4096).startswith(b"HTTP/1.1 200 "))

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()

        def ended():
            thread.join(25)
            return served == [True]

        return ended

    return [start(one) for one in sockets]


def absent(options):
    """Nobody serves for ten seconds (engine = "dpdk", its dataplane killed) while backends change:
    connections that wait for an answer get it, from where they were."""
    wait = min(ABSENT_SECONDS, options.seconds / 3)
    with net.Topology(3) as topology, Instance(topology, engine="dpdk") as sluice:
        sluice.serve()
        watched = traffic.Traffic(topology)
        before = watched.counters()
        with contextlib.ExitStack() as stack:
            opened = [stack.enter_context(Connection(topology.client, timeout=60))
                      for _ in range(200)]  # fmt: skip
            owners = [connection.get() for connection in opened]
            sluice.kill(sluice.dataplane)
            threads, answers = [], {}
            for number, connection in enumerate(opened[:100]):
                threads.append(threading.Thread(target=ask, args=(connection, answers, number)))
                threads[-1].start()
            turn_over(sluice)
            time.sleep(wait)
            sluice.start_dataplane()
            for thread in threads:
                thread.join()
            for number, connection in enumerate(opened[100:], 100):
                ask(connection, answers, number)
            time.sleep(0.5)
            after = watched.counters()
        measured = dict.fromkeys((*traffic.load.ERRORS, "p50_us", "p999_us", "max_us"), 0)
        measured.update({name: after[name] - before[name] for name in after})
        measured["requests"] = measured["enough"] = len(answers)
        measured["failed"] = sum(answers[n] != owner for n, owner in enumerate(owners))
        measured["downloads"] = None
        return 1, measured, handovers(sluice)


def ask(connection, answers, number):
    try:
        answers[number] = connection.get()
    except (OSError, AssertionError) as error:
        answers[number] = str(error)


RUNS = (quiet, xdp_alone, kill, hang, restart, kill_no_control, hang_no_control,
        restart_no_control, large, changes, outages, absent)  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="8 seconds and 2 events each")
    parser.add_argument("--seconds", type=float, default=60, help="of each run")
    parser.add_argument("--times", type=int, default=10, help="events in each run")
    parser.add_argument("runs", nargs="*", metavar="RUN",
                        help=", ".join(run.__name__ for run in RUNS))  # fmt: skip
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.times = 8, 2
    unknown = set(options.runs) - {run.__name__ for run in RUNS}
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}")
    net.interruptible()
    gateway.leave_the_worker()
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    print(traffic.HEAD, flush=True)
    for run in RUNS:
        if not options.runs or run.__name__ in options.runs:
            counts[one(run, options)] += 1
    print(", ".join(f"{count} {what}" for what, count in counts.items()))
    return counts["failed"] != 0


def one(run, options):
    """Makes a run and prints its line; "passed", "failed" or "skipped"."""
    try:
        events, measured, taken = run(options)
    except Skip as why:
        print(f"  SKIPPED {run.__name__}: {why}", flush=True)
        return "skipped"
    except (OSError, RuntimeError, TimeoutError) as error:
        print(f"  FAILED  {run.__name__}: {error}", flush=True)
        return "failed"
    print(traffic.line(run.__name__, events, measured), flush=True)
    wrong = traffic.wrong(measured)
    if events and not sum(taken.values()) and run is not outages:
        wrong.append("no hand-over happened")
    for what in wrong:
        print(f"  FAILED  {run.__name__}: {what}; hand-overs {taken}", flush=True)
    return "failed" if wrong else "passed"


if __name__ == "__main__":
    sys.exit(main())
