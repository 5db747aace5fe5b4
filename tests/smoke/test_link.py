# SPDX-License-Identifier: BSD-2-Clause
"""The gateway's manners on a link, where others are beside it: VIPs are announced, and only frames
that are addressed to the gateway are its own.

    client          gw              other             b1
    eth0 .2         eth0 .3         eth0 .4           eth0 .11, and the VIPs on lo
       |               |               |                 |
       +---------------+------ br0 ----+-----------------+     10.1.0.0/24, 2001:db8:2::/64

Mode "direct": backends answer clients without a gateway, so a gateway needs but one port. The VIPs
10.1.0.100 and 2001:db8:2::100 are on the client's link.
"""

import socket
import sys
import threading
import time

import pytest
from conftest import ECHO
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether

import gateway
import topology as net

ETH_P_ALL = 0x0003
VIP4, VIP6 = "10.1.0.100", "2001:db8:2::100"
BOTH = pytest.mark.parametrize("engine", ["auto", "xdp"])
LAST = {"client": 2, "gw": 3, "other": 4, "b1": 11}


class Link(net.Topology):
    """One link. `gateway` is the first of two gateways, `other` the second."""

    def create(self):
        self.other = net.Namespace(f"{self.name}-other")
        b1 = net.Backend(self, 1)
        self.backends[b1.label] = b1
        self.hosts = {"client": self.client, "gw": self.gateway, "other": self.other, "b1": b1}
        for host in (self.switch, *self.hosts.values()):
            self.add_host(host)
        self.switch.run("ip", "link", "add", "br0", "type", "bridge")
        self.switch.run("ip", "link", "set", "br0", "up")
        for name, host in self.hosts.items():
            self.link(self.switch, f"p-{name}", host, "eth0")
            self.switch.run("ip", "link", "set", f"p-{name}", "master", "br0")
            self.switch.run("ethtool", "-K", f"p-{name}", "gro", "on")
            host.sysctl(net__ipv6__conf__eth0__accept_dad=0, net__ipv6__conf__eth0__disable_ipv6=0)
            self.address(host, "eth0", f"10.1.0.{LAST[name]}/24")
            host.run("ip", "addr", "add", f"2001:db8:2::{LAST[name]}/64", "dev", "eth0", "nodad")
        b1.sysctl(net__ipv4__conf__all__arp_ignore=1, net__ipv4__conf__all__arp_announce=2,
                  net__ipv6__conf__lo__disable_ipv6=0)  # fmt: skip
        for vip in (f"{VIP4}/32", f"{VIP6}/128"):
            b1.run("ip", "addr", "add", vip, "dev", "lo")


def direct(vip, address, port=7):
    return {"name": f"echo{port}-{6 if ':' in vip else 4}", "vip": vip, "protocol": "udp",
            "port": port, "mode": "direct",
            "backends": [{"name": "b1", "address": address, "port": port}]}  # fmt: skip


SERVICES = (direct(VIP4, "10.1.0.11"), direct(VIP6, "2001:db8:2::11"))


@pytest.fixture
def link():
    with Link() as made:
        host = made.backends["b1"]
        for vip in (VIP4, VIP6):
            host.popen(sys.executable, ECHO, "b1", 7, vip)
        net.wait_for("UDP echo", lambda: len(
            host.run("ss", "-Hlun", "sport", "=", ":7").splitlines()) == 2)  # fmt: skip
        yield made


def make_gateway(link, host, name, services, engine):
    link.gateway = host
    made = gateway.Gateway(link, list(services), instance=f"{link.name}-{name}")
    made.settings["dataplane"] |= {
        "engine": engine, "idle": "adaptive", "memory": "64M",
        "ports": [{"name": "lan", "device": "eth0"}],
    }  # fmt: skip
    made.write()
    return made


@pytest.fixture
def idle(link, engine):
    with make_gateway(link, link.hosts["gw"], "gw", SERVICES, engine) as made:
        yield made


