# SPDX-License-Identifier: BSD-2-Clause
"""Limits as traffic feels them, through each engine: udp and tcp on port 9 of the VIP, UDP streams
of known rates (scripts/lib/streams.py) and TCP transfers. The rates here are rough, because seconds
are; how exactly they hold is measured by scripts/test-limits.
"""

import time

import pytest

import gateway
import streams
import topology as net
from streams import Streams, Transfer

BOTH = pytest.mark.parametrize("engine", ["dpdk", "xdp"])
pytestmark = pytest.mark.alone
MBIT = 1e6
OTHER = "198.51.100.3"  # another client


@pytest.fixture
def topology():
    with net.Topology(2) as made:
        made.address(made.client, "eth0", f"{OTHER}/24")
        yield made


@pytest.fixture
def idle(topology):
    hosts = [gateway.backend(host, 10, streams.PORT) for host in topology.backends.values()]
    services = [gateway.service(protocol, hosts, protocol, streams.PORT)
                for protocol in ("udp", "tcp")]  # fmt: skip
    with gateway.Gateway(topology, services) as made:
        made.topology = topology
        yield made


def start(sluice, engine, **limits):
    """Serves with these limits: udp=[...], tcp=[...]."""
    for service in sluice.services:
        if service["name"] in limits:
            service["limits"] = limits[service["name"]]
    if engine == "xdp":
        sluice.settings["dataplane"]["engine"] = "xdp"
        del sluice.settings["dataplane"]["cores"]
    sluice.write()
    sluice.start()
    streams.warm(sluice.topology, sluice)


def limit(per, rate, direction="to", **more):
    """Bursts that are spent soon."""
    return {"per": per, "rate": rate, "direction": direction, "burst": "50ms", **more}


def streamed(topology, *flows, seconds=2, **more):
    with Streams(topology, *flows, seconds=seconds, **more) as sent:
        return sent.wait()


def about(mbit):
    return pytest.approx(mbit * MBIT, rel=0.1)


def dropped(sluice):
    """Packets dropped by limits, by reason."""
    return {row["name"]: row["packets"] for row in sluice.json("stats")["reasons"]
            if row["name"].startswith("limit_") and row["packets"]}  # fmt: skip


def limits(sluice, service="udp"):
    return sluice.json("limit", "list", service)["limits"]


@BOTH
def test_flows_apart(topology, idle, engine):
    """Two flows of a client each have the rate, a third that is below it loses nothing; who was
    limited is named, with the reason."""
    start(idle, engine, udp=[limit("flow", "10Mbit")])
    sent = streamed(topology, (net.CLIENT, 5000, 20 * MBIT), (net.CLIENT, 5001, 15 * MBIT),
                    (net.CLIENT, 5002, 5 * MBIT))  # fmt: skip
    assert [sent.rate(0.5, 2, [number]) for number in range(3)] == [about(10), about(10), about(5)]
    lost = sent.sent() - sent.arrived()
    assert dropped(idle) == {"limit_flow": lost}
    row = limits(idle)[0]
    assert (row["passed"], row["dropped"], row["dropped_bytes"]) == (
        sent.arrived(), lost, lost * streams.FRAME)  # fmt: skip
    named = {row["flow"]: row["packets"] for row in idle.json("limit", "top")["top"]}
    assert set(named) == {f"{net.CLIENT}:5000", f"{net.CLIENT}:5001"}
    assert sum(named.values()) == lost


@BOTH
def test_replies(topology, idle, engine):
    """A limit on what backends send: requests all arrive, replies come at the rate."""
    start(idle, engine, udp=[limit("flow", "10Mbit", "from")])
    sent = streamed(topology, (net.CLIENT, 5000, 20 * MBIT), echo=True)
    assert sent.rate(0.5, 2, way="from") == about(10)
    assert sent.arrived() == sent.sent()
    assert dropped(idle) == {"limit_flow": sent.sent() - sent.arrived("from")}


@pytest.mark.quick
@BOTH
def test_client(topology, idle, engine):
    """A client has its rate over all its flows; another has its own, and one with an exception has
    that."""
    start(idle, engine, udp=[limit("client", "8Mbit")])
    flows = [(net.CLIENT, 5000 + number, 5 * MBIT) for number in range(4)]
    flows.append((OTHER, 5000, 16 * MBIT))
    sent = streamed(topology, *flows)
    assert (sent.rate(0.5, 2, range(4)), sent.rate(0.5, 2, [4])) == (about(8), about(8))
    assert set(dropped(idle)) == {"limit_client"}
    idle.change("limit", "set", "udp", "--client", OTHER, "--rate", "2mbit", "--direction", "to")
    sent = streamed(topology, *flows, seconds=3)
    assert (sent.rate(1, 3, range(4)), sent.rate(1, 3, [4])) == (about(8), about(2))
    named = {row["client"] for row in idle.json("limit", "top")["top"]}
    assert named == {f"{net.CLIENT}/32", f"{OTHER}/32"}


