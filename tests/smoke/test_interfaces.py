# SPDX-License-Identifier: BSD-2-Clause
"""What happens to the interfaces and routes of a gateway while it serves."""

import pytest
from connection import one_request

import topology as net


def answers(topology):
    try:
        return one_request(topology.client, timeout=1.0)
    except OSError:
        return None


@pytest.fixture(params=["auto", "xdp"])
def serving(request, topology, idle):
    idle.settings["dataplane"]["engine"] = request.param
    idle.write()
    idle.start()
    net.wait_for("an answer", lambda: answers(topology))
    return idle


def rename(host, device, name):
    host.run("ip", "link", "set", device, "down")
    host.run("ip", "link", "set", device, "name", name)
    host.run("ip", "link", "set", name, "up")


def test_renamed(topology, serving):
    """An interface that is renamed is served on by its index, also where another one takes its
    name, and status says that the file names another; as long as it isn't renamed back."""

    def problems():
        return [text for text in serving.json("status")["problems"] if "is called" in text]

    pid = serving.control.pid
    rename(topology.gateway, "be0", "inside0")
    net.wait_for("an answer", lambda: answers(topology))
    (problem,) = problems()
    assert "port backends: interface be0 is called inside0 now, and serves on" in problem
    assert "`ip link set inside0 name be0`" in problem
    topology.gateway.run("ip", "link", "add", "be0", "type", "bridge")
    assert {one_request(topology.client) for _ in range(40)} == set(topology.backends)
    serving.change("backend", "weight", "web", "b1", "11")
    assert problems() == [problem]
    topology.gateway.run("ip", "link", "del", "be0")
    rename(topology.gateway, "inside0", "be0")
    net.wait_for("no problem", lambda: not problems())
    net.wait_for("an answer", lambda: answers(topology))
    assert (serving.control.pid, serving.control.poll()) == (pid, None)


def test_deleted_and_made_again(topology, serving):
    """Another interface of the same name, made when the first is gone, is the port from then on; one
    that was there under another name isn't."""
    topology.gateway.run("ip", "link", "add", "spare0", "type", "bridge")
    topology.gateway.run("ip", "link", "del", "cl0")
    net.wait_for("the loss", lambda: "port client: there is no interface cl0"
                 in serving.json("status")["problems"])  # fmt: skip
    topology.link(topology.gateway, "cl0", topology.client, "eth0")
    topology.address(topology.gateway, "cl0", f"{net.GATEWAY}/24")
    topology.address(topology.client, "eth0", f"{net.CLIENT}/24")
    net.wait_for("an answer", lambda: answers(topology), 20.0)


def test_no_route(topology, serving):
    """What goes to a backend that no route leads to any more is dropped for that, and goes on once
    there is one again."""

    def reasons():
        return {row["name"]: row["packets"] for row in serving.json("stats")["reasons"]}

    def state():
        return serving.backends()["b1"]["state"]

    b1 = topology.backends["b1"].address
    for other in ("b2", "b3"):
        serving.change("backend", "remove", "web", other, "--now")
    topology.gateway.run("ip", "route", "add", "unreachable", f"{b1}/32")
    net.wait_for("the loss", lambda: state() == "no-route")
    before = reasons()
    assert answers(topology) is None
    after = reasons()
    assert after["backend_no_route"] > before["backend_no_route"]
    assert after["no_neighbour"] == before["no_neighbour"]
    topology.gateway.run("ip", "route", "del", "unreachable", f"{b1}/32")
    assert net.wait_for("an answer", lambda: answers(topology)) == "b1"
