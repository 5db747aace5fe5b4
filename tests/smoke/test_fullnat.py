# SPDX-License-Identifier: BSD-2-Clause
"""Full NAT by both engines, between real stacks: backends have no route to clients at all, and see
addresses of a pool, whose ports run out where they are few."""

import re
import signal
import socket
import subprocess
import sys

import pytest
from connection import Connection, connections, one_request
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.l2 import Ether
from test_icmp import make_far
from test_modes import assert_sums, family_of, give_ipv6, reasons

import gateway
import load
import topology as net

POOL = {False: ["10.1.0.64/30"], True: ["2001:db8:2::640/126"]}
MORE = {False: "10.1.0.70", True: "2001:db8:2::700"}

far = pytest.fixture(make_far)

# UDP: sends back what comes, and says who sent it.
SERVER = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
echo = socket.socket(family, socket.SOCK_DGRAM)
echo.bind((sys.argv[1], 7))
while True:
    data, peer = echo.recvfrom(65536)
    echo.sendto(f"{peer[0]} {peer[1]} ".encode() + data, peer)
"""


# What a client does to a TCP server: it says after how many seconds it wants its answer.
LATE = """
import socket, sys, threading, time
server = socket.create_server((sys.argv[1], 9000), family=socket.AF_INET6 if ":" in sys.argv[1]
                              else socket.AF_INET)
def serve(peer):
    time.sleep(float(peer.recv(100)))
    peer.sendall(b"late")
    peer.close()
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""
# Says what it gets: of whom, how long, of which bytes.
DATAGRAMS = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
server = socket.socket(family, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 7000))
while True:
    data, peer = server.recvfrom(65536)
    print(len(data), *sorted(set(data.decode())), flush=True)
