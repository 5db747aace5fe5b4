# SPDX-License-Identifier: BSD-2-Clause
"""UDP streams of given rates through a gateway (streams.c), and TCP transfers, and at which rate
they arrive; and a client that is far away (delay.c).

Rates are of frames, as limits count them: bits a second, from the Ethernet header on. A TCP segment
of 1448 bytes is a frame of 1514.
"""

import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time

import topology as net

HERE = os.path.dirname(os.path.abspath(__file__))
BIN_S = 0.01
FRAME = 1514
SEGMENT = 1448
PORT = 9


PROGRAMS = tempfile.TemporaryDirectory(prefix="sluice-streams-")


@functools.cache
def build(name):
    """Compiles NAME.c; the program, which goes with us."""
    done = f"{PROGRAMS.name}/{name}"
    subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-O2",
                    f"{HERE}/{name}.c", "-o", done], check=True)  # fmt: skip
    return done


class Streams:
    """Streams from a client to a VIP, each (source address, source port, rate), for SECONDS. They
    run from the beginning on; wait() gives what became of them. All have frames of one size."""

    def __init__(self, topology, *streams, seconds, port=PORT, frame=FRAME, echo=False):
        self.frame = frame
        servers = ",".join(host.path for host in topology.backends.values())
        self.process = subprocess.Popen(
            [build("streams"), *["echo"][: int(echo)], topology.client.path, servers,
             net.VIP, str(port), str(frame), str(int(seconds * 1000)),
             *(f"{source}:{number}:{rate}" for source, number, rate in streams)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True, text=True,
        )  # fmt: skip
        self.began = time.time()
        self.said = None

    def wait(self):
        out, _ = self.process.communicate(timeout=120)
        if self.process.returncode:
            raise RuntimeError(f"streams ended with {self.process.returncode}")
        self.said = json.loads(out)
        self.began = self.said["begin"] / 1e9
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        net.stop(self.process, signal.SIGKILL)

    def bins(self, numbers=None, way="to"):
        """Bits that arrived by bins of BIN_S, of these streams or all."""
        rows = [row[way] for number, row in enumerate(self.said["streams"])
                if numbers is None or number in numbers]  # fmt: skip
        return [8 * self.frame * sum(column) for column in zip(*rows)]

    def rate(self, since, until, numbers=None, way="to"):
        """Bits a second that arrived between these two times, in seconds from the beginning."""
        first, last = round(since / BIN_S), round(until / BIN_S)
        return sum(self.bins(numbers, way)[first:last]) / BIN_S / (last - first)

    def excess(self, rate, numbers=None, way="to", since=0.0):
        """The largest burst: bits that arrived in any time beyond RATE in this time."""
        most = level = 0.0
        for bits in self.bins(numbers, way)[round(since / BIN_S) :]:
            level = max(0.0, level + bits - rate * BIN_S)
            most = max(most, level)
        return most

    def sent(self):
        return sum(row["sent"] for row in self.said["streams"])

    def arrived(self, way="to"):
        return sum(sum(row[way]) for row in self.said["streams"])


FAR = "192.0.2.2"


def warm(topology, sluice):
    """Waits until the way is known in both directions, so that no first packet is lost for that."""
    net.wait_for("the backends' neighbours", lambda: all(
        row["state"] == "ready" for service in sluice.services
        for row in sluice.backends(service["name"]).values()))  # fmt: skip
    topology.gateway.run("ping", "-c", 1, "-W", 2, net.CLIENT)
    time.sleep(0.3)  # control hears of it


def far(topology, one_way_ms):
    """A client behind the client, which is a router to it, so many milliseconds away:

        far                  delay.c                  client           gw
        far0 192.0.2.2/24 --------------------- far0 192.0.2.1/24
                                                eth0 198.51.100.2/24 --- cl0 198.51.100.1/24
    """
    host = net.Namespace(f"{topology.name}-far")
    topology.add_host(host)
    link = subprocess.Popen(
        host.command(build("delay"), one_way_ms * 1000,
                     host.path, "far0", topology.client.path, "far0"),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    if link.stdout.readline() != b"ready\n":
        raise RuntimeError("the link to the far client could not be made")
    for end, address in ((host, FAR), (topology.client, "192.0.2.1")):
        topology.address(end, "far0", f"{address}/24")
        end.run("ip", "link", "set", "far0", "up")
    host.run("ip", "route", "add", "default", "via", "192.0.2.1")
    topology.client.sysctl(net__ipv4__ip_forward=1)
    topology.gateway.run("ip", "route", "add", "192.0.2.0/24", "via", net.CLIENT)
    return host


def as_debian(tcp):
    """Gives a socket the congestion control that Debian has, whatever this machine's is. (Another
    namespace's own default may not be set to any.)"""
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")


class Bulk:
    """A TCP server in every backend that takes what it gets, and sends as long as it is asked to:
    one byte says which ("u", "d"). What it has taken is in `taken`, in bytes."""

    def __init__(self, topology, port=PORT):
        self.taken = 0
        self.listeners = []
        for host in topology.backends.values():
            listener = host.socket(socket.AF_INET, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            as_debian(listener)
            listener.bind(("0.0.0.0", port))
            listener.listen(64)
            self.listeners.append(listener)
            threading.Thread(target=self.accept, args=(listener,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for listener in self.listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.serve, args=listener.accept()[:1], daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError), connection:
            if connection.recv(1) == b"d":
                while True:
                    connection.sendall(bytes(1 << 16))
            while data := connection.recv(1 << 18):
                self.taken += len(data)


class Transfer:
    """One TCP transfer, "up" or "down", until it is left. bytes() is how much has arrived."""

    def __init__(self, client, bulk, way, port=PORT):
        self.bulk, self.way = bulk, way
        self.taken = 0
        self.socket = client.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.settimeout(30)
        as_debian(self.socket)
        self.socket.connect((net.VIP, port))
        self.thread = threading.Thread(target=self.up if way == "up" else self.down, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join(5)
        self.socket.close()

    def up(self):
        with contextlib.suppress(OSError):
            self.socket.sendall(b"u")
            while True:
                self.socket.sendall(bytes(1 << 16))

    def down(self):
        with contextlib.suppress(OSError):
            self.socket.sendall(b"d")
            while data := self.socket.recv(1 << 18):
                self.taken += len(data)

    def frames(self):
        """Bits that have arrived, as frames."""
        return 8 * (self.taken if self.way == "down" else self.bulk.taken) * FRAME / SEGMENT
