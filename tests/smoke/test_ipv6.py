# SPDX-License-Identifier: BSD-2-Clause
"""IPv6 through both engines: real TCP and UDP, neighbours, and what control does under it."""

import collections
import contextlib
import os
import socket
import sys

import pytest
from conftest import ECHO, WEIGHTS
from connection import Connection, connections, one_request
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import Ether

import gateway
import load
import topology as net

ETH_P_IPV6 = 0x86DD
SIX = {"vip": net.VIP6}
BOTH = pytest.mark.parametrize("engine", ["auto", "xdp"], indirect=True)


@pytest.fixture(scope="module")
def engine(request):
    return getattr(request, "param", "auto")


@contextlib.contextmanager
def serving(topology, engine):
    """web and echo as elsewhere, under the IPv6 VIP, with the backends' IPv6 addresses."""
    topology.add_ipv6()
    hosts = list(topology.backends.values())
    web, echo = (
        [{**gateway.backend(host, weight, port), "address": host.address6}
         for host, weight in zip(hosts, weights)]
        for port, weights in ((80, WEIGHTS), (7, (10, 10, 10)))
    )  # fmt: skip
    services = [
        gateway.service("web", web, **SIX, idle_timeout="60s"),
        gateway.service("echo", echo, "udp", 7, **SIX),
    ]
    with gateway.Gateway(topology, services) as made:
        made.settings["dataplane"]["engine"] = engine
        made.write()
        made.start()
        net.wait_for("the backends' neighbours", lambda: all(
            row["state"] == "ready" for row in made.backends().values()))  # fmt: skip
        yield made


@pytest.fixture
def sluice(topology, engine):
    with serving(topology, engine) as made:
        yield made


@pytest.fixture(scope="module")
def standing(engine):
    """A topology and an instance of each engine, for all tests that change neither (the last may).
    What they count is a difference."""
    with net.Topology(3) as topology, serving(topology, engine) as made:
        start_echo(topology)
        yield topology, made


def hosts(topology):
    return (topology.client, *topology.backends.values())


@pytest.mark.quick
@BOTH
def test_http(standing):
    """60 connections: each is answered, every backend answers some and is counted for it; 10 MB in
    full frames arrive as they were sent; no packet had a wrong checksum at either end."""
    topology, sluice = standing
    one_request(topology.client, **SIX)
    before = sluice.backends()
    answers = collections.Counter(one_request(topology.client, **SIX) for _ in range(60))
    assert sum(answers.values()) == 60
    assert set(answers) == {"b1", "b2", "b3"}
    after = sluice.backends()
    counted = {name: row["connections"] - before[name]["connections"] for name, row in after.items()}
    assert counted == answers
    blob = load.Blob(topology, 10)
    assert load.Download(topology, blob, 1, f"[{net.VIP6}]").wait(60)[0] == "ok"
    for host in hosts(topology):
        assert host.counters()["Tcp.InCsumErrors"] == 0


def start_echo(topology):
    for host in topology.backends.values():
        host.popen(sys.executable, ECHO, host.label, 7, "::")
        net.wait_for("UDP echo", lambda h=host: h.run("ss", "-6Hlun", "sport", "=", ":7"))


@BOTH
def test_udp(standing):
    """30 flows of 3 datagrams: each comes back from the VIP, a flow stays with its backend."""
    topology, sluice = standing
    one_request(topology.client, **SIX)
    seen = set()
    for flow in range(30):
        with topology.client.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
            client.settimeout(2.0)
            names = set()
            for number in range(3):
                payload = f"flow {flow} number {number}".encode()
                client.sendto(payload, (net.VIP6, 7))
                reply, peer = client.recvfrom(2048)
                name, _, rest = reply.partition(b" ")
                assert (rest, peer[:2]) == (payload, (net.VIP6, 7))
                names.add(name.decode())
            assert len(names) == 1
            seen |= names
    assert seen == {"b1", "b2", "b3"}
    assert f" [{net.VIP6}]:7 " in sluice.ctl("service", "list")
    assert " [2001:db8:2::11]:7 " in sluice.ctl("backend", "list", "echo")
    for host in hosts(topology):
        assert host.counters()["Udp6InCsumErrors"] == 0


@BOTH
def test_large_datagrams(standing):
    """Datagrams of 8,000 bytes, six fragments each, both ways: all that a flow sends, large and
    small, reaches one backend and comes back as it was; so does a ping of that size."""
    topology, _ = standing
    one_request(topology.client, **SIX)
    names = set()
    for flow in range(12):
        with topology.client.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
            client.settimeout(2.0)
            seen = set()
            for number in range(6):
                payload = os.urandom(100 if number % 3 == 1 else 8000)
                client.sendto(payload, (net.VIP6, 7))
                reply, peer = client.recvfrom(65535)
                name, _, rest = reply.partition(b" ")
                assert (rest, peer[:2]) == (payload, (net.VIP6, 7)), f"flow {flow} number {number}"
                seen.add(name)
        assert len(seen) == 1
        names |= seen
    assert len(names) > 1
    said = topology.client.run("ping", "-6", "-c", 3, "-i", 0.2, "-W", 2, "-s", 8000, net.VIP6)
    assert "3 packets transmitted, 3 received" in said
    for host in hosts(topology):
        counters = " ".join(host.run("cat", "/proc/net/snmp6").split())
        assert "Udp6InCsumErrors 0" in counters
        assert "Ip6ReasmFails 0" in counters


