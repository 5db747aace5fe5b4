# SPDX-License-Identifier: BSD-2-Clause
"""Affinity: all flows of a client come to one backend, of both families, by both engines."""

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


@pytest.mark.parametrize(("engine", "vip"), [("xdp", net.VIP)])
def test_group(sluice):
    """A change of a backend of one service is made in all services of its affinity group, also
    over a restart; a service that isn't like the others is refused, with both named."""
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
    sluice.services[1]["backends"][0]["weight"] = 11
    sluice.write()
    with pytest.raises(RuntimeError, match="udp.* and .*web.* differ: .* has another weight"):
        sluice.json("reload")
