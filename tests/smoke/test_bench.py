# SPDX-License-Identifier: BSD-2-Clause
"""scripts/bench and its like at their quickest: that it measures, and that programs can read what it writes. What
the figures are is no business of a test."""

import json
import os
import subprocess
import sys
import xml.dom.minidom

import pytest

import gateway

LIB = os.path.join(os.path.dirname(__file__), "../../scripts/lib")
pytestmark = pytest.mark.alone
CORES = ",".join(map(str, gateway.CORES))  # tests themselves stay off the worker's
CHOSEN = ["nat-1k", "churn-1m", "xdp-established", "start-1m"]
ALWAYS = {"scenario", "target", "met", "flows", "unit"}
OF_A_PATH = {"cycles_per_packet", "cycles_over_io", "mpps", "ratio_to_macswap", "spread"}


def run(*options, script="run_bench.py"):
    done = subprocess.run(
        ["taskset", "-c", CORES, "unshare", "-n", sys.executable, f"{LIB}/{script}", *options],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_results_can_be_read(tmp_path):
    scenarios = [word for name in CHOSEN for word in ("--scenario", name)]
    run("--quick", *scenarios, "--json", f"{tmp_path}/r.json", "--plot", f"{tmp_path}/p.svg")
    results = {r["scenario"]: r for r in json.loads((tmp_path / "r.json").read_text())}
    assert list(results) == CHOSEN
    for result in results.values():
        assert ALWAYS <= result.keys(), result
    for name in ("nat-1k", "churn-1m"):
        assert OF_A_PATH <= results[name].keys(), results[name]
        assert results[name]["cycles_per_packet"] > results[name]["testpmd_io"] > 0
        assert 0 < results[name]["ratio_to_macswap"] < 1
    assert results["churn-1m"]["connections_per_s"] > 0
    assert results["xdp-established"]["ns_per_packet"] > 0
    assert results["start-1m"]["bytes_per_flow"] > 16
    picture = xml.dom.minidom.parse(f"{tmp_path}/p.svg")
    assert len(picture.getElementsByTagName("polyline")) == 2  # steady, on both axes


def test_the_list_names_each_scenario_once():
    names = [line.split()[0] for line in run("--list").splitlines()]
    assert len(names) == len(set(names))
    assert set(CHOSEN) <= set(names)


def test_no_frame_is_torn(tmp_path):
    run("--generations", "1000", "--json", f"{tmp_path}/r.json", script="run_bench_publish.py")
    storm, thousand = json.loads((tmp_path / "r.json").read_text())
    assert storm["torn"] == 0 and storm["frames"] > 0 and storm["generations"] == 1000
    assert 0 < storm["commit_p50_us"] <= storm["commit_p99_us"]
    assert thousand["command_p50_ms"] > 0


def test_frames_come_back_through_the_real_programs(tmp_path):
    run("--quick", "--json", f"{tmp_path}/r.json", script="run_bench_memif.py")
    null, own = json.loads((tmp_path / "r.json").read_text())
    assert null["mpps"] > 0 and own["mpps"] > 0
    for result in (null, own):
        assert result["mpps_no_loss"] <= result["mpps_0.001_percent"]
        assert [at["load"] for at in result["latency"]] == [0.5, 0.9]
