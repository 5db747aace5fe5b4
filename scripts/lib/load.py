# SPDX-License-Identifier: BSD-2-Clause
"""What clients do to a VIP: requests by wrk, downloads by curl, each counted exactly."""

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import threading
import time

import topology as net

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "load.lua")
ERRORS = ("connect", "read", "write", "timeout", "status")


class Requests:
    """wrk from the client, running until stop(). With `close` every request is a connection of its
    own. A connection rests `pause_ms` between requests."""

    def __init__(self, client, connections, pause_ms, close=False, url=f"http://{net.VIP}/"):
        header = ["-H", "Connection: close"] if close else []
        self.process = client.popen(
            "wrk", "-t", 1, "-c", connections, "-d", "3600s", "--timeout", "5s", *header,
            "-s", SCRIPT, url, "--", pause_ms,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def stop(self):
        """Its sums: requests, the kinds of errors, failed (their sum), latencies."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGINT)
        try:
            said, _ = self.process.communicate(timeout=15)
        except subprocess.TimeoutExpired:  # so it is while no request was ever answered
            self.process.kill()
            self.process.communicate()
            raise RuntimeError("wrk had no answer to any request") from None
        line = [line for line in said.splitlines() if line.startswith("{")]
        if not line:
            raise RuntimeError(f"wrk ended ({self.process.returncode}), having said:\n{said}")
        sums = json.loads(line[-1])
        sums["failed"] = sum(sums[kind] for kind in ERRORS)
        return sums


def wait_for_connections(client, count):
    """Waits until the client has opened that many more."""

    def opened():
        return client.counters()["Tcp.ActiveOpens"]

    enough = opened() + count
    net.wait_for(f"{count} new connections", lambda: opened() >= enough, 30)


class Blob:
    """A file of pseudo-random bytes that all backends serve, and its checksum."""

    def __init__(self, topology, megabytes, name="blob"):
        self.name = name
        self.size = megabytes << 20
        digest, bits = hashlib.sha256(), random.Random(megabytes)
        with open(f"{topology.www}/{name}", "wb") as file:
            for _ in range(megabytes):
                piece = bits.randbytes(1 << 20)
                digest.update(piece)
                file.write(piece)
        self.sha256 = digest.hexdigest()


class Download:
    """One download by curl, at a limited rate so that it lasts `seconds`. What arrives is hashed,
    not kept."""

    numbers = 0

    def __init__(self, topology, blob, seconds, vip=net.VIP):
        Download.numbers += 1
        self.number = Download.numbers
        self.blob = blob
        self.received = 0
        self.sha256 = None
        self.headers = f"{topology.directory}/download-{self.number}.headers"
        self.curl = topology.client.popen(
            "curl", "-sS", "--fail", "-D", self.headers, "--connect-timeout", 10,
            "--speed-limit", 1, "--speed-time", 10, "--limit-rate", int(blob.size / seconds),
            f"http://{vip}/{blob.name}", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.thread = threading.Thread(target=self.hash, daemon=True)
        self.thread.start()

    def hash(self):
        digest = hashlib.sha256()
        while piece := self.curl.stdout.read1(1 << 16):
            digest.update(piece)
            self.received += len(piece)
        self.sha256 = digest.hexdigest()

    def backend(self):
        """The name of the backend that serves it, told by the X-Backend header."""

        def header():
            with contextlib.suppress(FileNotFoundError):
                with open(self.headers, encoding="ascii") as file:
                    for line in file:
                        name, _, value = line.partition(": ")
                        if name.lower() == "x-backend":
                            return value.strip()
            if self.curl.poll() is not None:
                raise RuntimeError(f"curl ended ({self.curl.returncode}): {self.why()}")
            return None

        return net.wait_for(f"the headers of download {self.number}", header)

    def runs(self):
        return self.thread.is_alive()

    def percent(self):
        return 100.0 * self.received / self.blob.size

    def why(self):
        return self.curl.stderr.read().decode(errors="replace").strip()

    def wait(self, timeout):
        """Waits for its end. ("ok" | "failed" | "corrupt", one line that says it)."""
        self.thread.join(timeout)
        if self.runs():
            net.stop(self.curl, patience=1.0)
            return "failed", f"not complete after {timeout:g} s more: {self.percent():.1f} %"
        status = self.curl.wait()
        if status:
            return "failed", f"curl exit {status}: {self.why()}"
        if self.sha256 != self.blob.sha256:
            return "corrupt", f"{self.received} bytes, sha256 {self.sha256}"
        return "ok", f"{self.received >> 20} MB, sha256 {self.sha256[:16]}... as it should be"


def until(condition, timeout, step=0.25):
    """Yields every STEP seconds until condition() holds; ends, whatever it says, at TIMEOUT."""
    end = time.monotonic() + timeout
    while not condition() and time.monotonic() < end:
        yield
        time.sleep(step)
