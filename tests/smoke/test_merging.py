# SPDX-License-Identifier: BSD-2-Clause
"""Ports without native XDP, whose NICs below merge segments.

    client --- cl0 [brcl]  gw  [brbe] be0 --- backends      cl0 and be0 have GRO on
"""

import os
import socket
import subprocess

import pytest
from connection import one_request

import topology as net

PORTS = {"cl0": ("brcl", net.GATEWAY), "be0": ("brbe", net.INSIDE)}
SIZE = 4_000_000


def merges(topology, device):
    return "generic-receive-offload: on" in topology.gateway.run("ethtool", "-k", device)


def merging(topology):
    return [device for device in PORTS if merges(topology, device)]


@pytest.fixture
def bridged(topology, idle):
    host = topology.gateway
    for device, (bridge, address) in PORTS.items():
        host.run("ip", "link", "add", bridge, "type", "bridge")
        host.run("ip", "addr", "flush", "dev", device)
        host.run("ip", "link", "set", device, "master", bridge)
        host.run("ip", "link", "set", bridge, "up")
        host.run("ip", "addr", "add", f"{address}/24", "dev", bridge)
        host.run("ethtool", "-K", device, "gro", "on")
    for port, (bridge, _) in zip(idle.settings["dataplane"]["ports"], PORTS.values()):
        port["device"] = bridge
    idle.write()
    return idle


@pytest.fixture(params=["xdp", "dpdk"])
def sluice(request, topology, bridged):
    bridged.settings["dataplane"]["engine"] = request.param
    bridged.write()
    bridged.start()
    net.wait_for("an answer", lambda: answers(topology))
    return bridged


def answers(topology):
    try:
        return one_request(topology.client, timeout=1.0)
    except OSError:
        return None


def counted(sluice, reason):
    rows = {row["name"]: row["packets"] for row in sluice.json("stats")["reasons"]}
    return rows[reason]


def download(topology):
    with open(f"{topology.www}/big", "wb") as file:
        file.write(os.urandom(SIZE))
    done = subprocess.run(
        topology.client.command("curl", "-s", "-m", "10", "-o", "/dev/null", "-w",
                                "%{size_download}", f"http://{net.VIP}/big"),
        stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    return int(done.stdout)


def test_download(topology, sluice):
    """Nothing below a port merges, so that a download arrives whole and as fast as it can."""
    assert merging(topology) == []
    assert "port backends: be0 merges segments" in sluice.said(sluice.control)
    assert download(topology) == SIZE
    assert [counted(sluice, reason) for reason in ("too_big", "too_big_answered", "missed")] == [0] * 3


def test_followed_and_put_back(topology, sluice):
    """What is turned on again is turned off again; what isn't below a port any more, or was turned
    off by a control that died, is put back in the end; what was off before stays off."""
    host = topology.gateway
    host.run("ethtool", "-K", "cl0", "gro", "on")
    net.wait_for("GRO off", lambda: not merges(topology, "cl0"))
    host.run("ip", "link", "set", "be0", "nomaster")
    net.wait_for("GRO back", lambda: merges(topology, "be0"))
    host.run("ethtool", "-K", "be0", "gro", "off")
    host.run("ip", "link", "set", "be0", "master", "brbe")
    sluice.kill(sluice.control)
    sluice.start_control()
    assert merging(topology) == []
    if sluice.dataplane:
        net.stop(sluice.dataplane)
    sluice.ctl("detach")
    assert sluice.control.wait(5) == 0
    assert merging(topology) == ["cl0"]
    assert not os.path.exists(f"{sluice.run_dir}/merging")


def test_too_large_for_a_worker(topology, bridged):
    """Frames that are larger than a worker's buffers are counted."""
    for device in ("cl0", "brcl"):
        topology.gateway.run("ip", "link", "set", device, "mtu", 9000)
    topology.client.run("ip", "link", "set", "eth0", "mtu", 9000)
    bridged.settings["dataplane"]["engine"] = "dpdk"
    bridged.write()
    bridged.start()
    net.wait_for("an answer", lambda: answers(topology))
    with topology.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for _ in range(7):
            client.sendto(bytes(6000), (net.VIP, 7))
    net.wait_for("seven", lambda: counted(bridged, "missed") == 7)
