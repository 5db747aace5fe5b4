# SPDX-License-Identifier: BSD-2-Clause
"""Limits under real traffic: run.py [--engine dpdk|xdp]... [RUN...]

Each run has a topology and an instance of its own, made for one engine or both in turn, and yields
rows: what was limited, the target, what was measured, how far it may be off. UDP streams come at
1.6 to 2 times their rate and are measured where they arrive, once the burst is spent; TCP at the
receiver, its payload taken as frames of 1514 bytes, and beside it what the gateway let pass by its
own counters. The machine may spoil a measurement (something else has the cores): a run with a wrong
row is made again once, which is said. A run is a function of RUNS; its first line says what it
shows.
"""

import argparse
import contextlib
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts/lib"))

# pylint: disable=wrong-import-position
import gateway
import streams
import topology as net
from streams import Streams, Transfer

ENGINES = ("dpdk", "xdp")
MBIT = 1e6
SECOND_CLIENT = "198.51.100.3"
BURST = 65536 * 8
# How much more than the burst may seem to come at once, because what passed is kept somewhere for a
# moment: bins and a busy machine's scheduler.
CLUMP_S = 0.03


class Rows:
    """What a run has measured: lines of the table, and which are wrong."""

    def __init__(self):
        self.lines = []
        self.wrong = []

    def add(self, what, target, measured, ok, allowed):
        self.lines.append(f"  {what:<52}{target:>16}{measured:>16}{allowed:>13}"
                          f"  {'ok' if ok else 'WRONG'}")  # fmt: skip
        if not ok:
            self.wrong.append(what)

    def rate(self, what, target, measured, percent):
        """A rate in bits a second that may be PERCENT off its target."""
        off = 100.0 * (measured / target - 1.0)
        self.add(what, f"{target / MBIT:.2f} Mbit/s", f"{measured / MBIT:.3f} Mbit/s",
                 abs(off) <= percent, f"{off:+.2f}/{percent:g} %")  # fmt: skip

    def near(self, what, target, measured, percent):
        """A number that may be PERCENT off another."""
        off = 100.0 * (measured / target - 1.0) if target else 100.0
        self.add(what, f"{target:.0f}", f"{measured:.0f}", abs(off) <= percent,
                 f"{off:+.2f}/{percent:g} %")  # fmt: skip

    def most(self, what, bound, measured):
        self.add(what, f"<= {bound:.0f}", f"{measured:.0f}", measured <= bound, "")

    def least(self, what, bound, measured):
        self.add(what, f">= {bound:.0f}", f"{measured:.0f}", measured >= bound, "")


@contextlib.contextmanager
def instance(engine, limits=(), queues=1, workers=1, backends=2):
    """A topology and a gateway that serves udp and tcp, port 9 of the VIP, under these limits."""
    with net.Topology(backends, queues=queues) as topology:
        topology.address(topology.client, "eth0", f"{SECOND_CLIENT}/24")
        hosts = [gateway.backend(host, 10, streams.PORT) for host in topology.backends.values()]
        services = [gateway.service(protocol, hosts, protocol, streams.PORT,
                                    **({"limits": list(limits)} if limits else {}))
                    for protocol in ("udp", "tcp")]  # fmt: skip
        with gateway.Gateway(topology, services) as sluice:
            sluice.topology = topology
            dataplane = sluice.settings["dataplane"]
            if engine != "dpdk":  # that is to say: with XDP beside it
                dataplane["engine"] = engine.removesuffix("-only")
            if engine == "xdp":
                del dataplane["cores"]
            elif workers > 1:
                dataplane.update(cores=[gateway.CORES[0], gateway.CORES[-1]], idle="adaptive")
            sluice.write()
            start(sluice)
            yield sluice


def start(sluice):
    sluice.start()
    if sluice.dataplane:
        prefer_the_workers(sluice)
    streams.warm(sluice.topology, sluice)


def prefer_the_workers(sluice):
    """As far as can be had without changing the machine."""
    for tid in os.listdir(f"/proc/{sluice.dataplane.pid}/task"):
        os.setpriority(os.PRIO_PROCESS, int(tid), -20)


def reasons(sluice):
    """Packets that any limit dropped."""
    return {row["name"]: row["packets"] for row in sluice.json("stats")["reasons"]
            if row["name"].startswith("limit_")}  # fmt: skip


def limit(per, rate, direction="to", **more):
    return {"per": per, "rate": rate, "direction": direction, **more}


