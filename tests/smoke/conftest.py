# SPDX-License-Identifier: BSD-2-Clause
"""What smoke tests start from. Each test has a topology of its own (scripts/lib/topology.py draws
it: a client, a gateway, backends b1, b2, b3 with nginx) and, by `sluice`, one instance that serves

    web   198.51.100.10:80/tcp   b1 b2 b3 with weights 10 20 30
    echo  198.51.100.10:7/udp    b1 b2 b3 with weight 10 each, port 7

by control and a dataplane of one worker. A test that fails shows what both logged.
"""

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../scripts/lib"))

# pylint: disable=wrong-import-position,redefined-outer-name
import gateway
import topology as net

WEIGHTS = (10, 20, 30)
ECHO = os.path.join(os.path.dirname(__file__), "udp_echo.py")

net.interruptible()
gateway.leave_the_worker()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Puts the logs of the test's instance in the report of its failure."""
    report = (yield).get_result()
    sluice = item.funcargs.get("idle") if hasattr(item, "funcargs") else None
    if call.when == "call" and report.failed and sluice:
        for part in ("control", "dataplane"):
            if os.path.exists(sluice.log_file(part)):
                with open(sluice.log_file(part), encoding="utf-8", errors="replace") as log:
                    report.sections.append((f"log of {part}", log.read()[-6000:]))


@pytest.fixture
def topology():
    with net.Topology(3) as made:
        yield made


@pytest.fixture
def idle(topology):
    """An instance that is configured and not started."""
    backends = list(topology.backends.values())
    web = [gateway.backend(host, weight) for host, weight in zip(backends, WEIGHTS)]
    echo = [gateway.backend(host, 10, port=7) for host in backends]
    services = [
        gateway.service("web", web, idle_timeout="60s"),
        gateway.service("echo", echo, protocol="udp", port=7),
    ]
    with gateway.Gateway(topology, services) as made:
        yield made


@pytest.fixture
def sluice(idle):
    """An instance that serves."""
    idle.start()
    return idle


@pytest.fixture
def echo(topology):
    """UDP echo in every backend; a reply begins with the backend's name."""
    for host in topology.backends.values():
        host.popen(sys.executable, ECHO, host.label, 7)
        net.wait_for(
            f"UDP echo in {host.name}", lambda h=host: h.run("ss", "-Hlun", "sport", "=", ":7")
        )
