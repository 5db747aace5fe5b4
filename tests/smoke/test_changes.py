# SPDX-License-Identifier: BSD-2-Clause
"""Backends change under traffic, and no client notices."""

import contextlib
import time

import pytest
from connection import connections, one_request

import gateway
import load
import topology as net

RESETS = ("Tcp.OutRsts", "Tcp.EstabResets", "Tcp.AttemptFails")


@contextlib.contextmanager
def clean_traffic(topology):
    """Keep-alive requests and requests on new connections while the block runs; none may fail."""
    one_request(topology.client)
    steady = load.Requests(topology.client, 50, 20)
    fresh = load.Requests(topology.client, 8, 5, close=True)
    load.wait_for_connections(topology.client, 200)
    yield
    load.wait_for_connections(topology.client, 200)
    for sums in (steady.stop(), fresh.stop()):
        assert sums["requests"] > 100
        assert {kind: sums[kind] for kind in load.ERRORS} == dict.fromkeys(load.ERRORS, 0)


def resets(hosts):
    """Connections that were reset, sent or seen, by these hosts together."""
    return sum(host.counters()[name] for host in hosts for name in RESETS)


def settled_resets(hosts):
    """The same, once the last is a second ago."""
    seen = [resets(hosts)]

    def same():
        time.sleep(1.0)
        seen.append(resets(hosts))
        return seen[-1] == seen[-2]

    net.wait_for("the resets of an end to pass", same, timeout=15)
    return seen[-1]


def test_drain_during_a_download(topology, sluice):
    """A backend is drained while it serves a download: the download ends well, the backend's other
    connections live on, new ones go elsewhere; made ready again, it takes new ones."""
    blob = load.Blob(topology, 16)
    with clean_traffic(topology), connections(topology.client, 30) as opened:
        download = load.Download(topology, blob, seconds=5)
        name = download.backend()
        sluice.change("backend", "drain", "web", name)
        assert download.runs()
        before = gateway.settle(sluice)
        assert name not in {one_request(topology.client) for _ in range(60)}
        assert [connection.get() for connection, _ in opened] == [owner for _, owner in opened]
        assert download.wait(30)[0] == "ok"
        after = sluice.backends()
        assert after[name]["state"] == "draining"
        assert after[name]["connections"] == before[name]["connections"]
        sluice.change("backend", "ready", "web", name)
        assert name in {one_request(topology.client) for _ in range(60)}


def test_add(topology, sluice):
    """A fourth backend is added under traffic and takes its share; connections to the others stay
    where they were."""
    new = topology.add_backend(4)
    with clean_traffic(topology), connections(topology.client, 30) as opened:
        generation = sluice.generation()
        add = ("backend", "add", "web", f"{new.address}:80", "--name", "b4", "--weight", 60)
        assert sluice.change(*add) > generation
        before = gateway.settle(sluice)
        assert [connection.get() for connection, _ in opened] == [owner for _, owner in opened]
        net.wait_for("connections enough to tell",
                     lambda: gateway.shares(before, sluice.backends())[1] >= 1500, 60)  # fmt: skip
        shares, total = gateway.shares(before, sluice.backends())
        assert total >= 1000
        assert shares["b4"] == pytest.approx(50.0, abs=6.0)


def test_remove(topology, idle):
    """A removed backend takes nothing new, keeps what it has for as long as that lives, and then is
    gone; its name may be used again."""
    idle.services[0]["idle_timeout"] = "2s"
    idle.write()
    idle.start()
    with connections(topology.client, 30) as opened:
        idle.change("backend", "remove", "web", "b3")
        for _ in range(10):
            for connection, owner in opened:
                assert connection.get() == owner
            assert one_request(topology.client) in {"b1", "b2"}
            time.sleep(0.3)
    net.wait_for("b3 to leave", lambda: "b3" not in idle.backends(), timeout=30)
    assert {one_request(topology.client) for _ in range(60)} == {"b1", "b2"}
    idle.change("backend", "add", "web", "10.1.0.13:80", "--name", "b3", "--weight", 30)
    assert {one_request(topology.client) for _ in range(60)} == {"b1", "b2", "b3"}


def test_remove_now(topology, sluice):
    """Removed with --now a backend is gone at once, and only its own connections are cut."""
    with connections(topology.client, 30) as opened:
        sluice.change("backend", "remove", "web", "b3", "--now")
        assert set(sluice.backends()) == {"b1", "b2"}
        for connection, owner in opened:
            if owner != "b3":
                assert connection.get() == owner
        assert {one_request(topology.client) for _ in range(60)} == {"b1", "b2"}


def test_commands_refused(topology, sluice):
    """Commands about what isn't there, or with values out of range, change nothing and say which
    word is wrong."""

    def states():
        return {name: (row["state"], row["weight"]) for name, row in sluice.backends().items()}

    before = states()
    for words, said in (
        (("backend", "drain", "web", "b9"), "b9"),
        (("backend", "weight", "nowhere", "b1", "5"), "nowhere"),
        (("backend", "weight", "web", "b1", "0"), "weight"),
        (("backend", "weight", "web", "b1", "99999999"), "weight"),
        (("backend", "add", "web", "10.1.0.15:80", "--name", "b1"), "b1"),
        (("backend", "add", "web", "10.1.0.999:80"), "10.1.0.999"),
    ):
        with pytest.raises(RuntimeError, match=f"sluicectl: .*{said}"):
            sluice.ctl(*words)
    assert states() == before
    assert one_request(topology.client) in {"b1", "b2", "b3"}


def test_weight_a_hundred_times(topology, sluice, capsys):
    """b1's weight changes 100 times in a row under 200 keep-alive connections: no failed request
    and no reset at either side; the latency is printed beside that of a run without changes."""
    hosts = (topology.client, topology.gateway, *topology.backends.values())
    one_request(topology.client)
    before = resets(hosts)
    sums = {}
    for what, changes in (("quiet", 0), ("changing", 100)):
        requests = load.Requests(topology.client, 200, 20)
        began = time.monotonic()
        generations = [sluice.change("backend", "weight", "web", "b1", (40, 10)[number % 2])
                       for number in range(changes)]  # fmt: skip
        assert generations == sorted(set(generations))
        time.sleep(max(0.0, 6.0 - (time.monotonic() - began)))
        assert resets(hosts) == before
        sums[what] = requests.stop()
        before = settled_resets(hosts)  # wrk's own end resets what it hasn't read
        assert sums[what]["failed"] == 0, sums[what]
        assert sums[what]["requests"] > 5000
    with capsys.disabled():
        for what, of in sums.items():
            print(f"\n    {what}: {of['requests']} requests, p50 {of['p50_us']} us, "
                  f"p99.9 {of['p999_us']} us, max {of['max_us']} us", end=" ")  # fmt: skip