class Announcements:
    """What a host hears of VIPs: (address, MAC address, when)."""

    def __init__(self, host):
        self.heard = []
        self.socket = host.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.bind(("eth0", ETH_P_ALL))
        self.socket.settimeout(0.1)
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.listen)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()
        self.socket.close()

    def listen(self):
        while not self.stopped.is_set():
            try:
                frame = Ether(self.socket.recv(2000))
            except TimeoutError:
                continue
            if ARP in frame and frame[ARP].psrc == frame[ARP].pdst:
                assert frame.dst == "ff:ff:ff:ff:ff:ff" and frame[ARP].op == 1
                assert frame.src == frame[ARP].hwsrc
                self.heard.append((frame[ARP].psrc, frame.src, time.monotonic()))
            elif ICMPv6ND_NA in frame and frame[IPv6].dst == "ff02::1":
                advert, sum_of = frame[ICMPv6ND_NA], frame[ICMPv6ND_NA].cksum
                assert frame.dst == "33:33:00:00:00:01" and frame[IPv6].hlim == 255
                assert (advert.S, advert.O, advert.R) == (0, 1, 0)
                assert frame[ICMPv6NDOptDstLLAddr].lladdr == frame.src
                advert.cksum = None
                assert Ether(bytes(frame))[ICMPv6ND_NA].cksum == sum_of
                self.heard.append((advert.tgt, frame.src, time.monotonic()))

    def times(self, vip, mac):
        return [when for addr, by, when in list(self.heard) if (addr, by) == (vip, mac)]

    def expect(self, vip, mac, n, timeout=8.0):
        net.wait_for(f"{n} announcements of {vip} by {mac}",
                     lambda: len(self.times(vip, mac)) >= n, timeout)  # fmt: skip


@BOTH
def test_announced(link, idle):
    """Three times a second apart: at the start, when a service is added, when the port's MAC
    address changes and when its link comes back; and not again for a reload without news."""
    host = link.hosts["gw"]
    mac = host.mac("eth0")
    with Announcements(link.client) as heard:
        idle.start()
        for vip in (VIP4, VIP6):
            heard.expect(vip, mac, 3)
            first, second, third = heard.times(vip, mac)
            assert 0.9 < second - first < 2 and 0.9 < third - second < 2
        idle.services += [direct("10.1.0.101", "10.1.0.11", 8), direct(VIP4, "10.1.0.11", 9)]
        idle.write()
        assert idle.json("reload")["changes"]
        heard.expect("10.1.0.101", mac, 3)
        assert len(heard.times(VIP4, mac)) == 3
        host.run("ip", "link", "set", "eth0", "down")
        host.run("ip", "link", "set", "eth0", "up")
        for vip in (VIP4, VIP6, "10.1.0.101"):
            heard.expect(vip, mac, 6)
        other = "02:00:00:00:00:77"
        host.run("ip", "link", "set", "eth0", "address", other)
        for vip in (VIP4, VIP6, "10.1.0.101"):
            heard.expect(vip, other, 3)
        time.sleep(1.5)
        for vip in (VIP4, VIP6, "10.1.0.101"):
            assert len(heard.times(vip, mac)) == 6
            assert len(heard.times(vip, other)) == 3
        assert {by for _, by, _ in heard.heard} == {mac, other}


class Questions:
    """A question to each VIP every 20 ms, and when each was last answered."""

    def __init__(self, client):
        self.stopped = threading.Event()
        self.gaps = {}
        self.threads = [threading.Thread(target=self.ask, args=(client, vip), daemon=True)
                        for vip in (VIP4, VIP6)]  # fmt: skip
        for thread in self.threads:
            thread.start()

    def ask(self, client, vip):
        family = socket.AF_INET6 if ":" in vip else socket.AF_INET
        answered, self.gaps[vip] = time.monotonic(), []
        with client.socket(family, socket.SOCK_DGRAM) as asking:
            asking.settimeout(0.02)
            while not self.stopped.is_set():
                try:
                    asking.sendto(b"q", (vip, 7))
                    asking.recv(100)
                except OSError:
                    time.sleep(0.005)
                    continue
                now = time.monotonic()
                self.gaps[vip].append(now - answered)
                answered = now
                time.sleep(0.02)
        self.gaps[vip].append(time.monotonic() - answered)

    def end(self):
        """The longest time without an answer, for each VIP."""
        self.stopped.set()
        for thread in self.threads:
            thread.join()
        return {vip: max(gaps) for vip, gaps in self.gaps.items()}


