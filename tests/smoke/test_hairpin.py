# SPDX-License-Identifier: BSD-2-Clause
"""Backends that call a VIP of their own, between real stacks: refused with NAT, whose answers would
never come, and answered with full NAT. A client of another link is served by both."""

import re
import socket
import sys

import pytest
from connection import one_request
from test_fullnat import SERVER, ask
from test_modes import family_of, reasons

import gateway
import topology as net

POOL = ["10.1.0.64/30", "2001:db8:2::640/126"]


@pytest.fixture
def served(topology, idle, engine, six):
    """`web` and `echo` by NAT at port 80 and 7, and by full NAT at 8080 and 77."""
    if six:
        topology.add_ipv6()
    hosts = list(topology.backends.values())
    for host in hosts:
        host.popen(sys.executable, "-c", SERVER, host.address6 if six else host.address)
        net.wait_for("UDP", lambda h=host: h.run("ss", "-Hlun", "sport", "=", ":7"))
    more = {"mode": "fullnat", "pool": "out"}
    idle.services += [
        gateway.service("web-too", [gateway.backend(h, 1) for h in hosts], port=8080, **more),
        gateway.service("echo-too", [gateway.backend(h, 1, port=7) for h in hosts], protocol="udp",
                        port=77, **more)]  # fmt: skip
    for service in idle.services:
        service["table_size"] = 4096
        if six:
            service["vip"] = net.VIP6
            for host, backend in zip(hosts, service["backends"]):
                backend["address"] = host.address6
    idle.settings["pools"] = [{"name": "out", "addresses": POOL[six : six + 1]}]
    idle.settings["dataplane"]["engine"] = engine
    idle.settings["dataplane"]["capacity"]["addresses"] = 8
    idle.write()
    idle.start()
    net.wait_for("the backends' neighbours", lambda: all(
        row["state"] == "ready" for name in ("web", "echo-too")
        for row in idle.backends(name).values()))  # fmt: skip
    return idle


def hairpins(sluice, service):
    listed = {row["name"]: row for row in sluice.json("service", "list")["services"]}
    return listed[service]["hairpin"]


@pytest.mark.parametrize(("engine", "six"), [("auto", 0), ("xdp", 0), ("auto", 1), ("xdp", 1)],
                         ids=["auto-4", "xdp-4", "auto-6", "xdp-6"])  # fmt: skip
def test_hairpin(topology, served, six):
    """Whichever backend is picked, itself or another one of its link: a SYN and a datagram are
    refused, and counted for their service."""
    vip, caller = net.VIP6 if six else net.VIP, topology.backends["b1"]
    assert one_request(topology.client, vip=vip) in topology.backends
    before = served.backends()
    with caller.socket(family_of(vip), socket.SOCK_STREAM) as peer:
        peer.settimeout(0.3)
        with pytest.raises(TimeoutError):
            peer.connect((vip, 80))
    with caller.socket(family_of(vip), socket.SOCK_DGRAM) as peer:
        peer.settimeout(0.3)
        assert ask(peer, vip, 7) is None
    assert hairpins(served, "web") == 1 and hairpins(served, "echo") == 1
    assert reasons(served)["hairpin"] == 2
    net.wait_for("problem lines", lambda: {
        re.match("service (.*): backends, or hosts on their link, .*fullnat", line)[1]
        for line in served.json("status")["problems"] if "(hairpin)" in line
    } == {"web", "echo"})  # fmt: skip
    assert gateway.shares(before, served.backends())[1] == 0  # nobody was sent that SYN

    answered = {one_request(caller, vip=vip, port=8080) for _ in range(30)}
    assert answered == set(topology.backends)
    with caller.socket(family_of(vip), socket.SOCK_DGRAM) as peer:
        peer.settimeout(2.0)
        address, _, data = ask(peer, vip, 77)
        assert address.startswith("2001:db8:2::64" if six else "10.1.0.6") and data == b"x"
    assert one_request(topology.client, vip=vip) in topology.backends
    assert reasons(served)["hairpin"] == 2


@pytest.mark.parametrize(("engine", "six"), [("xdp", 0)], ids=["xdp-4"])
def test_one_arm(topology, served):
    """All by one port: a client of another subnet is served, one of the backends' own isn't."""
    outside = net.Namespace(f"{topology.name}-outside")
    topology.add_host(outside)
    topology.link(topology.switch, "p9", outside, "eth0")
    topology.switch.run("ip", "link", "set", "p9", "master", "br0")
    topology.address(outside, "eth0", "10.2.0.2/24")
    outside.run("ip", "route", "add", "default", "via", "10.2.0.1")
    topology.gateway.run("ip", "address", "add", "10.2.0.1/24", "dev", "be0")
    net.wait_for("an answer", lambda: answers(outside))
    assert {one_request(outside) for _ in range(60)} == set(topology.backends)
    assert reasons(served)["hairpin"] == 0
    topology.address(outside, "eth0", "10.1.0.99/24")
    outside.run("ip", "route", "replace", "default", "via", net.INSIDE, "src", "10.1.0.99")
    assert not answers(outside)
    assert hairpins(served, "web") == reasons(served)["hairpin"] == 1


def answers(host):
    try:
        return one_request(host, timeout=0.5)
    except OSError:
        return None
