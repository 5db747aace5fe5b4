# SPDX-License-Identifier: BSD-2-Clause
"""Clients on the link whom nobody knows yet: each test speaks from addresses that were never used
before, so that the client has to ask for the VIP and the gateway doesn't know whom it answers."""

import itertools
import socket

import pytest
from both_families import VIPS, serving
from connection import one_request
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

import topology as net

FRESH = itertools.count(100)
CLIENTS = 10


@pytest.fixture(scope="module", params=["auto", "xdp"])
def standing(request):
    with net.Topology(3) as topology, serving(topology, request.param) as sluice:
        yield topology, sluice


def fresh(topology, vip):
    """An address of the client's that no neighbour has heard of, and a client that has to ask for
    the VIP."""
    six = ":" in vip
    address = f"2001:db8:1::{next(FRESH):x}" if six else f"198.51.100.{next(FRESH)}"
    topology.client.run("ip", "addr", "add", f"{address}/{64 if six else 24}", "dev", "eth0",
                        *(["nodad"] if six else []))  # fmt: skip
    topology.client.run("ip", "neigh", "flush", "to", vip, "dev", "eth0")
    return address


def stats(sluice):
    """How many packets waited, and those that were dropped for want of a neighbour."""
    answer = sluice.json("stats")
    rows = {row["name"]: row["packets"] for row in answer["reasons"]}
    names = ("no_neighbour", "neighbour_failed", "neighbour_queue_full")
    return {"waited": sum(worker["waited"] for worker in answer["workers"]),
            **{name: rows[name] for name in names}}  # fmt: skip


@pytest.mark.parametrize("vip", VIPS)
def test_first_datagram(standing, vip):
    """One datagram of an unknown client is one answer: none is lost while it is resolved."""
    topology, sluice = standing
    before = stats(sluice)
    for _ in range(CLIENTS):
        with topology.client.socket(socket.AF_INET6 if ":" in vip else socket.AF_INET,
                                    socket.SOCK_DGRAM) as client:  # fmt: skip
            client.bind((fresh(topology, vip), 0))
            client.settimeout(5)
            client.sendto(b"first", (vip, 7))
            assert client.recv(100).endswith(b"first")
    assert stats(sluice) == before


@pytest.mark.parametrize("vip", VIPS)
def test_first_connection(standing, vip):
    """A connection of an unknown client isn't a second late."""
    topology, sluice = standing
    before = stats(sluice)
    for _ in range(CLIENTS):
        address = fresh(topology, vip)
        assert one_request(topology.client, vip=vip, source=address) in topology.backends
    assert stats(sluice) == before
    assert topology.client.counters()["TcpExt.TCPSynRetrans"] == 0


def silent(topology, vip):
    """An address that is never asked for the VIP's MAC address, so that nothing tells its own."""
    address = fresh(topology, vip)
    mac = topology.gateway.mac("cl0")
    topology.client.run("ip", "neigh", "replace", vip, "lladdr", mac, "dev", "eth0", "nud", "permanent")
    return address


@pytest.mark.parametrize("vip", VIPS)
def test_waits(standing, vip):
    """Answers to a client that nothing is known of wait in a worker until it is resolved."""
    topology, sluice = standing
    if not sluice.dataplane:
        return  # XDP can't keep a packet
    before = stats(sluice)
    with topology.client.socket(socket.AF_INET6 if ":" in vip else socket.AF_INET,
                                socket.SOCK_DGRAM) as client:  # fmt: skip
        client.bind((silent(topology, vip), 0))
        client.settimeout(5)
        for number in range(5):
            client.sendto(bytes([number]), (vip, 7))
        assert sorted(client.recv(100)[-1] for _ in range(5)) == [0, 1, 2, 3, 4]
    topology.client.run("ip", "neigh", "del", vip, "dev", "eth0")
    after = stats(sluice)
    assert after["waited"] > before["waited"]
    assert {name for name in before if after[name] != before[name]} <= {"waited"}


def test_waits_in_vain(standing):
    """For whom nobody answers a queue fills, overflows and is dropped, each by its name."""
    topology, sluice = standing
    before = stats(sluice)
    frame = bytes(
        Ether(src=topology.client.mac("eth0"), dst=topology.gateway.mac("cl0"))
        / IP(src="198.51.100.99", dst=net.VIP) / UDP(sport=1, dport=7) / b"in vain"
    )  # fmt: skip
    with topology.client.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind(("eth0", 0))
        for _ in range(40):
            raw.send(frame)

    def change():
        return {name: value - before[name] for name, value in stats(sluice).items()}

    due = {"waited": 16, "neighbour_failed": 16, "neighbour_queue_full": 24, "no_neighbour": 0}
    if not sluice.dataplane:
        due = {"waited": 0, "neighbour_failed": 0, "neighbour_queue_full": 0, "no_neighbour": 40}
    net.wait_for(f"{due}", lambda: change() == due)
