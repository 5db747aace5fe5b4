# SPDX-License-Identifier: BSD-2-Clause
"""The worker's half of scripts/bench: cycles a packet beside testpmd.

Each scenario is an instance of its own: a real sluice-control, and in the dataplane's place
sluice-bench-path (bench/path.c), which runs the real worker on the core that is measured. Its
windows, those of its floor and slices of testpmd io and macswap alternate on that core, each a
fraction of a second long, so that whatever else the machine does meets all of them alike. A figure
is the median over all rounds.
"""

import collections
import contextlib
import glob
import json
import os
import re
import shutil
import statistics
import subprocess
import time

import gateway
import topology as net
from bench_scenarios import tracks

BACKENDS, BACKENDS_EACH = 100, 4  # of one service; of each of many
WINDOW = 3 << 20  # packets
CHECKED = 1 << 20  # packets that are looked at when they leave
SLICE_SECONDS = 0.1  # of testpmd
INSERT_FAILURES = 1e-5
CHURN_PACKETS, CHURN_APART = 4, 1 << 14  # as in bench/generator.h
OPENING_SECONDS = 10  # how long a flow of which only a SYN was seen is remembered
FLOOD_WINDOW = 1 << 19
FLOOD = 10  # times what the table holds, while a SYN is remembered
CORE = gateway.CORES[-1]
MAIN_CORE = gateway.CORES[0]
FORMS = ["nat", "direct", "ipip", "gue", "reply", "fullnat"]  # as in bench/sink.h
SIZE, SIZE6 = 60, 74  # of frames, without FCS
HUGE = "/dev/hugepages"
EAL_DIR = "/var/run/dpdk"


class Failure(Exception):
    pass


def raise_priority(pid):
    """Before whatever else the machine does. A session is a group of its own to the scheduler,
    which shares between groups first."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, -19)
        with open(f"/proc/{pid}/autogroup", "w", encoding="ascii") as file:
            file.write("-19")


class Child:
    """A program on the measured core that answers lines with lines. It ends with its input, so it
    never outlives us."""

    def __init__(self, directory, name, *command):
        self.name = name
        self.log = f"{directory}/{name}.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["nice", "-n", "-19", *map(str, command)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        raise_priority(self.process.pid)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.text = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(3)
        net.stop(self.process)

    def send(self, line):
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
        except OSError:
            raise Failure(self.died()) from None

    def died(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            said = "\n".join((self.text + log.read()).splitlines()[-20:])
        return f"{self.name} ended, having said:\n{said}"

    def expect(self, pattern, timeout=30.0):
        """The next match in what it prints; what comes before is dropped."""

        def found():
            over = self.process.poll() is not None
            self.text += (self.process.stdout.read() or b"").decode("utf-8", "replace")
            match = re.search(pattern, self.text, re.MULTILINE)
            if not match and over:
                raise Failure(self.died())
            return match

        match = net.wait_for(f"{self.name} to answer", found, timeout, step=0.002)
        self.text = self.text[match.end():]
        return match

    def ask(self, *words):
        """Of a program of ours: one line, answered by one line of JSON."""
        self.send(" ".join(map(str, words)))
        return json.loads(self.expect(r"^\{.*\}$")[0])


class Testpmd(Child):
    """DPDK's own forwarder on one looped port of the same kind: the floor that everybody knows."""

    def __init__(self, directory):
        super().__init__(
            directory, "testpmd", "stdbuf", "-oL", "dpdk-testpmd", "--lcores", f"0@{MAIN_CORE},1@{CORE}",
            "--no-pci", "--in-memory", "-m", 64, "--no-telemetry", "--vdev=net_null0,size=60",
            "--", "--interactive", "--nb-cores=1", "--port-topology=loop", "--burst=32",
            "--total-num-mbufs=8192",
        )  # fmt: skip
        self.expect(r"testpmd> $")

    def pps(self, mode):
        self.send(f"set fwd {mode}")
        self.send("start")
        self.send("show port stats 0")
        self.expect(r"Rx-pps:")
        time.sleep(SLICE_SECONDS)
        self.send("show port stats 0")
        pps = int(self.expect(r"Rx-pps: +(\d+)")[1])
        self.send("stop")
        self.expect(r"^Done\.")
        if not pps:
            raise Failure(f"testpmd {mode} forwards nothing")
        return pps


