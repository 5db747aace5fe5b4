# SPDX-License-Identifier: BSD-2-Clause
"""What can't go on is answered, by both engines, of both families, and real stacks understand it:
traceroute, connections refused, path MTU."""

import re
import socket

import pytest
from conftest import WEIGHTS
from connection import one_request

import gateway
import topology as net

# pylint: disable=redefined-outer-name
# One instance of each engine for all tests. What they count is a difference.
BOTH = pytest.mark.parametrize("engine", ["auto", "xdp"], scope="module")
FAMILIES = ((net.VIP, socket.AF_INET), (net.VIP6, socket.AF_INET6))
NARROW = 1300


def web(hosts, vip, name):
    backends = [{**gateway.backend(host, weight),
                 "address": host.address6 if ":" in vip else host.address}
                for host, weight in zip(hosts, WEIGHTS)]  # fmt: skip
    return gateway.service(name, backends, vip=vip)


@pytest.fixture(scope="module")
def topology(engine):  # pylint: disable=unused-argument
    """One for each engine: what a test leaves there (a route, what a stack has learned of a path)
    is nothing to the other."""
    with net.Topology(3) as made:
        made.add_ipv6()
        yield made


@pytest.fixture(scope="module")
def sluice(topology, engine):
    """web under both VIPs; port 81 of both, and UDP port 53, have no backend and refuse."""
    hosts = list(topology.backends.values())
    services = [web(hosts, net.VIP, "web"), web(hosts, net.VIP6, "web6")]
    for vip, six in ((net.VIP, ""), (net.VIP6, "6")):
        for protocol, port in (("tcp", 81), ("udp", 53)):
            services.append({"name": f"empty-{protocol}{six}", "vip": vip, "protocol": protocol,
                             "port": port, "table_size": 256, "unavailable": "reject"})  # fmt: skip
    with gateway.Gateway(topology, services) as made:
        made.settings["dataplane"]["engine"] = engine
        made.settings["closed_ports"] = "reject"
        made.write()
        made.start()
        net.wait_for("the backends' neighbours", lambda: all(
            row["state"] == "ready" for name in ("web", "web6")
            for row in made.backends(name).values()))  # fmt: skip
        for vip, _ in FAMILIES:  # the client's neighbour too
            one_request(topology.client, vip=vip)
        yield made


def reasons(sluice):
    return {row["name"]: row["packets"] for row in sluice.json("stats")["reasons"]}


def hops(client, vip, *method):
    """Who answered, hop by hop."""
    said = client.run("traceroute", "-n", "-q", 1, "-w", 2, "-m", 5, "-N", 1, *method, vip)
    return [line.split()[1] for line in said.splitlines()[1:]]


@BOTH
def test_traceroute(topology, sluice):
    """The gateway is a hop of its own address, the VIP the last: by TCP to the service's port. To a
    port that none has, and by ICMP, the VIP is the gateway."""
    before = reasons(sluice)["ttl_answered"]
    for vip, own in ((net.VIP, net.GATEWAY), (net.VIP6, net.GATEWAY6)):
        assert hops(topology.client, vip, "-T", "-p", 80) == [own, vip]
        assert hops(topology.client, vip) == [vip]
        assert hops(topology.client, vip, "-I") == [vip]
    assert reasons(sluice)["ttl_answered"] == before + 2
    counters = topology.client.counters()
    assert counters["Icmp.InCsumErrors"] + counters["Icmp6InCsumErrors"] == 0


@BOTH
def test_refused(topology, sluice):
    """Nobody serves: a client knows at once, by TCP and by UDP, be it that the service has no
    backend or that the port has no service."""
    before = reasons(sluice)
    for vip, family in FAMILIES:
        for port in (81, 82):
            with topology.client.socket(family, socket.SOCK_STREAM) as client:
                client.settimeout(2.0)
                with pytest.raises(ConnectionRefusedError):
                    client.connect((vip, port))
        for port in (53, 54):
            with topology.client.socket(family, socket.SOCK_DGRAM) as client:
                client.settimeout(2.0)
                client.connect((vip, port))
                client.send(b"anybody?")
                with pytest.raises(ConnectionRefusedError):
                    client.recv(64)
    told = {name: number - before[name] for name, number in reasons(sluice).items()}
    assert told["no_backend_answered"] == told["no_service_answered"] == 4
    assert topology.client.counters()["Tcp.InCsumErrors"] == 0


@BOTH
def test_path_mtu(topology, sluice):
    """The way to the backends is narrower than the client's link: its kernel is told by how much."""
    gw, before = topology.gateway, reasons(sluice)["too_big_answered"]
    for family, six in (("-4", False), ("-6", True)):
        for host in topology.backends.values():
            address = host.address6 if six else host.address
            way = re.search(r"(\S+) dev (\S+)", gw.run("ip", family, "route", "get", address))
            gw.run("ip", family, "route", "replace", address, "dev", way[2], "mtu", NARROW)
    for vip, family in FAMILIES:
        with topology.client.socket(family, socket.SOCK_STREAM) as client:
            client.settimeout(5.0)
            client.connect((vip, 80))
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: ")

            def told(vip=vip, client=client):
                """Routes that changed take a moment to get here."""
                client.sendall(b"x" * (NARROW + 100))
                return f"mtu {NARROW}" in topology.client.run("ip", "route", "get", vip)

            net.wait_for(f"what {vip} says of the MTU", told)
            client.sendall(b"\r\n\r\n")
            assert client.recv(64).startswith(b"HTTP/1.1 200")
    assert reasons(sluice)["too_big_answered"] >= before + 2