def streamed(sluice, *rates, seconds, source=net.CLIENT, first=5000, **more):
    """Streams of one client, from ports FIRST on, to their end."""
    flows = [(source, first + number, rate) for number, rate in enumerate(rates)]
    with Streams(sluice.topology, *flows, seconds=seconds, **more) as sent:
        return sent.wait()


def bucket(rate):
    """Bits of the burst that a limit has by default."""
    return max(BURST, rate * 0.25)


def udp(rows, engine):
    """A UDP flow at 1, 10, 100 Mbit/s, to the backends and back from them."""
    with instance(engine) as sluice:
        for number, mbit in enumerate((1, 10, 100)):
            rate = mbit * MBIT
            sluice.change("limit", "set", "udp", "--per", "flow", "--direction", "to",
                          "--rate", f"{mbit}mbit")  # fmt: skip
            spent = bucket(rate) / (0.6 * rate) + 0.5
            sent = streamed(sluice, 1.6 * rate, seconds=spent + 5, first=5000 + number)
            rows.rate(f"a flow, {mbit} Mbit/s", rate, sent.rate(spent, spent + 5), 2)
            rows.most(f"a flow, {mbit} Mbit/s: burst, bytes", bucket(rate) / 8 + 1514
                      + CLUMP_S * rate / 8, sent.excess(rate) / 8)  # fmt: skip
        sluice.change("limit", "clear", "udp", "--per", "flow", "--direction", "to")
        sluice.change("limit", "set", "udp", "--per", "flow", "--direction", "from",
                      "--rate", "10mbit")  # fmt: skip
        sent = streamed(sluice, 16 * MBIT, seconds=6, first=5100, echo=True)
        rows.rate("replies of a flow, 10 Mbit/s", 10 * MBIT, sent.rate(1, 6, way="from"), 2)
        rows.near("replies of a flow: requests that arrived", sent.sent(), sent.arrived(), 0.5)


def apart(rows, engine):
    """Flows of one client are limited each by itself, and one below its rate isn't."""
    with instance(engine, [limit("flow", "10Mbit")]) as sluice:
        sent = streamed(sluice, 16 * MBIT, 30 * MBIT, 6 * MBIT, seconds=5)
        for number, rate in ((0, 10), (1, 10), (2, 6)):
            rows.rate(f"flow {number + 1} of 3, each 10 Mbit/s", rate * MBIT,
                      sent.rate(1, 5, [number]), 2)  # fmt: skip


def across(rows, engine):
    """A client over 8 flows, 2 queues and (dpdk) 2 workers; another isn't touched; then the same
    of a service, whose bucket all share through leases."""
    with instance(engine, [limit("client", "20Mbit")], queues=2, workers=2) as sluice:
        flows = [(net.CLIENT, 5000 + number, 4 * MBIT) for number in range(8)]
        flows.append((SECOND_CLIENT, 5000, 5 * MBIT))
        sent = Streams(sluice.topology, *flows, seconds=6).wait()
        rows.rate("a client of 8 flows, 20 Mbit/s", 20 * MBIT, sent.rate(1, 6, range(8)), 3)
        rows.rate("another client, below its rate", 5 * MBIT, sent.rate(1, 6, [8]), 1)
        if engine == "dpdk":
            taken = [row["packets"] for row in sluice.json("stats")["workers"]]
            rows.least("packets by the one of two workers that had fewer", 1000, min(taken))
        sluice.change("limit", "clear", "udp", "--per", "client")
        sluice.change("limit", "set", "udp", "--per", "service", "--rate", "20mbit",
                      "--direction", "to")  # fmt: skip
        sent = Streams(sluice.topology, *flows, seconds=6).wait()
        rows.rate("a service of 9 flows, 20 Mbit/s", 20 * MBIT, sent.rate(1, 6), 3)


def passed(sluice, way):
    """Bits of TCP that the gateway let pass, by its counters."""
    name = "bytes_in" if way == "up" else "bytes_out"
    return 8 * sum(row[name] for row in sluice.backends("tcp").values())


def transferred(sluice, client, bulk, way, warm=1.5, seconds=7, warmed=lambda: None):
    """(rate at the receiver, rate by the gateway's counters) of a transfer, once it is WARM."""
    with Transfer(client, bulk, way) as transfer:
        time.sleep(warm)
        warmed()
        before, received, began = passed(sluice, way), transfer.frames(), time.monotonic()
        time.sleep(seconds)
        after, arrived = passed(sluice, way), transfer.frames()
        took = time.monotonic() - began
    return (arrived - received) / took, (after - before) / took


