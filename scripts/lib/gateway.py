# SPDX-License-Identifier: BSD-2-Clause
"""One instance of Sluice on the gateway of a topology: its configuration, control and dataplane.

Everything of an instance has a place of its own (sockets, state, pins), so that any number of them
may run on one machine. The worker gets the last core; keep the load off it with leave_the_worker().
"""

import json
import os
import re
import shutil
import signal
import subprocess
import time

import topology as net

BUILD = os.environ.get("SLUICE_BUILD") or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "../../build"
)
CORES = sorted(os.sched_getaffinity(0))
EXIT_FAILED, EXIT_USAGE, EXIT_CONFIG, EXIT_MACHINE, EXIT_BUSY, EXIT_ABI = range(1, 7)


IDLE = "poll"  # what workers do without packets; programs that share a core set another


def leave_the_worker():
    """Keeps this process and its children off the worker's core, where there is another."""
    os.sched_setaffinity(0, CORES[:-1] or CORES)


def program(name):
    path = os.path.normpath(os.path.join(BUILD, name))
    if not os.access(path, os.X_OK):
        raise RuntimeError(f"{path} isn't there: build first, or name the build in SLUICE_BUILD")
    return path


def libconfig(value, depth=0):
    """VALUE in libconfig's words: dict, list of dicts (a list), list of scalars (an array)."""
    inner, outer = "\t" * (depth + 1), "\t" * depth
    if isinstance(value, dict):
        lines = (f"{inner}{k} = {libconfig(v, depth + 1)};\n" for k, v in value.items())
        return "{\n" + "".join(lines) + outer + "}"
    if isinstance(value, list):
        ends = "()" if value and isinstance(value[0], dict) else "[]"
        return ends[0] + ", ".join(libconfig(item, depth) for item in value) + ends[1]
    return json.dumps(value)


def backend(host, weight, port=80):
    """The configuration of HOST (of a topology) as a backend."""
    return {"name": host.label, "address": host.address, "port": port, "weight": weight}


def service(name, backends, protocol="tcp", port=80, **more):
    return {"name": name, "vip": net.VIP, "protocol": protocol, "port": port,
            **more, "backends": backends}  # fmt: skip


