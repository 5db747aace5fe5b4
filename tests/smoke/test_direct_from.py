# SPDX-License-Identifier: BSD-2-Clause
"""Prefixes that are exempt from the reverse rewrite: between a backend and an operator."""

import pytest
from connection import one_request

import topology as net


@pytest.mark.parametrize("six", [False, True], ids=["4", "6"])
@pytest.mark.parametrize("engine", ["auto", "xdp"])
def test_direct_from(topology, idle, engine, six):
    """Who is exempt talks to a backend itself, on the port by which it serves the VIP, once a
    reload says so; an address beside it gets the VIP's answers to what it asked the backend, which
    its kernel resets; the VIP serves all others meanwhile."""
    client, b1 = topology.client, topology.backends["b1"]
    vip, usual, exempt = net.VIP, net.CLIENT, "198.51.100.77"
    address, inside, via, bits = b1.address, "10.1.0.0/24", net.GATEWAY, 24
    if six:
        topology.add_ipv6()
        vip, usual, exempt = net.VIP6, net.CLIENT6, "2001:db8:1::77"
        address, inside, via, bits = b1.address6, "2001:db8:2::/64", net.GATEWAY6, 64
        for service in idle.services:
            service["vip"] = vip
            for host, backend in zip(topology.backends.values(), service["backends"]):
                backend["address"] = host.address6
    idle.settings["dataplane"]["engine"] = engine
    idle.write()
    idle.start()
    client.run("ip", "addr", "add", f"{exempt}/{bits}", "dev", "eth0", *(["nodad"] if six else []))
    client.run("ip", "route", "add", inside, "via", via)
    net.wait_for("the backends' neighbours", lambda: all(
        row["state"] == "ready" for row in idle.backends().values()))  # fmt: skip
    with pytest.raises(OSError):
        one_request(client, vip=address, source=exempt, timeout=0.8)
    idle.settings["direct_from"] = [f"{exempt}/{128 if six else 32}", "2001:db8:9::/48"]
    idle.write()
    assert idle.json("reload")["changes"] == ["direct_from changed"]
    assert {one_request(client, vip=address, source=exempt) for _ in range(4)} == {"b1"}
    with pytest.raises(OSError):
        one_request(client, vip=address, source=usual, timeout=0.8)
    assert one_request(client, vip=vip, source=usual) in topology.backends
