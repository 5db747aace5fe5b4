# SPDX-License-Identifier: BSD-2-Clause
"""A VIP that is an address of the gateway itself: here cl0's, where the gateway runs a server of its
own on port 22."""

import socket
import subprocess

import pytest
from connection import one_request

import gateway
import topology as net

SERVER = "import socket; s = socket.create_server(('', 22))\nwhile 1: s.accept()[0].close()"


@pytest.fixture
def own(topology, idle):
    for service in idle.services:
        service["vip"] = net.GATEWAY
    idle.write()
    topology.gateway.popen("/usr/bin/python3", "-c", SERVER)
    net.wait_for("the gateway's server",
                 lambda: topology.gateway.run("ss", "-Hltn", "sport", "=", ":22"))  # fmt: skip
    return idle


def reaches_gateway(topology):
    with topology.client.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        try:
            client.connect((net.GATEWAY, 22))
        except OSError:
            return False
    return True


def pings(topology):
    ping = topology.client.command("ping", "-c", "1", "-W", "1", net.GATEWAY)
    return subprocess.run(ping, stdout=subprocess.DEVNULL, check=False).returncode == 0


def test_refused(own):
    """At the first start, at a reload, and where a service is added live."""
    status, said = own.run("control", "-c", own.file)
    assert status == gateway.EXIT_CONFIG, said
    assert f"service web: vip {net.GATEWAY} is an address of the gateway itself" in said
    assert "shared_vip = true" in said
    for service in own.services:
        service["vip"] = net.VIP
    own.settings["dataplane"]["engine"] = "xdp"
    own.write()
    own.start()
    own.services[0]["vip"] = net.GATEWAY
    own.write()
    with pytest.raises(RuntimeError, match="is an address of the gateway itself"):
        own.ctl("reload")
    with pytest.raises(RuntimeError, match="is an address of the gateway itself"):
        own.ctl("service", "add", "more", f"vip={net.INSIDE}", "protocol=tcp", "port=80")
    assert not any("gateway itself" in text for text in own.json("status")["problems"])


@pytest.mark.parametrize("engine", ["auto", "xdp"])
def test_shared(topology, own, engine):
    """The services' ports are ours, everything else is the kernel's."""
    own.settings["dataplane"]["engine"] = engine
    own.services[0]["shared_vip"] = True
    own.services[1]["shared_vip"] = True
    own.write()
    own.start()
    net.wait_for("an answer", lambda: answers(topology, net.GATEWAY))
    answered = {one_request(topology.client, vip=net.GATEWAY) for _ in range(40)}
    assert answered == set(topology.backends)
    assert reaches_gateway(topology) and pings(topology)
    topology.client.run("ip", "neigh", "flush", "dev", "eth0")
    assert pings(topology)
    assert not any("gateway itself" in text for text in own.json("status")["problems"])


def answers(topology, vip):
    try:
        return one_request(topology.client, vip=vip, timeout=1.0)
    except OSError:
        return None


def test_came_later(topology, idle):
    """A VIP that becomes the gateway's is served as before, also by the next control, with a problem
    that says what is lost; a reload may then share it."""

    def told():
        return [text for text in idle.json("status")["problems"] if "gateway itself" in text]

    idle.settings["dataplane"]["engine"] = "xdp"
    idle.write()
    idle.start()
    net.wait_for("an answer", lambda: answers(topology, net.VIP))
    topology.gateway.run("ip", "addr", "add", f"{net.VIP}/32", "dev", "cl0")
    net.wait_for("the problem", told)
    net.stop(idle.control)
    idle.start_control()
    lost = f"service web: its VIP {net.VIP} is an address of the gateway itself"
    assert any(lost in text for text in told())  # the order is the adopted tables'
    assert answers(topology, net.VIP)
    for service in idle.services:
        service["shared_vip"] = True
    idle.write()
    idle.change("reload")
    net.wait_for("no problem", lambda: not told())
    assert answers(topology, net.VIP)


def test_live(topology, idle):
    """A service that was added live can't stop sharing its VIP either. If its VIP has become the
    gateway's, a start from nothing leaves it out, and serves the others."""
    idle.settings["dataplane"]["engine"] = "xdp"
    idle.write()
    idle.start_control()
    idle.ctl("service", "add", "shared", f"vip={net.GATEWAY}", "protocol=tcp", "port=80",
             "shared_vip=true")  # fmt: skip
    with pytest.raises(RuntimeError, match="service shared: vip .* is an address of the gateway"):
        idle.ctl("service", "set", "shared", "shared_vip=false")
    idle.ctl("service", "add", "moved", "vip=203.0.113.77", "protocol=tcp", "port=80")
    topology.gateway.run("ip", "address", "add", "203.0.113.77/32", "dev", "lo")
    net.stop(idle.control)
    assert idle.run("control", "-c", idle.file, "--detach")[0] == 0
    idle.start_control()
    idle.expect(idle.control, "service moved is left out: service moved: vip 203.0.113.77 is an")
    names = {row["name"] for row in idle.json("service", "list")["services"]}
    assert names == {"web", "echo", "shared"}
