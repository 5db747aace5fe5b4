# SPDX-License-Identifier: BSD-2-Clause
"""An instance that serves web and echo under the VIP, web6 and echo6 under the IPv6 VIP."""

import contextlib
import sys

from conftest import ECHO, WEIGHTS, serve_echo

import gateway
import topology as net

VIPS = [net.VIP, net.VIP6]


@contextlib.contextmanager
def serving(topology, engine):
    topology.add_ipv6()
    hosts = list(topology.backends.values())
    services = []
    for name, protocol, port in (("web", "tcp", 80), ("echo", "udp", 7)):
        four = [gateway.backend(host, weight, port) for host, weight in zip(hosts, WEIGHTS)]
        six = [{**backend, "address": host.address6} for backend, host in zip(four, hosts)]
        services += [gateway.service(name, four, protocol, port),
                     gateway.service(f"{name}6", six, protocol, port, vip=net.VIP6)]  # fmt: skip
    with gateway.Gateway(topology, services) as sluice:
        sluice.settings["dataplane"]["engine"] = engine
        sluice.write()
        sluice.start()
        if engine != "xdp":
            sluice.dataplane_ready()  # what comes while its sockets are set up may be lost
        for service in services:
            net.wait_for("the backends", lambda service=service: all(
                row["state"] == "ready" for row in sluice.backends(service["name"]).values()))  # fmt: skip
        serve_echo(topology)
        for host in hosts:
            host.popen(sys.executable, ECHO, host.label, 7, host.address6)
            net.wait_for("UDP echo", lambda host=host: host.run("ss", "-6Hlun", "sport", "=", ":7"))
        yield sluice
