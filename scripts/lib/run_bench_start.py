# SPDX-License-Identifier: BSD-2-Clause
"""How long a start takes: from exec of sluice-control to the first answered request through XDP, with
two ports and with four, for an instance that is new and for a control that is restarted, which adopts
its programs. And what it costs: CPU of the process, and what is resident.

A client, a gateway and a backend in namespaces of their own (topology.py); ports beyond two are veths
that nothing comes in by. Prints one line for each, as JSON.
"""

import argparse
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import time

import gateway
import topology as net

TIMEOUT = 20


def ports(topology, count):
    """COUNT ports of the gateway, the topology's own first."""
    found = [{"name": "client", "device": "cl0"}, {"name": "backends", "device": "be0"}]
    for i in range(2, count):
        topology.gateway.run("ip", "link", "add", f"ex{i}", "type", "veth", "peer", f"ey{i}")
        topology.gateway.run("ip", "link", "set", f"ex{i}", "up")
        topology.gateway.run("ip", "link", "set", f"ey{i}", "up")
        found.append({"name": f"extra{i}", "device": f"ex{i}"})
    return found


def answered(client):
    """Whether the VIP answers a request now."""
    connection = client.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.settimeout(0.05)
    try:
        connection.connect((net.VIP, 80))
        connection.settimeout(1)
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False
    finally:
        connection.close()


def resident_mb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        kb = next(line.split()[1] for line in file if line.startswith("VmRSS:"))
    return int(kb) / 1e3


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start(sluice, client):
    """Starts control; until it is ready, until a request is answered, its CPU and its memory."""
    begin = time.monotonic()
    sluice.start_control(wait=False)
    log = f"{sluice.directory}/control.log"

    def ready():
        if sluice.control.poll() is not None:
            raise RuntimeError(f"sluice-control ended: {open(log, encoding='utf-8').read()}")
        with open(log, encoding="utf-8") as said:
            return "ready:" in said.read()

    ready_s = None
    while time.monotonic() - begin < TIMEOUT:
        if ready_s is None and ready():
            ready_s = time.monotonic() - begin
        if ready_s is not None and answered(client):
            break
        time.sleep(0.002)
    else:
        raise RuntimeError("no request was answered")
    return {
        "ready_s": ready_s,
        "answered_s": time.monotonic() - begin,
        "cpu_s": cpu_s(sluice.control.pid),
        "resident_mb": resident_mb(sluice.control.pid),
    }


def stop(sluice):
    net.stop(sluice.control)
    os.remove(f"{sluice.directory}/control.log")


def measure(count, repeats):
    rows = {"new": [], "restart": []}
    for _ in range(repeats):
        with net.Topology(1) as topology:
            services = [gateway.service("web", [gateway.backend(topology.backends["b1"], 1)])]
            sluice = gateway.Gateway(topology, services)
            sluice.settings["dataplane"]["engine"] = "xdp"
            sluice.settings["dataplane"]["ports"] = ports(topology, count)
            sluice.write()
            with sluice:
                rows["new"].append(start(sluice, topology.client))
                stop(sluice)
                rows["restart"].append(start(sluice, topology.client))
    return [
        {"ports": count, "start": how}
        | {name: round(statistics.median(row[name] for row in found), 3) for name in found[0]}
        for how, found in rows.items()
    ]


def main():
    options = argparse.ArgumentParser(description="How long sluice-control takes to start.")
    options.add_argument("--ports", type=int, nargs="+", default=[2, 4])
    options.add_argument("--repeats", type=int, default=5, help="the median counts (5)")
    options = options.parse_args()
    for count in options.ports:
        for row in measure(count, options.repeats):
            print(json.dumps(row), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
