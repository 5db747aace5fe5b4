# SPDX-License-Identifier: BSD-2-Clause
"""What operators see and set: their changes outlive reloads and restarts, files that differ are
told apart, and what goes wrong is said, once, with what to do about it."""

import json
import os
import re
import subprocess
import time

import pytest
from connection import Connection, connections, one_request

import gateway
import topology as net

NAMES = {"b1", "b2", "b3"}
pytestmark = pytest.mark.shares_topology


def ctl(sluice, *words):
    """sluicectl WORDS: its status and all it said."""
    done = subprocess.run(
        [gateway.program("sluicectl"), "-s", sluice.run_dir, *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def reload(sluice):
    """Writes the file and reloads it: what changed."""
    sluice.write()
    return sluice.json("reload")["changes"]


def problems(sluice):
    return "\n".join(sluice.json("status")["problems"])


def restart_control(sluice):
    assert net.stop(sluice.control) == 0
    sluice.start_control()


def overrides(sluice, member="backends"):
    """What is kept of what operators set, by service."""
    with open(f"{sluice.directory}/state/overrides.json", encoding="utf-8") as file:
        kept = json.load(file)
    assert kept["version"] == 2
    return {name: words[member] for name, words in kept["services"].items() if member in words}


def gone(sluice, name, service="web"):
    net.wait_for(f"{name} to leave", lambda: name not in sluice.backends(service), 20)


def requests(topology, port=80, count=30):
    """The backends that answer requests on connections of their own."""
    answers = set()
    for _ in range(count):
        with Connection(topology.client, port=port, timeout=3.0) as connection:
            answers.add(connection.get())
    return answers


def test_removed_added_removed(idle):
    """A backend of the file that is removed live, added again and removed again stays removed, by
    a reload and by a restart; what is removed so is shown. Added, it is the file's again."""
    idle.services[0]["idle_timeout"] = "200ms"
    idle.write()
    idle.start_control()
    add = ("backend", "add", "web", "10.1.0.11:80")
    idle.ctl("backend", "remove", "web", "b1")
    gone(idle, "b1")
    idle.ctl(*add, "--weight", 7)
    assert overrides(idle)["web"]["10.1.0.11:80"] == {"weight": 7, "file_weight": 10}
    idle.ctl("backend", "remove", "web", "b1")
    gone(idle, "b1")
    idle.write()
    assert any("b1" in text and "removed live" in text for text in idle.json("reload")["live"])
    restart_control(idle)
    idle.expect(idle.control, "b1 .*removed live")
    assert set(idle.backends()) == {"b2", "b3"}
    assert idle.json("service", "show", "web")["removed_live"] == [
        {"name": "b1", "address": "10.1.0.11", "port": 80}
    ]
    assert "removed live" in idle.ctl("service", "show", "web")
    assert ctl(idle, *add, "--name", "other") == (
        gateway.EXIT_USAGE, "sluicectl: name: the configuration calls this backend b1\n"
    )  # fmt: skip
    idle.ctl(*add)
    assert (idle.backends()["b1"]["weight"], overrides(idle)) == (10, {})
    assert reload(idle) == []


def test_rename_and_weight_of_the_file(idle):
    """What makes no difference to packets is taken over as well: a name, and a weight that was
    set live before the file said so."""
    idle.start_control()
    web = idle.services[0]["backends"]
    web[0]["name"] = "renamed"
    assert reload(idle) == ["service web: backend b1 is called renamed now"]
    idle.ctl("backend", "drain", "web", "renamed")
    idle.ctl("backend", "ready", "web", "renamed")
    idle.ctl("backend", "weight", "web", "b2", 25)
    web[1]["weight"] = 25
    assert len(reload(idle)) == 1
    idle.ctl("backend", "weight", "web", "b2", 30)
    restart_control(idle)
    assert idle.backends()["b2"]["weight"] == 30
    assert reload(idle) == []


@pytest.mark.quick
def test_overtaken_overrides(idle):
    """A renamed service keeps what was set live; a weight that the file has overtaken doesn't
    come back when the file does; a backend added live belongs to the file once it is in it."""
    idle.start_control()
    idle.ctl("backend", "drain", "web", "b2")
    idle.ctl("backend", "weight", "web", "b1", 15)
    idle.ctl("backend", "add", "web", "10.1.0.14:80", "--name", "b4", "--weight", 5)
    idle.services[0]["name"] = "www"
    assert reload(idle) == ["service web is called www now"]
    assert idle.backends("www")["b2"]["state"] == "draining"
    assert set(overrides(idle)) == {"www"}
    backends = idle.services[0]["backends"]
    for weight in (40, 10):
        backends[0]["weight"] = weight
        reload(idle)
        assert idle.backends("www")["b1"]["weight"] == weight
    backends.append({"name": "b4", "address": "10.1.0.14", "port": 80, "weight": 6})
    reload(idle)
    assert idle.backends("www")["b4"]["weight"] == 6
    assert overrides(idle) == {"www": {"10.1.0.12:80": {"state": "draining"}}}


@pytest.mark.parametrize(
    "services, field",
    [
        ({"web": 5}, "web"),
        ({"web": {"10.1.0.11:80": 7}}, r"services\.web\.10\.1\.0\.11:80"),
        ({"web": {"junk": {}}}, r"services\.web\.junk"),
        ({"web": {"10.1.0.11:80": {"weight": 2**33, "file_weight": 10}}}, r"80\.weight"),
        ({"web": {"10.1.0.77:80": {"added": True, "name": "q"}}}, "without name or weight"),
        ({"web": {"10.1.0.11:80": {"state": "asleep"}}}, r"80\.state"),
    ],
)
def test_broken_overrides(idle, services, field):
    """What operators set is checked like a configuration: status 3, and which field."""
    os.makedirs(f"{idle.directory}/state")
    with open(f"{idle.directory}/state/overrides.json", "w", encoding="utf-8") as file:
        json.dump({"version": 1, "services": services}, file)
    status, said = idle.run("control", "-c", idle.file)
    assert status == gateway.EXIT_CONFIG, said
    assert re.search(rf"overrides\.json: .*{field}", said), said


@pytest.mark.own_topology
def test_moved_backend(topology, idle):
    """A backend moves to another service: its connections live on, the new service waits for it
    and says so, and has it by itself once they have ended."""
    idle.services[0]["idle_timeout"] = "4s"
    idle.write()
    idle.start()
    with connections(topology.client, 20) as opened:
        moved = idle.services[0]["backends"].pop(0)
        idle.services.append(gateway.service("two", [moved], port=81, idle_timeout="4s"))
        changes = reload(idle)
        assert any("two" in text and "waits" in text and "web" in text for text in changes)
        assert idle.backends("two")["b1"]["state"] == "waiting"
        assert re.search("service two: backend b1 waits.*service web", problems(idle))
        for _ in range(6):
            assert [c.get() for c, _ in opened] == [owner for _, owner in opened]
            time.sleep(0.5)
        restart_control(idle)
        assert idle.backends("two")["b1"]["state"] == "waiting"
        assert [c.get() for c, _ in opened] == [owner for _, owner in opened]
    net.wait_for("b1 in its new service",
                 lambda: idle.backends("two")["b1"]["state"] == "ready", 40)  # fmt: skip
    assert requests(topology, port=81) == {"b1"}
    assert requests(topology) == {"b2", "b3"}
    assert "waits" not in problems(idle)


def test_shared_backend(idle):
    """A backend in two services is warned about: in the answer, in the log once, in status."""
    idle.start_control()
    idle.services.append(gateway.service("two", idle.services[0]["backends"][:1], port=81))
    told = "service two: backend b1 .*service web's too"
    assert any(re.search(told, text) for text in reload(idle))
    idle.expect(idle.control, told)
    idle.ctl("backend", "weight", "web", "b2", 25)
    assert re.search(told, problems(idle))
    assert len(re.findall(told, idle.said(idle.control))) == 1
    assert idle.backends("two")["b1"]["state"] in ("ready", "resolving")


def remake(topology):
    """Deletes be0 and makes it anew: another interface of the same name."""
    topology.gateway.run("ip", "link", "del", "be0")
    time.sleep(0.3)
    topology.link(topology.gateway, "be0", topology.switch, "gw")
    topology.address(topology.gateway, "be0", f"{net.INSIDE}/24")
    topology.switch.run("ip", "link", "set", "gw", "master", "br0")


def answers(topology):
    try:
        return requests(topology, count=12) <= NAMES
    except OSError:
        return False


def engines(sluice):
    return {row["engine"] for row in sluice.json("status")["queues"]}


@pytest.mark.own_topology
def test_interface_made_anew(topology, sluice):
    """An interface that is deleted and made again isn't the dataplane's any more: that is said
    once, XDP serves meanwhile, and the dataplane serves again once it was restarted."""
    assert requests(topology) == NAMES
    remake(topology)
    net.wait_for("XDP to serve", lambda: answers(topology), 30)
    assert "port backends is another interface now: restart sluice-dataplane" in problems(sluice)
    assert engines(sluice) == {"xdp"}
    sluice.ctl("backend", "weight", "web", "b1", 11)
    said = re.findall("port backends: interface be0 isn't the one", sluice.said(sluice.control))
    assert len(said) == 1
    with connections(topology.client, 10) as opened:
        net.stop(sluice.dataplane)
        sluice.start_dataplane()
        net.wait_for("the worker", lambda: engines(sluice) == {"dpdk"}, 10)
        assert [c.get() for c, _ in opened] == [owner for _, owner in opened]
    assert "another interface" not in problems(sluice)
    assert requests(topology) == NAMES


def test_other_ports(topology, idle):
    """A dataplane whose file has the ports in another order serves nothing; XDP does."""
    idle.start_control()
    idle.settings["dataplane"]["ports"].reverse()
    idle.write()
    status, said = idle.run("dataplane", "-c", idle.file)
    assert status == gateway.EXIT_CONFIG, said
    assert answers(topology)


def test_hang_ups_while_it_starts(idle):
    """SIGHUP at any moment of a start ends nothing, once it has begun: control holds the signal back
    from the first line of main() on."""

    def holds_back():
        with open(f"/proc/{idle.control.pid}/status", encoding="ascii") as status:
            masks = dict(line.split()[:2] for line in status if line.startswith(("SigBlk", "SigCgt")))
        return any(int(mask, 16) & 1 for mask in masks.values())

    for number in range(6):
        idle.start_control(wait=False)
        net.wait_for("main()", holds_back)
        time.sleep(0.02 * number)
        for _ in range(3):
            idle.reload()
        assert idle.control_ready() >= 1
        idle.expect(idle.control, "SIGHUP by sluice-control: no difference")
        assert net.stop(idle.control) == 0


@pytest.mark.own_topology
def test_unreachable_backends(topology, idle):
    """A backend in no subnet is named in the log by file and line, and in status; one that lost its
    next hop isn't ready any more, and is again when it is back."""
    idle.services[0]["backends"][0]["address"] = "192.0.2.9"
    idle.write()
    idle.start_control()
    told = r"sluice\.conf:\d+: service web: backend b1 \(192\.0\.2\.9:80\): no route"
    idle.expect(idle.control, told)
    assert re.search(told, problems(idle))
    assert idle.backends()["b1"]["state"] == "no-route"
    host = topology.backends["b2"]
    host.run("ip", "link", "set", "eth0", "down")
    topology.gateway.run("ip", "neigh", "flush", "dev", "be0", "to", host.address)
    net.wait_for("b2 to be lost", lambda: idle.backends()["b2"]["state"] == "unresolved", 15)
    assert next(s for s in idle.json("service", "list")["services"])["ready"] == 1
    assert re.search(r"backend b2 .*isn't known any more", problems(idle))
    host.run("ip", "link", "set", "eth0", "up")
    host.run("ip", "route", "replace", "default", "via", net.INSIDE)
    net.wait_for("b2 to be back", lambda: idle.backends()["b2"]["state"] == "ready", 15)


def test_reload_of_other_settings(idle):
    """next_hops apply at once; what only counts at a start is told of each time."""
    idle.start_control()
    hop = {"prefix": "10.1.0.12/32", "port": "backends", "mac": "02:00:00:00:00:09"}
    idle.settings["next_hops"] = [hop]
    assert reload(idle) == ["next_hops changed"]
    assert idle.backends()["b2"]["next_hop"] == hop["mac"]
    del idle.settings["next_hops"]
    assert reload(idle) == ["next_hops changed"]
    assert idle.backends()["b2"]["next_hop"] != hop["mac"]
    generation = idle.generation()
    other = {"poll": "adaptive", "adaptive": "poll"}
    idle.settings["dataplane"]["idle"] = other[idle.settings["dataplane"]["idle"]]
    idle.settings["dataplane"]["memory"] = "64M"
    for _ in range(2):
        assert reload(idle) == [f"dataplane.{field}: takes effect at the next start"
                                for field in ("memory", "idle")]  # fmt: skip
    assert idle.generation() == generation


def other_capacity(sluice):
    sluice.settings["dataplane"]["capacity"]["flows"] = 2048


def other_cores(sluice):
    sluice.settings["dataplane"]["cores"] = gateway.CORES[:2]


def other_group(sluice):
    sluice.settings["group"] = "other"


@pytest.mark.parametrize("change", [other_capacity, other_cores, other_group])
def test_status_of_another_instance(idle, change):
    """What stands was made for another configuration: status 3."""
    idle.start_control()
    net.stop(idle.control)
    change(idle)
    idle.write()
    status, said = idle.run("control", "-c", idle.file)
    assert status == gateway.EXIT_CONFIG, said
    assert "--fresh" in said


def test_status_of_an_occupied_port(topology, idle):
    """Somebody else's XDP program on a port: status 4, whose it is and how to take it off. The
    other port isn't kept from its own."""
    idle.start_control()
    other = gateway.Gateway(topology, idle.services, instance="other")
    status, said = other.run("control", "-c", other.file)
    other.stop()
    assert status == gateway.EXIT_MACHINE, said
    assert "bpftool link detach id" in said
    assert "client" in said or "cl0" in said and "be0" in said


def test_fresh_beside_another_version(idle):
    """Tables of another ABI version: status 6, and --fresh doesn't take them from a dataplane."""
    idle.start()
    net.stop(idle.control)
    key = ("key", "hex", "00", "00", "00", "00")
    root = ("pinned", f"{idle.bpf_dir}/root")
    value = json.loads(net.sh("bpftool", "-j", "map", "lookup", *root, *key))["value"]
    value[8] = "0x63"
    net.sh("bpftool", "map", "update", *root, *key, "value", "hex", *(v[2:] for v in value))
    status, said = idle.run("control", "-c", idle.file)
    assert status == gateway.EXIT_ABI, said
    status, said = idle.run("control", "-c", idle.file, "--fresh")
    assert status == gateway.EXIT_BUSY, said
    idle.kill(idle.dataplane)
    idle.control = idle.host.popen(
        gateway.program("sluice-control"), "-c", idle.file, "--fresh", stderr=subprocess.DEVNULL
    )
    net.wait_for("control", lambda: os.path.exists(f"{idle.run_dir}/control.sock")
                 and ctl(idle, "status")[0] == 0, 20)  # fmt: skip


@pytest.mark.own_topology
def test_too_many_routes(topology, idle):
    """Hosts and long prefixes are left out, the default route isn't: clients behind it are served,
    and status says what doesn't fit."""
    idle.settings["dataplane"]["capacity"]["routes"] = 12
    idle.write()
    topology.gateway.run("ip", "route", "add", "default", "via", net.CLIENT)
    for number in range(2, 60):
        topology.gateway.run("ip", "neigh", "add", f"10.1.0.{number + 50}", "lladdr",
                             "02:00:00:00:00:01", "dev", "be0")  # fmt: skip
    topology.client.run("ip", "addr", "add", "203.0.113.9/32", "dev", "eth0")
    topology.client.run("ip", "route", "replace", f"{net.VIP}/32", "dev", "eth0",
                        "src", "203.0.113.9")  # fmt: skip
    idle.start()
    assert re.search(r"\d+ routes don't fit: raise capacity.routes \(12\)", problems(idle))
    idle.expect(idle.control, "routes: .* don't fit")
    net.wait_for("backends", lambda: {r["state"] for r in idle.backends().values()} == {"ready"})
    assert one_request(topology.client) in NAMES


def test_words(idle):
    """Small things that operators meet."""
    idle.start_control()
    status, said = ctl(idle, "backend", "weight", "web", "b3", "-1")
    assert (status, "weight: " in said) == (gateway.EXIT_USAGE, True), said
    status, said = ctl(idle, "backend", "add", "web", f"{net.VIP}:80")
    assert "is the VIP of service" in said
    status, said = ctl(idle, "service", "add", "wide", "vip=10.1.0.0/24", "protocol=udp", "port=1",
                       "mode=direct")  # fmt: skip
    assert status == gateway.EXIT_USAGE and re.search(
        'backend "b1" of service "(web|echo)" is in the VIP of service "wide"', said), said
    for words in (("status",), ("generation",)):
        assert re.search(r"generation +\d+, no worker runs", idle.ctl(*words))
    assert re.search(r"^dataplane +absent$", idle.ctl("status"), re.MULTILINE)


def test_top(topology, sluice):
    """Rates of the worker, then of XDP alone."""

    def watched():
        begin, answers = time.monotonic(), 0
        with subprocess.Popen(
            [gateway.program("sluicectl"), "-s", sluice.run_dir, "top", "--once", "--json"],
            stdout=subprocess.PIPE, text=True,
        ) as top:  # fmt: skip
            while top.poll() is None and time.monotonic() < begin + 20:
                answers += len(requests(topology, count=5))
            assert top.returncode == 0 and answers
            return json.loads(top.stdout.read())

    requests(topology)  # neighbours are known
    rates = watched()
    (worker,) = rates["workers"]
    assert 0.9 < rates["interval_s"] < 10
    assert worker["pps"] > 10 and worker["bps"] > 8 * 60 * worker["pps"] * 0.5
    assert worker["cycles_per_packet"] > 10 and 1 <= worker["per_burst"] <= 32
    assert 0 < worker["busy_percent"] < 100 and worker["headroom_pps"] > 0
    sluice.kill(sluice.dataplane)
    rates = watched()
    assert rates["workers"] == [] and rates["xdp"]["pps"] > 10
    status, said = ctl(sluice, "top", "--once", "--interval", "1")
    assert (status, "no workers" in said, "XDP: " in said) == (0, True, True)
    assert ctl(sluice, "top", "--interval", "0")[0] == gateway.EXIT_USAGE
