# SPDX-License-Identifier: BSD-2-Clause
"""Limits as operators set them: what was understood is said, what was set outlives reloads and
restarts, and what should end does. Traffic is another matter; here control runs alone."""

import contextlib
import json
import os
import re
import socket
import time

import pytest
from test_operators import ctl, reload, restart_control
from test_operators import overrides as kept

import gateway
import topology as net

CLIENT = ("limit", "set", "web", "--client", "198.51.100.7")
pytestmark = pytest.mark.shares_topology


def overrides(sluice):
    return kept(sluice, "limits")


def limits(sluice, service="web"):
    """What each row of `limit list` is, and its rate."""
    rows = sluice.json("limit", "list", service)["limits"]
    return {
        row.get("client") or row.get("flow") or f"{row['per']} {row['direction']}": row["rate_text"]
        for row in rows
    }


def in_file(sluice, *limits_of_web):
    sluice.services[0]["limits"] = list(limits_of_web)
    sluice.write()


@pytest.mark.quick
def test_set_and_clear(idle):
    """What was understood is echoed; what can't be is refused with the option's name."""
    idle.start_control()
    said = idle.ctl("limit", "set", "web", "--per", "client", "--rate", "2mbit", "--burst", "64kb")
    assert re.search(r"^generation \d+", said)
    assert "limit per client: 2 Mbit/s, burst 64 KiB (262 ms), drop" in said
    answer = idle.json("limit", "set", "web", "--per", "flow", "--rate", "10Mbit",
                       "--direction", "to", "--action", "observe")  # fmt: skip
    assert answer["limit"]["rate"] == 10_000_000
    assert limits(idle) == {"flow to": "10 Mbit/s", "client both": "2 Mbit/s"}
    # The action stays what it is, where nothing is said of it.
    idle.ctl("limit", "set", "web", "--per", "flow", "--rate", "20Mbit", "--direction", "to")
    row = idle.json("limit", "list", "web")["limits"][0]
    assert (row["rate"], row["action"], row["source"]) == (20_000_000, "observe", "live")
    for words, text in [
        (("--per", "client"), "rate: missing"),
        (("--rate", "2mbit"), "per: missing"),
        (("--per", "client", "--rate", "2mbps"), "rate: "),
        (("--per", "planet", "--rate", "2mbit"), "per: must be flow, client, backend, service"),
        (("--per", "client", "--rate", "2mbit", "--burst", "64zb"), "burst: "),
        (("--per", "client", "--rate", "2mbit", "--for", "10m"), "for: "),
        (("--client", "198.51.100.7", "--rate", "2mbit", "--for", "soon"), "for: "),
        (("--client", "198.51.100.7/24", "--rate", "2mbit"), "client: "),
        (("--client", "2001:db8::1", "--rate", "2mbit"), "client: is not of the VIP's family"),
        (("--flow", "198.51.100.7", "--rate", "2mbit"), "flow: must be ADDRESS:PORT"),
        (("--flow", "198.51.100.7:1", "--client", "198.51.100.7", "--rate", "1mbit"), "give one"),
        (("--flow", "198.51.100.7:1", "--rate", "10cps"), "connection"),
        (("--per", "client", "--rate", "2mbit", "--prefix4", "40"), "prefix4: "),
    ]:
        status, said = ctl(idle, "limit", "set", "web", *words)
        assert status == gateway.EXIT_USAGE and text in said, said
    idle.ctl("limit", "set", "web", "--per", "client", "--rate", "100cps")
    status, said = ctl(idle, "limit", "clear", "web", "--per", "client")
    assert status == gateway.EXIT_USAGE
    assert "per client: 2 Mbit/s; per client: 100 connections/s" in said
    status, said = ctl(idle, "limit", "clear", "web", "--per", "service")
    assert status == gateway.EXIT_FAILED and "no such limit, but these" in said
    said = idle.ctl("limit", "clear", "web", "--per", "client", "--unit", "bits")
    assert "per client: 2 Mbit/s, cleared" in said
    idle.ctl("limit", "clear", "web", "--per", "client")
    idle.ctl("limit", "clear", "web")
    assert (limits(idle), overrides(idle)) == ({}, {})
    assert "no limits" in ctl(idle, "limit", "clear", "web")[1]


