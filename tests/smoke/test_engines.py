# SPDX-License-Identifier: BSD-2-Clause
"""Two engines, the dataplane's workers and the XDP program, and what happens between them: each
serves where the other doesn't, and finds the flows that the other has entered.

On a busy machine a worker may be kept from its core for so long that XDP takes it for hung, and
gives the queue back a moment later. That is allowed at any time, and nobody notices; what is said
here of engines and reasons leaves room for it. The long runs of the same are tests/handover.
"""

import contextlib
import signal
import socket
import time

import pytest
from connection import Connection, connections, one_request

import gateway
import load
import topology as net

NAMES = {"b1", "b2", "b3"}
# Not OutRsts of the hosts: a server that closes first may repeat its FIN (a tail loss probe, a few
# ms later); if the last ACK overtakes that, the client has no socket any more to take it.
RESETS = ("Tcp.EstabResets", "Tcp.AttemptFails")
TWO_QUEUES = pytest.mark.parametrize("topology", [{"queues": 2}], indirect=True)


@pytest.fixture
def topology(request):
    with net.Topology(3, **getattr(request, "param", {})) as made:
        yield made


def start_xdp(sluice):
    """Starts the instance with no dataplane, and waits until every next hop is known."""
    sluice.start_control()
    net.wait_for("the backends' neighbours", lambda: all(
        row["state"] == "ready" for row in sluice.backends().values()))  # fmt: skip


def queues(sluice):
    return sluice.json("status")["queues"]


def serving(sluice, what="engine"):
    """What serves the queues of the port to the clients: those that requests come in by. (A queue
    that nothing comes in by is still its dead worker's.)"""
    return {row[what] for row in queues(sluice) if row["port"] == "client"}


def wait_for_engine(sluice, engine):
    net.wait_for(f"{engine} on all queues", lambda: serving(sluice) == {engine}, 30)


def handovers(sluice, why):
    return sum(row["handovers"][why] for row in queues(sluice))


def reason(sluice, name):
    """Packets that ended with this reason."""
    return {row["name"]: row["packets"] for row in sluice.json("stats")["reasons"]}[name]


def owners(opened):
    """Whether each connection still talks to the backend that it was opened to."""
    return [connection.get() for connection, _ in opened] == [owner for _, owner in opened]


def serves(topology):
    return {one_request(topology.client) for _ in range(40)} == NAMES


@contextlib.contextmanager
def unnoticed(topology):
    """Keep-alive requests and requests on new connections while the block runs: none may fail, and
    no connection may be reset."""
    hosts = (topology.client, *topology.backends.values())

    def resets():
        counters = [host.counters() for host in hosts]
        return [{name: of[name] for name in RESETS} for of in counters]

    one_request(topology.client)
    before = resets()
    steady = load.Requests(topology.client, 50, 20)
    fresh = load.Requests(topology.client, 4, 10, close=True)
    with connections(topology.client, 20) as opened:
        load.wait_for_connections(topology.client, 80)
        yield
        assert owners(opened)
        load.wait_for_connections(topology.client, 80)
        assert resets() == before
        assert topology.gateway.counters()["Tcp.OutRsts"] == 0
    for sums in (steady.stop(), fresh.stop()):
        assert sums["requests"] > 50
        assert {kind: sums[kind] for kind in load.ERRORS} == dict.fromkeys(load.ERRORS, 0)


@pytest.mark.quick
@pytest.mark.usefixtures("echo")
def test_xdp_alone(topology, idle):
    """engine = "xdp": TCP and UDP are served with no dataplane, no worker is asked for, downloads
    arrive whole, and a dataplane that is started all the same says that it isn't needed."""
    idle.settings["dataplane"]["engine"] = "xdp"
    del idle.settings["dataplane"]["cores"]
    idle.write()
    start_xdp(idle)
    with unnoticed(topology):
        assert serves(topology)
    assert load.Download(topology, load.Blob(topology, 20), seconds=1).wait(30)[0] == "ok"
    with topology.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(2.0)
        client.sendto(b"over xdp", (net.VIP, 7))
        reply, peer = client.recvfrom(2048)
        assert (reply.partition(b" ")[2], peer) == (b"over xdp", (net.VIP, 7))
    for row in queues(idle):
        assert (row["engine"], row["why"], row["worker"]) == ("xdp", "never_taken", None)
    assert reason(idle, "no_worker") == 0
    status, said = idle.run("dataplane", "-c", idle.file)
    assert status == gateway.EXIT_CONFIG and "xdp" in said


