# SPDX-License-Identifier: BSD-2-Clause
"""Prefixes that are exempt from the reverse rewrite: between a backend and an operator."""

import pytest
from connection import one_request

import topology as net


@pytest.mark.parametrize("engine", ["auto", "xdp"])
def test_direct_from(topology, idle, engine):
    """Who is exempt talks to a backend itself, on the port by which it serves the VIP, once a
    reload says so; an address beside it gets the VIP's answers to what it asked the backend, which
    its kernel resets; the VIP serves all others meanwhile."""
    client, exempt, b1 = topology.client, "198.51.100.77", topology.backends["b1"].address
    idle.settings["dataplane"]["engine"] = engine
    idle.write()
    idle.start()
    topology.gateway.sysctl(net__ipv4__ip_forward=1)
    topology.address(client, "eth0", f"{exempt}/24")
    client.run("ip", "route", "add", "10.1.0.0/24", "via", net.GATEWAY)
    net.wait_for("the backends' neighbours", lambda: all(
        row["state"] == "ready" for row in idle.backends().values()))  # fmt: skip
    with pytest.raises(OSError):
        one_request(client, vip=b1, source=exempt, timeout=1.5)
    idle.settings["direct_from"] = [f"{exempt}/32", "2001:db8:9::/48"]
    idle.write()
    assert idle.json("reload")["changes"] == ["direct_from changed"]
    assert {one_request(client, vip=b1, source=exempt) for _ in range(4)} == {"b1"}
    with pytest.raises(OSError):
        one_request(client, vip=b1, source=net.CLIENT, timeout=1.5)
    assert one_request(client, source=net.CLIENT) in topology.backends
