# SPDX-License-Identifier: BSD-2-Clause
"""Commands against layers, as a table: what each command writes into the layer of operators, and
what a restart, an unchanged file, a file that says something else, and the old file again make of
it. Then services that come and go live, the effective configuration as a file, and changes that
can't be saved. Control runs alone here."""

import copy
import json
import os
import re
import subprocess

import pytest
from test_operators import overrides, requests, restart_control

import gateway
import topology as net

pytestmark = pytest.mark.shares_topology

B1 = "10.1.0.11:80"


def kept(sluice):
    """The layer of operators of service web, as it is on disk; of a drain's times, how long it may
    take."""
    with open(f"{sluice.directory}/state/overrides.json", encoding="utf-8") as file:
        web = json.load(file)["services"].get("web", {})
    for drain in web.get("drains", {}).values():
        drain["deadline"] -= drain.pop("began")
    return web


def state(sluice, name="b1"):
    """What is served of a backend: weight, state without what the network says, and who decided."""
    rows = sluice.backends()
    if name not in rows or rows[name]["state"] == "leaving":
        return None
    row = rows[name]
    return row["weight"], row["held_by"] != [], row["source"]


def timeout(sluice):
    row = sluice.json("service", "show", "web")
    return row["idle_timeout_ms"], row["source"]


def limit(sluice):
    return [(row["rate_text"], row["source"]) for row in sluice.json("limit", "list")["limits"]]


def set_in_file(sluice, **fields):
    sluice.services[0]["backends"][0].update(fields)


FILE = (10, False, "file")
RATE = {"per": "service", "rate": "1Gbit"}

