# SPDX-License-Identifier: BSD-2-Clause
"""Schedulers: shares of new connections, by both engines, and a change of the scheduler in mid
traffic."""

import collections
import contextlib
import socket

import pytest
from conftest import WEIGHTS, serve_echo
from connection import connections, one_request
from shared import topology  # noqa: F401

import gateway
import topology as net

WRITERS = 2  # workers, or CPUs that run XDP: each has turns of its own


@pytest.fixture(scope="module", params=["auto", "xdp"])
def sluice(topology, request):
    hosts = list(topology.backends.values())
    web = [gateway.backend(host, weight) for host, weight in zip(hosts, WEIGHTS)]
    echo = [gateway.backend(host, weight, port=7) for host, weight in zip(hosts, WEIGHTS)]
    how = {"scheduler": "roundrobin", "idle_timeout": "2s"}
    serve_echo(topology)
    with gateway.Gateway(topology, [gateway.service("web", web, **how), gateway.service(
            "echo", echo, protocol="udp", port=7, **how)]) as made:  # fmt: skip
        made.settings["dataplane"]["engine"] = request.param
        made.write()
        made.start()
        net.wait_for("the backends' neighbours", lambda: all(
            row["state"] == "ready" for name in ("web", "echo")
            for row in made.backends(name).values()))  # fmt: skip
        yield made


def scheduler_of_web(sluice):
    services = sluice.json("service", "list")["services"]
    return next(row["scheduler"] for row in services if row["name"] == "web")


def reschedule(sluice, scheduler):
    sluice.change("service", "set", "web", f"scheduler={scheduler}")
    assert scheduler_of_web(sluice) == scheduler


def shares(client, count):
    return collections.Counter(one_request(client) for _ in range(count))


def datagram(peer):
    """Sends one to the VIP; the backend that answered."""
    peer.sendto(b"x", (net.VIP, 7))
    return peer.recv(64).split()[0].decode()


def datagram_socket(client):
    peer = client.socket(socket.AF_INET, socket.SOCK_DGRAM)
    peer.settimeout(5.0)
    return peer


def test_turns(topology, sluice):
    """Of 60 connections each backend has its weight's, within one for each writer."""
    reschedule(sluice, "roundrobin")
    got = shares(topology.client, 60)
    for name, weight in zip(topology.backends, WEIGHTS):
        assert abs(got[name] - weight) <= WRITERS, got


def test_random(topology, sluice):
    """Within four standard deviations (binomial) of 240 connections."""
    reschedule(sluice, "random")
    got = shares(topology.client, 240)
    for name, weight in zip(topology.backends, WEIGHTS):
        p = weight / sum(WEIGHTS)
        assert abs(got[name] - 240 * p) <= 4 * (240 * p * (1 - p)) ** 0.5, got


def test_datagrams(topology, sluice):
    """A UDP flow stays where its first datagram went, and others take turns. (A service that has
    just begun to track flows can't tell new ones yet, and goes by their hash.)"""
    client = topology.client

    def in_turn():
        with contextlib.ExitStack() as stack:
            peers = [stack.enter_context(datagram_socket(client)) for _ in range(12)]
            first = [datagram(peer) for peer in peers]
            assert [datagram(peer) for peer in peers] == first
            return all(abs(first.count(name) - weight / 5) <= WRITERS
                       for name, weight in zip(topology.backends, WEIGHTS))  # fmt: skip

    net.wait_for("turns", in_turn, timeout=10)
    assert in_turn()


def test_changes(topology, sluice):
    """Connections stay where they are while the scheduler changes, control restarts and a backend
    is drained; new ones go where the scheduler says."""
    client = topology.client
    reschedule(sluice, "roundrobin")
    with connections(client, 12) as first:
        reschedule(sluice, "maglev")
        with connections(client, 12) as second:
            reschedule(sluice, "random")
            net.stop(sluice.control)
            sluice.start_control()
            reschedule(sluice, "roundrobin")
            sluice.ctl("backend", "drain", "web", "b1")
            assert "b1" not in shares(client, 12)
            for scheduler in ("maglev", "random", "roundrobin"):
                reschedule(sluice, scheduler)
                for held, name in first + second:
                    assert held.get() == name
    sluice.ctl("backend", "ready", "web", "b1")


@pytest.mark.parametrize("setting", ["affinity=client", "affinity_group=g"])
def test_refused(sluice, setting):
    """What contradicts a choice for each flow is refused, and changes nothing."""
    reschedule(sluice, "random")
    with pytest.raises(RuntimeError, match="scheduler.*contradicts affinity"):
        sluice.ctl("service", "set", "web", setting)
    assert scheduler_of_web(sluice) == "random"
