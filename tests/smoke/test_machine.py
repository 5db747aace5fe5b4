# SPDX-License-Identifier: BSD-2-Clause
"""What the machine lacks: said in one line that helps, and status 4."""

import subprocess

import pytest
from connection import one_request

import gateway
import topology as net


def queue_engines(sluice):
    return {queue["engine"] for queue in sluice.json("status")["queues"]}


def test_without_huge_pages(topology, idle):
    """`huge_pages = false`: a worker serves from ordinary memory."""
    idle.settings["dataplane"].update(huge_pages=False, engine="dpdk")
    idle.write()
    idle.start()
    net.wait_for("the worker", lambda: queue_engines(idle) == {"dpdk"})
    assert {one_request(topology.client) for _ in range(40)} == set(topology.backends)


def no_core(sluice):
    sluice.settings["dataplane"]["cores"] = [1023]


def no_main_core(sluice):
    sluice.settings["dataplane"]["main_core"] = 1023


def too_many_queues(sluice):
    sluice.settings["dataplane"]["ports"][1]["queues"] = 2


def no_device(sluice):
    sluice.settings["dataplane"]["ports"][1]["device"] = "nowhere0"


@pytest.mark.parametrize(
    "change, words",
    [
        (no_core, ":6: dataplane.cores: there is no core 1023"),
        (no_main_core, "dataplane.main_core: there is no core 1023"),
        (too_many_queues, ":13: dataplane.ports: port backends: queues = 2, and interface be0 has 1"),
        (no_device, ":13: dataplane.ports: there is no interface nowhere0"),
    ],
    ids=["cores", "main_core", "queues", "device"],
)  # fmt: skip
def test_lacking(idle, change, words):
    """The dataplane says it in one line before it waits for anybody, `sluice-control -t` the same,
    and while no dataplane can start, status."""
    change(idle)
    idle.write()
    for part, how in (("dataplane", "-c"), ("control", "-t")):
        status, said = idle.run(part, how, idle.file)
        assert (status, len(said.strip().splitlines())) == (gateway.EXIT_MACHINE, 1), said
        assert words in said
    if change is not no_device:
        idle.start_control()
        assert any(words in text for text in idle.json("status")["problems"])


def start_with(sluice, descriptors):
    """Control with so many file descriptors (soft:hard), to its end or until it serves: its status
    (None: it serves) and what it said last."""
    control = sluice.host.popen(
        "prlimit", f"--nofile={descriptors}", gateway.program("sluice-control"), "-c", sluice.file,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    said = ""
    for line in control.stdout:
        said = line
        if "ready:" in line:
            net.stop(control)
            return None, said
    return control.wait(), said


@pytest.mark.parametrize("hard", [7, 20, 33, 35, 41, 70, 72, 74, 76, 78])
def test_no_descriptors(idle, hard):
    """Wherever file descriptors run out at the start, it's the machine that lacks something."""
    idle.settings["dataplane"]["engine"] = "xdp"
    idle.write()
    status, said = start_with(idle, f"{hard}:{hard}")
    assert (status, "raise LimitNOFILE=" in said) == (gateway.EXIT_MACHINE, True), said


def test_descriptors_are_raised(idle):
    """The soft limit is no limit."""
    idle.settings["dataplane"]["engine"] = "xdp"
    idle.write()
    assert start_with(idle, "20:1024")[0] is None
