# SPDX-License-Identifier: BSD-2-Clause
"""Control and the dataplane start in any order, die, come back, and read their file again."""

import os
import signal
import subprocess
import time

import pytest
from connection import connections, one_request
from test_changes import clean_traffic

import gateway
import topology as net

NAMES = {"b1", "b2", "b3"}
pytestmark = pytest.mark.shares_topology


def serves(topology):
    return {one_request(topology.client) for _ in range(40)} == NAMES


def test_control_first(topology, idle):
    """Control starts, says what it waits for, and serves once the dataplane has come."""
    idle.start_control(wait=False)
    idle.expect(idle.control, r"(?i)wait")
    idle.start_dataplane()
    assert idle.control_ready() >= 1
    assert serves(topology)


def test_dataplane_first(topology, idle):
    """The dataplane starts, says what it waits for, and serves once control has come."""
    idle.start_dataplane(wait=False)
    idle.expect(idle.dataplane, r"(?i)wait")
    idle.start_control()
    assert idle.dataplane_ready() == 1
    assert serves(topology)


def test_command_waits_for_a_start(idle):
    """While control starts, sluicectl says so and waits."""
    idle.start_control(wait=False)
    net.wait_for("the lock", lambda: os.path.exists(f"{idle.run_dir}/control.lock"))
    idle.control.send_signal(signal.SIGSTOP)
    with subprocess.Popen(
        [gateway.program("sluicectl"), "-s", idle.run_dir, "generation"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as command:  # fmt: skip
        assert command.stderr.readline() == "sluicectl: sluice-control is starting\n"
        idle.control.send_signal(signal.SIGCONT)
        assert command.wait(20) == 0
        assert command.stdout.read().startswith("generation 1,")


@pytest.mark.quick
def test_kill_control(topology, sluice):
    """kill -9 of control under traffic: nothing notices. The next control adopts: the generation
    goes on, a drained backend is still draining, a weight is still what an operator made it."""
    sluice.change("backend", "drain", "web", "b2")
    sluice.change("backend", "weight", "web", "b3", "50")
    generation = sluice.generation()
    with clean_traffic(topology), connections(topology.client, 20) as opened:
        sluice.kill(sluice.control)
        time.sleep(1.0)
        assert [connection.get() for connection, _ in opened] == [owner for _, owner in opened]
        sluice.start_control()
        adopted = sluice.generation()
        assert adopted >= generation
        rows = sluice.backends()
        assert {name: (row["state"], row["weight"]) for name, row in rows.items()} == {
            "b1": ("ready", 10),
            "b2": ("draining", 20),
            "b3": ("ready", 50),
        }
        assert sluice.change("backend", "ready", "web", "b2") > adopted
        assert [connection.get() for connection, _ in opened] == [owner for _, owner in opened]


@pytest.mark.own_topology
def test_state_survives_a_restart(topology, sluice):
    """What operators set live (an added backend, a weight, a drain) is there after control was
    stopped and started again, though the file says nothing of it."""
    new = topology.add_backend(4)
    sluice.change("backend", "add", "web", f"{new.address}:80", "--name", "b4", "--weight", "30")
    sluice.change("backend", "weight", "web", "b1", "15")
    sluice.change("backend", "drain", "web", "b2")
    before = states(sluice)
    assert net.stop(sluice.control) == 0
    sluice.start_control()
    assert states(sluice) == before
    assert {one_request(topology.client) for _ in range(60)} == {"b1", "b3", "b4"}


def states(sluice):
    return {name: (row["state"], row["weight"]) for name, row in sluice.backends().items()}


@pytest.mark.own_topology
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL], ids=["stop", "kill"])
def test_dataplane_restart(topology, sluice, signum):
    """The dataplane ends, well or badly, and a new one takes over: connections from before go on,
    new ones come, and the kernel never reset anything meanwhile."""
    with connections(topology.client, 20) as opened:
        sluice.dataplane.send_signal(signum)
        status = sluice.dataplane.wait(10)
        assert status == (0 if signum == signal.SIGTERM else -signal.SIGKILL)
        sluice.start_dataplane()
        assert [connection.get() for connection, _ in opened] == [owner for _, owner in opened]
        assert serves(topology)
        assert topology.gateway.counters()["Tcp.OutRsts"] == 0
    generation = sluice.generation()
    assert sluice.change("backend", "weight", "web", "b1", "11") > generation


