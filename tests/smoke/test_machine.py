# SPDX-License-Identifier: BSD-2-Clause
"""What the machine has, or lacks."""

from connection import one_request

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
