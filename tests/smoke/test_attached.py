# SPDX-License-Identifier: BSD-2-Clause
"""The XDP programs of the ports stay where they are, and are all of one kind."""

import os
import subprocess

import pytest
from connection import Connection, one_request
from test_modes import decap  # noqa: F401 (a fixture)

import topology as net

WITHIN = 1.0  # seconds until what was taken off is back


def answers(topology):
    try:
        return one_request(topology.client, timeout=0.3)
    except OSError:
        return None


@pytest.fixture(params=["auto", "xdp"])
def serving(request, topology, idle):
    idle.settings["dataplane"]["engine"] = request.param
    idle.write()
    idle.start()
    net.wait_for("an answer", lambda: answers(topology))
    return idle


def problems(sluice, text):
    return [problem for problem in sluice.json("status")["problems"] if text in problem]


def test_detached(topology, serving):
    """A program that somebody detaches is back within a second, over the same sockets, so that the
    workers serve on; the log says so."""
    engines = [queue["engine"] for queue in serving.json("status")["queues"]]
    with Connection(topology.client) as connection:
        backend = connection.get()
        for port, device in (("client", "cl0"), ("backends", "be0")):
            net.sh("bpftool", "link", "detach", "pinned", f"{serving.bpf_dir}/link-{port}")
            net.wait_for("an answer", lambda: answers(topology), WITHIN)
            serving.expect(serving.control, f"{device}: its XDP program was taken off")
        assert connection.get() == backend
    assert [queue["engine"] for queue in serving.json("status")["queues"]] == engines
    assert not problems(serving, "XDP")


def test_taken_by_another(topology, serving, decap):  # noqa: F811
    """While another program is at the port, status says whose; when it goes, ours is back."""
    host = topology.gateway
    net.sh("bpftool", "link", "detach", "pinned", f"{serving.bpf_dir}/link-client")
    for _ in range(100):  # before control is there
        done = subprocess.run(
            host.command("ip", "link", "set", "dev", "cl0", "xdp", "obj", decap, "sec", "xdp"),
            capture_output=True, check=False,
        )  # fmt: skip
        if done.returncode == 0:
            break
        net.sh("bpftool", "link", "detach", "pinned", f"{serving.bpf_dir}/link-client")
    net.wait_for("the problem", lambda: problems(serving, "port client has no XDP program: cl0: "
                                                 "another XDP program is attached"))  # fmt: skip
    host.run("ip", "link", "set", "dev", "cl0", "xdp", "off")
    net.wait_for("an answer", lambda: answers(topology), 3.0)
    assert not problems(serving, "XDP program")


def test_pins_removed(topology, serving):
    """Pins that are removed, one by one or with their directory, are put back, and traffic doesn't
    notice: a new control and a new dataplane find all of it."""
    pins = set(os.listdir(serving.bpf_dir))
    with Connection(topology.client) as connection:
        backend = connection.get()
        for name in pins:
            os.unlink(f"{serving.bpf_dir}/{name}")
        os.rmdir(serving.bpf_dir)
        net.wait_for("the pins", lambda: os.path.isdir(serving.bpf_dir)
                     and set(os.listdir(serving.bpf_dir)) == pins, WITHIN)  # fmt: skip
        serving.expect(serving.control, f"{len(pins)} pins were removed, and are put back")
        assert connection.get() == backend
        serving.kill(serving.control)
        serving.start_control()
        if serving.dataplane:
            serving.kill(serving.dataplane)
            serving.start_dataplane()
        assert connection.get() == backend
    assert one_request(topology.client)


@pytest.mark.parametrize("kind", ["bridge", "macvlan"])
def test_mixed(topology, idle, kind):
    """Where one port can only have generic XDP, all have it: a program in a driver can't redirect to
    that one."""
    host = topology.gateway
    host.run("ip", "addr", "flush", "dev", "be0")
    if kind == "bridge":
        host.run("ip", "link", "add", "pp0", "type", "bridge")
        host.run("ip", "link", "set", "be0", "master", "pp0")
    else:
        host.run("ip", "link", "add", "pp0", "link", "be0", "type", "macvlan", "mode", "bridge")
    host.run("ip", "addr", "add", f"{net.INSIDE}/24", "dev", "pp0")
    host.run("ip", "link", "set", "pp0", "up")
    idle.settings["dataplane"]["engine"] = "xdp"
    idle.settings["dataplane"]["ports"][1]["device"] = "pp0"
    idle.write()
    idle.start()
    net.wait_for("an answer", lambda: answers(topology))
    assert {one_request(topology.client) for _ in range(40)} == set(topology.backends)
    assert "cl0: generic XDP, which is slower, as other ports have it" in idle.said(idle.control)
    idle.kill(idle.control)
    idle.start_control()
    assert one_request(topology.client)
