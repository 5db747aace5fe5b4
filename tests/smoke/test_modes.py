# SPDX-License-Identifier: BSD-2-Clause
"""Modes in which replies bypass the gateway, through both engines, between real stacks, and in
tunnels with either family in front and inside.

Backends have the VIP on lo; a small XDP program on their interface takes tunnels apart
(decap.bpf.c). What they answer goes through the gateway's kernel, as through any router: Sluice
sees one half of each connection.
"""

import contextlib
import os
import socket
import subprocess
import sys

import pytest
from conftest import WEIGHTS, configure
from connection import one_request
from test_icmp import make_far

import gateway
import load
import topology as net

DECAP = os.path.join(os.path.dirname(__file__), "decap.bpf.c")
SPREAD = "172.16.0.0/16"
SPREAD6 = "2001:db8:7::/112"
MODES = {
    "direct": {"mode": "direct"},
    "ipip": {"mode": "ipip", "tunnel_source": net.INSIDE},
    "ipip-spread": {"mode": "ipip", "tunnel_source": SPREAD},
    "gue": {"mode": "gue", "tunnel_source": net.INSIDE},
    "gue-0": {"mode": "gue", "tunnel_source": net.INSIDE, "gue_variant": 0},
    "direct-6": {"mode": "direct"},
    "ipip-6in6": {"mode": "ipip", "tunnel_source6": SPREAD6},
    "ipip-4in6": {"mode": "ipip", "tunnel_source6": net.INSIDE6},
    "ipip-6in4": {"mode": "ipip", "tunnel_source": net.INSIDE},
    "gue-4in6": {"mode": "gue", "tunnel_source6": net.INSIDE6},
    "gue-6in6": {"mode": "gue", "tunnel_source6": net.INSIDE6},
    "gue-0-6in4": {"mode": "gue", "tunnel_source": net.INSIDE, "gue_variant": 0},
}
# Whether the VIP is of IPv6, and whether the backends are, where one is.
SIX = {
    "direct-6": (True, True),
    "ipip-6in6": (True, True),
    "ipip-4in6": (False, True),
    "ipip-6in4": (True, False),
    "gue-4in6": (False, True),
    "gue-6in6": (True, True),
    "gue-0-6in4": (True, False),
}
FAR_ROUTER, FAR6 = "2001:db8:9::1", "2001:db8:9::2"
NAMES = {"b1", "b2", "b3"}
ONE = (10, 10, 10)

# TCP: takes what comes until its end, and says how much that was. UDP: sends it back, from the VIP.
SERVER = """
import socket, sys, threading
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
echo = socket.socket(family, socket.SOCK_DGRAM)
echo.bind((sys.argv[1], 7))
def answer():
    while True:
        echo.sendto(*echo.recvfrom(65536))
threading.Thread(target=answer, daemon=True).start()
server = socket.create_server(("", 9), family=family, backlog=16)
while True:
    peer, _ = server.accept()
    n = 0
    while data := peer.recv(65536):
        n += len(data)
    peer.sendall(str(n).encode())
    peer.close()
"""

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


def vip_of(mode):
    return net.VIP6 if SIX.get(mode, (False,))[0] else net.VIP


def in_url(mode):
    return f"[{net.VIP6}]" if vip_of(mode) == net.VIP6 else net.VIP


@pytest.fixture(scope="module")
def topology(topology_of_the_module, decap):  # pylint: disable=redefined-outer-name
    """Backends that have the VIP of either family, and take tunnels to it apart."""
    made = topology_of_the_module
    made.add_ipv6()
    for host in made.backends.values():
        host.run("ip", "link", "set", "dev", "eth0", "xdp", "obj", decap, "sec", "xdp")
        host.sysctl(net__ipv6__conf__lo__disable_ipv6=0, net__ipv4__conf__all__arp_ignore=1,
                    net__ipv4__conf__all__arp_announce=2)  # fmt: skip
        host.run("ip", "address", "add", f"{net.VIP6}/128", "dev", "lo", "nodad")
        host.run("ip", "address", "add", f"{net.VIP}/32", "dev", "lo")
        for vip in (net.VIP, net.VIP6):
            host.popen(sys.executable, "-c", SERVER, vip)
        net.wait_for("the servers", lambda host=host: len(
            host.run("ss", "-Hltn", "sport", "=", ":9").splitlines()) == 2)  # fmt: skip
    # The kernel forwards what comes from the VIP, which it has a route to elsewhere.
    made.gateway.sysctl(net__ipv4__conf__all__rp_filter=0, net__ipv4__conf__be0__rp_filter=0)
    return made


