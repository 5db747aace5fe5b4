# SPDX-License-Identifier: BSD-2-Clause
"""The two processes as they are, on an in-memory port: what tables of a size cost in memory, and how
long it takes until packets are decided. Tables in huge pages are there from the start, so resident
means resident: nothing grows later.
"""

import contextlib
import os
import re
import subprocess
import time

import bench_path
import gateway
import topology as net


def status_kb(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        match = re.search(rf"^{field}:\s+(\d+)", file.read(), re.MULTILINE)
    return int(match[1]) if match else 0


def table_bytes(instance, name=""):
    places = [f for f in os.listdir(bench_path.HUGE) if f.startswith(f"sluice.{instance}.{name}")]
    return sum(os.stat(f"{bench_path.HUGE}/{f}").st_size for f in places)


@contextlib.contextmanager
def dataplane(directory, name, file, before=()):
    """A real sluice-dataplane, once it is ready, and the seconds that took. `before` are words of
    a command that runs it."""
    log = f"{directory}/{name}.dataplane.log"
    begin = time.monotonic()
    with open(log, "wb") as out:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *before, gateway.program("sluice-dataplane"),
             "-c", file],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip

    def ready():
        with open(log, encoding="utf-8", errors="replace") as said:
            text = said.read()
        if process.poll() is not None:
            raise bench_path.Failure(f"sluice-dataplane ended, having said:\n{text}")
        return re.search(r"ready: \d+ worker", text)

    try:
        net.wait_for("sluice-dataplane", ready, 30, step=0.005)
        yield process, time.monotonic() - begin
    finally:
        net.stop(process)


def measure(directory, scenario):
    settings = bench_path.settings(scenario.flows, "huge", {})
    begin = time.monotonic()
    with bench_path.Control(directory, scenario.name, settings) as control:
        net.wait_for("sluice-control", lambda: "ready:" in control.said(), 30, step=0.005)
        control_s = time.monotonic() - begin
        with dataplane(directory, scenario.name, control.file) as (process, dataplane_s):
            flows = table_bytes(control.instance, "flows")
            found = {
                "scenario": scenario.name,
                "flows": scenario.flows,
                "bytes_per_flow": round(flows / scenario.flows, 2),
                "target": scenario.target,
                "unit": "bytes a flow",
                "flow_table_mb": round(flows / 1e6, 1),
                "all_tables_mb": round(table_bytes(control.instance) / 1e6, 1),
                "control_resident_mb": round(status_kb(control.process.pid, "VmRSS") / 1e3, 1),
                "dataplane_resident_mb": round(status_kb(process.pid, "VmRSS") / 1e3, 1),
                "control_huge_mb": round(status_kb(control.process.pid, "HugetlbPages") / 1e3, 1),
                "dataplane_huge_mb": round(status_kb(process.pid, "HugetlbPages") / 1e3, 1),
                "control_ready_s": round(control_s, 2),
                "serving_s": round(control_s + dataplane_s, 2),
            }
    found["met"] = found["bytes_per_flow"] <= scenario.target
    return found
