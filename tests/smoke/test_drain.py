# SPDX-License-Identifier: BSD-2-Clause
"""Drains with an end: waited for, by a deadline, then removed, through a kill of control; hosts that
drain in all services at once; maintenance; automation that is frozen; and batches, of which all or
nothing happens."""

import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest
from connection import connections
from test_health import drops, states, wait_states
from test_operators import ctl, overrides, requests, restart_control

import gateway
import load
import topology as net

pytestmark = pytest.mark.shares_topology
EXPIRED, INTERRUPTED = 8, 130


@pytest.fixture(name="instance", scope="module")
def _instance(topology_of_the_module):
    """One instance for the module, served by XDP alone. Its flows end soon."""
    hosts = list(topology_of_the_module.backends.values())
    services = [
        gateway.service("web", [gateway.backend(host, 10) for host in hosts], idle_timeout="2s"),
        gateway.service("echo", [gateway.backend(host, 10, port=7) for host in hosts],
                        protocol="udp", port=7, idle_timeout="2s"),
    ]  # fmt: skip
    with gateway.Gateway(topology_of_the_module, services) as made:
        made.settings["dataplane"]["engine"] = "xdp"
        made.write()
        made.start()
        yield made


@pytest.fixture(name="served")
def _served(instance):
    """The instance, after operators and health have forgotten everything."""
    net.stop(instance.control)
    for name in os.listdir(f"{instance.directory}/state"):
        os.unlink(f"{instance.directory}/state/{name}")
    instance.start_control()

    def ready():
        rows = [*instance.backends().values(), *instance.backends("echo").values()]
        return [row["state"] for row in rows] == ["ready"] * 6

    net.wait_for("all backends", ready)
    return instance


def check(sluice, **health):
    """Lets web be checked, by requests that b1 to b3 pass."""
    how = {"type": "http", "interval": "200ms", "timeout": "5s", "fall": 2, "rise": 2, **health}
    sluice.ctl("service", "set", "web", "health=" + json.dumps(how))