def give_ipv6(topology, far):  # pylint: disable=redefined-outer-name
    """The client is a router for the far one, which says that it takes full frames."""
    topology.client.sysctl(net__ipv6__conf__all__forwarding=1)
    for host, device, address in ((topology.client, "far", FAR_ROUTER), (far, "eth0", FAR6)):
        host.sysctl(**{f"net__ipv6__conf__{device}__disable_ipv6": 0})
        host.run("ip", "address", "add", f"{address}/64", "dev", device, "nodad")
    far.run("ip", "route", "add", "default", "via", FAR_ROUTER, "advmss", 1440)
    topology.gateway.run("ip", "route", "add", "2001:db8:9::/64", "via", net.CLIENT6)


@pytest.fixture(scope="module")
def far(topology):  # pylint: disable=redefined-outer-name
    """A client behind the client, for either family."""
    made = make_far(topology)
    made.run("ip", "route", "replace", "default", "via", "192.0.2.1", "advmss", 1460)
    give_ipv6(topology, made)
    return made


@pytest.fixture(scope="module", params=["dpdk", "xdp"])
def instance(topology, request):  # pylint: disable=redefined-outer-name
    """One for all modes, which are changed by reloads."""
    for made in configure(topology):
        made.settings["closed_ports"] = "reject"  # where traceroute ends
        if request.param == "xdp":
            made.settings["dataplane"]["engine"] = "xdp"
            del made.settings["dataplane"]["cores"]
        made.write()
        made.start()
        yield made


def forget(topology):
    """Hosts forget what they were told about the sizes of paths."""
    for host in (topology.client, *topology.backends.values()):
        host.run("ip", "route", "flush", "cache")
        host.run("ip", "-6", "route", "flush", "cache")
        host.run("ip", "tcp_metrics", "flush")


@pytest.fixture
def served(topology, instance, mode):  # pylint: disable=redefined-outer-name
    """An instance that serves by that mode, and nothing that it served before: where an address is
    another, old datagrams would go to the old one for a window."""
    forget(topology)
    hosts = list(topology.backends.values())
    instance.services[:] = [gateway.service("other", [gateway.backend(hosts[0], 1)], port=1)]
    instance.write()
    instance.change("reload")
    instance.services[:] = [gateway.service(name, [
        gateway.backend(host, weight, port=port) for host, weight in zip(hosts, weights)],
        protocol=protocol, port=port, vip=vip_of(mode), **MODES[mode])
        for name, protocol, port, weights in (("web", "tcp", 80, WEIGHTS), ("sink", "tcp", 9, ONE),
                                              ("echo", "udp", 7, ONE))]  # fmt: skip
    for service in instance.services:
        for host, backend in zip(hosts, service["backends"]):
            backend["address"] = host.address6 if SIX.get(mode, (0, 0))[1] else host.address
    instance.write()
    instance.change("reload")
    net.wait_for("the backends' neighbours", lambda: all(
        row["state"] == "ready" for row in instance.backends().values()))  # fmt: skip
    return instance


def reasons(sluice):
    return {row["name"]: row["packets"] for row in sluice.json("stats")["reasons"]}


def grown(sluice, before):
    return {name: packets - before[name] for name, packets in reasons(sluice).items()}


def family_of(vip):
    return socket.AF_INET6 if ":" in vip else socket.AF_INET


def upload(client, megabytes, vip):
    """How much of it arrived."""
    with client.socket(family_of(vip), socket.SOCK_STREAM) as peer:
        peer.settimeout(10)
        peer.connect((vip, 9))
        peer.sendall(bytes(megabytes << 20))
        peer.shutdown(socket.SHUT_WR)
        return int(peer.recv(64))


@contextlib.contextmanager
def room(topology):  # pylint: disable=redefined-outer-name
    """Links behind the gateway take fragments of 1,500 bytes in a tunnel; what backends send to
    clients still fits the links before it."""

    def links(mtu):
        topology.gateway.run("ip", "link", "set", "be0", "mtu", mtu)
        for device in ("gw", *(f"p{n + 1}" for n in range(len(topology.backends)))):
            topology.switch.run("ip", "link", "set", device, "mtu", mtu)
        for host in topology.backends.values():
            host.run("ip", "link", "set", "eth0", "mtu", mtu)

    links(1600)
    for host in topology.backends.values():
        host.run("ip", "route", "change", "default", "via", net.INSIDE, "mtu", 1500)
        host.run("ip", "route", "change", "default", "via", net.INSIDE6, "mtu", 1500)
    try:
        yield
    finally:
        links(1500)


