# SPDX-License-Identifier: BSD-2-Clause
"""Packets to a VIP reach backends and come back; all others are the kernel's."""

import collections
import socket

import pytest
from connection import Connection, one_request
from shared import echo, idle, sluice, topology  # pylint: disable=unused-import
from scapy.layers.l2 import ARP, Ether

import gateway
import load
import topology as net

ETH_P_ARP = 0x0806

# pylint: disable=redefined-outer-name
pytestmark = pytest.mark.usefixtures("sluice")


@pytest.mark.quick
def test_http(topology, sluice):
    """60 connections to the VIP: each is answered by a backend, every backend answers some, and no
    packet had a wrong checksum at either end."""
    one_request(topology.client)  # the neighbours are known from now on
    before = sluice.backends()
    answers = collections.Counter(one_request(topology.client) for _ in range(60))
    assert sum(answers.values()) == 60
    assert set(answers) == {"b1", "b2", "b3"}
    for host in (topology.client, *topology.backends.values()):
        assert host.counters()["Tcp.InCsumErrors"] == 0
    after = sluice.backends()
    counted = {name: row["connections"] - before[name]["connections"] for name, row in after.items()}
    assert counted == answers


def test_large_answer(topology):
    """20 MB in full frames through the VIP arrive as they were sent."""
    download = load.Download(topology, load.Blob(topology, 20), seconds=1)
    assert download.wait(60)[0] == "ok"


@pytest.mark.quick
@pytest.mark.usefixtures("echo")
def test_udp(topology):
    """40 flows of 5 datagrams: each comes back from the VIP, a flow stays with its backend, every
    backend has some."""
    seen = collections.Counter()
    for flow in range(40):
        with topology.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(2.0)
            names = set()
            for number in range(5):
                payload = f"flow {flow} number {number}".encode()
                reply, peer = udp_exchange(client, payload, again=number == 0)
                name, _, rest = reply.partition(b" ")
                assert (rest, peer) == (payload, (net.VIP, 7))
                names.add(name.decode())
        assert len(names) == 1
        seen += collections.Counter(names)
    assert set(seen) == {"b1", "b2", "b3"}
    for host in (topology.client, *topology.backends.values()):
        assert host.counters()["Udp.InCsumErrors"] == 0


def udp_exchange(client, payload, again):
    """What comes back for PAYLOAD; the first datagrams may fall to a neighbour not yet resolved."""
    for attempt in range(3 if again else 1):
        client.sendto(payload, (net.VIP, 7))
        try:
            return client.recvfrom(2048)
        except socket.timeout:
            if attempt == 2 or not again:
                raise
    raise AssertionError


@pytest.mark.parametrize("target", [net.GATEWAY, net.INSIDE, "10.1.0.12"])
def test_ping_is_the_kernels(topology, target):
    """The gateway's own addresses, and backends behind it, answer the client's pings."""
    topology.client.run("ip", "route", "replace", "10.1.0.0/24", "via", net.GATEWAY)
    said = topology.client.run("ping", "-c", 3, "-i", 0.2, "-W", 2, target)
    assert "3 packets transmitted, 3 received" in said


def test_kernel_serves_its_own_tcp(topology):
    """A server of the gateway itself, on the port that the VIP has too, is not ours."""
    with topology.gateway.socket() as server, topology.client.socket() as client:
        server.bind((net.GATEWAY, 80))
        server.listen()
        client.settimeout(5.0)
        client.connect((net.GATEWAY, 80))
        peer, _ = server.accept()
        with peer:
            peer.sendall(b"kernel")
            assert client.recv(16) == b"kernel"


def test_arp_of_the_vip(topology):
    """Asked on the wire who has the VIP, the gateway's port answers; for a neighbouring address
    that is nobody's, no one does."""
    ours, theirs = topology.client.mac("eth0"), topology.gateway.mac("cl0")
    wire = topology.client.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP))
    with wire:
        wire.bind(("eth0", ETH_P_ARP))
        wire.settimeout(1.0)

        def ask(address):
            wire.send(bytes(
                Ether(src=ours, dst="ff:ff:ff:ff:ff:ff")
                / ARP(op=1, hwsrc=ours, psrc=net.CLIENT, pdst=address)
            ))  # fmt: skip
            while True:
                answer = Ether(wire.recv(2048))
                if ARP in answer and answer[ARP].op == 2 and answer[ARP].psrc == address:
                    return answer

        answer = ask(net.VIP)
        assert (answer.src, answer.dst) == (theirs, ours)
        assert (answer[ARP].hwsrc, answer[ARP].hwdst) == (theirs, ours)
        assert (answer[ARP].psrc, answer[ARP].pdst) == (net.VIP, net.CLIENT)
        with pytest.raises(socket.timeout):
            ask("198.51.100.77")


def test_port_without_service(topology):
    """A port of the VIP that is no service is dropped, not refused: the kernel never saw it."""
    before = topology.gateway.counters()["Tcp.OutRsts"]
    with pytest.raises(socket.timeout):
        Connection(topology.client, port=81, timeout=1.0)
    assert topology.gateway.counters()["Tcp.OutRsts"] == before


def test_shares_follow_weights(topology, sluice):
    """Some ten thousand new connections divide as 10 : 20 : 30, within 3 points, none fails."""
    one_request(topology.client)
    before = sluice.backends()
    requests = load.Requests(topology.client, 16, 4, close=True)

    def enough():
        return gateway.shares(before, sluice.backends())[1] >= 10000

    for _ in load.until(enough, 60):
        pass
    assert requests.stop()["failed"] == 0
    after = sluice.backends()
    shares, total = gateway.shares(before, after)
    assert total >= 10000
    assert shares == pytest.approx(gateway.due(after), abs=3.0)
