# SPDX-License-Identifier: BSD-2-Clause
"""ICMP and fragments through both engines, between real stacks: pings, errors that reach whom they
are about, datagrams in pieces.

    far                         client, a router here          gw
    eth0 192.0.2.2/24 --------- far 192.0.2.1/24
                      MTU 1280  eth0 198.51.100.2/24 --------- cl0 198.51.100.1/24
"""

import contextlib
import os
import re
import socket

import pytest
from conftest import configure, make_topology
from connection import one_request
from shared import echo  # pylint: disable=unused-import

import gateway
import load
import topology as net

FAR = "192.0.2.2"

# pylint: disable=redefined-outer-name
# One instance of each engine for all tests. What they count is a difference.
BOTH = pytest.mark.parametrize("engine", ["dpdk", "xdp"], scope="module")


@pytest.fixture(scope="module")
def topology(engine):  # pylint: disable=unused-argument
    """One for each engine: what a test leaves there (a route, what a stack has learned of a path)
    is nothing to the other."""
    yield from make_topology()


@pytest.fixture(scope="module")
def idle(topology):
    yield from configure(topology)


@pytest.fixture(scope="module")
def sluice(topology, idle, engine):
    """web and echo, and `closed`, where nobody listens."""
    closed = [gateway.backend(host, 10, 9) for host in topology.backends.values()]
    idle.services.append(gateway.service("closed", closed, "udp", 9))
    start(idle, engine)
    return idle


def start(sluice, engine):
    if engine == "xdp":
        sluice.settings["dataplane"]["engine"] = "xdp"
        del sluice.settings["dataplane"]["cores"]
    sluice.write()
    sluice.start()
    net.wait_for("the backends' neighbours", lambda: all(
        row["state"] == "ready" for row in sluice.backends().values()))  # fmt: skip


def reason(sluice, name):
    """Packets that ended with this reason."""
    return {row["name"]: row["packets"] for row in sluice.json("stats")["reasons"]}[name]


def ping(host, *arguments):
    return host.run("ping", "-c", 3, "-i", 0.2, "-W", 2, *arguments, net.VIP)


def make_far(topology):
    """A client behind the client, on a link with a small MTU."""
    host = net.Namespace(f"{topology.name}-far")
    topology.add_host(host)
    topology.link(topology.client, "far", host, "eth0")
    topology.address(topology.client, "far", "192.0.2.1/24")
    topology.address(host, "eth0", f"{FAR}/24")
    for where, device in ((topology.client, "far"), (host, "eth0")):
        where.run("ip", "link", "set", device, "mtu", 1280)
    host.run("ip", "route", "add", "default", "via", "192.0.2.1")
    topology.client.sysctl(net__ipv4__ip_forward=1)
    topology.gateway.run("ip", "route", "add", "192.0.2.0/24", "via", net.CLIENT)
    return host


far = pytest.fixture(scope="module")(make_far)


@contextlib.contextmanager
def quiet_router(host):
    """Tells nobody what it can't forward."""
    host.run("nft", "add table ip quiet; add chain ip quiet out { type filter hook output"
             " priority 0; }; add rule ip quiet out icmp type destination-unreachable drop")
    try:
        yield
    finally:
        host.run("nft", "delete table ip quiet")


@contextlib.contextmanager
def small_segments(sluice):
    """The service says what segments fit."""
    sluice.services[0]["mss"] = 1240
    sluice.write()
    sluice.change("reload")
    try:
        yield
    finally:
        del sluice.services[0]["mss"]
        sluice.write()
        sluice.change("reload")


@BOTH
def test_ping(topology, sluice):
    """The VIP answers pings, of no data and of a full frame and in fragments, and the
    kernel saw none of them."""
    before, replies = topology.gateway.counters()["Icmp.InEchos"], reason(sluice, "echo_reply")
    for size in (0, 56, 1472, 8000):
        assert "3 packets transmitted, 3 received" in ping(topology.client, "-s", size)
    assert topology.gateway.counters()["Icmp.InEchos"] == before
    assert topology.client.counters()["Icmp.InCsumErrors"] == 0
    assert reason(sluice, "echo_reply") >= replies + 9


