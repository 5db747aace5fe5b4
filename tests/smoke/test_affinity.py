# SPDX-License-Identifier: BSD-2-Clause
"""Affinity: all flows of a client come to one backend, of both families, by both engines."""

import json

import pytest
from conftest import WEIGHTS
from connection import Connection, one_request

import gateway
import topology as net

IDLE_S = 1


@pytest.fixture
def sluice(topology, engine, vip):
    topology.add_ipv6()
    backends = [{**gateway.backend(host, weight),
                 "address": host.address6 if ":" in vip else host.address}
                for host, weight in zip(topology.backends.values(), WEIGHTS)]  # fmt: skip
    web = gateway.service("web", backends, vip=vip, affinity="client", idle_timeout=f"{IDLE_S}s")
    with gateway.Gateway(topology, [web]) as made:
        made.settings["dataplane"]["engine"] = engine
        made.write()
        made.start()
        net.wait_for("the backends' neighbours", lambda: all(
            row["state"] == "ready" for row in made.backends().values()))  # fmt: skip
        yield made


def rows(sluice):
    """Rows that are open, and mixed."""
    service = sluice.json("service", "list")["services"][0]
    return service["rows_open"], service["rows_mixed"]


@pytest.mark.parametrize(("engine", "vip"), [("auto", net.VIP), ("xdp", net.VIP6)])
def test_affinity(topology, sluice, vip):
    """One backend for all connections of a client; once it is drained one other, while what is
    connected stays; rows close again when no flow disagrees any more; and affinity isn't given up
    under flows that nobody remembers."""
    client = topology.client
    first = {one_request(client, vip=vip) for _ in range(16)}
    assert len(first) == 1
    with Connection(client, vip=vip) as held:
        assert {held.get()} == first
        sluice.ctl("backend", "drain", "web", *first)
        second = {one_request(client, vip=vip) for _ in range(16)}
        assert len(second) == 1 and second != first
        assert {held.get()} == first
        assert rows(sluice)[0] > 0
    net.wait_for("the rows to close", lambda: rows(sluice) == (0, 0), timeout=60)
    assert {one_request(client, vip=vip) for _ in range(4)} == second
    sluice.services[0]["affinity"] = "flow"
    sluice.write()
    with pytest.raises(RuntimeError, match="affinity can't change now"):
        sluice.json("reload")


@pytest.mark.parametrize(("engine", "vip"), [("auto", net.VIP)])
def test_clients_spread(topology, sluice, vip):
    """Other addresses come to other backends."""
    client, found = topology.client, set()
    for last in range(100, 160):
        client.run("ip", "addr", "add", f"198.51.100.{last}/24", "dev", "eth0")
        mine = {one_request(client, vip=vip, source=f"198.51.100.{last}") for _ in range(3)}
        assert len(mine) == 1
        found |= mine
        if found == {"b1", "b2", "b3"}:
            return
    pytest.fail(f"only {found}")


def regroup(sluice, service, group):
    """Whether the service could join this group, which takes until it knows all of its flows."""
    try:
        sluice.ctl("service", "set", service, f"affinity_group={group}")
    except RuntimeError as refused:
        assert "affinity can't change now" in str(refused)
        return False
    return True


