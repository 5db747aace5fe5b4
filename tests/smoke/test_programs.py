# SPDX-License-Identifier: BSD-2-Clause
"""The XDP programs of an instance: what ports share is loaded once, what no service needs not at all;
a restarted control adopts what is current, and replaces what is of another build while packets flow.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from connection import one_request
from test_changes import clean_traffic
from test_engines import serves, start_xdp

import gateway
import topology as net

PORTS = ("client", "backends")
BASE = {"icmp", "first_fragment", "fragment", "answer"}
OTHER = "0123456789abcdef"  # the identity of no build


@pytest.fixture
def xdp(idle):
    """An instance that XDP serves alone."""
    idle.settings["dataplane"]["engine"] = "xdp"
    idle.write()
    start_xdp(idle)
    return idle


def bpftool(*words):
    return json.loads(net.sh("bpftool", "-j", *words))


def pins(sluice, kind):
    return sorted(name for name in os.listdir(sluice.bpf_dir) if name.startswith(kind))


def attached(sluice):
    """The id of the program at each port."""
    return {
        port: bpftool("link", "show", "pinned", f"{sluice.bpf_dir}/link-{port}")["prog_id"]
        for port in PORTS
    }


def tails(sluice):
    """The ids of the programs for tail calls, by name. There is one set of them."""
    (pin,) = pins(sluice, "tails-")
    found = {}
    for entry in bpftool("map", "dump", "pinned", f"{sluice.bpf_dir}/{pin}"):
        if isinstance(entry["value"], dict):
            continue  # an empty place
        number = int.from_bytes(bytes(int(byte, 16) for byte in entry["value"]), "little")
        name = bpftool("prog", "show", "id", str(number))["name"]
        found[name.removeprefix("sl_xdp_")] = number
    return found


def programs(sluice):
    return attached(sluice), tails(sluice)


def disguise(sluice):
    """Gives all programs another identity, as a control of another build would have left them."""
    for kind in ("tails-", "entry-"):
        for name in pins(sluice, kind):
            new = f"{kind}{OTHER}{name[len(kind) + len(OTHER) :]}"
            os.rename(f"{sluice.bpf_dir}/{name}", f"{sluice.bpf_dir}/{new}")


def test_shared(topology, xdp):
    """Each port has an entry program of its own; both go on in the same ones, and of these those
    that IPv4 without limits needs are there."""
    entries, shared = programs(xdp)
    assert len(set(entries.values())) == 2
    assert set(shared) == BASE
    using = {
        port: bpftool("prog", "show", "id", str(number))["map_ids"]
        for port, number in entries.items()
    }
    (pin,) = pins(xdp, "tails-")
    common = bpftool("map", "show", "pinned", f"{xdp.bpf_dir}/{pin}")["id"]
    assert all(common in maps for maps in using.values())
    assert serves(topology)
    topology.client.run("ping", "-c", "1", "-W", "1", net.VIP)


def test_adopted(topology, xdp):
    """A restart of control loads nothing, and nobody notices."""
    before = programs(xdp)
    with clean_traffic(topology):
        xdp.kill(xdp.control)
        xdp.start_control()
        xdp.expect(xdp.control, r"XDP programs: 0 loaded in \d+ ms, 6 adopted")
        assert programs(xdp) == before


@pytest.mark.parametrize("died_between", [False, True])
def test_another_build(topology, xdp, died_between):
    """What is of another build is replaced under traffic, and let go. So it is if the control that
    began with that died: one port is of this build then, the other isn't."""
    before = programs(xdp)
    with clean_traffic(topology):
        xdp.kill(xdp.control)
        disguise(xdp)
        xdp.start_control()
        entries, shared = programs(xdp)
        assert not set(entries.values()) & set(before[0].values())
        assert not set(shared.values()) & set(before[1].values())
        if died_between:
            port = f"entry-{OTHER}-client"
            (pin,) = [name for name in pins(xdp, "entry-") if name.endswith("-client")]
            xdp.kill(xdp.control)
            os.rename(f"{xdp.bpf_dir}/{pin}", f"{xdp.bpf_dir}/{port}")
            xdp.start_control()
            again = programs(xdp)
            assert again[1] == shared
            assert again[0]["backends"] == entries["backends"]
            assert again[0]["client"] != entries["client"]
    assert not [name for name in os.listdir(xdp.bpf_dir) if OTHER in name]
    assert len(pins(xdp, "entry-")) == 2
    assert serves(topology)


def test_pin_removed(topology, xdp):
    """Whichever pin is gone, or is another object's: the next control makes what is missing."""
    (tail,) = pins(xdp, "tails-")
    before = programs(xdp)
    for name in (pins(xdp, "entry-")[0], tail, "sockets", "handoffs", "egress"):
        xdp.kill(xdp.control)
        os.unlink(f"{xdp.bpf_dir}/{name}")
        xdp.start_control()
        assert set(tails(xdp)) == BASE
        assert programs(xdp) != before
        assert len(pins(xdp, "entry-")) == 2
        assert serves(topology)
        topology.client.run("ping", "-c", "1", "-W", "1", net.VIP)
        before = programs(xdp)
    (tail,) = pins(xdp, "tails-")
    xdp.kill(xdp.control)
    os.unlink(f"{xdp.bpf_dir}/{tail}")
    net.sh("bpftool", "map", "pin", "pinned", f"{xdp.bpf_dir}/egress", f"{xdp.bpf_dir}/{tail}")
    xdp.start_control()
    assert set(tails(xdp)) == BASE
    assert serves(topology)


def test_needed(topology, xdp):
    """A limit and IPv6 bring their programs with the generation that needs them; those that are
    there stay, also when nothing needs them any more."""
    before = programs(xdp)
    web = xdp.services[0]
    web["limits"] = [{"per": "service", "rate": "10Gbit", "direction": "to"}]
    xdp.write()
    xdp.ctl("reload")
    limited = programs(xdp)
    assert set(limited[1]) == BASE | {"extended"}
    assert limited[0] == before[0]
    assert {name: limited[1][name] for name in BASE} == before[1]
    assert one_request(topology.client)
    topology.add_ipv6()
    backends = [{**gateway.backend(host, 1), "address": host.address6}
                for host in topology.backends.values()]  # fmt: skip
    xdp.services.append(gateway.service("web6", backends, vip=net.VIP6))
    xdp.write()
    answered = 0
    with ThreadPoolExecutor(1) as pool:
        reloaded = pool.submit(xdp.ctl, "reload")
        while not reloaded.done():
            answered += len(xdp.json("status")["queues"]) == 2
    assert answered > 1  # reads don't wait for the verifier
    both = programs(xdp)
    assert set(both[1]) == BASE | {
        "extended", "extended6", "ip6", "icmp6", "first_fragment6", "fragment6"}
    assert one_request(topology.client, vip=net.VIP6)
    xdp.services.pop()
    del web["limits"]
    xdp.write()
    xdp.ctl("reload")
    xdp.kill(xdp.control)
    xdp.start_control()
    assert programs(xdp) == both
    assert serves(topology)
