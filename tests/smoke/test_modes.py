# SPDX-License-Identifier: BSD-2-Clause
"""Modes in which replies bypass the gateway, through both engines, between real stacks.

Backends have the VIP on lo; a small XDP program on their interface takes tunnels apart
(decap.bpf.c). What they answer goes through the gateway's kernel, as through any router: Sluice
sees one half of each connection.
"""

import os
import socket
import subprocess
import sys

import pytest
from connection import one_request
from test_icmp import far  # pylint: disable=unused-import

import gateway
import load
import topology as net

DECAP = os.path.join(os.path.dirname(__file__), "decap.bpf.c")
SPREAD = "172.16.0.0/16"
MODES = {
    "direct": {"mode": "direct"},
    "ipip": {"mode": "ipip", "tunnel_source": net.INSIDE},
    "ipip-spread": {"mode": "ipip", "tunnel_source": SPREAD},
    "gue": {"mode": "gue", "tunnel_source": net.INSIDE},
    "gue-0": {"mode": "gue", "tunnel_source": net.INSIDE, "gue_variant": 0},
}
NAMES = {"b1", "b2", "b3"}

# TCP: takes what comes until its end, and says how much that was. UDP: sends it back, from the VIP.
SERVER = """
import socket, sys, threading
echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
echo.bind((sys.argv[1], 7))
def answer():
    while True:
        echo.sendto(*echo.recvfrom(65536))
threading.Thread(target=answer, daemon=True).start()
server = socket.create_server(("", 9), backlog=16)
while True:
    peer, _ = server.accept()
    n = 0
    while data := peer.recv(65536):
        n += len(data)
    peer.sendall(str(n).encode())
    peer.close()
"""

BOTH = pytest.mark.parametrize("engine", ["dpdk", "xdp"])
EACH = pytest.mark.parametrize("mode", MODES)


@pytest.fixture(scope="module")
def decap(tmp_path_factory):
    """The compiled program."""
    path = tmp_path_factory.mktemp("bpf") / "decap.bpf.o"
    subprocess.run(
        ["clang", "-target", "bpf", "-O2", "-g", "-I/usr/include/x86_64-linux-gnu",
         "-c", DECAP, "-o", path],
        check=True, timeout=60,
    )  # fmt: skip
    return path


@pytest.fixture
def served(topology, idle, decap, engine, mode):
    """Backends that have the VIP, and an instance that serves them by that mode."""
    for host in topology.backends.values():
        host.run("ip", "address", "add", f"{net.VIP}/32", "dev", "lo")
        host.sysctl(net__ipv4__conf__all__arp_ignore=1, net__ipv4__conf__all__arp_announce=2)
        host.run("ip", "link", "set", "dev", "eth0", "xdp", "obj", decap, "sec", "xdp")
        host.popen(sys.executable, "-c", SERVER, net.VIP)
        net.wait_for("the servers", lambda h=host: h.run("ss", "-Hltn", "sport", "=", ":9"))
    # The kernel forwards what comes from the VIP, which it has a route to elsewhere.
    topology.gateway.sysctl(net__ipv4__conf__all__rp_filter=0)
    topology.gateway.sysctl(net__ipv4__conf__be0__rp_filter=0)
    for service in idle.services:
        service.update(MODES[mode])
    sink = [gateway.backend(host, 10, port=9) for host in topology.backends.values()]
    idle.services.append(gateway.service("sink", sink, port=9, **MODES[mode]))
    if engine == "xdp":
        idle.settings["dataplane"]["engine"] = "xdp"
        del idle.settings["dataplane"]["cores"]
    idle.write()
    idle.start()
    net.wait_for("the backends' neighbours", lambda: all(
        row["state"] == "ready" for row in idle.backends().values()))  # fmt: skip
    return idle


def reasons(sluice):
    return {row["name"]: row["packets"] for row in sluice.json("stats")["reasons"]}


def upload(client, megabytes):
    """How much of it arrived."""
    with client.socket(socket.AF_INET, socket.SOCK_STREAM) as peer:
        peer.settimeout(10)
        peer.connect((net.VIP, 9))
        peer.sendall(bytes(megabytes << 20))
        peer.shutdown(socket.SHUT_WR)
        return int(peer.recv(64))


def assert_sums(*hosts):
    """No stack found a checksum that is wrong."""
    for host in hosts:
        counters = host.counters()
        for name in ("Ip.InHdrErrors", "Icmp.InCsumErrors", "Tcp.InCsumErrors", "Udp.InCsumErrors"):
            assert counters.get(name, 0) == 0, (host.name, name)


@BOTH
@EACH
def test_mode(topology, served, mode):
    """Requests, a download, UDP, and an upload whose full-size segments outgrow the tunnel: the
    client is told once and goes on with smaller ones."""
    client, blob = topology.client, load.Blob(topology, 10)
    assert {one_request(client) for _ in range(60)} == NAMES
    assert load.Download(topology, blob, seconds=1).wait(30)[0] == "ok"
    assert upload(client, 4) == 4 << 20
    with client.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(2.0)
        peer.sendto(b"over there", (net.VIP, 7))
        assert peer.recvfrom(2048)[1] == (net.VIP, 7)
    said = reasons(served)
    assert said["to_backend"] > 1000 and said["to_client"] == 0 and said["no_room"] == 0
    assert (said["too_big_told"] > 0) == (mode != "direct")
    assert_sums(client, *topology.backends.values())
    row = served.json("service", "show", "web")
    assert row["mode"] == MODES[mode]["mode"]
    assert row.get("tunnel_source") == MODES[mode].get("tunnel_source")


@BOTH
@EACH
def test_small_mtu(topology, served, far, mode):  # pylint: disable=redefined-outer-name
    """A client with MTU 1280 behind a router: the router's errors about what the backend sends
    reach that backend, which has the VIP itself, and 10 MB come through without a stall."""
    blob = load.Blob(topology, 10)
    far.run("ip", "route", "replace", "default", "via", "192.0.2.1", "advmss", 1460)
    far.run("curl", "-sS", "--fail", "-o", "/dev/null", "--max-time", 15,
            f"http://{net.VIP}/{blob.name}")  # fmt: skip
    assert reasons(served)["icmp_to_backend"] >= 1
    assert mode in MODES
    assert_sums(far, topology.client, *topology.backends.values())
