# SPDX-License-Identifier: BSD-2-Clause
"""What runs while engines die, and what became of it: keep-alive requests, downloads whose
checksums are verified, and the kernel's counters of every host.

Every connection here is closed by the client, after all was received. So no host has a reason to
send a reset, and one that is counted was caused by what happened in between.
"""

import threading
import time

import load

RESETS = ("Tcp.OutRsts", "Tcp.EstabResets", "Tcp.AttemptFails", "TcpExt.TCPAbortOnData",
          "TcpExt.TCPAbortOnClose", "TcpExt.TCPAbortOnMemory", "TcpExt.TCPAbortOnTimeout",
          "TcpExt.TCPAbortOnLinger", "TcpExt.TCPAbortFailed")  # fmt: skip
OTHERS = {"retransmitted": "Tcp.RetransSegs", "timeouts": "TcpExt.TCPTimeouts",
          "checksums": "Tcp.InCsumErrors"}  # fmt: skip
CONNECTIONS = 500
PAUSE_MS = 100
DOWNLOADS = 6  # at any time
MEGABYTES, SECONDS = 6, 5  # of each
ENOUGH = 1000  # requests, to say anything


class Traffic:
    """Runs from start() to stop(), which returns what it measured."""

    def __init__(self, topology, connections=CONNECTIONS, downloads=DOWNLOADS):
        self.topology = topology
        self.connections = connections
        self.wanted = downloads
        self.blob = load.Blob(topology, MEGABYTES)
        self.requests = None
        self.flying = []
        self.ended = {"ok": 0, "failed": 0, "corrupt": 0}
        self.said = []
        self.ending = threading.Event()
        self.keeper = threading.Thread(target=self.keep, daemon=True)
        self.before = {}

    def hosts(self):
        return (self.topology.client, *self.topology.backends.values())

    def counters(self):
        """Resets of all hosts, the gateway's own included, and the rest of the two sides."""
        counters = [host.counters() for host in self.hosts()]
        sums = {"resets": sum(of[name] for of in counters for name in RESETS)
                + self.topology.gateway.counters()["Tcp.OutRsts"]}  # fmt: skip
        for word, name in OTHERS.items():
            sums[word] = sum(of[name] for of in counters)
        return sums

    def start(self):
        self.before = self.counters()
        self.requests = load.Requests(self.topology.client, self.connections, PAUSE_MS)
        self.keeper.start()
        time.sleep(1.5)

    def keep(self):
        """Keeps so many downloads in flight, each begun a while after the one before."""
        while not self.ending.wait(SECONDS / max(self.wanted, 1)):
            self.take_in()
            if len(self.flying) < self.wanted:
                self.flying.append(load.Download(self.topology, self.blob, SECONDS))

    def take_in(self, timeout=0.0):
        for download in list(self.flying):
            if timeout or not download.runs():
                how, said = download.wait(timeout)
                self.ended[how] += 1
                if how != "ok":
                    self.said.append(f"download {download.number}: {said}")
                self.flying.remove(download)

    def stop(self):
        """Sums: of wrk; downloads by how they ended; counters. wrk's own end may reset, so counters
        are read before."""
        self.ending.set()
        self.keeper.join()
        self.take_in(60.0)
        time.sleep(1.0)
        after = self.counters()
        measured = self.requests.stop()
        measured.update({name: after[name] - self.before[name] for name in after})
        measured["downloads"] = dict(self.ended)
        return measured


def wrong(measured):
    """What may not be: one phrase for each."""
    downloads = measured["downloads"] or {"failed": 0, "corrupt": 0, "ok": 1}
    checks = (
        (measured["failed"], "failed requests ("
         + ", ".join(f"{kind} {measured[kind]}" for kind in load.ERRORS) + ")"),
        (measured["resets"], "resets"),
        (measured["checksums"], "wrong TCP checksums"),
        (downloads["failed"], "failed downloads"),
        (downloads["corrupt"], "corrupt downloads"),
    )  # fmt: skip
    said = [f"{count} {what}" for count, what in checks if count]
    if not downloads["ok"]:
        said.append("no download was complete")
    if measured["requests"] < measured.get("enough", ENOUGH):
        said.append(f"only {measured['requests']} requests")
    return said


HEAD = f"  {'run':<24}{'events':>6}{'requests':>10}{'failed':>8}{'downloads':>10}{'resets':>8}" \
       f"{'retransm.':>10}{'RTOs':>7}{'p50 ms':>8}{'p99.9 ms':>9}{'max ms':>9}"  # fmt: skip


def line(name, events, measured):
    of, downloads = measured, measured["downloads"]
    return (f"  {name:<24}{events:>6}{of['requests']:>10}{of['failed']:>8}"
            f"{downloads['ok'] if downloads else '-':>10}{of['resets']:>8}{of['retransmitted']:>10}"
            f"{of['timeouts']:>7}{of['p50_us'] / 1e3:>8.1f}{of['p999_us'] / 1e3:>9.1f}"
            f"{of['max_us'] / 1e3:>9.1f}")  # fmt: skip