class Path(Child):
    """sluice-bench-path; bench/path.c has the commands."""

    def __init__(self, directory, file, scenario):
        super().__init__(
            directory, "sluice-bench-path", gateway.program("bench/sluice-bench-path"),
            "-c", file, "--flows", scenario.flows, "--traffic", scenario.traffic,
        )  # fmt: skip
        self.hz = json.loads(self.expect(r"^\{.*\}$")[0])["hz"]

    def cycles(self, *words):
        answer = self.ask(*words)
        return answer["cycles"] / answer["packets"]


class Control:
    """A real sluice-control that serves the instance of `settings`."""

    def __init__(self, directory, name, settings):
        self.instance = f"bench-{os.getpid()}-{name}"
        self.bpf_dir = f"{net.BPFFS}/sluice-{self.instance}"
        self.run_dir = f"{directory}/{name}.run"
        self.file = f"{directory}/{name}.conf"
        self.log = f"{directory}/{name}.control.log"
        self.settings = {
            "instance": self.instance,
            "run_dir": self.run_dir,
            "state_dir": f"{directory}/{name}.state",
            "bpf_dir": self.bpf_dir,
            "huge_dir": HUGE,
            **settings,
        }
        self.write()

    def write(self, file=None):
        with open(file or self.file, "w", encoding="utf-8") as out:
            for name, value in self.settings.items():
                out.write(f"{name} = {gateway.libconfig(value)};\n")

    def __enter__(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", gateway.program("sluice-control"),
                 "-c", self.file],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        return self

    def __exit__(self, *_):
        net.stop(self.process)
        net.remove_pins(self.bpf_dir)
        remove_tables(self.instance)

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return "".join(f"\n  {line}" for line in log.read().splitlines()[-5:])


def settings(flows, tables, service, device=None, cores=(CORE,)):
    """An instance of one port with a worker for each core, one next hop and one service."""
    service = dict(service)
    six = ":" in service.get("vip", "")
    each = service.pop("services", 1)
    pools = service.pop("pools", [])
    addresses = service.pop("addresses", 0)
    device = device or f"net_null0,size={SIZE6 if six else SIZE}"
    port = {} if service.get("mode", "nat") == "nat" else {"port": 80}  # tunnels keep the VIP's
    return {
        "dataplane": {
            "cores": list(cores),
            "main_core": MAIN_CORE,
            "memory": f"{48 + 16 * len(cores)}M",
            "tables": tables,
            "ports": [{"name": "wire", "device": device, "queues": len(cores)}],
            "capacity": {"services": 4 * each + 16, "backends": 4 * BACKENDS_EACH * each + 256,
                         "rows": 131072 + 2048 * each, "flows": flows, "routes": 64,
                         "addresses": addresses},
        },
        **({"pools": pools} if pools else {}),
        "next_hops": [{"prefix": "::/0" if six else "0.0.0.0/0", "port": "wire", "mac": "02:00:00:00:00:01"}],
        "services": [
            gateway.service(f"web{i}", [{**b, **port} for b in backends(six, i, each)],
                            port=80 + i, **service)
            for i in range(each)
        ],
    }  # fmt: skip


def backends(six=False, service=0, services=1):
    """Of each service its own, where there are several."""
    prefix = "2001:db8:1::" if six else f"10.1.{service % 256}."
    first = 1 + service // 256 * BACKENDS_EACH
    return [{"address": f"{prefix}{i}", "port": 8080}
            for i in range(first, first + (BACKENDS if services == 1 else BACKENDS_EACH))]


def capacity(scenario):
    """As many flows as the scenario has; a flood meets a table that is half full of live ones."""
    return max(scenario.flows * (2 if scenario.traffic == "flood" else 1), 65536)


def remove_tables(instance):
    for file in glob.glob(f"{HUGE}/sluice.{instance}.*"):
        with contextlib.suppress(OSError):
            os.unlink(file)
    remove_eal(f"sluice-{instance}")


def remove_eal(prefix):
    """What DPDK leaves of a process."""
    for file in glob.glob(f"{HUGE}/{prefix}map_*"):
        with contextlib.suppress(OSError):
            os.unlink(file)
    shutil.rmtree(f"{EAL_DIR}/{prefix}", ignore_errors=True)