def waits(sluice, *words):
    """A `backend drain --wait` that runs."""
    return subprocess.Popen(
        [gateway.program("sluicectl"), "-s", sluice.run_dir, "backend", "drain", *words, "--wait"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def ended(process, timeout=60):
    """Its status and all it said."""
    try:
        said, _ = process.communicate(timeout=timeout)
    finally:
        process.kill()
    return process.returncode, said


def drains(sluice):
    return {(row["service"], row["name"]): row for row in sluice.json("drain", "list")["drains"]}


def owned(opened, name):
    return [connection for connection, owner in opened if owner == name]


def test_downloads(topology, served):
    """Downloads go on while their backend is drained and control is killed and started; the command
    goes on too, and it, its successor and the log tell of the same end."""
    blob = load.Blob(topology, 16)
    downloads = [load.Download(topology, blob, seconds=4) for _ in range(12)]
    name = downloads[0].backend()
    words = ("web", name, "--deadline", "60s", "--then-remove")
    wait = waits(served, *words)
    net.wait_for("connections to be counted",
                 lambda: drains(served).get(("web", name), {}).get("connections_left"), 20)  # fmt: skip
    row = drains(served)["web", name]
    assert row["then_remove"] and 50 <= row["deadline_s"] <= 60, row
    assert row["end"] == "running" and 0 <= row["unknown_for_ms"] <= 20000, row
    deadline = row["deadline_s"]
    served.kill(served.control)
    time.sleep(0.5)
    served.start_control()
    assert all(download.runs() for download in downloads)
    assert drains(served)["web", name]["deadline_s"] <= deadline
    assert [download.wait(60)[0] for download in downloads] == ["ok"] * len(downloads)
    status, said = ended(wait)
    assert status == 0 and "control is away" in said, said
    assert re.search(r"\d+ connections left", said), said
    told = f"web {name}: removed, nothing refers to it any more"
    assert said.splitlines()[-1] == told
    assert ended(waits(served, *words)) == (0, told + "\n")
    served.expect(served.control, rf"drain\.end by time: service web: backend {name}: drained after "
                  r"\d+ s, and removed; generation \d+")  # fmt: skip
    net.wait_for(f"{name} to be gone", lambda: name not in served.backends())
    assert name not in requests(topology)
    restart_control(served)
    assert ended(waits(served, *words)) == (0, told + "\n")
    rows = [row for row in served.services[0]["backends"] if row["name"] == name]
    served.ctl("backend", "add", "web", f"{rows[0]['address']}:80")
    assert drains(served) == {} and overrides(served, "drains") == {}


def test_deadline(topology, served):
    """After the deadline a backend goes on draining, or is removed with its connections; a restart
    doesn't put it off. Interrupted, the command leaves the drain as it is."""
    with connections(topology.client, 20) as opened:
        wait = waits(served, "web", "b1")
        time.sleep(0.5)
        wait.send_signal(signal.SIGINT)
        status, said = ended(wait)
        assert status == INTERRUPTED and "the drain goes on as it is" in said, said
        assert served.backends()["b1"]["state"] == "draining"

        began = time.monotonic()
        wait = waits(served, "web", "b1", "--deadline", "4s")
        net.wait_for("the drain", lambda: drains(served)["web", "b1"].get("deadline_s") is not None)
        restart_control(served)
        while wait.poll() is None and time.monotonic() < began + 30:
            assert all(connection.get() == "b1" for connection in owned(opened, "b1"))
            time.sleep(0.1)
        assert 3 <= time.monotonic() - began < 15
        status, said = ended(wait)
        told = r"web b1: not drained within 4 s, \d+ connections were left; it goes on draining"
        assert status == EXPIRED and re.search(told, said), said
        assert ended(waits(served, "web", "b1", "--deadline", "4s"))[0] == EXPIRED
        assert served.backends()["b1"]["state"] == "draining"

        wait = waits(served, "web", "b1", "--deadline", "2s", "--then-remove")
        while wait.poll() is None and time.monotonic() < began + 60:
            for connection in owned(opened, "b1"):
                try:
                    connection.get()
                except OSError:
                    pass
            time.sleep(0.1)
        status, said = ended(wait)
        assert status == 0 and re.search(r"web b1: removed after 2 s, [1-9]\d* connections were cut",
                                         said), said  # fmt: skip
        assert all(connection.get() == owner for connection, owner in opened if owner != "b1")
        assert "b1" not in served.backends()


def test_all_on(topology, served):
    """A host drains in all its services by one generation, and is ready again likewise."""
    address = topology.backends["b2"].address
    before = served.generation()
    answer = served.json("backend", "drain", "--all-on", address)
    assert {(b["service"], b["name"]) for b in answer["backends"]} == {("web", "b2"), ("echo", "b2")}
    assert {name for name, row in {**served.backends(), **served.backends("echo")}.items()
            if row["held_by"]} == {"b2"}  # fmt: skip
    said = served.said(served.control)
    lines = re.findall(r"backend\.drain by .*: service (\S+): backend b2: ready -> draining; "
                       r"generation (\d+)", said)  # fmt: skip
    assert {name for name, _ in lines} == {"web", "echo"} and len({g for _, g in lines}) == 1
    assert answer["generation"] > before
    status, said = ended(waits(served, "--all-on", address))
    assert status == 0 and len(re.findall("drained, it can be switched off", said)) == 2, said
    served.ctl("backend", "maintenance", "--all-on", address)
    assert {served.backends(s)["b2"]["state"] for s in ("web", "echo")} == {"maintenance"}
    served.ctl("backend", "ready", "--all-on", address)
    assert "b2" in requests(topology, count=60)
    status, said = ctl(served, "backend", "drain", "b2")
    assert status == gateway.EXIT_USAGE and "have a backend b2 each; say which" in said, said
    assert "no backend has the address" in ctl(served, "backend", "drain", "--all-on", "10.9.9.9")[1]


def test_maintenance(topology, served):
    """No packets reach a backend in maintenance, its connections end, its checks stop, and it is
    checked again before it is used; a restart keeps that."""
    check(served)
    net.wait_for("checks", lambda: set(states(served, "health").values()) == {"up"}, 30)
    host = topology.backends["b1"]
    with connections(topology.client, 20) as opened:
        served.ctl("backend", "maintenance", "web", "b1")
        before = served.backends()["b1"]["packets_in"]
        assert owned(opened, "b1")
        for connection, owner in opened:
            if owner != "b1":
                assert connection.get() == owner
                continue
            with pytest.raises(OSError):
                connection.get()
        row = served.backends()["b1"]
        assert row["packets_in"] == before and "health" not in row, row
        assert (row["state"], row["held_by"], row["share"]) == ("maintenance", ["live"], 0), row
    with drops(host, "tcp", 80):
        served.kill(served.control)
        served.start_control()
        assert served.backends()["b1"]["state"] == "maintenance"
        assert overrides(served)["web"][f"{host.address}:80"] == {"state": "maintenance"}
        assert "#     sluicectl backend maintenance web b1\n" in served.ctl("export")
        assert requests(topology) == {"b2", "b3"}
        served.ctl("backend", "ready", "web", "b1")
        wait_states(served, b1="checking", b2="ready", b3="ready")
    wait_states(served, b1="ready", b2="ready", b3="ready")
    assert "b1" in requests(topology, count=60)
    # Removed in maintenance, it serves nobody while it goes either.
    served.ctl("backend", "maintenance", "web", "b1")
    served.ctl("backend", "remove", "web", "b1")
    assert requests(topology) == {"b2", "b3"} and "b1" not in served.backends()


def test_frozen(topology, served):
    """Frozen, checks are made and shown and change nothing, also by a restart; unfrozen, they
    count."""
    check(served, body="b1")
    wait_states(served, b1="ready", b2="down", b3="down")
    served.ctl("freeze")
    check(served)
    net.wait_for("all to be up", lambda: set(states(served, "health").values()) == {"up"}, 30)
    check(served, status=404)
    net.wait_for("all to be down", lambda: set(states(served, "health").values()) == {"down"}, 30)

    def is_frozen():
        return states(served) == {"b1": "ready", "b2": "down", "b3": "down"}

    assert is_frozen() and requests(topology) == {"b1"}
    assert states(served, "health_overruled_by") == {"b1": "freeze", "b2": None, "b3": None}
    told = served.json("status")
    assert time.time() - 120 < told["frozen_since"] <= time.time()
    assert any(text.startswith("automation is frozen") for text in told["problems"])
    assert any("down, but used since automation is frozen (b1: HTTP 200)" in text
               for text in told["problems"]), told["problems"]  # fmt: skip

    def saved():
        with open(f"{served.directory}/state/health.json", encoding="utf-8") as file:
            return file.read().count('"held"') == 1

    net.wait_for("the states to be saved", saved)
    served.kill(served.control)
    served.start_control()
    assert is_frozen() and served.json("status")["frozen_since"] == told["frozen_since"]
    check(served)
    net.wait_for("all to be up", lambda: set(states(served, "health").values()) == {"up"}, 30)
    assert is_frozen()
    assert states(served, "health_overruled_by") == {"b1": None, "b2": "freeze", "b3": "freeze"}
    served.ctl("unfreeze")
    wait_states(served, b1="ready", b2="ready", b3="ready")
    assert "frozen_since" not in served.json("status")


def batch(sluice, text, *options):
    done = subprocess.run(
        [gateway.program("sluicectl"), "-s", sluice.run_dir, *options, "batch", "-"],
        input=text, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_batch(topology, served):
    """All lines of a batch are one generation, and later ones build on earlier ones; the first bad
    line is named, and nothing has happened."""
    before = served.generation()
    good = f"""# a comment, and an empty line

service add 'extra' vip={net.VIP} protocol=tcp "port=81"
backend add extra {topology.backends["b1"].address}:80 --name one   # on the service above
backend drain web b2
limit set web --per service --rate 1gbit
freeze
"""
    status, said = batch(served, good)
    assert status == 0 and "service extra added" in said, said
    assert len(set(re.findall(r"batch by .*; generation (\d+)", served.said(served.control)))) == 1
    assert served.generation() > before
    net.wait_for("the new service", lambda: served.backends("extra")["one"]["state"] == "ready")
    assert "b2" not in requests(topology)
    assert served.backends()["b2"]["held_by"] == ["live"]
    restart_control(served)
    assert served.backends("extra")["one"]["state"] in ("ready", "resolving")
    assert "frozen_since" in served.json("status")

    def everything():
        return overrides(served), served.ctl("export")

    then = everything()
    for text, status, why in (
        ("backend ready web b2\n\nbackend drain web b9\n", 1, "line 3: backend: service web has no"),
        ("backend ready web b2\nbackend weight web b1 0\n", 2, "line 2: weight: "),
        ("backend ready web b2\nstatus\n", 2, "line 2: status can't be in a batch"),
        ("backend ready web b2\nreload\n", 2, "line 2: reload can't be"),
        ("backend ready web b2\nbackend fly web b1\n", 2, "line 2: unknown command"),
        ("backend ready web 'b2\n", 2, "line 1: a quote isn't closed"),
        ("backend ready web b2 --wait\n", 2, "line 1: --wait: not an option"),
        ("--json backend ready web b2\n", 2, "line 1: the options of sluicectl itself"),
        ("# nothing\n", 2, "there is no command in it"),
    ):
        done, said = batch(served, text)
        assert (done, why in said) == (status, True), said
        assert everything() == then
    assert ctl(served, "batch", "/nonexistent")[0] == gateway.EXIT_USAGE


def test_rpc_batch(served):
    """A JSON-RPC batch with changes is one transaction too, and each request has its outcome."""
    def ask(*requests, name="control"):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"{served.run_dir}/{name}.sock")
            client.sendall(json.dumps([{"jsonrpc": "2.0", **r} for r in requests]).encode() + b"\n")
            return json.loads(client.makefile().readline())

    def drain(number, backend):
        return {"id": number, "method": "backend.drain",
                "params": {"service": "web", "backend": backend}}  # fmt: skip

    answers = ask(drain(1, "b1"), drain(2, "b2"))
    assert [answer["id"] for answer in answers] == [1, 2]
    assert answers[0]["result"] == answers[1]["result"] and len(answers[0]["result"]["changes"]) == 2
    generation = served.generation()
    answers = ask(drain(1, "b3"), drain("x", "b9"))
    assert {answer["error"]["code"] for answer in answers} == {-32000}
    assert "request 2: backend: service web has no backend b9" in answers[0]["error"]["message"]
    assert served.generation() == generation and not served.backends()["b3"]["held_by"]
    reads = ask({"id": 1, "method": "generation"}, {"id": 2, "method": "stats"}, name="read")
    assert all("result" in answer for answer in reads)


def test_udp_now(topology, served, echo):
    """With drain_udp = "now" the next datagram of a flow goes elsewhere."""
    served.ctl("service", "set", "echo", "drain_udp=now")
    with topology.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(3)
        client.connect((net.VIP, 7))

        def answered():
            for _ in range(10):
                client.send(b"x")
                try:
                    return client.recv(100).split()[0].decode()
                except OSError:
                    continue
            raise TimeoutError("no echo")

        name = answered()
        assert answered() == name
        served.ctl("backend", "drain", "echo", name)
        assert served.backends("echo")[name]["state"] == "drained"
        assert answered() != name
        served.ctl("backend", "ready", "echo", name)
    with pytest.raises(RuntimeError, match='drain_udp: is for protocol = "udp"'):
        served.ctl("service", "set", "web", "drain_udp=now")
