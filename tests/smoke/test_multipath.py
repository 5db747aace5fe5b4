# SPDX-License-Identifier: BSD-2-Clause
"""Multipath routes, towards the clients and towards the backends: each flow takes one of the next
hops and keeps it, and one that goes is replaced.

    client                     gw                     b1, b2
    eth0   198.51.100.2   ---- cl0   be0 ------------ eth0 10.1.0.11, 10.1.0.12
    left   198.51.100.21                              lo   10.77.0.1: both of them answer for it
    right  198.51.100.22       10.77.0.0/24 by b1 and b2
    lo     203.0.113.1         203.0.113.0/24 by left (weight 1) and right (weight 3)
"""

import socket
import sys

import gateway
import pytest
from conftest import ECHO
from test_modes import reasons

import topology as net

ADDRESS, REMOTE, FLOWS = "10.77.0.1", "203.0.113.1", 40


@pytest.fixture
def multipath(topology):
    gw, client = topology.gateway, topology.client
    for name in ("b1", "b2"):
        host = topology.backends[name]
        host.run("ip", "addr", "add", f"{ADDRESS}/32", "dev", "lo")
        host.popen(sys.executable, ECHO, name, 7, ADDRESS)
        net.wait_for("UDP echo", lambda host=host: host.run("ss", "-Hlun", "sport", "=", ":7"))
    client.sysctl(net__ipv4__conf__all__arp_ignore=1, net__ipv4__conf__all__rp_filter=0,
                  net__ipv4__conf__default__rp_filter=0)  # fmt: skip
    for name, last in (("left", 21), ("right", 22)):
        client.run("ip", "link", "add", name, "link", "eth0", "type", "macvlan", "mode", "bridge")
        client.run("ip", "addr", "add", f"198.51.100.{last}/32", "dev", name)
        client.run("ip", "link", "set", name, "up")
    client.run("ip", "addr", "add", f"{REMOTE}/32", "dev", "lo")
    gw.run("ip", "route", "add", "10.77.0.0/24", "nexthop", "via", "10.1.0.11",
           "nexthop", "via", "10.1.0.12")  # fmt: skip
    gw.run("ip", "route", "add", "203.0.113.0/24", "nexthop", "via", "198.51.100.21", "weight", 1,
           "nexthop", "via", "198.51.100.22", "weight", 3)  # fmt: skip
    service = gateway.service("echo", [{"name": "any", "address": ADDRESS}], protocol="udp", port=7)
    with gateway.Gateway(topology, [service]) as sluice:
        yield topology, sluice


@pytest.mark.parametrize("engine", ["auto", "xdp"])
def test_multipath(multipath, engine):
    topology, sluice = multipath
    client, gw = topology.client, topology.gateway

    def flow(number):
        """Who answers, and by which interface of the client the answer comes."""
        before = received()
        with client.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind((REMOTE, 20000 + number))
            s.settimeout(2)
            s.sendto(b"?", (net.VIP, 7))
            by = s.recv(100).split()[0].decode()
        after = received()
        return by, max(after, key=lambda name: after[name] - before[name])

    def received():
        text = client.run("cat", "/proc/net/dev")
        return {line.split(":")[0].strip(): int(line.split(":")[1].split()[1])
                for line in text.splitlines() if line.strip().startswith(("left", "right"))}  # fmt: skip

    def flows():
        return [patient(number) for number in range(FLOWS)]

    def patient(number):
        """Where machines are busy a datagram may be lost; where flows go is what counts here."""
        try:
            return flow(number)
        except TimeoutError:
            print(f"flow {number} lost a datagram:", reasons(sluice))
            return flow(number)

    def share(found, which, name):
        return sum(each[which] == name for each in found) / FLOWS

    sluice.settings["dataplane"]["engine"] = engine
    sluice.write()
    sluice.start()
    net.wait_for("an answer", lambda: answers(flow), 20)
    first = flows()
    assert 0.25 < share(first, 0, "b1") < 0.75
    assert 0.05 < share(first, 1, "left") < 0.45
    assert flows() == first
    gw.run("ip", "route", "replace", "203.0.113.0/24", "nexthop", "via", "198.51.100.22", "weight", 3,
           "nexthop", "via", "198.51.100.21", "weight", 1)  # fmt: skip
    assert flows() == first  # whichever stands first
    client.run("ip", "link", "set", "left", "down")
    topology.backends["b2"].run("ip", "link", "set", "eth0", "down")
    gw.run("ip", "neigh", "flush", "dev", "cl0")
    gw.run("ip", "neigh", "flush", "dev", "be0")

    def one_is_left():
        return all(answers(flow, number) == ("b1", "right") for number in range(8))

    net.wait_for("the others to take over", one_is_left, 20)
    assert set(flows()) == {("b1", "right")}


def answers(flow, number=0):
    try:
        return flow(number)
    except OSError:
        return None
