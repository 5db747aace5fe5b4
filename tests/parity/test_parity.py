# SPDX-License-Identifier: BSD-2-Clause
"""The corpus of tests/vectors through both engines, by sluice-replay: each has to say and to send
what stands there, and so both the same. Where the program is: $SLUICE_REPLAY, else build/."""

import concurrent.futures
import functools
import json
import os
import struct
import subprocess
import tempfile
from pathlib import Path

import pytest
import vectors

ROOT = Path(__file__).resolve().parent.parent.parent
REPLAY = os.environ.get("SLUICE_REPLAY", str(ROOT / "build" / "sluice-replay"))
ENGINES = ["dpdk", "xdp"]
VECTORS = vectors.read()
LEAVES = ("forward", "reply")


# A capture of nanoseconds, link type Ethernet (draft-ietf-opsawg-pcap).
CAPTURE = struct.Struct("<IHHiIII")
RECORD = struct.Struct("<IIII")
MAGIC = 0xA1B23C4D
START = 1_700_000_000


def write_capture(path, packets):
    """One millisecond apart, so that times can be told apart too."""
    with open(path, "wb") as capture:
        capture.write(CAPTURE.pack(MAGIC, 2, 4, 0, 0, 262144, 1))
        for number, packet in enumerate(packets):
            capture.write(RECORD.pack(START, number * 10**6, len(packet), len(packet)) + packet)


def read_capture(path):
    """(place by its time, packet) of each."""
    data = Path(path).read_bytes()
    assert CAPTURE.unpack_from(data)[0] == MAGIC
    at, found = CAPTURE.size, []
    while at < len(data):
        seconds, nanoseconds, kept, length = RECORD.unpack_from(data, at)
        at += RECORD.size
        assert seconds == START and kept == length
        found.append((nanoseconds // 10**6, data[at : at + kept]))
        at += kept
    return found


@functools.cache
def runs(engine):
    """{setting: its run by this engine}. They go side by side: what takes long with XDP is the
    kernel's check of the program, which uses one core."""
    pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count())
    settings = dict.fromkeys(vector.setting for vector in VECTORS)
    return {setting: pool.submit(run, engine, setting) for setting in settings}


def replay(engine, setting):
    return runs(engine)[setting].result()


def run(engine, setting):
    """{index in VECTORS: (verdict line, bytes that left or None)} of one run."""
    chosen = [(i, v) for i, v in enumerate(VECTORS) if v.setting == setting]
    with tempfile.TemporaryDirectory() as where:
        before, after = os.path.join(where, "in.pcap"), os.path.join(where, "out.pcap")
        write_capture(before, [v.packet for _, v in chosen])
        command = [REPLAY, "-c", setting.config, "--engine", engine, "--port", setting.port]
        for prefix in setting.local:
            command += ["--local", prefix]
        done = subprocess.run(
            [*command, before, after], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        left = dict(read_capture(after))
        told = [line.split() for line in done.stdout.splitlines()]
    assert [line[0] for line in told] == [str(i + 1) for i in range(len(chosen))]
    leaving = [place for place, line in enumerate(told) if line[1] in LEAVES]
    assert leaving == list(left), "what left isn't what was said"
    return {i: (told[place][1:], left.get(place)) for place, (i, _) in enumerate(chosen)}


def needs(engine):
    if engine == "xdp" and os.geteuid() != 0:
        pytest.skip("the xdp engine needs root")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("index", range(len(VECTORS)), ids=[str(v) for v in VECTORS])
def test_vector(index, engine):
    needs(engine)
    vector = VECTORS[index]
    verdict, packet = replay(engine, vector.setting)[index]
    assert verdict == vector.verdict, f"{vector.setting.file}:{vector.line}"
    assert (packet and packet.hex()) == (vector.after and vector.after.hex())


def test_engines_agree():
    needs("xdp")
    for setting in {v.setting for v in VECTORS}:
        assert replay("dpdk", setting) == replay("xdp", setting)


def test_corpus():
    """Every vector says what is to become of it, and no two of a file have one name."""
    for vector in VECTORS:
        leaves = vector.verdict and vector.verdict[0] in LEAVES
        assert vector.verdict and leaves == (vector.after is not None), vector
    assert len({str(v) for v in VECTORS}) == len(VECTORS) >= 250


def test_json(tmp_path):
    """The same verdicts in JSON lines, by their names."""
    vector = VECTORS[0]
    write_capture(str(tmp_path / "in.pcap"), [vector.packet])
    done = subprocess.run(
        [REPLAY, "-c", vector.setting.config, "--json", "--port", vector.setting.port,
         tmp_path / "in.pcap", tmp_path / "out.pcap"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    told = json.loads(done.stdout)
    names = ("verdict", "reason", "service", "backend")
    assert told == {"number": 1, **{n: v if v != "-" else None
                                    for n, v in zip(names, vector.verdict)}}  # fmt: skip
    assert "packets/s" in done.stderr