"""
WAIT = 35  # seconds: longer than a flow lives after FIN or RST


@pytest.fixture
def served(topology, idle, engine, six):
    """Services that share the backends; `few` has a pool of two ports."""
    if six:
        topology.add_ipv6()
    pool = {"name": "out", "addresses": list(POOL[six])}
    few = {"name": "few", "addresses": [MORE[six]], "ports": "40000-40001"}
    hosts = list(topology.backends.values())
    for host in hosts:
        address = host.address6 if six else host.address
        host.run("ip", "-6" if six else "-4", "route", "del", "default")
        host.popen(sys.executable, "-c", SERVER, address)
        net.wait_for("UDP", lambda h=host: h.run("ss", "-Hlun", "sport", "=", ":7"))
    idle.services.append(gateway.service("too", [gateway.backend(h, 1) for h in hosts], port=8080))
    idle.services.append(
        gateway.service("few", [gateway.backend(h, 1, port=7) for h in hosts], protocol="udp",
                        port=77, idle_timeout="2s"))  # fmt: skip
    for service in idle.services:
        service.update(mode="fullnat", table_size=4096, pool="few" if service["name"] == "few" else "out")
        if six:
            service["vip"] = net.VIP6
            for host, backend in zip(hosts, service["backends"]):
                backend["address"] = host.address6
    idle.settings["pools"] = [pool, few]
    idle.settings["closed_ports"] = "reject"  # where traceroute ends
    idle.settings["dataplane"].setdefault("capacity", {})["addresses"] = 8
    if engine == "xdp":
        idle.settings["dataplane"]["engine"] = "xdp"
        del idle.settings["dataplane"]["cores"]
    idle.write()
    idle.start()
    if engine != "xdp":
        idle.dataplane_ready()
    net.wait_for("the backends' neighbours", lambda: all(
        row["state"] == "ready" for row in idle.backends().values()))  # fmt: skip
    return idle


def ask(client, vip, port, data=b"x"):
    """Whom the backend saw, and what came back; None: no answer."""
    client.sendto(data, (vip, port))
    try:
        said, peer = client.recvfrom(65536)
    except TimeoutError:
        return None
    assert peer[:2] == (vip, port)
    address, seen, data = said.split(b" ", 2)
    return address.decode(), int(seen), data


@pytest.mark.parametrize("six", [False, True], ids=["4", "6"])
@pytest.mark.parametrize("engine", ["auto", "xdp"])
def test_fullnat(topology, served, far, engine, six):  # pylint: disable=redefined-outer-name
    """Requests, a download behind MTU 1280, datagrams of 8,000 bytes, a port refused, a pool that
    is full, a change of the pool, and a change of engine: who is connected stays so."""
    client, vip = topology.client, net.VIP6 if six else net.VIP
    url, blob = f"[{vip}]" if six else vip, load.Blob(topology, 10)
    assert {one_request(client, vip=vip) for _ in range(60)} == set(topology.backends)
    assert {one_request(client, vip=vip, port=8080) for _ in range(60)} == set(topology.backends)

    with client.socket(family_of(vip), socket.SOCK_DGRAM) as peer:
        peer.settimeout(2.0)
        first = ask(peer, vip, 7)
        assert first[0].startswith("2001:db8:2::64" if six else "10.1.0.6") and first[1] >= 1024
        assert ask(peer, vip, 7)[:2] == first[:2]
        assert ask(peer, vip, 7, bytes(8000))[2] == bytes(8000)

    if six:
        give_ipv6(topology, far)
    else:
        far.run("ip", "route", "replace", "default", "via", "192.0.2.1", "advmss", 1460)
    far.run("curl", "-sS", "--fail", "-o", "/dev/null", "--max-time", 15,
            f"http://{url}/{blob.name}")  # fmt: skip
    said = reasons(served)
    assert said["icmp_to_backend"] >= 1 and said["pool_full"] == 0

    assert "2 received" in client.run("ping", "-c", 2, "-i", 0.2, vip)
    hops = client.run("traceroute", "-n", "-q", 1, "-m", 4, vip).splitlines()[1:]
    assert vip in hops[-1].split()

    # Two ports: two clients are served, and a third once one of them has been idle.
    sockets = [client.socket(family_of(vip), socket.SOCK_DGRAM) for _ in range(3)]
    for peer in sockets:
        peer.settimeout(0.5)
    ports = {ask(peer, vip, 77)[1] for peer in sockets[:2]}
    assert ports == {40000, 40001}
    assert ask(sockets[2], vip, 77) is None
    assert reasons(served)["pool_full"] >= 1
    net.wait_for("a free port", lambda: ask(sockets[2], vip, 77) is not None, step=0.5)
    for peer in sockets:
        peer.close()

    pools = {row["name"]: row for row in served.json("pool", "list")["pools"]}
    assert pools["out"]["ports"] == 4 * 64512 and pools["few"]["ports"] == 2
    assert "out" in served.ctl("pool", "list")
    with Connection(client, vip=vip) as held:
        backend = held.get()
        net.wait_for("ports in use", lambda: any(
            row["used"] for row in served.json("pool", "list")["pools"]))  # fmt: skip
        served.settings["pools"][0]["addresses"].append(MORE[six].replace("70", "71"))
        served.write()
        served.ctl("reload")
        assert held.get() == backend
        if engine == "auto":
            served.dataplane.send_signal(signal.SIGKILL)
            served.dataplane.wait()
            assert held.get() == backend
        served.kill(served.control)
        served.start_control()
        assert held.get() == backend
        if engine == "auto":
            served.start_dataplane()
            assert held.get() == backend
    with connections(client, 60, vip=vip) as many:
        assert len({backend for _, backend in many}) == 3
    served.settings["pools"][0]["ports"] = "2000-3000"
    served.write()
    with pytest.raises(RuntimeError, match="ports can't change"):
        served.ctl("reload")
    assert_sums(client, far, *topology.backends.values())


@pytest.fixture
def narrow(topology, idle, engine):
    """A service with 64 ports and a limit on new connections, and one of UDP; over IPv4."""
    host = topology.backends["b1"]
    backends = [gateway.backend(host, 1)]
    host.popen(sys.executable, "-c", LATE, host.address)
    net.wait_for("TCP", lambda: host.run("ss", "-Hltn", "sport", "=", ":9000"))
    idle.services[:] = [
        gateway.service("late", [dict(backends[0], port=9000)], port=9000, mode="fullnat",
                        pool="few", limits=[{"per": "service", "rate": "50cps"}]),
        gateway.service("datagrams", [dict(backends[0], port=7000)], port=7000, protocol="udp",
                        mode="fullnat", pool="one"),
    ]  # fmt: skip
    idle.settings["pools"] = [
        {"name": "few", "addresses": ["10.1.0.80"], "ports": "40000-40063"},
        {"name": "one", "addresses": ["10.1.0.81"]},
    ]
    idle.settings["dataplane"].setdefault("capacity", {})["addresses"] = 2
    if engine == "xdp":
        idle.settings["dataplane"]["engine"] = "xdp"
        del idle.settings["dataplane"]["cores"]
    idle.write()
    idle.start()
    net.wait_for("the backend's neighbour", lambda: all(
        row["state"] == "ready" for row in idle.backends("late").values()))  # fmt: skip
    return idle


def send_raw(topology, packets):
    """From the client's interface, as they are."""
    frame = Ether(src=topology.client.mac("eth0"), dst=topology.gateway.mac("cl0"))
    with topology.client.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind(("eth0", 0))
        for packet in packets:
            raw.send(bytes(frame / packet))