# command; what it writes; what is served then (also after a restart and a reload of the same file);
# a change of the file that overtakes it; what is served then; and after the old file's return.
TABLE = {
    "backend drain": (
        ["backend", "drain", "web", "b1"],
        {"backends": {B1: {"state": "draining"}}},
        state, (10, True, "live"),
        lambda s: set_in_file(s, weight=11), (11, True, "live"), (10, True, "live"),
    ),
    "backend drain --then-remove": (
        ["backend", "drain", "web", "b1", "--deadline", "10m", "--then-remove"],
        {"backends": {B1: {"state": "draining"}},
         "drains": {B1: {"name": "b1", "deadline": 600, "then_remove": True}}},
        state, (10, True, "live"),
        lambda s: set_in_file(s, weight=11), (11, True, "live"), (10, True, "live"),
    ),
    "backend maintenance": (
        ["backend", "maintenance", "web", "b1"],
        {"backends": {B1: {"state": "maintenance"}}},
        state, (10, True, "live"),
        lambda s: set_in_file(s, weight=11), (11, True, "live"), (10, True, "live"),
    ),
    "backend ready": (
        ["backend", "ready", "web", "b1"],
        {"backends": {B1: {"state": "ready"}}},
        state, (10, False, "file"),
        lambda s: set_in_file(s, state="ready"), (10, False, "file"), (10, True, "file"),
    ),
    "backend weight": (
        ["backend", "weight", "web", "b1", "7"],
        {"backends": {B1: {"weight": 7, "file_weight": 10}}},
        state, (7, False, "live"),
        lambda s: set_in_file(s, weight=11), (11, False, "file"), FILE,
    ),
    "backend remove": (
        ["backend", "remove", "web", "b1"],
        {"backends": {B1: {"removed": True}}},
        state, None,
        lambda s: set_in_file(s, weight=11), None, None,
    ),
    "backend add": (
        ["backend", "add", "web", "10.1.0.14:80", "--name", "b4", "--weight", "5"],
        {"backends": {"10.1.0.14:80": {"added": True, "name": "b4", "weight": 5}}},
        lambda s: state(s, "b4"), (5, False, "live"),
        lambda s: s.services[0]["backends"].append(
            {"name": "b4", "address": "10.1.0.14", "port": 80, "weight": 6}),
        (6, False, "file"), None,
    ),
    "service set": (
        ["service", "set", "web", "idle_timeout=90s"],
        {"fields": {"idle_timeout": "90s"}, "file": {"idle_timeout": "60s"}},
        timeout, (90000, "live"),
        lambda s: s.services[0].update(idle_timeout="30s"), (30000, "file"), (60000, "file"),
    ),
    "service remove": (
        ["service", "remove", "web"],
        {"removed": True},
        lambda s: [row["name"] for row in s.json("service", "list")["services"]], ["echo"],
        lambda s: s.services[0].update(idle_timeout="30s"), ["echo"], ["echo"],
    ),
    "limit set": (
        ["limit", "set", "web", "--per", "service", "--rate", "2gbit"],
        {"limits": [{"per": "service", "unit": "bits", "direction": "both", "rate": 2000000000,
                     "action": "drop",
                     "file": {"rate": 1000000000, "action": "drop"}}]},
        limit, [("2 Gbit/s", "live")],
        lambda s: s.services[0].update(limits=[{**RATE, "rate": "3Gbit"}]),
        [("3 Gbit/s", "file")], [("1 Gbit/s", "file")],
    ),
    "limit clear": (
        ["limit", "clear", "web", "--per", "service"],
        {"limits": [{"per": "service", "unit": "bits", "direction": "both", "removed": True}]},
        limit, [],
        lambda s: s.services[0].update(limits=[{**RATE, "rate": "3Gbit"}]), [], [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_table(idle, name):
    command, written, served, then, overtake, overtaken, returned = TABLE[name]
    if name.startswith("limit"):
        idle.services[0]["limits"] = [RATE]
    if name == "backend ready":
        set_in_file(idle, state="draining")
    idle.write()
    idle.start_control()
    before = copy.deepcopy(idle.services)

    idle.ctl(*command)
    assert (kept(idle), served(idle)) == (written, then)
    said = re.findall(rf"{command[0]}\.{command[1]} by root \(uid 0, pid \d+, sluicectl\): (.*)",
                      idle.said(idle.control))  # fmt: skip
    assert said and all(re.search(r"; generation \d+$", line) for line in said), said

    restart_control(idle)
    assert (kept(idle), served(idle)) == (written, then)
    live = idle.json("reload")["live"]  # the same file
    assert len(live) == len(written.keys() - {"file"}), live
    assert all("web" in text for text in live), live
    assert (kept(idle), served(idle)) == (written, then)

    overtake(idle)
    idle.write()
    idle.ctl("reload")
    assert served(idle) == overtaken
    idle.services = before
    idle.write()
    idle.ctl("reload")
    assert served(idle) == returned
    restart_control(idle)
    assert served(idle) == returned


def test_live_service(topology, idle):
    """A service that is added live serves, takes backends and limits, survives a restart, and is
    the file's once that has it."""
    idle.settings["dataplane"]["engine"] = "xdp"
    idle.services[0]["backends"].pop(0)
    idle.write()
    idle.start()
    b1 = topology.backends["b1"].address
    idle.ctl("service", "add", "extra", f"vip={net.VIP}", "protocol=tcp", "port=81",
             "idle_timeout=30s")  # fmt: skip
    idle.ctl("backend", "add", "extra", f"{b1}:80", "--name", "one")
    idle.ctl("limit", "set", "extra", "--per", "service", "--rate", "1gbit")

    def serves():
        try:
            return requests(topology, port=81, count=3) == {"b1"}
        except OSError:
            return False

    net.wait_for("the live service", serves, 20)
    restart_control(idle)
    net.wait_for("the live service after a restart", serves, 20)
    row = idle.json("service", "show", "extra")
    assert (row["source"], row["idle_timeout_ms"]) == ("live", 30000)
    assert limit(idle) == [("1 Gbit/s", "live")]
    idle.services.append(gateway.service(
        "extra", [{"name": "one", "address": b1, "port": 80, "weight": 1}], port=81,
        limits=[RATE]))  # fmt: skip
    idle.write()
    idle.ctl("reload")
    assert overrides(idle) == {}
    assert idle.json("service", "show", "extra")["source"] == "file"
    assert serves()
    idle.ctl("service", "remove", "extra")
    assert not serves()
    idle.ctl("service", "add", "extra")
    net.wait_for("the service taken back", serves, 20)


REFUSED = [
    (["add", "web", "vip=198.51.100.9", "protocol=tcp", "port=80"], "already"),
    (["add", "x", "vip=198.51.100.10", "protocol=tcp", "port=80"], 'service "web"'),
    (["add", "x", "vip=198.51.100.9", "protocol=tcp"], "port: missing"),
    (["add", "x", "vip=198.51.100.9", "protocol=sctp", "port=80"], "protocol: "),
    (["add", "x", "vip=198.51.100.9", "protocol=tcp", "port=80", "colour=red"], "colour: "),
    (["add", "x y", "vip=198.51.100.9", "protocol=tcp", "port=80"], "service: "),
    (["add", "x", "vip"], "isn't FIELD=VALUE"),
    (["set", "web", "vip=198.51.100.9"], "add another service"),
    (["set", "web", "table_size=1000"], "power of two"),
    (["set", "web", "idle_timeout=soon"], "idle_timeout: "),
    (["set", "web", "backends=1"], "backend add"),
    (["set", "web", "limits=1"], "limit set"),
    (["set", "nobody", "idle_timeout=5m"], "no service nobody"),
    (["set", "web", "mss=auto", "mss=off"], "given twice"),
    (["remove", "nobody"], "no service nobody"),
]


def test_refused(idle):
    """What can't be is refused with the field's name, and nothing has changed."""
    idle.start_control()
    for words, why in REFUSED:
        before = idle.json("service", "show", "web"), idle.json("service", "list")
        with pytest.raises(RuntimeError, match=re.escape(why)):
            idle.ctl("service", *words)
        assert (idle.json("service", "show", "web"), idle.json("service", "list")) == before


def test_clash(idle):
    """A service that was added live gives way to the file's of the same VIP and port, stands in
    nobody's way, and can be removed."""
    idle.start_control()
    idle.ctl("service", "add", "x", f"vip={net.VIP}", "protocol=tcp", "port=81")
    idle.services.append(gateway.service("two", idle.services[0]["backends"][:1], port=81))
    idle.write()
    idle.ctl("reload")
    idle.expect(idle.control, 'service x is left out: .*service "two"')
    assert set(idle.backends("two")) == {"b1"}
    idle.ctl("service", "set", "web", "idle_timeout=90s")
    assert timeout(idle) == (90000, "live")
    assert "port = 81" in idle.ctl("export") and "name = \"x\"" not in idle.ctl("export")
    idle.ctl("service", "remove", "x")
    restart_control(idle)
    names = [row["name"] for row in idle.json("service", "list")["services"]]
    assert sorted(names) == ["echo", "two", "web"]


def test_export(idle):
    """What `export` prints is a configuration that serves the same."""
    idle.services[0]["limits"] = [RATE, {"per": "client", "rate": "5kpps", "burst": "100"}]
    idle.settings["direct_from"] = []
    idle.write()
    idle.start_control()
    idle.ctl("backend", "drain", "web", "b1")
    idle.ctl("backend", "weight", "web", "b2", "25")
    idle.ctl("backend", "remove", "web", "b3")
    idle.ctl("backend", "add", "web", "10.1.0.14:80", "--name", "b4")
    idle.ctl("service", "set", "web", "mss=1300", "idle_timeout=2m")
    idle.ctl("service", "add", "dns", "vip=198.51.100.53", "protocol=udp", "port=53", "flows=none")
    idle.ctl("backend", "add", "dns", "10.1.0.11:53", "--name", "d1", "--weight", "3")
    idle.ctl("limit", "set", "web", "--per", "service", "--rate", "2gbit", "--burst", "64kb")
    idle.ctl("limit", "set", "web", "--client", "198.51.100.7", "--rate", "1mbit")

    def served():
        rows = {}
        for name in ("web", "echo", "dns"):
            service = idle.json("service", "show", name)
            rows[name] = (
                [service[field] for field in ("vip", "port", "idle_timeout_ms", "table_size")],
                {b["name"]: (b["address"], b["port"], b["weight"], b["held_by"] != [])
                 for b in service["backend_list"] if b["state"] != "leaving"},
                [(row["per"], row["rate"], row["burst"], row["action"])
                 for row in idle.json("limit", "list", name)["limits"] if row["rate"] and "client" not in row],
            )  # fmt: skip
        return rows

    text, before = idle.ctl("export"), served()
    assert "sluicectl limit set web --client 198.51.100.7/32 --rate 1000000bit" in text
    assert net.stop(idle.control) == 0
    os.unlink(f"{idle.directory}/state/overrides.json")
    idle.write(text)
    idle.start_control()
    assert served() == before
    assert idle.json("reload")["changes"] == []
    assert idle.ctl("export") == text.split("\n# Rates of single")[0]


def test_unsaved(idle):
    """A change that can't be saved is live, has an exit status of its own, is a problem as long as
    it lasts, and is saved as soon as it can be."""
    idle.start_control()
    place = f"{idle.directory}/state"
    os.rename(place, place + ".away")
    with open(place, "w", encoding="utf-8"):
        pass
    done = subprocess.run(
        [gateway.program("sluicectl"), "-s", idle.run_dir, "backend", "weight", "web", "b1", "7"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 7 and "a restart would forget it" in done.stdout, done
    assert state(idle) == (7, False, "live")
    assert any("not saved" in text for text in idle.json("status")["problems"])
    os.unlink(place)
    os.rename(place + ".away", place)
    net.wait_for("the change to be saved",
                 lambda: os.path.exists(f"{place}/overrides.json"), 5)  # fmt: skip
    assert kept(idle) == {"backends": {B1: {"weight": 7, "file_weight": 10}}}
    assert not any("not saved" in text for text in idle.json("status")["problems"])


@pytest.mark.parametrize("how", ["link", "writable", "directory"])
def test_state_of_others(idle, how):
    """State that others may write, or a link in its place, is refused and not followed."""
    os.makedirs(f"{idle.directory}/state", mode=0o700)
    path = f"{idle.directory}/state/overrides.json"
    with open(f"{idle.directory}/elsewhere", "w", encoding="utf-8") as file:
        json.dump({"version": 2, "services": {}}, file)
    if how == "link":
        os.symlink(f"{idle.directory}/elsewhere", path)
    else:
        os.rename(f"{idle.directory}/elsewhere", path)
    if how == "writable":
        os.chmod(path, 0o666)
    if how == "directory":
        os.chmod(f"{idle.directory}/state", 0o777)
    status, said = idle.run("control", "-c", idle.file)
    assert status != 0 and re.search("symbolic link|others may write", said), said


def test_old_overrides(idle):
    """Version 1 of what operators set is taken over; a later version is refused, and stays."""
    os.makedirs(f"{idle.directory}/state", mode=0o700)
    path = f"{idle.directory}/state/overrides.json"
    old = {"version": 1, "services": {"web": {B1: {"weight": 7, "file_weight": 10}}},
           "limits": {"web": [{"per": "service", "unit": "bits", "direction": "both",
                               "rate": 5000000, "action": "drop"}]}}  # fmt: skip
    with open(path, "w", encoding="utf-8") as file:
        json.dump(old, file)
    idle.start_control()
    assert (state(idle), limit(idle)) == ((7, False, "live"), [("5 Mbit/s", "live")])
    idle.ctl("backend", "drain", "web", "b2")
    assert set(kept(idle)) == {"backends", "limits"}
    assert net.stop(idle.control) == 0
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"version": 3, "services": {}}, file)
    status, said = idle.run("control", "-c", idle.file)
    assert status == gateway.EXIT_CONFIG and "later release" in said, said
    with open(path, encoding="utf-8") as file:
        assert json.load(file)["version"] == 3