@BOTH
def test_filtered(topology, sluice, far):
    """A client behind MTU 1280 and a router that tells nobody: 10 MB come through all the same
    where the service says what segments fit."""
    before = reason(sluice, "icmp_to_backend")
    blob = load.Blob(topology, 10)
    far.run("ip", "route", "replace", "default", "via", "192.0.2.1", "advmss", 1460)
    with quiet_router(topology.client), small_segments(sluice):
        far.run("curl", "-sS", "--fail", "-o", "/dev/null", "--max-time", 15,
                f"http://{net.VIP}/{blob.name}")  # fmt: skip
    assert reason(sluice, "icmp_to_backend") == before


@BOTH
def test_path_mtu(topology, sluice, far):
    """A download by a client behind a router with MTU 1280 doesn't stall: the router's error
    reaches the backend, whose kernel knows the path's MTU from then on; the others' don't."""
    before = reason(sluice, "icmp_to_backend")
    blob = load.Blob(topology, 2)
    # Told by the client: no small MSS may spare the backend the error.
    far.run("ip", "route", "replace", "default", "via", "192.0.2.1", "advmss", 1460)
    said = far.run("curl", "-sS", "--fail", "-D", "-", "-o", "/dev/null", "--max-time", 10,
                   f"http://{net.VIP}/{blob.name}")  # fmt: skip
    owner = re.search(r"X-Backend: (\w+)", said)[1]
    known = {
        label: "mtu 1280" in host.run("ip", "route", "get", FAR)
        for label, host in topology.backends.items()
    }
    assert known == {label: label == owner for label in known}
    assert topology.backends[owner].counters()["Icmp.InCsumErrors"] == 0
    assert reason(sluice, "icmp_to_backend") >= before + 1


@BOTH
@pytest.mark.usefixtures("echo")
def test_port_unreachable_to_the_backend(topology, sluice):  # pylint: disable=unused-argument
    """A client that is gone when its answer comes: its kernel's error reaches the backend that
    answered, and its checksum is right there."""
    one_request(topology.client)
    names = "Icmp.InDestUnreachs"
    hosts = topology.backends.values()
    before = sum(host.counters()[names] for host in hosts)

    def errors():
        """One more: an answer that comes before its socket is closed is taken in peace."""
        with topology.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"gone", (net.VIP, 7))
        return sum(host.counters()[names] for host in hosts) - before

    net.wait_for("the errors", lambda: errors() >= 4)
    assert sum(host.counters()["Icmp.InCsumErrors"] for host in hosts) == 0


@BOTH
def test_port_unreachable_to_the_client(topology, sluice):
    """A backend that doesn't listen: its kernel's error reaches the socket of the client."""
    before = reason(sluice, "icmp_to_client")
    with topology.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(2.0)
        client.connect((net.VIP, 9))
        with pytest.raises(ConnectionRefusedError):
            for _ in range(3):  # the first may fall to a neighbour not yet resolved
                client.send(b"anybody?")
                with pytest.raises(socket.timeout):
                    client.recv(64)
    assert reason(sluice, "icmp_to_client") >= before + 1


@BOTH
@pytest.mark.usefixtures("echo")
def test_large_datagrams(topology, sluice):  # pylint: disable=unused-argument
    """Datagrams of 8,000 bytes, six fragments each, both ways: all that a flow sends, large and
    small, reaches one backend and comes back as it was."""
    one_request(topology.client)
    names = set()
    for flow in range(12):
        with topology.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(2.0)
            seen = set()
            for number in range(6):
                payload = os.urandom(100 if number % 3 == 1 else 8000)
                client.sendto(payload, (net.VIP, 7))
                reply, peer = client.recvfrom(65535)
                name, _, rest = reply.partition(b" ")
                assert (rest, peer) == (payload, (net.VIP, 7)), f"flow {flow} number {number}"
                seen.add(name)
        assert len(seen) == 1
        names |= seen
    assert len(names) > 1
    for host in (topology.client, *topology.backends.values()):
        counters = host.counters()
        assert (counters["Udp.InCsumErrors"], counters["Ip.ReasmFails"]) == (0, 0)