@BOTH
def test_backend_and_service(topology, idle, engine):
    """Backends have a bucket each, and all of the service one."""
    start(idle, engine, udp=[limit("backend", "6Mbit"), limit("service", "9Mbit")])
    flows = [(net.CLIENT, 5000 + number, 3 * MBIT) for number in range(12)]
    sent = streamed(topology, *flows)
    assert sent.rate(0.5, 2) == about(9)
    assert set(dropped(idle)) == {"limit_backend", "limit_service"}
    assert {row["per"] for row in idle.json("limit", "top")["top"]} == {"backend", "service"}
    idle.change("limit", "clear", "udp", "--per", "service")
    assert streamed(topology, *flows).rate(0.5, 2) == about(12)


@BOTH
def test_live(topology, idle, engine):
    """A rate that is set while a flow runs holds for it at once, and so does its end."""
    start(idle, engine)
    with Streams(topology, (net.CLIENT, 5000, 20 * MBIT), seconds=6) as sent:
        at = []
        for words in (("set", "udp", "--per", "flow", "--rate", "5mbit"),
                      ("set", "udp", "--per", "flow", "--rate", "12mbit"),
                      ("clear", "udp", "--per", "flow")):  # fmt: skip
            time.sleep(1.3)
            idle.change("limit", *words)
            at.append(time.time())
        sent.wait()
    at = [when - sent.began for when in at]
    assert sent.rate(0.1, at[0] - 0.3) == about(20)
    assert sent.rate(at[0] + 0.3, at[1] - 0.3) == about(5)
    assert sent.rate(at[1] + 0.1, at[2] - 0.3) == about(12)  # with no burst before it
    assert sent.rate(at[2] + 0.1, 5.9) == about(20)


@BOTH
def test_observe(topology, idle, engine):
    """Nothing is dropped, and what would have been is counted and named."""
    start(idle, engine, udp=[limit("client", "5Mbit", action="observe")])
    sent = streamed(topology, (net.CLIENT, 5000, 20 * MBIT))
    assert (sent.arrived(), dropped(idle)) == (sent.sent(), {})
    row = limits(idle)[0]
    would = sent.sent() - (5 * MBIT * 2 / 8 + row["burst"]) / streams.FRAME
    assert row["observed"] == pytest.approx(would, rel=0.05)
    assert (row["passed"], row["dropped"]) == (sent.sent(), 0)
    assert [(row["client"], row["packets"]) for row in idle.json("limit", "top")["top"]] == [
        (f"{net.CLIENT}/32", row["observed"])]  # fmt: skip


@BOTH
@pytest.mark.parametrize("way, direction", [("up", "to"), ("down", "from")])
def test_mark(topology, idle, engine, way, direction):
    """TCP with ECN is marked instead of dropped, and its sender is told of it (ECE). (That it then
    slows down takes a round trip that is longer than here.)"""
    start(idle, engine, tcp=[limit("client", "20Mbit", direction, action="mark")])
    hosts = (topology.client, *topology.backends.values())
    for host in hosts:
        host.sysctl(net__ipv4__tcp_ecn=1)

    def counted(name):
        return sum(host.counters()[name] for host in hosts)

    told, marked = counted("TcpExt.TCPDeliveredCE"), counted("IpExt.InCEPkts")
    with streams.Bulk(topology) as bulk, Transfer(topology.client, bulk, way):
        time.sleep(1.5)

    def limited():
        return limits(idle, "tcp")[0]["marked"]

    assert limited() > 10
    # What was in the sender's buffer may still come.
    net.wait_for("the marks", lambda: limited() == counted("IpExt.InCEPkts") - marked, 5)
    assert counted("TcpExt.TCPDeliveredCE") > told


@BOTH
def test_new_connections(topology, idle, engine):
    """First packets of flows beyond the rate of new ones are dropped; known flows aren't asked."""
    start(idle, engine, udp=[{"per": "client", "rate": "20/s", "burst": 10}])
    flows = [(net.CLIENT, 5000 + number, 12112) for number in range(40)]  # one frame a second
    sent = streamed(topology, *flows, seconds=0.9)
    assert (sent.sent(), dropped(idle)) == (40, {"limit_client": 40 - sent.arrived()})
    assert 10 <= sent.arrived() <= 12
