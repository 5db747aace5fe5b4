# SPDX-License-Identifier: BSD-2-Clause
"""Reads tests/vectors/*.txt; their README.md has the format."""

import socket
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import scapy.all

WHERE = Path(__file__).resolve().parent.parent / "vectors"


@dataclass(frozen=True)
class Setting:
    """What a run of sluice-replay is asked with. Vectors of one setting of a file go together."""

    file: str
    config: str = ""
    port: str = ""
    local: tuple = ()


@dataclass
class Vector:
    name: str
    line: int
    setting: Setting
    packet: bytes = b""
    after: bytes | None = None
    verdict: list = field(default_factory=list)  # verdict, reason, service, backend

    def __str__(self):
        return f"{Path(self.setting.file).stem}: {self.name}"


def cut(packet, length):
    return bytes(packet)[:length]


def pad(packet, length):
    return bytes(packet) + bytes(length)


def fold(total):
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def pseudo(packet):
    head = bytes(packet)
    length = len(head) - 4 * (head[0] & 15)
    words = [int.from_bytes(head[at : at + 2], "big") for at in (12, 14, 16, 18)]
    return fold(sum(words) + head[9] + length)


def moved(checksum, words, others):
    """RFC 1624, equation 3."""
    return 0xFFFF ^ fold((0xFFFF ^ checksum) + sum(0xFFFF ^ w for w in words) + sum(others))


def slot_key(group):
    """The three keys of a group, as docs/configuration.md says."""
    state, mask = 0xCBF29CE484222325, 2**64 - 1
    for byte in group.encode():
        state = (state ^ byte) * 0x100000001B3 & mask
    for _ in range(3):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        yield z ^ z >> 31


BUCKET_KEY = (0x9E3779B97F4A7C15, 0xD1B54A32D192ED03)  # of sluice-replay's instances


def mix(a, b, key=None):
    """abi/hash.h, over the group's keys."""
    first, second = key or tuple(slot_key("sluice"))[:2]
    mask = 2**64 - 1
    h = (a ^ first) * (second | 1) & mask
    h = ((h ^ h >> 32) + b) * (first | 1) & mask
    return h ^ h >> 32


def entropy(packet):
    """What tunnels make of a flow: 32 bits. Words as a little-endian machine loads them. The ports
    of IPv6 stand right behind its header."""
    head = bytes(packet)

    def word(at, size=4):
        return int.from_bytes(head[at : at + size], "little")

    if head[0] >> 4 == 6:
        return mix(mix(word(8, 8), word(16, 8)), word(36) << 32 | word(40)) & 0xFFFFFFFF
    return mix(word(12) << 32 | word(16), word(4 * (head[0] & 15))) & 0xFFFFFFFF


def digest6(address):
    """abi/hash.h, sl_hash_source6() with port 0."""
    first, _, third = slot_key("sluice")
    mask = 2**64 - 1
    raw = socket.inet_pton(socket.AF_INET6, address)
    v = [third ^ 0x736F6D6570736575, first ^ 0x646F72616E646F6D,
         third ^ 0x6C7967656E657261, first ^ 0x7465646279746573]  # fmt: skip

    def turn(n, by):
        return (n << by | n >> 64 - by) & mask

    def mix_in(rounds):
        for _ in range(rounds):
            v[0] = v[0] + v[1] & mask
            v[1] = turn(v[1], 13) ^ v[0]
            v[0] = turn(v[0], 32)
            v[2] = v[2] + v[3] & mask
            v[3] = turn(v[3], 16) ^ v[2]
            v[0] = v[0] + v[3] & mask
            v[3] = turn(v[3], 21) ^ v[0]
            v[2] = v[2] + v[1] & mask
            v[1] = turn(v[1], 17) ^ v[2]
            v[2] = turn(v[2], 32)

    for block in (int.from_bytes(raw[:8], "little"), int.from_bytes(raw[8:], "little"), 18 << 56):
        v[3] ^= block
        mix_in(1)
        v[0] ^= block
    v[2] ^= 0xFF
    mix_in(3)
    return (v[0] ^ v[1] ^ v[2] ^ v[3]) >> 16


def renamed(src, dst, protocol, number, nth=0):
    """core/fragment_id.h: the identification that full NAT gives a datagram in fragments, from its
    addresses as it came; of IPv4 the nth candidate."""
    if ":" in src:
        return number + digest6(src) & 0xFFFFFFFF
    words = [int.from_bytes(socket.inet_aton(a), "little") for a in (src, dst)]
    offset = mix(words[0] << 32 | words[1], 1 << 34 | nth << 8 | protocol, BUCKET_KEY)
    return number + (offset >> 32) & 0xFFFF


def names():
    ours = {f.__name__: f for f in (cut, pad, pseudo, moved, entropy, renamed)}
    return {**vars(scapy.all), **ours, "hex": bytes.fromhex}


def logical_lines(path):
    """(number, text) without comments, continuations joined."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("#") or not line.strip():
            continue
        if line[0].isspace() and found:
            found[-1][1] += " " + line.strip()
        else:
            found.append([number, line.strip()])
    return found


def read_file(path):
    setting, known, vectors = Setting(str(path)), names(), []
    for number, line in logical_lines(path):
        word, _, rest = line.partition(" ")
        try:
            if word == "config":
                setting = replace(setting, config=str(path.parent / rest))
            elif word == "port":
                setting = replace(setting, port=rest)
            elif word == "local":
                setting = replace(setting, local=tuple(rest.split()))
            elif word == "let":
                name, value = re.match(r"(\w+)\s*=\s*(.*)", rest).groups()
                known[name] = eval(value, known)  # pylint: disable=eval-used
            elif word == "vector":
                vectors.append(Vector(rest, number, setting))
            elif word == "in":
                vectors[-1].packet = bytes(eval(rest, known))  # pylint: disable=eval-used
            elif word == "out":
                vectors[-1].after = bytes(eval(rest, known))  # pylint: disable=eval-used
            elif word == "is":
                vectors[-1].verdict = (rest.split() + ["-", "-"])[:4]
            else:
                raise ValueError(f"what is {word}?")
        except Exception as error:
            raise ValueError(f"{path}:{number}: {error}") from error
    return vectors


def read():
    return [vector for path in sorted(WHERE.glob("*.txt")) for vector in read_file(path)]