@BOTH
def test_link_local_next_hop(standing):
    """A client behind a router that is known by its link-local address alone."""
    topology, sluice = standing
    client, source = topology.client, "2001:db8:9::9"
    address = client.run("ip", "-6", "-br", "addr", "show", "dev", "eth0", "scope", "link")
    client.sysctl(net__ipv6__conf__lo__disable_ipv6=0)
    client.run("ip", "addr", "add", f"{source}/128", "dev", "lo")
    topology.gateway.run("ip", "route", "add", "2001:db8:9::/64", "via",
                         address.split()[2].split("/")[0], "dev", "cl0")  # fmt: skip
    assert one_request(client, **SIX, source=source)
    assert sluice.backends()["b1"]["next_hop"] != ""


@BOTH
def test_the_rest_is_the_kernels(standing):
    """The gateway's own addresses and backends behind it answer pings; a port of the VIP that is no
    service is dropped, not refused."""
    topology, _ = standing
    before = topology.gateway.counters()["Tcp.OutRsts"]
    topology.client.run("ip", "route", "add", "2001:db8:2::/64", "via", net.GATEWAY6)
    for target in (net.GATEWAY6, net.INSIDE6, "2001:db8:2::12"):
        said = topology.client.run("ping", "-6", "-c", 3, "-i", 0.2, "-W", 2, target)
        assert "3 packets transmitted, 3 received" in said
    with pytest.raises(socket.timeout):
        Connection(topology.client, port=81, timeout=1.0, **SIX)
    assert topology.gateway.counters()["Tcp.OutRsts"] == before


@BOTH
def test_neighbours(standing):
    """Asked on the wire who has the VIP, the gateway's port answers, also one that is about to take
    the address for itself; for an address that is nobody's, no one does."""
    topology, _ = standing
    ours, theirs = topology.client.mac("eth0"), topology.gateway.mac("cl0")
    wire = topology.client.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IPV6))
    with wire:
        wire.bind(("eth0", ETH_P_IPV6))
        wire.settimeout(1.0)

        def ask(target, source=net.CLIENT6, options=True):
            group = f"ff02::1:ff00:{target.rsplit(':', 1)[1]}"
            packet = Ether(src=ours, dst=f"33:33:ff:00:00:{target[-2:]}") / IPv6(
                src=source, dst=group, hlim=255) / ICMPv6ND_NS(tgt=target)  # fmt: skip
            wire.send(bytes(packet / ICMPv6NDOptSrcLLAddr(lladdr=ours) if options else packet))
            while True:
                answer = Ether(wire.recv(2048))
                if ICMPv6ND_NA in answer and answer[ICMPv6ND_NA].tgt == target:
                    return answer

        answer = ask(net.VIP6)
        assert (answer.src, answer.dst) == (theirs, ours)
        assert answer[ICMPv6ND_NA].lladdr == theirs
        assert (answer[IPv6].src, answer[IPv6].dst) == (net.VIP6, net.CLIENT6)
        answer = ask(net.VIP6, "::", options=False)
        assert (answer.src, answer.dst) == (theirs, "33:33:00:00:00:01")
        assert answer[IPv6].dst == "ff02::1"
        with pytest.raises(socket.timeout):
            ask("2001:db8:1::77")
    topology.client.sysctl(net__ipv6__conf__eth0__accept_dad=1)
    topology.client.run("ip", "addr", "add", f"{net.VIP6}/64", "dev", "eth0")
    net.wait_for("the kernel to see that the VIP is taken", lambda: topology.client.run(
        "ip", "-6", "addr", "show", "dadfailed"))  # fmt: skip


@BOTH
def test_changes_under_load(topology, sluice):
    """A backend is drained, another added and removed under requests and open connections: none
    fails, and who was connected stays where it was."""
    client = topology.client
    one_request(client, **SIX)
    url = f"http://[{net.VIP6}]/"
    with connections(client, 20, **SIX) as opened:
        steady = load.Requests(client, 8, 2, url=url)
        short = load.Requests(client, 4, 4, close=True, url=url)
        sluice.change("backend", "drain", "web", "b2")
        before = gateway.settle(sluice)
        for _ in load.until(lambda: False, 2):
            pass
        after = sluice.backends()
        assert after["b2"]["connections"] == before["b2"]["connections"]
        assert after["b1"]["connections"] > before["b1"]["connections"]
        sluice.change("backend", "ready", "web", "b2")
        sluice.change("backend", "remove", "web", "[2001:db8:2::13]:80")
        sluice.change("backend", "add", "web", "[2001:db8:2::13]:80", "--weight", "5")
        for _ in load.until(lambda: False, 1):
            pass
        assert all(connection.get() == name for connection, name in opened)
        assert steady.stop()["failed"] == 0
        assert short.stop()["failed"] == 0


def test_kill(topology, sluice):
    """XDP takes over from a dataplane that is killed: connections go on, new ones are made."""
    with connections(topology.client, 10, **SIX) as opened:
        sluice.kill(sluice.dataplane)
        assert all(connection.get() == name for connection, name in opened)
        one_request(topology.client, **SIX)


def test_control_ends(topology, sluice):
    """The program goes on without the process that made it, and finds its IPv6 part."""
    one_request(topology.client, **SIX)
    sluice.kill(sluice.dataplane)
    net.stop(sluice.control)
    assert one_request(topology.client, **SIX)
    sluice.start_control()
    assert one_request(topology.client, **SIX)
