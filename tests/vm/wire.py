# SPDX-License-Identifier: BSD-2-Clause
"""The far ends of the bound NICs' cables: a client on one, two backends on the other. A frame is a
datagram of a socket pair that QEMU holds the other end of. Addresses are those of bound.conf."""

import random
import select
import socket
import time

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

VIP, CLIENT = "198.51.100.10", "198.51.100.2"
CLIENT_NIC, SERVER_NIC = "02:00:00:00:01:01", "02:00:00:00:02:01"  # ours, as run.py makes them
CLIENT_MAC = "02:00:00:00:01:02"
BACKENDS = {"10.1.0.11": "02:00:00:00:02:0b", "10.1.0.12": "02:00:00:00:02:0c"}
PATIENCE = 10.0  # emulated processors on a busy machine


class Cable:
    def __init__(self):
        self.here, self.there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.here.settimeout(PATIENCE)

    def send(self, frame):
        self.here.send(bytes(frame).ljust(60, b"\0"))

    def receive(self, patience=PATIENCE):
        """The next frame of ours, or None; QEMU's own NICs say nothing unasked."""
        if select.select([self.here], [], [], patience)[0]:
            return Ether(self.here.recv(4096))
        return None

    def drain(self):
        while self.receive(0):
            pass

    def close(self):
        self.here.close()
        self.there.close()


def expect(frame, **wanted):
    """Compares fields, written layer_field; returns the frame."""
    if frame is None:
        raise AssertionError("nothing came out")
    for name, value in wanted.items():
        layer, field = name.split("_")
        layer = {"ether": Ether, "arp": ARP, "ip": IP, "udp": UDP, "tcp": TCP}[layer]
        if layer not in frame:
            raise AssertionError(f"no {layer.__name__} in {frame.summary()}")
        seen = frame[layer].getfieldval(field)
        if str(seen) != str(value):
            raise AssertionError(f"{name} is {seen}, not {value}: {frame.summary()}")
    return frame


def whole(frame):
    """Checks both checksums: scapy makes them anew from the same fields."""
    again = frame.copy()
    for layer in (IP, UDP, TCP):
        if layer in again:
            del again[layer].chksum
    again = Ether(bytes(again))
    for layer in (IP, UDP, TCP):
        if layer in again and again[layer].chksum != frame[layer].chksum:
            raise AssertionError(f"{layer.__name__} checksum {frame[layer].chksum:#06x}, "
                                 f"not {again[layer].chksum:#06x}")  # fmt: skip
    return frame


def query(port, payload=b"query"):
    return (Ether(src=CLIENT_MAC, dst=CLIENT_NIC) / IP(src=CLIENT, dst=VIP, ttl=64)
            / UDP(sport=port, dport=53) / Raw(payload))  # fmt: skip


def arp(client, _server):
    client.send(Ether(src=CLIENT_MAC, dst="ff:ff:ff:ff:ff:ff")
                / ARP(op=1, hwsrc=CLIENT_MAC, psrc=CLIENT, pdst=VIP))  # fmt: skip
    expect(client.receive(), ether_src=CLIENT_NIC, ether_dst=CLIENT_MAC, arp_op=2,
           arp_hwsrc=CLIENT_NIC, arp_psrc=VIP, arp_pdst=CLIENT)  # fmt: skip
    return f"{VIP} is at {CLIENT_NIC}"


def udp(client, server):
    client.send(query(40000))
    frame = whole(expect(server.receive(), ether_src=SERVER_NIC, ip_src=CLIENT, ip_ttl=63,
                         udp_sport=40000, udp_dport=5353))  # fmt: skip
    backend = frame[IP].dst
    expect(frame, ether_dst=BACKENDS[backend])
    assert frame[UDP].payload.load[:5] == b"query"
    server.send(Ether(src=BACKENDS[backend], dst=SERVER_NIC) / IP(src=backend, dst=CLIENT, ttl=64)
                / UDP(sport=5353, dport=40000) / Raw(b"answer"))  # fmt: skip
    whole(expect(client.receive(), ether_src=CLIENT_NIC, ether_dst=CLIENT_MAC, ip_src=VIP,
                 ip_dst=CLIENT, ip_ttl=63, udp_sport=53, udp_dport=40000))  # fmt: skip
    return f"to {backend} and back"


def tcp(client, server):
    client.send(Ether(src=CLIENT_MAC, dst=CLIENT_NIC) / IP(src=CLIENT, dst=VIP)
                / TCP(sport=40001, dport=80, flags="S", options=[("MSS", 1460)]))  # fmt: skip
    whole(expect(server.receive(), ether_dst=BACKENDS["10.1.0.11"], ip_dst="10.1.0.11",
                 tcp_dport=80, tcp_flags="S"))  # fmt: skip
    server.send(Ether(src=BACKENDS["10.1.0.11"], dst=SERVER_NIC)
                / IP(src="10.1.0.11", dst=CLIENT) / TCP(sport=80, dport=40001, flags="SA"))
    whole(expect(client.receive(), ip_src=VIP, tcp_sport=80, tcp_flags="SA"))
    return "SYN to 10.1.0.11, SYN ACK from the VIP"


def not_ours(client, server):
    client.send(Ether(src=CLIENT_MAC, dst=CLIENT_NIC) / IP(src=CLIENT, dst="10.1.0.11") / ICMP())
    for cable in (client, server):
        if frame := cable.receive(1.0):
            raise AssertionError(f"it let out {frame.summary()}")
    return "a ping of a backend leaves by no port"


def many(client, server, flows=2000, window=8):
    """Flows of random ports, each sent twice: all come out, each always at one backend."""
    ports = random.Random(1).sample(range(1024, 65536), flows)
    frames = [(port, bytes(query(port, b"%d" % port))) for port in ports] * 2
    places, lost, waiting = {}, 0, 0
    began = time.monotonic()

    def take():
        frame = server.receive(2.0)
        if frame is None:
            return False
        where = places.setdefault(frame[UDP].sport, frame[IP].dst)
        if where != frame[IP].dst:
            raise AssertionError(f"port {frame[UDP].sport}: {where}, then {frame[IP].dst}")
        return True

    for _, frame in frames:
        client.send(frame)
        waiting += 1
        if waiting == window:
            waiting -= 1
            if not take():
                lost, waiting = lost + window, 0
    for _ in range(waiting):
        lost += not take()
    shares = [list(places.values()).count(backend) for backend in BACKENDS]
    if lost or len(places) != flows:
        raise AssertionError(f"{lost} of {len(frames)} lost, {len(places)} of {flows} flows seen")
    if min(shares) < 0.4 * flows:
        raise AssertionError(f"shares {shares}")
    return (f"{len(frames)} packets of {flows} flows in {time.monotonic() - began:.1f} s, none "
            f"lost, flows at the backends: {shares[0]} and {shares[1]}")  # fmt: skip


CHECKS = {
    "ARP for the VIP is answered": arp,
    "UDP there and back": udp,
    "TCP there and back": tcp,
    "what isn't ours goes nowhere": not_ours,
    "many flows": many,
}


def run(client, server):
    """Yields (name, whether it passed, detail)."""
    for name, check in CHECKS.items():
        client.drain()
        server.drain()
        try:
            yield name, True, check(client, server)
        except (AssertionError, OSError) as error:
            yield name, False, str(error) or type(error).__name__
