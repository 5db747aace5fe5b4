# SPDX-License-Identifier: BSD-2-Clause
"""Clients on the link whom nobody knows yet: each test speaks from addresses that were never used
before, so that the client has to ask for the VIP and the gateway doesn't know whom it answers."""

import itertools
import socket

import pytest
from both_families import VIPS, serving
from connection import one_request

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


def counted(sluice, reason):
    return {row["name"]: row["packets"] for row in sluice.json("stats")["reasons"]}[reason]


@pytest.mark.parametrize("vip", VIPS)
def test_first_datagram(standing, vip):
    """One datagram of an unknown client is one answer: none is lost while it is resolved."""
    topology, sluice = standing
    before = counted(sluice, "no_neighbour")
    for _ in range(CLIENTS):
        with topology.client.socket(socket.AF_INET6 if ":" in vip else socket.AF_INET,
                                    socket.SOCK_DGRAM) as client:  # fmt: skip
            client.bind((fresh(topology, vip), 0))
            client.settimeout(5)
            client.sendto(b"first", (vip, 7))
            assert client.recv(100).endswith(b"first")
    assert counted(sluice, "no_neighbour") == before


@pytest.mark.parametrize("vip", VIPS)
def test_first_connection(standing, vip):
    """A connection of an unknown client isn't a second late."""
    topology, sluice = standing
    before = counted(sluice, "no_neighbour")
    for _ in range(CLIENTS):
        address = fresh(topology, vip)
        assert one_request(topology.client, vip=vip, source=address) in topology.backends
    assert counted(sluice, "no_neighbour") == before
    assert topology.client.counters()["TcpExt.TCPSynRetrans"] == 0