@BOTH
def test_takeover(link, idle, engine):
    """A gateway fails, another on the link is given its VIPs: the client, which knows the first
    one's MAC address, is served by the second at once."""
    # Of both families, so that all that is needed is loaded.
    standby = [direct("10.1.0.199", "10.1.0.11", 9), direct("2001:db8:2::199", "2001:db8:2::11", 9)]
    idle.start()
    with make_gateway(link, link.hosts["other"], "other", standby, engine) as other:
        other.start()
        time.sleep(1)
        asking = Questions(link.client)
        time.sleep(1)
        other.services[:] = SERVICES
        other.write()
        link.switch.run("ip", "link", "set", "p-gw", "down")
        other.ctl("reload")
        time.sleep(3)
        gaps = asking.end()
        print("longest gaps:", gaps)
        assert all(gap < 1 for gap in gaps.values()), gaps
        mac = link.hosts["other"].mac("eth0")
        for vip in (VIP4, VIP6):
            assert mac in link.client.run("ip", "neigh", "show", vip)


def test_announced_by_dataplane(link):
    """On a port that DPDK owns the dataplane announces, as control does on others."""
    host = link.hosts["gw"]
    mac = host.mac("eth0")
    with make_gateway(link, host, "gw", SERVICES, "dpdk") as sluice, \
         Announcements(link.client) as heard:  # fmt: skip
        sluice.settings["dataplane"] |= {
            "tables": "huge",
            "ports": [{"name": "lan", "device": "net_af_packet0,iface=eth0"}],
        }
        sluice.write()
        sluice.start()
        for vip in (VIP4, VIP6):
            heard.expect(vip, mac, 3)
        sluice.services.append(direct("10.1.0.101", "10.1.0.11", 8))
        sluice.write()
        assert sluice.json("reload")["changes"]
        heard.expect("10.1.0.101", mac, 3)
        assert len(heard.times(VIP4, mac)) == 3
        sluice.stop()
        sluice.run("control", "-c", sluice.file, "--detach")  # what lies in huge pages


def ask(client, vip, count=20, family=socket.AF_INET):
    """So many questions, one by one; how many answers came, with those that came too often."""
    answers = 0
    with client.socket(family, socket.SOCK_DGRAM) as asking:
        for number in range(count):
            asking.sendto(b"%d" % number, (vip, 7))
            asking.settimeout(0.5)
            try:
                while True:
                    asking.recv(100)
                    answers += 1
                    asking.settimeout(0.03)
            except OSError:
                pass
    return answers


def frames_out(link):
    """What each host has sent into the switch."""
    text = link.switch.run("cat", "/proc/net/dev")
    return {line.split(":")[0].strip(): int(line.split(":")[1].split()[1])
            for line in text.splitlines() if line.strip().startswith("p-")}  # fmt: skip


REMOTE = "203.0.113.10"  # a VIP that the client reaches by a route


def remote(mode, own):
    """An echo service of that mode, with what only one of the gateways has."""
    made = {**direct(REMOTE, "10.1.0.11"), "mode": mode}
    if mode == "nat":
        made["hairpin"] = "forward"  # the backend answers through the gateway
    settings = {}
    if mode == "fullnat":
        made["pool"] = "pool"
        settings["pools"] = [{"name": "pool", "addresses": [own], "ports": "20000-20063"}]
    return made, settings


@BOTH
@pytest.mark.parametrize("mode", ["nat", "fullnat", "direct"])
def test_flooding_switch(link, engine, mode):
    """Two gateways of one group on a switch that floods every frame: each question is answered once.
    And where nobody takes a packet that was sent on, it doesn't come back."""
    b1, client = link.backends["b1"], link.client
    link.switch.run("ip", "link", "set", "br0", "type", "bridge", "ageing_time", 0)
    client.run("ip", "route", "add", REMOTE, "via", "10.1.0.3")
    if mode == "nat":
        b1.run("ip", "route", "add", "10.1.0.2", "via", "10.1.0.3")  # not past the gateway
    address = "10.1.0.11" if "nat" in mode else REMOTE
    if address == REMOTE:
        b1.run("ip", "addr", "add", f"{REMOTE}/32", "dev", "lo")
    b1.popen(sys.executable, ECHO, "b1", 7, address)
    net.wait_for("UDP echo", lambda: len(
        b1.run("ss", "-Hlun", "sport", "=", ":7").splitlines()) == 3)  # fmt: skip
    gateways = []
    for name, own in (("gw", "10.1.0.50"), ("other", "10.1.0.51")):
        service, more = remote(mode, own)
        made = make_gateway(link, link.hosts[name], name, [service], engine)
        made.settings |= {"group": "both", **more}
        made.settings["dataplane"]["capacity"]["addresses"] = 4
        made.write()
        gateways.append(made)
    with gateways[0] as sluice, gateways[1] as other:
        for made in gateways:
            made.start()
        net.wait_for("an answer", lambda: ask(client, REMOTE, 1) == 1, 10)
        before = counted(other, "other_host")
        assert ask(client, REMOTE) == 20
        assert counted(other, "other_host") - before >= 20
        assert counted(other, "to_backend") == 0
        link.switch.run("ip", "link", "set", "p-b1", "down")
        assert ask(client, REMOTE, 1) == 0
        one = frames_out(link)
        time.sleep(1)
        two = frames_out(link)
        assert all(two[name] - one[name] < 20 for name in one), (one, two)
        assert counted(sluice, "to_backend") < 60