def tcp(rows, engine):
    """TCP up and down, under a limit of its own in each direction."""
    with instance(engine) as sluice, streams.Bulk(sluice.topology) as bulk:
        for to, back in ((5, 20), (20, 100), (100, 5)):
            for way, direction, mbit in (("up", "to", to), ("down", "from", back)):
                sluice.change("limit", "set", "tcp", "--per", "flow", "--direction", direction,
                              "--rate", f"{mbit}mbit")  # fmt: skip
            for way, mbit in (("up", to), ("down", back)):
                received, counted = transferred(sluice, sluice.topology.client, bulk, way)
                rows.rate(f"TCP {way}, {mbit} Mbit/s: received", mbit * MBIT, received, 5)
                rows.rate(f"TCP {way}, {mbit} Mbit/s: passed", mbit * MBIT, counted, 5)


def mark(rows, engine):
    """action = "mark", a client 5 ms away: the sender sees ECE, slows down, and so loses nothing
    (after its slow start, which is past all bursts before the first mark is back)."""
    with instance(engine, [limit("flow", "20Mbit", action="mark")], backends=1) as sluice, \
            streams.Bulk(sluice.topology) as bulk:  # fmt: skip
        client, server = streams.far(sluice.topology, 5), sluice.topology.backends["b1"]
        for host in (client, server):
            host.sysctl(net__ipv4__tcp_ecn=1)
        before = client.counters(), server.counters()
        rows_then = []
        received, _ = transferred(sluice, client, bulk, "up", warmed=lambda: rows_then.append(
            sluice.json("limit", "list", "tcp")["limits"][0]))  # fmt: skip
        after = client.counters(), server.counters()
        row = next(row for row in sluice.json("limit", "list", "tcp")["limits"])
        rows.rate("TCP up, 20 Mbit/s, marked: received", 20 * MBIT, received, 5)
        rows.least("packets marked by the limit", 10, row["marked"])
        rows.near("packets with CE at the receiver", row["marked"],
                  after[1]["IpExt.InCEPkts"] - before[1]["IpExt.InCEPkts"], 1)  # fmt: skip
        rows.least("packets that the sender was told of (ECE)", 10,
                   after[0]["TcpExt.TCPDeliveredCE"] - before[0]["TcpExt.TCPDeliveredCE"])  # fmt: skip
        rows.most("packets dropped after the slow start", row["passed"] * 0.01,
                  row["dropped"] - rows_then[0]["dropped"])  # fmt: skip


def observe(rows, engine):
    """action = "observe" under load: all arrives, and what `drop` would have dropped is counted."""
    with instance(engine, [limit("service", "10Mbit", action="observe"),
                           limit("flow", "6Mbit", action="observe"),
                           limit("client", "8Mbit", action="observe")]) as sluice:  # fmt: skip
        before = reasons(sluice)
        sent = streamed(sluice, 10 * MBIT, 10 * MBIT, seconds=5)
        rows.near("observed: packets that arrived", sent.sent(), sent.arrived(), 0.1)
        rows.most("observed: packets dropped by a limit", 0,
                  sum(reasons(sluice).values()) - sum(before.values()))  # fmt: skip
        for row in sluice.json("limit", "list", "udp")["limits"]:
            rate, buckets = row["rate"], 2 if row["per"] == "flow" else 1
            would = sent.sent() - buckets * (rate * 5 + bucket(rate)) / 8 / sent.frame
            rows.near(f"observed: would have been dropped per {row['per']}", would,
                      row["observed"], 2)  # fmt: skip


