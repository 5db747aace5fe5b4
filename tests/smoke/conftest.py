# SPDX-License-Identifier: BSD-2-Clause
"""What smoke tests start from. Each test has a topology of its own (scripts/lib/topology.py draws
it: a client, a gateway, backends b1, b2, b3 with nginx) and, by `sluice`, one instance that serves

    web   198.51.100.10:80/tcp   b1 b2 b3 with weights 10 20 30
    echo  198.51.100.10:7/udp    b1 b2 b3 with weight 10 each, port 7

by control and a dataplane of one worker. A test that fails shows what both logged, and one that
takes longer than LIMIT_S fails where it stands.

What a module may share, it shares: with `pytestmark = pytest.mark.shares_topology` its tests have
one topology between them (but those marked own_topology), each with an instance of its own; a
module whose tests only look on has one instance too, by the fixtures of shared.py.

Several runs may go side by side and share the tests: with SLUICE_SMOKE_CLAIMS=DIRECTORY a module is
tested by the run that claims it first. Modules marked `alone` (microseconds are counted there, or
the machine is filled) are left out of such runs, by scripts/test.
"""

import functools
import os
import signal
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../scripts/lib"))

# pylint: disable=wrong-import-position,redefined-outer-name
import gateway
import topology as net

WEIGHTS = (10, 20, 30)
ECHO = os.path.join(os.path.dirname(__file__), "udp_echo.py")
LIMIT_S = 300  # of a test, with what it starts from; an idle machine needs a tenth of it
# Modules whose few tests take long, since they wait for time to pass.
LONGEST = ("test_link.py", "test_fullnat.py", "test_recovery.py", "test_health.py")
MARKS = {
    "quick": "one of those that `scripts/test --quick` runs",
    "alone": "needs the machine for itself",
    "shares_topology": "the module's tests have one topology between them",
    "own_topology": "but this one has its own",
}

net.interruptible()
gateway.leave_the_worker()
if "SLUICE_SMOKE_CLAIMS" in os.environ:
    gateway.IDLE = "adaptive"  # the workers of several runs share a core


def pytest_configure(config):
    for name, meaning in MARKS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


def pytest_collection_modifyitems(items):
    """The longest modules first, so that runs side by side end at about the same time."""
    sizes = {}
    for item in items:
        sizes[item.path] = sizes.get(item.path, 0) + 1
    items.sort(key=lambda item: (item.path.name not in LONGEST, -sizes[item.path]))


@functools.cache
def claimed(module):
    """Whether this run is the one that tests MODULE."""
    claims = os.environ.get("SLUICE_SMOKE_CLAIMS")
    try:
        return not claims or not os.mkdir(os.path.join(claims, module))
    except FileExistsError:
        return False


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    """Leaves out what another run has claimed."""
    return None if claimed(item.path.name) else True


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item):
    """Bounds a test from here to the end of its teardown, which has a time of its own."""

    def hangs(_signum, _frame):
        raise TimeoutError(f"{item.name}: not done after {LIMIT_S} s")

    signal.signal(signal.SIGALRM, hangs)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S, LIMIT_S)
    yield


def pytest_runtest_logfinish():
    signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Puts the logs of the test's instance in the report of its failure."""
    report = (yield).get_result()
    if call.when != "call" or not report.failed:
        return
    used = list(getattr(item, "funcargs", {}).values())
    used += [one for several in used if isinstance(several, tuple) for one in several]
    for sluice in {each.file: each for each in used if isinstance(each, gateway.Gateway)}.values():
        for part in ("control", "dataplane"):
            if os.path.exists(sluice.log_file(part)):
                with open(sluice.log_file(part), encoding="utf-8", errors="replace") as log:
                    report.sections.append((f"log of {part}", log.read()[-6000:]))


def make_topology():
    with net.Topology(3) as made:
        yield made


@pytest.fixture(scope="module")
def topology_of_the_module():
    yield from make_topology()


@pytest.fixture
def topology(request):
    marked = request.node.get_closest_marker
    if marked("shares_topology") and not marked("own_topology"):
        yield request.getfixturevalue("topology_of_the_module")
    else:
        yield from make_topology()


def configure(topology):
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


def serve(idle):
    """An instance that serves."""
    idle.start()
    return idle


def serve_echo(topology):
    """UDP echo in every backend; a reply begins with the backend's name."""
    for host in topology.backends.values():

        def listens(host=host):
            return host.run("ss", "-Hlun", "sport", "=", ":7")

        if not listens():  # as where an earlier test has started it
            host.popen(sys.executable, ECHO, host.label, 7)
            net.wait_for(f"UDP echo in {host.name}", listens)


idle = pytest.fixture(configure)
sluice = pytest.fixture(serve)
echo = pytest.fixture(serve_echo)