def counted(sluice, reason):
    """Packets that ended so, in both engines."""
    return next(row["packets"] for row in sluice.json("stats")["reasons"] if row["name"] == reason)


@BOTH
def test_addresses(link, idle, engine):
    """A frame is ours by the port's address, by that of a macvlan on top of it (as VRRP has it), of
    the bridge that it belongs to, and by those of the file, which a reload changes; not by one of
    another network namespace, nor by any other."""
    client, host = link.client, link.hosts["gw"]
    vrrp, above, given, guest = ("00:00:5e:00:01:33", "02:00:00:00:00:71", "02:00:00:00:00:72",
                                 "02:00:00:00:00:73")  # fmt: skip

    def answered(mac):
        client.run("ip", "neigh", "replace", VIP4, "lladdr", mac, "dev", "eth0")
        client.run("ip", "neigh", "replace", VIP6, "lladdr", mac, "dev", "eth0")
        return [ask(client, VIP4, 2), ask(client, VIP6, 2, socket.AF_INET6)]

    def served(mac):
        return answered(mac) == [2, 2]

    def silent(mac):
        return answered(mac) == [0, 0]

    host.run("ip", "link", "add", "guest0", "link", "eth0", "address", guest, "type", "macvlan")
    host.run("ip", "link", "set", "guest0", "netns", link.hosts["other"].name)
    host.sysctl(net__ipv4__neigh__eth0__base_reachable_time_ms=600000,
                net__ipv6__neigh__eth0__base_reachable_time_ms=600000)  # fmt: skip
    link.switch.run("ip", "link", "set", "br0", "type", "bridge", "ageing_time", 0)
    idle.start()
    net.wait_for("an answer", lambda: served(host.mac("eth0")), 10)
    before = counted(idle, "other_host")
    for mac in (vrrp, above, given, guest):
        assert silent(mac), mac
    assert counted(idle, "other_host") - before >= 8
    sent = counted(idle, "to_backend")
    for mac in ("ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:05"):
        answered(mac)  # the backend gets such a frame itself
    assert counted(idle, "to_backend") == sent
    host.run("ip", "link", "add", "vrrp.51", "link", "eth0", "address", vrrp, "type", "macvlan",
             "mode", "private")  # fmt: skip
    net.wait_for("the macvlan's address", lambda: served(vrrp))
    host.run("ip", "link", "del", "vrrp.51")
    net.wait_for("it to go", lambda: silent(vrrp))
    link.hosts["other"].run("ip", "link", "del", "guest0")
    host.run("ip", "link", "add", "br1", "address", above, "type", "bridge")
    host.run("ip", "link", "set", "eth0", "master", "br1")
    net.wait_for("the bridge's address", lambda: served(above))
    host.run("ip", "link", "set", "eth0", "nomaster")
    net.wait_for("it to go", lambda: silent(above))
    idle.settings["dataplane"]["ports"][0]["macs"] = [given]
    idle.write()
    assert idle.json("reload")["changes"] == ["dataplane.ports: macs changed"]
    assert served(given) and served(host.mac("eth0"))
    del idle.settings["dataplane"]["ports"][0]["macs"]
    idle.write()
    assert idle.json("reload")["changes"] == ["dataplane.ports: macs changed"]
    assert silent(given)