def kill(rows, _engine):
    """kill -9 of the dataplane in the middle of limited traffic, and another: UDP by a flow's, a
    client's and a service's bucket, and a TCP download."""
    for per in ("flow", "client", "service"):
        with instance("dpdk", [limit(per, "20Mbit")]) as sluice:
            flows = [(net.CLIENT, 5000, 36 * MBIT)]
            with Streams(sluice.topology, *flows, seconds=7) as sent:
                away, back = killed(sluice, 2.5, 1.0)
                sent.wait()
            away, back = away - sent.began, back - sent.began
            rows.rate(f"UDP per {per}, 20 Mbit/s: around the kill", 20 * MBIT,
                      sent.rate(away - 0.5, away + 0.5), 5)  # fmt: skip
            rows.rate(f"UDP per {per}, 20 Mbit/s: around the return", 20 * MBIT,
                      sent.rate(back - 1, back + 1), 5)  # fmt: skip
            rows.most(f"UDP per {per}: burst since before the kill, bytes",
                      2 * CLUMP_S * 20 * MBIT / 8,
                      sent.excess(20 * MBIT, since=away - 1) / 8)  # fmt: skip
    with instance("dpdk", [limit("flow", "20Mbit", "from", burst="250ms")]) as sluice, \
            streams.Bulk(sluice.topology) as bulk, \
            Transfer(sluice.topology.client, bulk, "down") as transfer:  # fmt: skip
        time.sleep(1.5)
        received, began = transfer.frames(), time.monotonic()
        killed(sluice, 1.0, 1.0)
        time.sleep(3)
        rate = (transfer.frames() - received) / (time.monotonic() - began)
        rows.rate("TCP down, 20 Mbit/s: 5 s with kill and return", 20 * MBIT, rate, 5)


def killed(sluice, wait, away):
    """Kills the dataplane after WAIT s and starts another AWAY s later; when that was."""
    time.sleep(wait)
    died = time.time()
    sluice.kill(sluice.dataplane)
    time.sleep(away)
    sluice.start_dataplane()
    back = time.time()
    prefer_the_workers(sluice)
    return died, back


def absent(rows, _engine):
    """No engine at all for 10 s (engine = "dpdk", its dataplane killed), in full load."""
    rate = 10 * MBIT
    with instance("dpdk-only", [limit("flow", "10Mbit")]) as sluice:
        flows = [(net.CLIENT, 5000 + number, 18 * MBIT) for number in range(4)]
        with Streams(sluice.topology, *flows, seconds=17) as sent:
            died, back = killed(sluice, 2.5, 10.0)
            sent.wait()
        died, back = died - sent.began, back - sent.began
        rows.most("bits a second that pass with no engine", 0, sent.rate(died + 0.2, died + 9.8))
        for number in range(len(flows)):
            bins = sent.bins([number])
            first = next((at for at in range(round((died + 1) / streams.BIN_S), len(bins))
                          if bins[at]), len(bins))  # fmt: skip
            began = first * streams.BIN_S
            rows.most(f"flow {number + 1}: ms from ready to its first packet", 1000,
                      1000 * (began - back))  # fmt: skip
            rows.most(f"flow {number + 1}: burst after the absence, bytes",
                      bucket(rate) / 8 + 1514 + CLUMP_S * rate / 8,
                      sent.excess(rate, [number], since=died + 1) / 8)  # fmt: skip
            rows.rate(f"flow {number + 1}: once the burst is spent", rate,
                      sent.rate(began + 0.5, began + 3, [number]), 2)  # fmt: skip


BOTH = (udp, apart, across, tcp, mark, observe)
RUNS = (*BOTH, kill, absent)


def one(run, engine):
    """Makes a run, twice if it must be, and prints its rows; whether they are right."""
    for last in (False, True):
        rows, why = Rows(), None
        try:
            run(rows, engine)
        except (OSError, RuntimeError, TimeoutError) as error:
            why = f"  FAILED  {run.__name__}: {error}"
        if last or not (rows.wrong or why):
            break
        print("\n".join([*rows.lines, *[why][: bool(why)]]))
        print(f"  again: {run.__name__} ({', '.join(rows.wrong) or 'it ended'})", flush=True)
    print("\n".join([*rows.lines, *[why][: bool(why)]]), flush=True)
    return not (rows.wrong or why)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", action="append", choices=ENGINES, help="default: both")
    parser.add_argument("runs", nargs="*", metavar="RUN",
                        help=", ".join(run.__name__ for run in RUNS))  # fmt: skip
    options = parser.parse_args()
    unknown = set(options.runs) - {run.__name__ for run in RUNS}
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}")
    net.interruptible()
    gateway.leave_the_worker()
    counts = {True: 0, False: 0}
    print(f"  {'':<52}{'target':>16}{'measured':>16}{'off/allowed':>13}", flush=True)
    for run in RUNS:
        engines = options.engine or ENGINES if run in BOTH else ENGINES[:1]
        for engine in engines if not options.runs or run.__name__ in options.runs else ():
            print(f"{run.__name__}{f', {engine}' if run in BOTH else ''}", flush=True)
            counts[one(run, engine)] += 1
    print(f"{counts[True]} passed, {counts[False]} failed, 0 skipped")
    return counts[False] != 0


if __name__ == "__main__":
    sys.exit(main())