def test_dpdk_alone(topology, idle):
    """engine = "dpdk": without a worker what is ours is dropped (no_worker), and nobody is told by
    a reset; with one it is served. Connections outlive the time without any engine."""
    idle.settings["dataplane"]["engine"] = "dpdk"
    idle.write()
    start_xdp(idle)
    with pytest.raises(socket.timeout):
        Connection(topology.client, timeout=0.8)
    assert reason(idle, "no_worker") >= 1
    assert {row["engine"] for row in queues(idle)} == {"none"}
    idle.start_dataplane()
    net.wait_for("an answer", lambda: answered(topology))  # ARP had no answer before either
    with connections(topology.client, 20) as opened:
        idle.kill(idle.dataplane)
        with pytest.raises(socket.timeout):
            Connection(topology.client, timeout=0.8)
        idle.start_dataplane()
        assert owners(opened)
    assert serves(topology)
    assert topology.gateway.counters()["Tcp.OutRsts"] == 0


def answered(topology):
    with contextlib.suppress(OSError):
        return one_request(topology.client)
    return None


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL], ids=["stop", "kill"])
def test_restart(topology, sluice, signum):
    """The dataplane ends under traffic, well or badly, and another comes: first XDP serves, then a
    worker again, and nobody notices. The queues say who, why and how often."""
    ended = "stopped" if signum == signal.SIGTERM else "died"
    with unnoticed(topology):
        wait_for_engine(sluice, "dpdk")
        sluice.dataplane.send_signal(signum)
        status = sluice.dataplane.wait(10)
        assert status == (0 if signum == signal.SIGTERM else -signal.SIGKILL)
        wait_for_engine(sluice, "xdp")
        assert ended in serving(sluice, "why") and serving(sluice, "worker") == {None}
        assert serves(topology)
        sluice.start_dataplane()
        wait_for_engine(sluice, "dpdk")
        assert serving(sluice, "worker") == {0}
    counts = {word: handovers(sluice, word) for word in ("started", "stopped", "died")}
    assert counts == {"started": 4, "stopped": 0, "died": 0, ended: 2}
    sluice.expect(sluice.control, rf"port client queue 0: xdp serves it \(its worker {ended}\)")
    assert reason(sluice, "no_worker") == 0


@pytest.mark.quick
def test_hang(topology, sluice):
    """The dataplane is stopped (SIGSTOP) under traffic: XDP takes its queues when its
    heartbeat is too old, and gives them back when it wakes. Nobody notices."""
    with unnoticed(topology):
        sluice.dataplane.send_signal(signal.SIGSTOP)
        try:
            wait_for_engine(sluice, "xdp")
            load.wait_for_connections(topology.client, 80)
            for what, value in (("engine", "xdp"), ("why", "hung"), ("worker", None)):
                assert serving(sluice, what) == {value}
        finally:
            sluice.dataplane.send_signal(signal.SIGCONT)
        wait_for_engine(sluice, "dpdk")
        assert serving(sluice, "why") == {"woke"}
    assert handovers(sluice, "hung") >= 2 and handovers(sluice, "woke") >= 2


