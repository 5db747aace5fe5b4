# SPDX-License-Identifier: BSD-2-Clause
"""What scripts/bench measures: one line a scenario.

`unit` says what `target` is of:

    cycles    a packet, over testpmd io: at most
    ns        a packet, over the empty program: at most
    conn/s    new connections a second: at least
    percent   of the established flows' goodput that is lost: at most

Of a Path: `traffic` is a name that bench/path.c knows; `service` is what the service's entry in the
configuration says beside VIP, port and backends; `curve` names the line of the plot that it belongs
to; `extra` ones are measured for a plot, or when they are named.
"""

import collections

Path = collections.namedtuple("Path", "name title flows target unit traffic service curve extra")
Xdp = collections.namedtuple("Xdp", "name title flows target vip flags capacity curve")
Start = collections.namedtuple("Start", "name title flows target")

TUNNEL = {"tunnel_source": "192.0.2.1"}
TRACKED = {"track": "all"}
FULLNAT = {"mode": "fullnat", "pool": "out", "addresses": 32,
           "pools": [{"name": "out", "addresses": ["10.2.0.0/27"]}]}  # fmt: skip
IPV6 = {"vip": "2001:db8::10"}  # backends and next hop follow
LIMITED = {"limits": [{"per": "flow", "rate": "1Gbit"}]}  # more than any flow has: all pass
PLAIN_VIP, TRACKED_VIP, LIMITED_VIP = "198.51.100.10", "198.51.100.11", "198.51.100.12"
FOREIGN = "203.0.113.1"
K64, M1, M10 = 1 << 16, 1 << 20, 10_000_000


def tracks(scenario):
    """Whether each flow has an entry."""
    service = scenario.service
    return service.get("track") == "all" or "limits" in service or "pools" in service


def path(name, title, flows, target, unit="cycles", traffic="steady", service=None, curve=None,
         extra=False):  # fmt: skip
    return Path(name, title, flows, target, unit, traffic, service or {}, curve, extra)


def xdp(name, title, flows, target, vip=PLAIN_VIP, flags="ack", capacity=K64, curve=None):
    return Xdp(name, title, flows, target, vip, flags, capacity, curve)


# One worker, by sluice-bench-path (bench_path.py).
PATH = [
    path("nat-1", "NAT, steady, 1 flow", 1, 28, curve="steady"),
    path("nat-1k", "NAT, steady, 1,000 flows", 1000, 28, curve="steady"),
    path("nat-64k", "NAT, steady, 64k flows", K64, 28, curve="steady", extra=True),
    path("nat-1m", "NAT, steady, 1M flows", M1, 28, curve="steady"),
    path("nat-10m", "NAT, steady, 10M flows", M10, 28, curve="steady", extra=True),
    path("services-64", "NAT, steady, 64 services, 1M flows", M1, 28,
         service={"services": 64, "table_size": 2048}),
    path("services-1k", "NAT, steady, 1,024 services, 1M flows", M1, None,
         service={"services": 1024, "table_size": 256}),
    path("replies-1m", "NAT, replies of a backend to 1M clients", M1, None, traffic="replies"),
    path("direct-1m", "direct, steady, 1M flows", M1, 28, service={"mode": "direct"}),
    path("ipip-1m", "IP in IP, steady, 1M flows", M1, 28, service={**TUNNEL, "mode": "ipip"}),
    path("gue-1m", "GUE, steady, 1M flows", M1, None, service={**TUNNEL, "mode": "gue"}),
    path("fullnat-1m", "full NAT, 1M flows", M1, None, service=FULLNAT),
    path("ipv6-1m", "NAT, IPv6, steady, 1M flows", M1, 28, service=IPV6),
    path("ipv6-tracked-1m", "NAT, IPv6, tracked, 1M flows", M1, 62, service={**IPV6, **TRACKED}),
    path("tracked-1k", "NAT, tracked, 1,000 flows", 1000, 58, service=TRACKED, curve="tracked",
         extra=True),
    path("tracked-64k", "NAT, tracked, 64k flows", K64, 58, service=TRACKED, curve="tracked"),
    path("tracked-1m", "NAT, tracked, 1M flows", M1, 62, service=TRACKED, curve="tracked"),
    path("tracked-10m", "NAT, tracked, 10M flows", M10, 84, service=TRACKED, curve="tracked"),
    path("limited-64k", "NAT, a limit per flow, 64k flows", K64, 58, service=LIMITED,
         curve="limited"),
    path("limited-1m", "NAT, a limit per flow, 1M flows", M1, 62, service=LIMITED, curve="limited"),
    path("limited-10m", "NAT, a limit per flow, 10M flows", M10, 84, service=LIMITED,
         curve="limited"),
    path("new-1m", "NAT, tracked, each packet a new flow", M1, 75, traffic="new",
         service=TRACKED),
    path("churn-1m", "NAT, tracked, connections of 4 packets", M1, 1.5e6, "conn/s",
         traffic="churn", service=TRACKED),
    path("syn-flood", "SYN flood, 10 times what fits; 512k flows", M1 >> 1, 10, "percent",
         traffic="flood", service=TRACKED),
]  # fmt: skip

# The XDP program, by BPF_PROG_TEST_RUN (bench_xdp.py). Names as people know them: established is
# one flow, diverse a million in random order, syn new flows until the table is full.
XDP = [
    xdp("xdp-established", "XDP, closed rows, 1 flow", 1, 28, curve="steady"),
    xdp("xdp-diverse", "XDP, closed rows, 1M flows", M1, 33, curve="steady"),
    xdp("xdp-tracked-64k", "XDP, tracked, 64k flows", K64, 80, TRACKED_VIP, curve="tracked"),
    xdp("xdp-tracked-1m", "XDP, tracked, 1M flows", M1, 120, TRACKED_VIP, capacity=M1,
        curve="tracked"),
    xdp("xdp-limited-64k", "XDP, a limit per flow, 64k flows", K64, 80, LIMITED_VIP,
        curve="limited"),
    xdp("xdp-limited-1m", "XDP, a limit per flow, 1M flows", M1, 120, LIMITED_VIP, capacity=M1,
        curve="limited"),
    xdp("xdp-syn", "XDP, tracked, SYNs of 1M flows", M1, None, TRACKED_VIP, "syn", M1),
    xdp("xdp-not-ours", "XDP, not ours", M1, None, FOREIGN),
]  # fmt: skip

# The two processes as they are: memory, and how long they take to serve (bench_start.py). `target`
# is in bytes a flow.
START = [
    Start("start-1m", "start, tables for 1M flows", M1, 22),
    Start("start-10m", "start, tables for 10M flows", M10, 22),
]
ALL = PATH + XDP + START
