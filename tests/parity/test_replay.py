# SPDX-License-Identifier: BSD-2-Clause
"""sluice-replay itself: files that it reads, files that it refuses, and that it repeats itself."""

import os
import random
import shutil
import struct
import subprocess
import tempfile

import pytest
import vectors
from scapy.all import IP, TCP, UDP, Ether, IPv6
from test_parity import ENGINES, REPLAY, needs, read_capture, write_capture

CONFIG = str(vectors.WHERE / "gateway.conf")
LINK = Ether(dst="02:73:6c:00:00:00")  # the first port
SYN = bytes(LINK / IP(src="192.0.2.1", dst="203.0.113.10") / TCP(dport=80, flags="S"))


def replay(*arguments, status=0):
    done = subprocess.run(
        [REPLAY, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == status, done.stderr
    return done


def pcapng(packets):
    def block(kind, body):
        body += bytes(-len(body) % 4)
        size = struct.pack("<I", len(body) + 12)
        return struct.pack("<I", kind) + size + body + size

    data = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    data += block(1, struct.pack("<HHI", 1, 0, 0))
    for packet in packets:
        head = struct.pack("<IIIII", 0, 0, 0, len(packet), len(packet))
        data += block(6, head + packet)
    return data


def flows(number, seed):
    """SYNs of clients all over the place."""
    chance = random.Random(seed)
    for _ in range(number):
        packet = bytearray(SYN)
        packet[26:30] = chance.randrange(1, 127).to_bytes(1, "big") + chance.randbytes(3)
        packet[34:36] = chance.randbytes(2)
        yield bytes(packet)


def test_pcapng(tmp_path):
    (tmp_path / "in.pcapng").write_bytes(pcapng([SYN, SYN]))
    done = replay("-c", CONFIG, tmp_path / "in.pcapng", tmp_path / "out.pcap")
    assert done.stdout == "1 forward to_backend web b1\n2 forward to_backend web b1\n"


@pytest.mark.parametrize("engine", ENGINES)
def test_cut_short_by_the_capture(tmp_path, engine):
    """60 of 1,054 bytes were kept: decided as if it were whole, written as it was kept."""
    needs(engine)
    whole = bytes(LINK / IP(dst="203.0.113.10") / TCP(dport=80, flags="A") / bytes(1000))
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 60, 1)
    record = struct.pack("<IIII", 0, 0, 60, len(whole))
    (tmp_path / "in.pcap").write_bytes(head + record + whole[:60])
    done = replay("-c", CONFIG, "-e", engine, tmp_path / "in.pcap", tmp_path / "out.pcap")
    assert done.stdout == "1 forward to_backend web b1\n"
    assert "1 packets were cut short" in done.stderr
    left = (tmp_path / "out.pcap").read_bytes()
    assert struct.unpack_from("<II", left, 24 + 8) == (60, len(whole))
    assert left[24 + 16 + 30 : 24 + 16 + 34] == bytes([10, 1, 0, 11])


@pytest.mark.parametrize("engine", ENGINES)
def test_repeats_itself(tmp_path, engine):
    """The same capture twice: the same lines, the same bytes. And the rows follow the weights."""
    needs(engine)
    config = vectors.WHERE.parent.parent / "config" / "examples" / "demo.conf"
    write_capture(tmp_path / "in.pcap", flows(4000, 1))
    done = [replay("-c", config, "-e", engine, tmp_path / "in.pcap", tmp_path / name)
            for name in ("first.pcap", "second.pcap")]  # fmt: skip
    assert done[0].stdout == done[1].stdout
    first = (tmp_path / "first.pcap").read_bytes()
    assert first == (tmp_path / "second.pcap").read_bytes()
    share = [done[0].stdout.count(f" web {name}\n") / 4000 for name in ("b1", "b2", "b3")]
    assert share == pytest.approx([0.25, 0.25, 0.5], abs=0.03)


def test_longer_than_xdp_is_handed(tmp_path):
    needs("xdp")
    long = bytes(LINK / IP(dst="203.0.113.10") / TCP(dport=80, flags="A") / bytes(5000))
    write_capture(tmp_path / "in.pcap", [long, SYN])
    told = {e: replay("-c", CONFIG, "-e", e, tmp_path / "in.pcap", tmp_path / "out").stdout
            for e in ENGINES}  # fmt: skip
    assert told["xdp"] == "1 drop too_long - -\n2 forward to_backend web b1\n"
    assert told["dpdk"] == "1 forward to_backend web b1\n2 forward to_backend web b1\n"


@pytest.mark.parametrize("engine", ENGINES)
def test_addresses_of_the_capture(tmp_path, engine):
    """Frames to the ports are ours, by whichever they come in; others with --mac. Groups never."""
    needs(engine)
    macs = ("02:73:6c:00:00:00", "02:73:6c:00:00:01", "02:99:00:00:00:01", "02:99:00:00:00:02",
            "ff:ff:ff:ff:ff:ff")  # fmt: skip
    packets = [bytes(Ether(dst=mac) / Ether(SYN).payload) for mac in macs]
    write_capture(tmp_path / "in.pcap", packets)
    ours, other = "forward to_backend web b1", "punt other_host - -"
    for arguments, third, fourth in (
        ([], other, other),
        (["--mac", "02:99:00:00:00:01"], ours, other),
        (["-m", "02:99:00:00:00:01", "-m", "02:99:00:00:00:02"], ours, ours),
        (["--mac", "any"], ours, ours),
    ):
        done = replay("-c", CONFIG, "-e", engine, *arguments, tmp_path / "in.pcap", tmp_path / "out")
        told = [line.split(" ", 1)[1] for line in done.stdout.splitlines()]
        assert told == [ours, ours, third, fourth, "punt not_ours - -"]
        assert ("addressed to other hosts" in done.stderr) == (other in told)


def write_timed(path, packets):
    """packets: (seconds, packet) of each."""
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for at, packet in packets:
        size = len(packet)
        data += struct.pack("<IIII", int(at), round(at % 1 * 1e6), size, size) + packet
    path.write_bytes(data)


def verdicts(config, engine, where, packets):
    """The reason of each packet; packets: (seconds, packet) of each."""
    write_timed(where / "in.pcap", packets)
    done = replay("-c", config, "-e", engine, where / "in.pcap", where / "out.pcap")
    return [line.split()[2] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("engine", ENGINES)
def test_ports_of_pools_age(tmp_path, engine):
    """The one port of a pool is free again when its flow is over by the clock of the capture,
    within the same second of ours."""
    needs(engine)
    one, two = (
        bytes(LINK / IP(src=f"192.0.2.{i}", dst="203.0.113.10") / TCP(dport=80, flags="S")) for i in (1, 2)
    )
    told = verdicts(str(vectors.WHERE / "fullnat.conf"), engine, tmp_path,
                    [(1000, one), (1001, two), (1600, two), (1601, one)])  # fmt: skip
    assert told == ["to_backend", "pool_full", "to_backend", "pool_full"]


LIMITED = """\
instance = "limited";
dataplane: {{
	cores = [ 1 ];
	ports = ( {{ name = "client"; device = "net_null0"; }}, {{ name = "server"; device = "net_null1"; }} );
}};
next_hops = ( {{ prefix = "10.1.0.0/24"; port = "server"; mac = "02:00:00:00:00:99"; mtu = 1000; }},
              {{ prefix = "0.0.0.0/0"; port = "client"; mac = "02:00:00:00:00:01"; }} );
services = (
	{{ name = "web"; vip = "203.0.113.10"; protocol = "udp"; port = 80;
	  limits = ( {{ per = "{per}"; rate = "100kbit"; burst = "4096"; direction = "to"; }} );
	  backends = ( {{ name = "b1"; address = "10.1.0.11"; weight = 10; }} ); }}
);
"""


def datagram(size):
    return bytes(LINK / IP(src="192.0.2.1", dst="203.0.113.10", flags="DF") / UDP(sport=40000, dport=80) / bytes(size))


@pytest.mark.parametrize("per", ["flow", "client", "backend", "service"])
@pytest.mark.parametrize("engine", ENGINES)
def test_what_does_not_fit_is_not_charged(tmp_path, engine, per):
    """Four packets that are larger than the way on change nothing for those that fit: as many go as
    without the four, and then the limit is reached. A packet more or less is the doing of leases,
    by which CPUs share a bucket; the four would be five."""
    needs(engine)
    (tmp_path / "limited.conf").write_text(LIMITED.format(per=per))

    def told(sizes):
        packets = [(1000 + i * 1e-4, datagram(size)) for i, size in enumerate(sizes) if size]
        return verdicts(tmp_path / "limited.conf", engine, tmp_path, packets)

    alone, among = (told([100] + 4 * [size] + 8 * [900]) for size in (0, 1300))
    assert among[1:5] == 4 * ["too_big_answered"]
    rest = among[:1] + among[5:]
    assert abs(rest.count("to_backend") - alone.count("to_backend")) <= (per in ("backend", "service"))
    for seen in (alone, rest):
        assert seen[:4] == 4 * ["to_backend"] and seen[-1] == f"limit_{per}"


@pytest.mark.parametrize("engine", ENGINES)
def test_limits_age(tmp_path, engine):
    """A bucket is full again when the clock of the capture says so: 4,096 bytes at 100 kbit/s."""
    needs(engine)
    (tmp_path / "limited.conf").write_text(LIMITED.format(per="client"))
    burst = [(1000 + i * 1e-4, datagram(900)) for i in range(6)]
    told = verdicts(tmp_path / "limited.conf", engine, tmp_path, burst + [(at + 1, p) for at, p in burst])
    assert told == 2 * (4 * ["to_backend"] + 2 * ["limit_client"])


def test_empty_capture(tmp_path):
    write_capture(tmp_path / "in.pcap", [])
    assert replay("-c", CONFIG, tmp_path / "in.pcap", tmp_path / "out.pcap").stdout == ""
    assert read_capture(tmp_path / "out.pcap") == []


def test_refuses(tmp_path):
    capture, out = tmp_path / "in.pcap", tmp_path / "out.pcap"
    write_capture(capture, [SYN])
    cooked = bytearray(capture.read_bytes())
    cooked[20] = 113  # LINKTYPE_LINUX_SLL
    (tmp_path / "cooked.pcap").write_bytes(cooked)
    (tmp_path / "no.pcap").write_text("nothing of the kind")
    (tmp_path / "cut.pcap").write_bytes(capture.read_bytes()[:-10])
    (tmp_path / "bad.conf").write_text("services = ();\n")
    for arguments, status, said in (
        (["-c", CONFIG, tmp_path / "cooked.pcap", out], 1, "only Ethernet"),
        (["-c", CONFIG, tmp_path / "no.pcap", out], 1, "no.pcap"),
        (["-c", CONFIG, tmp_path / "none.pcap", out], 1, "none.pcap"),
        (["-c", CONFIG, tmp_path / "cut.pcap", out], 1, "cut.pcap"),
        (["-c", CONFIG, capture, capture], 1, "name another file"),
        (["-c", CONFIG, capture, "-"], 1, "OUT"),
        (["-c", CONFIG, capture, tmp_path / "none" / "out"], 1, "none"),
        (["-c", CONFIG, "--port", "lan", capture, out], 2, 'no port "lan"'),
        (["-c", CONFIG, "--engine", "xpd", capture, out], 2, "dpdk or xdp"),
        (["-c", CONFIG, "--local", "10.0.0.0/33", capture, out], 2, "10.0.0.0/33"),
        (["-c", CONFIG, "--local", "ten", capture, out], 2, "ten"),
        (["-c", CONFIG, "--mac", "02:99:00:00:00", capture, out], 2, "a MAC address"),
        (["-c", CONFIG, capture], 2, "usage"),
        ([capture, out], 2, "usage"),
        (["-c", tmp_path / "bad.conf", capture, out], 3, "bad.conf"),
    ):
        assert said in replay(*arguments, status=status).stderr, arguments


def test_without_rights():
    """dpdk needs none; xdp says what it needs."""
    nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory() as where:
        os.chmod(where, 0o755)
        program, config = (shutil.copy(file, where) for file in (REPLAY, CONFIG))
        write_capture(os.path.join(where, "in.pcap"), [SYN])
        for engine, status, said in (("dpdk", 0, "1 forward"), ("xdp", 4, "run as root")):
            done = subprocess.run(
                [program, "-c", config, "-e", engine, "in.pcap", "/dev/null"],
                cwd=where, capture_output=True, text=True, timeout=60, check=False, **nobody,
            )  # fmt: skip
            assert done.returncode == status, done.stderr
            assert said in done.stdout + done.stderr


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("six", [False, True])
def test_replies_of_a_prefix(tmp_path, engine, six):
    """Full NAT: two addresses of a prefix, called from one port of a client, are two flows; each
    reply comes from the address that was called."""
    needs(engine)
    layer = IPv6 if six else IP
    client = "2001:db8:5::1" if six else "192.0.2.1"
    vips = ["2001:db8:9::7", "2001:db8:9::8:1"] if six else ["198.18.0.7", "198.19.255.8"]
    back = Ether(dst="02:73:6c:00:00:00")
    asked = [bytes(LINK / layer(src=client, dst=v) / UDP(sport=5353, dport=53)) for v in vips]

    def run(packets):
        write_capture(str(tmp_path / "in.pcap"), packets)
        done = replay("-c", str(vectors.WHERE / "prefix.conf"), "--engine", engine, "--port",
                      "client", tmp_path / "in.pcap", tmp_path / "out.pcap")  # fmt: skip
        left = [Ether(p) for _, p in sorted(dict(read_capture(str(tmp_path / "out.pcap"))).items())]
        return done.stdout.splitlines(), left

    told, left = run(asked)
    service = "dns6 d6" if six else "dns d1"
    assert told == [f"{i} forward to_backend {service}" for i in (1, 2)]
    sent = [p[layer] for p in left]
    assert len({p[UDP].sport for p in sent}) == 2, "one port of the pool for each"
    answers = [
        bytes(back / layer(src=p.dst, dst=p.src) / UDP(sport=53, dport=p[UDP].sport)) for p in sent
    ]
    told, left = run(asked + answers)
    assert told[2:] == [f"{i} forward to_client {service}" for i in (3, 4)]
    for vip, packet in zip(vips, left[2:], strict=True):
        assert (packet[layer].src, packet[layer].dst) == (vip, client)
        assert (packet[UDP].sport, packet[UDP].dport) == (53, 5353)


@pytest.mark.parametrize("engine", ENGINES)
def test_affinity_group(tmp_path, engine):
    """A client's flows of both services go to one host, and clients to all of them."""
    needs(engine)
    clients = [f"192.0.2.{n}" for n in range(1, 101)]
    packets = [
        bytes(LINK / IP(src=c, dst="203.0.113.10") / UDP(sport=port + 7, dport=port))
        for c in clients
        for port in (500, 4500)
    ]
    write_capture(str(tmp_path / "in.pcap"), packets)
    done = replay("-c", str(vectors.WHERE / "group.conf"), "--engine", engine, "--port", "client",
                  tmp_path / "in.pcap", tmp_path / "out.pcap")  # fmt: skip
    told = [line.split()[3:] for line in done.stdout.splitlines()]
    assert [service for service, _ in told] == ["ike", "nat-t"] * len(clients)
    hosts = [backend for _, backend in told]
    assert hosts[0::2] == hosts[1::2]
    assert set(hosts) == {"b1", "b2", "b3"}
