# SPDX-License-Identifier: BSD-2-Clause
"""Hosts on veths as they come, which leave the checksums of TCP and UDP to their interface."""

import socket

import pytest
from both_families import VIPS, serving
from connection import one_request
from test_merging import bridged  # pylint: disable=unused-import

import load
import topology as net

PORTS = ("client", "backends")
BOTH = pytest.mark.parametrize("vip", VIPS)


@pytest.fixture(scope="module", params=["auto", "xdp"])
def standing(request):
    with net.Topology(3) as topology:
        for host in hosts(topology):
            host.run("ethtool", "-K", "eth0", "tx", "on", "tso", "on", "gso", "on")
        topology.switch.run("ethtool", "-K", "gw", "tx", "on")  # or it completes what it passes on
        with serving(topology, request.param) as sluice:
            yield topology, sluice


def hosts(topology):
    return (topology.client, *topology.backends.values())


def errors(topology):
    return [
        host.counters()[name]
        for host in hosts(topology)
        for name in ("Tcp.InCsumErrors", "Udp.InCsumErrors", "Udp6InCsumErrors")
    ]


def completed(sluice):
    ports = {row["name"]: row for row in sluice.json("status")["ports"]}
    return [ports[name]["checksums_completed"] for name in PORTS]


@BOTH
def test_tcp(standing, vip):
    """Connections work from the first on, and a download arrives whole; what was completed is
    counted at both ports, and told once."""
    topology, sluice = standing
    before = completed(sluice)
    for _ in range(20):
        assert one_request(topology.client, vip=vip) in topology.backends
    blob = load.Blob(topology, 10)
    where = f"[{vip}]" if ":" in vip else vip
    assert load.Download(topology, blob, 1, where).wait(60)[0] == "ok"
    assert not any(errors(topology))
    assert all(now > was for now, was in zip(completed(sluice), before))
    for port, device in zip(PORTS, ("cl0", "be0")):
        told = f"port {port}: hosts at {device} leave TCP and UDP checksums to their interface"
        net.wait_for("the log", lambda told=told: told in sluice.said(sluice.control))
        assert sluice.said(sluice.control).count(told) == 1


@BOTH
def test_udp(standing, vip):
    """Datagrams of odd and even lengths."""
    topology, _ = standing
    family = socket.AF_INET6 if ":" in vip else socket.AF_INET
    with topology.client.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        for size in (0, 1, 2, 31, 32, 33, 1400, 1401):
            sent = (bytes(range(256)) * 6)[:size]
            client.sendto(sent, (vip, 7))
            assert client.recv(2000)[3:] == sent
    assert not any(errors(topology))


def test_generic_xdp(topology, bridged):  # pylint: disable=redefined-outer-name
    """It can't complete them, and says so."""
    for host in hosts(topology):
        host.run("ethtool", "-K", "eth0", "tx", "on")
    bridged.settings["dataplane"]["engine"] = "xdp"
    bridged.write()
    bridged.start()
    said = "port client: hosts there leave TCP and UDP checksums to their interface, which generic XDP"

    def told():
        try:
            one_request(topology.client, timeout=1.0)
        except OSError:
            pass
        return any(line.startswith(said) for line in bridged.json("status")["problems"])

    net.wait_for("the problem", told)
    assert completed(bridged) == [0, 0]