@pytest.mark.usefixtures("echo")
def test_nothing_comes_late(topology, sluice):
    """What reaches a worker that hangs is lost, even if nothing else came in after it: delivered a
    second later it would be an old packet that the network was never said to keep."""
    with topology.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.5)
        client.connect((net.VIP, 7))
        net.wait_for("an echo", lambda: echoed(client, b"before"))
        sluice.dataplane.send_signal(signal.SIGSTOP)
        try:
            time.sleep(0.02)  # all threads stand still
            client.send(b"into the void")
            time.sleep(1.0)
        finally:
            sluice.dataplane.send_signal(signal.SIGCONT)
        said = []
        with pytest.raises(socket.timeout):
            while True:
                said.append(client.recv(2048))
        assert not [words for words in said if words.endswith(b"void")]
        assert reason(sluice, "stale") >= 1
        net.wait_for("an echo", lambda: echoed(client, b"after"))


def echoed(client, payload):
    client.send(payload)
    with contextlib.suppress(socket.timeout):
        return client.recv(2048).endswith(payload)
    return False


def test_changed_under_xdp(topology, idle):
    """Weights change and a backend is drained while only XDP serves; then the dataplane starts: the
    flows that XDP entered keep their backends."""
    start_xdp(idle)
    with connections(topology.client, 60) as opened:
        turn_over(idle)
        assert owners(opened)
        idle.start_dataplane()
        wait_for_engine(idle, "dpdk")
        assert owners(opened)
        assert tracked(idle) >= 20


def test_changed_under_dpdk(topology, sluice):
    """The same the other way round; and what changed while XDP served, as well."""
    with connections(topology.client, 60) as opened:
        turn_over(sluice)
        assert owners(opened)
        sluice.kill(sluice.dataplane)
        assert owners(opened)
        wait_for_engine(sluice, "xdp")
        assert tracked(sluice) >= 20
        sluice.change("backend", "ready", "web", "b3")
        assert owners(opened)
        sluice.start_dataplane()
        assert owners(opened)


def turn_over(sluice):
    """Moves most rows to other backends."""
    sluice.change("backend", "weight", "web", "b1", "100")
    sluice.change("backend", "drain", "web", "b3")


def tracked(sluice):
    return next(row["tracked"] for row in sluice.json("service", "list")["services"]
                if row["name"] == "web")  # fmt: skip


@TWO_QUEUES
def test_two_workers(topology, idle):
    """Two workers, two queues a port: both take flows; both are replaced when they die, and both
    come back."""
    two_workers(idle)
    idle.start()
    with unnoticed(topology):
        for _ in range(2):
            wait_for_engine(idle, "dpdk")
            assert serves(topology)
            assert serving(idle, "worker") == {0, 1}
            idle.kill(idle.dataplane)
            wait_for_engine(idle, "xdp")
            assert serves(topology)
            idle.start_dataplane()
    taken = {row["worker"]: row["packets"] for row in idle.json("stats")["workers"]}
    assert set(taken) == {0, 1}
    assert min(taken.values()) > 100


def two_workers(sluice):
    sluice.settings["dataplane"].update(cores=[gateway.CORES[0], gateway.CORES[-1]],
                                        idle="adaptive")  # fmt: skip
    sluice.write()


@pytest.mark.skipif(len(gateway.CORES) < 2, reason="two workers need two cores")
def test_more_workers_than_queues(topology, idle):
    """Two workers, one queue a port: one of them has nothing to do, and all is served."""
    two_workers(idle)
    idle.start()
    with unnoticed(topology):
        wait_for_engine(idle, "dpdk")
        assert {row["worker"] for row in queues(idle)} == {0}
        assert serves(topology)


@TWO_QUEUES
def test_queue_without_a_worker(topology, idle):
    """The interface to the backends has a receive queue more than the file says. XDP serves that
    one, two workers share the way out to it that is left, and flows cross both engines."""
    two_workers(idle)
    idle.settings["dataplane"]["ports"][1]["queues"] = 1
    idle.write()
    idle.start()
    blob = load.Blob(topology, 8)
    with unnoticed(topology):
        assert serves(topology)
        downloads = [load.Download(topology, blob, seconds=1) for _ in range(8)]
        assert [download.wait(30)[0] for download in downloads] == ["ok"] * 8
    taken = {row["worker"]: row["packets"] for row in idle.json("stats")["workers"]}
    assert min(taken.values()) > 100
    assert reason(idle, "no_worker") == 0
