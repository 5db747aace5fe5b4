# SPDX-License-Identifier: BSD-2-Clause
"""A TRex profile (stateless), with port 0 on the clients' side of the gateway and port 1 in the place
of its backends. traffic.conf has what is sent; README.md how to set up the gateway.

    trex> start -f bench/pktgen/trex.py -p 0 -m 50% -t flows=1048576,size=64
    ./ndr --stl --ports 0 1 --profile bench/pktgen/trex.py --prof-tun flows=1048576 size=64

One stream is the load; another, of 1,000 packets a second of one more flow, has time stamps, where the
protocol is UDP.
"""

import os
import re

from trex_stl_lib.api import (  # of TRex, which runs this
    IP, TCP, UDP, Ether, STLFlowLatencyStats, STLPktBuilder, STLStream, STLTXCont, STLVM,
)  # fmt: skip

LATENCY_PPS, LATENCY_SIZE, FCS = 1000, 128, 4
PORT_BITS = 10  # at most; the rest are of addresses


def read_traffic():
    file = os.path.join(os.path.dirname(os.path.abspath(__file__)), "traffic.conf")
    with open(file, encoding="ascii") as source:
        return dict(re.findall(r'^([A-Z_]+)="([^"]*)"', source.read(), re.MULTILINE))


def address_after(address, number):
    value = int.from_bytes(bytes(map(int, address.split("."))), "big") + number
    return ".".join(map(str, value.to_bytes(4, "big")))


class Profile:
    def __init__(self):
        self.traffic = read_traffic()

    def packet(self, size, source_port):
        t = self.traffic
        layer = {"udp": UDP, "tcp": TCP}[t["PROTOCOL"]]
        packet = (
            Ether(dst=t["GATEWAY_MAC"])
            / IP(src=t["SOURCE"], dst=t["VIP"])
            / layer(sport=source_port, dport=int(t["PORT"]))
        )
        if t["PROTOCOL"] == "tcp":
            packet[TCP].flags = "A"
        return packet / (b"\0" * max(0, size - FCS - len(packet)))

    def load(self, flows, size):
        t = self.traffic
        bits = max(flows - 1, 0).bit_length()
        port_bits = min(bits, PORT_BITS)
        first = int(t["SOURCE_PORT"])
        vm = STLVM()
        vm.var(name="ip", size=4, op="random", min_value=t["SOURCE"],
               max_value=address_after(t["SOURCE"], (1 << bits - port_bits) - 1))  # fmt: skip
        vm.var(name="port", size=2, op="random", min_value=first,
               max_value=first + (1 << port_bits) - 1)  # fmt: skip
        vm.write(fv_name="ip", pkt_offset="IP.src")
        vm.write(fv_name="port", pkt_offset=f"{t['PROTOCOL'].upper()}.sport")
        vm.fix_chksum()
        return STLStream(packet=STLPktBuilder(pkt=self.packet(size, first), vm=vm), mode=STLTXCont())

    def get_streams(self, flows=1 << 20, size=64, port_id=0, **_):
        streams = [self.load(int(flows), int(size))]
        if self.traffic["PROTOCOL"] == "udp":
            packet = self.packet(max(int(size), LATENCY_SIZE), int(self.traffic["SOURCE_PORT"]) - 1)
            streams.append(STLStream(
                packet=STLPktBuilder(pkt=packet), mode=STLTXCont(pps=LATENCY_PPS),
                flow_stats=STLFlowLatencyStats(pg_id=7 + port_id),
            ))  # fmt: skip
        return streams


def register():
    return Profile()
