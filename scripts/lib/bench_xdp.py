# SPDX-License-Identifier: BSD-2-Clause
"""The XDP half of scripts/bench: nanoseconds a packet by BPF_PROG_TEST_RUN.

An instance with engine = "xdp" on a veth of this network namespace, one-arm (what is forwarded leaves
by the port it came in on), and bench/xdp.c over its tables.
"""

import json
import os
import subprocess
import tempfile
import time

import gateway
import topology as net
from bench_scenarios import FOREIGN, LIMITED, LIMITED_VIP, PLAIN_VIP, TRACKED_VIP

VERDICTS = {1: "drop", 2: "pass", 3: "tx", 4: "redirect"}
BACKENDS = 16
RUNS, QUICK_RUNS = 4_000_000, 1_000_000
DEVICE, PEER = "bench0", "bench1"
MAC = "02:00:00:00:00:00"  # that xdp.bpf.c has in its frames


def backends(port):
    return [{"address": f"10.1.0.{i}", "port": port} for i in range(1, BACKENDS + 1)]


def settings(directory, instance, capacity):
    return {
        "instance": instance,
        "run_dir": f"{directory}/run",
        "state_dir": f"{directory}/state",
        "bpf_dir": f"{net.BPFFS}/sluice-{instance}",
        "dataplane": {
            "engine": "xdp",
            "ports": [{"name": "wire", "device": DEVICE}],
            "capacity": {"services": 16, "backends": 64, "rows": 262144, "flows": capacity,
                         "routes": 64},
        },
        "next_hops": [{"prefix": "0.0.0.0/0", "port": "wire", "mac": "02:00:00:00:00:01"}],
        "services": [
            {"name": "plain", "vip": PLAIN_VIP, "protocol": "tcp", "port": 80,
             "backends": backends(80)},
            {"name": "tracked", "vip": TRACKED_VIP, "protocol": "tcp", "port": 80, "track": "all",
             "backends": backends(81)},
            {"name": "limited", "vip": LIMITED_VIP, "protocol": "tcp", "port": 80, **LIMITED,
             "backends": backends(82)},
        ],
    }  # fmt: skip


def measure(scenario, quick):
    """The scenario's result as an object, or a RuntimeError."""
    instance = f"bench-{os.getpid()}-xdp"
    with tempfile.TemporaryDirectory(prefix=f"sluice-bench-{os.getpid()}-") as directory:
        conf = settings(directory, instance, scenario.capacity)
        with open(f"{directory}/conf", "w", encoding="utf-8") as file:
            for name, value in conf.items():
                file.write(f"{name} = {gateway.libconfig(value)};\n")
        net.sh("ip", "link", "add", DEVICE, "address", MAC, "type", "veth", "peer", "name", PEER)
        try:
            for device in (DEVICE, PEER):
                net.sh("ip", "link", "set", device, "up")
            return with_control(scenario, quick, directory, conf)
        finally:
            net.sh("ip", "link", "del", DEVICE)
            net.remove_pins(conf["bpf_dir"])


def with_control(scenario, quick, directory, conf):
    log = f"{directory}/control.log"
    with open(log, "wb") as out:
        control = subprocess.Popen(
            [gateway.program("sluice-control"), "-c", f"{directory}/conf"],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    try:
        net.wait_for("sluice-control", lambda: "ready:" in open(log, encoding="utf-8").read(), 15)
        time.sleep(0.2)
        said = net.sh(
            "taskset", "-c", gateway.CORES[-1], "nice", "-n", "-19",
            gateway.program("bench/sluice-bench-xdp"), conf["bpf_dir"], scenario.vip, 80,
            scenario.flows, scenario.flags, QUICK_RUNS if quick else RUNS, timeout=120,
        )  # fmt: skip
    finally:
        net.stop(control)
    answer = json.loads(said)
    expected = "pass" if scenario.vip == FOREIGN else "tx"
    if VERDICTS.get(answer["verdict"]) != expected:
        raise RuntimeError(f"{scenario.name}: the verdict is {answer['verdict']}, not {expected}")
    return {
        "scenario": scenario.name,
        "ns_per_packet": answer["net_ns"],
        "target": scenario.target,
        "unit": "ns",
        "met": answer["net_ns"] <= scenario.target if scenario.target else None,
        "spread": answer["spread_ns"],
        "empty_ns": answer["empty_ns"],
        "best": answer["best_ns"],
        "flows": scenario.flows,
    }
