# SPDX-License-Identifier: BSD-2-Clause
"""VIPs that are prefixes, between real stacks: full NAT, and direct, added live; both over a restart
of control. A client reaches each address as itself."""

import socket
import sys

import pytest
from connection import one_request
from test_fullnat import SERVER, ask
from test_modes import reasons

import gateway
import topology as net

FULL, DIRECT = "203.0.113.0/28", "203.0.113.16/28"


@pytest.fixture
def served(topology, idle, engine):
    hosts = list(topology.backends.values())
    topology.client.run("ip", "route", "add", "203.0.113.0/24", "via", net.GATEWAY)
    topology.gateway.sysctl(net__ipv4__conf__all__rp_filter=0, net__ipv4__conf__be0__rp_filter=0)
    for host in hosts:
        host.popen(sys.executable, "-c", SERVER, host.address)
        net.wait_for("UDP", lambda h=host: h.run("ss", "-Hlun", "sport", "=", ":7"))
        host.run("ip", "route", "add", "local", DIRECT, "dev", "lo")
        host.sysctl(net__ipv4__conf__all__arp_ignore=1, net__ipv4__conf__all__arp_announce=2)
    for service in idle.services:
        service.update(vip=FULL, mode="fullnat", pool="out", table_size=4096)
    idle.settings["pools"] = [{"name": "out", "addresses": ["10.1.0.64/30"]}]
    idle.settings["dataplane"]["engine"] = engine
    idle.settings["dataplane"]["capacity"]["addresses"] = 8
    idle.write()
    idle.start()
    net.wait_for("the backends' neighbours", lambda: all(
        row["state"] == "ready" for name in ("web", "echo")
        for row in idle.backends(name).values()))  # fmt: skip
    return idle


@pytest.mark.parametrize("engine", ["auto", "xdp"])
def test_prefix(topology, served):
    """First, last and other addresses of both; none beyond; a flow's datagrams to two addresses of
    the prefix come back from each."""
    client, names = topology.client, set(topology.backends)
    full, direct = ("203.0.113.0", "203.0.113.7", "203.0.113.15"), ("203.0.113.16", "203.0.113.31")
    for vip in full:
        assert {one_request(client, vip=vip) for _ in range(12)} <= names
    with client.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(2.0)
        for vip in full + full:  # ask() checks who answers
            assert ask(peer, vip, 7)[2] == b"x"
    served.change("service", "add", "near", f"vip={DIRECT}", "protocol=tcp", "port=80",
                  "mode=direct", "table_size=4096")  # fmt: skip
    for host in topology.backends.values():
        served.change("backend", "add", "near", host.address, "--name", host.label)
    for vip in direct:
        assert {one_request(client, vip=vip) for _ in range(12)} <= names
    with pytest.raises(OSError):
        one_request(client, vip="203.0.113.32", timeout=0.5)

    net.stop(served.control)
    served.start_control()
    listed = {row["name"]: row["vip"] for row in served.json("service", "list")["services"]}
    assert listed == {"web": FULL, "echo": FULL, "near": DIRECT}
    for vip in full + direct:
        assert {one_request(client, vip=vip) for _ in range(12)} <= names
    assert reasons(served)["no_service"] == 0