def test_restart_and_reload(idle):
    """What is set live stays over restarts and reloads, until the file says something else. What
    the file has is set aside by `clear`, and is itself again by `set`."""
    in_file(idle, {"per": "client", "rate": "2Mbit"}, {"per": "service", "rate": "1Gbit"})
    idle.start_control()
    assert limits(idle) == {"client both": "2 Mbit/s", "service both": "1 Gbit/s"}
    idle.ctl("limit", "set", "web", "--per", "client", "--rate", "3mbit")
    idle.ctl("limit", "set", "web", "--per", "backend", "--rate", "100mbit")
    idle.ctl("limit", "clear", "web", "--per", "service")
    idle.ctl(*CLIENT, "--rate", "500kbit", "--for", "1h")
    live = {"client both": "3 Mbit/s", "backend both": "100 Mbit/s",
            "198.51.100.7/32": "500 kbit/s"}  # fmt: skip
    assert limits(idle) == live
    restart_control(idle)
    idle.expect(idle.control, "limit per service was cleared live")
    assert limits(idle) == live
    assert reload(idle) == []
    assert (
        "service web: limit per service was cleared live and stays cleared; `limit set` takes it back"
        in idle.json("reload")["live"]
    )
    assert limits(idle) == live
    rows = idle.json("limit", "list", "web")["limits"]
    assert [row["source"] for row in rows] == ["live"] * 3
    assert 3500 < rows[1]["expires_s"] <= 3600

    in_file(idle, {"per": "client", "rate": "5Mbit"}, {"per": "service", "rate": "1Gbit"})
    assert reload(idle)[0] == "service web: limit per client: 3 Mbit/s -> 5 Mbit/s"
    idle.ctl("limit", "set", "web", "--per", "service", "--rate", "1gbit")
    idle.ctl("limit", "clear", "web", "--per", "backend")
    idle.ctl("limit", "clear", "web", "--client", "198.51.100.7")
    assert limits(idle) == {"client both": "5 Mbit/s", "service both": "1 Gbit/s"}
    assert overrides(idle) == {}
    restart_control(idle)
    assert limits(idle) == {"client both": "5 Mbit/s", "service both": "1 Gbit/s"}

    idle.ctl("limit", "set", "web", "--per", "client", "--rate", "7mbit")
    idle.services[0]["name"] = "www"
    assert reload(idle) == ["service web is called www now"]
    assert limits(idle, "www")["client both"] == "7 Mbit/s"
    assert set(overrides(idle)) == {"www"}


def test_expiry(idle):
    """A client's own rate ends by itself, and also while control is away."""
    idle.start_control()
    idle.ctl(*CLIENT, "--rate", "1mbit", "--for", "2s")
    idle.ctl("limit", "set", "web", "--flow", "198.51.100.7:12345", "--rate", "1mbit",
             "--for", "1h")  # fmt: skip
    assert "198.51.100.7/32" in limits(idle)
    idle.expect(idle.control, "the rate of client 198.51.100.7/32 has ended")
    net.wait_for("its end", lambda: "198.51.100.7/32" not in limits(idle), 5)
    assert [o["flow"] for o in overrides(idle)["web"]] == ["198.51.100.7:12345"]
    idle.ctl(*CLIENT, "--rate", "1mbit", "--for", "1s")
    net.stop(idle.control)
    time.sleep(1.5)
    idle.start_control()
    assert set(limits(idle)) == {"flow both", "198.51.100.7:12345"}
    assert len(overrides(idle)["web"]) == 1


def test_show_and_top(idle):
    in_file(idle, {"per": "client", "rate": "2Mbit", "prefix4": 24}, {"per": "backend",
            "rate": "100Mbit"})  # fmt: skip
    idle.start_control()
    idle.ctl("limit", "set", "web", "--client", "198.51.100.0/24", "--rate", "4mbit")
    rows = idle.json("limit", "show", "web")["limits"]
    assert [row.get("backend") or row.get("client") for row in rows] == [
        None, "198.51.100.0/24", "b1", "b2", "b3",
    ]  # fmt: skip
    assert [row.get("left_percent") for row in rows] == [None, None, 100, 100, 100]
    rows = idle.json("limit", "show", "web", "--client", "198.51.100.77")["limits"]
    assert [(row["client"], row["rate"], row["left"]) for row in rows] == [
        ("198.51.100.0/24", 4_000_000, 125_000)
    ]
    rows = idle.json("limit", "show", "web", "--client", "203.0.113.1")["limits"]
    assert [(row["client"], row["rate"]) for row in rows] == [("203.0.113.0/24", 2_000_000)]
    assert "100.0%" in idle.ctl("limit", "show", "web", "--client", "203.0.113.1")
    assert "nobody is being limited" in idle.ctl("limit", "top")
    assert idle.json("limit", "top")["top"] == []
    assert len(idle.json("stats")["limits"]) == 3
    assert "client 198.51.100.0/24" in idle.ctl("limit", "list")