@pytest.mark.parametrize(("engine", "vip"), [("xdp", net.VIP)])
def test_group(sluice):
    """A change of a backend of one service is made in all services of its affinity group, also
    over a restart and in one that was removed meanwhile; a service that isn't like the others is refused, with both named."""
    web = sluice.services[0]
    web["affinity_group"] = "g"
    backends = [dict(b) for b in web["backends"]]
    sluice.services.append(gateway.service("udp", backends, protocol="udp", affinity_group="g"))
    sluice.services[0] = {**web, "port": 81}  # another service, which has no flows yet
    sluice.write()
    sluice.json("reload")

    def hosts(service):
        return {
            name: (row["state"], row["weight"])
            for name, row in sluice.backends(service).items() if row["state"] != "leaving"
        }  # fmt: skip

    sluice.ctl("backend", "drain", "web", "b1")
    sluice.ctl("backend", "weight", "udp", "b2", "7")
    sluice.ctl("backend", "remove", "udp", "b3")
    for service in ("web", "udp"):
        assert hosts(service) == {"b1": ("draining", 10), "b2": ("ready", 7)}
    with pytest.raises(RuntimeError, match="third.* and .*web.* of affinity_group .* differ: "
                                           "there are 0 backends against 2"):  # fmt: skip
        sluice.json("service", "add", "third", f"vip={net.VIP}", "protocol=tcp", "port=82",
                    "affinity_group=g")  # fmt: skip
    sluice.ctl("backend", "add", "web", f"{backends[2]['address']}:80", "--name", "b3")
    for service in ("web", "udp"):
        assert set(hosts(service)) == {"b1", "b2", "b3"}

    # One that was removed comes back with what was set meanwhile, and before.
    sluice.ctl("service", "remove", "udp")
    sluice.ctl("backend", "weight", "web", "b1", "5")
    sluice.ctl("service", "add", "udp")
    for restart in (False, True):
        if restart:
            net.stop(sluice.control)
            sluice.start_control()
        for service in ("web", "udp"):
            there = hosts(service)
            assert {name: weight for name, (_, weight) in there.items()} == {
                "b1": 5, "b2": 7, "b3": backends[2]["weight"]}  # fmt: skip
            assert there["b1"][0] in {"draining", "drained"} and there["b2"][0] == "ready"

    # Health may differ, and doesn't keep services from being changed.
    check = {"type": "http", "port": 80, "body": "b2", "interval": "200ms"}
    sluice.ctl("service", "set", "web", "health=" + json.dumps(check))
    net.wait_for("b3 to be down", lambda: hosts("web")["b3"][0] == "down", 30)
    sluice.ctl("service", "set", "udp", "idle_timeout=20s")
    sluice.ctl("service", "set", "web", "health=")

    # Who the file puts into the group leaves it by the file, and others as they joined.
    with pytest.raises(RuntimeError, match='affinity_group: .* has service udp in group "g"; to '
                                           "leave the group, "):  # fmt: skip
        sluice.ctl("service", "set", "udp", "affinity_group=")
    sluice.ctl("service", "add", "third", f"vip={net.VIP}", "protocol=tcp", "port=82",
               "affinity=client", "track=all", "idle_timeout=100ms")  # fmt: skip
    for backend, weight in zip(backends, (5, 7, backends[2]["weight"])):
        sluice.ctl("backend", "add", "third", f"{backend['address']}:80", "--name",
                   backend["name"], "--weight", str(weight))  # fmt: skip
    sluice.ctl("backend", "drain", "third", "b1")
    net.wait_for("third to join", lambda: regroup(sluice, "third", "g"), 20)
    sluice.ctl("backend", "weight", "web", "b2", "8")
    assert hosts("third")["b2"] == ("ready", 8)
    for name, backend in zip(("b2", "b3"), backends[1:]):
        sluice.ctl("backend", "remove", "udp", name)
        assert name not in hosts("third")
        sluice.ctl("backend", "add", "udp", f"{backend['address']}:80", "--name", name)
        assert set(hosts("third")) == {"b1", "b2", "b3"}
    sluice.ctl("backend", "weight", "web", "b2", "8")
    net.wait_for("third to leave", lambda: regroup(sluice, "third", ""), 20)
    sluice.ctl("backend", "weight", "web", "b2", "9")
    assert hosts("third")["b2"] == ("ready", 8)
    sluice.ctl("service", "remove", "third")
    sluice.services[1]["backends"][0]["weight"] = 11
    sluice.write()
    with pytest.raises(RuntimeError, match="udp.* and .*web.* differ: .* has another weight"):
        sluice.json("reload")