class Gateway:
    """Use as a context manager around start(). `services` and `settings` may be changed any time;
    write() puts them in the file."""

    def __init__(self, topology, services, instance=None):
        self.host = topology.gateway
        self.instance = instance or topology.name
        self.directory = f"{topology.directory}/{self.instance}"
        self.run_dir = f"{self.directory}/run"
        self.bpf_dir = f"{net.BPFFS}/sluice-{topology.name}-{self.instance}"
        self.file = f"{self.directory}/sluice.conf"
        self.services = services
        self.control = None
        self.dataplane = None
        # What an earlier one of that name left is nothing to this one.
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.directory)
        self.settings = {
            "instance": self.instance,
            "run_dir": self.run_dir,
            "state_dir": f"{self.directory}/state",
            "bpf_dir": self.bpf_dir,
            "dataplane": {
                "cores": [CORES[-1]],
                "main_core": CORES[0],
                "memory": "128M",
                "ports": [
                    {"name": "client", "device": "cl0", "queues": topology.queues},
                    {"name": "backends", "device": "be0", "queues": topology.queues},
                ],
                "capacity": {
                    "services": 16,
                    "backends": 64,
                    "rows": 262144,
                    "flows": 65536,
                    "routes": 64,
                },
                "idle": IDLE,
            },
        }
        self.write()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def write(self, text=None):
        text = text or "".join(
            f"{name} = {libconfig(value)};\n"
            for name, value in {**self.settings, "services": self.services}.items()
        )
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(text)

    def start(self):
        """All that the configured engine needs: XDP alone needs no dataplane."""
        self.start_control(wait=False)
        if self.settings["dataplane"].get("engine") != "xdp":
            self.start_dataplane()
        self.control_ready()

    def start_control(self, wait=True):
        self.control = self.launch("control")
        if wait:
            self.control_ready()

    def start_dataplane(self, wait=True):
        self.dataplane = self.launch("dataplane")
        if wait:
            self.dataplane_ready()

    def control_ready(self, timeout=60.0):
        """The generation that control says it serves."""
        return int(self.expect(self.control, r"ready: generation (\d+)", timeout)[1])

    def dataplane_ready(self, timeout=60.0):
        return int(self.expect(self.dataplane, r"ready: (\d+) worker", timeout)[1])

    def log_file(self, part):
        return f"{self.directory}/{part}.log"

    def launch(self, part):
        log = open(self.log_file(part), "ab")
        start = log.tell()
        with log:
            process = self.host.popen(
                "taskset", "-c", ",".join(map(str, CORES)),
                program(f"sluice-{part}"), "-c", self.file, stdout=log, stderr=log,
            )  # fmt: skip
        process.part, process.log_start = part, start
        return process

    def said(self, process):
        """What PROCESS logged since it was started."""
        with open(self.log_file(process.part), encoding="utf-8", errors="replace") as log:
            log.seek(process.log_start)
            return log.read()

    def expect(self, process, pattern, timeout=30.0):
        """Waits until PROCESS logs a line with PATTERN; the match. It must not exit before."""

        def logged():
            match = re.search(pattern, self.said(process))
            if not match and process.poll() is not None:
                raise RuntimeError(
                    f"sluice-{process.part} ended ({process.returncode}), having said:\n"
                    + self.said(process)
                )
            return match

        try:
            return net.wait_for(f"'{pattern}' from sluice-{process.part}", logged, timeout)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; it said:\n{self.said(process)}") from None

    def run(self, part, *arguments, timeout=20):
        """Runs a program of the instance to its end on the gateway; status and all it said."""
        done = subprocess.run(
            self.host.command(program(f"sluice-{part}"), *arguments),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=timeout, check=False, start_new_session=True,
        )  # fmt: skip
        return done.returncode, done.stdout

    def ctl(self, *words):
        """sluicectl WORDS; its output."""
        return net.sh(program("sluicectl"), "-s", self.run_dir, *words)

    def json(self, *words):
        return json.loads(self.ctl(*words, "--json"))

    def change(self, *words):
        """sluicectl WORDS, a change: the generation that every worker has acknowledged. Control
        may publish on its own too (a neighbour, a window that closes), so it only ever grows."""
        done = subprocess.run(
            [program("sluicectl"), "-s", self.run_dir, *map(str, words), "--json"],
            capture_output=True, text=True, timeout=20, check=False,
        )  # fmt: skip
        answer = json.loads((done.stdout or "{}").splitlines()[0])
        if done.returncode and answer.get("acknowledged") is not False:
            raise RuntimeError(f"sluicectl {words}: exit {done.returncode}: {done.stderr}"
                               f"{done.stdout}")  # fmt: skip
        if done.returncode:  # a worker that had no time for it; on a busy machine it may take a while
            net.wait_for(f"generation {answer['generation']} to be acknowledged",
                         lambda: self.json("generation")["acknowledged"])  # fmt: skip
        return answer["generation"]

    def generation(self):
        return self.json("generation")["generation"]

    def backends(self, service="web"):
        """The backends of a service by name, as sluicectl tells of them. One that is gone may
        still be listed until nothing remembers it."""
        rows = self.json("backend", "list", service)["backends"]
        return {row["name"]: row for row in rows if row["state"] != "gone"}

    def kill(self, process):
        process.kill()
        process.wait()

    def reload(self):
        self.control.send_signal(signal.SIGHUP)

    def stop(self):
        for process in (self.dataplane, self.control):
            if process:
                net.stop(process)
        # The pins outlive control, so that the next one can adopt them; here nobody will.
        net.remove_pins(self.bpf_dir)
        if self.control:  # the kernel takes the programs off a moment later
            net.wait_for("XDP to leave", lambda: "prog/xdp" not in self.host.run("ip", "link"))


def shares(before, after):
    """New connections of each backend between two answers of Gateway.backends(), in percent, and
    how many there were."""
    new = {
        name: row["connections"] - before.get(name, {"connections": 0})["connections"]
        for name, row in after.items()
    }
    total = sum(new.values())
    return {name: 100.0 * count / max(total, 1) for name, count in new.items()}, total


def due(backends):
    """The shares that the weights of the backends that take new connections ask for."""
    weights = {
        name: row["weight"] if row["state"] == "ready" else 0 for name, row in backends.items()
    }
    total = sum(weights.values())
    return {name: 100.0 * weight / max(total, 1) for name, weight in weights.items()}


def settle(gateway, seconds=0.2):
    """Lets the handshakes in flight at a change end, so that what follows is counted alone."""
    time.sleep(seconds)
    return gateway.backends()
