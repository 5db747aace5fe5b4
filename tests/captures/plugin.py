# SPDX-License-Identifier: BSD-2-Clause
"""A pytest plugin for smoke tests: captures what a test sends, on both sides of the gateway. Then
tshark finds no wrong checksum in it, and what the gateway got goes through sluice-replay with both
engines, which say the same of each packet and write the same bytes.

The captures are taken at the other ends of the gateway's two links, since what XDP takes or sends
no capture on the gateway sees.
"""

import collections
import glob
import os
import re
import signal
import subprocess
import tempfile

import pytest

import gateway
import topology as net

PASS = os.path.join(os.path.dirname(__file__), "pass.bpf.c")
FRAMES = 30000  # of each capture: what comes later in a test is more of the same
# Over IPv6 a tunnel may have a UDP checksum of 0 (RFC 6935), which tshark calls illegal; and of what
# an ICMP error quotes it sums the part that is there. Linux writes 0xffff where TCP's sum is 0
# (skb_checksum_help()), which is the same to who adds it up.
HEADERS, SEGMENTS = ("ip", "icmp", "icmpv6"), ("tcp", "udp")


def status(is_, kinds):
    return "(" + " || ".join(f'{kind}.checksum.status == "{is_}"' for kind in kinds) + ")"


WRONG = (f"{status('Bad', HEADERS)} || ({status('Bad', SEGMENTS)} && !(icmp || icmpv6) "
         "&& !(tcp.checksum == 0xffff))"
         ' || (udp.checksum.status == "Illegal" && udp.dstport != 6080)')  # fmt: skip
RIGHT = status("Good", HEADERS + SEGMENTS)
GUE = os.path.join(os.path.dirname(__file__), "gue.lua")
CHECKS = [word for kind in ("ip", "tcp", "udp") for word in ("-o", f"{kind}.check_checksum:TRUE")]
SAID = []


def rows(text):
    """The lines of an answer that are numbered, without what a program says besides."""
    return [line for line in text.splitlines() if line[:1].isdigit()]


def tshark(capture, *arguments):
    return rows(net.sh("tshark", "-X", f"lua_script:{GUE}", "-r", capture, *CHECKS, *arguments,
                       timeout=120))  # fmt: skip


class Side:
    """One link of the gateway: PORT is its name in the configuration, DEVICE the end at HOST, and
    OURS the gateway's own end."""

    def __init__(self, directory, port, host, device, ours):
        self.port, self.ours = port, ours
        self.file = f"{directory}/{port}.pcap"
        self.log = open(f"{directory}/{port}.log", "w+", encoding="utf-8")
        self.dump = host.popen("dumpcap", "-q", "-P", "-i", device, "-w", self.file, "-B", "64",
                               "-c", FRAMES, stderr=self.log)  # fmt: skip
        net.wait_for("the capture", lambda: os.path.exists(self.file))

    def stop(self):
        """How many frames it lost."""
        if self.dump.poll() is None:
            self.dump.send_signal(signal.SIGINT)
        self.dump.wait(20)
        with self.log:
            self.log.seek(0)
            return int(re.search(r"received/dropped on interface .*: \d+/(\d+)", self.log.read())[1])

    def frames(self, which):
        """Those that a filter takes, a line each."""
        return tshark(self.file, "-Y", which, "-T", "fields", "-e", "frame.number",
                      "-e", "_ws.col.Info")  # fmt: skip

    def replay(self, config):
        """How many packets came in; both engines agree on them."""
        came = f"{self.file}.in"
        tshark(self.file, "-Y", f"eth.src != {self.ours} && frame.len <= 3520", "-F", "pcap",
               "-w", came)  # fmt: skip
        said, sent = {}, {}
        for engine in ("dpdk", "xdp"):
            told = net.sh(gateway.program("sluice-replay"), "-c", config, "-e", engine,
                          "-p", self.port, "-m", self.ours, came, f"{came}.{engine}",
                          timeout=120)  # fmt: skip
            said[engine] = rows(told)
            with open(f"{came}.{engine}", "rb") as out:
                sent[engine] = out.read()
        other = [both for both in zip(said["dpdk"], said["xdp"]) if len(set(both)) > 1]
        assert not other, other[:10]
        assert sent["dpdk"] == sent["xdp"]
        return collections.Counter(line.split()[2] for line in said["dpdk"])


def with_next_hops(topology, directory):
    """The instance's configuration; its next hops as the kernel knew them."""
    (file,) = glob.glob(f"{topology.directory}/*/sluice.conf")
    with open(file, encoding="utf-8") as conf:
        text = conf.read()
    hops = [{"prefix": prefix, "port": "client", "mac": topology.client.mac("eth0")}
            for prefix in ("0.0.0.0/0", "::/0")]  # fmt: skip
    hops += [{"prefix": address, "port": "backends", "mac": host.mac("eth0")}
             for host in topology.backends.values() for address in (host.address, host.address6)]
    text += f"next_hops = {gateway.libconfig(hops)};\n"
    with open(f"{directory}/replay.conf", "w", encoding="utf-8") as conf:
        conf.write(text)
    return f"{directory}/replay.conf"


@pytest.fixture(scope="session")
def passing(tmp_path_factory):
    """The compiled program."""
    path = tmp_path_factory.mktemp("captures") / "pass.bpf.o"
    net.sh("clang", "-target", "bpf", "-O2", "-g", "-I/usr/include/x86_64-linux-gnu", "-c", PASS,
           "-o", path)  # fmt: skip
    return path


@pytest.fixture(autouse=True)
def captured(topology, passing, request):
    """Stands between the topology and the instance that serves in it."""
    ends = (("client", topology.client, "eth0", "cl0"), ("backends", topology.switch, "gw", "be0"))
    with tempfile.TemporaryDirectory(prefix=f"{topology.name}-") as directory:
        sides = []
        for port, host, device, ours in ends:
            host.run("ip", "link", "set", "dev", device, "xdpdrv", "obj", passing, "sec", "xdp")
            host.run("ethtool", "-K", device, "gro", "off")
            sides.append(Side(directory, port, host, device, topology.gateway.mac(ours)))
        yield
        lost = [side.stop() for side in sides]
        config = with_next_hops(topology, directory)
        checked = 0
        for side, missed in zip(sides, lost):
            right, wrong, reasons = side.frames(RIGHT), side.frames(WRONG), side.replay(config)
            SAID.append(f"{request.node.name:<40} {side.port:<8} {len(right):>6} frames with right "
                        f"sums, {len(wrong)} wrong, {missed} lost; replayed "
                        f"{sum(reasons.values())}, engines equal: "
                        + ", ".join(f"{n} {name}" for name, n in reasons.most_common()))  # fmt: skip
            assert not wrong, wrong[:10]
            checked += len(right)
        assert checked


def pytest_terminal_summary(terminalreporter):
    for line in SAID:
        terminalreporter.write_line(line)