def ask_late(topology, seconds, shut=False):
    """A connection whose answer comes late; shut: the client says at once that it's done."""
    peer = topology.client.socket(socket.AF_INET, socket.SOCK_STREAM)
    peer.settimeout(seconds + 15)
    topology.client.call(lambda: peer.connect((net.VIP, 9000)))
    peer.sendall(b"%d" % seconds)
    if shut:
        peer.shutdown(socket.SHUT_WR)
    return peer


@pytest.mark.parametrize("engine", ["auto", "xdp"])
def test_strangers(topology, narrow, engine):  # pylint: disable=unused-argument
    """Packets of no flow take no port; a flow outlives forged resets and FINs, and half of its
    end."""
    vip = net.VIP
    stray = [
        IP(src=f"198.51.100.{20 + i}", dst=vip) / TCP(sport=2000 + i, dport=9000, flags=flags,
                                                            seq=i, ack=7)
        for flags in ("A", "R", "FA", "SA", "", "PA", "SF", "SR") for i in range(100)
    ]  # fmt: skip
    send_raw(topology, stray)
    net.wait_for("no_flow", lambda: reasons(narrow)["no_flow"] == len(stray))
    pools = {row["name"]: row["used"] for row in narrow.json("pool", "list")["pools"]}
    assert pools["few"] == 0

    shut, held = ask_late(topology, WAIT, shut=True), ask_late(topology, WAIT)
    address, port = held.getsockname()
    send_raw(topology, [
        IP(src=address, dst=vip) / TCP(sport=port, dport=9000, flags=flags, seq=seq, ack=1)
        for flags in ("R", "RA", "FA") for seq in range(0x1000, 2**32, 2**30)
    ])  # fmt: skip
    for peer in (shut, held):
        assert peer.recv(10) == b"late"
        peer.close()
    assert reasons(narrow)["not_bound"] == 0


@pytest.mark.parametrize("engine", ["auto", "xdp"])
def test_same_identification(topology, narrow, engine):  # pylint: disable=unused-argument
    """Clients whose datagrams in fragments have the same identification, part by part."""
    host = topology.backends["b1"]
    server = host.popen(sys.executable, "-c", DATAGRAMS, host.address,
                        stdout=subprocess.PIPE, text=True)  # fmt: skip
    net.wait_for("UDP", lambda: host.run("ss", "-Hlun", "sport", "=", ":7000"))
    letters = "abcdefghijklmnopqrstuvwxyz"
    parts = []
    for n, letter in enumerate(letters):
        whole = IP(src=f"198.51.100.{100 + n}", dst=net.VIP, id=4711, proto=17) / UDP(
            sport=1000 + n, dport=7000, chksum=0) / (letter * 4000)  # fmt: skip
        parts.append(fragment(whole, 1400))
    send_raw(topology, [one[i] for i in range(3) for one in parts])
    net.wait_for("all datagrams", lambda: host.counters()["Udp.InDatagrams"] >= len(letters))
    assert host.counters()["Ip.ReasmFails"] == 0
    server.terminate()
    assert sorted(server.communicate(timeout=10)[0].splitlines()) == [f"4000 {letter}" for letter in letters]