def verify(scenario, answer, fresh=0):
    """Every packet went to a backend, or was a reply of one; each backend had its share, and what
    is tracked was found, or entered (`fresh` flows): a figure for anything else would be worthless."""
    packets = answer["packets"]
    replies = scenario.traffic == "replies"
    few = replies or (scenario.flows <= 100 * BACKENDS and scenario.traffic == "steady")
    expected = 1 if few else BACKENDS
    if answer["reasons"] != {"to_client" if replies else "to_backend": packets}:
        raise Failure(f"of {packets} packets not all went their way: {answer['reasons']}")
    if answer["all_to_backends"] != answer["all_packets"]:
        raise Failure(f"backends count {answer['all_to_backends']} of {answer['all_packets']}")
    if answer["wrong"]:
        raise Failure(f"{answer['wrong']} of {answer['checked']} frames left wrong")
    form = FORMS.index("reply" if replies else scenario.service.get("mode", "nat"))
    if answer["forms"][form] != answer["checked"]:
        raise Failure(f"frames left in other shapes than asked for: {FORMS} {answer['forms']}")
    if answer["backends_used"] < expected:
        raise Failure(f"only {answer['backends_used']} of {BACKENDS} backends were used")
    if abs(answer["tracked"] - fresh) > INSERT_FAILURES * packets:
        raise Failure(
            f"{answer['tracked']} of {fresh} new flows were entered; for {answer['untrackable']} "
            "there was no room"
        )


def fresh_flows(scenario, packets):
    """How many flows a window enters into a table that was empty."""
    if scenario.traffic == "new":
        return packets
    if scenario.traffic == "churn":
        return packets // CHURN_PACKETS + (CHURN_PACKETS - 1) * CHURN_APART
    return 0


def window_of(scenario):
    """As many new flows as the table was provisioned for: from empty to full."""
    if scenario.traffic == "new":
        return scenario.flows
    if scenario.traffic == "churn":
        return (scenario.flows - (CHURN_PACKETS - 1) * CHURN_APART) * CHURN_PACKETS
    return WINDOW


def prepare(path, scenario):
    if tracks(scenario) and scenario.traffic in ("steady", "flood"):
        tracked = path.ask("fill")["tracked"]
        if tracked < scenario.flows * (1 - INSERT_FAILURES):
            raise Failure(f"only {tracked} of {scenario.flows} flows could be tracked")
    packets = min(CHECKED, window_of(scenario))
    checked = path.ask("check", packets)
    if not checked["checked"]:
        raise Failure("no frame was looked at when it left")
    verify(scenario, checked, fresh_flows(scenario, checked["packets"]))


def one_round(path, testpmd, scenario, samples):
    window = window_of(scenario)
    samples["testpmd_io"].append(path.hz / testpmd.pps("io"))
    samples["floor"].append(path.cycles("floor", window))
    if scenario.traffic not in ("steady", "replies"):
        path.ask("clear")
    answer = path.ask("worker", window)
    verify(scenario, answer, fresh_flows(scenario, answer["packets"]))
    samples["with_generator"].append(answer["cycles"] / answer["packets"])
    samples["floor"].append(path.cycles("floor", window))
    samples["testpmd_macswap"].append(path.hz / testpmd.pps("macswap"))
    samples["io"].append(path.cycles("io", window))
    samples["over"].append(samples["with_generator"][-1] - sum(samples["floor"][-2:]) / 2)


def flood_round(path, testpmd, scenario, samples):
    """Established flows alone, then with SYNs of strangers that come when they are due, first of
    all: what is left is the established flows'. Per TSC cycle that wasn't the generator's."""
    rate = FLOOD * capacity(scenario) // OPENING_SECONDS
    path.ask("clear")
    path.ask("pace", 0)
    # The flood of the round before has left word that there is no room (core/flow.h): the few flows
    # that need some made are entered late.
    late = path.ask("fill")["untrackable"]
    samples["testpmd_io"].append(path.hz / testpmd.pps("io"))
    samples["floor"].append(path.cycles("floor", FLOOD_WINDOW))
    samples["testpmd_macswap"].append(path.hz / testpmd.pps("macswap"))
    generator = samples["floor"][-1] - samples["testpmd_io"][-1]
    before = path.ask("worker", FLOOD_WINDOW)
    entered = min(before["tracked"], late)
    verify(scenario, before, entered)
    filling = path.ask("syns", capacity(scenario))
    path.ask("pace", rate)
    during = path.ask("worker", FLOOD_WINDOW)
    path.ask("pace", 0)
    # Whoever was pushed out would have to be entered again.
    after = path.ask("fill")
    samples["evicted"].append(after["tracked"] + after["untrackable"] - (late - entered))
    samples["untrackable"].append(filling["untrackable"])
    for name, answer in (("before", before), ("during", during)):
        established = answer["packets"] - answer["strangers"]
        cycles = answer["cycles"] - answer["packets"] * generator
        samples[name].append(path.hz * established / cycles)
        if answer["all_to_backends"] != answer["all_packets"]:
            raise Failure(f"of {answer['packets']} packets: {answer['reasons']}")
    samples["with_generator"].append(during["cycles"] / during["packets"])
    samples["over"].append(samples["with_generator"][-1] - samples["floor"][-1])
    samples["fall"].append(100 * (1 - samples["during"][-1] / samples["before"][-1]))
    strangers = during["strangers"] / (during["cycles"] / path.hz)
    samples["strangers"].append(strangers / rate)