@pytest.mark.parametrize(
    "what, field",
    [
        ({"web": {}}, r"limits\.web: must be an array"),
        ({"web": [{"per": "client"}]}, r"limits\.web\[0\]: unit"),
        ({"web": [{"client": "x", "unit": "bits", "direction": "to"}]}, r"limits\.web\[0\]: client"),
        (
            {"web": [{"per": "flow", "unit": "bits", "direction": "to", "rate": 7, "action": "drop"}]},
            r"limits\.web\[0\]: ",
        ),
    ],
)
def test_bad_overrides(idle, what, field):
    """What operators set is never dropped silently: a file that can't be read stops the start."""
    os.makedirs(f"{idle.directory}/state")
    with open(f"{idle.directory}/state/overrides.json", "w", encoding="utf-8") as file:
        json.dump({"version": 1, "services": {}, "limits": what}, file)
    status, said = idle.run("control", "-c", idle.file)
    assert status == gateway.EXIT_CONFIG and re.search(field, said), said


def blast(topology, count, port=7, source=0):
    """COUNT datagrams at once from one socket; its port, and how many were echoed."""
    with topology.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("", source))
        sock.settimeout(0.3)
        for _ in range(count):
            sock.sendto(b"x" * 100, (net.VIP, port))
        echoed = 0
        with contextlib.suppress(TimeoutError):
            while sock.recv(2048):
                echoed += 1
        return sock.getsockname()[1], echoed


@pytest.mark.parametrize("engine", ["dpdk", "xdp"])
def test_told_of_traffic(topology, echo, idle, engine):
    """Counters, `top` and `show` tell of the packets that a limit stopped, in either engine; a
    client's own rate holds for it from the next packet on."""
    idle.settings["dataplane"]["engine"] = engine
    idle.write()
    idle.start()
    client = net.CLIENT
    idle.ctl("limit", "set", "echo", "--per", "client", "--rate", "20pps", "--burst", "20",
             "--direction", "to")  # fmt: skip
    sent = 200
    _, echoed = blast(topology, sent)
    row = idle.json("limit", "list", "echo")["limits"][0]
    assert row["passed"] + row["dropped"] == sent
    assert 20 <= row["passed"] <= 40 and echoed <= row["passed"]
    top = idle.json("limit", "top")["top"]
    assert [(t["client"], t["packets"], t["action"]) for t in top] == [
        (f"{client}/32", row["dropped"], "drop")
    ]
    assert top[0]["last_ms"] < 5000
    net.wait_for("its rate, which is that since a second ago at most", lambda: blast(
        topology, 20) and idle.json("limit", "top")["top"][0]["packets_per_s"] > 0)  # fmt: skip
    blast(topology, 100)
    state = idle.json("limit", "show", "echo", "--client", client)["limits"]
    assert state[0]["burst"] == 20 and state[0]["left"] < 20
    reasons = {r["name"]: r["packets"] for r in idle.json("stats")["reasons"]}
    dropped = idle.json("limit", "list", "echo")["limits"][0]["dropped"]
    assert reasons["limit_client"] == dropped > row["dropped"]

    idle.ctl("limit", "set", "echo", "--client", client, "--rate", "1Mpps", "--direction", "to")
    assert blast(topology, sent)[1] > sent / 2  # all, but what a veth pair drops
    assert idle.json("limit", "list", "echo")["limits"][0]["dropped"] == dropped
    idle.ctl("limit", "set", "echo", "--flow", f"{client}:9999", "--rate", "10pps", "--burst", "5",
             "--action", "observe")  # fmt: skip
    assert blast(topology, 50, source=9999)[1] > 25
    flow = idle.json("limit", "list", "echo")["limits"][0]
    assert (flow["per"], flow["rate"], flow["dropped"]) == ("flow", None, 0)
    assert flow["observed"] > 50 and flow["passed"] > 75  # there and back
    assert f"{client}:9999" in idle.ctl("limit", "top", "echo")


@pytest.mark.parametrize("scope", ["flow", "client", "backend", "service"])
def test_rate_changes_in_mid_flow(topology, echo, idle, scope):
    """A higher rate gives no fresh burst to who has used the old one; the next packets pass at the
    new rate. The word stands in a flow entry, a meter or a balance."""
    idle.services[1]["backends"] = idle.services[1]["backends"][:1]
    idle.write()
    idle.start()
    limit = ("limit", "set", "echo", "--per", scope, "--direction", "to", "--burst", "64kb")

    def passed():
        (row,) = idle.json("limit", "list", "echo")["limits"]
        return row["passed"]

    idle.ctl(*limit, "--rate", "100kbit")
    source, _ = blast(topology, 1000)
    used = passed()
    assert 455 <= used <= 530  # 64 KiB of 142 bytes, and what comes in a second
    idle.ctl(*limit, "--rate", "1mbit")
    blast(topology, 400, source=source)
    after = passed() - used
    assert after < 330, "a fresh burst"  # it would be 461
    time.sleep(0.6)
    blast(topology, 1000, source=source)
    assert passed() - used - after > 455, "the burst grows back at the new rate"
