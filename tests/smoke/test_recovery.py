# SPDX-License-Identifier: BSD-2-Clause
"""What is given out again, and when: rows, numbers, ids, timeouts. Whatever is refused has changed
nothing, and an instance that is full can still replace all that it serves."""

import json
import random
import signal
import struct
import subprocess
import time

import pytest
from connection import connections, one_request
from test_engines import owners, serves, start_xdp

import gateway
import topology as net


def ctl(sluice, *words):
    """sluicectl WORDS: its status and all it said."""
    done = subprocess.run(
        [gateway.program("sluicectl"), "-s", sluice.run_dir, *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def records(sluice, name):
    """The records of an array, as bytes."""
    dump = net.sh("bpftool", "-j", "map", "dump", "pinned", f"{sluice.bpf_dir}/{name}")
    for record in json.loads(dump):
        yield bytes(int(byte, 16) for byte in record["value"])


def lifetimes(sluice):
    """Of each service id: ticks that its entries live, by state."""
    return [struct.unpack("<3Q", record[:24]) for record in records(sluice, "flow_timeouts")]


def entries(sluice):
    """How many entries of the flow table name each service id."""
    found = {}
    for record in records(sluice, "flows"):
        for key in struct.unpack("<4Q", record[:32]):
            if key:
                service = key >> 48 & 0x7FFF
                found[service] = found.get(service, 0) + 1
    return found


def service_ids(sluice):
    """The ids of the services in both banks, by port."""
    ids = {}
    for record in records(sluice, "services"):
        port, service = struct.unpack(">H", record[16:18])[0], struct.unpack("<H", record[20:22])[0]
        if service:
            ids.setdefault(port, set()).add(service)
    return ids


def capacity(sluice, **numbers):
    sluice.settings["dataplane"]["capacity"].update(numbers)
    sluice.write()


def replace(sluice, *services):
    """Writes the file with these services, and reloads it."""
    sluice.services[:] = services
    sluice.write()
    return sluice.change("reload")


def test_hung_dataplane(topology, sluice):
    """A dataplane that was stopped has acknowledged nothing: changes say so, and soon, since nobody
    waits for it. When it goes on it catches up."""
    one_request(topology.client)
    sluice.dataplane.send_signal(signal.SIGSTOP)
    time.sleep(0.3)
    # Behind this one: the client's neighbour, which control publishes after the first answer.
    ctl(sluice, "backend", "weight", "web", "b1", 13)
    for weight in (11, 12):
        begin = time.monotonic()
        status, said = ctl(sluice, "--json", "backend", "weight", "web", "b1", weight)
        assert time.monotonic() - begin < 0.5
        assert status == 1, said
        answer = json.loads(said.splitlines()[0])
        assert (answer["acknowledged"], answer["workers"]) == (False, 1)
        assert answer["workers_acknowledged"] == 0
    assert not sluice.json("generation")["acknowledged"]
    sluice.dataplane.send_signal(signal.SIGCONT)
    net.wait_for("the acknowledgement", lambda: sluice.json("generation")["acknowledged"])
    assert serves(topology)


def test_refused_reload_keeps_timeouts(sluice):
    """A file with a shorter idle timeout that is refused as a whole: entries live as long as
    before."""
    web, echo = sluice.services
    before = lifetimes(sluice)
    sluice.services[0] = dict(web, idle_timeout="1s", table_size=256)
    sluice.write()
    status, said = ctl(sluice, "reload")
    assert status == 1 and "table_size" in said
    assert lifetimes(sluice) == before
    replace(sluice, dict(web, idle_timeout="1s"), echo)
    assert lifetimes(sluice) != before


@pytest.mark.parametrize("engine", ["auto", "xdp"])
def test_ids_rest(topology, idle, engine):
    """The entries of a service that was removed are nobody's: no other service gets the id while
    they stand, not even from a control that was started anew. Then they are cleared, by a worker
    or, where XDP serves alone, by control."""
    idle.settings["dataplane"]["engine"] = engine
    capacity(idle, services=2)
    web = dict(idle.services[0], track="all")
    idle.services[:] = [web]
    idle.write()
    if engine == "xdp":
        del idle.settings["dataplane"]["cores"]
        idle.write()
        start_xdp(idle)
    else:
        idle.start()
    with connections(topology.client, 30):
        pass
    used = next(iter(service_ids(idle)[80]))
    assert entries(idle).get(used, 0) >= 25
    other = dict(web, name="other", port=81)
    replace(idle, other)
    idle.kill(idle.control)
    idle.start_control()
    for port in range(82, 90):
        if used not in entries(idle):
            break
        idle.services[:] = [other, dict(web, name="next", port=port)]
        idle.write()
        if ctl(idle, "reload")[0] == 0 and used in entries(idle):
            assert used not in service_ids(idle).get(port, ())
    net.wait_for("the entries to go", lambda: used not in entries(idle), 30)
    replace(idle, web)
    net.wait_for("the backends", lambda: {row["state"] for row in idle.backends().values()} == {
        "ready"})  # fmt: skip
    assert serves(topology)


def test_full_instance(topology, idle):
    """With room for two services and six backends, and as many there, all of them are replaced at
    once, and again when what they replaced has rested; one more is refused by the number that
    would be needed."""
    capacity(idle, services=2, backends=6)
    idle.start()
    assert serves(topology)
    web, echo = idle.services
    with connections(topology.client, 10):
        replace(idle, dict(web, port=81, name="moved"), dict(echo, port=8))
    idle.services[:] = [web, echo]
    idle.write()
    net.wait_for("room", lambda: ctl(idle, "reload")[0] == 0, 20)
    net.wait_for("the backends", lambda: {row["state"] for row in idle.backends().values()} == {
        "ready"})  # fmt: skip
    assert serves(topology)
    new = [dict(row, address=row["address"][:-1] + "9", name=f"n{i}", port=8000 + i)
           for i, row in enumerate(web["backends"])]  # fmt: skip
    replace(idle, dict(web, backends=new), echo)
    status, said = ctl(idle, "backend", "add", "web", "10.1.0.77:80")
    assert status == 1 and "capacity.backends" in said


def test_rows_never_run_out(idle):
    """Tables that just fit the capacity, of sizes that don't fit each other, are changed and
    changed again; a control that is restarted finds room for what it adopts."""
    capacity(idle, services=2, rows=69632)
    idle.services[0].update(table_size=65536, idle_timeout="1s")
    idle.services[1].update(table_size=4096, idle_timeout="1s")
    idle.write()
    idle.start()
    chance = random.Random(1)
    for _ in range(60):
        idle.change("backend", "weight", chance.choice(["web", "echo"]), "b1",
                    str(chance.randint(1, 50)))  # fmt: skip
    assert net.stop(idle.control) == 0
    idle.start_control()
    idle.change("backend", "weight", "web", "b2", "7")
    assert "no room" not in idle.said(idle.control)


def test_successor(topology, sluice):
    """A backend that was cut off comes back under another number while its old one still rests:
    of an instance with a single service, too."""
    replace(sluice, sluice.services[0])
    web = sluice.backends()
    with connections(topology.client, 20) as opened:
        kept = [(each, owner) for each, owner in opened if owner != "b1"]
        sluice.change("backend", "remove", "web", "b1", "--now")
        sluice.change("backend", "add", "web", f"{web['b1']['address']}:80", "--name", "b1",
                      "--weight", "10")  # fmt: skip
        net.wait_for("b1", lambda: sluice.backends()["b1"]["state"] == "ready")
        assert owners(kept)
        assert serves(topology)


def test_weight_hammered_while_closing(topology, sluice):
    """Windows of a fraction of a second open and close while weights change and connections come
    and go: a connection that talks within its idle timeout keeps its backend."""
    sluice.services[0]["idle_timeout"] = "700ms"
    replace(sluice, sluice.services[0])
    with connections(topology.client, 20) as opened:
        until = time.monotonic() + 8
        while time.monotonic() < until:
            sluice.change("backend", "weight", "web", random.choice(("b1", "b2", "b3")),
                          str(random.randint(1, 60)))  # fmt: skip
            assert owners(opened)
            one_request(topology.client)
    assert "no room" not in sluice.said(sluice.control)