def quartiles(values):
    low, _, high = statistics.quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3
    return high - low


def result(scenario, samples, hz):
    middle = {name: statistics.median(values) for name, values in samples.items()}
    over, io = middle["over"], middle["testpmd_io"]
    cycles = io + over
    found = {
        "scenario": scenario.name,
        "cycles_per_packet": round(cycles, 2),
        "cycles_over_io": round(over, 2),
        "mpps": round(hz / cycles / 1e6, 2),
        "ratio_to_macswap": round(middle["testpmd_macswap"] / cycles, 3),
        "target": scenario.target,
        "unit": scenario.unit,
        "met": scenario.target is None or over <= scenario.target,
        "spread": round(quartiles(samples["over"]), 2),
        "best": round(min(samples["over"]), 2),
        "with_generator": round(middle["with_generator"], 2),
        "floor": round(middle["floor"], 2),
        "testpmd_io": round(io, 2),
        "testpmd_macswap": round(middle["testpmd_macswap"], 2),
        "tsc_mhz": hz // 1000000,
        "rounds": len(samples["over"]),
        "flows": scenario.flows,
    }
    if "io" in middle:
        found["io"] = round(middle["io"], 2)
    if scenario.unit == "conn/s":
        found["connections_per_s"] = round(hz / cycles / CHURN_PACKETS)
        found["met"] = found["connections_per_s"] >= scenario.target
    if scenario.unit == "percent":
        found.update(flood_result(scenario, samples, middle))
        found["ratio_to_macswap"] = round(middle["during"] * middle["testpmd_macswap"] / hz, 3)
    return found


def flood_result(scenario, samples, middle):
    return {
        "mpps": round(middle["during"] / 1e6, 2),
        "goodput_before_mpps": round(middle["before"] / 1e6, 2),
        "goodput_during_mpps": round(middle["during"] / 1e6, 2),
        "fall_percent": round(middle["fall"], 1),
        "evicted": max(samples["evicted"]),
        "syns_per_s": FLOOD * capacity(scenario) // OPENING_SECONDS,
        "syns_served": round(min(1.0, middle["strangers"]), 3),
        "spread": round(quartiles(samples["fall"]), 2),
        "met": middle["fall"] <= scenario.target and max(samples["evicted"]) == 0,
    }


def measure(directory, testpmd, scenario, tables, rounds):
    samples = collections.defaultdict(list)
    turn = flood_round if scenario.traffic == "flood" else one_round
    if scenario.traffic == "flood":
        rounds = max(rounds // 4, 3)
    instance = settings(capacity(scenario), tables, scenario.service)
    with Control(directory, scenario.name, instance) as control:
        try:
            with Path(directory, control.file, scenario) as path:
                prepare(path, scenario)
                for _ in range(rounds):
                    turn(path, testpmd, scenario, samples)
                return result(scenario, samples, path.hz)
        except (Failure, TimeoutError) as error:
            raise Failure(f"{scenario.name}: {error}{control.said()}") from None


STAGES = ["io", "classify", "decide", "worker"]


def stages(directory, scenario, tables, rounds):
    """Cycles that each stage adds, with the generator's taken off: {stage: cycles}."""
    samples = collections.defaultdict(list)
    with Control(directory, scenario.name, settings(capacity(scenario), tables, scenario.service)) as c:
        with Path(directory, c.file, scenario) as path:
            prepare(path, scenario)
            for _ in range(rounds):
                samples["bare"].append(path.cycles("io", WINDOW))
                at = {stage: path.cycles("stage", stage, WINDOW) for stage in STAGES[:-1]}
                at["worker"] = path.cycles("worker", WINDOW)
                for before, stage in zip(STAGES, STAGES[1:]):
                    samples[stage].append(at[stage] - at[before])
    middle = {name: statistics.median(values) for name, values in samples.items()}
    return {"io": middle["bare"], **{stage: middle[stage] for stage in STAGES[1:]}}