def large_datagram(client, vip):
    """Whether 8,000 bytes came back as they were."""
    payload = os.urandom(8000)
    with client.socket(family_of(vip), socket.SOCK_DGRAM) as peer:
        peer.settimeout(1.0)
        peer.sendto(payload, (vip, 7))
        try:
            return peer.recvfrom(65536)[0] == payload
        except TimeoutError:
            return False


def assert_seen(client, vip):
    """The VIP answers pings, and ends a traceroute as a host would."""
    net.wait_for("two pings", lambda: "2 received" in client.run("ping", "-c", 2, "-i", 0.2, vip))
    hops = client.run("traceroute", "-n", "-q", 1, "-m", 4, vip).splitlines()[1:]
    assert [hop.split()[1] for hop in hops] == [vip]


def assert_sums(*hosts):
    """No stack found a checksum that is wrong."""
    for host in hosts:
        counters = host.counters()
        for name in ("Ip.InHdrErrors", "Icmp.InCsumErrors", "Tcp.InCsumErrors", "Udp.InCsumErrors",
                     "Ip6InHdrErrors", "Icmp6InCsumErrors", "Udp6InCsumErrors"):  # fmt: skip
            assert counters.get(name, 0) == 0, (host.name, name)


@EACH
def test_mode(topology, served, far, mode):  # pylint: disable=redefined-outer-name
    """Requests, a download, UDP, and an upload whose full-size segments outgrow the tunnel: the
    client is told once and goes on with smaller ones. Then a client with MTU 1280 behind a router:
    the router's errors about what the backend sends reach that backend, which has the VIP itself,
    and 10 MB come through without a stall, and 10 the other way. Pings, traceroute; and, where the
    links take it, datagrams of 8,000 bytes."""
    client, blob, vip = topology.client, load.Blob(topology, 10), vip_of(mode)
    before = reasons(served)
    assert {one_request(client, vip=vip) for _ in range(60)} == NAMES
    assert load.Download(topology, blob, seconds=1, vip=in_url(mode)).wait(30)[0] == "ok"
    assert upload(client, 4, vip) == 4 << 20
    with client.socket(family_of(vip), socket.SOCK_DGRAM) as peer:
        peer.settimeout(2.0)
        peer.sendto(b"over there", (vip, 7))
        assert peer.recvfrom(2048)[1][:2] == (vip, 7)
    said = grown(served, before)
    assert said["to_backend"] > 1000 and said["to_client"] == 0 and said["no_room"] == 0
    assert (said["too_big_answered"] > 0) == (MODES[mode]["mode"] != "direct")
    assert said["too_big"] == 0
    assert_sums(client, *topology.backends.values())
    row = served.json("service", "show", "web")
    assert row["mode"] == MODES[mode]["mode"]
    for source in ("tunnel_source", "tunnel_source6"):
        assert row.get(source) == MODES[mode].get(source)
    far.run("curl", "-sS", "--fail", "-o", "/dev/null", "--max-time", 15,
            f"http://{in_url(mode)}/{blob.name}")  # fmt: skip
    assert grown(served, before)["icmp_to_backend"] >= 1
    assert upload(far, 10, vip) == 10 << 20
    assert_seen(client, vip)
    with room(topology):
        net.wait_for("8,000 bytes", lambda: large_datagram(client, vip))
        assert all(large_datagram(client, vip) for _ in range(10))
    assert_sums(far, topology.client, *topology.backends.values())


@pytest.mark.parametrize("instance", ["xdp"], indirect=True)
@pytest.mark.parametrize("mode", ["ipip-4in6"])
def test_added_backend(topology, served, mode):
    """One of the other family is refused while there is no source for tunnels to it; a reload that
    brings one lets it in, and it serves beside the others."""
    address = topology.backends["b1"].address
    with pytest.raises(RuntimeError, match="is IPv4, and the service has no tunnel_source"):
        served.ctl("backend", "add", "web", address, "--name", "b1-4")
    for service in served.services:
        service["tunnel_source"] = net.INSIDE
    served.write()
    served.ctl("reload")
    served.change("backend", "add", "web", address, "--name", "b1-4", "--weight", 100)
    net.wait_for("its neighbour", lambda: served.backends()["b1-4"]["state"] == "ready")
    assert {one_request(topology.client, vip=vip_of(mode)) for _ in range(60)} == NAMES
    assert served.backends()["b1-4"]["connections"] > 0
    assert_sums(topology.client, *topology.backends.values())