@pytest.mark.own_topology
@pytest.mark.parametrize("how", ["SIGHUP", "sluicectl reload"])
def test_reload(topology, sluice, how):
    """The file changes under traffic (one backend more, another weight, a new service): the
    difference is applied by the same process, and no request fails."""
    new = topology.add_backend(4)
    pid = sluice.control.pid
    with clean_traffic(topology):
        web = sluice.services[0]["backends"]
        web[0]["weight"] = 40
        web.append(gateway.backend(new, 20))
        sluice.services.append(gateway.service("more", web, port=8080))
        sluice.write()
        if how == "SIGHUP":
            sluice.reload()
        else:
            sluice.change("reload")
        net.wait_for("the reload", lambda: "b4" in sluice.backends())
    assert {name: row["weight"] for name, row in sluice.backends().items()} == {
        "b1": 40, "b2": 20, "b3": 30, "b4": 20,
    }  # fmt: skip
    assert set(sluice.backends("more")) == NAMES | {"b4"}
    assert (sluice.control.pid, sluice.control.poll()) == (pid, None)


def test_reload_of_a_broken_file(topology, sluice):
    """A file with an unknown field is refused whole, by file and line; the old one serves on, and
    sluicectl says the same as the log."""
    before = states(sluice)
    sluice.services[0]["colour"] = "blue"
    sluice.write()
    with open(sluice.file, encoding="utf-8") as file:
        line = next(n for n, text in enumerate(file, 1) if "colour" in text)
    with clean_traffic(topology):
        sluice.reload()
        sluice.expect(sluice.control, rf"sluice\.conf:{line}: .*colour")
        with pytest.raises(RuntimeError, match=rf"sluice\.conf:{line}: .*colour"):
            sluice.ctl("reload")
        assert states(sluice) == before
    assert serves(topology)


@pytest.mark.parametrize("part", ["control", "dataplane"])
def test_second_instance(topology, sluice, part):
    """Another process of the same part and instance is refused, and the first serves on."""
    status, said = sluice.run(part, "-c", sluice.file)
    assert status == gateway.EXIT_BUSY, said
    assert sluice.instance in said
    assert serves(topology)


def test_missing_port(topology, idle):
    """A port that doesn't exist ends whoever needs it with a message that names it."""
    idle.settings["dataplane"]["ports"][0]["device"] = "nowhere0"
    idle.write()
    status, said = idle.run("control", "-c", idle.file)
    assert status == gateway.EXIT_MACHINE, said
    assert "nowhere0" in said
    assert one_line(said)


def one_line(said):
    return len(said.strip().splitlines()) <= 3


def edit(backend=(), **changes):
    """A change of the first service, or with `backend` of its first backend."""

    def apply(sluice):
        sluice.services[0]["backends"][0].update(backend)
        sluice.services[0].update(changes)

    return apply


def duplicate_vip(sluice):
    sluice.services.append({**sluice.services[0], "name": "again"})


def too_many_services(sluice):
    sluice.settings["dataplane"]["capacity"]["services"] = 1


@pytest.mark.parametrize(
    "change, words",
    [
        (edit(colour="blue"), "colour"),
        (edit(backend={"weight": 0}), "weight"),
        (edit(backend={"weight": 1000000}), "weight"),
        (edit(backend={"address": "10.1.0.999"}), "address"),
        (edit(vip="somewhere"), "vip"),
        (edit(protocol="sctp"), "protocol"),
        (edit(port=70000), "port"),
        (edit(scheduler="dice"), "scheduler"),
        (duplicate_vip, "vip"),
        (too_many_services, "services"),
    ],
    ids=["unknown-field", "weight-0", "weight-absurd", "address", "vip", "protocol", "port",
         "scheduler", "duplicate-vip", "capacity"],
)  # fmt: skip
def test_wrong_file(idle, change, words):
    """`sluice-control -t` of a wrong file: status 3 and one line with file, line and field."""
    status, said = idle.run("control", "-t", idle.file)
    assert status == 0, said
    change(idle)
    idle.write()
    status, said = idle.run("control", "-t", idle.file)
    assert status == gateway.EXIT_CONFIG, said
    assert f"{idle.file}:" in said and words in said
    assert one_line(said)
