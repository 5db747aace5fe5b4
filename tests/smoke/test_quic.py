# SPDX-License-Identifier: BSD-2-Clause
"""QUIC connections are followed by their ids, through both engines and over both families. Backends
echo UDP, and packets have QUIC's headers: what is behind them only the ends could read."""

import os
import socket
import sys

import pytest
from conftest import ECHO
from test_operators import ctl, overrides, reload, restart_control

import gateway
import topology as net

# pylint: disable=redefined-outer-name
PORT = 443
NAMES = ("b1", "b2", "b3")
ELSEWHERE = {net.VIP: "198.51.100.77", net.VIP6: "2001:db8:1::77"}


def server_id(name):
    return f"0a0{name[1]}"


def one_rtt(name):
    """A packet with a short header and an id that names this backend."""
    return bytes.fromhex(f"43 07 {server_id(name)} 11223344 5566778899") + os.urandom(20)


def initial(name):
    """An Initial, whose id the client made up."""
    return bytes.fromhex(f"c3 00000001 08 07 {server_id(name)} 1122334455 00") + os.urandom(20)


@pytest.fixture(scope="module")
def topology(engine, vip):  # pylint: disable=unused-argument
    """One for each of the instances, which live through all tests of their parameters."""
    with net.Topology(3) as made:
        made.add_ipv6()
        yield made


@pytest.fixture(scope="module")
def sluice(topology, engine, vip):
    """h3 has b1 and b2, which have ids."""
    backends = []
    for host in topology.backends.values():
        address = host.address6 if ":" in vip else host.address
        host.popen(sys.executable, ECHO, host.label, PORT, address)
        net.wait_for(f"UDP echo in {host.name}",
                     lambda h=host: h.run("ss", "-Hlun", "sport", "=", f":{PORT}"))  # fmt: skip
        backends.append({**gateway.backend(host, 10, PORT), "address": address,
                         "server_id": server_id(host.label)})  # fmt: skip
    h3 = gateway.service("h3", backends[:2], "udp", PORT, quic=True, idle_timeout="5s")
    with gateway.Gateway(topology, [{**h3, "vip": vip}]) as made:
        made.settings["dataplane"]["engine"] = engine
        made.write()
        made.start()
        ready(made, 2)
        yield made


def ready(sluice, count):
    net.wait_for("the backends' neighbours", lambda: [
        row["state"] for row in sluice.backends("h3").values()] == ["ready"] * count)  # fmt: skip


def ask(topology, vip, packet, port=0, source=None):
    """Which backend answers this packet from there, and what port it was sent from. The first
    answer to a client whose neighbour isn't known is dropped."""
    family = socket.AF_INET6 if ":" in vip else socket.AF_INET
    with topology.client.socket(family, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.settimeout(1)
        client.bind((source or ("::" if ":" in vip else "0.0.0.0"), port))
        for again in (True, True, False):
            client.sendto(packet, (vip, PORT))
            try:
                reply, peer = client.recvfrom(65535)
                break
            except TimeoutError:
                assert again
        assert peer[:2] == (vip, PORT)
        name, _, rest = reply.partition(b" ")
        assert rest == packet
        return name.decode(), client.getsockname()[1]


BOTH = pytest.mark.parametrize(
    ("engine", "vip"), [("dpdk", net.VIP), ("xdp", net.VIP), ("dpdk", net.VIP6), ("xdp", net.VIP6)],
    scope="module",
)  # fmt: skip


@BOTH
def test_addresses_change(topology, sluice, vip):
    """A connection keeps its backend from whatever port and address, and what has no id follows it
    where the address stays."""
    bits = "64" if ":" in vip else "24"
    nodad = ("nodad",) if ":" in vip else ()
    topology.client.run("ip", "addr", "add", f"{ELSEWHERE[vip]}/{bits}", "dev", "eth0", *nodad)
    for name in NAMES[:2]:
        for _ in range(12):
            got, port = ask(topology, vip, one_rtt(name))
            assert got == name
            assert ask(topology, vip, initial("b1"), port)[0] == name
        assert ask(topology, vip, one_rtt(name), source=ELSEWHERE[vip])[0] == name
    assert {ask(topology, vip, initial("b1"))[0] for _ in range(24)} == {"b1", "b2"}
    assert {ask(topology, vip, one_rtt("b3"))[0] for _ in range(24)} == {"b1", "b2"}


@pytest.mark.parametrize(("engine", "vip"), [("dpdk", net.VIP)], scope="module")
def test_reload(topology, sluice, vip):
    """Ids change places by a reload, all at once."""
    b1, b2 = sluice.services[0]["backends"]
    b1["server_id"], b2["server_id"] = b2["server_id"], b1["server_id"]
    assert reload(sluice) == [
        "service h3: backend b1: server_id 0a01 -> 0a02",
        "service h3: backend b2: server_id 0a02 -> 0a01",
    ]
    assert ask(topology, vip, one_rtt("b1"))[0] == "b2"
    assert ask(topology, vip, one_rtt("b2"))[0] == "b1"
    b1["server_id"], b2["server_id"] = b2["server_id"], b1["server_id"]
    assert len(reload(sluice)) == 2


@BOTH
def test_live(topology, sluice, vip):
    """A drained backend keeps what its id names; one that is added live has its id at once, and
    after a restart; one that is gone has none any more."""
    sluice.ctl("backend", "drain", "h3", "b1")
    assert ask(topology, vip, one_rtt("b1"))[0] == "b1"
    # Until then a flow that isn't known may be older than the drain.
    net.wait_for("the rows to close", lambda: not sluice.json(
        "service", "show", "h3")["rows_open"], 20)  # fmt: skip
    assert {ask(topology, vip, initial("b1"))[0] for _ in range(12)} == {"b2"}
    assert ask(topology, vip, one_rtt("b1"))[0] == "b1"

    host = topology.backends["b3"]
    where = f"[{host.address6}]:{PORT}" if ":" in vip else f"{host.address}:{PORT}"
    add = ("backend", "add", "h3", where, "--name", "b3", "--server-id")
    assert "is that of backend" in ctl(sluice, *add, "0a01")[1]
    assert "has 1 bytes" in ctl(sluice, *add, "0a")[1]
    assert "is not 1 to 8 bytes" in ctl(sluice, *add, "xyz")[1]
    sluice.change(*add, server_id("b3"))
    net.wait_for("b3", lambda: sluice.backends("h3")["b3"]["state"] == "ready")
    assert ask(topology, vip, one_rtt("b3"))[0] == "b3"
    assert overrides(sluice)["h3"][where]["server_id"] == "0a03"
    restart_control(sluice)
    shown = {name: row["server_id"] for name, row in sluice.backends("h3").items()}
    assert shown == {name: server_id(name) for name in NAMES}
    assert "SERVER-ID" in sluice.ctl("backend", "list", "h3")
    assert sluice.json("service", "show", "h3")["quic"] is True
    assert ask(topology, vip, one_rtt("b3"))[0] == "b3"

    sluice.change("backend", "remove", "h3", "b1", "--now")
    assert "b1" not in {ask(topology, vip, one_rtt("b1"))[0] for _ in range(12)}
