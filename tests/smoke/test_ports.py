# SPDX-License-Identifier: BSD-2-Clause
"""Services of another port than their backends, and of a range of ports, by both engines, between
real stacks."""

import socket
import sys

import pytest
from conftest import ECHO, WEIGHTS
from connection import Connection, one_request

import gateway
import topology as net

PORTS = (10000, 10001, 10003)


@pytest.fixture
def sluice(topology, engine):
    """web has ports 80 to 81, of which backends serve the first; media has 10000 to 10003."""
    hosts = list(topology.backends.values())
    portless = [{"name": h.label, "address": h.address, "weight": w} for h, w in zip(hosts, WEIGHTS)]
    services = [
        gateway.service("web", portless, port="80-81"),
        gateway.service("media", portless, protocol="udp", port="10000-10003"),
    ]
    for host in hosts:
        for port in PORTS:
            host.popen(sys.executable, ECHO, host.label, port)
        net.wait_for(
            "UDP echo", lambda h=host: all(
                h.run("ss", "-Hlun", "sport", "=", f":{port}") for port in PORTS)
        )  # fmt: skip
    with gateway.Gateway(topology, services) as made:
        made.settings["dataplane"]["engine"] = engine
        made.write()
        made.start()
        net.wait_for("the backends' neighbours", lambda: all(
            row["state"] == "ready" for row in made.backends().values()))  # fmt: skip
        one_request(topology.client)
        yield made


def answer(client, port):
    """Who answers at that port of the VIP, and from no other."""
    client.sendto(b"x", (net.VIP, port))
    name, peer = client.recvfrom(64)
    assert peer == (net.VIP, port)
    return name.split()[0].decode()


@pytest.mark.parametrize("engine", ["auto", "xdp"])
@pytest.mark.usefixtures("echo")
def test_another_port(topology, idle, engine):
    """TCP and UDP ports of the VIP that are other ones of the backends: clients see the VIP's."""
    hosts = list(topology.backends.values())
    idle.services[:] = [
        gateway.service("web", [gateway.backend(h, 1) for h in hosts], port=8080),
        gateway.service("echo", [gateway.backend(h, 1, port=7) for h in hosts], protocol="udp",
                        port=7007),
    ]  # fmt: skip
    idle.settings["dataplane"]["engine"] = engine
    idle.write()
    idle.start()
    net.wait_for("the backends' neighbours", lambda: all(
        row["state"] == "ready" for row in idle.backends().values()))  # fmt: skip
    assert {one_request(topology.client, port=8080) for _ in range(60)} == set(topology.backends)
    answered = set()
    for _ in range(30):
        with topology.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(2.0)
            answered.add(answer(client, 7007))
    assert answered == set(topology.backends)
    for host in (topology.client, *hosts):
        counters = host.counters()
        assert counters["Tcp.InCsumErrors"] + counters["Udp.InCsumErrors"] == 0


@pytest.mark.parametrize("engine", ["auto", "xdp"])
def test_range(topology, sluice):
    """Every port of a range is served, by one backend for each of a client's ports; what the
    backend refuses, it refuses in the VIP's name; a longer range breaks nothing, nor does a
    restart of control."""
    answered = set()
    for _ in range(12):
        with topology.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(2.0)
            names = {answer(client, port) for port in PORTS}
        assert len(names) == 1
        answered |= names
    assert len(answered) > 1
    with pytest.raises(ConnectionRefusedError):
        one_request(topology.client, port=81)
    with pytest.raises(OSError):
        one_request(topology.client, port=82, timeout=0.5)
    with Connection(topology.client) as held:
        backend = held.get()
        sluice.services[0]["port"] = "80-82"
        sluice.write()
        assert sluice.json("reload")["changes"] == ["service web changed"]
        with pytest.raises(ConnectionRefusedError):
            one_request(topology.client, port=82)
        sluice.kill(sluice.control)
        sluice.start_control()
        assert held.get() == backend
        assert {one_request(topology.client) for _ in range(60)} == set(topology.backends)
    assert "198.51.100.10:80-82" in sluice.ctl("service", "list")
    b3 = topology.backends["b3"].address
    sluice.change("backend", "remove", "web", "b3")
    sluice.change("backend", "add", "web", b3)
    assert f"{b3}:any" in sluice.ctl("backend", "list", "web")
    with pytest.raises(RuntimeError, match="translates none"):
        sluice.ctl("backend", "add", "web", "10.1.0.99:80")
